"""Twelve months, joint paths, events of the past, shares, backtests, and forecasts that others made."""

import dataclasses
import datetime as dt
import pathlib

import numpy as np
import pytest
import sqlalchemy as sa

from muster.domain.calendar import Opening, OpeningHours, dates, day_bounds
from muster.domain.paths import GAUSS, sample_paths, spread_of, together
from muster.domain.tolerance import Tolerance
from muster.kit.errors import Refusal
from muster.kit.sql import Database, migrate
from muster.v1 import forecast_pb2
from services.forecaster.domain.backtest import LEADS, backtest, hours_seen, with_zeros
from services.forecaster.domain.cold import Profile
from services.forecaster.domain.comparing import compare
from services.forecaster.domain.facts import LockedDay, Received, Said
from services.forecaster.domain.forecast import forecast_queue
from services.forecaster.domain.outlook import DAYS, OutlookDay, look_ahead, periods
from services.forecaster.domain.queue_forecast import QueueFacts
from services.forecaster.forecast_wire import check_grid, check_received, comparison_message, read_received
from services.forecaster.store import outlooks
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


def test_what_came_is_held_against_what_was_locked() -> None:
    starts = [int(dt.datetime(2026, 3, 2, h, tzinfo=dt.UTC).timestamp()) for h in (9, 10, 11)]
    client = Received("acme/help", "2026-03-02", "CLIENT", 1, 0, "ann", starts, [100.0, 100.0, 100.0], [])
    locked = LockedDay("acme/help", "2026-03-02", 5, "CLIENT", client.starts, client.offered, starts[0])
    came = {starts[0]: 115, starts[1]: 80}
    found = compare("2026-03-02", {"ENGINE": None, "CLIENT": client}, locked, came, 5, Tolerance(0.1, 0.15))
    assert found.outside == [True, True, False]
    assert not found.day_outside
    assert found.came == [115.0, 80.0, -1.0]
    assert found.engine == [-1.0, -1.0, -1.0]
    assert found.relieved == ["TARGET", "", ""]
    assert found.day_relieved == ""
    for relieves, each in (("COMMITMENT", ["", "COMMITMENT", ""]), ("BOTH", ["TARGET", "COMMITMENT", ""])):
        tolerance = Tolerance(0.1, 0.15, relieves)
        again = compare("2026-03-02", {"CLIENT": client}, locked, came, 5, tolerance)
        assert again.relieved == each
    surge = compare("2026-03-02", {}, locked, {starts[0]: 150, starts[1]: 90}, 5, Tolerance(0.1, 0.15))
    assert (surge.day_relieved, comparison_message(surge).day_relieved) == ("TARGET", "TARGET")
    later = dataclasses.replace(locked, since=starts[1])  # the first interval closed before there was a lock
    rush = {starts[0]: 150, starts[1]: 150}
    assert compare("2026-03-02", {}, later, rush, 5, Tolerance(0.1)).relieved == ["", "TARGET", ""]
    assert compare("2026-03-02", {}, later, {starts[0]: 150}, 5, Tolerance(0.1)).day_relieved == ""
    unlocked = compare("2026-03-02", {"CLIENT": client}, None, came, None, Tolerance())
    assert (unlocked.outside, unlocked.locked, unlocked.locked_source) == ([], [], "")


def received(**changes: object) -> forecast_pb2.ForecastReceived:
    told: dict[str, object] = {
        "queue": "acme/help",
        "source": forecast_pb2.FORECAST_SOURCE_CLIENT,
        "revision": 1,
        "starts_at_epoch_seconds": [1_772_409_600 + 1800, 1_772_409_600],
        "offered_count": [3.0, 2.0],
    }
    return forecast_pb2.ForecastReceived(**{**told, **changes})  # type: ignore[arg-type]


def test_a_received_forecast_is_sorted_and_split_by_local_day() -> None:
    said = read_received(received().SerializeToString(), {})
    assert (said.source, said.offered) == ("CLIENT", [2.0, 3.0])
    days = said.days("America/New_York", 7)
    assert [(d.local_date, d.offered) for d in days] == [("2026-03-01", [2.0, 3.0])]
    assert [d.local_date for d in said.days("Asia/Manila", 7)] == ["2026-03-02"]


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"queue": "help"}, "NO_QUEUE", "client/queue"),
        ({"source": forecast_pb2.FORECAST_SOURCE_ENGINE}, "INVALID_FORECAST", "CLIENT, AGREED"),
        ({"offered_count": [1.0]}, "INVALID_FORECAST", "as many"),
        ({"offered_count": [1.0, float("nan")]}, "INVALID_FORECAST", "nan"),
        ({"offered_count": [1.0, -2.0]}, "INVALID_FORECAST", "-2.0"),
        ({"aht_seconds": [0.0, 5.0]}, "INVALID_FORECAST", "above 0"),
        ({"starts_at_epoch_seconds": [900, 900]}, "INVALID_FORECAST", "twice"),
        ({"starts_at_epoch_seconds": [901, 1800]}, "INVALID_FORECAST", "quarter"),
        ({"revision": -1}, "INVALID_FORECAST", "revision is -1"),
        ({"starts_at_epoch_seconds": [1_784_541_600_000, 1_784_541_600_900]}, "INVALID_FORECAST", "in seconds"),
        ({"sent_by": "a\0b"}, "INVALID_FORECAST", "printable"),
    ],
)
def test_what_is_no_forecast_is_refused(changes: dict[str, object], reason: str, words: str) -> None:
    with pytest.raises(Refusal, match=words) as caught:
        check_received(received(**changes))
    assert caught.value.reason == reason


def day_plan(seconds: int, hours: tuple[float, ...] = (8, 12, 13.5, 18)) -> Said:
    """Return a day's plan in steps of so many seconds, of a morning and an afternoon."""
    begins = [1_772_409_600 + int(hour * 3600) for hour in hours]
    starts = [s for first, last in zip(begins[::2], begins[1::2], strict=True) for s in range(first, last, seconds)]
    return Said("acme/help", "CLIENT", 1, "ann", starts, [4.0] * len(starts), [])


@pytest.mark.parametrize(("told", "seconds"), [(1800, 900), (3600, 900), (3600, 1800)])
def test_a_plan_of_longer_intervals_than_the_queues_is_refused(told: int, seconds: int) -> None:
    with pytest.raises(
        Refusal, match=f"2026-03-02 is told in steps of {told} s, .* intervals of {seconds} s; send one value"
    ) as caught:
        check_grid(day_plan(told), seconds, ZONE)
    assert caught.value.reason == "MISALIGNED_INTERVAL"


def test_a_plan_of_the_queues_intervals_or_of_some_of_them_is_taken() -> None:
    for seconds in (900, 1800):
        check_grid(day_plan(seconds), seconds, ZONE)
    few = day_plan(1800, (9, 10.5))  # three corrected quarter-hours
    check_grid(few, 900, ZONE)
    scattered = [1_772_409_600 + int(hour * 3600) for hour in (8, 8.5, 10, 13.25, 16)]
    check_grid(few._replace(starts=scattered, offered=[4.0] * 5), 900, ZONE)
    with pytest.raises(Refusal, match="no start of an interval of 1800 s"):
        check_grid(day_plan(900), 1800, ZONE)


def test_one_coarse_day_among_fine_ones_is_refused() -> None:
    fine, coarse = day_plan(900), day_plan(1800)
    later = [s + 86_400 for s in coarse.starts]
    both = fine._replace(starts=fine.starts + later, offered=[4.0] * (len(fine.starts) + len(later)))
    with pytest.raises(Refusal, match="2026-03-03"):
        check_grid(both, 900, ZONE)


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


def test_messages_of_one_revision_add_up(engine: sa.Engine) -> None:
    def day(starts: list[int], offered: list[float]) -> Received:
        return Received("acme/help", "2026-03-02", "CLIENT", 1, 5, "ann", starts, offered, [])

    migrate(engine, pathlib.Path("services/forecaster/store/migrations"))
    database = Database(engine)
    database.run_here(lambda c: outlooks.save_received(c, [day([900, 1800], [1.0, 2.0])]))
    database.run_here(lambda c: outlooks.save_received(c, [day([1800, 2700], [9.0, 3.0])]))
    found = database.read_here(lambda c: outlooks.received(c, "acme/help", "2026-03-02", "CLIENT"))
    assert found is not None
    assert (found.starts, found.offered) == ([900, 1800, 2700], [1.0, 2.0, 3.0])
    assert database.read_here(lambda c: outlooks.received(c, "acme/help", "2026-03-02", "CLIENT", by=4)) is None
