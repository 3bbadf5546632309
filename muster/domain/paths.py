"""Joint paths of a forecast: what whole days may bring, interval by interval, so that their sums vary as days and weeks do.

A Gaussian copula with one factor a day and one for all days (Joe, 2014, ch. 3): each interval keeps its own quantiles, a day's
intervals go together as far as the day's total varies more than independent intervals would, and days as far as past errors did.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

QUANTILES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
GAUSS = np.array([-1.95996, -1.28155, -0.67449, 0.0, 0.67449, 1.28155, 1.95996])
USUAL_TOGETHER = 0.5


def spread_of(quantiles: Floats) -> Floats:
    """Return the standard deviation that the 10 and 90 % quantiles (…, 7) speak of."""
    wide: Floats = (quantiles[..., 5] - quantiles[..., 1]) / (GAUSS[5] - GAUSS[1])
    return wide


def together(intervals: Floats, total: Sequence[float]) -> float:
    """Return the correlation, 0 to 1, of a day's intervals (quantiles (I, 7)) at which their sum varies as the day's total does.

    A usual one where nothing is known of the total.
    """
    alone = spread_of(intervals)
    independent, equal = float((alone**2).sum()), float(alone.sum() ** 2)
    if len(total) != len(QUANTILES) or equal <= independent:
        return USUAL_TOGETHER
    return float(np.clip((float(spread_of(np.array(total))) ** 2 - independent) / (equal - independent), 0.0, 1.0))


def sample_paths(
    days: Sequence[tuple[Floats, Sequence[float]]], between_days: float, count: int, luck: np.random.Generator
) -> list[Floats]:
    """Return `count` paths of each day (count, I), contacts, 0 or more.

    days: each day's quantiles of intervals (I, 7) and of its total (7; none: unknown); between_days: the correlation of day
    totals' errors, 0 to 1.
    """
    if not 0 <= between_days <= 1 or count < 1:
        raise ValueError(f"between_days is {between_days}, count {count}; allowed: 0 to 1, and 1 or more")
    common, found = luck.standard_normal((count, 1)), []
    for quantiles, total in days:
        shared = together(quantiles, total)
        day = np.sqrt(between_days) * common + np.sqrt(1 - between_days) * luck.standard_normal((count, 1))
        scores = np.sqrt(shared) * day + np.sqrt(1 - shared) * luck.standard_normal((count, len(quantiles)))
        found.append(_values(scores, quantiles))
    return found


def _values(scores: Floats, quantiles: Floats) -> Floats:
    """Return the values (count, I) at standard normal scores of variables with quantiles (I, 7); straight lines beyond the last."""
    place = np.clip(np.searchsorted(GAUSS, scores) - 1, 0, len(GAUSS) - 2)
    columns = np.arange(quantiles.shape[0])[None, :]
    low, high = quantiles[columns, place], quantiles[columns, place + 1]
    share = (scores - GAUSS[place]) / (GAUSS[place + 1] - GAUSS[place])
    values: Floats = np.maximum(low + share * (high - low), 0.0)
    return values
