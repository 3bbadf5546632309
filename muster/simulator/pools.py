"""Pools of agents with skills: what a staffing plan gives on simulated days, played contact by contact.

All randomness belongs to the contact and the day, so that two plans meet the very same callers: draw them once, play each plan against
them. A day begins empty, as a closed centre does, and ends with the last interval. Routing: `muster.simulator.acd`.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from muster.simulator import acd

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAVE, BLOCK, PRIORITY, LONGEST = acd.LEAVE, acd.BLOCK, acd.PRIORITY, acd.LONGEST
NORMAL_95 = 1.959964


@dataclasses.dataclass(frozen=True)
class Queue:
    """What comes in: volume (I,) expected contacts an interval; handle, patience mean seconds (inf: nobody hangs up); threshold T, seconds.

    sigma: of a lognormal handle time (0: all alike), None: exponential. linear: the rate runs linearly between mid-points of intervals,
    each interval's volume as told; else it is constant in an interval.
    """

    volume: Floats
    handle: float
    patience: float
    threshold: float
    sigma: float | None = None
    linear: bool = False

    def __post_init__(self) -> None:
        if self.volume.ndim != 1 or not np.isfinite(self.volume).all() or (self.volume < 0).any():
            raise ValueError(f"volume is {self.volume}; allowed: one row of numbers, 0 or more")
        if not 0 < self.handle < np.inf or not self.patience > 0 or not 0 <= self.threshold < np.inf:
            told = f"handle {self.handle}, patience {self.patience}, threshold {self.threshold}"
            raise ValueError(f"{told}; allowed: seconds above 0, patience may be inf, threshold 0 or more")
        if self.sigma is not None and not 0 <= self.sigma < np.inf:
            raise ValueError(f"sigma is {self.sigma}; allowed: 0 or more, None for exponential handle times")


@dataclasses.dataclass(frozen=True)
class Group:
    """Agents (I,) on queue in each interval, and the queues that they serve, by number, best first."""

    agents: Ints
    queues: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.agents.ndim != 1 or self.agents.dtype.kind != "i" or (self.agents < 0).any():
            raise ValueError(f"agents are {self.agents}; allowed: one row of whole numbers, 0 or more")
        if not self.queues or len(set(self.queues)) < len(self.queues):
            raise ValueError(f"queues are {self.queues}; allowed: one or more, each once")


@dataclasses.dataclass(frozen=True)
class Plan:
    """A day's queues and groups. seconds: of an interval; discipline: LEAVE or BLOCK when a group shrinks; routing: PRIORITY or LONGEST."""

    queues: tuple[Queue, ...]
    groups: tuple[Group, ...]
    seconds: float
    discipline: int = LEAVE
    routing: int = PRIORITY

    def __post_init__(self) -> None:
        sizes = sorted({q.volume.size for q in self.queues} | {g.agents.size for g in self.groups})
        if len(sizes) != 1 or not self.queues or not self.groups or sizes[0] < 1:
            raise ValueError(
                f"numbers of intervals are {sizes}; allowed: one and the same in all queues and groups, one or more of each"
            )
        served = {q for g in self.groups for q in g.queues}
        if not served <= set(range(len(self.queues))):
            raise ValueError(f"groups serve queues {sorted(served)}; allowed: 0 to {len(self.queues) - 1}")
        if not 0 < self.seconds < np.inf or self.discipline not in (LEAVE, BLOCK) or self.routing not in (PRIORITY, LONGEST):
            told = f"seconds {self.seconds}, discipline {self.discipline}, routing {self.routing}"
            raise ValueError(f"{told}; allowed: seconds above 0, LEAVE or BLOCK, PRIORITY or LONGEST")


@dataclasses.dataclass(frozen=True)
class Callers:
    """Contacts to come, day after day: arrives, gives_up (seconds of the day), handle, queue, cell (queue × I + interval), all (N,).

    days (R + 1,): where each day's contacts begin; seeds (R,): of whatever else is drawn on a day.
    """

    arrives: Floats
    gives_up: Floats
    handle: Floats
    queue: Ints
    cell: Ints
    days: Ints
    seeds: NDArray[np.uint64]


@dataclasses.dataclass(frozen=True)
class Played:
    """What became of the contacts that arrived in each interval: counts (R, Q, I), days first; waited: seconds, of all of them.

    offered = answered + abandoned + waiting, those who still wait when the day ends; in_time: answered within T.
    """

    offered: Floats
    in_time: Floats
    answered: Floats
    abandoned: Floats
    waiting: Floats
    waited: Floats

    def service_level(self) -> tuple[Floats, Floats]:
        """Return the service level (Q, I), in time / offered over all days, and its 95 % half-width; NaN where nothing was offered."""
        return ratio(self.in_time, self.offered)

    def day_level(self) -> tuple[Floats, Floats]:
        """Return the service level (Q,) of the days together, and its 95 % half-width; NaN where nothing was offered."""
        return ratio(self.in_time.sum(axis=2), self.offered.sum(axis=2))

    def day_levels(self) -> Floats:
        """Return the service level of each day (R, Q); NaN where nothing was offered."""
        with np.errstate(invalid="ignore"):
            levels: Floats = self.in_time.sum(axis=2) / self.offered.sum(axis=2)
        return levels


def ratio(good: Floats, base: Floats) -> tuple[Floats, Floats]:
    """Return Σ good / Σ base over days (R, …) and its 95 % half-width, NaN for one day (Cochran, Sampling Techniques, 1977, 6.4)."""
    count, total = good.shape[0], base.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        level = good.sum(axis=0) / total
        off = ((good - level * base) ** 2).sum(axis=0)
        half = NORMAL_95 * np.sqrt(off * count / max(count - 1, 0)) / total if count > 1 else np.full_like(total, np.nan)
    return level, half


def _offsets(volume: Floats, interval: Ints, luck: np.random.Generator) -> Floats:
    """Return places in their intervals (N,), 0–1, where the rate runs linearly between mid-points: each half of an interval is a line.

    Beside an interval without contacts there is no ramp.
    """
    near, middle = np.concatenate([[0.0], volume, [0.0]]), volume[interval]
    before, after = near[interval], near[interval + 2]
    begin, end = ((np.where(beside > 0, beside, middle) + middle) / 2 for beside in (before, after))
    late = luck.random(interval.size) * (begin + 2 * middle + end) >= begin + middle
    low, high = np.where(late, middle, begin), np.where(late, end, middle)
    u = luck.random(interval.size)
    root = np.sqrt(low**2 + u * (high**2 - low**2))
    place: Floats = (late + np.minimum(u * (low + high) / (low + root), 1.0)) / 2
    return place


def _handles(queue: Queue, count: int, luck: np.random.Generator) -> Floats:
    if queue.sigma is None:
        return luck.exponential(queue.handle, count)
    return queue.handle * np.exp(queue.sigma * luck.standard_normal(count) - queue.sigma**2 / 2)


def draw(
    queues: Sequence[Queue], seconds: float, replications: int, luck: np.random.Generator, paths: Floats | None = None
) -> Callers:
    """Return the callers of so many days: Poisson around each queue's volume, or around paths (R, Q, I) of what days may bring."""
    if replications < 1:
        raise ValueError(f"replications is {replications}; allowed: 1 or more")
    size = queues[0].volume.size
    if paths is not None and paths.shape != (replications, len(queues), size):
        raise ValueError(f"paths have shape {paths.shape}; allowed: {(replications, len(queues), size)}")
    parts, days = [], []
    for q, queue in enumerate(queues):
        expected = np.broadcast_to(queue.volume, (replications, size)) if paths is None else paths[:, q]
        flat = np.repeat(np.arange(replications * size), luck.poisson(expected).ravel())
        interval = flat % size
        place = _offsets(queue.volume, interval, luck) if queue.linear else luck.random(flat.size)
        arrives = (interval + place) * seconds
        patience = luck.standard_exponential(flat.size) * queue.patience
        handle = _handles(queue, flat.size, luck)
        parts.append((arrives, arrives + patience, handle, np.full(flat.size, q), q * size + interval))
        days.append(flat // size)
    day = np.concatenate(days)
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.argsort(day * (size * seconds) + columns[0], kind="stable")
    begins = np.concatenate([[0], np.bincount(day, minlength=replications).cumsum()])
    seeds = luck.integers(0, 2**63, replications, dtype=np.uint64)
    arrives, gives_up, handle, queue_of, cell = (column[order] for column in columns)
    return Callers(arrives, gives_up, handle, queue_of, cell, begins, seeds)


def _rules(plan: Plan) -> acd.Rules:
    agents = np.stack([g.agents for g in plan.groups]).astype(np.int64)
    serves = np.full((len(plan.groups), len(plan.queues)), -1)
    asks, rank = np.full((len(plan.queues), len(plan.groups)), -1), np.zeros((len(plan.queues), len(plan.groups)), np.int64)
    for number, group in enumerate(plan.groups):
        serves[number, : len(group.queues)] = group.queues
    for q in range(len(plan.queues)):
        best = sorted((group.queues.index(q), number) for number, group in enumerate(plan.groups) if q in group.queues)
        for place, (grade, number) in enumerate(best):
            asks[q, place], rank[q, place] = number, grade
    thresholds = np.array([q.threshold for q in plan.queues], float)
    return acd.Rules(agents, serves, asks, rank, thresholds, float(plan.seconds), plan.discipline, plan.routing)


def play(plan: Plan, callers: Callers) -> Played:
    """Return what a plan gives to callers drawn for its queues."""
    queues, size = len(plan.queues), plan.queues[0].volume.size
    sums = np.zeros((callers.seeds.size, queues * size, acd.COUNTS))
    contacts = acd.Contacts(callers.arrives, callers.gives_up, callers.handle, callers.queue, callers.cell)
    acd.play(contacts, callers.days, callers.seeds, _rules(plan), sums)
    shaped = sums.reshape(-1, queues, size, acd.COUNTS)
    return Played(*(np.ascontiguousarray(shaped[..., n]) for n in range(acd.COUNTS)))


def simulate(plan: Plan, replications: int, luck: np.random.Generator) -> Played:
    """Return what a plan gives on so many days."""
    return play(plan, draw(plan.queues, plan.seconds, replications, luck))
