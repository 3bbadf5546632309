"""What the calendar does to days beyond their level: the place in the month and the weekday together, shared by a client's queues.

Boosted regression trees (Friedman, 2001) over each day's date, its days left in the month, and its weekday, fitted to what past
days brought over what their level had foretold a week before. A leaf of few days is pulled to nothing.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from services.forecaster.domain.engine.panel import EPSILON, Floats, Ints

TREES, DEPTH, RATE = 60, 3, 0.1
LEAST_DAYS, LEAF_WORTH = 4, 10.0
LONGEST_MONTH, ENOUGH_DAYS = 31, 28
BURST, LEAST_SHARE, AROUND_DAYS = 6.0, -0.9, 4

compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)


def places(dates: NDArray[np.datetime64]) -> Ints:
    """Return each day's date from 0, days left in its month, and weekday, 0 Monday (T, 3)."""
    days = dates.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    begun = (days - months.astype("datetime64[D]")).astype(np.int64)
    left = ((months + 1).astype("datetime64[D]") - days).astype(np.int64) - 1
    return np.stack([begun, left, (days.astype(np.int64) + 3) % 7], axis=1)


@compiled
def _split(sums: Floats, worth: float) -> tuple[int, int]:  # pragma: no cover (compiled)
    """Return by which feature, and up to which value of it, a node's days are split best; (0, LONGEST_MONTH): by none.

    sums (F, V, 3): what the node's days of each value weigh, times what is left to explain, and how many they are.
    """
    best, feature_of, where = 1e-12, 0, LONGEST_MONTH
    for feature in range(sums.shape[0]):
        all_mass, all_off, all_days = sums[feature, :, 0].sum(), sums[feature, :, 1].sum(), sums[feature, :, 2].sum()
        mass, off, days = 0.0, 0.0, 0.0
        for value in range(sums.shape[1]):
            mass += sums[feature, value, 0]
            off += sums[feature, value, 1]
            days += sums[feature, value, 2]
            if days < LEAST_DAYS or all_days - days < LEAST_DAYS:
                continue
            whole = all_off**2 / (all_mass + worth)
            gain = off**2 / (mass + worth) + (all_off - off) ** 2 / (all_mass - mass + worth) - whole
            if gain > best:
                best, feature_of, where = gain, feature, value
    return feature_of, where


@compiled
def _boosted(place: Ints, off: Floats, weight: Floats, ahead: Ints, worth: float) -> Floats:  # pragma: no cover (compiled)
    """Return what trees over places (D, F), fitted to `off` (D,), make of other places (H, F)."""
    rest, found, features = off.copy(), np.zeros(len(ahead)), place.shape[1]
    for _ in range(TREES):
        node, node_ahead = np.zeros(len(off), np.int64), np.zeros(len(ahead), np.int64)
        for depth in range(DEPTH):
            sums = np.zeros((2**depth, features, LONGEST_MONTH, 3))
            for day in range(len(off)):
                for feature in range(features):
                    into = sums[node[day], feature, place[day, feature]]
                    into[0] += weight[day]
                    into[1] += weight[day] * rest[day]
                    into[2] += 1
            splits = [_split(sums[own], worth) for own in range(2**depth)]
            for day in range(len(off)):
                feature, where = splits[node[day]]
                node[day] = 2 * node[day] + (place[day, feature] > where)
            for day in range(len(ahead)):
                feature, where = splits[node_ahead[day]]
                node_ahead[day] = 2 * node_ahead[day] + (ahead[day, feature] > where)
        leaf, mass = np.zeros(2**DEPTH), np.full(2**DEPTH, worth)
        for day in range(len(off)):
            leaf[node[day]] += RATE * weight[day] * rest[day]
            mass[node[day]] += weight[day]
        leaf /= mass
        rest -= leaf[node]
        found += leaf[node_ahead]
    return found


def _moved(off: Floats) -> Floats:
    """Return what most of the days around each differed by (D,): a level that moved is no calendar."""
    padded = np.pad(off, AROUND_DAYS, constant_values=np.nan)
    moved: Floats = np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, 2 * AROUND_DAYS + 1), axis=1)
    return moved


def _without_bursts(off: Floats, weight: Floats) -> Floats:
    """Return the weights (N, T) with those of days far off any other's cut (Huber's): a burst is one day."""
    told = weight > 0
    usual = BURST * float(np.median(abs(off[told]))) if told.any() else 1.0
    cut: Floats = weight * np.minimum(1.0, usual / np.maximum(abs(off), EPSILON))
    return cut


def season(place: Ints, off: Floats, weight: Floats) -> Floats:
    """Return by what share the calendar moves each day to come (H,), 0 while little is known.

    place (T + H, 3): of past days and those to come. off, weight (N, T): by what share each day differed from what was foretold, and
    how much it tells, 0 where it tells nothing.
    """
    past = off.shape[1]
    weight = _without_bursts(off, weight)
    told = weight.sum(axis=0)
    days = np.flatnonzero(told > 0)
    if len(days) < ENOUGH_DAYS:
        return np.zeros(len(place) - past)
    shared = (weight * off).sum(axis=0)[days] / told[days]
    shared = shared - _moved(shared)
    found: Floats = _boosted(place[days], shared, told[days], place[past:], LEAF_WORTH * float(told[days].mean()))
    return np.maximum(found, LEAST_SHARE)


def warm_up() -> None:
    """Compile what boosts, or load it from the cache."""
    _boosted(np.zeros((1, 3), np.int64), np.zeros(1), np.ones(1), np.zeros((1, 3), np.int64), 1.0)
