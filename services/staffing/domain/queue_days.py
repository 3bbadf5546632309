"""Days ahead of a queue, as its contacts meet them: what came before is still in hand, on every path of the forecast."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from services.staffing.domain.erlang import Floats, Ints
from services.staffing.domain.requirement import Goal
from services.staffing.domain.uncertainty import Outcome, PathLoad, outcome


@dataclasses.dataclass(frozen=True)
class QueueDay:
    """A queue's day ahead, or the rest of one. starts (I,): instants of its intervals; agents (I,): the plan's, on queue; opens: whether it
    begins with nobody in it."""

    queue: str
    starts: Ints
    load: PathLoad
    agents: Floats | Ints
    opens: bool = False

    def __post_init__(self) -> None:
        size = self.load.handle.size
        if self.starts.shape != (size,) or np.shape(self.agents) != (size,) or not np.min(self.agents) >= 0:
            raise ValueError(
                f"{self.queue}: starts {self.starts.shape}, agents {self.agents}; allowed: {size} of each, agents 0 or more"
            )


def carried(day: QueueDay) -> Floats:
    """Return volumes (P, I) that, had they come all along, would keep as many contacts in hand as there are: contacts outlast an interval
    (modified offered load, Jennings, Mandelbaum, Massey & Whitt, Management Science 42, 1996), and who leaves finishes theirs."""
    load, n = day.load, np.asarray(day.agents, float)
    steady = load.paths * load.handle / load.seconds
    stays = np.exp(-load.seconds / load.handle)
    held, found = (0.0 if day.opens else 1.0) * steady[:, 0], np.zeros_like(steady)
    closed = np.diff(day.starts, prepend=day.starts[:1] - int(load.seconds)) - load.seconds
    for i in range(n.size):
        if i and n[i] < n[i - 1]:
            held = held * n[i] / n[i - 1]
        held = held * math.exp(-closed[i] / load.handle[i])
        early = (held - steady[:, i]) * (1.0 - stays[i])
        found[:, i] = load.paths[:, i] + early
        held = steady[:, i] + (held - steady[:, i]) * stays[i]
    return np.maximum(found, 1e-9)


def days_give(goal: Goal, days: Sequence[QueueDay], long: bool, more: float = 0.0) -> list[Outcome]:
    """Return what each day gives with so many agents more; luck clumps as in an interval or, `long`, as in whole days."""
    found = []
    for day in days:
        felt = dataclasses.replace(day.load, paths=carried(day))
        agents = np.asarray(day.agents, float) + more
        of = outcome(felt, agents, goal, math.inf if long else felt.seconds)
        share = day.load.paths / felt.paths
        found.append(Outcome(of.good * share, of.base * share, of.variance * share))
    return found
