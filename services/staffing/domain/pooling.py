"""Agents who serve several queues: the fewest hours that keep every queue's target, and so what a wall between queues costs.

The search goes downhill over simulated days, as Cezik & L'Ecuyer, "Staffing multiskill call centers via linear programming and
simulation", Management Science 54, 2008, do with cuts. It begins where one more agent is worth the same number of contacts in time in
every interval (by Erlang A, queues that share agents taken together), removes agents while every target holds against the very same
callers, and adds what a larger sample of days asks for. Who plays the days, and how contacts are routed, is the judge's to say.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from services.staffing.domain.erlang import SL_OFFERED, Floats, Ints, Load, fewest_agents_for, service

Serves = tuple[tuple[int, ...], ...]

# Demanded beyond the share of days, so that other days keep it as well.
SURER = 0.015
CHEAPEST, DEAREST, LOOKS = 1e-3, 30.0, 10
TIRED = 20
REPAIRS = 200


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A queue's work and target: volume (I,) expected contacts an interval; handle, patience, threshold seconds; target service level, of the
    answered or of the offered."""

    volume: Floats
    handle: float
    patience: float
    threshold: float
    target: float
    of_answered: bool = False

    def __post_init__(self) -> None:
        if self.volume.ndim != 1 or not np.isfinite(self.volume).all() or (self.volume < 0).any():
            raise ValueError(f"volume is {self.volume}; allowed: one row of numbers, 0 or more")
        if not 0 < self.handle < np.inf or not self.patience > 0 or not 0 <= self.threshold < np.inf:
            told = f"handle {self.handle}, patience {self.patience}, threshold {self.threshold}"
            raise ValueError(f"{told}; allowed: seconds above 0, patience may be inf, threshold 0 or more")
        if not 0 < self.target < 1:
            raise ValueError(f"target is {self.target}; allowed: between 0 and 1")


@dataclasses.dataclass(frozen=True)
class Pools:
    """Queues and the groups that serve them, each by numbers of queues, best first. seconds: of an interval.

    share_of_days: on which each queue's service level of the day must reach its target; slack: by how much an interval's service level
    over all days may lie below the target; heads: agents there are of each group, the work that groups share is divided so; none: evenly.
    """

    queues: tuple[Wanted, ...]
    groups: Serves
    seconds: float
    share_of_days: float = 0.95
    slack: float = 0.1
    heads: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        sizes = sorted({q.volume.size for q in self.queues})
        if len(sizes) != 1 or sizes[0] < 1:
            raise ValueError(f"numbers of intervals are {sizes}; allowed: one and the same in all queues, 1 or more")
        served = {q for group in self.groups for q in group}
        if served != set(range(len(self.queues))) or any(len(set(g)) < len(g) or not g for g in self.groups):
            raise ValueError(f"groups are {self.groups}; allowed: every queue 0 to {len(self.queues) - 1}, in a group once")
        if self.heads and (len(self.heads) != len(self.groups) or min(self.heads) < 1):
            raise ValueError(f"heads are {self.heads}; allowed: 1 or more of each of {len(self.groups)} groups, or none")
        if not 0 < self.seconds < np.inf or not 0 < self.share_of_days < 1 or not 0 < self.slack < 1:
            told = f"seconds {self.seconds}, share_of_days {self.share_of_days}, slack {self.slack}"
            raise ValueError(f"{told}; allowed: seconds above 0, shares between 0 and 1")

    @property
    def weights(self) -> Floats:
        """What each group weighs (G,) where several serve a queue."""
        return np.array(self.heads or [1] * len(self.groups), float)

    @property
    def targets(self) -> Floats:
        """Target service levels (Q,)."""
        return np.array([q.target for q in self.queues])


@dataclasses.dataclass(frozen=True)
class Seen:
    """What days brought, (R, Q, I), days first: contacts in time, and of how many: the offered, or the answered where these are judged."""

    in_time: Floats
    offered: Floats

    def intervals(self) -> Floats:
        """Return service levels (Q, I) over all days; 1 where nothing was offered: nothing was missed."""
        offered = self.offered.sum(axis=0)
        return np.where(offered > 0, self.in_time.sum(axis=0) / np.maximum(offered, 1), 1.0)

    def days(self) -> Floats:
        """Return service levels (R, Q) of days; 1 where nothing was offered."""
        offered = self.offered.sum(axis=2)
        return np.where(offered > 0, self.in_time.sum(axis=2) / np.maximum(offered, 1), 1.0)


Judge = Callable[[Ints], Seen]


@dataclasses.dataclass(frozen=True)
class Found:
    """Agents (G, I), what they cost in agent-hours, by how much each queue missed (Q,) on the larger sample; 0 or less: kept."""

    agents: Ints
    hours: float
    missed: Floats


def dedicated(queues: int) -> Serves:
    """Return a group for each queue: walls everywhere."""
    return tuple((q,) for q in range(queues))


def chained(queues: int) -> Serves:
    """Return a ring: each group serves its own queue first, then its neighbour's."""
    return tuple((q, (q + 1) % queues) for q in range(queues)) if queues > 1 else ((0,),)


def pooled(queues: int) -> Serves:
    """Return one group that serves everything."""
    return (tuple(range(queues)),)


def hours(agents: Ints, seconds: float) -> float:
    """Return agent-hours; nobody is counted twice."""
    return float(agents.sum() * seconds / 3600)


def missed(pools: Pools, seen: Seen, share: float | None = None) -> Floats:
    """Return by how much each queue misses (Q,), in service level: on the share of days, or in its worst interval; ≤ 0: kept.

    share: of days, the pools' own unless told.
    """
    days = np.quantile(seen.days(), 1 - (pools.share_of_days if share is None else share), axis=0, method="lower")
    worst = seen.intervals().min(axis=1)
    by: Floats = np.maximum(pools.targets - days, pools.targets - pools.slack - worst)
    return by


def _parts(groups: Serves) -> list[tuple[list[int], list[int]]]:
    """Return (queues, groups) that share agents with one another and with no other."""
    parts: list[tuple[set[int], list[int]]] = []
    for number, group in enumerate(groups):
        near = [p for p in parts if p[0] & set(group)]
        parts = [p for p in parts if not p[0] & set(group)]
        parts.append((set(group).union(*(p[0] for p in near)), sorted([number, *(g for p in near for g in p[1])])))
    return [(sorted(queues), members) for queues, members in parts]


@dataclasses.dataclass(frozen=True)
class _Part:
    """Queues taken together: worth (N, I) expected contacts in time of 0 … N − 1 agents, least (I,) agents, shares (G, I) of the groups."""

    queues: list[int]
    groups: list[int]
    worth: Floats
    least: Ints
    shares: Floats

    def agents(self, price: float) -> Ints:
        """Return agents (G, I) where one more would bring fewer contacts in time than the price."""
        number = np.arange(self.worth.shape[0])[:, None]
        gain = np.where(number >= self.least, self.worth - price * number, -np.inf)
        ends = np.rint(np.cumsum(self.shares, axis=0) * gain.argmax(axis=0))
        split: Ints = np.diff(ends, axis=0, prepend=0.0).astype(np.int64)
        return split


def _part(pools: Pools, queues: list[int], groups: list[int]) -> _Part:
    chosen = [pools.queues[q] for q in queues]
    volume = np.array([q.volume for q in chosen])
    total = volume.sum(axis=0)
    weight = np.where(total > 0, volume / np.maximum(total, 1e-12), 1 / len(chosen))
    handle, leave, threshold, target = (
        np.einsum("q,qi->i", np.array(column), weight)
        for column in zip(*((q.handle, 1 / q.patience, q.threshold, q.target) for q in chosen), strict=True)
    )
    patience = np.where(leave > 0, 1 / np.maximum(leave, 1e-300), np.inf)
    load = Load(total / pools.seconds, handle, patience)
    wait = float(np.average(threshold, weights=total)) if total.sum() > 0 else 0.0
    least = fewest_agents_for(SL_OFFERED, max(float(target.min()) - pools.slack, 0.05), load, wait, 0.0)
    most = int(max(least.max(initial=0), load.erlangs.max(initial=0.0)) * 1.4 + 30)
    worth = np.array([total * service(load, np.full(total.size, float(n)), wait).within for n in range(most + 1)])
    served = [sum(pools.weights[g] for g in groups if q in pools.groups[g]) for q in queues]
    work = volume * np.array([[q.handle] for q in chosen]) / np.array(served)[:, None]
    weighed = [pools.weights[g] * sum((work[queues.index(q)] for q in pools.groups[g]), np.zeros(total.size)) for g in groups]
    shares = np.array(weighed)
    whole = shares.sum(axis=0)
    return _Part(queues, groups, worth, least, np.where(whole > 0, shares / np.maximum(whole, 1e-12), 1 / len(groups)))


def start(pools: Pools, judge: Judge) -> Ints:
    """Return agents (G, I) at the dearest price, one for each part, at which the judge's days keep the targets."""
    parts = [_part(pools, queues, groups) for queues, groups in _parts(pools.groups)]
    good, bad = np.full(len(parts), np.log(CHEAPEST)), np.full(len(parts), np.log(DEAREST))
    for _ in range(LOOKS):
        middle = (good + bad) / 2
        by = missed(pools, judge(_together(pools, parts, middle)), _asked(pools))
        kept = np.array([(by[p.queues] <= 0).all() for p in parts])
        good, bad = np.where(kept, middle, good), np.where(kept, bad, middle)
    return _together(pools, parts, good)


def _together(pools: Pools, parts: list[_Part], prices: Floats) -> Ints:
    agents = np.zeros((len(pools.groups), pools.queues[0].volume.size), np.int64)
    for part, price in zip(parts, prices, strict=True):
        agents[part.groups] = part.agents(float(np.exp(price)))
    return agents


def _asked(pools: Pools) -> float:
    return min(pools.share_of_days + SURER, (1 + pools.share_of_days) / 2)


def _hurt(pools: Pools, seen: Seen) -> Floats:
    """Return what an agent less would hurt (G, I): contacts not in time now, more of a queue that has little to spare."""
    late = (seen.offered - seen.in_time).mean(axis=0)
    by = missed(pools, seen, _asked(pools))[:, None]
    near = pools.targets[:, None] - pools.slack - seen.intervals()
    felt = late * np.exp(np.maximum(by / 0.01, -20.0)) + np.exp(np.clip(near / 0.02, -20.0, 5.0))
    return np.array([sum((felt[q] for q in group), np.zeros(felt.shape[1])) for group in pools.groups])


def trim(pools: Pools, judge: Judge, agents: Ints) -> Ints:
    """Return agents (G, I) after removing what can go: many at once where that holds, then one by one."""
    seen, spared = judge(agents), np.zeros(agents.shape, bool)
    batch, tired = max(agents.size // 6, 1), 0
    while tired < max(TIRED, agents.size // 2):
        hurt = np.where((agents > 0) & ~spared, _hurt(pools, seen), np.inf).ravel()
        picked = np.argsort(hurt, kind="stable")[:batch]
        picked = picked[np.isfinite(hurt[picked])]
        if not picked.size:
            break
        fewer = agents.copy()
        fewer.ravel()[picked] -= 1
        brought = judge(fewer)
        if (missed(pools, brought, _asked(pools)) <= 0).all():
            agents, seen = fewer, brought
        elif batch > 1:
            batch //= 2
        else:
            spared.ravel()[picked], tired = True, tired + 1
    return agents


def repair(pools: Pools, judge: Judge, agents: Ints) -> tuple[Ints, Floats]:
    """Return agents (G, I) with what the judge's days still ask for, where most contacts come late, and what is missed (Q,)."""
    agents = agents.copy()
    for _ in range(REPAIRS):
        seen = judge(agents)
        by = missed(pools, seen, _asked(pools))
        if (by <= 0).all():
            break
        q = int(by.argmax())
        low = pools.queues[q].target - pools.slack - seen.intervals()[q]
        late = (seen.offered - seen.in_time)[:, q].sum(axis=0)
        interval = int(low.argmax() if low.max() > 0 else late.argmax())
        able = [g for g, group in enumerate(pools.groups) if q in group]
        agents[min(able, key=lambda g: (pools.groups[g].index(q), agents[g, interval] / pools.weights[g])), interval] += 1
    return agents, by


def find(pools: Pools, judge: Judge, larger: Judge) -> Found:
    """Return agents for each group and interval that keep every target; larger: a judge of more and of other days, who has the last word."""
    agents, by = repair(pools, larger, trim(pools, judge, start(pools, judge)))
    return Found(agents, hours(agents, pools.seconds), by)
