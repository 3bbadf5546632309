"""Where contracts' windows will end: what was counted, and what the plan makes of the days ahead."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from muster.domain.calendar import round_the_clock
from services.staffing.domain.facts import ForecastDay
from services.staffing.domain.queue_days import QueueDay
from services.staffing.domain.window import Counted, Pledge, WindowOutlook, look_ahead
from services.staffing.handlers.deadlines_ahead import DeskCase, deadlines_ahead
from services.staffing.handlers.spreading import luck_of, path_load, paths_of

PATHS = 200


@dataclasses.dataclass(frozen=True)
class QueueAhead:
    """A queue's days ahead in a window. agents: on queue, one list a day; since: intervals before it were counted or are over;
    until: the window's end; patience in seconds; levels: one list a day, AHT of a chat whose agent has 1 … max, none: calls; zone: whose
    midnights part the days."""

    queue: str
    days: Sequence[ForecastDay]
    agents: Sequence[Sequence[float]]
    patience: float
    since: int
    until: int
    levels: Sequence[Sequence[float]] = ()
    zone: str = "UTC"


@dataclasses.dataclass(frozen=True)
class WindowCase:
    """A target's window: what was counted of it, its queues ahead, and of how many days the schedule was published; desks: queues of
    deferred work, with what was counted of them, the others' is in `counted`."""

    contract: str
    index: int
    pledge: Pledge
    counted: Counted
    queues: Sequence[QueueAhead]
    scheduled_days: int
    desks: Sequence[DeskCase] = ()

    @property
    def days(self) -> int:
        """Days ahead that are forecast."""
        queues = [len(q.days) for q in self.queues]
        return max([*queues, *(d.days_ahead for d in self.desks)], default=0)


def _days(case: WindowCase) -> list[QueueDay]:
    found = []
    for ahead in case.queues:
        luck = luck_of(case.contract, str(case.index), ahead.queue, str(ahead.since))
        levels = ahead.levels or [()] * len(ahead.days)
        paths_by_day = paths_of(ahead.days, PATHS, luck)
        for day, agents, paths, by_level in zip(ahead.days, ahead.agents, paths_by_day, levels, strict=True):
            starts = np.array(day.starts)
            left = np.flatnonzero((starts >= ahead.since) & (starts < ahead.until))
            if left.size:
                load = path_load(day, paths, ahead.patience, by_level).pick(left)
                plan = np.maximum(np.array(agents, float)[left], 0.0)
                opens = left[0] == 0 and not round_the_clock(day.starts, day.seconds, ahead.zone)
                found.append(QueueDay(ahead.queue, starts[left], load, plan, opens))
    return found


def _finite(value: float) -> float | None:
    return round(value, 9) if math.isfinite(value) else None


def described(found: WindowOutlook, case: WindowCase) -> dict[str, Any]:
    """Return an outlook as it is kept: JSON, None where there is no number."""
    b = found.budget
    return {
        "of": [case.pledge.goal.metric, case.pledge.judging.aggregation, case.pledge.target],
        "met": _finite(found.met),
        "expected": _finite(found.expected),
        "band": [_finite(v) for v in found.band],
        "budget": {
            "allowed": _finite(b.allowed),
            "used": _finite(b.used),
            "passed": _finite(b.passed),
            "burn": _finite(b.burn),
        },
        "hours_more": [
            [h.date.isoformat(), [list(p) for p in h.placed], _finite(h.chance), _finite(h.value)] for h in found.hours_more
        ],
        "scheduled_days": case.scheduled_days,
        "days": case.days,
    }


def windows_ahead(cases: Sequence[WindowCase], report: Any = None) -> list[tuple[str, int, dict[str, Any]]]:
    """Return (contract, target, outlook) of each case that has days ahead; the same facts always give the same."""
    found = []
    for case in cases:
        if case.desks:
            outlook = deadlines_ahead((case.contract, case.index), case.pledge, case.desks, case.counted)
            found.append((case.contract, case.index, described(outlook, case)))
            continue
        days = _days(case)
        if days:
            luck = luck_of(case.contract, str(case.index), "contacts")
            found.append((case.contract, case.index, described(look_ahead(case.pledge, case.counted, days, luck), case)))
    return found
