"""The port that solvers stand behind: a problem in, shifts out."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from services.scheduler.domain.rules import AgentRules
from services.scheduler.domain.shift import Shift

Floats = NDArray[np.float64]
SLOT = 900


@dataclasses.dataclass(frozen=True)
class Problem:
    """One staffing group over some weeks.

    required: agents scheduled on queue, per queue and slot of 15 minutes from `begin`, (Q, T); NaN where the queue is closed.
    fixed: shifts in force before the horizon, by agent, for rest and days in a row. on_queue: activity code of serving.
    seats: by site, None without limit; taken: seats taken by other groups, by site, (T,).
    """

    group: str
    mondays: tuple[dt.date, ...]
    begin: int
    queues: tuple[str, ...]
    required: Floats
    agents: tuple[AgentRules, ...]
    fixed: dict[str, tuple[Shift, ...]]
    on_queue: str
    seats: dict[str, int | None]
    taken: dict[str, Floats]


@dataclasses.dataclass(frozen=True)
class Solution:
    """Shifts, and agent-hours required and not covered."""

    shifts: Sequence[Shift]
    uncovered_hours: float


Report = Callable[[dict[str, Any]], None]


class Solver(Protocol):
    """Solves a problem; reports progress as it goes."""

    def __call__(self, problem: Problem, report: Report) -> Solution: ...
