"""The forecast of a queue: level × weekday × slot-of-day shape, learnt from its history, with empirical quantiles.

The level is an exponentially weighted mean of day totals freed of their weekday (rate 0.25); the shape is each weekday's
share per slot over the last eight weeks, shrunk to the mean of all days. Quantiles are those of past errors, standardised
by a variance m + φ·m² (Poisson, over-dispersed by φ), so that they hold for two contacts and for two thousand.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from muster.domain.calendar import DAY, OpeningHours, dates, local_date, slot_of

Floats = NDArray[np.float64]

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
NORMAL = (-1.96, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.96)
SHAPE_WEEKS = 8
LEVEL_RATE = 0.25
SHRINK_DAYS = 2.0
COLD_DISPERSION = 0.2
AHT_SHRINK_CONTACTS = 60.0
ENOUGH_DAYS = 14


@dataclasses.dataclass(frozen=True)
class QueueFacts:
    """What a forecast of one queue needs. `cells`: start → (offered, handled, handle_ms), as known, closed ones only."""

    queue: str
    zone: str
    seconds: int
    hours: OpeningHours
    cells: Mapping[int, tuple[int | None, int | None, int | None]]
    weekly_offered: float | None = None
    declared_aht: float | None = None
    later: tuple[tuple[dt.date, OpeningHours | None], ...] = ()

    def hours_on(self, day: dt.date) -> OpeningHours | None:
        """Return the hours that hold on a day to come; None where the queue is not declared for it. `later`: from when on
        which others hold, ascending."""
        found: OpeningHours | None = self.hours
        for since, hours in self.later:
            found = hours if since <= day else found
        return found


@dataclasses.dataclass(frozen=True)
class DayForecast:
    """One local day. Arrays over its open intervals: starts (I,), offered (I,), aht (I,) seconds, quantiles (I, 7)."""

    day: dt.date
    starts: tuple[int, ...]
    offered: Floats
    aht: Floats
    offered_quantiles: Floats
    aht_quantiles: Floats


@dataclasses.dataclass(frozen=True)
class QueueForecast:
    """Days in order; what they rest on; φ of the variance, for intraday updates."""

    queue: str
    days: tuple[DayForecast, ...]
    rests_on: str
    history_days: int
    dispersion: float


@dataclasses.dataclass(frozen=True)
class _History:
    """Past normal days: dates, offered (D, S) by slot, open (D, S); NaN where not observed."""

    days: list[dt.date]
    offered: Floats
    handled: Floats
    handle_seconds: Floats


def _history(facts: QueueFacts, before: dt.date, weeks: int = 12) -> _History:
    slots = DAY // facts.seconds
    by_day: dict[dt.date, list[int]] = {}
    first = before - dt.timedelta(weeks=weeks)
    for start in facts.cells:
        day = local_date(start, facts.zone)
        if first <= day < before:
            by_day.setdefault(day, []).append(start)
    kept = [d for d in sorted(by_day) if facts.hours.special_day(d) is None]
    arrays = [np.full((len(kept), slots), np.nan) for _ in range(3)]
    whole = []
    for row, day in enumerate(kept):
        expected = facts.hours.open_starts(day, facts.zone, facts.seconds)
        told = 0
        for start in expected:
            offered, handled, handle_ms = facts.cells.get(start, (None, None, None))
            slot = slot_of(start, facts.zone, facts.seconds)
            if offered is None:
                continue
            told += 1
            for array, value in zip(arrays, (offered, handled, None if handle_ms is None else handle_ms / 1000), strict=True):
                if value is not None:
                    array[row, slot] = np.nan_to_num(array[row, slot]) + value
        whole.append(bool(expected) and told >= 0.9 * len(expected))
    pick = np.array(whole, dtype=bool)
    days = [d for d, ok in zip(kept, whole, strict=True) if ok]
    return _History(days, *[a[pick] for a in arrays])


@dataclasses.dataclass(frozen=True)
class _Fit:
    """Mean offered per weekday and slot (7, S); NaN where that weekday was never seen open."""

    mean: Floats


def _fit(history: _History, upto: int) -> _Fit:
    """Fit on the first `upto` days."""
    days, offered = history.days[:upto], history.offered[:upto]
    weekday = np.array([d.weekday() for d in days])
    recent = np.array([(days[-1] - d).days < 7 * SHAPE_WEEKS for d in days])
    totals = np.nansum(offered, axis=1)
    overall = max(float(totals[recent].mean()), 1e-9)
    factor = np.ones(7)
    for w in range(7):
        own = totals[recent & (weekday == w)]
        if own.size:
            factor[w] = (own.sum() + overall * 0.25) / (own.size + 0.25) / overall
    level = overall
    for total, w in zip(totals, weekday, strict=True):
        level += LEVEL_RATE * (total / max(factor[w], 1e-9) - level)
    pooled = np.nansum(offered[recent], axis=0)
    pooled = pooled / max(pooled.sum(), 1e-9)
    mean = np.full((7, offered.shape[1]), np.nan)
    for w in range(7):
        own_days = offered[recent & (weekday == w)]
        if not own_days.size:
            continue
        is_open = ~np.isnan(own_days).all(axis=0)
        prior = np.where(is_open, pooled, 0.0)
        prior = prior / max(prior.sum(), 1e-9)
        share = np.nansum(own_days, axis=0) / max(float(np.nansum(own_days)), 1e-9)
        weight = own_days.shape[0] / (own_days.shape[0] + SHRINK_DAYS)
        mean[w] = np.where(is_open, level * factor[w] * (weight * share + (1 - weight) * prior), np.nan)
    return _Fit(mean)


@dataclasses.dataclass(frozen=True)
class _Errors:
    """φ, and empirical quantiles of standardised errors (7,)."""

    dispersion: float
    quantiles: Floats


def _errors(history: _History) -> _Errors:
    """Learn the errors of forecasts made at past origins, a week ahead of each."""
    count = len(history.days)
    actual, expected = [], []
    for upto in range(max(ENOUGH_DAYS, count - 28), count, 2):
        fit = _fit(history, upto)
        for row in range(upto, min(upto + 7, count)):
            mean = fit.mean[history.days[row].weekday()]
            both = ~np.isnan(mean) & ~np.isnan(history.offered[row])
            actual.append(history.offered[row][both])
            expected.append(mean[both])
    if not actual:
        return _Errors(COLD_DISPERSION, np.array(NORMAL))
    a, m = np.concatenate(actual), np.maximum(np.concatenate(expected), 1e-3)
    dispersion = max(0.0, float(((a - m) ** 2 - m).sum() / (m**2).sum()))
    z = (a - m) / np.sqrt(m + dispersion * m**2)
    if z.size < 100:
        return _Errors(max(dispersion, 0.05), np.array(NORMAL))
    quantiles: Floats = np.quantile(z, LEVELS)
    return _Errors(dispersion, quantiles)


def spread(mean: Floats, dispersion: float, z: Floats) -> Floats:
    """Return quantiles (I, 7) around means (I,): mean + z·sqrt(mean + φ·mean²), never below 0, ascending."""
    wide = mean[:, None] + np.sqrt(mean + dispersion * mean**2)[:, None] * z[None, :]
    ordered: Floats = np.maximum.accumulate(np.maximum(wide, 0.0), axis=1)
    return ordered


@dataclasses.dataclass(frozen=True)
class _Aht:
    """AHT by slot (S,), seconds, and quantiles of the ratio actual / expected (7,)."""

    by_slot: Floats
    ratios: Floats


def _fit_aht(history: _History, facts: QueueFacts) -> _Aht | None:
    """AHT = handle time over handled contacts, by slot of day, shrunk to the mean of all; recent four weeks count double."""
    slots = DAY // facts.seconds
    handled = np.nan_to_num(history.handled) if len(history.days) else np.zeros((0, slots))
    seconds = np.nan_to_num(history.handle_seconds) if len(history.days) else np.zeros((0, slots))
    if handled.sum() < 1:
        if facts.declared_aht is None:
            return None
        return _Aht(np.full(slots, facts.declared_aht), np.exp(0.25 * np.array(NORMAL)))
    weight = np.array([2.0 if (history.days[-1] - d).days < 28 else 1.0 for d in history.days])[:, None]
    overall = float((seconds * weight).sum() / (handled * weight).sum())
    top = (seconds * weight).sum(axis=0) + AHT_SHRINK_CONTACTS * overall
    by_slot = top / ((handled * weight).sum(axis=0) + AHT_SHRINK_CONTACTS)
    enough = handled >= 5
    if enough.sum() < 50:
        return _Aht(by_slot, np.exp(0.2 * np.array(NORMAL)))
    ratio = (seconds / np.maximum(handled, 1) / by_slot[None, :])[enough]
    return _Aht(by_slot, np.quantile(ratio, LEVELS))


def _cold_mean(facts: QueueFacts, day: dt.date) -> float:
    """Return the declared contacts per open interval: the weekly number, flat over the service hours."""
    week = list(dates(day - dt.timedelta(days=6), day))
    open_intervals = sum(len(facts.hours.open_starts(d, facts.zone, facts.seconds)) for d in week)
    return (facts.weekly_offered or 0.0) / max(open_intervals, 1)


def forecast_queue(facts: QueueFacts, first: dt.date, day_count: int) -> QueueForecast | None:
    """Forecast `day_count` local days from `first`; None where neither history nor a declared profile says anything.

    Below fourteen whole days of history a declared profile is blended in, by days.
    """
    history = _history(facts, first)
    known = len(history.days)
    cold = facts.weekly_offered is not None
    aht = _fit_aht(history, facts)
    if aht is None or (known == 0 and not cold):
        return None
    fit = _fit(history, known) if known else None
    errors = _errors(history) if known else _Errors(COLD_DISPERSION, np.array(NORMAL))
    trust = min(1.0, known / ENOUGH_DAYS) if cold else 1.0
    dispersion = errors.dispersion * trust + COLD_DISPERSION * (1 - trust)
    days = []
    for day in dates(first, first + dt.timedelta(days=day_count - 1)):
        hours = facts.hours_on(day)
        starts = hours.open_starts(day, facts.zone, facts.seconds) if hours else []
        slots = np.array([slot_of(s, facts.zone, facts.seconds) for s in starts], dtype=int)
        mean = np.zeros(len(starts))
        if fit is not None and len(starts):
            learnt = fit.mean[day.weekday()][slots]
            fallback = _cold_mean(facts, day) if cold else _mean_of_other_days(fit, slots)
            mean = np.where(np.isnan(learnt), fallback, learnt)
        if trust < 1 and len(starts):
            mean = trust * mean + (1 - trust) * _cold_mean(facts, day)
        by_slot = aht.by_slot[slots] if len(starts) else np.zeros(0)
        quantiles = spread(mean, dispersion, errors.quantiles)
        days.append(DayForecast(day, tuple(starts), mean, by_slot, quantiles, by_slot[:, None] * aht.ratios[None, :]))
    return QueueForecast(facts.queue, tuple(days), _rests_on(known, trust), known, dispersion)


def _mean_of_other_days(fit: _Fit, slots: NDArray[np.int_]) -> Floats:
    """Return the mean of weekdays seen open at a slot, 0 where none was."""
    seen = fit.mean[:, slots]
    counts = (~np.isnan(seen)).sum(axis=0)
    mean: Floats = np.nansum(seen, axis=0) / np.maximum(counts, 1)
    return mean


def _rests_on(known: int, trust: float) -> str:
    if known == 0:
        return "declared profile, no history"
    if trust < 1:
        return f"{known} days of history and the declared profile"
    return f"{known} days of history"


def day_factor(
    expected: Sequence[float] | Floats, actual: Sequence[float] | Floats, dispersion: float, day_spread: float = 0.15
) -> float:
    """Return the share by which today runs above its forecast, as a posterior mean.

    The factor is Gamma(1/s², 1/s²) before anything is seen; counts are weighed down by their over-dispersion, so a few
    intervals never swing it like a plain ratio does. Gamma–Poisson conjugacy, e.g. Gelman et al., Bayesian Data Analysis, 2.6.
    """
    e, a = np.asarray(expected, dtype=float), np.asarray(actual, dtype=float)
    weight = 1.0 / (1.0 + dispersion * np.maximum(e, 0.0))
    prior = 1.0 / day_spread**2
    return float((prior + (weight * a).sum()) / (prior + (weight * e).sum()))


def update_day(
    today: DayForecast, actual: Mapping[int, int], dispersion: float, from_instant: int, seconds: int
) -> tuple[DayForecast, float]:
    """Return the rest of today, from an instant on, given what was offered so far; and the day factor.

    A day factor from all closed intervals, and a factor of the last two hours that fades over the next two. An interval
    that is not closed yet says nothing.
    """
    starts = np.array(today.starts)
    seen = np.array([s in actual for s in today.starts], dtype=bool)
    counts = np.array([actual.get(int(s), 0) for s in starts], dtype=float)
    whole = day_factor(today.offered[seen], counts[seen], dispersion)
    late = seen & (starts >= from_instant - 7200)
    local = day_factor(today.offered[late] * whole, counts[late], dispersion, day_spread=0.25)
    rest = starts + seconds > from_instant
    ahead = np.maximum(starts[rest] - from_instant, 0) / 7200.0
    factor = whole * (1 + (local - 1) * np.exp(-ahead))
    return (
        DayForecast(
            today.day,
            tuple(int(s) for s in starts[rest]),
            today.offered[rest] * factor,
            today.aht[rest],
            today.offered_quantiles[rest] * factor[:, None],
            today.aht_quantiles[rest],
        ),
        whole,
    )
