"""The conductor of a simulated or replayed world: gives ticks to each stage in flow order, and waits until it has moved."""

import asyncio
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from google.protobuf.timestamp_pb2 import Timestamp

from muster.kit.codec import decode, encode
from muster.kit.conducted import REACHED, TICKED
from muster.kit.topics import all_topics
from muster.v1 import clock_pb2

STAGES = ("forecaster", "staffing", "scheduler")


class Stuck(Exception):
    """A stage did not answer in time; the message names it."""


class Conductor:
    """Moves business time. Only one may run in a world."""

    def __init__(self, bootstrap: str, world: str, timeout_seconds: float = 120.0) -> None:
        self._bootstrap, self._world, self._timeout = bootstrap, world, timeout_seconds
        self._name = f"{world or 'main'}-{uuid.uuid4().hex[:8]}"
        self._tick = 0
        topics = [t for t in all_topics().values() if t.topic not in (TICKED, REACHED)]
        self._inputs = {s: [t for t in topics if s in t.consumers] for s in STAGES}

    async def __aenter__(self) -> "Conductor":
        self.producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, enable_idempotence=True, acks="all")
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, enable_auto_commit=False, auto_offset_reset="latest", fetch_max_wait_ms=50
        )
        await self.producer.start()
        await self._consumer.start()
        answers = TopicPartition(self._world + REACHED, 0)
        self._consumer.assign([answers])
        await self._consumer.seek_to_end(answers)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
        await self.producer.stop()

    async def send(self, topic: str, key: str, value: bytes) -> None:
        """Publish into the world, and return when it is acknowledged."""
        await self.producer.send_and_wait(self._world + topic, key=key.encode(), value=value)

    async def _ends(self, stage: str) -> list[clock_pb2.PartitionEnd]:
        tps = [TopicPartition(self._world + t.topic, p) for t in self._inputs[stage] for p in range(t.partitions)]
        ends = await self._consumer.end_offsets(tps)
        return [
            clock_pb2.PartitionEnd(topic=tp.topic.removeprefix(self._world), partition=tp.partition, end=end)
            for tp, end in sorted(ends.items())
            if end
        ]

    async def tick(self, now: int) -> None:
        """Move every stage to `now`, in flow order. Raise Stuck."""
        for stage in STAGES:
            self._tick += 1
            message = clock_pb2.ClockTicked(
                world=self._name, tick=self._tick, stage=stage, now=Timestamp(seconds=now), ends=await self._ends(stage)
            )
            await self.send(TICKED, self._world or "main", encode(message))
            try:
                await asyncio.wait_for(self._answer(stage), self._timeout)
            except TimeoutError as error:
                raise Stuck(f"{stage} did not reach {now} within {self._timeout:.0f} s; see its log") from error

    async def _answer(self, stage: str) -> None:
        while True:
            for records in (await self._consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    reached = decode(clock_pb2.ClockReached, record.value, {})
                    if reached.world == self._name and reached.tick == self._tick and reached.stage == stage:
                        return
