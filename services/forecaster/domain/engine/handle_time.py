"""AHT: a level that drifts × the weekday's × the slot's × the weekday-slot's usual ratio to it, weighted by handled contacts.

Each ratio is pulled to 1 where contacts are few; how far the weekday-slots differ beyond chance is learnt from them (empirical
Bayes, by moments: Efron & Morris, 1975). An interval that one very long contact fills is cut to what chance allows (winsorised:
Tukey, 1962), measured against the days around it, so that a level that moves is followed.
"""

import dataclasses

import numpy as np

from muster.domain.paths import GAUSS, QUANTILES
from services.forecaster.domain.engine.panel import EPSILON, Flags, Floats, Ints

LEVEL_WEEKS = 3.0
SHAPE_WEEKS = 12.0
LEVEL_WORTH, RATIO_WORTH, WEEKDAY_SLOT_WORTH = 20.0, 60.0, 200.0
WORTH_CELLS, MOST_WORTH = 20.0, 1e5
LONGEST = 3.0
NEIGHBOURS = 4
USUAL_SPREAD, LEAST_SPREAD = 0.8, 0.2
ENOUGH_CONTACTS, ENOUGH_INTERVALS = 5, 50
USUAL_RATIOS = np.exp(0.2 * GAUSS)


@dataclasses.dataclass(frozen=True)
class HandleTime:
    """seconds (7, S): expected AHT by weekday and slot; ratios (7,): quantiles of what intervals had over what was expected."""

    seconds: Floats
    ratios: Floats


@dataclasses.dataclass(frozen=True)
class _Told:
    """What was told: contacts and their seconds (T, S), 0 where nothing was; each day's weekday and age in weeks (T,)."""

    contacts: Floats
    seconds: Floats
    weekdays: Ints
    weeks_ago: Floats

    def weights(self, weeks: float) -> Floats:
        """Return what each day counts (T, 1), of which half is left after so many weeks."""
        weight: Floats = 0.5 ** (self.weeks_ago / weeks)[:, None]
        return weight

    def by_weekday(self, values: Floats) -> Floats:
        """Return sums (7, S) of values (T, S)."""
        return np.stack([values[self.weekdays == day].sum(axis=0) for day in range(7)])


def _shrunk(over: Floats, under: Floats, worth: Floats | float) -> Floats:
    """Return a ratio of sums, pulled to 1 as if so much of both had come besides."""
    ratio: Floats = (over + worth) / (under + worth)
    return ratio


def _usual(told: _Told, spread: float) -> tuple[float, Floats]:
    """Return the mean of all contacts, in seconds, and the weekday-slots' ratios to it (7, S).

    spread: the standard deviation of one contact's time over its expected time.
    """
    old = told.weights(SHAPE_WEEKS)
    came, contacts = told.by_weekday(old * told.seconds), told.by_weekday(old * told.contacts)
    overall = float(came.sum() / contacts.sum())
    due = contacts * overall
    weekday = _shrunk(came.sum(axis=1, keepdims=True), due.sum(axis=1, keepdims=True), RATIO_WORTH * overall)
    due = due * weekday
    slot = _shrunk(came.sum(axis=0), due.sum(axis=0), RATIO_WORTH * overall)
    due = due * slot
    chance = spread**2 * told.by_weekday(old**2 * told.contacts) / np.maximum(contacts, EPSILON) ** 2
    beyond = (came / np.maximum(due, EPSILON) - 1) ** 2 - chance
    between = max(float((contacts * beyond).sum() / contacts.sum()), spread**2 / MOST_WORTH)
    cells = (contacts > 0).sum()
    worth = float(
        np.exp((cells * np.log(spread**2 / between) + WORTH_CELLS * np.log(WEEKDAY_SLOT_WORTH)) / (cells + WORTH_CELLS))
    )
    return overall, weekday * slot * _shrunk(came, due, worth * overall)


def _around(day: Floats, seen: Flags) -> Floats:
    """Return the median (T,) of each seen day (T,) and of its four neighbours on either side; 1 for the others."""
    place, usual = np.flatnonzero(seen), np.ones(len(day))
    padded = np.pad(day[place], NEIGHBOURS, constant_values=np.nan)
    usual[place] = np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURS + 1), axis=1)
    return usual


def _without_the_longest(told: _Told) -> tuple[_Told, float]:
    """Return what was told with the intervals cut that a few very long (or short) contacts fill, and the spread of a contact."""
    overall, ratios = _usual(told, USUAL_SPREAD)
    due = told.contacts * overall * ratios[told.weekdays]
    day = _shrunk(told.seconds.sum(axis=1), due.sum(axis=1), LEVEL_WORTH * overall)
    due = np.maximum(due * _around(day, told.contacts.sum(axis=1) > 0)[:, None], EPSILON)
    root, some = np.sqrt(np.maximum(told.contacts, EPSILON)), told.contacts > 0
    off = ((told.seconds / due - 1) * root)[some]
    if off.size < ENOUGH_INTERVALS:
        return told, USUAL_SPREAD
    spread = max(1.4826 * float(np.median(abs(off - np.median(off)))), LEAST_SPREAD)
    cut = np.clip(told.seconds, due * (1 - LONGEST * spread / root), due * (1 + LONGEST * spread / root))
    return dataclasses.replace(told, seconds=np.where(some, cut, 0.0)), spread


def learn_handle_time(handled: Floats, seconds: Floats, weekdays: Ints, weeks_ago: Floats) -> HandleTime | None:
    """Learn AHT from handled contacts and their seconds (T, S); None if none was handled,
    or no time was told."""
    known = ~np.isnan(handled) & ~np.isnan(seconds)
    n, time = np.where(known, handled, 0.0), np.where(known, seconds, 0.0)
    if n.sum() < 1 or time.sum() <= 0:
        return None
    told, spread = _without_the_longest(_Told(n, time, weekdays, weeks_ago))
    overall, ratios = _usual(told, spread)
    usual = overall * ratios[weekdays]
    recent = told.weights(LEVEL_WEEKS)
    level = float(_shrunk((recent * told.seconds).sum(), (recent * n * usual).sum(), LEVEL_WORTH * overall))
    expected = overall * level * ratios
    enough = n >= ENOUGH_CONTACTS
    if enough.sum() < ENOUGH_INTERVALS:
        return HandleTime(expected, USUAL_RATIOS)
    ratio = time / np.maximum(n, EPSILON) / usual
    return HandleTime(expected, np.quantile(ratio[enough], QUANTILES))
