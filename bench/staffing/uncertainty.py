"""What uncertainty costs, and whether a window's stated chance comes true: both judged by queues played event by event.

python -m bench.staffing.uncertainty: days of 100 Erlangs whose volume varies by 10 % as a whole, Poisson arrivals, exponential handle times
and patience; then 200 windows of 20 days and 2 queues, part of them behind; then what each aggregation costs. Seeds are fixed.
"""

import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from scipy.special import ndtri

from muster.domain.paths import GAUSS, sample_paths
from services.staffing.domain.attainment import Judging, stand
from services.staffing.domain.erlang import Floats, Ints, warm_up
from services.staffing.domain.queue_days import QueueDay
from services.staffing.domain.requirement import Goal, fewest_agents
from services.staffing.domain.uncertainty import Choice, PathLoad, choose, describe, expected_volumes, fewest_for_day
from services.staffing.domain.window import AGGREGATIONS, Pledge, look_ahead

compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)

GOAL = Goal("SERVICE_LEVEL", 0.8, threshold=20.0)
HANDLE, PATIENCE, SECONDS, SPREAD = 300.0, 120.0, 1800.0, 0.1
SURE, DAYS, PATHS = 0.83, 400, 2000
WINDOWS, LENGTH, BETWEEN, WINDOW_PATHS, OPEN = 200, 20, 0.5, 300, 12
START = 1_767_571_200  # a Monday's midnight


@compiled
def play(volumes: Any, agents: Any, seconds: Any, handle: Any, patience: Any, threshold: Any, seed: Any) -> Any:
    """Return (I, 2): offered, and of them answered within T, by interval of arrival. Who leaves with a contact finishes it elsewhere."""
    np.random.seed(seed)
    found = np.zeros((len(volumes), 2))
    room = int(volumes.sum() + 10.0 * np.sqrt(volumes.sum()) + 100.0)
    came, gives_up, of = np.zeros(room), np.zeros(room), np.zeros(room, np.int64)
    head = tail = busy = before = 0
    t, mu = 0.0, 1.0 / handle
    for i in range(len(volumes)):
        n, rate, end = int(agents[i]), volumes[i] / seconds, (i + 1) * seconds
        for gone in range(before - n):
            if np.random.random() * (before - gone) < busy:
                busy -= 1
        before = n
        while True:
            while busy < n and head < tail:
                if gives_up[head] > t:
                    busy += 1
                    found[of[head], 1] += t - came[head] <= threshold
                head += 1
            total = rate + busy * mu
            step = np.random.exponential(1.0 / total) if total > 0 else seconds
            if t + step >= end:
                t = end
                break
            t += step
            if np.random.random() * total >= rate:
                busy -= 1
                continue
            found[i, 0] += 1
            if busy < n:
                busy += 1
                found[i, 1] += 1
            elif tail < room:
                came[tail], of[tail] = t, i
                gives_up[tail] = t + (np.random.exponential(patience) if patience < np.inf else np.inf)
                tail += 1
    return found


def quantiles(mean: Floats, spread: float) -> tuple[Floats, list[float]]:
    """Return a forecast's quantiles of counts, of intervals (I, 7) and of their sum (7), where only the day as a whole is uncertain."""
    sd, total = np.sqrt((spread * mean) ** 2 + mean), float(mean.sum())
    return mean[:, None] + GAUSS * sd[:, None], list(total + GAUSS * np.sqrt((spread * total) ** 2 + total))


def at_most(day: PathLoad, mean: Ints, price: float) -> Choice:
    """Return the safest day for at most a price over MEAN's agents."""
    low, high = 0.5, SURE
    while high - low > 0.006:
        middle = (low + high) / 2
        low, high = (middle, high) if fewest_for_day(day, GOAL, middle).sum() <= mean.sum() * (1 + price) else (low, middle)
    return describe(day, GOAL, fewest_for_day(day, GOAL, low), int(mean.sum()))


def judge_days() -> None:
    """Print what each choice of agents costs, what chance it states for the day and what came."""
    factors = 1.0 + SPREAD * ndtri((np.arange(DAYS) + 0.5) / DAYS)
    shapes = {"flat": np.ones(24), "curved": 0.3 + 0.7 * np.sin(np.linspace(0.2, 2.9, 24))}
    print(
        f"\n{'day':7}{'patience':>9} {'rule':10}{'hours':>8}{'price':>8}{'service':>9}{'stated P':>10}{'came':>7}{'CPU s':>7}"
    )
    for name, shape in shapes.items():
        mean = 100.0 * SECONDS / HANDLE * shape
        paths = expected_volumes(sample_paths([quantiles(mean, SPREAD)], 0.0, PATHS, np.random.default_rng(1))[0])
        for patience in (PATIENCE, np.inf):
            began = time.process_time()
            day = PathLoad(paths, np.full(24, HANDLE), patience, SECONDS)
            choices = choose(day, GOAL, SURE)
            spent = time.process_time() - began
            choices["DAY +8 %"] = at_most(day, choices["MEAN"].agents, 0.08)
            for rule, c in choices.items():
                met = 0
                for d, factor in enumerate(factors):
                    offered, good = play(mean * factor, c.agents, SECONDS, HANDLE, patience, GOAL.threshold, d).sum(axis=0)
                    met += good >= GOAL.target * offered
                row = f"{c.hours:8.1f}{c.price:8.1%}{c.expected:9.3f}{c.day_met:10.3f}{met / DAYS:7.3f}{spent:7.2f}"
                print(f"{name:7}{patience:9.0f} {rule:10}{row}")


VOLUMES = [load * SECONDS / HANDLE * (0.5 + 0.5 * np.sin(np.linspace(0.4, 2.7, OPEN))) for load in (30.0, 12.0)]


def starts_of(day: int) -> Ints:
    return START + day * 86_400 + 28_800 + np.arange(OPEN) * int(SECONDS)


def plan(factor: float) -> list[Ints]:
    """Return each queue's agents for its mean volume times a factor."""
    return [fewest_agents(PathLoad(v[None], np.full(OPEN, HANDLE), PATIENCE, SECONDS).load(v * factor), GOAL) for v in VOLUMES]


def ahead_of(first: int, scores: Floats, agents: list[Ints], luck: np.random.Generator) -> list[QueueDay]:
    """Return the days from `first` on, forecast as one who saw the factors' scores of those before, (first, 2), would."""
    precision = 1.0 + scores.size * BETWEEN / (1.0 - BETWEEN)
    common = float(np.sqrt(BETWEEN) / (1.0 - BETWEEN) * scores.sum() / precision)
    variance = BETWEEN / precision + 1.0 - BETWEEN
    mean = 1.0 + SPREAD * np.sqrt(BETWEEN) * common
    spread = SPREAD * np.sqrt(variance) / mean
    order = [(day, q) for day in range(first, LENGTH) for q in range(2)]
    told = [quantiles(VOLUMES[q] * mean, spread) for _, q in order]
    found = sample_paths(told, BETWEEN / precision / variance, WINDOW_PATHS, luck)
    loads = [PathLoad(expected_volumes(p), np.full(OPEN, HANDLE), PATIENCE, SECONDS) for p in found]
    return [QueueDay(str(q), starts_of(day), of, agents[q], opens=True) for (day, q), of in zip(order, loads, strict=True)]


def live(scores: Floats, agents: list[Ints], seed: int) -> list[tuple[int, int | None, int | None]]:
    """Return what every interval of the window's days came to, queues together."""
    added: list[tuple[int, int | None, int | None]] = []
    for day in range(LENGTH):
        sums = sum(
            play(
                VOLUMES[q] * (1.0 + SPREAD * scores[day, q]),
                agents[q],
                SECONDS,
                HANDLE,
                PATIENCE,
                20.0,
                seed * 100 + 2 * day + q,
            )
            for q in range(2)
        )
        added += [(int(s), int(g), int(b)) for s, (b, g) in zip(starts_of(day), sums, strict=True)]
    return added


def judge_windows() -> None:
    """Print how stated chances of windows came true, by aggregation, and the reliability of all together.

    The target lies within three points of where the window stands: an easier one would be met or missed for sure.
    """
    stated: dict[str, list[float]] = {a: [] for a in AGGREGATIONS}
    came: dict[str, list[float]] = {a: [] for a in AGGREGATIONS}
    inside: dict[str, list[bool]] = {a: [] for a in AGGREGATIONS}
    for seed in range(WINDOWS):
        luck = np.random.default_rng(seed)
        scores = np.sqrt(BETWEEN) * luck.standard_normal() + np.sqrt(1 - BETWEEN) * luck.standard_normal((LENGTH, 2))
        agents, first = plan(luck.uniform(0.98, 1.04)), int(luck.integers(8, 18))
        added = live(scores, agents, seed)
        days = ahead_of(first, scores[:first], agents, luck)
        for aggregation in AGGREGATIONS:
            judging = Judging("SERVICE_LEVEL", aggregation, 0.8, "UTC")
            target = float(np.clip((stand(judging, added[: first * OPEN]).value or 0.0) + luck.uniform(-0.03, 0.03), 0.0, 1.0))
            outlook = look_ahead(Pledge(GOAL, judging, target), added[: first * OPEN], days, luck, hours_more=False)
            value = stand(judging, added).value or 0.0
            stated[aggregation].append(outlook.met)
            came[aggregation].append(value >= target)
            inside[aggregation].append(outlook.band[0] <= value <= outlook.band[1])
    print(f"\n{WINDOWS} windows: {'stated P':>26}{'met':>8}{'apart':>8}{'Brier':>8}{'in 10-90 %':>12}")
    for a in AGGREGATIONS:
        p, y = np.array(stated[a]), np.array(came[a], float)
        print(
            f"{a:26}{p.mean():12.3f}{y.mean():8.3f}{p.mean() - y.mean():8.3f}{((p - y) ** 2).mean():8.3f}{np.mean(inside[a]):12.2f}"
        )
    p, y = np.concatenate(list(stated.values())), np.concatenate(list(came.values())).astype(float)
    print(f"\n{'stated P':14}{'windows':>8}{'mean P':>8}{'met':>8}   (all aggregations)")
    for low in np.arange(5) / 5:
        rows = (p >= low) & ((p < low + 0.2) | (low > 0.7))
        if rows.any():
            print(f"{low:.1f} to {low + 0.2:.1f}   {rows.sum():10d}{p[rows].mean():8.3f}{y[rows].mean():8.3f}")


def compare_aggregations() -> None:
    """Print the hours at which each aggregation of 80 % is met with a chance of 80 %: every day staffed to the mean volume times one factor."""
    print(f"\n80 % by the aggregation of ({LENGTH} days, chance 0.8){'hours':>10}{'against contacts':>18}")
    against = 0.0
    for a in AGGREGATIONS:
        pledge = Pledge(GOAL, Judging("SERVICE_LEVEL", a, 0.8, "UTC"), 0.8)
        low, high = 0.9, 1.5
        while high - low > 0.005:
            middle = (low + high) / 2
            luck = np.random.default_rng(7)
            days = ahead_of(LENGTH - 5, np.zeros((0, 2)), plan(middle), luck)
            low, high = (low, middle) if look_ahead(pledge, [], days, luck, hours_more=False).met >= 0.8 else (middle, high)
        hours = sum(float(n.sum()) for n in plan(high)) * LENGTH * SECONDS / 3600.0
        against = against or hours
        print(f"{a:45}{hours:14.0f}{hours / against - 1:18.1%}")


def main() -> None:
    warm_up()
    choose(PathLoad(np.full((2, 1), 5.0), np.full(1, HANDLE), PATIENCE, SECONDS), GOAL, SURE)
    for part in (judge_days, judge_windows, compare_aggregations):
        began = time.process_time()
        part()
        print(f"({time.process_time() - began:.1f} s CPU)")


if __name__ == "__main__":
    main()
