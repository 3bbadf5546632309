"""The calendar's effect is learnt from a client's queues together, and from no single day."""

import numpy as np
import pytest

from services.forecaster.domain.engine.mean import expect, expected_contacts
from services.forecaster.domain.engine.panel import Floats, Panel
from services.forecaster.domain.engine.season import places, season

DATES = np.datetime64("2026-01-01") + np.arange(181 + 31)
PAST = 181
PLACE = places(DATES)
LAST_DAYS = PLACE[:, 1] < 3


def ends(share: float) -> Floats:
    """Return an effect (T + H,) of so much on the last three days of each month."""
    effect: Floats = np.where(LAST_DAYS, share, 0.0)
    return effect


def told(effect: Floats, noise: float, queues: int = 3, seed: int = 1) -> tuple[Floats, Floats]:
    """Return what queues' past days (N, T) brought beyond their level, and that all tell as much."""
    luck = np.random.default_rng(seed)
    return effect[:PAST] + noise * luck.standard_normal((queues, PAST)), np.ones((queues, PAST))


def test_places_count_from_both_ends_of_the_month() -> None:
    assert places(np.array(["2026-02-01", "2026-02-28", "2026-03-31"], "datetime64[D]")).tolist() == [
        [0, 27, 6],
        [27, 0, 5],
        [30, 0, 1],
    ]


def test_pay_days_at_the_end_of_months_are_expected_again() -> None:
    found = season(PLACE, *told(ends(0.5), 0.1))
    assert found[LAST_DAYS[PAST:]] == pytest.approx(0.5, abs=0.1)
    assert abs(found[~LAST_DAYS[PAST:]]).max() < 0.15


def test_chance_alone_moves_days_by_less_than_it_is() -> None:
    found = season(PLACE, *told(np.zeros(len(PLACE)), 0.1))
    assert found.std() < 0.06


def test_a_burst_is_one_day() -> None:
    off, weight = told(np.zeros(len(PLACE)), 0.05)
    usual = season(PLACE, off, weight)
    off[:, 100] = 2.0
    assert season(PLACE, off, weight) == pytest.approx(usual, abs=0.12)


def test_days_that_tell_nothing_change_nothing() -> None:
    off, weight = told(ends(0.5), 0.1)
    usual = season(PLACE, off, weight)
    off[1], weight[1] = 2.0, 0.0
    assert season(PLACE, off, weight) == pytest.approx(season(PLACE, off[[0, 2]], weight[[0, 2]]))
    assert usual[LAST_DAYS[PAST:]].min() > 0.3


@pytest.mark.parametrize("days", [0, 1, 27])
def test_less_than_four_weeks_say_nothing_of_the_month(days: int) -> None:
    off, weight = told(ends(0.5), 0.1)
    weight[:, days:] = 0.0
    assert season(PLACE, off, weight).tolist() == [0.0] * 31


def panel(effect: Floats, series: int = 3) -> Panel:
    luck = np.random.default_rng(2)
    mean = 30 * (1 + effect[:PAST])[None, :, None] * np.ones((series, 1, 24))
    offered = luck.poisson(mean * luck.gamma(100, 1 / 100, (series, PAST, 1))).astype(float)
    return Panel(offered, DATES, np.zeros((series, len(DATES)), np.int64))


def test_the_forecast_of_a_month_has_its_pay_days() -> None:
    day = expected_contacts(panel(ends(0.6))).sum(axis=2).mean(axis=0)
    ahead = LAST_DAYS[PAST:]
    assert day[ahead].mean() / day[~ahead].mean() == pytest.approx(1.6, abs=0.15)


def test_a_day_is_the_product_of_its_parts() -> None:
    found = expect(panel(ends(0.6)))
    assert found.parts.prod(axis=2) == pytest.approx(found.mean.sum(axis=2), rel=1e-9)


def test_a_level_that_moved_is_no_calendar() -> None:
    """For a week after a step each day brings more than had been foretold a week before."""
    off, weight = told(ends(0.0), 0.02)
    off[:, 90:97] += 1.0
    assert abs(season(PLACE, off, weight)).max() < 0.05
