"""Lock-step: in a simulated or replayed world a service moves its clock when the conductor says so, and says it has.

A tick carries, per input partition, the end offset before it. The service commits up to there, moves its clock, does its
due work and jobs, publishes its outbox, and only then answers.
"""

import asyncio
from collections.abc import Awaitable, Callable

import mode
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, TopicPartition

from muster.kit.clock import ConductedClock
from muster.kit.codec import decode, encode
from muster.kit.outbox import Outbox, Outgoing
from muster.kit.positions import Partition
from muster.kit.sql import Database, recall, remember
from muster.v1 import clock_pb2

TICKED = "muster.clock.ticked.v1"
REACHED = "muster.clock.reached.v1"


class Conducted(mode.Service):
    """Follows the ticks for one stage."""

    def __init__(
        self,
        stage: str,
        world: str,
        bootstrap: str,
        clock: ConductedClock,
        database: Database,
        metadata: sa.MetaData,
        outbox: Outbox,
        expected: Callable[[], dict[Partition, int]],
        settle: Callable[[], Awaitable[None]],
        wake: Callable[[], None],
    ) -> None:
        super().__init__()
        self._stage, self._world, self._bootstrap, self._clock = stage, world, bootstrap, clock
        self._database, self._metadata, self._outbox = database, metadata, outbox
        self._expected, self._settle, self._wake = expected, settle, wake
        self.progress = asyncio.Event()

    def restore(self) -> None:
        """Move the clock to where it stood when the process ended."""
        kept = self._database.read_here(lambda c: recall(c, self._metadata, "clock"))
        self._clock.move(int(kept or 0))

    @mode.Service.task
    async def _run(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=200
        )
        await consumer.start()
        try:
            tp = TopicPartition(self._world + TICKED, 0)
            consumer.assign([tp])
            last = (await consumer.end_offsets([tp]))[tp]
            while not self.should_stop:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        tick = decode(clock_pb2.ClockTicked, record.value, {})
                        stale = record.offset < last and tick.now.seconds <= self._clock.now()
                        if tick.stage == self._stage and (not stale or record.offset >= last - 1):
                            await self._follow(tick)
        finally:
            await consumer.stop()

    async def _follow(self, tick: clock_pb2.ClockTicked) -> None:
        ends = {(self._world + end.topic, end.partition): end.end for end in tick.ends}
        while not self.should_stop:
            expected = self._expected()
            if all(expected.get(at, 0) >= end for at, end in ends.items()):
                break
            self.progress.clear()
            try:
                await asyncio.wait_for(self.progress.wait(), 0.05)
            except TimeoutError:
                pass
        self._clock.move(tick.now.seconds)
        await self._database.insist(lambda c: remember(c, self._metadata, "clock", str(self._clock.now())))
        await self._settle()
        answer = clock_pb2.ClockReached(world=tick.world, tick=tick.tick, stage=self._stage, now=tick.now)
        message = Outgoing(REACHED, f"{tick.world}/{self._stage}", encode(answer))
        await self._database.insist(lambda c: self._outbox.write(c, [message]))
        self._wake()
