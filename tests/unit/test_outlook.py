"""Twelve months, joint paths, events of the past, shares and backtests."""

import dataclasses
import datetime as dt

import numpy as np
import pytest

from muster.domain.calendar import Opening, OpeningHours, dates, day_bounds
from muster.domain.paths import GAUSS, sample_paths, spread_of, together
from services.forecaster.domain.backtest import LEADS, backtest, hours_seen, with_zeros
from services.forecaster.domain.cold import Profile
from services.forecaster.domain.forecast import forecast_queue
from services.forecaster.domain.outlook import DAYS, OutlookDay, look_ahead, periods
from services.forecaster.domain.queue_forecast import QueueFacts
from tests.unit.test_forecast import FIRST, HOURS, SECONDS, ZONE, facts

TODAY = dt.date(2026, 3, 2)


def known_days(count: int = 42, level: float = 1000.0) -> list[OutlookDay]:
    wide = tuple(np.maximum(level * (1 + 0.1 * GAUSS), 0).tolist())
    return [OutlookDay(TODAY + dt.timedelta(days=n), level, wide, 300.0, 0.0) for n in range(count)]


def yearly(day: dt.date) -> float:
    return float(1000.0 * (1 + 0.3 * np.cos(2 * np.pi * (day.timetuple().tm_yday - 60) / 364)))


def test_a_season_seen_before_comes_again_and_is_pulled_to_no_change() -> None:
    totals = {day: yearly(day) for day in dates(TODAY - dt.timedelta(days=740), TODAY - dt.timedelta(days=1))}
    days, years = look_ahead(known_days(level=1280.0), totals, lambda day: True, TODAY)
    assert len(days) == DAYS
    assert years == 2
    low = min(days, key=lambda d: d.offered)
    assert abs((low.day - dt.date(2026, 8, 31)).days) < 25
    true = yearly(low.day) / yearly(days[35].day)
    assert low.offered / 1280 == pytest.approx(true**0.75, rel=0.03)


def test_without_a_year_there_is_no_season_and_the_bands_are_wider() -> None:
    short = dict.fromkeys(dates(TODAY - dt.timedelta(days=100), TODAY - dt.timedelta(days=1)), 1000.0)
    long = dict.fromkeys(dates(TODAY - dt.timedelta(days=740), TODAY - dt.timedelta(days=1)), 1000.0)
    one, none = look_ahead(known_days(), short, lambda day: True, TODAY)
    two, both = look_ahead(known_days(), long, lambda day: True, TODAY)
    assert (none, both) == (0, 2)
    assert one[200].offered == pytest.approx(1000)
    assert spread_of(np.array(one[200].quantiles)) > 1.3 * spread_of(np.array(two[200].quantiles))
    assert spread_of(np.array(two[300].quantiles)) > spread_of(np.array(two[60].quantiles))


def test_a_closed_day_of_the_year_brings_nothing() -> None:
    closed = dt.date(2026, 12, 25)
    days, _ = look_ahead(known_days(), {}, lambda day: day != closed, TODAY)
    assert [d.day for d in days if d.offered == 0] == [closed]


def test_a_queue_closed_at_the_end_of_the_six_weeks_or_half_open_then_comes_back_as_it_was() -> None:
    first = TODAY + dt.timedelta(days=25)
    known = [k if k.day < first else dataclasses.replace(k, offered=0.0, quantiles=(0.0,) * 7) for k in known_days()]
    year = look_ahead(known, {}, lambda day: day >= first + dt.timedelta(days=30), TODAY)[0]
    assert [d.offered for d in year[53:57]] == pytest.approx([0.0, 0.0, 1000.0, 1000.0])
    half = [*known_days()[:-1], dataclasses.replace(known_days()[-1], offered=300.0, normal=False)]
    assert look_ahead(half, {}, lambda day: True, TODAY)[0][48].offered == pytest.approx(1000)
    special = ((FIRST + dt.timedelta(days=41), HOURS.weekly[0:1]),)
    hours = dataclasses.replace(HOURS, special=special)
    found = forecast_queue(dataclasses.replace(facts(56), hours=hours), FIRST, 42)
    assert found is not None
    assert found.outlook[41].offered < 0.8 * found.outlook[34].offered  # a holiday, if an open one
    assert found.outlook[48].offered == pytest.approx(found.outlook[34].offered, rel=0.05)


def test_weeks_and_months_sum_up_and_vary_less_than_their_days_together() -> None:
    days, _ = look_ahead(known_days(), {}, lambda day: True, TODAY)
    weeks, months = periods(days, 0.3, monthly=False), periods(days, 0.3, monthly=True)
    assert sum(w.offered for w in weeks) == pytest.approx(sum(d.offered for d in days))
    assert len(months) == 13
    assert weeks[0].first == TODAY
    assert weeks[0].workload_hours == pytest.approx(7000 * 300 / 3600)
    alone, joined = (spread_of(np.array(periods(days, rho, monthly=False)[0].quantiles)) for rho in (0.0, 1.0))
    assert alone == pytest.approx(100 * np.sqrt(7), rel=0.01)
    assert joined == pytest.approx(700, rel=0.01)


def test_paths_keep_each_interval_and_vary_together_as_days_and_weeks_do() -> None:
    mean, count = 50.0, 20
    intervals = np.maximum(mean + 8.0 * GAUSS[None, :], 0.0) * np.ones((count, 1))
    total = (1000 + 100 * GAUSS).tolist()
    paths = sample_paths([(intervals, total)] * 7, 0.4, 20_000, np.random.default_rng(5))
    first = paths[0]
    assert np.quantile(first[:, 3], (0.1, 0.9)) == pytest.approx(intervals[0, [1, 5]], rel=0.02)
    assert first.sum(axis=1).std() == pytest.approx(100, rel=0.05)
    sums = np.stack([day.sum(axis=1) for day in paths], axis=1)
    assert np.corrcoef(sums[:, 0], sums[:, 6])[0, 1] == pytest.approx(0.4, abs=0.04)
    week = 100 * np.sqrt(7 * 0.6 + 49 * 0.4)
    assert sums.sum(axis=1).std() == pytest.approx(week, rel=0.05)


def test_paths_are_never_negative_and_refuse_what_is_no_correlation() -> None:
    quiet = np.array([[0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 4.0]])
    assert (sample_paths([(quiet, ())], 0.3, 500, np.random.default_rng(1))[0] >= 0).all()
    assert together(np.zeros((3, 7)), ()) == 0.5
    with pytest.raises(ValueError, match=r"between_days is 1\.5"):
        sample_paths([(quiet, ())], 1.5, 10, np.random.default_rng(1))


def with_campaign(factor: float) -> QueueFacts:
    """Ten weeks of which the last week but one brought several times as much."""
    plain = facts(70)
    begin, end = day_bounds(FIRST - dt.timedelta(days=14), ZONE)[0], day_bounds(FIRST - dt.timedelta(days=8), ZONE)[1]
    cells = {s: tuple(int(n * factor) for n in c) if begin <= s < end else c for s, c in plain.cells.items()}  # type: ignore[operator]
    return dataclasses.replace(plain, cells=cells)  # type: ignore[arg-type]


def level(found: object) -> float:
    assert found is not None
    return float(sum(d.offered.sum() for d in found.days[:7]))  # type: ignore[attr-defined]


def test_a_campaign_marked_in_the_past_teaches_nothing() -> None:
    told = with_campaign(2.0)
    event = (FIRST - dt.timedelta(days=14), FIRST - dt.timedelta(days=8), False)
    plain, misled = level(forecast_queue(facts(70), FIRST, 7)), level(forecast_queue(told, FIRST, 7))
    marked = forecast_queue(dataclasses.replace(told, events=(event,)), FIRST, 7)
    assert misled > 1.1 * plain
    assert level(marked) == pytest.approx(plain, rel=0.03)
    assert marked is not None
    assert [i.day for i in marked.incidents] == list(dates(event[0], event[1]))
    assert all(i.ruled for i in marked.incidents)


def test_an_incident_that_was_none_can_be_made_to_count() -> None:
    plain = facts(70)
    spike = FIRST - dt.timedelta(days=7)
    begin, end = day_bounds(spike, ZONE)
    cells = {s: (c[0] * 6, c[1], c[2]) if begin <= s < end else c for s, c in plain.cells.items()}  # type: ignore[operator]
    told = dataclasses.replace(plain, cells=cells)
    found = forecast_queue(told, FIRST, 7)
    counted = forecast_queue(dataclasses.replace(told, events=((spike, spike, True),)), FIRST, 7)
    assert found is not None
    assert counted is not None
    assert [(i.day, i.ruled) for i in found.incidents] == [(spike, False)]
    assert found.incidents[0].offered > 4 * found.incidents[0].usual > 0
    assert counted.incidents == ()
    assert level(counted) > level(found)


def test_a_change_of_our_share_is_no_trend() -> None:
    plain, change = facts(70), FIRST - dt.timedelta(days=10)
    half = day_bounds(change, ZONE)[0]
    cells = {s: tuple(n // 2 for n in c) if s >= half else c for s, c in plain.cells.items()}  # type: ignore[operator]
    shares = ((dt.date(2025, 1, 1), 0.8), (change, 0.4), (FIRST + dt.timedelta(days=7), 0.2))
    told = dataclasses.replace(plain, cells=cells, shares=shares)  # type: ignore[arg-type]
    forecast, before = forecast_queue(told, FIRST, 14), forecast_queue(plain, FIRST, 14)
    assert forecast is not None
    assert before is not None
    assert level(forecast) == pytest.approx(level(before) / 2, rel=0.03)
    assert sum(d.offered.sum() for d in forecast.days[7:]) == pytest.approx(level(before) / 4, rel=0.06)


def test_a_backtest_sees_only_what_was_known() -> None:
    whole = facts(84)
    last = FIRST - dt.timedelta(days=7)
    found = backtest(whole, last, 3, lambda done, of: None)
    cut = day_bounds(last, ZONE)[0]
    wild = {s: c if s < cut else (0, 0, 0) for s, c in whole.cells.items()}
    again = backtest(dataclasses.replace(whole, cells=wild), last, 3, lambda done, of: None)
    assert found.shown == again.shown
    assert found.leads[LEADS[0]].score.wrong == again.leads[LEADS[0]].score.wrong
    day_ahead = found.leads[LEADS[0]]
    assert found.origins >= 5
    assert 0.1 < day_ahead.score.wrong / day_ahead.score.offered < 0.25
    assert day_ahead.score.limit < day_ahead.score.wrong < day_ahead.score.naive_wrong
    assert day_ahead.usual_wrong / day_ahead.usual_offered < day_ahead.score.naive_wrong / day_ahead.score.naive_offered
    assert len({s for s, *_ in found.shown}) == len(found.shown)


def test_a_backtest_with_too_little_history_says_so() -> None:
    with pytest.raises(ValueError, match="14 days of history"):
        backtest(facts(10), FIRST, 4, lambda done, of: None)


def test_hours_are_read_from_cells_that_nobody_declared() -> None:
    cells = {s: c[0] or 0 for s, c in facts(28).cells.items()}
    found = hours_seen(cells, ZONE, SECONDS)
    day = FIRST - dt.timedelta(days=3)
    assert list(found.open_starts(day, ZONE, SECONDS)) == list(HOURS.open_starts(day, ZONE, SECONDS))


def in_hours(hours: OpeningHours, mean: float, leaves_out_zeros: bool) -> dict[int, int]:
    """Return eight weeks of a queue as a file tells them."""
    luck, cells = np.random.default_rng(5), dict[int, int]()
    for n in range(56):
        for start in hours.open_starts(FIRST - dt.timedelta(days=56 - n), ZONE, SECONDS):
            offered = int(luck.poisson(mean))
            if offered or not leaves_out_zeros:
                cells[start] = offered
    return cells


@pytest.mark.parametrize("spans", [((20, 4),), ((8, 12), (14, 20)), ((0, 24),)])
@pytest.mark.parametrize("mean", [20.0, 0.3])
def test_a_file_of_any_hours_that_leaves_out_its_zeros_can_be_tested(spans: tuple[tuple[int, int], ...], mean: float) -> None:
    every = frozenset(range(7))
    hours = OpeningHours(tuple(Opening(every, opens * 3600, closes % 24 * 3600) for opens, closes in spans))
    whole, told = in_hours(hours, mean, False), in_hours(hours, mean, True)
    found = hours_seen(told, ZONE, SECONDS)
    day = FIRST - dt.timedelta(days=3)
    assert found.open_starts(day, ZONE, SECONDS) == hours.open_starts(day, ZONE, SECONDS)
    filled = with_zeros(told, found, ZONE, SECONDS)
    assert sum(whole.get(start) == 0 for start in filled) >= 0.9 * sum(n == 0 for n in whole.values())
    tested = QueueFacts("file", ZONE, SECONDS, found, {s: (n, n, n * 1000) for s, n in filled.items()})
    score = backtest(tested, FIRST, 1, lambda done, of: None).leads[LEADS[0]].score
    assert score.intervals >= 3 * len(hours.open_starts(day, ZONE, SECONDS)) - 6
    assert abs(score.over) < 0.25 * score.offered


def test_what_a_file_leaves_out_is_not_known_where_it_tells_zeros_or_none_is_no_chance() -> None:
    for mean in (0.3, 30.0):
        told = in_hours(HOURS, mean, False)
        rest = {s: n for place, (s, n) in enumerate(told.items()) if place not in (100, 101, 102)}
        assert with_zeros(rest, HOURS, ZONE, SECONDS) == rest


def test_a_share_of_nothing_is_no_history_and_no_forecast() -> None:
    plain, change = facts(70), FIRST - dt.timedelta(days=30)
    began = forecast_queue(dataclasses.replace(plain, shares=((dt.date(2025, 1, 1), 0.0), (change, 1.0))), FIRST, 14)
    assert began is not None
    assert began.history_days == 30
    assert all(np.isfinite(d.offered).all() for d in began.days)
    ends = forecast_queue(dataclasses.replace(plain, shares=((dt.date(2025, 1, 1), 1.0), (FIRST, 0.0))), FIRST, 14)
    assert ends is not None
    assert level(ends) == 0.0


def test_before_the_first_share_is_declared_all_is_ours() -> None:
    plain = facts(70)
    whole = forecast_queue(plain, FIRST, 14)
    loses = forecast_queue(dataclasses.replace(plain, shares=((FIRST + dt.timedelta(days=7), 0.0),)), FIRST, 14)
    assert whole is not None
    assert loses is not None
    assert [d.offered.sum() for d in loses.days[:7]] == pytest.approx([d.offered.sum() for d in whole.days[:7]])
    assert sum(d.offered.sum() for d in loses.days[7:]) == 0


def test_totals_of_past_days_are_kept_as_they_were_and_the_year_follows_the_share() -> None:
    plain = facts(70)
    shares = ((dt.date(2025, 1, 1), 0.5), (FIRST, 1.0), (FIRST + dt.timedelta(days=100), 0.25))
    found = forecast_queue(dataclasses.replace(plain, shares=shares), FIRST, 42)
    assert found is not None
    day = FIRST - dt.timedelta(days=10)
    begin, end = day_bounds(day, ZONE)
    assert found.totals[day] == pytest.approx(sum(c[0] or 0 for s, c in plain.cells.items() if begin <= s < end))
    before, after = (sum(d.offered for d in found.outlook[n : n + 28]) for n in (70, 102))
    assert after == pytest.approx(before / 4, rel=0.01)


def test_a_shape_without_these_hours_is_none() -> None:
    shape = np.zeros((7, 48))
    shape[6, :4] = 1.0
    forecast = forecast_queue(facts(0, weekly_offered=1680.0, declared_aht=240.0, profile=Profile(shape)), FIRST, 7)
    assert level(forecast) == pytest.approx(1680)
