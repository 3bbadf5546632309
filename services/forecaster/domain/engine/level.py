"""How many contacts a day: level × weekday, the level learnt for each horizon from how levels went on before.

The level is a weighted mean of exponentially weighted levels of several rates, own and of all the client's queues together,
of what the same days of earlier months brought (bills, pay days), of last week's same day, and of a constant: what such means
are off by. The weights are a ridge regression per horizon, pooled over the client's queues and past origins, that is pulled to
a plain average: with little history it is one (Hoerl & Kennard, 1970; the pooling: Montero-Manso & Hyndman, 2021).
"""

import dataclasses

import numpy as np

from services.forecaster.domain.engine.panel import EPSILON, Days, Floats, Ints, Panel
from services.forecaster.domain.engine.season import places, season

RATES = (0.03, 0.08, 0.2, 0.5, 0.9)
BASE = 1
# Horizons, in days of the grid, that share weights; the last goes on for ever.
GROUPS = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 8), (9, 12), (13, 18), (19, 28))
RIDGE_DAYS = 100.0
MEMORY_WEEKS = 20.0
WEEKDAY_WEEKS = 12.0
WEEKDAY_PRIOR = 0.25
MONTH_BELIEF = 0.5
MONTH_PRIOR = 0.5
MONTH_WIDTH_DAYS = 1.0
# No feature of a day may see what was not yet known at the origin furthest from it that weights are learnt from.
LONGEST_TRAINED_DAYS = 26
NOISE_SHARE = 0.02
MOST = 2.0


@dataclasses.dataclass(frozen=True)
class Level:
    """weekday (N, 7): factors; level (N, H): contacts a day freed of the weekday; month (N, H): the share by which the
    time of the month moves it; season (H,): by which the calendar moves all series beyond that."""

    weekday: Floats
    level: Floats
    month: Floats
    season: Floats


def weekday_factors(days: Days, weekdays: Ints, weeks: float = WEEKDAY_WEEKS) -> Floats:
    """Return each weekday's contacts relative to the mean open day (N, 7), pulled to 1 where it was seldom seen."""
    weight = days.counted * 0.5 ** (days.weeks_ago / weeks)
    mean = (weight * days.total).sum(1) / np.maximum(weight.sum(1), EPSILON)
    factors = np.ones((len(mean), 7))
    for day in range(7):
        own = weight[:, weekdays == day]
        told = days.total[:, weekdays == day]
        factors[:, day] = (
            ((own * told).sum(1) + WEEKDAY_PRIOR * mean) / (own.sum(1) + WEEKDAY_PRIOR) / np.maximum(mean, EPSILON)
        )
    return np.where(mean[:, None] > 0, factors, 1.0)


def running_levels(total: Floats, expected: Floats, rates: tuple[float, ...] = RATES) -> Floats:
    """Return the level before each day, by rate (R, N, T + 1): what came over what a level of 1 would have brought.

    Ratios of sums keep small counts unbiased. Days with nothing expected change nothing.
    """
    keep = 1.0 - np.array(rates)[:, None]
    over, under = (np.zeros((len(rates), total.shape[0])) for _ in range(2))
    levels = np.zeros((len(rates), total.shape[0], total.shape[1] + 1))
    for day in range(total.shape[1]):
        levels[:, :, day] = over / np.maximum(under, EPSILON)
        counted = expected[:, day] > 0
        over = np.where(counted, keep * over + total[:, day], over)
        under = np.where(counted, keep * under + expected[:, day], under)
    levels[:, :, -1] = over / np.maximum(under, EPSILON)
    return levels


def month_kernel(panel: Panel) -> Floats:
    """Return how near each day (T + H) lies to each past day (T) in the month, from its begin or its end; 0 in the same month."""
    dates = panel.dates.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    begun = (dates - months.astype("datetime64[D]")).astype(np.int64)
    left = ((months + 1).astype("datetime64[D]") - dates).astype(np.int64)
    past, ordinals = panel.past, dates.astype(np.int64)
    apart = np.minimum(abs(begun[:, None] - begun[None, :past]), abs(left[:, None] - left[None, :past]))
    earlier = ordinals[:, None] - ordinals[None, :past] >= LONGEST_TRAINED_DAYS
    near: Floats = np.exp(-0.5 * (apart / MONTH_WIDTH_DAYS) ** 2) * (apart <= 3 * MONTH_WIDTH_DAYS) * earlier
    return near


def _month_lags(panel: Panel, moved: Floats, counted: Floats) -> list[Floats]:
    """Return what the same day one month and two months before brought, its neighbours at half weight; 0 where unknown."""
    dates = panel.dates.astype("datetime64[D]")
    months, past = dates.astype("datetime64[M]"), panel.past
    begun = (dates - months.astype("datetime64[D]")).astype(np.int64)
    found = []
    for back in (1, 2):
        first = (months - back).astype("datetime64[D]")
        length = ((months - back + 1).astype("datetime64[D]") - first).astype(np.int64)
        same = first + np.minimum(begun, length - 1)
        place = np.searchsorted(dates, same)
        over, under = (np.zeros((panel.series, len(dates))) for _ in range(2))
        for step, weight in ((-1, 0.5), (0, 1.0), (1, 0.5)):
            at = place + step
            good = (same >= dates[0]) & (at >= 0) & (at < past)
            at = np.where(good, at, 0)
            over += weight * good * moved[:, at]
            under += weight * good * counted[:, at]
        found.append(over / np.maximum(under, 0.5))
    return found


def _prior_weights(low: int, high: int) -> Floats:
    """Return the plain average's weights of the rates: the further ahead, the more the slow ones count."""
    weights = 1.0 / (1.0 + np.array(RATES) * (low + high) / 2)
    return np.delete(weights / weights.sum(), BASE)


class _Features:
    """What the regression sees of day `target` from before day `origin` (N, F)."""

    def __init__(self, panel: Panel, days: Days, expected: Floats) -> None:
        self.levels = running_levels(days.total, expected)
        self.base = np.maximum(self.levels[BASE], EPSILON)
        known = (expected > 0) & (self.levels[BASE][:, : panel.past] > 0)  # before a first day there is no level to move from
        self.counted = known.astype(float)
        moved = days.total / np.maximum(expected * self.base[:, : panel.past], EPSILON) - 1
        self.moved = np.where(known, np.clip(moved, -1, MOST), 0.0)
        others = [r for r in range(len(RATES)) if r != BASE]
        state = [np.clip(self.levels[r] / self.base - 1, -1, MOST) for r in others]
        if panel.series > 1:
            shared = self.levels.sum(axis=1)
            top = np.maximum(shared[BASE], EPSILON)
            state += [np.broadcast_to((shared[r] / top - 1)[None], state[0].shape) for r in others]
        self.state = np.stack(state, axis=-1)
        settled = self.state[:, 2 * panel.week() :]
        self.constant = float(np.sqrt((settled**2).mean())) if settled.size else 0.0  # as large as the others: held as much
        near = month_kernel(panel)
        self.month = (self.moved @ near.T) / (self.counted @ near.T + MONTH_PRIOR)
        self.extra = [self.month, *_month_lags(panel, self.moved, self.counted)]
        self.size = self.state.shape[-1] + len(self.extra) + 2
        self.month_at = self.state.shape[-1]
        self.week = panel.week()

    def at(self, origins: Ints, ahead: int) -> Floats:
        """Return features (N, O, F) of the days `ahead` after each origin (1: the origin's own day)."""
        targets = origins + ahead - 1
        before = targets - -(-ahead // self.week) * self.week
        last_week = np.where(before >= 0, self.moved[:, np.maximum(before, 0)], 0.0)
        told = [*(e[:, targets] for e in self.extra), last_week, np.full_like(last_week, self.constant)]
        return np.concatenate([self.state[:, origins], np.stack(told, axis=-1)], axis=-1)


def _weights(f: _Features, days: Days, expected: Floats, group: tuple[int, int], ahead: int) -> Floats:
    """Return the weights (F,) of a group of horizons, learnt from every past origin whose outcome has been seen."""
    past, low, high = expected.shape[1], *group
    prior = np.zeros(f.size)
    prior[: len(RATES) - 1] = _prior_weights(low, high)
    prior[f.month_at] = MONTH_BELIEF
    gram, moment = np.zeros((f.size, f.size)), np.zeros(f.size)
    horizons = range(low, min(high, ahead, LONGEST_TRAINED_DAYS) + 1, 1 if high < 9 else 2)
    for horizon in horizons:
        origins = np.arange(2 * f.week, past - horizon + 1)
        if not origins.size:
            continue
        target = origins + horizon - 1
        due = f.base[:, origins] * expected[:, target]
        seen = due > 1e-6
        came = np.where(seen, np.clip(days.total[:, target] / np.maximum(due, EPSILON) - 1, -1, MOST), 0.0)
        features = f.at(origins, horizon)
        wrong = came - features @ prior
        weight = np.where(seen, due / (1 + NOISE_SHARE * due), 0.0) * 0.5 ** ((past - origins) / f.week / MEMORY_WEEKS)
        usual = 3.0 * np.median(np.abs(wrong[seen])) if seen.any() else 1.0
        weight = weight * np.minimum(1.0, usual / np.maximum(np.abs(wrong), EPSILON))  # Huber's weights: a burst is one day
        flat = features.reshape(-1, f.size)
        gram += flat.T @ (flat * weight.reshape(-1, 1))
        moment += flat.T @ (weight * wrong).reshape(-1)
    own = np.trace(gram[: len(RATES) - 1, : len(RATES) - 1]) / (len(RATES) - 1)
    ridge = own * RIDGE_DAYS / max(past - 2 * f.week, 1) + EPSILON
    return prior + np.linalg.solve(gram + np.eye(f.size) * ridge, moment)


def _beyond_level(f: _Features, days: Days, expected: Floats, learnt: dict[tuple[int, int], Floats]) -> tuple[Floats, Floats]:
    """Return by what share each past day differed from what a week before it was foretold, and how much that tells (N, T)."""
    off, weight = np.zeros_like(expected), np.zeros_like(expected)
    group = next(g for g in reversed(GROUPS) if g[0] <= f.week)
    origins = np.arange(2 * f.week, expected.shape[1] - f.week + 1)
    if not origins.size:
        return off, weight
    target = origins + f.week - 1
    weights = learnt[group] if group in learnt else _weights(f, days, expected, group, group[1])
    level = f.base[:, origins] * (1 + f.at(origins, f.week) @ weights)
    due = np.maximum(level, 0.0) * expected[:, target]
    seen = due > 1e-6
    off[:, target] = np.where(seen, np.clip(days.total[:, target] / np.maximum(due, EPSILON) - 1, -1, MOST), 0.0)
    age = (expected.shape[1] - origins) / f.week
    weight[:, target] = np.where(seen, due / (1 + NOISE_SHARE * due), 0.0) * 0.5 ** (age / MEMORY_WEEKS)
    return off, weight


def forecast_level(panel: Panel, days: Days) -> Level:
    """Return the level of each day to come."""
    past, ahead, weekdays = panel.past, panel.ahead, panel.weekdays()
    factors = weekday_factors(days, weekdays[:past])
    expected = factors[:, weekdays[:past]] * days.counted
    f = _Features(panel, days, expected)
    level, month = np.zeros((panel.series, ahead)), np.zeros((panel.series, ahead))
    learnt: dict[tuple[int, int], Floats] = {}
    for place, group in enumerate(GROUPS):
        last = ahead if place == len(GROUPS) - 1 else min(group[1], ahead)
        if group[0] > ahead:
            break
        weights = learnt[group] = _weights(f, days, expected, group, ahead)
        for horizon in range(group[0], last + 1):
            features = f.at(np.array([past]), horizon)[:, 0]
            level[:, horizon - 1] = f.base[:, past] * (1 + features @ weights)
            month[:, horizon - 1] = features[:, f.month_at] * weights[f.month_at]
    calendar = season(places(panel.dates), *_beyond_level(f, days, expected, learnt))
    return Level(factors, np.maximum(level, 0.0), np.maximum(month, -0.9), calendar)
