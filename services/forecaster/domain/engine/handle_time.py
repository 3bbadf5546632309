"""AHT: a level that drifts × the weekday-slot's usual ratio to it, weighted by handled contacts, shrunk where they are few."""

import dataclasses

import numpy as np

from muster.domain.paths import QUANTILES
from services.forecaster.domain.engine.panel import EPSILON, Floats, Ints

LEVEL_WEEKS = 3.0
SHAPE_WEEKS = 12.0
LEVEL_WORTH, SLOT_WORTH, WEEKDAY_SLOT_WORTH = 20.0, 60.0, 200.0
ENOUGH_CONTACTS, ENOUGH_INTERVALS = 5, 50
USUAL_RATIOS = np.exp(0.2 * np.array([-1.96, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.96]))


@dataclasses.dataclass(frozen=True)
class HandleTime:
    """seconds (7, S): expected AHT by weekday and slot; ratios (7,): quantiles of what intervals had over what was expected."""

    seconds: Floats
    ratios: Floats


def _shrunk(over: Floats, under: Floats, worth: float, to: Floats | float) -> Floats:
    """Return a ratio of sums, pulled to another as if `worth` contacts had had that."""
    ratio: Floats = (over + worth * to) / (under + worth)
    return ratio


def learn_handle_time(handled: Floats, seconds: Floats, weekdays: Ints, weeks_ago: Floats) -> HandleTime | None:
    """Learn AHT from handled contacts and their seconds (T, S); None if none was handled,
    or no time was told."""
    told = ~np.isnan(handled) & ~np.isnan(seconds)
    n, time = np.where(told, handled, 0.0), np.where(told, seconds, 0.0)
    if n.sum() < 1 or time.sum() <= 0:
        return None
    old, recent = 0.5 ** (weeks_ago / SHAPE_WEEKS)[:, None], 0.5 ** (weeks_ago / LEVEL_WEEKS)[:, None]
    overall = float((old * time).sum() / (old * n).sum())
    level = float(_shrunk((recent * time).sum(), (recent * n).sum(), LEVEL_WORTH, overall))
    slot = _shrunk((old * time).sum(0), (old * n).sum(0), SLOT_WORTH, overall) / overall
    by_day = np.empty((7, n.shape[1]))
    for day in range(7):
        own = weekdays == day
        by_day[day] = _shrunk((old * time)[own].sum(0), (old * n)[own].sum(0) * overall, WEEKDAY_SLOT_WORTH * overall, slot)
    expected = level * by_day
    enough = n >= ENOUGH_CONTACTS
    if enough.sum() < ENOUGH_INTERVALS:
        return HandleTime(expected, USUAL_RATIOS)
    ratio = time / np.maximum(n, EPSILON) / (overall * by_day[weekdays])
    return HandleTime(expected, np.quantile(ratio[enough], QUANTILES))
