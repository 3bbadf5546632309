"""The expected contacts: the plain average of three structural members, with days that are not normal set apart."""

import dataclasses

import numpy as np

from services.forecaster.domain.engine.level import forecast_level
from services.forecaster.domain.engine.panel import EPSILON, Floats, Panel, days_of
from services.forecaster.domain.engine.shape import low_rank, profiles
from services.forecaster.domain.engine.special import special_factors
from services.forecaster.domain.engine.trend import trend_of


@dataclasses.dataclass(frozen=True)
class Expected:
    """mean (N, H, S): contacts of each slot to come; parts (N, H, 6): what each day's total is the product of: level, weekday,
    calendar, special day, how the form of recent days moves it, and growth."""

    mean: Floats
    parts: Floats


def expected_contacts(panel: Panel) -> Floats:
    """Return the expected contacts of each slot to come (N, H, S), where it is open."""
    return expect(panel).mean


def expect(panel: Panel) -> Expected:
    """Return the expected contacts and what they are made of.

    Members: level × weekday × profile; the same × what the calendar does beyond; low-rank day forms. A plain average: picking
    the best one per series loses. Where no form is known, the first two. What grows is read as if it had always been as it is today.
    """
    days, weekdays = days_of(panel), panel.weekdays()
    trend = trend_of(panel, days)
    panel = dataclasses.replace(panel, offered=panel.offered * trend.past[:, :, None])
    days = dataclasses.replace(days, counts=days.counts * trend.past[:, :, None], total=days.total * trend.past)
    level = forecast_level(panel, days)
    ahead = weekdays[panel.past :]
    shares = profiles(days, weekdays[: panel.past])[:, ahead]
    by_level = (level.level * level.weekday[:, ahead])[:, :, None] * shares
    by_form = low_rank(panel, days, level) * (shares > 0)
    total, plain = by_form.sum(axis=2), by_level.sum(axis=2)
    form = np.where(total[:, :, None] > 0, by_form / np.maximum(total, EPSILON)[:, :, None], shares)
    both = np.where(total > 0, (2 * plain + total) / 3, plain)
    day_total = both + plain * level.season * np.where(total > 0, 1 / 3, 1 / 2)
    special, weekday = special_factors(panel, days), level.weekday[:, ahead]
    calendar = (1 + level.month) * np.where(both > 0, day_total / np.maximum(both, EPSILON), 1.0)
    moved = both / np.maximum(level.level * weekday, EPSILON)
    parts = np.stack([level.level / (1 + level.month), weekday, calendar, special, moved, trend.ahead], axis=-1)
    return Expected(day_total[:, :, None] * 0.5 * (shares + form) * (special * trend.ahead)[:, :, None], parts)
