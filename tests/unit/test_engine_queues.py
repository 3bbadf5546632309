"""What the engine makes of the intervals of a queue: hours, closures, gaps and what people declared."""

import datetime as dt

import numpy as np
import pytest

from muster.domain.calendar import Opening, OpeningHours, dates
from services.forecaster.domain.forecast import forecast_client, forecast_queue
from services.forecaster.domain.queue_forecast import QueueFacts, QueueForecast
from tests.support.steady_queue import HOURS, MONDAY, cells


@pytest.mark.parametrize(("days", "usual", "times"), [(84, 0.4, 200), (84, 0.4, 2000), (11, 20.0, 50), (20, 20.0, 50)])
def test_one_giant_spike_is_one_day_of_a_quiet_line_and_of_a_young_one_too(days: int, usual: float, times: int) -> None:
    def come(wild: int) -> QueueForecast:
        luck, told = np.random.default_rng(4), dict[int, tuple[int | None, int | None, int | None]]()
        for day in dates(MONDAY - dt.timedelta(days=days), MONDAY - dt.timedelta(days=1)):
            for start in HOURS.open_starts(day, "Europe/London", 1800):
                n = int(luck.poisson(usual)) + (round(usual * wild) if day == MONDAY - dt.timedelta(days=3) else 0)
                told[start] = (n, n, n * 300_000)
        found = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, HOURS, told), MONDAY, 28)
        assert found is not None
        return found

    spiked, plain = come(times), come(0)
    assert len(spiked.incidents) == 1
    assert not plain.incidents
    without, beside = (sum(float(d.offered.sum()) for d in f.days) for f in (spiked, plain))
    assert without == pytest.approx(beside, rel=0.1)


def test_an_outage_is_left_out_and_named() -> None:
    told = cells(56)
    broken = MONDAY - dt.timedelta(days=10)
    for start in HOURS.open_starts(broken, "Europe/London", 1800):
        told[start] = (1, 1, 200_000)
    forecast = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, HOURS, told), MONDAY, 7)
    assert forecast is not None
    assert forecast.rests_on == "56 days of history, without 2026-03-27 (48 contacts)"
    assert forecast.days[4].offered.sum() == pytest.approx(960, rel=0.1)


def test_a_clock_change_in_the_middle_moves_no_hour() -> None:
    forecast = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, HOURS, cells(56)), MONDAY, 7)
    assert forecast is not None
    assert all(len(day.starts) == 48 for day in forecast.days)
    assert min(day.offered.min() for day in forecast.days) > 10


def test_negative_counts_and_gaps_are_not_observed() -> None:
    told = cells(56)
    for n, start in enumerate(list(told)):
        if n % 13 == 0:
            told[start] = (-5, None, None)
    forecast = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, HOURS, told), MONDAY, 7)
    assert forecast is not None
    assert sum(day.offered.sum() for day in forecast.days) == pytest.approx(7 * 48 * 20, rel=0.05)


def test_a_client_s_queues_of_other_zones_and_intervals_are_fitted_together() -> None:
    some = [
        (QueueFacts("a/one", "Europe/London", 1800, HOURS, cells(56)), MONDAY),
        (QueueFacts("a/two", "Asia/Manila", 1800, HOURS, cells(30, "Asia/Manila")), MONDAY),
        (QueueFacts("a/new", "Europe/London", 900, HOURS, {}, 700.0, 180.0), MONDAY),
        (QueueFacts("a/unknown", "Europe/London", 900, HOURS, {}), MONDAY),
    ]
    found = {f.queue: f for f in forecast_client(some, 14)}
    assert list(found) == ["a/one", "a/two", "a/new"]
    assert [f.history_days for f in found.values()] == [56, 30, 0]
    assert sum(d.offered.sum() for d in found["a/new"].days[:7]) == pytest.approx(700)


def test_an_hour_in_which_nothing_ever_came_is_expected_to_stay_so_whatever_was_declared() -> None:
    told = {s: ((0, 0, 0) if s % 86_400 < 4 * 3600 else c) for s, c in cells(56).items()}
    forecast = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, HOURS, told, 9000.0, 240.0), MONDAY, 1)
    assert forecast is not None
    assert forecast.days[0].offered[2:6].max() == 0
    assert forecast.days[0].offered[12:].min() > 10


def test_no_handle_time_told_falls_back_to_what_was_declared() -> None:
    told = {s: (c[0], c[1], 0) for s, c in cells(28).items()}
    forecast = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, HOURS, told, 9000.0, 240.0), MONDAY, 1)
    assert forecast is not None
    assert forecast.days[0].aht == pytest.approx(240)
    assert forecast_queue(QueueFacts("a/b", "Europe/London", 1800, HOURS, told), MONDAY, 1) is None


def test_the_end_of_a_night_before_a_closed_day_is_a_normal_one() -> None:
    every, closed = frozenset(range(7)), MONDAY + dt.timedelta(days=2)
    nights = OpeningHours((Opening(every, 16 * 3600, 4 * 3600),), special=((closed, ()),))
    luck, told = np.random.default_rng(4), dict[int, tuple[int | None, int | None, int | None]]()
    for day in dates(MONDAY - dt.timedelta(days=56), MONDAY - dt.timedelta(days=1)):
        for start in nights.open_starts(day, "Europe/London", 1800):
            n = int(luck.poisson(20))
            told[start] = (n, n, n * 300_000)
    found = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, nights, told), MONDAY, 5)
    assert found is not None
    assert [len(d.starts) for d in found.days] == [
        24,
        24,
        8,
        16,
        24,
    ]  # till four on the closed day, from four after noon on the next
    assert found.days[2].offered.sum() == pytest.approx(8 * 20, rel=0.15)
    assert found.days[2].total_quantiles[1] < found.days[2].offered.sum() < found.days[2].total_quantiles[5]


def test_a_part_day_brings_its_share_in_the_hours_that_are_open() -> None:
    short = (Opening(frozenset(range(7)), 8 * 3600, 13 * 3600),)
    part = [MONDAY - dt.timedelta(days=n) for n in (10, 18, 26, 33, 41)] + [MONDAY + dt.timedelta(days=1)]
    hours = OpeningHours((Opening(frozenset(range(7)), 8 * 3600, 18 * 3600),), special=tuple((d, short) for d in part))
    told = {
        s: (20, 20, 4_000_000)
        for day in dates(MONDAY - dt.timedelta(days=56), MONDAY - dt.timedelta(days=1))
        for s in hours.open_starts(day, "Europe/London", 1800)
    }
    forecast = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, hours, told), MONDAY, 3)
    assert forecast is not None
    assert forecast.days[0].offered.sum() == pytest.approx(400, rel=0.05)
    assert forecast.days[1].offered.sum() == pytest.approx(200, rel=0.12)


def test_a_declared_week_is_the_same_around_a_closure() -> None:
    hours = OpeningHours(HOURS.weekly, special=tuple((MONDAY - dt.timedelta(days=n), ()) for n in range(1, 7)))
    forecast = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, hours, {}, 1680.0, 240.0), MONDAY, 7)
    assert forecast is not None
    assert [day.offered.sum() for day in forecast.days] == pytest.approx([240] * 7)
