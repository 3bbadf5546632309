"""What a wall between queues costs: five cases, dedicated, chained, pooled and as a book has it, beside a longer search.

python -m bench.staffing.pooling [CASE …] [--longer]: agent-hours and seconds of search; the least share of days, over queues, on which a
queue's target is kept on FRESH days that no search has seen; with --longer the ratio to an independent search (annealing from the
queues' own Erlang requirements, and from the staffing found).
"""

import dataclasses
import sys
import time

import numpy as np

from muster.simulator.pools import LONGEST, PRIORITY
from services.staffing.domain.erlang import SL_OFFERED, Ints, Load, fewest_agents_for
from services.staffing.domain.pooling import (
    SURER,
    Judge,
    Pools,
    Seen,
    Serves,
    Wanted,
    chained,
    dedicated,
    find,
    hours,
    missed,
    pooled,
    repair,
)
from services.staffing.handlers.pooling import Skills, judge_of

SEARCH, LARGER, FRESH = 120, 1500, 4000
STEPS, EASIER = 150, 0.01


def day(peak: float, intervals: int, skew: float = 0.0) -> np.ndarray:
    """Return a day with a morning and a lower afternoon peak; skew: how many intervals later."""
    t = np.arange(intervals) - skew
    shape = np.exp(-(((t - intervals * 0.3) / (intervals * 0.16)) ** 2))
    volume: np.ndarray = peak * np.maximum(shape + 0.75 * np.exp(-(((t - intervals * 0.72) / (intervals * 0.18)) ** 2)), 0.08)
    return volume


CASES: dict[str, tuple[Wanted, ...]] = {
    "two alike": (Wanted(day(40, 20), 300, 120, 20, 0.8), Wanted(day(40, 20), 300, 120, 20, 0.8)),
    "large and small": (Wanted(day(90, 20), 300, 120, 20, 0.8), Wanted(day(12, 20), 420, 180, 30, 0.8)),
    "three languages": (
        Wanted(day(45, 20), 280, 100, 20, 0.8),
        Wanted(day(25, 20, 2), 360, 150, 30, 0.85),
        Wanted(day(12, 20, -1), 480, 240, 60, 0.8),
    ),
    "peaks apart": (
        Wanted(day(40, 20, -3), 300, 120, 20, 0.8),
        Wanted(day(40, 20), 300, 120, 20, 0.8),
        Wanted(day(40, 20, 3), 300, 120, 20, 0.8),
    ),
    "four, one that waits": (
        Wanted(day(30, 20), 240, 90, 15, 0.85),
        Wanted(day(22, 20, 1), 330, 150, 30, 0.8),
        Wanted(day(14, 20, 2), 420, np.inf, 120, 0.8),
        Wanted(day(10, 20, -2), 540, 300, 45, 0.75),
    ),
}
# Who is in the book, where not everybody serves one queue, two or all: groups and their agents, in the order of choice.
BOOKS: dict[str, Skills] = {
    "two alike": Skills(((0,), (0, 1), (1,), (1, 0)), (2, 3, 2, 3)),
    "large and small": Skills(((0,), (1, 0)), (20, 6)),
    "three languages": Skills(((0,), (0, 1), (1,), (1, 2), (2,), (2, 0, 1)), (12, 5, 6, 3, 2, 2)),
}
VARIANTS = (("dedicated", dedicated, PRIORITY), ("chained", chained, PRIORITY), ("pooled", pooled, LONGEST))


def kept_days(pools: Pools, seen: Seen) -> float:
    """Return the share of days on which a queue's target is kept, of the queue that keeps it least."""
    return float((seen.days() >= pools.targets).mean(axis=0).min())


def erlang_start(pools: Pools) -> Ints:
    """Return each queue's own requirement, in the group that ranks it best: no search has touched it."""
    agents = np.zeros((len(pools.groups), pools.queues[0].volume.size), np.int64)
    for q, wanted in enumerate(pools.queues):
        size = wanted.volume.size
        load = Load(wanted.volume / pools.seconds, np.full(size, float(wanted.handle)), np.full(size, float(wanted.patience)))
        best = min((g for g in range(len(pools.groups)) if q in pools.groups[g]), key=lambda g: pools.groups[g].index(q))
        agents[best] += fewest_agents_for(SL_OFFERED, wanted.target, load, wanted.threshold, 0.0)
    return agents


def anneal(pools: Pools, judge: Judge, agents: Ints, steps: int, luck: np.random.Generator) -> Ints:
    """Return the cheapest agents met that keep the targets, on a walk that adds, removes and moves agents over random stretches."""

    def cost(a: Ints) -> tuple[float, bool]:
        by = np.maximum(missed(pools, judge(a)), 0.0)
        return a.sum() + 40.0 * np.sqrt(a.sum()) * by.sum(), not by.any()

    now, (price, kept) = agents, cost(agents)
    best, least = agents, float(agents.sum()) if kept else np.inf
    for step in range(steps):
        heat = 2.5 * (1 - step / steps) + 0.05
        other = now.copy()
        for sign in ((-1,), (1,), (-1, 1), (-1, -1, 1))[luck.choice(4, p=[0.35, 0.15, 0.25, 0.25])]:
            at, long = luck.integers(agents.shape[1]), 1 + int(luck.integers(max(int(5 * (1 - step / steps)), 1)))
            other[luck.integers(agents.shape[0]), at : at + long] += sign
        other = np.maximum(other, 0)
        new, kept = cost(other)
        if kept and other.sum() < least:
            best, least = other, float(other.sum())
        if new <= price or luck.random() < np.exp((price - new) / heat):
            now, price = other, new
    return best


def bare(pools: Pools, judge: Judge, agents: Ints, luck: np.random.Generator) -> Ints:
    """Return agents of whom not one can go: every one tried, in random order."""
    for at in luck.permutation(agents.size):
        while agents.ravel()[at] > 0:
            fewer = agents.copy()
            fewer.ravel()[at] -= 1
            if (missed(pools, judge(fewer)) > 0).any():
                break
            agents = fewer
    return agents


def longer(pools: Pools, routing: int, found: Ints, larger: Judge) -> float:
    """Return the fewest hours of two walks, each judged on its own days, stripped, and repaired where the larger sample asks for it.

    They are asked for one day in a hundred less than `find` asks of itself.
    """
    least = np.inf
    walking = dataclasses.replace(pools, share_of_days=pools.share_of_days + SURER - EASIER)
    lenient = dataclasses.replace(pools, share_of_days=pools.share_of_days - EASIER)
    for seed, begin in ((21, erlang_start(pools)), (22, found)):
        judge, luck = judge_of(pools, routing, SEARCH, np.random.default_rng(seed)), np.random.default_rng(seed)
        walked = bare(walking, judge, anneal(walking, judge, begin, STEPS, luck), luck)
        least = min(least, hours(repair(lenient, larger, walked)[0], pools.seconds))
    return least


def report(name: str, with_longer: bool) -> None:
    base = 0.0
    queues = CASES[name]
    ways: list[tuple[str, Serves, int, tuple[int, ...]]] = [
        (way, of(len(queues)), routing, ()) for way, of, routing in VARIANTS
    ]
    ways += [("book", BOOKS[name].groups, BOOKS[name].routing, BOOKS[name].heads)] if name in BOOKS else []
    for variant, groups, routing, heads in ways:
        pools = Pools(queues, groups, 1800.0, heads=heads)
        judge, larger = (
            judge_of(pools, routing, SEARCH, np.random.default_rng(1)),
            judge_of(pools, routing, LARGER, np.random.default_rng(2)),
        )
        began = time.process_time()
        found = find(pools, judge, larger)
        spent = time.process_time() - began
        base = base or found.hours
        fresh = judge_of(pools, routing, FRESH, np.random.default_rng(2026))(found.agents)
        told = f"{name:22} {variant:10} {found.hours:8.1f} {found.hours / base - 1:+7.1%} {spent:6.1f} s"
        told += f" {kept_days(pools, fresh):7.1%} {(missed(dataclasses.replace(pools, slack=0.999), fresh)).max():+7.3f}"
        if with_longer:
            least = longer(pools, routing, found.agents, larger)
            told += f" {least:8.1f} {found.hours / least:7.3f}"
        print(told, flush=True)


def main() -> None:
    names = [a for a in sys.argv[1:] if a in CASES] or list(CASES)
    print(f"{'case':22} {'skills':10} {'hours':>8} {'':7} {'search':>8} {'kept':>7} {'missed':>7} {'longer':>8} {'ratio':>7}")
    for name in names:
        report(name, "--longer" in sys.argv)


if __name__ == "__main__":
    main()
