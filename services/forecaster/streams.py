"""Kafka edge of the forecaster: facts → slices → SQL. No arithmetic here."""

import collections
import dataclasses
from collections.abc import Sequence

import sqlalchemy as sa

from muster.book.copy import BookCopy
from muster.book.types import Queue
from muster.book.view import BookDay
from muster.domain.calendar import local_date
from muster.kit.clock import Clock
from muster.kit.due import DueWork
from muster.kit.errors import Refusal
from muster.kit.loop import Fact, Handled, Inlet
from services.forecaster import wire
from services.forecaster.domain.facts import Observed, Progress
from services.forecaster.domain.volume import FIXED_EDGES
from services.forecaster.errors import LATENESS_HORIZON_SECONDS, PARKED_LIMIT, refuse
from services.forecaster.handlers.volume import SpanKey, VolumeSlice, is_aligned, on_observed, touched_starts
from services.forecaster.store import volume as store

EVERY_QUEUE = "*"
FUTURE_SECONDS = 86_400


@dataclasses.dataclass
class Streams:
    """What arrives at the forecaster."""

    book: BookCopy
    due: DueWork
    clock: Clock
    real_time: bool = True

    def inlets(self) -> list[Inlet]:
        return [
            Inlet(wire.OBSERVED, wire.read_observed, self.on_volume),
            Inlet(wire.PROGRESSED, wire.read_progress, self.on_progress),
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
                self._park(connection, of_queue, handled)
            else:
                self._fold(connection, row, self._edges(book, queue), of_queue, handled)
        return handled

    def _edges(self, book: BookDay, queue: str) -> tuple[int, ...]:
        """Return the edges of new histograms: the fixed ones and the contract's thresholds."""
        contract = book.contract_of(queue)
        own = [t.threshold_seconds for t in contract.targets if t.threshold_seconds] if contract else []
        return tuple(sorted({*FIXED_EDGES, *(round(s * 1000) for s in own)}))

    def _park(self, connection: sa.Connection, facts: list[Fact], handled: Handled) -> None:
        for fact in facts:
            observed: Observed = fact.message
            row = {
                "client": observed.client,
                "queue": observed.queue,
                "topic": wire.OBSERVED,
                "origin": fact.origin,
                "known_at": fact.known_at,
                "value": fact.value,
                "headers_json": fact.value[:1] in (b"{", b"["),
            }
            if not store.park(connection, row, PARKED_LIMIT):
                why = f"{observed.client} has {PARKED_LIMIT} facts of undeclared queues parked; declare {observed.queue} first"
                handled.refused.append((fact, refuse("QUEUE_LIMIT", why)))

    def _fold(
        self, connection: sa.Connection, queue: Queue, edges: tuple[int, ...], facts: list[Fact], handled: Handled
    ) -> None:
        good = []
        for fact in facts:
            refusal = self._refusal(queue, fact.message, fact.known_at)
            if refusal is not None:
                handled.refused.append((fact, refusal))
            if refusal is None or refusal.reason == "VOLUME_TOO_LATE":
                good.append(fact)
        state = VolumeSlice(queue.name, queue.interval_seconds, edges)
        self._load(connection, state, [f.message for f in good])
        for fact in good:
            on_observed(state, fact.message, fact.known_at)
        self._save(connection, state, good)

    def _refusal(self, queue: Queue, observed: Observed, known_at: int) -> Refusal | None:
        for report in observed.reports:
            if not is_aligned(report, queue.interval_seconds):
                why = f"a report of {report.seconds} s does not fit the queue's intervals of {queue.interval_seconds} s"
                return refuse("MISALIGNED_INTERVAL", why)
        old = [c for c in observed.contacts if c.arrived_at < known_at - LATENESS_HORIZON_SECONDS]
        if old:
            return refuse("VOLUME_TOO_LATE", f"{len(old)} contacts arrived more than 72 h before; send a report instead")
        return None

    def _load(self, connection: sa.Connection, state: VolumeSlice, observed: list[Observed]) -> None:
        prints: dict[str, set[str]] = collections.defaultdict(set)
        for o in observed:
            prints[o.identity] |= {c.fingerprint for c in o.contacts}
        starts = touched_starts(observed, state.seconds)
        for feed, wanted in prints.items():
            state.contacts[feed] = store.load_contacts(connection, state.queue, feed, wanted)
            starts |= {c.arrived_at - c.arrived_at % state.seconds for c in state.contacts[feed].values()}
        for r in store.load_reports(connection, state.queue, starts):
            state.reports[r.starts_at, r.feed, r.official, r.from_report] = r

    def _save(self, connection: sa.Connection, state: VolumeSlice, facts: list[Fact]) -> None:
        told: dict[str, set[str]] = collections.defaultdict(set)
        spoken: dict[str, store.Told] = collections.defaultdict(store.Told)
        for fact in facts:
            o: Observed = fact.message
            told[o.identity] |= {c.fingerprint for c in o.contacts}
            at = [c.arrived_at for c in o.contacts] + [r.starts_at for r in o.reports]
            spoken[o.feed] = spoken[o.feed].with_(store.Told(None, max(at), min(at)))
        for feed, prints in told.items():
            known = state.contacts.get(feed, {})
            store.save_contacts(connection, state.queue, feed, [known[p] for p in sorted(prints) if p in known])
        changed = sorted(state.changed)
        store.save_reports(connection, state.queue, [state.reports[key] for key in changed], state.known_at)
        for feed, word in sorted(spoken.items()):
            store.raise_progress(connection, state.queue, feed, word)
        self._plan_reclose(connection, state, changed)

    def _plan_reclose(self, connection: sa.Connection, state: VolumeSlice, changed: list[SpanKey]) -> None:
        """Have intervals that were closed already looked at again."""
        through = store.closed_through(connection, state.queue)
        late = [start for start, _, _, _ in changed if start < through]
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
                store.raise_progress(connection, queue, progress.feed, store.Told(progress.complete_through))
            spoken_of = progress.queues or [q for q in book.queues if q.startswith(progress.client + "/")]
            for queue in spoken_of:
                self.due.plan(connection, "close", queue, self.clock.now())
        return handled

    def take_parked(self, connection: sa.Connection, queue: str) -> list[Fact]:
        """Return the facts parked for a queue, decoded again."""
        facts = []
        for row in store.unpark(connection, queue):
            message = wire.read_observed(bytes(row.value), {})
            facts.append(Fact(message, row.known_at, queue, bytes(row.value), row.origin))
        return facts
