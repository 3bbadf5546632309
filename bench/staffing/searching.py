"""What the benches of channels share: a case's outcome, and a search for the fewest agents that keep a target."""

import dataclasses
from collections.abc import Callable

import numpy as np

from services.staffing.domain.erlang import Ints

# What judges; and the seeds of what a plan, a search and the judge see, and of days that no search saw.
KEEP = 0.95
PLAN, SEARCH, JUDGE, FRESH = 1, 2, 3, 4


@dataclasses.dataclass(frozen=True)
class Row:
    """One case's outcome: share of fresh days kept by the plan and by what the search found, and hours of both."""

    case: str
    kept: float
    hours: float
    searched_kept: float
    searched: float
    seconds: float

    def told(self) -> str:
        ratio = self.hours / self.searched if self.searched else 1.0
        beside = f"{self.searched:8.1f} (search, kept {self.searched_kept:6.1%})  ratio {ratio:.3f}"
        return f"{self.case:58} kept {self.kept:6.1%}  hours {self.hours:8.1f}, {beside}  planned in {self.seconds:.2f} s"


def search(agents: Ints, keeps: Callable[[Ints], bool]) -> Ints:
    """Return agents (I,) from which no single one can be taken while the target is kept; more of all to begin with, where it is not."""
    best, stride = agents.copy(), 1
    while not keeps(best):
        best = best + (best > 0)
    while True:
        changed = False
        for offset in range(stride):
            rows = np.flatnonzero(best > 0)[offset::stride]
            fewer = best.copy()
            fewer[rows] -= 1
            if rows.size and keeps(fewer):
                best, changed = fewer, True
        if stride >= agents.size and not changed:
            return best
        stride = stride if changed else min(stride * 2, agents.size)
