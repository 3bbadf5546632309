"""Growth is carried on; chance, a step, a burst and a wandering level are none."""

import dataclasses

import numpy as np
import pytest

from services.forecaster import wire
from services.forecaster.domain.engine.mean import expect, expected_contacts
from services.forecaster.domain.engine.panel import Floats, Panel, days_of
from services.forecaster.domain.engine.trend import DAMPING, LEAST_WEEKS, MOST_A_WEEK, growth, shrunk, trend_of
from services.forecaster.domain.facts import PublishedDay

FIRST, AHEAD = np.datetime64("2026-01-05"), 28
WEEKDAY = np.array([1.3, 1.1, 1.0, 1.0, 0.9, 0.5, 0.4])
LUCKS = range(6)


def came(level: Floats, seed: int, series: int = 2) -> Panel:
    """Return a panel of counts whose level a day is exp(level) (D,), the last four weeks of it to come, and days that vary by 13 %."""
    luck, days = np.random.default_rng(seed), len(level)
    mean = 60 * np.exp(level) * WEEKDAY[np.arange(days) % 7]
    offered = luck.poisson(mean[None, :, None] * luck.gamma(60, 1 / 60, (series, days, 1)) * np.ones(8)).astype(float)
    return Panel(offered, FIRST + np.arange(days), np.zeros((series, days), np.int64))


def before(panel: Panel) -> Panel:
    return dataclasses.replace(panel, offered=panel.offered[:, :-AHEAD])


def weeks(count: int) -> Floats:
    """Return each day's time in weeks, of so many weeks of history and the four to come."""
    return np.arange(count * 7 + AHEAD) / 7.0


def slopes(level: Floats) -> Floats:
    return np.concatenate([growth(p, days_of(p)) for p in (before(came(level, seed)) for seed in LUCKS)])


def bias(level: Floats) -> float:
    """Return by what share forecasts of four weeks are off on average."""
    wrong = total = 0.0
    for seed in LUCKS:
        panel = came(level, seed)
        real = panel.offered[:, -AHEAD:].sum()
        wrong, total = wrong + expected_contacts(before(panel)).sum() - real, total + real
    return wrong / total


@pytest.mark.parametrize("rate", [0.01, -0.01])
@pytest.mark.parametrize("count", [16, 26])
def test_steady_growth_is_carried_on(rate: float, count: int) -> None:
    assert abs(bias(rate * weeks(count))) < 0.025  # without: 0.04 to 0.05
    assert slopes(rate * weeks(count)).mean() == pytest.approx(rate, rel=0.5)  # pulled to none as far as it is chance


def test_chance_is_no_growth() -> None:
    found = slopes(0 * weeks(20))
    assert abs(found.mean()) < 0.001
    assert np.mean(abs(found) < 1e-9) >= 0.5  # most often nothing is left of it


@pytest.mark.parametrize("at", [0.4, 0.6, 0.75, 0.85, 0.95])
def test_a_step_is_no_growth(at: float) -> None:
    time = weeks(20)
    assert abs(slopes(0.3 * (time > 20 * at).astype(float))).mean() < 0.006  # a line through it: up to 0.02


def test_a_burst_of_the_last_week_is_no_growth() -> None:
    time = weeks(20)
    assert abs(slopes(0.4 * ((time >= 19) & (time < 20)).astype(float)).mean()) < 0.002


def test_a_wandering_level_is_believed_to_grow_by_little() -> None:
    found = []
    for seed in range(100, 124):
        wander = np.cumsum(np.random.default_rng(seed).normal(0, 0.02, len(weeks(20))))
        panel = before(came(wander, seed, 1))
        found.append(growth(panel, days_of(panel))[0])
    assert np.mean(np.abs(found)) < 0.0065  # as if a line's errors had nothing to do with each other: 0.0083


def test_the_slope_of_a_years_season_is_followed_for_a_while_and_no_further() -> None:
    rising = 0.2 * np.sin(2 * np.pi * weeks(16) / 52 - np.pi / 3)
    panel = before(came(rising, 1))
    ahead = trend_of(panel, days_of(panel)).ahead
    longer = dataclasses.replace(panel, dates=FIRST + np.arange(16 * 7 + 365), special=np.zeros((2, 16 * 7 + 365), np.int64))
    assert (ahead[:, -1] > 1).all()
    slope = growth(panel, days_of(panel))
    assert trend_of(longer, days_of(longer)).ahead[:, -1] == pytest.approx(np.exp(slope / -np.log(DAMPING)), rel=0.02)


def test_less_than_twelve_weeks_say_nothing_of_growth() -> None:
    level = 0.02 * weeks(26)
    young, old = (before(came(level[-(n * 7 + AHEAD) :], 1)) for n in (LEAST_WEEKS - 1, LEAST_WEEKS + 2))
    assert growth(young, days_of(young)).tolist() == [0.0, 0.0]
    assert (growth(old, days_of(old)) > 0.005).all()


def test_no_history_and_silence_have_no_growth() -> None:
    panel = before(came(0 * weeks(16), 1))
    silent = dataclasses.replace(panel, offered=0 * panel.offered)
    nothing = dataclasses.replace(panel, offered=panel.offered[:, :0])
    for p in (silent, nothing):
        assert growth(p, days_of(p)).tolist() == [0.0, 0.0]
        assert (trend_of(p, days_of(p)).ahead == 1).all()


def test_growth_without_any_noise_is_told_to_the_end() -> None:
    days = 20 * 7 + AHEAD
    level = 100 * np.exp(0.01 * np.arange(days) / 7)[None, :, None] * np.ones((1, 1, 8))
    panel = Panel(level[:, :-AHEAD], FIRST + np.arange(days), np.zeros((1, days), np.int64))
    assert expected_contacts(panel)[0, :, 0] == pytest.approx(level[0, -AHEAD:, 0], rel=0.01)


def test_a_slope_within_its_standard_error_is_none() -> None:
    assert shrunk(np.array([0.01]), np.array([0.011**2])).tolist() == [0.0]
    assert shrunk(np.array([0.01]), np.array([0.005**2])) == pytest.approx([0.0075])
    assert shrunk(np.array([0.5]), np.array([1e-6])).tolist() == [MOST_A_WEEK]


def test_slopes_of_a_client_go_to_each_other_as_far_as_they_are_not_known() -> None:
    alike = shrunk(np.array([0.012, 0.008, 0.0]), np.array([0.004**2, 0.004**2, np.inf]))
    assert alike[0] == pytest.approx(alike[1])
    assert 0.008 < alike[0] < 0.01
    assert alike[2] == 0
    unlike = shrunk(np.array([0.03, -0.03]), np.array([0.002**2, 0.002**2]))
    assert unlike == pytest.approx([0.03, -0.03], rel=0.02)


def test_a_day_has_its_growth_as_a_part() -> None:
    found = expect(before(came(0.01 * weeks(20), 1)))
    assert found.parts.prod(axis=2) == pytest.approx(found.mean.sum(axis=2), rel=1e-9)
    assert (np.diff(found.parts[:, :, 5]) > 0).all()
    assert found.parts[:, 27, 5] == pytest.approx(1.03, abs=0.02)  # e^(0.01 × 3.3 weeks, as growth fades)


def test_days_that_were_forecast_before_growth_was_told_are_read_as_they_were() -> None:
    for parts in ((100.0, 1.1, 0.9, 1.0, 1.2), (100.0, 1.1, 0.9, 1.0, 1.2, 1.03)):
        day = PublishedDay(
            "a/b", "2026-03-02", 1800, [0], [1], [9.0], [60.0], [[9.0] * 7], [[60.0] * 7], "NIGHTLY", "", 1, 0.0, 0, 0, 1
        )
        message = wire.published_message(dataclasses.replace(day, parts=parts))
        assert wire.read_day(message.value).parts == parts
