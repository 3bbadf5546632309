"""State topics (the book): read whole into SQL at start, then followed by a Faust agent; newer generations win.

Each message is full state, so one lost or doubled by the agent is healed by the next start.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import faust
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, TopicPartition

from muster.kit.positions import Partition, Positions
from muster.kit.sql import Database


@dataclasses.dataclass(frozen=True)
class StateRecord:
    """One message of a state topic; topic without prefix."""

    topic: str
    value: bytes | None


@dataclasses.dataclass
class StateTopics:
    """The state topics of a service and what keeps their rows: keep(connection, records)."""

    names: Sequence[str]
    keep: Callable[[sa.Connection, Sequence[StateRecord]], None]
    database: Database
    positions: Positions
    world: str
    after_commit: Callable[[], None] = lambda: None
    expected: dict[Partition, int] = dataclasses.field(default_factory=dict)

    async def store(self, records: Sequence[tuple[str, int, int, bytes | None]]) -> None:
        """Keep (topic, partition, offset, value) and raise positions, in one transaction."""
        ends: dict[Partition, int] = {}
        for topic, partition, offset, _ in records:
            ends[topic, partition] = max(ends.get((topic, partition), 0), offset + 1)

        def work(connection: sa.Connection) -> None:
            self.keep(connection, [StateRecord(topic.removeprefix(self.world), value) for topic, _, _, value in records])
            for at, end in ends.items():
                self.positions.raise_to(connection, at, end)

        await self.database.insist(work)
        for at, end in ends.items():
            self.expected[at] = max(self.expected.get(at, 0), end)
        self.after_commit()

    async def heal(self, bootstrap: str, partitions: Mapping[str, int]) -> int:
        """Read every state topic from its beginning to its end; return how many messages it held."""
        tps = [TopicPartition(self.world + n, p) for n in self.names for p in range(partitions[self.world + n])]
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign(tps)
            ends = await consumer.end_offsets(tps)
            await consumer.seek_to_beginning(*tps)
            count = 0
            for tp in tps:
                self.expected[tp.topic, tp.partition] = 0
            while any([await consumer.position(tp) < ends[tp] for tp in tps]):
                fetched = await consumer.getmany(timeout_ms=200)
                records = [(tp.topic, tp.partition, r.offset, r.value) for tp, rs in fetched.items() for r in rs]
                if records:
                    count += len(records)
                    await self.store(records)
            for tp in tps:  # a compacted tail has no record at its last offset
                self.expected[tp.topic, tp.partition] = max(self.expected[tp.topic, tp.partition], ends[tp])
            return count
        finally:
            await consumer.stop()

    def follow(self, app: faust.App) -> None:
        """Give a Faust app the agent that follows the topics."""
        topic = app.topic(
            *[self.world + name for name in self.names],
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
        )

        @app.agent(topic, name="book")
        async def book(stream: faust.StreamT[bytes]) -> None:
            async for events in stream.take_events(200, within=0.05):
                await self.store([(e.message.topic, e.message.partition, e.message.offset, e.value) for e in events])
