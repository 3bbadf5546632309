"""What of a day's run is carried on, and what is not: over midnight, over a closure, from dead lines and incidents, past a late fit."""

import dataclasses
import datetime as dt

import numpy as np
import pytest
import sqlalchemy as sa

from muster.cli.plans import _is_to_come
from muster.domain.calendar import DAY, resolve
from muster.kit.clock import ConductedClock
from services.forecaster.domain.engine.intraday import Drift
from services.forecaster.domain.engine.lasting import day_after, run_now
from services.forecaster.domain.engine.panel import Panel
from services.forecaster.domain.engine.spread import learn_spread, past_origins
from services.forecaster.domain.laying_out import spread_out
from services.forecaster.wire import day_message
from tests.support.forecaster import DRIFT, HALF_HOUR, HOUR, LASTING, NOON, World, forecaster_on
from tests.support.small_world import WEDNESDAY, book

MIDNIGHT = WEDNESDAY + DAY
RUSHING = Drift(0.01, 0.04, 0.87, 0.005)
ANGELES = "America/Los_Angeles"


def world_on(engine: sa.Engine, opens: str = "08:00", closes: str = "20:00", drift: Drift = DRIFT) -> World:
    made = forecaster_on(engine, book(opens=opens, closes=closes))
    world = World(made.database, made.work)
    world.learnt(drift)
    return world


def come_to(world: World, now: int) -> None:
    clock = world.work.clock
    assert isinstance(clock, ConductedClock)
    clock.move(now)


def test_a_rush_before_midnight_moves_neither_the_rest_of_the_new_day_nor_the_days_after(engine: sa.Engine) -> None:
    world = world_on(engine, "00:00", "24:00", RUSHING)
    usual, thursday = round(world.day("2026-03-25").offered[30]), world.day("2026-03-26").offered
    come_to(world, MIDNIGHT)
    world.told(WEDNESDAY + 6 * HOUR, 30, usual)
    world.told(WEDNESDAY + 21 * HOUR, 6, round(1.8 * usual))
    world.database.run_here(lambda c: world.work.due.cancel(c, "days_after", "acme/help", MIDNIGHT))
    for slot in range(26):  # the rush goes on as it was to be expected, and ends
        come_to(world, MIDNIGHT + (slot + 1) * HALF_HOUR)
        world.told(MIDNIGHT + slot * HALF_HOUR, 1, round(world.day("2026-03-26").offered[slot]))
        assert sum(world.day("2026-03-26").offered[-10:]) < 1.02 * sum(thursday[-10:]), slot
        assert not world.follow(), slot


def test_a_rush_fades_while_a_queue_is_closed(engine: sa.Engine) -> None:
    world = world_on(engine, "18:00", "02:00", RUSHING)
    usual, thursday = round(world.day("2026-03-25").offered[-1]), world.day("2026-03-26").offered
    come_to(world, MIDNIGHT)
    world.told(WEDNESDAY + 18 * HOUR, 8, usual)
    world.told(WEDNESDAY + 22 * HOUR, 4, round(1.8 * usual))
    ratio = np.array(world.day("2026-03-26").offered) / thursday
    assert ratio[3] > 1.2  # until two in the morning
    assert (ratio[4:] < 1.02).all()  # from six in the evening on


def test_dead_lines_say_nothing_of_tomorrow(engine: sa.Engine) -> None:
    world = world_on(engine)
    day = world.day("2026-03-25")
    narrow = dataclasses.replace(
        day, offered_quantiles=spread_out(np.array(day.offered), 0.02).tolist(), version=day.version + 1
    )
    world.database.run_here(lambda c: world.work.today.publish(c, [narrow]))
    world.told(NOON - 4 * HOUR, 2, round(day.offered[7]))
    world.told(NOON - 3 * HOUR, 6, 0)
    assert world.day("2026-03-25").offered[-1] < 0.9 * day.offered[-1]  # the feed has told that far: today follows it
    assert not world.follow()
    assert world.day("2026-03-26").trigger != "INTRADAY"


def test_days_of_which_nothing_is_kept_are_not_told(engine: sa.Engine) -> None:
    world = world_on(engine)
    world.learnt(lasting=(0.6, 0.0, 0.0))
    world.half_a_morning()
    assert world.follow()
    assert world.day("2026-03-26").trigger == "INTRADAY"
    assert world.day("2026-03-27").trigger != "INTRADAY"


def test_a_queue_far_west_of_its_client_moves_its_days_though_its_night_fit_was_the_day_before(engine: sa.Engine) -> None:
    small = book()
    small["queues"][0]["zone"] = ANGELES
    fitted, noon = (resolve(dt.datetime.fromisoformat(f"2026-03-{text}:00"), ANGELES) for text in ("24T18", "25T12"))
    made = forecaster_on(engine, small, fitted)
    world = World(made.database, made.work)
    world.learnt()
    before = sum(world.day("2026-03-26").offered)
    come_to(world, noon)
    world.told(noon - 4 * HOUR, 8, round(0.5 * world.day("2026-03-25").offered[7]))
    assert world.follow()
    assert sum(world.day("2026-03-26").offered) < 0.9 * before
    assert not world.follow()


def test_days_after_rest_on_what_the_day_before_moved_them_to_until_a_fit_has_been() -> None:
    yesterday = [day_after(LASTING, n, -0.2) for n in range(1, 8)]
    assert yesterday[:2] == pytest.approx([1 - 0.6 * 0.2, 1 - 0.4 * 0.2])
    assert [day_after(LASTING, n, 0.0, yesterday[0]) for n in range(1, 7)] == pytest.approx(yesterday[1:])
    assert day_after(LASTING, 1, 0.1, yesterday[0]) == pytest.approx(yesterday[1] * (1 + 0.6 * 0.1))
    assert day_after((), 1, 0.1, 0.9) == 1.0


def test_an_outage_of_two_days_teaches_nothing_of_what_lasts() -> None:
    chance, dates = np.random.default_rng(5), np.arange("2025-10-01", "2026-03-18", dtype="datetime64[D]")
    past = len(dates) - 28
    level = 1 + chance.normal(0, 0.1, (3, past))  # days that have nothing to do with each other
    counts = chance.poisson(50 * np.broadcast_to(level[..., None], (3, past, 24))).astype(float)
    panel = Panel(counts, dates, np.zeros((3, len(dates)), np.int64))
    plain, begins = learn_spread(panel).lasting, past_origins(panel)[-6]
    counts[:, begins : begins + 2] = 0.0
    assert learn_spread(panel).lasting == pytest.approx(plain, abs=0.1)


def test_a_day_that_has_begun_is_not_told_as_one_to_come(engine: sa.Engine) -> None:
    world = world_on(engine, "00:00", "24:00", RUSHING)
    usual = round(world.day("2026-03-25").offered[30])
    come_to(world, MIDNIGHT)
    world.told(WEDNESDAY + 6 * HOUR, 30, usual)
    world.told(WEDNESDAY + 21 * HOUR, 6, round(1.8 * usual))
    day = day_message(world.day("2026-03-26"))
    assert day.day_factor > 1.1
    assert not _is_to_come(day)


def test_an_incident_of_the_past_does_not_widen_how_days_leave_their_forecast() -> None:
    chance, dates = np.random.default_rng(5), np.arange("2025-10-01", "2026-03-18", dtype="datetime64[D]")
    past = len(dates) - 28
    counts = chance.poisson(50.0, (3, past, 24)).astype(float)
    panel = Panel(counts, dates, np.zeros((3, len(dates)), np.int64))
    plain, outage = learn_spread(panel).drift, past_origins(panel)[-6]
    counts[:, outage] = 0.0
    assert learn_spread(panel).drift.day < 1.5 * plain.day


def test_an_override_of_one_interval_leaves_what_the_others_say(engine: sa.Engine) -> None:
    world = world_on(engine)
    day = world.day("2026-03-25")
    held = [60.0, *day.offered[1:]]
    one = dataclasses.replace(day, offered=held, statistical=day.offered, statistical_aht=day.aht, version=day.version + 1)
    world.database.run_here(lambda c: world.work.today.publish(c, [one]))
    world.half_a_morning()
    assert world.follow()
    assert 0.8 < sum(world.day("2026-03-26").offered) / sum(world.day("2026-03-27").offered) * 0.92 < 0.95


def test_a_surge_of_hours_says_little_of_tomorrow() -> None:
    mean, seen, drift = np.full(48, 50.0), np.full(48, 50.0), Drift(0.01, 0.005, 0.87, 0.005)
    assert abs(run_now(mean, seen, drift)) < 0.01
    seen[20:26] = 100.0
    assert abs(run_now(mean, seen, drift)) < 0.05
