"""Outgoing messages: written with the state that caused them, published by one relay, numbered densely for watchers."""

import asyncio
import collections
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import mode
import orjson
import sqlalchemy as sa
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from muster.kit.clock import Clock, Runtime
from muster.kit.logs import get_log
from muster.kit.sql import Database
from muster.kit.statements import Prepared, given, insert_many, to_json

STOP_SECONDS = 5.0
REMEMBERED = 1000


Letter = tuple[bytes, bytes, list[tuple[str, bytes]]]  # key, value, headers, as Kafka takes them


class Outgoing(NamedTuple):
    """A message to publish: topic without prefix, key, serialised bytes, headers."""

    topic: str
    key: str
    value: bytes
    headers: dict[str, str] | None = None


class Waiting(NamedTuple):
    """A message that is written and not published yet; headers: their JSON."""

    id: int
    topic: str
    key: str
    value: bytes
    headers: str | None


def _headers(told: dict[str, str] | None) -> list[tuple[str, bytes]]:
    return [(name, value.encode(errors="replace")) for name, value in told.items()] if told else []


class Outbox:
    """The `outbox` table of a service."""

    def __init__(self, metadata: sa.MetaData, clock: Clock) -> None:
        self._table = metadata.tables["outbox"]
        self._clock = clock
        c = self._table.c
        headers = sa.cast(c.headers, sa.Text).label("headers")
        waiting = sa.select(c.id, c.topic, c.key, c.value, headers).where(c.position.is_(None)).order_by(c.id)
        self._waiting = Prepared(waiting.limit(given("most")))
        self._last = Prepared(sa.select(sa.func.coalesce(sa.func.max(c.position), 0)))
        between = c.id.between(given("first"), given("end")) & c.position.is_(None)
        self._between = Prepared(sa.select(c.id).where(between))
        self._number = Prepared(sa.update(self._table).where(between).values(position=c.id + given("shift")))

    def write(self, connection: sa.Connection, messages: Iterable[Outgoing]) -> None:
        """Add messages, in order, to the transaction."""
        now = self._clock.now()
        rows = [(topic, key, value, to_json(headers) if headers else None, now) for topic, key, value, headers in messages]
        if rows:
            insert_many(connection, self._table, ("topic", "key", "value", "headers", "written_at"), rows)

    def waiting(self, connection: sa.Connection, limit: int) -> list[Waiting]:
        """Return messages not yet published, oldest first."""
        return [Waiting(*row) for row in self._waiting.rows(connection, most=limit)]

    def depth(self, connection: sa.Connection) -> int:
        """Return how many messages wait."""
        query = sa.select(sa.func.count()).select_from(self._table).where(self._table.c.position.is_(None))
        return int(connection.execute(query).scalar_one())

    def published(self, connection: sa.Connection, ids: list[int]) -> None:
        """Give published messages their dense positions, in order; what another relay gave one already keeps it."""
        t, last = self._table, self.last_position(connection)
        ends = {"first": min(ids), "end": max(ids)}
        still = set(self._between.column(connection, **ends))
        if len(still) == len(ids) == ends["end"] - ends["first"] + 1:
            self._number.change(connection, **ends, shift=last + 1 - ends["first"])
            return
        still &= set(ids)
        rows = [{"row_id": row, "place": last + n} for n, row in enumerate((i for i in ids if i in still), start=1)]
        if rows:
            update = sa.update(t).where(t.c.id == given("row_id")).values(position=given("place"))
            connection.execute(update, rows)

    def since(self, connection: sa.Connection, topic: str, position: int, limit: int = 500) -> list[tuple[int, bytes]]:
        """Return (position, bytes) of a topic's messages published after a position."""
        t = self._table
        query = sa.select(t.c.position, t.c.value).where((t.c.topic == topic) & (t.c.position > position))
        return [(int(r[0]), bytes(r[1])) for r in connection.execute(query.order_by(t.c.position).limit(limit))]

    def last_position(self, connection: sa.Connection) -> int:
        """Return the newest position given, 0 if none."""
        return int(self._last.value(connection))

    def first_position(self, connection: sa.Connection) -> int:
        """Return the oldest position kept, 0 if none."""
        return int(connection.execute(sa.select(sa.func.coalesce(sa.func.min(self._table.c.position), 0))).scalar_one())

    def prune(self, connection: sa.Connection, before: int) -> int:
        """Delete published messages written before an instant; return how many."""
        t = self._table
        gone = sa.delete(t).where(t.c.position.is_not(None) & (t.c.written_at < before))
        return connection.execute(gone).rowcount


class Relay(mode.Service):
    """Publishes the outbox, under a lease, so that one relay a service does it."""

    def __init__(
        self, database: Database, outbox: Outbox, metadata: sa.MetaData, bootstrap: str, world: str, owner: str, lease: float
    ) -> None:
        super().__init__()
        self._database, self._outbox, self._lease_table = database, outbox, metadata.tables["lease"]
        self._bootstrap, self._world, self._owner, self._lease = bootstrap, world, owner, lease
        t = self._lease_table
        self._holder = Prepared(sa.select(t.c.owner, t.c.until).where(t.c.name == "relay"))
        self._runtime = Runtime()
        self._wake = asyncio.Event()
        self._producer: AIOKafkaProducer | None = None
        self._newest: collections.deque[tuple[int, str, bytes]] = collections.deque(maxlen=REMEMBERED)
        self._published = asyncio.Condition()
        self.rounds = 0

    def wake(self) -> None:
        """Say that something was written."""
        self._wake.set()

    async def on_start(self) -> None:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_request_size=2_097_152,
            max_batch_size=524_288,
        )
        await self._producer.start()

    async def on_stop(self) -> None:
        """Publish what still waits, for as long as the broker takes it; the rest is published by the next start."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                while await self.publish_some():
                    pass
        except (KafkaError, TimeoutError) as error:
            get_log().warning("outbox_left", why=str(error), consequence="what waits is published at the next start")
        if self._producer:
            await self._producer.stop()

    @mode.Service.task
    async def _run(self) -> None:
        while not self.should_stop:
            try:
                published = await self.publish_some()
            except KafkaError as error:
                get_log().warning("outbox_held", reason="BROKER_UNAVAILABLE", error=str(error), then="retrying in 1 s")
                await asyncio.sleep(1)
                continue
            if not published:
                try:
                    await asyncio.wait_for(self._wake.wait(), 0.2)
                except TimeoutError:
                    pass
                self._wake.clear()

    def _holds(self, connection: sa.Connection) -> bool:
        """Return whether the lease is ours for long enough to publish."""
        held = self._runtime.wall() + self._lease / 2
        return any(owner == self._owner and until > held for owner, until in self._holder.rows(connection))

    def _claim(self, connection: sa.Connection) -> bool:
        if self._holds(connection):
            return True
        now, t = self._runtime.wall(), self._lease_table
        if any(owner != self._owner and until > now for owner, until in self._holder.rows(connection)):
            return False
        connection.execute(sa.delete(t).where(t.c.name == "relay"))
        connection.execute(sa.insert(t).values(name="relay", owner=self._owner, until=now + self._lease))
        return True

    def _look(self, connection: sa.Connection, limit: int) -> tuple[list[Waiting], int, bool]:
        """Return what waits, the newest position, and whether it is ours to publish without claiming the lease first."""
        rows = self._outbox.waiting(connection, limit)
        return (rows, self._outbox.last_position(connection), self._holds(connection)) if rows else (rows, 0, True)

    def _take(self, connection: sa.Connection, limit: int) -> tuple[list[Waiting], int, bool]:
        """Claim the lease, and return the same; nothing if it is another's."""
        return self._look(connection, limit) if self._claim(connection) else ([], 0, False)

    async def publish_some(self, limit: int = 1000) -> int:
        """Publish up to `limit` waiting messages in order; return how many. 0 if another relay holds the lease."""
        # Read beside the writer: what was committed need not wait for the transaction that came after.
        rows, last, ours = await self._database.insist(lambda c: self._look(c, limit), reading=True)
        if not ours:
            rows, last, _ = await self._database.insist(lambda c: self._take(c, limit))
        if not rows:
            return 0
        told = (orjson.loads(row.headers) if row.headers else None for row in rows)
        await self.deliver(
            Outgoing(row.topic, row.key, bytes(row.value), headers) for row, headers in zip(rows, told, strict=True)
        )
        # Before SQL keeps the positions: should that fail, the same is published again under the same.
        self._remember(last + 1, rows)
        await self._tell()
        await self._database.insist(lambda c: self._outbox.published(c, [r.id for r in rows]))
        await self._tell()  # who could not join on to what is remembered finds it in SQL now
        return len(rows)

    def _remember(self, first: int, rows: Sequence[Waiting]) -> None:
        if self._newest and self._newest[-1][0] + 1 != first:
            self._newest.clear()  # another process published meanwhile
        self._newest.extend((first + n, row.topic, bytes(row.value)) for n, row in enumerate(rows))

    async def _tell(self) -> None:
        async with self._published:
            self.rounds += 1
            self._published.notify_all()

    def newer(self, topic: str, position: int) -> list[tuple[int, bytes]]:
        """Return (position, bytes) of a topic's messages after a position, from memory; none if memory doesn't go on from there."""
        if not self._newest or self._newest[0][0] > position + 1:
            return []
        return [(at, value) for at, of, value in self._newest if of == topic and at > position]

    async def published_since(self, rounds: int, seconds: float) -> None:
        """Return once something was published after `rounds` was read, or after seconds: another process may have published."""
        with contextlib.suppress(TimeoutError):
            async with self._published, asyncio.timeout(seconds):
                await self._published.wait_for(lambda: self.rounds != rounds)

    async def deliver(self, messages: Iterable[Outgoing]) -> None:
        """Publish messages, a topic's in order, and return when they are acknowledged. KafkaError: some may not be."""
        by_topic: dict[str, list[Letter]] = collections.defaultdict(list)
        for topic, key, value, headers in messages:
            by_topic[topic].append((key.encode(), value, _headers(headers)))
        await self.deliver_letters(by_topic)

    async def deliver_letters(self, by_topic: Mapping[str, Sequence[Letter]]) -> None:
        """Publish letters by topic (without prefix), as `deliver` does."""
        sending = [self._send(self._world + topic, letters) for topic, letters in by_topic.items()]
        ended = await asyncio.gather(*sending, return_exceptions=True)  # all of them: what is sent again comes after
        for failure in (e for e in ended if isinstance(e, BaseException)):
            raise failure

    async def _send(self, topic: str, letters: Sequence[Letter]) -> None:
        """Send a topic's messages in order, and return when they are acknowledged."""
        assert self._producer
        sent = []
        if await self._producer.partitions_for(topic) != {0}:
            for key, value, headers in letters:
                sent.append(await self._producer.send(topic, key=key, value=value, headers=headers))
        else:  # no key needs its partition found: whole batches, several times cheaper
            batch = self._producer.create_batch()
            for key, value, headers in letters:
                if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                    sent.append(await self._producer.send_batch(batch, topic, partition=0))
                    batch = self._producer.create_batch()
                    batch.append(timestamp=None, key=key, value=value, headers=headers)
            sent.append(await self._producer.send_batch(batch, topic, partition=0))
        await asyncio.gather(*sent)

    async def drain(self) -> None:
        """Return when nothing waits."""
        while await self._database.insist(self._outbox.depth):
            self.wake()
            await asyncio.sleep(0.005)
