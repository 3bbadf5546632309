"""What the rest of today is told from: closed intervals as they were published, and of those nothing that was not observed."""

import dataclasses
import datetime as dt

import numpy as np
import pytest
import sqlalchemy as sa

from muster.book.check import parse_book
from muster.book.copy import BookOwner
from muster.book.types import KINDS
from muster.domain.calendar import DAY
from muster.kit.clock import ConductedClock
from muster.kit.loop import Fact
from services.forecaster.domain.accuracy import Score
from services.forecaster.domain.facts import Progress, PublishedDay, merge_days
from services.forecaster.domain.laying_out import spread_out
from services.forecaster.fitting import fit_queues
from services.forecaster.scoring import score_days
from services.forecaster.store import forecasts
from tests.support.forecaster import HALF_HOUR, HELP, HOUR, NOON, Forecaster, forecaster_on
from tests.support.small_world import WEDNESDAY, book


@pytest.fixture
def forecaster(engine: sa.Engine) -> Forecaster:
    return forecaster_on(engine)


@pytest.fixture
def on_grace(engine: sa.Engine) -> Forecaster:
    """Where the feed counts as complete at once."""
    small = book()
    small["clients"][0]["feeds"][0]["grace_seconds"] = 0
    made = forecaster_on(engine, small)

    def narrow(connection: sa.Connection) -> None:
        """Publish the day as if there were a history to rest on: contacts as chance has them."""
        day = forecasts.load_morning(connection, HELP, "2026-03-25")
        assert day is not None
        band = spread_out(np.array(day.offered), 0.02).tolist()
        made.work.today.publish(connection, [dataclasses.replace(day, offered_quantiles=band, version=day.version + 1)])

    made.database.run_here(narrow)
    return made


def test_a_morning_before_a_feed_first_spoke_is_not_observed(forecaster: Forecaster) -> None:
    usual = round(forecaster.today().offered[7])
    forecaster.told(NOON - HALF_HOUR, 1, usual)
    assert forecaster.today().trigger == "INTRADAY"
    assert 0.9 < (forecaster.today().day_factor or 0) < 1.1  # seven empty intervals would have halved it


def test_a_slow_morning_lowers_the_rest_whether_or_not_what_was_closed_is_kept(forecaster: Forecaster) -> None:
    usual = round(forecaster.today().offered[7])
    forecaster.told(NOON - 4 * HOUR, 8, round(0.5 * usual))
    kept = forecaster.today()
    assert (kept.day_factor or 1) < 0.8
    with forecaster.database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE closed_cell SET offered = NULL"))  # as an earlier version left it
        book_day = forecaster.work.streams.book_today(connection)
        forecaster.work.today.update(connection, book_day, book_day.queues[HELP], NOON)
    again = forecaster.today()
    assert again.version == kept.version + 1
    assert again.offered == kept.offered


def test_a_feed_that_dies_and_never_says_how_far_it_has_told_lowers_nothing(on_grace: Forecaster) -> None:
    usual = round(on_grace.today().offered[0])
    on_grace.told(WEDNESDAY + 8 * HOUR, 2, usual, says_how_far=False)  # six intervals closed empty since
    day = on_grace.today()
    assert day.trigger == "INTRADAY"
    assert 0.95 < (day.day_factor or 0) < 1.05


def test_what_a_dead_feed_tells_late_counts_again(on_grace: Forecaster) -> None:
    usual = round(on_grace.today().offered[0])
    on_grace.told(WEDNESDAY + 8 * HOUR, 2, usual, says_how_far=False)
    on_grace.told(WEDNESDAY + 9 * HOUR, 6, usual // 2, says_how_far=False)
    on_grace.database.run_here(lambda c: on_grace.work.reclose(c, f"{HELP}|{WEDNESDAY + 9 * HOUR}|{NOON - HALF_HOUR}", NOON))
    assert (on_grace.today().day_factor or 1) < 0.8


def test_nothing_is_a_zero_where_the_feed_says_so(on_grace: Forecaster) -> None:
    usual = round(on_grace.today().offered[0])
    on_grace.told(WEDNESDAY + 8 * HOUR, 2, usual, says_how_far=False)
    on_grace.told(WEDNESDAY + 9 * HOUR, 6, 0, says_how_far=False)  # reports of nothing
    on_grace.database.run_here(lambda c: on_grace.work.reclose(c, f"{HELP}|{WEDNESDAY + 9 * HOUR}|{NOON - HALF_HOUR}", NOON))
    assert (on_grace.today().day_factor or 1) < 0.6


def test_an_outage_of_lines_is_followed_where_the_feed_says_how_far_it_has_told(on_grace: Forecaster) -> None:
    usual = round(on_grace.today().offered[0])
    on_grace.told(WEDNESDAY + 8 * HOUR, 2, usual, says_how_far=False)
    word = Fact(Progress("acme", "live", (), NOON), NOON, b"", "")  # of all of the client's queues
    on_grace.database.run_here(lambda c: on_grace.work.streams.on_progress(c, [word]))
    with on_grace.database.engine.begin() as connection:
        book_day = on_grace.work.streams.book_today(connection)
        on_grace.work.today.update(connection, book_day, book_day.queues[HELP], NOON)
    assert (on_grace.today().day_factor or 1) < 0.6


def test_a_forecast_says_up_to_when_it_saw_data_not_what_came_while_it_was_made(forecaster: Forecaster) -> None:
    work, request = forecaster.work, {"client": "acme", "trigger": "REQUESTED"}
    forecaster.told(NOON - 2 * HOUR, 2, 20)
    gathered = forecaster.database.run_here(lambda c: work.fitting.load_fit(c, request))
    forecaster.told(NOON - HOUR, 2, 20)
    forecaster.database.run_here(lambda c: work.fitting.save_fit(c, request, fit_queues(gathered, lambda told: None)))
    tomorrow = forecaster.database.run_here(lambda c: forecasts.load_day(c, HELP, "2026-03-26"))
    assert tomorrow is not None
    assert tomorrow.data_watermark == NOON - HOUR
    assert forecaster.today().data_watermark == NOON  # what came since moves the rest of today


def test_days_before_intervals_became_shorter_are_scored_as_they_were(forecaster: Forecaster) -> None:
    thursday, queue = WEDNESDAY + DAY, forecaster.work.streams

    def scored() -> Score:
        def work(c: sa.Connection) -> Score:
            row = queue.book_today(c).queues[HELP]
            return score_days(c, row, "Europe/London", dt.date(2026, 3, 26), dt.date(2026, 3, 26)).leads[1]

        return forecaster.database.run_here(work)

    clock = forecaster.work.clock
    assert isinstance(clock, ConductedClock)
    clock.move(thursday + DAY)
    forecaster.told(thursday + 8 * HOUR, 24, 20)
    before = scored()
    assert before.offered == 480
    shorter = book()
    for row in shorter["queues"]:
        row["interval_seconds"] = 900
    with forecaster.database.engine.begin() as connection:
        BookOwner(forecaster.work.book, tuple(KINDS)).apply(connection, parse_book(shorter), False, 2)
    assert scored() == before


def test_what_is_older_than_is_kept_is_deleted_and_the_rest_stays(forecaster: Forecaster) -> None:
    tables = ("volume_cell", "closed_cell", "forecast_version", "outbox")

    def rows() -> dict[str, int]:
        def count(c: sa.Connection) -> dict[str, int]:
            return {t: int(c.execute(sa.text(f"SELECT count(*) FROM {t}")).scalar_one()) for t in tables}

        return forecaster.database.read_here(count)

    forecaster.told(NOON - 4 * HALF_HOUR, 4, 20)
    kept = rows()
    assert all(kept[t] for t in ("volume_cell", "closed_cell", "forecast_version"))
    days = forecaster.work.settings.keep_days
    clock = forecaster.work.clock
    assert isinstance(clock, ConductedClock)
    clock.move(NOON + days * DAY - 4 * HALF_HOUR)
    forecaster.database.run_here(lambda c: forecaster.work.prune(c, "", clock.now()))
    assert {t: rows()[t] for t in ("volume_cell", "closed_cell")} == {t: kept[t] for t in ("volume_cell", "closed_cell")}
    clock.move(NOON + days * DAY - 2 * HALF_HOUR)
    forecaster.database.run_here(lambda c: forecaster.work.prune(c, "", clock.now()))
    assert {t: rows()[t] for t in ("volume_cell", "closed_cell")} == {"volume_cell": 2, "closed_cell": 2}
    clock.move(NOON + (days + 1) * DAY)
    forecaster.database.run_here(lambda c: forecaster.work.prune(c, "", clock.now()))
    assert not any(rows()[t] for t in ("volume_cell", "closed_cell", "forecast_version"))
    assert forecaster.database.read_here(lambda c: forecaster.work.due.is_planned(c, "prune", "", clock.now() + DAY))


def test_an_intraday_message_replaces_only_the_intervals_it_carries() -> None:
    def day(starts: list[int], version: int, trigger: str) -> PublishedDay:
        n = len(starts)
        wide = [[0.0] * 7] * n
        return PublishedDay(
            "a/b",
            "2026-03-02",
            1800,
            starts,
            [version] * n,
            [float(version)] * n,
            [1.0] * n,
            wide,
            wide,
            trigger,
            "",
            0,
            0.0,
            0,
            0,
            version,
        )

    merged = merge_days(day([0, 1800, 3600], 1, "NIGHTLY"), day([3600], 2, "INTRADAY"))
    assert (merged.offered, merged.versions) == ([1.0, 1.0, 2.0], [1, 1, 2])
    assert merge_days(merged, day([3600], 1, "INTRADAY")).offered == [1.0, 1.0, 2.0]
