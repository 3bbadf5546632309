"""The forecast of a client's queues: their cells laid out as a panel, the engine's answer laid out as local days.

What the engine knows of normal days it learns from normal days only.
"""

import collections
import datetime as dt
from collections.abc import Sequence

import numpy as np

from muster.domain.calendar import DAY, dates, local_date
from services.forecaster.domain.engine.handle_time import USUAL_RATIOS, HandleTime
from services.forecaster.domain.fitting import Own, fit, grid_of, learnt_of
from services.forecaster.domain.laying_out import lay_out
from services.forecaster.domain.part_days import PartDay, kind_of
from services.forecaster.domain.queue_forecast import QueueFacts, QueueForecast

LONGEST_HISTORY_WEEKS = 27


def forecast_client(everything: Sequence[tuple[QueueFacts, dt.date]], day_count: int) -> list[QueueForecast]:
    """Forecast `day_count` local days of a client's queues, each from its own first; queues of which neither history nor a
    declared profile says anything are left out."""
    groups: dict[tuple[int, dt.date], list[QueueFacts]] = collections.defaultdict(list)
    for facts, first in everything:
        groups[facts.seconds, first].append(facts)
    found = {}
    for (_, first), members in groups.items():
        for facts, forecast in zip(members, _forecast_panel(members, first, day_count), strict=True):
            if forecast is not None:
                found[facts.queue] = forecast
    return [found[facts.queue] for facts, _ in everything if facts.queue in found]


def forecast_queue(facts: QueueFacts, first: dt.date, day_count: int) -> QueueForecast | None:
    """Forecast one queue by itself; None where neither history nor a declared profile says anything."""
    return next(iter(forecast_client([(facts, first)], day_count)), None)


def _forecast_panel(members: Sequence[QueueFacts], first: dt.date, day_count: int) -> list[QueueForecast | None]:
    told = [local_date(min(f.cells), f.zone) for f in members if f.cells]
    begin = max(min([*told, first]), first - dt.timedelta(weeks=LONGEST_HISTORY_WEEKS))
    grids = [grid_of(facts, begin, first) for facts in members]
    days = list(dates(begin, first + dt.timedelta(days=day_count - 1)))
    weekdays = np.array([d.weekday() for d in days[: len(days) - day_count]])
    weeks_ago = np.arange(len(weekdays), 0, -1) / 7.0
    learnt = [learnt_of(facts, grid, begin, weekdays, weeks_ago) for facts, grid in zip(members, grids, strict=True)]
    fitted = fit(members, grids, days, first, learnt)
    forecasts: list[QueueForecast | None] = []
    lived = {place: _part_days(members[place], own, days[:-day_count], days[-day_count:]) for place, own in fitted.items()}
    for place, facts in enumerate(members):
        aht = learnt[place] or _declared_aht(facts)
        if aht is None or (place not in fitted and facts.weekly_offered is None):
            forecasts.append(None)
        else:
            others = [day for other, found in lived.items() if other != place for day in found]
            forecasts.append(lay_out(facts, fitted.get(place), aht, days[-day_count:], (lived.get(place, []), others)))
    return forecasts


def _part_days(facts: QueueFacts, own: Own, past: Sequence[dt.date], ahead: Sequence[dt.date]) -> list[PartDay]:
    """Return a queue's past holidays and part days on which anything came; none where none is to come."""
    if not own.special.any():
        return []
    usual = np.zeros((7, DAY // facts.seconds)) + own.mean.sum(axis=0)
    for weekday in {d.weekday() for d in ahead}:
        usual[weekday] = own.mean[[d.weekday() == weekday for d in ahead]].sum(axis=0)
    told = {
        day: np.nan_to_num(row)
        for day, row in zip(past, own.grid.offered, strict=True)
        if facts.hours.special_day(day) is not None
    }
    for day, counts in facts.earlier.items():
        told[day] = (
            np.bincount(list(counts), list(counts.values()), DAY // facts.seconds) if counts else np.zeros(usual.shape[1])
        )
    return [
        PartDay(day, kind_of(facts.hours, day), tuple(facts.hours.hours_of(day)), counts, usual[day.weekday()])
        for day, counts in sorted(told.items())
        if counts.sum() > 0
    ]


def _declared_aht(facts: QueueFacts) -> HandleTime | None:
    if facts.declared_aht is None:
        return None
    return HandleTime(np.full((7, DAY // facts.seconds), facts.declared_aht), USUAL_RATIOS**1.25)
