"""The expected contacts: the plain average of two structural members, with days that are not normal set apart."""

import dataclasses

import numpy as np

from services.forecaster.domain.engine.level import forecast_level
from services.forecaster.domain.engine.panel import EPSILON, Floats, Panel, days_of
from services.forecaster.domain.engine.shape import low_rank, profiles
from services.forecaster.domain.engine.special import special_factors


@dataclasses.dataclass(frozen=True)
class Expected:
    """mean (N, H, S): contacts of each slot to come; parts (N, H, 5): what each day's total is the product of: level, weekday,
    time of the month, special day, and how the form of recent days moves it."""

    mean: Floats
    parts: Floats


def expected_contacts(panel: Panel) -> Floats:
    """Return the expected contacts of each slot to come (N, H, S), where it is open."""
    return expect(panel).mean


def expect(panel: Panel) -> Expected:
    """Return the expected contacts and what they are made of.

    Members: level × weekday × profile, and low-rank day forms. A plain average: picking the better one per series loses.
    """
    days, weekdays = days_of(panel), panel.weekdays()
    level = forecast_level(panel, days)
    ahead = weekdays[panel.past :]
    shares = profiles(days, weekdays[: panel.past])[:, ahead]
    by_level = (level.level * level.weekday[:, ahead])[:, :, None] * shares
    by_form = low_rank(panel, days, level) * (shares > 0)
    total = by_form.sum(axis=2, keepdims=True)
    form = np.where(total > 0, by_form / np.maximum(total, EPSILON), shares)
    day_total = np.where(total > 0, 0.5 * (by_level.sum(axis=2, keepdims=True) + total), by_level.sum(axis=2, keepdims=True))
    special, weekday = special_factors(panel, days), level.weekday[:, ahead]
    moved = day_total[:, :, 0] / np.maximum(level.level * weekday, EPSILON)
    parts = np.stack([level.level / (1 + level.month), weekday, 1 + level.month, special, moved], axis=-1)
    return Expected(day_total * 0.5 * (shares + form) * special[:, :, None], parts)
