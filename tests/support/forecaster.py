"""The forecaster's work on a database, without Kafka: what is told to it, and what it publishes."""

import dataclasses
import pathlib
from typing import Any

import sqlalchemy as sa

from muster.book.check import parse_book
from muster.book.copy import BookCopy, BookOwner
from muster.book.types import KINDS
from muster.kit.clock import ConductedClock
from muster.kit.due import DueWork
from muster.kit.jobs import Jobs
from muster.kit.loop import Fact
from muster.kit.outbox import Outbox
from muster.kit.sql import Database, migrate
from services.forecaster.domain.engine.intraday import Drift
from services.forecaster.domain.facts import Observed, Progress, PublishedDay, ReportFact
from services.forecaster.domain.tally import Tally
from services.forecaster.fitting import fit_queues
from services.forecaster.gathering import Gathering
from services.forecaster.settings import ForecasterSettings
from services.forecaster.store import forecasts
from services.forecaster.store.tables import metadata
from services.forecaster.streams import Streams
from services.forecaster.work import Work
from tests.support.small_world import QUEUES, WEDNESDAY, book

HOUR, HALF_HOUR = 3600, 1800
HELP, NOON = QUEUES[0], WEDNESDAY + 12 * HOUR
# How a day of the worlds below is told to leave its forecast, and what the days after keep of it.
DRIFT = Drift(0.04, 0.001, 0.5, 0.001)
FADING = Drift(0.001, 0.04, 0.8, 0.001)
LASTING = (0.6, 0.4, 0.2)


@dataclasses.dataclass
class Forecaster:
    """The forecaster's work on a database, without Kafka, at noon of a day of which it has a forecast."""

    database: Database
    work: Work

    def told(self, first: int, count: int, offered: int, says_how_far: bool = True) -> None:
        """Report `count` intervals of as many contacts, and that everything up to their end is told."""
        starts = [first + n * HALF_HOUR for n in range(count)]
        reports = tuple(ReportFact(s, HALF_HOUR, 1, Tally(offered=offered, answered=offered, abandoned=0)) for s in starts)
        volume = Fact(Observed(HELP, "live", False, (), reports), NOON, b"", "")
        word = Fact(Progress("acme", "live", (HELP,), starts[-1] + HALF_HOUR), NOON, b"", "")
        self.database.run_here(lambda c: self.work.streams.on_volume(c, [volume]))
        if says_how_far:
            self.database.run_here(lambda c: self.work.streams.on_progress(c, [word]))
        self.database.run_here(lambda c: self.work.close(c, HELP, NOON))

    def today(self) -> PublishedDay:
        day = self.database.run_here(lambda c: forecasts.load_day(c, HELP, "2026-03-25"))
        assert day is not None
        return day


def forecaster_on(engine: sa.Engine, small: dict[str, Any] | None = None, now: int = NOON) -> Forecaster:
    """Return the forecaster's work on the small book, fitted."""
    migrate(engine, pathlib.Path("services/forecaster/store/migrations"))
    database, clock, copy = Database(engine), ConductedClock(now), BookCopy(metadata)
    with engine.begin() as connection:
        BookOwner(copy, tuple(KINDS)).apply(connection, parse_book(small or book()), False, 1)
    outbox, due = Outbox(metadata, clock), DueWork(database, metadata, clock, runs_itself=False)
    streams, jobs = Streams(copy, due, clock), Jobs(database, metadata, clock, "one", 60.0)
    settings = ForecasterSettings()  # type: ignore[call-arg]
    work = Work(settings, copy, streams, due, jobs, outbox, clock, Gathering(settings, copy, clock))
    request = {"client": "acme", "trigger": "BOOK"}
    fitted = fit_queues(database.run_here(lambda c: work.fitting.load_fit(c, request)), lambda told: None)
    database.run_here(lambda c: work.fitting.save_fit(c, request, fitted))
    return Forecaster(database, work)


class World(Forecaster):
    """A forecaster of whose queue past days are known to have kept some of how their day before ran."""

    def day(self, text: str) -> PublishedDay:
        day = self.database.run_here(lambda c: forecasts.load_day(c, HELP, text))
        assert day is not None
        return day

    def learnt(self, drift: Drift = DRIFT, lasting: tuple[float, ...] = LASTING) -> None:
        """Publish its days as a fit would that had a history to rest on."""

        def work(c: sa.Connection) -> None:
            days = forecasts.list_days(c, HELP, "2026-03-25", "2026-04-10", 20, 0)
            made = [
                dataclasses.replace(d, lasting=lasting, drift=drift.flat(), trigger="BOOK", version=d.version + 1) for d in days
            ]
            self.work.today.publish(c, made)

        self.database.run_here(work)

    def follow(self) -> bool:
        """Do what is due of days after; return whether anything was."""

        def work(c: sa.Connection) -> bool:
            due = self.work.due.cancel(c, "days_after", HELP, self.work.clock.now())
            if due:
                self.work.days_after(c, HELP, self.work.clock.now())
            return due

        return self.database.run_here(work)

    def half_a_morning(self) -> None:
        """Tell of four hours with half as many contacts as were expected."""
        self.told(NOON - 4 * HOUR, 8, round(0.5 * self.day("2026-03-25").offered[7]))

    def apply(self, **kinds: Any) -> None:
        """Apply the small book with some kinds of rows changed."""
        with self.database.engine.begin() as connection:
            BookOwner(self.work.book, tuple(KINDS)).apply(connection, parse_book({**book(), **kinds}), False, 2)
