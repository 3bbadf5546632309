"""What a queue's days may bring, as joint paths drawn from its published forecast."""

from collections.abc import Sequence

import numpy as np

from muster.domain.paths import GAUSS, QUANTILES, sample_paths
from services.staffing.domain.erlang import Floats
from services.staffing.domain.facts import ForecastDay

HIGH = QUANTILES.index(0.9)


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


def paths_of(days: Sequence[ForecastDay], count: int, luck: np.random.Generator) -> list[Floats]:
    """Return `count` joint paths of each day (count, I), contacts."""
    if not days:
        return []
    between = float(np.clip(days[0].between_days, 0.0, 1.0))
    return sample_paths([(quantiles_of(day), _total(day)) for day in days], between, count, luck)
