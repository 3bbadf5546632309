"""What a queue's days may bring, as joint paths drawn from its published forecast, and what being ready for it takes."""

import zlib
from collections.abc import Sequence

import numpy as np

from muster.domain.paths import GAUSS, QUANTILES, sample_paths
from services.staffing.domain.erlang import Floats, Ints
from services.staffing.domain.facts import ForecastDay
from services.staffing.domain.requirement import Rules
from services.staffing.domain.uncertainty import Choice, PathLoad, agents_by, choose, expected_volumes

HIGH = QUANTILES.index(0.9)
PATHS = 200


def quantiles_of(day: ForecastDay) -> Floats:
    """Return the quantiles (I, 7) of a day's intervals: as far around the mean, both ways, as the 90 % quantile lies above it."""
    mean, high = np.array(day.offered, float), np.array(day.high, float)
    spread = np.maximum(high - mean, 0.0) / GAUSS[HIGH]
    found: Floats = np.maximum(mean[:, None] + spread[:, None] * GAUSS[None, :], 0.0)
    return found


def _total(day: ForecastDay) -> list[float]:
    """Return the quantiles of a day's total about what its intervals add up to: overrides move intervals, not their spread."""
    middle = day.total[len(day.total) // 2] if len(day.total) == len(QUANTILES) else 0.0
    return [q * sum(day.offered) / middle for q in day.total] if middle > 0 else []


def luck_of(*words: str) -> np.random.Generator:
    """Return a generator that belongs to words: the same words, the same paths."""
    return np.random.default_rng(zlib.crc32("|".join(words).encode()))


def paths_of(days: Sequence[ForecastDay], count: int, luck: np.random.Generator) -> list[Floats]:
    """Return `count` joint paths of each day (count, I): what is expected on each, without the luck of single callers."""
    if not days:
        return []
    between = float(np.clip(days[0].between_days, 0.0, 1.0))
    found = sample_paths([(quantiles_of(day), _total(day)) for day in days], between, count, luck)
    return [expected_volumes(paths) for paths in found]


def path_load(day: ForecastDay, paths: Floats, patience: float, levels: Sequence[float] = ()) -> PathLoad:
    """Return a day's paths as the formulas take them; levels: AHT of a chat whose agent has 1 … max of them, none: calls."""
    aht = np.maximum(np.array(day.aht, float), 1.0)
    handle = np.full(aht.size, levels[-1]) if levels else aht
    return PathLoad(paths, handle, patience, float(day.seconds), tuple(levels))


def levels_of(day: ForecastDay, at_once: int, by_level: Sequence[float]) -> tuple[float, ...]:
    """Return the AHT of a chat whose agent has 1 … max: the book's, else the day's mean at each; none for calls."""
    if at_once == 1 or by_level:
        return tuple(by_level)
    offered = np.array(day.offered, float)
    mean = float(offered @ np.array(day.aht, float) / offered.sum()) if offered.sum() > 0 else 300.0
    return (max(round(mean), 1.0),) * at_once


def price_day(day: ForecastDay, rules: Rules, patience: float, sure: float, levels: Sequence[float] = ()) -> dict[str, Choice]:
    """Return what staffing a day to its mean, to all that may come, or to a chance, costs and gives; levels as in `path_load`. Raise
    ValueError without a promise."""
    if rules.promised is None:
        raise ValueError("no service level is promised")
    paths = paths_of([day], PATHS, luck_of(day.queue, day.local_date))[0]
    return choose(path_load(day, paths, patience, levels), rules.promised, sure, rules.minimum)


def more_for(day: ForecastDay, rules: Rules, patience: float, levels: Sequence[float] = ()) -> Ints | None:
    """Return the agents (I,) that a day's uncertainty adds, as the contract says it is staffed; None where it is staffed to its mean.

    levels as in `path_load`."""
    if rules.staff_to == "MEAN" or rules.promised is None or not day.starts:
        return None
    load = path_load(day, paths_of([day], PATHS, luck_of(day.queue, day.local_date))[0], patience, levels)
    agents, mean = (agents_by(rule, load, rules.promised, rules.sureness, rules.minimum) for rule in (rules.staff_to, "MEAN"))
    return agents - mean
