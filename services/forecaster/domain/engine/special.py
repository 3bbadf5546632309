"""Days that are not normal: the first open day after a closure, holidays and part days. They teach nothing about normal days."""

import numpy as np

from services.forecaster.domain.engine.level import BASE, RATES, running_levels, weekday_factors
from services.forecaster.domain.engine.panel import (
    AFTER_CLOSURE,
    CLOSED_OR_PARTIAL,
    EPSILON,
    NORMAL,
    Days,
    Flags,
    Floats,
    Panel,
)

# Of what a closure kept away, so much comes the day after; worth so many closures of the client's own.
CAUGHT_UP, CAUGHT_UP_WORTH = 0.3, 2.0
# Of what it kept away, so many normal days still wait; who called before has given up, or was helped otherwise. In three real centres five
# closures of more brought 11 % more than a normal day on their first, eight of about one day 21 %.
STILL_WAIT = 1.0
# A holiday or part day brings so much of a normal day; worth so many of the client's own.
HOLIDAY_SHARE, HOLIDAY_WORTH = 0.6, 0.5
# Of a normal day the first one after a closure brings at least so much, whatever earlier ones did.
LEAST_FACTOR = 0.1


def _normal_totals(panel: Panel, days: Days) -> Floats:
    """Return what each day of the grid (N, T + H) would have brought as a normal one, as known before it."""
    weekdays = panel.weekdays()
    factors = weekday_factors(days, weekdays[: panel.past])
    levels = running_levels(days.total, factors[:, weekdays[: panel.past]] * days.counted, (RATES[BASE],))[0]
    held = np.concatenate([levels[:, :-1], np.repeat(levels[:, -1:], panel.ahead, axis=1)], axis=1)
    open_days = np.stack([(days.counted & (weekdays[: panel.past] == d)).any(axis=1) for d in range(7)], axis=1)
    return held * np.where(open_days, factors, 0.0)[:, weekdays]


def _kept_away(normal: Floats, came: Floats, special: Flags) -> Floats:
    """Return what the special days right before each day kept away: what they would have brought, less what came (N, T + H)."""
    away, run = np.zeros_like(normal), np.zeros(len(normal))
    for day in range(normal.shape[1]):
        away[:, day] = run
        kept = run + np.maximum(normal[:, day] - came[:, day], 0.0)
        run = np.where(special[:, day], kept, np.where(normal[:, day] > 0, 0.0, run))  # a weekly day off changes nothing
    return away


def _share(total: Floats, normal: Floats, of: Flags, usual: float, worth: float, mean: Floats) -> Floats:
    """Return which share of their normal totals some past days brought (N,), pulled to a usual one."""
    came = np.where(of, np.minimum(total, 1.5 * normal), 0.0).sum(axis=1)
    due = np.where(of, normal, 0.0).sum(axis=1)
    share: Floats = (came + usual * worth * mean) / (due + worth * mean + EPSILON)
    return share


def special_factors(panel: Panel, days: Days) -> Floats:
    """Return by how much each day to come differs from a normal one (N, H): own and the client's past days like it, pooled.

    A day after a closure catches up a share of what the closed days would have brought, at most of one normal day, however long it
    was; a holiday or part day brings a share of its normal total. Both shares are those of earlier ones, pulled to a usual one.
    """
    past, ahead, kinds = panel.past, panel.ahead, panel.special
    factors = np.ones((panel.series, ahead))
    if not (kinds[:, past:] != NORMAL).any():
        return factors
    normal = _normal_totals(panel, days)
    total = np.nansum(panel.offered, axis=2)
    mean = normal[:, :past].mean(axis=1)
    known = normal[:, :past] > EPSILON
    special = known & (kinds[:, :past] == CLOSED_OR_PARTIAL)
    is_open = special & ~np.isnan(panel.offered).all(axis=2)
    # Of a special day that is open; and of any, for what it keeps away from the days around it.
    part = _share(total, normal[:, :past], is_open, HOLIDAY_SHARE, HOLIDAY_WORTH, mean)
    whole = _share(total, normal[:, :past], special, HOLIDAY_SHARE / 2, HOLIDAY_WORTH, mean)
    came = np.concatenate([total, normal[:, past:] * whole[:, None]], axis=1)
    away = np.minimum(_kept_away(normal, came, kinds == CLOSED_OR_PARTIAL), STILL_WAIT * normal)
    after = known & (total > 0) & (kinds[:, :past] == AFTER_CLOSURE) & (away[:, :past] > 0)
    caught = np.where(after, np.clip(total - normal[:, :past], -normal[:, :past], 2 * away[:, :past]), 0.0).sum()
    lost, worth = np.where(after, away[:, :past], 0.0).sum(), CAUGHT_UP_WORTH * mean.sum()
    share = (caught + CAUGHT_UP * worth) / (lost + worth + EPSILON)
    caught_up = np.maximum(1 + share * away[:, past:] / np.maximum(normal[:, past:], EPSILON), LEAST_FACTOR)
    after_closure, not_normal = kinds[:, past:] == AFTER_CLOSURE, kinds[:, past:] == CLOSED_OR_PARTIAL
    found: Floats = np.where(after_closure, caught_up, np.where(not_normal, part[:, None], factors))
    return found
