"""What walls between queues cost: one day staffed by groups of one queue, of two, and of all, each judged by simulation."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from muster.simulator.pools import LEAVE, LONGEST, PRIORITY, Group, Plan, Queue, draw, play
from services.staffing.domain.erlang import Ints
from services.staffing.domain.pooling import Judge, Pools, Seen, Serves, Wanted, chained, dedicated, find, pooled
from services.staffing.handlers.spreading import luck_of

DAYS, MORE_DAYS, FRESH_DAYS = 120, 1500, 1000
MOST_QUEUES, MOST_CONTACTS = 6, 12_000
# Contacts that a staffing is played against, in the search and in the larger sample: hundreds of staffings are tried.
SEARCHED, PLAYED, FEWEST_DAYS = 60_000, 1_500_000, 40


@dataclasses.dataclass(frozen=True)
class PoolCase:
    """Queues of one day on one grid of intervals. names: of queues; date: local day of the first."""

    names: tuple[str, ...]
    date: str
    queues: tuple[Wanted, ...]
    seconds: int

    def __post_init__(self) -> None:
        if not 2 <= len(self.names) <= MOST_QUEUES or len(set(self.names)) < len(self.names):
            raise ValueError(f"queues are {', '.join(self.names)}; allowed: 2 to {MOST_QUEUES}, each once")
        if self.contacts > MOST_CONTACTS:
            raise ValueError(f"{self.contacts:,.0f} contacts a day; allowed: {MOST_CONTACTS:,}")

    @property
    def contacts(self) -> float:
        """Contacts of the day, all queues."""
        return float(sum(q.volume.sum() for q in self.queues))

    def days(self, most: int, contacts: int) -> int:
        """Return how many days are played: fewer where there are more contacts."""
        return int(min(most, max(contacts / max(self.contacts, 1.0), FEWEST_DAYS)))


def judge_of(pools: Pools, routing: int, days: int, luck: np.random.Generator, discipline: int = LEAVE) -> Judge:
    """Return a judge that plays the same simulated days for every staffing."""
    queues = tuple(Queue(q.volume, q.handle, q.patience, q.threshold) for q in pools.queues)
    callers = draw(queues, pools.seconds, days, luck)
    of_answered = np.array([q.of_answered for q in pools.queues])[:, None]

    def judge(agents: Ints) -> Seen:
        groups = tuple(Group(a, serves) for a, serves in zip(agents, pools.groups, strict=True))
        played = play(Plan(queues, groups, pools.seconds, discipline, routing), callers)
        some = of_answered & (played.answered.sum(axis=0) > 0)  # where nobody ever is answered, all who come are missed
        return Seen(played.in_time, np.where(some, played.answered, played.offered))

    return judge


def _way(case: PoolCase, name: str, groups: Serves) -> dict[str, Any]:
    pools = Pools(case.queues, groups, float(case.seconds))
    routing = LONGEST if name == "POOLED" else PRIORITY
    luck = luck_of(*case.names, case.date, name)
    few, more = case.days(DAYS, SEARCHED), case.days(MORE_DAYS, PLAYED)
    found = find(pools, judge_of(pools, routing, few, luck), judge_of(pools, routing, more, luck))
    fresh = judge_of(pools, routing, min(more, FRESH_DAYS), luck)(found.agents)
    kept = (fresh.days() >= pools.targets).mean(axis=0)
    return {
        "name": name,
        "hours": found.hours,
        "groups": [[case.names[q] for q in group] for group in groups],
        "group_hours": (found.agents.sum(axis=1) * case.seconds / 3600).tolist(),
        "kept": kept.tolist(),
    }


def pool_ways(case: PoolCase, report: Any = None) -> list[dict[str, Any]]:
    """Return how a day is staffed DEDICATED, CHAINED and POOLED: hours, groups, and on which share of fresh days each queue keeps its
    target. The same case always gives the same."""
    count = len(case.queues)
    ways: Sequence[tuple[str, Serves]] = (
        ("DEDICATED", dedicated(count)),
        ("CHAINED", chained(count)),
        ("POOLED", pooled(count)),
    )
    return [_way(case, name, groups) for name, groups in ways]
