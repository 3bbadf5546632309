"""The rest of today, as its closed intervals say."""

from collections.abc import Mapping

import numpy as np

from muster.domain.paths import spread_of
from services.forecaster.domain.engine.intraday import rest_of_day
from services.forecaster.domain.engine.panel import EPSILON, Floats
from services.forecaster.domain.queue_forecast import DayForecast


def update_day(today: DayForecast, actual: Mapping[int, int], from_instant: int, seconds: int) -> tuple[DayForecast, float]:
    """Return the rest of today, from an instant on, given what was offered so far; and the factor at which it runs now.

    Bands move with their means and narrow by what is known. An interval that is not closed yet says nothing.
    """
    starts = np.array(today.starts)
    counts = np.array([actual.get(int(s), np.nan) for s in today.starts], dtype=float)
    factors, narrowed = (row[0] for row in rest_of_day(today.offered[None], counts[None], today.drift))
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
