"""The one batch loop: decode → handle → commit state, outgoing messages and position in one SQL transaction.

What can't be read is delivered to the dead-letter topic before that: no state hangs on it, and its origin is its key.

A crash, a rebalance, a zombie or a redelivery changes nothing: on assignment the consumer seeks to SQL's position, and
the commit is fenced by compare-and-set on it. Kafka's own commits only feed lag displays.
"""

import asyncio
import collections
import dataclasses
import gc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import mode
import numpy as np
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from muster.kit.clock import Clock
from muster.kit.errors import Refusal, SourceOutOfRange
from muster.kit.logs import get_log
from muster.kit.outbox import Letter, Outbox, Outgoing
from muster.kit.positions import Fenced, Partition, Positions
from muster.kit.sql import Database
from muster.kit.topics import dead_letter_topic


class Fact(NamedTuple):
    """One decoded message, when it became known (seconds since 1970), its original bytes and key, topic/partition/offset."""

    message: Any
    known_at: int
    value: bytes
    origin: str
    key: bytes = b""


@dataclasses.dataclass
class Handled:
    """What a handler answers: messages to publish, and facts it refuses after all."""

    messages: list[Outgoing] = dataclasses.field(default_factory=list)
    refused: list[tuple[Fact, Refusal]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Inlet:
    """A topic that a service reads: decode(value, headers) → message, or raise Refusal; handle(connection, facts).

    Whatever else decode raises is the message's fault too, and refuses it as MALFORMED: one message never stops a service.
    scan(values, known_at, fact_of) → (facts, places left), where given, reads many at once and leaves the rest to decode.
    """

    topic: str
    decode: Callable[[bytes | None, Mapping[str, bytes]], Any]
    handle: Callable[[sa.Connection, Sequence[Fact]], Handled]
    scan: Callable[[Sequence[bytes], Any, Callable[[int], Fact]], tuple[list[Fact], list[int]]] | None = None


def dead_letter(topic: str, fact: Fact, refusal: Refusal) -> Outgoing:
    """Return the dead-letter message: original bytes; reason, detail, origin and original key in headers."""
    headers = {"reason": refusal.reason, "detail": refusal.message[:2000], "origin": fact.origin}
    if fact.key:
        headers["key"] = fact.key.decode(errors="replace")
    return Outgoing(dead_letter_topic(topic), fact.origin, fact.value, headers)


def _letter(origin: str, key: bytes | None, value: bytes | None, refusal: Refusal) -> Letter:
    """Return what dead_letter does, as Kafka takes it: the short way for what never sees SQL."""
    at, detail = origin.encode(), refusal.message[:2000].encode(errors="replace")
    headers = [("reason", refusal.reason.encode()), ("detail", detail), ("origin", at)]
    if key:
        headers.append(("key", key.decode(errors="replace").encode()))
    return (at, value or b"", headers)


_Counts = dict[str, collections.Counter[str]]


class _Decoded(NamedTuple):
    """A partition's facts; dead letters of what can't be read, and how many for each reason."""

    facts: list[Fact]
    letters: list[Letter]
    reasons: collections.Counter[str]


NO_HEADERS: Mapping[str, bytes] = {}


class _SeekOnAssignment(ConsumerRebalanceListener):
    def __init__(self, loop: "BatchLoop") -> None:
        self._loop = loop

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        pass

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        # Nothing is awaited before seek: the fetcher would meanwhile resolve positions by the reset policy.
        self._loop.seek_to_sql(assigned)


class BatchLoop(mode.Service):
    """Reads inlets and commits them batch by batch. `expected` is where we stand, for the conductor and metrics."""

    def __init__(
        self,
        database: Database,
        positions: Positions,
        outbox: Outbox,
        clock: Clock,
        inlets: Sequence[Inlet],
        consumer: Callable[[], AIOKafkaConsumer],
        world: str,
        batch_records: int,
        refused_window: int,
        deliver: Callable[[Mapping[str, Sequence[Letter]]], Awaitable[None]],
    ) -> None:
        super().__init__()
        self._database, self._positions, self._outbox, self._clock = database, positions, outbox, clock
        self._inlets = {world + inlet.topic: inlet for inlet in inlets}
        self._new_consumer, self._world, self._batch_records = consumer, world, batch_records
        self._refused_window, self._deliver = refused_window, deliver
        self._consumer: AIOKafkaConsumer | None = None
        self._window: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
        self._gaps: dict[Partition, int] = {}
        self.expected: dict[Partition, int] = {}
        self.consumed: collections.Counter[str] = collections.Counter()
        self.refused: collections.Counter[tuple[str, str]] = collections.Counter()
        self.stopped: dict[str, str] = {}
        self.before_commit: Callable[[sa.Connection], None] = lambda connection: None
        self.after_commit: Callable[[], None] = lambda: None
        self.conducted = False

    async def _seek_again(self, tps: list[TopicPartition]) -> None:
        """Seek what is still ours to SQL's positions, once SQL answers."""
        assert self._consumer
        known = await self._database.insist(self._positions.read)
        for tp in set(tps) & set(self._consumer.assignment()):
            self.expected[tp.topic, tp.partition] = known[tp.topic, tp.partition]
            self._consumer.seek(tp, known[tp.topic, tp.partition])

    def seek_to_sql(self, assigned: Sequence[TopicPartition]) -> None:
        """Seek partitions to SQL's positions, at once."""
        assert self._consumer
        known = self._database.read_here(self._positions.read)
        for tp in assigned:
            self.expected[tp.topic, tp.partition] = known[tp.topic, tp.partition]
            self._consumer.seek(tp, known[tp.topic, tp.partition])

    @mode.Service.task
    async def _run(self) -> None:
        if not self._inlets:
            return
        gc.freeze()  # what was made to start stays; a batch's objects die by count, and are too many to search at each 700
        gc.set_threshold(100_000, 20, 20)
        self._consumer = self._new_consumer()
        self._consumer.subscribe(list(self._inlets), listener=_SeekOnAssignment(self))
        await self._consumer.start()
        try:
            while not self.should_stop:
                await self._round()
        finally:
            await self._consumer.stop()

    async def _round(self) -> None:
        assert self._consumer
        try:
            fetched = await self._consumer.getmany(timeout_ms=100, max_records=self._batch_records)
        except OffsetOutOfRangeError as error:
            raise SourceOutOfRange(
                "SOURCE_OUT_OF_RANGE",
                f"positions {error.args[0]} are no longer kept by the broker; restore, or adopt the topic",
            ) from error
        except KafkaError as error:
            get_log().warning("inlet_held", reason="BROKER_UNAVAILABLE", error=str(error), then="retrying in 1 s")
            await asyncio.sleep(1)
            return
        batches = {tp: kept for tp, records in fetched.items() if (kept := self._in_order(tp, records))}
        if not batches:
            return
        try:
            decoded = await asyncio.to_thread(lambda: {tp: self._decode(tp.topic, records) for tp, records in batches.items()})
            if not await self._deliver_unread(decoded):
                return
            refused = await self._database.insist(lambda c: self._commit(c, decoded, batches))
        except Fenced as fenced:
            get_log().warning("batch_fenced", why=str(fenced), then="reading positions again")
            await self._seek_again(list(batches))
            return
        self._count(batches, refused)
        self._stop_bad_inlets()
        self.after_commit()

    def _in_order(self, tp: TopicPartition, records: list[ConsumerRecord]) -> list[ConsumerRecord]:
        """Drop records below the expected offset; a stale fetch is dropped whole and sought again."""
        assert self._consumer
        if tp not in self._consumer.assignment():
            return []
        at = (tp.topic, tp.partition)
        kept = [record for record in records if record.offset >= self.expected[at]]
        if kept and kept[0].offset > self.expected[at] and self._gaps.get(at) != kept[0].offset:
            self._gaps[at] = kept[0].offset  # the same answer twice is a gap in the log, not a stale fetch
            self._consumer.seek(tp, self.expected[at])
            return []
        return kept

    def _decode(self, topic: str, records: list[ConsumerRecord]) -> _Decoded:
        """Return a partition's facts, and what can't be read with why."""
        inlet, facts, letters, reasons = self._inlets[topic], list[Fact](), list[Letter](), collections.Counter[str]()
        conducted = self._clock.now() if self.conducted else None
        decode, head = inlet.decode, f"{inlet.topic}/{records[0].partition}/"

        def fact_of(record: ConsumerRecord) -> Fact:
            known_at = record.timestamp // 1000 if conducted is None else conducted
            headers = {name: value or b"" for name, value in record.headers} if record.headers else NO_HEADERS
            return Fact(decode(record.value, headers), known_at, record.value, f"{head}{record.offset}", record.key or b"")

        if inlet.scan is not None:
            plain = [r for r in records if not r.headers]
            if conducted is None:
                known = np.fromiter((r.timestamp for r in plain), np.int64, len(plain)) // 1000
            else:
                known = np.full(len(plain), conducted, np.int64)
            facts, left = inlet.scan([r.value or b"" for r in plain], known, lambda place: fact_of(plain[place]))
            records = [plain[place] for place in left] + [r for r in records if r.headers]
        for record in records:
            try:
                facts.append(fact_of(record))
            except Exception as error:
                # No more is kept of it: its traceback would hold all that its frames hold, thousands of times a batch.
                refusal = error if isinstance(error, Refusal) else Refusal("MALFORMED", f"{type(error).__name__}: {error}")
                letters.append(_letter(f"{head}{record.offset}", record.key, record.value, refusal))
                reasons[refusal.reason] += 1
        return _Decoded(facts, letters, reasons)

    async def _deliver_unread(self, decoded: dict[TopicPartition, _Decoded]) -> bool:
        """Have dead letters of what can't be read acknowledged; return False if we were stopped before."""
        letters: dict[str, list[Letter]] = collections.defaultdict(list)
        for tp, of_partition in decoded.items():
            if of_partition.letters:
                letters[dead_letter_topic(self._inlets[tp.topic].topic)] += of_partition.letters
        while letters:
            try:
                await self._deliver(letters)
                return True
            except KafkaError as error:
                if self.should_stop:
                    return False
                get_log().warning("inlet_held", reason="BROKER_UNAVAILABLE", error=str(error), then="retrying in 1 s")
                await asyncio.sleep(1)
        return True

    def _commit(
        self,
        connection: sa.Connection,
        decoded: dict[TopicPartition, _Decoded],
        batches: dict[TopicPartition, list[ConsumerRecord]],
    ) -> _Counts:
        """Handle what was fetched and move the positions past it; return what to count once it is committed."""
        by_topic: dict[str, list[Fact]] = collections.defaultdict(list)
        counts: _Counts = collections.defaultdict(collections.Counter)
        outgoing: list[Outgoing] = []
        for tp, records in sorted(batches.items()):
            at = (tp.topic, tp.partition)
            self._positions.advance(connection, at, self.expected[at], records[-1].offset + 1)
            by_topic[tp.topic] += decoded[tp].facts
            counts[tp.topic].update(decoded[tp].reasons)
        for topic, facts in by_topic.items():
            handled = self._inlets[topic].handle(connection, facts) if facts else Handled()
            outgoing += handled.messages
            outgoing += [dead_letter(self._inlets[topic].topic, fact, why) for fact, why in handled.refused]
            counts[topic].update(why.reason for _, why in handled.refused)
        self._outbox.write(connection, outgoing)
        self.before_commit(connection)
        return counts

    def _count(self, batches: dict[TopicPartition, list[ConsumerRecord]], refused: _Counts) -> None:
        for tp, records in batches.items():
            self.expected[tp.topic, tp.partition] = records[-1].offset + 1
            self.consumed[self._inlets[tp.topic].topic] += len(records)
            self._window[tp.topic][0] += len(records)
        for topic, reasons in refused.items():
            self._window[topic][1] += reasons.total()
            for reason, count in reasons.items():
                self.refused[self._inlets[topic].topic, reason] += count

    def _stop_bad_inlets(self) -> None:
        """Stop reading a topic of whose last window more than half was refused."""
        assert self._consumer
        for topic, (seen, refused) in list(self._window.items()):
            if seen < self._refused_window:
                continue
            self._window[topic] = [0, 0]
            if refused * 2 > seen:
                why = f"{refused} of the last {seen} messages were refused; see muster dlq list, then restart the service"
                self.stopped[self._inlets[topic].topic] = why
                self._consumer.pause(*[tp for tp in self._consumer.assignment() if tp.topic == topic])
                get_log().error("inlet_stopped", topic=topic, reason="INLET_STOPPED", why=why)
