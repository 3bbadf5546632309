"""The forecaster's time-driven work: closing intervals, using what waited for its queue, and what recurs."""

import dataclasses
import datetime as dt

import sqlalchemy as sa

from muster.book.copy import BookCopy, Key
from muster.book.demand import Queue
from muster.book.view import BookDay, intake_hours
from muster.book.words import Reporting
from muster.domain.calendar import DAY, dates, local_date, resolve
from muster.kit.clock import Clock
from muster.kit.due import DueWork
from muster.kit.jobs import Jobs
from muster.kit.logs import get_log
from muster.kit.loop import dead_letter
from muster.kit.outbox import Outbox
from services.forecaster import feeds, volume_wire, wire
from services.forecaster.domain.volume import closed_through
from services.forecaster.fitting import Fitting
from services.forecaster.gathering import Gathering
from services.forecaster.handlers.closing import close_cells
from services.forecaster.handlers.volume import LATENESS_HORIZON_SECONDS
from services.forecaster.locking import locked_counts
from services.forecaster.settings import ForecasterSettings
from services.forecaster.store import closing, volume
from services.forecaster.streams import Streams
from services.forecaster.today import Today

FORECAST_KINDS = ("clients", "queues", "overrides", "events")


@dataclasses.dataclass
class Work:
    """Due work and jobs of the forecaster."""

    settings: ForecasterSettings
    book: BookCopy
    streams: Streams
    due: DueWork
    jobs: Jobs
    outbox: Outbox
    clock: Clock
    gathering: Gathering

    def __post_init__(self) -> None:
        self.today = Today(self.outbox, self.clock, self.due)
        self.fitting = Fitting(self.settings, self.streams, self.due, self.jobs, self.clock, self.gathering, self.today)

    def declare(self) -> None:
        """Say what is done for each kind, in the order in which they run."""
        self.due.declare("unpark", self.unpark)
        self.due.declare("close", self.close)
        self.due.declare("reclose", self.reclose)
        self.due.declare("days_after", self.days_after)
        self.fitting.declare()
        self.due.declare("prune", self.prune)

    def begin(self, connection: sa.Connection) -> None:
        """Plan what recurs. In a conducted world whose clock has not moved, the first tick plans it through the book."""
        if self.clock.now():
            for client in self.streams.book_today(connection).clients.values():
                self.fitting.plan_nightly(connection, client)
            self.due.plan_once(connection, "prune", "", self.clock.now())

    def on_book(self, connection: sa.Connection, changed: set[Key]) -> None:
        """Have a client's queues fitted when its book changes, and parked facts of new queues used."""
        names = {name.partition("/")[0] for kind, name, _ in changed if kind in FORECAST_KINDS}
        for client in sorted(names):
            self.due.plan(connection, "fit", client, self.clock.now())
        for kind, name, valid_from in sorted(changed):
            if kind in FORECAST_KINDS and valid_from:
                starts = resolve(dt.datetime.fromisoformat(valid_from), "UTC")
                self.due.plan(connection, "fit", name.partition("/")[0], max(starts, self.clock.now()))
                if kind == "queues":
                    self.due.plan(connection, "unpark", name, max(starts, self.clock.now()))
            if kind == "queues":
                self.due.plan(connection, "unpark", name, self.clock.now())
            if kind == "clients":
                self.due.plan(connection, "nights", name, self.clock.now())

    def unpark(self, connection: sa.Connection, queue: str, due_at: int) -> None:
        """Use facts that came before their queue was declared."""
        facts = self.streams.take_parked(connection, queue)
        if facts:
            handled = self.streams.on_volume(connection, facts)
            dead = [dead_letter(volume_wire.OBSERVED, fact, refusal) for fact, refusal in handled.refused]
            self.outbox.write(connection, [*handled.messages, *dead])
            get_log().info("volume_unparked", queue=queue, messages=len(facts))
        self.due.plan(connection, "close", queue, self.clock.now())

    def reports_at_the_end(self, connection: sa.Connection, book: BookDay, queue: Queue) -> bool:
        """Return whether a feed that counts for the queue tells of a contact only when it is over."""
        client = book.clients.get(queue.client)
        counting = feeds.counting_feeds(book, queue, feeds.progress(connection, queue))
        return any(f.name in counting and f.reports == Reporting.END for f in client.feeds) if client else False

    def close(self, connection: sa.Connection, name: str, due_at: int) -> None:
        """Close the intervals that feeds have completed, tell staffing, and update the rest of today."""
        book = self.streams.book_today(connection)
        queue = book.queues.get(name)
        if queue is None:
            return
        told, now = feeds.progress(connection, queue), self.clock.now()
        counting = feeds.counting_feeds(book, queue, told)
        through = min(closed_through([(told[f].complete_through, grace) for f, grace in counting.items()], now), now)
        through -= through % queue.interval_seconds
        before = closing.closed_through(connection, name)
        if graces := [g for g in counting.values() if g is not None]:
            step = queue.interval_seconds
            self.due.plan(connection, "close", name, now - now % step + step + max(graces))
        if through <= before:
            return
        since = min((told[f].first_told_at or through for f in counting), default=through)
        self._publish_closed(connection, book, queue, max(before, since - since % queue.interval_seconds), through)
        closing.save_closed_through(connection, name, through)
        self.today.update(connection, book, queue, through)

    def reclose(self, connection: sa.Connection, key: str, due_at: int) -> None:
        """Look again at closed intervals that a late fact changed."""
        name, first, last = key.split("|")
        book = self.streams.book_today(connection)
        queue = book.queues.get(name)
        if queue is not None:
            end = min(int(last) + DAY, closing.closed_through(connection, name))
            begin = int(first) - int(first) % queue.interval_seconds
            self._publish_closed(connection, book, queue, begin, end, zeros=False)
            self.today.update(connection, book, queue, closing.closed_through(connection, name))

    def days_after(self, connection: sa.Connection, name: str, due_at: int) -> None:
        """Move the days after today as it runs."""
        book = self.streams.book_today(connection)
        queue = book.queues.get(name)
        if queue is not None:
            self.today.tell_days_after(connection, book, queue)

    def _publish_closed(
        self, connection: sa.Connection, book: BookDay, queue: Queue, begin: int, end: int, zeros: bool = True
    ) -> None:
        """Publish what intervals between two instants became. `zeros`: also those of which nothing was told."""
        reports = volume.reports_between(connection, queue.name, begin, end)
        zone, seconds = book.zone_of(queue), queue.interval_seconds
        hours = intake_hours(queue)
        opened = {
            s
            for day in dates(local_date(begin, zone), local_date(end - 1, zone))
            for s in (hours.open_starts(day, zone, seconds) if zeros else ())
        }
        told = {s for r in reports for s in range(r.starts_at - r.starts_at % seconds, r.starts_at + r.seconds, seconds)}
        starts = sorted(s for s in opened | told if begin <= s and s + seconds <= end)
        said = closing.closed_cells(connection, queue.name, starts)
        before = {start: (was.revision, was.digest) for start, was in said.items()}
        locked = locked_counts(connection, self.book.view(connection), queue, zone, starts, said)
        cells = close_cells(reports, starts, seconds, before, closing.digest, locked)
        messages = [wire.closed_message(queue.name, seconds, c.cell, c.revision, end, c.locked) for c in cells]
        self.outbox.write(connection, messages)
        now = self.clock.now()
        rows = []
        for c in cells:
            first = said[c.cell.starts_at].closed_at if c.cell.starts_at in said else now
            rows.append((c.cell.starts_at, closing.Said(c.revision, c.digest, first, c.cell.tally.offered)))
        closing.save_closed_cells(connection, queue.name, rows)
        if cells:
            get_log().info("volume_closed", queue=queue.name, intervals=len(cells), through=end)

    def prune(self, connection: sa.Connection, key: str, due_at: int) -> None:
        """Delete what is older than its retention says, and plan the next round."""
        now = self.clock.now()
        # Against the newest contact, not the clock: after an outage the backlog still needs its identities.
        cold = min(now, volume.newest_contact(connection)) - LATENESS_HORIZON_SECONDS - DAY
        closed_at = closing.closing_minutes(connection, cold - 14 * DAY, cold)
        volume.compact_spans(connection, cold, closed_at)
        volume.compact_reports(
            connection, now - 6 * DAY, now - 4 * DAY, closing.closing_minutes(connection, now - 6 * DAY, now)
        )
        oldest = now - self.settings.keep_days * DAY
        connection.execute(sa.text("DELETE FROM forecast_version WHERE made_at < :before"), {"before": oldest})
        self.jobs.prune(connection, now - 30 * DAY)
        for table in ("volume_cell", "closed_cell"):
            connection.execute(sa.text(f"DELETE FROM {table} WHERE starts_at < :before"), {"before": oldest})  # noqa: S608
        day = {"day": local_date(max(oldest, 0), "UTC").isoformat()}
        for table in ("day_score", "received_forecast", "locked_day"):
            connection.execute(sa.text(f"DELETE FROM {table} WHERE local_date < :day"), day)  # noqa: S608
        self.outbox.prune(connection, now - 14 * DAY)
        self.due.plan(connection, "prune", "", now + DAY)
