"""What a fit takes for zeros of the past, and what for the silence of a dead feed."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from muster.book.check import parse_book
from muster.book.copy import BookOwner
from muster.book.types import KINDS
from muster.domain.calendar import DAY
from muster.kit.clock import ConductedClock
from muster.kit.loop import Fact
from services.forecaster.domain.facts import Observed, Progress, PublishedDay, ReportFact
from services.forecaster.domain.laying_out import spread_out
from services.forecaster.domain.queue_forecast import QueueFacts
from services.forecaster.domain.suspects import suspected
from services.forecaster.domain.tally import Tally
from services.forecaster.fitting import fit_queues
from services.forecaster.store import forecasts
from tests.support.forecaster import Forecaster, forecaster_on
from tests.support.small_world import QUEUES, WEDNESDAY, book

HOUR, HALF_HOUR, SLOTS = 3600, 1800, 24
HELP, OPENS, THURSDAY = QUEUES[0], WEDNESDAY + 8 * HOUR, WEDNESDAY + DAY
ALIVE = 10  # intervals of Wednesday until the feed died


@dataclasses.dataclass
class Night:
    """The night after a Wednesday on which a feed died at one, after three weeks of as many contacts in each interval."""

    forecaster: Forecaster
    contacts: int
    small: dict[str, Any]

    def told(self, first: int, count: int, offered: int) -> None:
        starts = [first + n * HALF_HOUR for n in range(count)]
        reports = tuple(
            ReportFact(s, HALF_HOUR, 1, Tally(offered=offered, handled=offered, handle_ms=240_000 * offered)) for s in starts
        )
        fact = Fact(Observed(HELP, "live", False, (), reports), THURSDAY, b"", "")
        self.forecaster.database.run_here(lambda c: self.forecaster.work.streams.on_volume(c, [fact]))

    def end(self) -> None:
        """Let the night come: all of Wednesday is closed by the feed's grace."""
        clock = self.forecaster.work.clock
        assert isinstance(clock, ConductedClock)
        clock.move(THURSDAY + 2 * HOUR)
        self.forecaster.database.run_here(lambda c: self.forecaster.work.close(c, HELP, clock.now()))

    def facts(self) -> QueueFacts:
        request = {"client": "acme", "trigger": "NIGHTLY"}
        gathered = self.forecaster.database.run_here(lambda c: self.forecaster.work.fitting.load_fit(c, request))
        found: QueueFacts = gathered["queues"][0][0]
        assert found.queue == HELP
        return found

    def dead_hours(self) -> set[int | None]:
        """Return what the fit takes Wednesday's intervals from one o'clock on to have brought."""
        cells = self.facts().cells
        return {cells[OPENS + n * HALF_HOUR][0] for n in range(ALIVE, SLOTS)}

    def next_wednesday(self) -> float:
        """Return the contacts that the night's fit expects of Wednesday's intervals from one o'clock on."""
        payload = {"queues": [(self.facts(), self._thursday())], "days": 7}
        return float(fit_queues(payload, lambda told: None)[0].days[6].offered[ALIVE:].sum())

    def _thursday(self) -> Any:
        request = {"client": "acme", "trigger": "NIGHTLY"}
        return self.forecaster.database.run_here(lambda c: self.forecaster.work.fitting.load_fit(c, request))["queues"][0][1]


def night(engine: sa.Engine, contacts: int, **morning: Any) -> Night:
    small = book()
    small["clients"][0]["feeds"][0]["grace_seconds"] = 0
    made = Night(forecaster_on(engine, small), contacts, small)

    def publish(connection: sa.Connection) -> None:
        """Publish Wednesday's morning as a history of three weeks has it."""
        day = forecasts.load_morning(connection, HELP, "2026-03-25")
        assert day is not None
        offered = [float(contacts)] * SLOTS
        band = spread_out(np.array(offered), 0.02).tolist()
        changes: dict[str, Any] = {"offered": offered, "offered_quantiles": band, "version": day.version + 1} | morning
        later: PublishedDay = dataclasses.replace(day, **changes)
        made.forecaster.work.today.publish(connection, [later])

    made.forecaster.database.run_here(publish)
    for back in range(21, 0, -1):
        made.told(OPENS - back * DAY, SLOTS, contacts)
    made.told(OPENS, ALIVE, contacts)
    return made


def test_a_fit_learns_nothing_from_the_hours_after_a_feed_died(engine: sa.Engine) -> None:
    ended = night(engine, contacts=20)
    ended.end()
    assert ended.dead_hours() == {None}
    assert ended.next_wednesday() == pytest.approx(20 * (SLOTS - ALIVE), rel=0.02)


def test_a_quiet_queue_is_quiet(engine: sa.Engine) -> None:
    made = night(engine, contacts=0, offered=[0.2] * SLOTS, offered_quantiles=spread_out(np.full(SLOTS, 0.2), 0.02).tolist())
    made.told(OPENS - 7 * DAY, SLOTS, 1)
    made.end()
    assert made.dead_hours() == {0}


def test_what_the_feed_says_it_has_told_is_a_zero(engine: sa.Engine) -> None:
    ended = night(engine, contacts=20)
    word = Fact(Progress("acme", "live", (HELP,), THURSDAY), THURSDAY, b"", "")
    ended.end()
    ended.forecaster.database.run_here(lambda c: ended.forecaster.work.streams.on_progress(c, [word]))
    assert ended.dead_hours() == {0}


def test_reports_of_nothing_are_zeros(engine: sa.Engine) -> None:
    ended = night(engine, contacts=20)
    ended.told(OPENS + ALIVE * HALF_HOUR, SLOTS - ALIVE, 0)
    ended.end()
    assert ended.dead_hours() == {0}


def test_zeros_of_a_day_that_an_event_says_to_learn_from_are_learnt(engine: sa.Engine) -> None:
    ended = night(engine, contacts=20)
    ended.end()
    span = {"first_date": "2026-03-25", "last_date": "2026-03-25"}
    moved = {"name": "acme/moved", **span, "learned": True, "owner": "ann", "reason": "lines moved away"}
    with ended.forecaster.database.engine.begin() as connection:
        BookOwner(ended.forecaster.work.book, tuple(KINDS)).apply(
            connection, parse_book(ended.small | {"events": [moved]}), False, 2
        )
    assert ended.dead_hours() == {0}


@pytest.mark.parametrize("other", [{"seconds": 900}, {"offered_quantiles": [[0.0, 0.0, 5.0, 15.0, 30.0, 50.0, 70.0]] * SLOTS}])
def test_no_zero_is_doubted_by_a_forecast_of_other_intervals_or_one_that_hardly_knows(
    engine: sa.Engine, other: dict[str, Any]
) -> None:
    ended = night(engine, contacts=20, **other)
    ended.end()
    assert ended.dead_hours() == {0}


def test_zeros_before_any_forecast_was_published_are_zeros(engine: sa.Engine) -> None:
    ended = night(engine, contacts=20)
    ended.end()
    with ended.forecaster.database.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM forecast_day WHERE local_date = '2026-03-25'"))
    assert ended.dead_hours() == {0}


def test_only_intervals_that_usually_bring_contacts_are_suspected() -> None:
    def history(offered: int, closed: range, dead: range) -> dict[int, int | None]:
        """Three weeks of half-hours around the clock; `closed`: those of each Saturday in which nothing comes."""
        told: dict[int, int | None] = {}
        for n in range(21 * 48):
            quiet = n // 48 % 7 == 2 and n % 48 in closed  # the first day is a Thursday
            told[n * HALF_HOUR] = 0 if quiet or n in dead else offered
        return told

    dead = range(480, 490)
    assert suspected(history(2, range(0), dead), HALF_HOUR, 0) == [n * HALF_HOUR for n in dead]
    assert suspected(history(2, range(0), range(480, 481)), HALF_HOUR, 0) == []  # of two contacts none may come
    assert suspected(history(20, range(48), range(0)), HALF_HOUR, 0) == []  # closed on Saturdays, whatever is declared
    assert suspected(history(20, range(24, 48), range(0)), HALF_HOUR, 0) == []  # and on their afternoons
    unknown = history(2, range(0), range(0)) | {n * HALF_HOUR: None for n in dead}
    assert suspected(unknown, HALF_HOUR, 0) == []
    assert suspected({}, HALF_HOUR, 0) == []
