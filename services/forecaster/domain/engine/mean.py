"""The expected contacts: the plain average of two structural members, with days that are not normal set apart."""

import numpy as np

from services.forecaster.domain.engine.level import forecast_level
from services.forecaster.domain.engine.panel import EPSILON, Floats, Panel, days_of
from services.forecaster.domain.engine.shape import low_rank, profiles
from services.forecaster.domain.engine.special import special_factors


def expected_contacts(panel: Panel) -> Floats:
    """Return the expected contacts of each slot to come (N, H, S), where it is open.

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
    mean: Floats = day_total * 0.5 * (shares + form) * special_factors(panel, days)[:, :, None]
    return mean
