"""The forecast learns level, weekday and shape; its bands hold; today's update is a posterior, not a ratio."""

import dataclasses
import datetime as dt

import numpy as np
import pytest

from muster.domain.calendar import Opening, OpeningHours, dates
from services.forecaster.domain.cold import Profile
from services.forecaster.domain.engine.drift import learn_drift
from services.forecaster.domain.engine.intraday import Drift, rest_of_day
from services.forecaster.domain.engine.panel import Panel
from services.forecaster.domain.engine.spread import past_origins
from services.forecaster.domain.forecast import forecast_queue
from services.forecaster.domain.laying_out import spread_out
from services.forecaster.domain.queue_forecast import DayForecast, QueueFacts
from services.forecaster.domain.today import impossible_zeros, update_day

ZONE, SECONDS = "Europe/London", 1800
HOURS = OpeningHours((Opening(frozenset(range(7)), 8 * 3600, 20 * 3600),))
FIRST = dt.date(2026, 3, 2)
WEEKDAY = (1.3, 1.1, 1.0, 1.0, 0.9, 0.5, 0.4)


def facts(days: int, seed: int = 3, **changes: object) -> QueueFacts:
    luck = np.random.default_rng(seed)
    cells: dict[int, tuple[int | None, int | None, int | None]] = {}
    for day in dates(FIRST - dt.timedelta(days=days), FIRST - dt.timedelta(days=1)):
        for place, start in enumerate(HOURS.open_starts(day, ZONE, SECONDS)):
            mean = 40 * WEEKDAY[day.weekday()] * (0.5 + np.sin((place + 1) / 25 * np.pi))
            offered = int(luck.poisson(mean * luck.gamma(50, 1 / 50)))
            cells[start] = (offered, offered, int(offered * 300_000))
    return QueueFacts("acme/help", ZONE, SECONDS, HOURS, cells, **changes)  # type: ignore[arg-type]


def test_the_forecast_follows_weekday_and_shape() -> None:
    forecast = forecast_queue(facts(56), FIRST, 7)
    assert forecast is not None
    totals = [d.offered.sum() for d in forecast.days]
    assert totals[0] / totals[6] == pytest.approx(1.3 / 0.4, rel=0.15)
    monday = forecast.days[0].offered
    assert monday[12] > 1.8 * monday[0]
    assert forecast.days[0].aht == pytest.approx(300, rel=0.02)
    assert forecast.rests_on == "56 days of history"


def test_bands_hold_about_as_often_as_they_say() -> None:
    forecast = forecast_queue(facts(70), FIRST, 14)
    future = facts(0, seed=8)
    assert forecast is not None
    luck, inside, count = np.random.default_rng(8), 0, 0
    for day in forecast.days:
        for place in range(len(day.starts)):
            mean = 40 * WEEKDAY[day.day.weekday()] * (0.5 + np.sin((place + 1) / 25 * np.pi))
            actual = luck.poisson(mean * luck.gamma(50, 1 / 50))
            inside += day.offered_quantiles[place, 1] <= actual <= day.offered_quantiles[place, 5]
            count += 1
    assert 0.7 <= inside / count <= 0.9
    assert future.cells == {}


def test_without_history_it_rests_on_the_declared_profile_and_says_so() -> None:
    forecast = forecast_queue(facts(0, weekly_offered=1680.0, declared_aht=240.0), FIRST, 7)
    assert forecast is not None
    assert forecast.rests_on == "declared profile, spread evenly, no history"
    assert sum(d.offered.sum() for d in forecast.days) == pytest.approx(1680)
    assert forecast.days[0].offered_quantiles[0, 6] > 1.5 * forecast.days[0].offered[0]


def test_a_new_queue_takes_another_one_s_shape() -> None:
    shape = np.zeros((7, 48))
    shape[:5, 16:40] = 1.0
    shape[0, 20] = 5.0
    forecast = forecast_queue(facts(0, weekly_offered=1240.0, declared_aht=240.0, profile=Profile(shape)), FIRST, 7)
    assert forecast is not None
    assert [round(d.offered.sum()) for d in forecast.days] == [280, 240, 240, 240, 240, 0, 0]
    assert forecast.days[0].offered[4] == pytest.approx(50)


def test_with_neither_history_nor_profile_there_is_no_forecast() -> None:
    assert forecast_queue(facts(0), FIRST, 7) is None


def test_every_day_from_one_to_sixty_of_history_gives_a_forecast() -> None:
    for days in (1, 2, 6, 7, 13, 14, 15, 30, 60):
        forecast = forecast_queue(facts(days, weekly_offered=2000.0, declared_aht=240.0), FIRST, 7)
        assert forecast is not None
        assert all(np.isfinite(d.offered).all() and (d.offered >= 0).all() for d in forecast.days)


def test_an_interval_not_observed_is_not_a_zero() -> None:
    whole = facts(56)
    blind = {s: ((None, None, None) if n % 12 == 0 else c) for n, (s, c) in enumerate(whole.cells.items())}
    one = forecast_queue(whole, FIRST, 7)
    two = forecast_queue(QueueFacts(whole.queue, ZONE, SECONDS, HOURS, blind), FIRST, 7)
    assert one is not None
    assert two is not None
    assert two.days[0].offered.sum() == pytest.approx(one.days[0].offered.sum(), rel=0.12)


def test_quantiles_ascend_and_never_fall_below_zero() -> None:
    q = spread_out(np.array([0.2, 3.0, 400.0]), 0.1)
    assert (np.diff(q, axis=1) >= 0).all()
    assert (q >= 0).all()


def test_the_rest_of_the_day_lies_between_no_update_and_the_plain_ratio() -> None:
    mean = np.full((1, 24), 50.0)
    actual = np.full((1, 24), np.nan)
    actual[0, :6] = 75
    factor, narrowed = rest_of_day(mean, actual, Drift())
    assert 1.1 < factor[0, 6] < 1.5
    assert 1 < factor[0, -1] < factor[0, 6]  # what fades, fades
    assert narrowed[0, 0] == 1
    assert narrowed[0, 6] < narrowed[0, -1] < 1
    surprising = np.full((1, 24), np.nan)
    surprising[0, 0] = 3
    assert rest_of_day(np.full((1, 24), 0.1), surprising, Drift())[0][0, 1] < 1.2  # one surprising contact is no surge


def test_an_interval_that_is_missing_in_the_middle_is_passed_over_and_no_zero() -> None:
    mean, actual = np.full((1, 24), 50.0), np.full((1, 24), np.nan)
    actual[0, :6] = 75
    whole = rest_of_day(mean, actual, Drift())[0]
    actual[0, 3] = np.nan
    holed = rest_of_day(mean, actual, Drift())[0]
    assert np.isfinite(holed).all()
    assert 1.1 < holed[0, 6] <= whole[0, 6]
    actual[0, 3] = 0
    assert rest_of_day(mean, actual, Drift())[0][0, 6] < holed[0, 6] - 0.02


def test_a_surge_beyond_all_past_days_is_followed_after_two_intervals() -> None:
    calm = Drift(day=0.002, fading=0.001, noise=0.004)
    actual = np.full((1, 24), np.nan)
    actual[0, 0] = 120
    mean = np.full((1, 24), 30.0)
    assert rest_of_day(mean, actual, calm)[0][0, 1] < 1.1  # one is chance
    actual[0, 1:4] = 120
    assert rest_of_day(mean, actual, calm)[0][0, 4] > 2.5


def test_bands_are_learnt_from_forecasts_that_had_seen_four_weeks_and_a_third_of_what_is_known() -> None:
    for weeks, first in ((6, 4 * 7), (30, 10 * 7)):
        dates = np.datetime64("2026-01-05") + np.arange(7 * weeks + 7)
        panel = Panel(np.ones((1, 7 * weeks, 4)), dates, np.zeros((1, len(dates)), np.int64))
        assert first <= past_origins(panel)[0] < first + 14


def test_a_surge_of_a_few_calls_in_the_night_moves_the_day_by_no_more_than_those_calls() -> None:
    mean = np.concatenate([np.full(8, 0.4), np.full(16, 50.0)])[None]
    actual = np.full(mean.shape, np.nan)
    actual[0, :8] = [1, 0, 0, 1, 0, 6, 7, 6]
    factor = rest_of_day(mean, actual, Drift())[0]
    without = np.where(actual > 1, 1.0, actual)
    assert ((factor - rest_of_day(mean, without, Drift())[0])[0, 8:] * 50.0 < 7).all()
    assert factor[0, 8] > 1.0


def test_how_days_leave_their_forecast_is_learnt_from_past_days() -> None:
    luck = np.random.default_rng(5)
    mean = np.full((200, 3, 24), 100.0)
    whole = luck.normal(1, 0.2, (200, 3, 1))
    learnt = learn_drift(mean, luck.poisson(np.maximum(mean * whole, 0)).astype(float))
    assert learnt.day == pytest.approx(0.04, rel=0.25)
    assert learnt.fading < 0.01
    assert learn_drift(mean[:0], mean[:0]) == Drift()


def test_a_morning_that_says_little_of_its_day_is_believed_little() -> None:
    luck = np.random.default_rng(6)
    mean = np.full((40, 3, 24), 400.0)
    whole = np.ones((40, 3, 24))
    whole[..., :4] = luck.normal(1, 0.2, (40, 3, 1))  # goes its own way
    whole[..., 4:] = luck.normal(1, 0.1, (40, 3, 1))
    came = luck.poisson(mean * whole).astype(float)
    learnt = learn_drift(mean, came)
    assert max(learnt.trust[3:5]) < 0.4 < 0.8 < min(learnt.trust[8:16])
    today = np.full((1, 24), np.nan)
    today[0, :4] = 520
    off_by_morning = rest_of_day(mean[0, :1], today, learnt)[0][0, 4]
    today[0, :8] = 520
    off_by_both = rest_of_day(mean[0, :1], today, learnt)[0][0, 8]
    assert abs(off_by_morning - 1) < 0.12 < off_by_both - 1


def test_a_surge_is_believed_where_mornings_say_little_unless_past_ones_did_not_last() -> None:
    luck = np.random.default_rng(8)
    mean, whole = np.full((40, 1, 24), 60.0), np.ones((40, 1, 24))
    calm = learn_drift(mean, luck.poisson(mean).astype(float))
    whole[::8, :, 8:12] = 4.0  # each eighth day has two hours of it, and no more
    short = learn_drift(mean, luck.poisson(mean * whole).astype(float))
    assert np.mean(calm.trust[1:]) < 0.7
    assert calm.surged == 1.0
    assert short.surged < 0.95
    today = np.full((1, 24), np.nan)
    today[0, :12] = (60 * whole[0, 0, :12]).astype(int)
    lasting, over = (rest_of_day(mean[0], today, known)[0][0, 12:].mean() for known in (calm, short))
    assert lasting > 1.5
    assert over < 1.4


def test_ten_calls_more_in_the_night_do_not_make_ten_times_the_day() -> None:
    mean = np.array([[2.0, 2, 1, 1, 1, 20, 60, 80]])
    came = np.array([[2.0, 12, 9, 8, 9, np.nan, np.nan, np.nan]])
    factor = rest_of_day(mean, came, Drift(0.01, 0.02, 0.9, 0.02))[0][0]
    assert 1.2 < factor[5] < 1.6
    assert (mean[0, 6:] * (factor[6:] - 1) < 0.4 * mean[0, 6:]).all()


def test_the_noise_of_a_days_edges_is_their_own() -> None:
    luck = np.random.default_rng(7)
    mean = np.full((60, 2, 16), 400.0)
    mean_of = mean * luck.normal(1, 0.08, (60, 2, 1))
    mean_of[..., 0] *= luck.normal(1, 0.4, (60, 2))
    learnt = learn_drift(mean, luck.poisson(np.maximum(mean_of, 0)).astype(float))
    assert learnt.noises[0] > 10 * max(learnt.noises[1:])
    opening = np.full((2, 1, 16), np.nan)
    opening[0, 0, 0], opening[1, 0, 1] = 600, 600
    edge, inside = (rest_of_day(mean[0, :1], day, learnt)[0][0, -1] for day in opening)
    assert 1 < edge < inside - 0.05


def test_what_is_stored_of_how_a_day_leaves_its_forecast_reads_back() -> None:
    drift = Drift(0.02, 0.01, 0.8, 0.03, 0.75, (0.5, 0.25, 0.125), (0.0, 0.5, 1.0))
    assert Drift.of_flat(drift.flat()) == drift
    assert Drift.of_flat((0.02, 0.01, 0.8, 0.03)) == Drift(0.02, 0.01, 0.8, 0.03)  # of an earlier version
    assert Drift.of_flat(()) == Drift()
    other = rest_of_day(np.full((1, 2), 9.0), np.full((1, 2), np.nan), drift)[0]  # of another day's slots
    assert other.tolist() == [[1.0, 1.0]]
    assert drift.at(np.array([2, 0])) == Drift(0.02, 0.01, 0.8, 0.03, 0.75, (0.125, 0.5), (1.0, 0.0))


def test_an_interval_not_closed_says_nothing_about_today() -> None:
    forecast = forecast_queue(facts(56), FIRST, 1)
    assert forecast is not None
    today = forecast.days[0]
    rest, factor = update_day(today, {}, today.starts[4], SECONDS)
    assert factor == pytest.approx(1.0)
    assert rest.offered == pytest.approx(today.offered[4:])


def flat_day(expected: float, drift: Drift = Drift(), slots: int = 48) -> DayForecast:
    offered, starts = np.full(slots, expected), tuple(range(0, slots * SECONDS, SECONDS))
    band = spread_out(offered, 0.02)
    return DayForecast(FIRST, starts, offered, np.full(slots, 300.0), band, band, band, drift=drift)


@pytest.mark.parametrize(
    ("expected", "ended", "doubted"), [(30.0, 2, True), (30.0, 8, True), (5.0, 1, False), (5.0, 8, True), (0.1, 8, False)]
)
def test_empty_intervals_are_doubted_where_they_are_all_but_impossible(expected: float, ended: int, doubted: bool) -> None:
    day, before = flat_day(expected), 6
    told = dict.fromkeys(day.starts[:before], max(round(expected), 1)) | dict.fromkeys(day.starts[before : before + ended], 0)
    assert impossible_zeros(day, told) == (frozenset(day.starts[before : before + ended]) if doubted else frozenset())


def test_a_day_that_dwindled_before_may_be_empty() -> None:
    day = flat_day(30.0)
    told = dict(zip(day.starts, [6, 4, 2, 1, 1, 0], strict=False))
    assert not impossible_zeros(day, told)
    assert impossible_zeros(day, told | dict.fromkeys(day.starts[:5], 30))


def test_a_day_that_may_bring_anything_may_bring_nothing() -> None:
    day, wild = flat_day(30.0), flat_day(30.0, Drift(day=2.0))
    told = dict.fromkeys(day.starts[:2], 0)
    assert impossible_zeros(day, told) == set(told)
    assert not impossible_zeros(wild, told)
    loose = dataclasses.replace(day, offered_quantiles=spread_out(day.offered, 2.0))
    assert not impossible_zeros(loose, told)


def test_hours_that_change_within_the_horizon_are_forecast_from_their_day_on() -> None:
    shorter = OpeningHours((Opening(frozenset(range(7)), 8 * 3600, 12 * 3600),))
    later = ((FIRST + dt.timedelta(days=2), shorter), (FIRST + dt.timedelta(days=4), None))
    forecast = forecast_queue(facts(56, later=later), FIRST, 6)
    assert forecast is not None
    assert [len(d.starts) for d in forecast.days] == [24, 24, 8, 8, 0, 0]
