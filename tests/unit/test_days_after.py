"""What the days after keep of how today runs: learnt from past forecasts, and told to the end of the contract's window."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from muster.domain.calendar import DAY
from muster.kit.clock import ConductedClock
from services.forecaster.domain.engine.intraday import after_midnight
from services.forecaster.domain.engine.lasting import kept, learn_lasting, run_now
from services.forecaster.fitting import fit_queues
from services.forecaster.store import forecasts
from tests.support.forecaster import DRIFT, FADING, HALF_HOUR, HELP, HOUR, LASTING, NOON, World, forecaster_on
from tests.support.small_world import WEDNESDAY, book


def played(lasts: float, origins: int = 40) -> tuple[float, ...]:
    """Return what is learnt where tomorrow keeps so much of how a day runs, and the rest of the week half of that."""
    chance, first, tomorrow, week = np.random.default_rng(7), [], [], []
    for _ in range(origins):
        run = chance.normal(0, 0.2, 3)
        mean = np.full((3, 24), 50.0)

        def days(share: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
            due = 50.0 * np.maximum(1 + share[:, None, None] + chance.normal(0, 0.05, (3, count, 1)), 0.1)
            return chance.poisson(np.broadcast_to(due, (3, count, 24))).astype(float)

        first.append((mean, days(run, 1)[:, 0]))
        tomorrow.append((np.full((3, 1, 24), 50.0), days(lasts * run, 1)))
        week.append((np.full((3, 5, 24), 50.0), days(lasts / 2 * run, 5)))
    return learn_lasting(first, [tomorrow, week], DRIFT)


def test_what_lasts_is_learnt_and_pulled_to_none_where_days_are_few() -> None:
    tomorrow, week = played(0.7)
    assert 0.4 < tomorrow < 0.75
    assert 0.2 < week < 0.45
    assert played(0.7, origins=5)[0] < tomorrow


def test_nothing_lasts_where_days_have_nothing_to_do_with_each_other() -> None:
    assert max(played(0.0)) < 0.1


def test_shares_hold_by_days_ahead_and_nothing_beyond_two_weeks() -> None:
    assert [kept(LASTING, n) for n in (1, 2, 6, 7, 13, 14)] == [0.6, 0.4, 0.4, 0.2, 0.2, 0.0]
    assert kept((), 1) == 0.0


def test_a_day_runs_above_by_what_is_seen_and_no_further_than_days_go() -> None:
    mean, seen = np.full(24, 50.0), np.full(24, np.nan)
    assert run_now(mean, seen, DRIFT) == 0.0
    seen[:12] = 60.0
    assert 0.15 < run_now(mean, seen, DRIFT) < 0.21
    seen[12:] = 60.0
    assert 0.18 < run_now(mean, seen, DRIFT) < 0.21  # what the last interval says counts, too
    assert run_now(mean, np.full(24, 500.0), DRIFT) <= 0.4 + 1e-9


@pytest.fixture
def world(engine: sa.Engine) -> World:
    made = forecaster_on(engine)
    found = World(made.database, made.work)
    found.learnt()
    return found


def test_a_slow_morning_lowers_the_days_to_the_end_of_the_contracts_month(world: World) -> None:
    before = {text: world.day(text) for text in ("2026-03-26", "2026-03-27", "2026-03-31", "2026-04-01")}
    world.half_a_morning()
    assert world.follow()
    ratios = {text: sum(world.day(text).offered) / sum(day.offered) for text, day in before.items()}
    run = (1 - ratios["2026-03-26"]) / 0.6
    assert 0.2 < run < 0.5
    assert ratios["2026-03-27"] == pytest.approx(ratios["2026-03-31"], abs=1e-5)
    assert 1 - ratios["2026-03-31"] == pytest.approx(0.4 * run, abs=1e-5)
    assert ratios["2026-04-01"] == 1.0  # of the next window
    tomorrow, was = world.day("2026-03-26"), before["2026-03-26"]
    assert tomorrow.trigger == "INTRADAY"
    assert tomorrow.data_watermark == NOON
    assert tomorrow.offered_quantiles[3][6] == pytest.approx(was.offered_quantiles[3][6] * ratios["2026-03-26"], rel=1e-5)
    assert world.day("2026-03-26").starts == was.starts


def test_days_after_are_told_again_only_when_today_has_moved_them(world: World) -> None:
    world.half_a_morning()
    assert world.follow()
    told = world.day("2026-03-26").version
    with world.database.engine.begin() as connection:
        book_day = world.work.streams.book_today(connection)
        world.work.today.update(connection, book_day, book_day.queues[HELP], NOON)
    assert not world.follow()
    assert world.day("2026-03-26").version == told


def test_a_day_as_expected_moves_none(world: World) -> None:
    world.told(NOON - 4 * HOUR, 8, round(world.day("2026-03-25").offered[7]))
    assert not world.follow()
    assert world.day("2026-03-26").trigger != "INTRADAY"


def test_of_a_window_of_a_day_tomorrow_alone_is_told(world: World) -> None:
    contract = book()["contracts"][0]
    contract["targets"][0]["window"] = {"kind": "DAY"}
    world.apply(contracts=[contract])
    world.half_a_morning()
    assert world.follow()
    assert world.day("2026-03-26").trigger == "INTRADAY"
    assert world.day("2026-03-27").trigger != "INTRADAY"


def test_what_people_set_for_tomorrow_stays_and_what_they_set_for_today_says_nothing(world: World) -> None:
    rule = {"queue": HELP, "operation": "SET", "value": 30.0, "owner": "ann", "reason": "a fair"}
    tomorrow = {**rule, "name": "acme/fair", "starts": "2026-03-26T10:00", "ends": "2026-03-26T11:00"}
    world.apply(overrides=[tomorrow])
    world.half_a_morning()
    assert world.follow()
    day = world.day("2026-03-26")
    place = day.starts.index(NOON + DAY - 2 * HOUR)
    assert day.offered[place] == 30.0
    assert day.statistical[place] < 30.0
    today = {**rule, "name": "acme/today", "starts": "2026-03-25T00:00", "ends": "2026-03-26T00:00"}
    world.apply(overrides=[today])
    request = {"client": "acme", "trigger": "BOOK"}
    fitted = fit_queues(world.database.run_here(lambda c: world.work.fitting.load_fit(c, request)), lambda told: None)
    world.database.run_here(lambda c: world.work.fitting.save_fit(c, request, fitted))
    world.database.run_here(lambda c: world.work.due.cancel(c, "days_after", HELP, NOON))
    world.learnt()
    world.told(NOON, 2, 5)
    assert not world.follow()


def test_past_midnight_today_rests_on_what_yesterday_moved_until_the_nights_fit(world: World) -> None:
    before = sum(world.day("2026-03-26").offered)
    world.half_a_morning()
    assert world.follow()
    moved = world.day("2026-03-26")
    clock = world.work.clock
    assert isinstance(clock, ConductedClock)
    clock.move(NOON + DAY - 3 * HOUR)
    world.told(NOON + DAY - 4 * HOUR, 2, round(moved.offered[0]))  # as the moved day expects
    day = world.day("2026-03-26")
    assert 0.97 < (day.day_factor or 0) < 1.03
    assert sum(day.offered) < 0.95 * before
    assert not world.follow()  # the days after stand as Wednesday has moved them
    request = {"client": "acme", "trigger": "NIGHTLY"}
    fitted = fit_queues(world.database.run_here(lambda c: world.work.fitting.load_fit(c, request)), lambda told: None)
    world.database.run_here(lambda c: world.work.fitting.save_fit(c, request, fitted))
    stood = world.database.run_here(lambda c: forecasts.load_today(c, HELP, "2026-03-26", "2026-03-27"))
    assert stood is not None
    assert stood.moved is None


def test_a_fit_during_the_day_is_moved_at_once_as_the_day_runs(world: World) -> None:
    world.half_a_morning()
    assert world.follow()
    world.learnt()  # publishes the days as a fit does
    fitted = sum(world.day("2026-03-26").offered)
    with world.database.engine.begin() as connection:
        book_day = world.work.streams.book_today(connection)
        world.work.today.update(connection, book_day, book_day.queues[HELP], NOON)
    assert world.follow()
    assert sum(world.day("2026-03-26").offered) < 0.95 * fitted


def test_a_rush_does_not_end_at_midnight() -> None:
    mean, seen, passed = np.full((1, 48), 50.0), np.full((1, 48), 50.0), np.arange(48.0)
    assert np.abs(after_midnight(mean, seen, FADING, None, passed) - 1).max() < 0.01
    seen[0, 44:] = 70.0
    factor = after_midnight(mean, seen, FADING, None, passed)[0]
    assert 1.2 < factor[0] < 1.4
    assert (np.diff(factor) <= 0).all()
    assert factor[20] < 1.01
    slow = dataclasses.replace(FADING, kept=0.98)  # what lasts that long, the night's fit knows
    assert after_midnight(mean, seen, slow, None, passed)[0, 20] < 1.03


@pytest.mark.parametrize(("opens", "goes_on"), [("00:00", True), ("06:00", False)])
def test_a_queue_that_is_open_at_midnight_takes_a_rush_along_into_the_new_day(
    engine: sa.Engine, opens: str, goes_on: bool
) -> None:
    made = forecaster_on(engine, book(opens=opens, closes="24:00"))
    world = World(made.database, made.work)
    world.learnt(FADING)
    usual = world.day("2026-03-25").offered[30]
    thursday = world.day("2026-03-26").offered
    clock = world.work.clock
    assert isinstance(clock, ConductedClock)
    clock.move(WEDNESDAY + DAY)
    world.told(WEDNESDAY + 6 * HOUR, 32, round(usual))
    world.told(WEDNESDAY + 22 * HOUR, 4, round(1.4 * usual))
    day = world.day("2026-03-26")
    assert (day.trigger == "INTRADAY") == goes_on
    ratio = np.array(day.offered) / thursday
    assert (ratio[0] > 1.1) == goes_on
    assert ratio[20] == pytest.approx(1.0, abs=0.02)
    if goes_on:
        clock.move(WEDNESDAY + DAY + HALF_HOUR)
        world.told(WEDNESDAY + DAY, 1, round(1.2 * thursday[0]))
        assert world.day("2026-03-26").offered[1] > 1.08 * thursday[1]
