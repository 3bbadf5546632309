"""Forecasts as they are published: from a fit, and from closed intervals during the day."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from muster.domain.calendar import parse_date
from services.forecaster.domain.engine.intraday import Drift
from services.forecaster.domain.engine.lasting import run_now
from services.forecaster.domain.engine.panel import EPSILON, Floats
from services.forecaster.domain.facts import PublishedDay
from services.forecaster.domain.laying_out import SPECIAL
from services.forecaster.domain.overriding import Rule, overridden, without_overrides
from services.forecaster.domain.queue_forecast import DayForecast, QueueForecast
from services.forecaster.domain.today import fades, impossible_zeros, steps_of, update_day


def published_days(
    forecast: QueueForecast, seconds: int, version: int, trigger: str, watermark: int, now: int
) -> list[PublishedDay]:
    """Return a fit's days, ready to publish."""
    days = [
        _published(
            forecast.queue,
            seconds,
            day,
            version,
            trigger,
            forecast.rests_on,
            forecast.history_days,
            forecast.dispersion,
            watermark,
            now,
            forecast.between_days,
        )
        for day in forecast.days
    ]
    return [dataclasses.replace(day, lasting=tuple(_rounded(forecast.lasting))) for day in days]


def _published(
    queue: str,
    seconds: int,
    day: DayForecast,
    version: int,
    trigger: str,
    rests_on: str,
    history_days: int,
    dispersion: float,
    watermark: int,
    now: int,
    between_days: float,
) -> PublishedDay:
    return PublishedDay(
        queue=queue,
        local_date=day.day.isoformat(),
        seconds=seconds,
        starts=list(day.starts),
        versions=[version] * len(day.starts),
        offered=_rounded(day.offered),
        aht=_rounded(day.aht),
        offered_quantiles=_rounded(day.offered_quantiles),
        aht_quantiles=_rounded(day.aht_quantiles),
        trigger=trigger,
        rests_on=rests_on,
        history_days=history_days,
        dispersion=dispersion,
        drift=day.drift.flat(),
        data_watermark=watermark,
        made_at=now,
        version=version,
        parts=tuple(_rounded(day.parts)),
        total_quantiles=_rounded(day.total_quantiles),
        workload_quantiles=_rounded(day.workload_quantiles),
        work_total_quantiles=_rounded(day.work_total_quantiles),
        between_days=round(between_days, 6),
    )


def _rounded(values: Any) -> list[Any]:
    """Keep six decimals: what the last bits hold is arithmetic."""
    found: list[Any] = np.round(np.asarray(values, float), 6).tolist()
    return found


def _as_forecast(morning: PublishedDay) -> DayForecast:
    return DayForecast(
        parse_date(morning.local_date),
        tuple(morning.starts),
        np.array(morning.offered),
        np.array(morning.aht),
        np.array(morning.offered_quantiles).reshape(-1, 7),
        np.array(morning.aht_quantiles).reshape(-1, 7),
        np.array(morning.workload_band()).reshape(-1, 7),
        tuple(morning.parts),
        drift=Drift.of_flat(morning.drift),
    )


def doubted_zeros(morning: PublishedDay, actual: Mapping[int, int]) -> frozenset[int]:
    """Return the starts of closed intervals that are empty although the day's forecast all but rules that out."""
    return impossible_zeros(_as_forecast(morning), actual) if 0 in actual.values() else frozenset()


def updated_day(
    morning: PublishedDay,
    actual: Mapping[int, int],
    version: int,
    through: int,
    now: int,
    rules: Sequence[Rule] = (),
    faded: Floats | None = None,
) -> PublishedDay | None:
    """Return the rest of a day after `through`, given what was offered so far; None when nothing of it is left.

    What came is held against the morning's forecast with its overrides; they are applied anew to what that says of the rest. faded (I,): by
    what the morning's was moved beforehand (`fades_after`), a part of how the day runs.
    """
    rest, factor = update_day(_as_forecast(morning), actual, through, morning.seconds)
    if not rest.starts:
        return None
    new = _published(
        morning.queue,
        morning.seconds,
        rest,
        version,
        "INTRADAY",
        morning.rests_on,
        morning.history_days,
        morning.dispersion,
        through,
        now,
        morning.between_days,
    )
    places = [morning.starts.index(s) for s in new.starts]
    plain, plain_aht = ([values[p] for p in places] for values in morning.before_overrides())
    held = [morning.offered[p] for p in places]
    statistical = [n * s / h if h > 0 else s for n, s, h in zip(new.offered, plain, held, strict=True)]
    if morning.statistical:
        new = without_overrides(dataclasses.replace(new, statistical=statistical, statistical_aht=plain_aht))
    factor *= 1.0 if faded is None else float(faded[places[0]])
    return overridden(dataclasses.replace(new, day_factor=round(factor, 6)), rules)


def fades_after(yesterday: PublishedDay, actual: Mapping[int, int], today: PublishedDay) -> Floats:
    """Return by what factor a day's intervals (I,) differ from its forecast as what faded at its midnight goes on fading."""
    return fades(_as_forecast(yesterday), actual, yesterday.seconds, today.starts)


def run_of(morning: PublishedDay, actual: Mapping[int, int]) -> float:
    """Return by what share a day runs above its morning's forecast, or below (< 0), by all that was offered so far.

    0 where that says nothing of days after: of a holiday or a day after a closure. Neither do intervals of which people changed what was to
    be expected, nor those in which impossibly nothing came: whether the feed or the lines were dead, tomorrow they need not be.
    """
    if not morning.starts or (len(morning.parts) > SPECIAL and morning.parts[SPECIAL] != 1):
        return 0.0
    says_nothing, plain = set(doubted_zeros(morning, actual)), morning.before_overrides()[0]
    says_nothing |= {s for s, was, now in zip(morning.starts, plain, morning.offered, strict=True) if was != now}
    counts = np.array([np.nan if s in says_nothing else actual.get(s, np.nan) for s in morning.starts], dtype=float)
    steps = steps_of(morning.starts, morning.seconds)
    return run_now(np.array(morning.offered), counts, Drift.of_flat(morning.drift), steps)


def moved_day(day: PublishedDay, factor: float | Floats, rules: Sequence[Rule] = ()) -> PublishedDay:
    """Return a day moved by one factor, or by one an interval (I,), with overrides laid over it anew. Bands move with their means."""
    plain, by = without_overrides(day), np.broadcast_to(factor, len(day.starts))
    offered = np.array(plain.offered) * by
    whole = offered.sum() / max(sum(plain.offered), EPSILON)

    def times(rows: Sequence[Sequence[float]]) -> list[list[float]]:
        return _rounded(np.array(rows, dtype=float) * by[:, None])

    new = dataclasses.replace(
        plain,
        offered=_rounded(offered),
        offered_quantiles=times(plain.offered_quantiles),
        workload_quantiles=times(plain.workload_band()),
        total_quantiles=_rounded(np.array(plain.total_quantiles) * whole),
        work_total_quantiles=_rounded(np.array(plain.work_total_quantiles) * whole),
    )
    return overridden(new, rules)


def told_after(
    day: PublishedDay, factor: float, version: int, through: int, now: int, rules: Sequence[Rule] = ()
) -> PublishedDay:
    """Return a day to come, moved by a factor as today runs, ready to publish."""
    return dataclasses.replace(
        moved_day(day, factor, rules),
        versions=[version] * len(day.starts),
        version=version,
        trigger="INTRADAY",
        day_factor=round(factor, 6),
        data_watermark=through,
        made_at=now,
    )
