"""The rest of today, as its closed intervals say."""

from collections.abc import Mapping, Sequence

import numpy as np

from muster.domain.paths import spread_of
from services.forecaster.domain.engine.intraday import after_midnight, rest_of_day
from services.forecaster.domain.engine.panel import EPSILON, Floats, Ints
from services.forecaster.domain.queue_forecast import DayForecast

IMPOSSIBLE, LEAST = 1e-3, 1e-4


def impossible_zeros(today: DayForecast, actual: Mapping[int, int]) -> frozenset[int]:
    """Return the starts of intervals of which nothing came although that was all but impossible: less than 1 in 1,000.

    By the morning's forecast, cut to what the two intervals before brought of theirs: after a day has all but stopped, nothing may
    come. Empty intervals on end are judged together: one of five expected contacts may be empty, eight of them may not.
    """
    counts = np.array([actual.get(int(s), np.nan) for s in today.starts], dtype=float)
    phi, seen = _wide(today), np.flatnonzero(~np.isnan(counts))
    doubted, believed = list[int](), np.empty(0, dtype=np.int64)
    for run in np.split(seen, np.flatnonzero(np.diff(counts[seen] == 0)) + 1):
        if (
            len(run)
            and counts[run[0]] == 0
            and _chance_of_none(today.offered[run], phi[run], _went(today, counts, believed[-2:])) < IMPOSSIBLE
        ):
            doubted += run.tolist()
        else:
            believed = np.append(believed, run)
    return frozenset(int(today.starts[place]) for place in doubted)


def _wide(today: DayForecast) -> Floats:
    """Return φ of the variance m + φ·m² of each interval (I,): as the band or the drift of days has it, whichever is more."""
    m, drift = np.maximum(today.offered, EPSILON), today.drift
    band = (spread_of(today.offered_quantiles) ** 2 - m) / m**2
    wide: Floats = np.maximum(np.maximum(band, drift.day + drift.fading + drift.rows(len(m))[0]), LEAST)
    return wide


def _went(today: DayForecast, counts: Floats, places: Ints) -> float:
    """Return the share that came in some intervals of what was expected of them; 1 where it was more, or nothing is known."""
    expected = today.offered[places].sum()
    return min(float(counts[places].sum() / expected), 1.0) if expected > EPSILON else 1.0


def _chance_of_none(mean: Floats, phi: Floats, share: float) -> float:
    """Return the probability that nothing comes in intervals on end (R,) of which a share of `mean` is expected.

    Counts are negative binomial; what they are off by goes together, so that all are as one of their sum: (1 + φ·m)^(-1/φ).
    """
    expected = float(mean.sum())
    if expected <= EPSILON:
        return 1.0
    together = float((mean * np.sqrt(phi)).sum() / expected) ** 2
    return float(np.exp(-np.log1p(together * expected * share) / together))


def fades(day: DayForecast, actual: Mapping[int, int], seconds: int, starts: Sequence[int]) -> Floats:
    """Return by what factor later intervals (I,) differ from their forecast as what faded when the day ended goes on fading."""
    passed = (np.array(starts) - day.starts[-1]) / seconds - 1
    steps = steps_of(day.starts, seconds)
    factors: Floats = after_midnight(day.offered[None], _counts(day, actual)[None], day.drift, steps, passed)[0]
    return factors


def steps_of(starts: Sequence[int], seconds: int) -> Floats:
    """Return how many intervals after the one before each begins (I,): 1, but for the first after a break."""
    return np.diff(starts, prepend=starts[0] - seconds) / seconds if len(starts) else np.zeros(0)


def _counts(day: DayForecast, actual: Mapping[int, int]) -> Floats:
    return np.array([actual.get(int(s), np.nan) for s in day.starts], dtype=float)


def update_day(today: DayForecast, actual: Mapping[int, int], from_instant: int, seconds: int) -> tuple[DayForecast, float]:
    """Return the rest of today, from an instant on, given what was offered so far; and the factor at which it runs now.

    Bands move with their means and narrow by what is known. An interval that is not closed yet says nothing.
    """
    starts, counts = np.array(today.starts), _counts(today, actual)
    steps = steps_of(today.starts, seconds)
    factors, narrowed = (row[0] for row in rest_of_day(today.offered[None], counts[None], today.drift, steps))
    rest = starts + seconds > from_instant
    mean = today.offered * factors
    around = (today.offered_quantiles - today.offered[:, None]) * (factors * narrowed)[:, None]
    quantiles = np.maximum(mean[:, None] + around, 0.0)
    work = today.offered * today.aht / 3600
    around = (today.workload_quantiles - work[:, None]) * (factors * _work_narrowed(today, narrowed))[:, None]
    of_work = np.maximum((work * factors)[:, None] + around, 0.0)
    return (
        DayForecast(
            today.day,
            tuple(int(s) for s in starts[rest]),
            mean[rest],
            today.aht[rest],
            quantiles[rest],
            today.aht_quantiles[rest],
            of_work[rest],
            today.parts,
            drift=today.drift,
        ),
        float(factors[rest][0]) if rest.any() else 1.0,
    )


def _work_narrowed(today: DayForecast, narrowed: Floats) -> Floats:
    """Return by what workload's spread narrows (I,) when that of contacts does: AHT's part of it stays."""
    by_volume = spread_of(today.offered_quantiles) / np.maximum(today.offered, EPSILON)
    by_aht = spread_of(today.aht_quantiles) / today.aht
    share = by_volume**2 / np.maximum(by_volume**2 + by_aht**2, EPSILON)
    found: Floats = np.sqrt(share * narrowed**2 + 1 - share)
    return found
