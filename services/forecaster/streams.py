"""Kafka edge of the forecaster: facts → slices → SQL. No arithmetic here."""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from muster.book.copy import BookCopy
from muster.book.demand import Queue
from muster.book.view import BookDay
from muster.domain.calendar import local_date
from muster.kit.clock import Clock
from muster.kit.due import DueWork
from muster.kit.errors import Refusal
from muster.kit.loop import Fact, Handled, Inlet
from services.forecaster import forecast_wire, volume_wire
from services.forecaster.domain.facts import Observed, Progress, Received, ReportColumns, Said
from services.forecaster.domain.tally import FIXED_EDGES
from services.forecaster.domain.volume import MINUTE, minute_of
from services.forecaster.errors import PARKED_LIMIT, refuse
from services.forecaster.handlers.volume import (
    LATENESS_HORIZON_SECONDS,
    VolumeSlice,
    is_aligned,
    on_adjustment,
    on_columns,
    on_contacts,
    on_report,
    spans_of,
)
from services.forecaster.locking import heard_late
from services.forecaster.scan import Contacts, scan_contacts
from services.forecaster.store import closing, outlooks
from services.forecaster.store import volume as store

EVERY_QUEUE = "*"


def one_by_one(facts: Sequence[Fact]) -> list[Fact]:
    """Return facts with what was read together read one by one."""
    return [one for fact in facts for one in (fact.message.again() if isinstance(fact.message, Contacts) else (fact,))]


FUTURE_SECONDS = 86_400


def _what_may_count(fact: Fact, locked: int) -> Fact:
    """Return a fact without its contacts that came too late and without what lies in a locked period."""
    told: Observed = fact.message
    oldest = max(fact.known_at - LATENESS_HORIZON_SECONDS, locked)
    contacts = tuple(c for c in told.contacts if c[0] >= oldest)
    return fact._replace(
        message=told._replace(contacts=contacts, reports=tuple(r for r in told.reports if r.starts_at >= locked))
    )


def _counts_whole(told: ReportColumns, seconds: int, locked: int) -> bool:
    """Return whether all rows of a block fit a queue's intervals and lie in no locked period."""
    fits = seconds % told.seconds == 0 or told.seconds % seconds == 0
    grid = min(told.seconds, seconds)
    return fits and min(told.starts) >= locked and not any(start % grid for start in told.starts)


@dataclasses.dataclass
class Streams:
    """What arrives at the forecaster."""

    book: BookCopy
    due: DueWork
    clock: Clock
    real_time: bool = True
    hot: store.HotContacts = dataclasses.field(default_factory=store.HotContacts)

    def inlets(self) -> list[Inlet]:
        return [
            Inlet(volume_wire.OBSERVED, volume_wire.read_observed, self.on_volume, scan_contacts),
            Inlet(volume_wire.PROGRESSED, volume_wire.read_progress, self.on_progress),
            Inlet(forecast_wire.RECEIVED, forecast_wire.read_received, self.on_received),
        ]

    def book_today(self, connection: sa.Connection) -> BookDay:
        """Return the book as it holds on the UTC day of now; queues' own zones matter only for their rows' dates."""
        return self.book.view(connection).at(local_date(self.clock.now(), "UTC"))

    def on_volume(self, connection: sa.Connection, facts: Sequence[Fact]) -> Handled:
        """Fold a batch of volume, queue by queue."""
        handled = Handled()
        book = self.book_today(connection)
        by_queue: dict[str, list[Fact]] = collections.defaultdict(list)
        for fact in facts:
            by_queue[fact.message.queue].append(fact)
        for queue, of_queue in sorted(by_queue.items()):
            row = book.queues.get(queue)
            if row is None:
                self._park(connection, one_by_one(of_queue), handled)
            else:
                self._fold(connection, row, self._edges(book, queue), of_queue, handled)
        return handled

    def _edges(self, book: BookDay, queue: str) -> tuple[int, ...]:
        """Return the edges of new histograms: the fixed ones, the contract's thresholds, and what counts as a short abandon."""
        contract = book.contract_of(queue)
        targets = contract.targets if contract else ()
        own = [s for t in targets for s in (t.threshold_seconds, t.short_abandon_seconds) if s]
        return tuple(sorted({*FIXED_EDGES, *(round(s * 1000) for s in own)}))

    def _deadline_edges(self, connection: sa.Connection, queue: Queue, starts: Sequence[int]) -> dict[int, tuple[int, ...]]:
        """Return for intervals of deferred work what their items may wait until they are due: the least and the most, milliseconds."""
        book = self.book_today(connection)
        contract = book.contract_of(queue.name)
        found: dict[int, tuple[int, ...]] = {}
        for target in contract.targets if contract and starts else ():
            deadlines = book.deadlines(queue, target)
            if deadlines is not None:
                try:
                    least, most = deadlines.waits(np.array(starts, np.int64), queue.interval_seconds)
                except ValueError:  # hours of service that never make it due: then no edge tells, and nothing is observed
                    continue
                for start, *seconds in zip(starts, least, most, strict=True):
                    found[start] = (*found.get(start, ()), *(1000 * int(s) for s in seconds))
        return found

    def _park(self, connection: sa.Connection, facts: list[Fact], handled: Handled) -> None:
        client = facts[0].message.client
        room, rows = PARKED_LIMIT - closing.parked_of(connection, client), list[dict[str, Any]]()
        for fact in facts:
            observed: Observed = fact.message
            if len(rows) >= room:
                why = f"{client} has {PARKED_LIMIT} facts of undeclared queues parked; declare {observed.queue} first"
                handled.refused.append((fact, refuse("QUEUE_LIMIT", why)))
                continue
            rows.append(
                {
                    "client": client,
                    "queue": observed.queue,
                    "topic": volume_wire.OBSERVED,
                    "origin": fact.origin,
                    "known_at": fact.known_at,
                    "value": fact.value,
                    "headers_json": fact.value[:1] in (b"{", b"["),
                }
            )
        closing.park(connection, rows)

    def _fold(
        self, connection: sa.Connection, queue: Queue, edges: tuple[int, ...], facts: list[Fact], handled: Handled
    ) -> None:
        locked = closing.locked_through(connection, queue.client)
        scanned, others, good = list[Fact](), list[Fact](), list[Fact]()
        for fact in facts:
            whole = isinstance(fact.message, Contacts) and fact.message.rows[:, 0].min() >= locked
            (scanned if whole else others).append(fact)
        for fact in one_by_one(others):
            if fact.message.columns and not _counts_whole(fact.message.columns, queue.interval_seconds, locked):
                fact = fact._replace(message=fact.message.row_by_row())
            refusal = self._refusal(queue, fact.message, fact.known_at, locked)
            if refusal is None:
                good.append(fact)
                continue
            handled.refused.append((fact, refusal))
            rest = _what_may_count(fact, locked)
            if refusal.reason != "MISALIGNED_INTERVAL" and rest.message.starts():
                good.append(rest)
        if not good and not scanned:
            return
        told = self._contacts_told(scanned, good)
        state = VolumeSlice(queue.name, queue.interval_seconds, edges)
        starts = {s for rows in told.values() for s in spans_of(rows, state.seconds)}
        state.own_edges = self._deadline_edges(connection, queue, sorted(starts))
        store.load_contacts(connection, state, starts, self.hot)
        reported = {r.starts_at for f in good for r in f.message.reports}
        reported.update(*(f.message.columns.starts for f in good if f.message.columns))
        store.load_reports(connection, state, reported)
        store.load_adjustments(connection, state, {a.adjustment_id for f in good for a in f.message.adjustments})
        for (feed, official, minute), rows in sorted(told.items(), key=lambda item: item[0][2]):
            on_contacts(state, feed, official, rows, minute * MINUTE)
        for fact in good:
            for report in fact.message.reports:
                on_report(state, fact.message.feed, fact.message.official, report, fact.known_at)
            if fact.message.columns:
                on_columns(state, fact.message.feed, fact.message.official, fact.message.columns, fact.known_at)
            for adjustment in fact.message.adjustments:
                on_adjustment(state, adjustment)
        store.save_contacts(connection, state, self.hot)
        store.save_reports(connection, state)
        store.save_adjustments(connection, state)
        self._raise_progress(connection, queue.name, [*scanned, *good])
        self._plan_reclose(connection, state)

    def _contacts_told(self, scanned: list[Fact], facts: list[Fact]) -> dict[tuple[str, bool, int], npt.NDArray[np.int64]]:
        """Return contacts by feed, basis and the minute in which they became known."""
        told: dict[tuple[str, bool, int], list[npt.NDArray[np.int64]]] = collections.defaultdict(list)
        for fact in scanned:
            told[fact.message.feed, fact.message.official, minute_of(fact.known_at)].append(fact.message.rows)
        for fact in facts:
            observed: Observed = fact.message
            if observed.contacts:
                told[observed.feed, observed.official, minute_of(fact.known_at)].append(np.array(observed.contacts, np.int64))
        return {key: parts[0] if len(parts) == 1 else np.concatenate(parts) for key, parts in told.items()}

    def _refusal(self, queue: Queue, observed: Observed, known_at: int, locked: int) -> Refusal | None:
        for report in observed.reports:
            if not is_aligned(report, queue.interval_seconds):
                why = f"a report of {report.seconds} s does not fit the queue's intervals of {queue.interval_seconds} s"
                return refuse("MISALIGNED_INTERVAL", why)
        if any(report.starts_at < locked for report in observed.reports):
            why = f"{queue.client} is locked before {locked}; send an adjustment with its reason instead"
            return refuse("PERIOD_LOCKED", why)
        oldest = known_at - LATENESS_HORIZON_SECONDS
        old = sum(c[0] < oldest for c in observed.contacts)
        if old:
            return refuse("VOLUME_TOO_LATE", f"{old} contacts arrived more than 72 h before; send a report instead")
        if locked > oldest and any(c[0] < locked for c in observed.contacts):
            return refuse("PERIOD_LOCKED", f"{queue.client} is locked before {locked}; send an adjustment instead")
        return None

    def _raise_progress(self, connection: sa.Connection, queue: str, facts: list[Fact]) -> None:
        spoken: dict[str, tuple[int, int]] = {}
        for fact in facts:
            starts = fact.message.rows[:, 0] if isinstance(fact.message, Contacts) else fact.message.starts()
            low, high = (int(starts.min()), int(starts.max())) if isinstance(starts, np.ndarray) else (min(starts), max(starts))
            old = spoken.get(fact.message.feed)
            spoken[fact.message.feed] = (min(old[0], low), max(old[1], high)) if old else (low, high)
        for feed, (low, high) in sorted(spoken.items()):
            closing.raise_progress(connection, queue, feed, closing.Told(None, high, low))

    def _plan_reclose(self, connection: sa.Connection, state: VolumeSlice) -> None:
        """Have intervals that were closed already looked at again."""
        through = closing.closed_through(connection, state.queue)
        late = [start for start in state.changed_starts() if start < through]
        if late:
            self.due.plan(connection, "reclose", f"{state.queue}|{min(late)}|{max(late)}", self.clock.now())

    def on_progress(self, connection: sa.Connection, facts: Sequence[Fact]) -> Handled:
        """Raise feeds' progress, and have what that completes closed."""
        book, handled = self.book_today(connection), Handled()
        for fact in facts:
            progress: Progress = fact.message
            if self.real_time and progress.complete_through > self.clock.now() + FUTURE_SECONDS:
                why = f"complete_through {progress.complete_through} lies more than a day ahead of {self.clock.now()}"
                handled.refused.append((fact, refuse("INVALID_PROGRESS", why)))
                continue
            named = progress.queues or (f"{progress.client}/{EVERY_QUEUE}",)
            for queue in named:
                closing.raise_progress(connection, queue, progress.feed, closing.Told(progress.complete_through))
            spoken_of = progress.queues or [q for q in book.queues if q.startswith(progress.client + "/")]
            for queue in spoken_of:
                self.due.plan(connection, "close", queue, self.clock.now())
        return handled

    def on_received(self, connection: sa.Connection, facts: Sequence[Fact]) -> Handled:
        """Keep forecasts that others made, local day by local day."""
        book, handled, days = self.book_today(connection), Handled(), list[Received]()
        for fact in facts:
            said: Said = fact.message
            queue = book.queues.get(said.queue)
            if queue is None:
                then = "declare it with muster apply, then muster dlq replay"
                handled.refused.append((fact, refuse("UNKNOWN_QUEUE", f"{said.queue} is not in the book; {then}")))
                continue
            try:
                forecast_wire.check_grid(said, queue.interval_seconds, book.zone_of(queue))
            except Refusal as refusal:
                handled.refused.append((fact, refusal))
            else:
                days += said.days(book.zone_of(queue), fact.known_at)
        outlooks.save_received(connection, days)
        for name, first, last in heard_late(connection, days):
            self.due.plan(connection, "reclose", f"{name}|{first}|{last}", self.clock.now())
        return handled

    def take_parked(self, connection: sa.Connection, queue: str) -> list[Fact]:
        """Return the facts parked for a queue, decoded again."""
        facts = []
        for row in closing.unpark(connection, queue):
            message = volume_wire.read_observed(bytes(row.value), {})
            facts.append(Fact(message, row.known_at, bytes(row.value), row.origin, queue.encode()))
        return facts
