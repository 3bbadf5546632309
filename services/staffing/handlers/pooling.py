"""What walls between queues cost: one day staffed by groups of one queue, of two, of all, and as the book has them, judged by simulation."""

import dataclasses
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
class Skills:
    """Who may serve which queues: groups, by numbers of queues, first choice first; heads: agents of each; ranked: whether any choose."""

    groups: Serves = ()
    heads: tuple[int, ...] = ()
    ranked: bool = True

    @property
    def routing(self) -> int:
        """Who has no first choice takes who waits longest."""
        return PRIORITY if self.ranked or all(len(group) == 1 for group in self.groups) else LONGEST


@dataclasses.dataclass(frozen=True)
class PoolCase:
    """Queues of one day on one grid of intervals. names: of queues; date: local day of the first; seconds: of an interval; begin: of the
    first interval, seconds since 1970 UTC; skills: of the book's agents."""

    names: tuple[str, ...]
    date: str
    queues: tuple[Wanted, ...]
    seconds: int
    begin: int = 0
    skills: Skills = Skills()

    def __post_init__(self) -> None:
        if not 2 <= len(self.names) <= MOST_QUEUES or len(set(self.names)) < len(self.names):
            raise ValueError(f"queues are {', '.join(self.names)}; allowed: 2 to {MOST_QUEUES}, each once")
        if self.contacts > MOST_CONTACTS:
            raise ValueError(f"{self.contacts:,.0f} contacts a day; allowed: {MOST_CONTACTS:,}")

    @property
    def unserved(self) -> list[str]:
        """Queues that nobody in the book may serve."""
        served = {q for group in self.skills.groups for q in group}
        return [name for q, name in enumerate(self.names) if q not in served]

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


def _way(case: PoolCase, name: str, skills: Skills) -> dict[str, Any]:
    pools = Pools(case.queues, skills.groups, float(case.seconds), heads=skills.heads)
    routing = skills.routing
    luck = luck_of(*case.names, case.date, name)
    few, more = case.days(DAYS, SEARCHED), case.days(MORE_DAYS, PLAYED)
    found = find(pools, judge_of(pools, routing, few, luck), judge_of(pools, routing, more, luck))
    fresh = judge_of(pools, routing, min(more, FRESH_DAYS), luck)(found.agents)
    kept = (fresh.days() >= pools.targets).mean(axis=0)
    return {
        "name": name,
        "hours": found.hours,
        "groups": [[case.names[q] for q in group] for group in skills.groups],
        "group_hours": (found.agents.sum(axis=1) * case.seconds / 3600).tolist(),
        "agents": found.agents.tolist(),
        "heads": list(skills.heads),
        "kept": kept.tolist(),
    }


def _booked(case: PoolCase, others: dict[str, Skills], found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the way BOOK; where the book's groups are those of another way, and are told apart by nothing else, that way's staffing."""
    skills = case.skills
    apart = sum(map(len, skills.groups)) == len(case.names)  # each queue in one group: no share to divide by heads
    for other, way in zip(others.values(), found, strict=True):
        if (other.groups, other.routing) == (skills.groups, skills.routing) and (apart or len(set(skills.heads)) == 1):
            return {**way, "name": "BOOK", "heads": list(skills.heads)}
    return _way(case, "BOOK", skills)


def pool_ways(case: PoolCase, report: Any = None) -> dict[str, Any]:
    """Return ways: how a day is staffed DEDICATED, CHAINED, POOLED and by the BOOK's groups: hours, groups, their agents in each interval,
    and on which share of fresh days each queue keeps its target; starts of intervals; unserved queues. The same case always gives the same."""
    count = len(case.queues)
    invented = {
        "DEDICATED": Skills(dedicated(count)),
        "CHAINED": Skills(chained(count)),
        "POOLED": Skills(pooled(count), ranked=False),
    }
    found = [_way(case, name, skills) for name, skills in invented.items()]
    if not case.unserved:
        found.append(_booked(case, invented, found))
    starts = [case.begin + i * case.seconds for i in range(case.queues[0].volume.size)]
    return {"ways": found, "starts": starts, "unserved": case.unserved}
