"""How long from the fact that closes an interval to the decision, delivered over gRPC, while 200 contacts a second come in.

python -m bench.latency [INTERVALS]: three services on a genuine broker, a day's quarter-hours in lock-step (which adds its own
messages: a wall clock's way is shorter). Volume swings, so that most quarters need a decision. Milliseconds of wall time.
"""

import asyncio
import dataclasses
import pathlib
import statistics
import sys
import tempfile
import threading
import time

from muster.dev.broker import Broker, free_port
from muster.kit.topics import apply_topics
from muster.v1 import staffing_service_pb2 as staffing
from muster.v1 import volume_pb2
from tests.support.small_world import HOUR, QUEUES, WEDNESDAY, SmallWorld, reports, small_world

QUARTER = 900
RATE = 200
SWING = (30, 55, 12, 70)


@dataclasses.dataclass
class Watch:
    """Decisions as they arrive: the instant they were decided for, and when they came."""

    small: SmallWorld
    arrived: dict[int, float] = dataclasses.field(default_factory=dict)

    def follow(self) -> None:
        request = staffing.WatchDecisionsRequest(after_position=0)
        for answer in self.small.muster.staffing.WatchDecisions(request, timeout=3600):
            self.arrived.setdefault(answer.decision.decide_at.seconds, time.perf_counter())


async def contacts(small: SmallWorld, now: list[int], told: list[int]) -> None:
    """Tell 200 contacts a second of the quarter-hour that is going on, in messages of 20."""
    while True:
        message = volume_pb2.VolumeObserved(queue=QUEUES[told[0] // 20 % 2], feed="live")
        for _ in range(20):
            contact = message.contacts.add(contact_id=f"c{told[0]}", revision=1, stage=volume_pb2.STAGE_OFFERED)
            contact.arrived_at.seconds = now[0] + told[0] % QUARTER
            told[0] += 1
        await small.volume(message)
        await asyncio.sleep(20 / RATE)


async def run(intervals: int) -> None:
    with tempfile.TemporaryDirectory() as folder, Broker(pathlib.Path(folder) / "kafka", free_port()) as broker:
        apply_topics(broker.bootstrap, "bench.", 1)
        async with small_world(pathlib.Path(folder) / "home", broker.bootstrap, "bench.") as small:
            await small.start()
            watch, now, told = Watch(small), [WEDNESDAY + 8 * HOUR], [0]
            threading.Thread(target=watch.follow, daemon=True).start()
            await small.conductor.tick(now[0])
            telling = asyncio.create_task(contacts(small, now, told))
            closed: dict[int, float] = {}
            for n in range(intervals):
                end = now[0] + QUARTER
                if end % (24 * HOUR) > 20 * HOUR:
                    now[0] += 12 * HOUR
                    await small.conductor.tick(now[0])
                    continue
                for queue in QUEUES:
                    await small.volume(reports(queue, end - end % 1800 - 1800, end - end % 1800, SWING[n // 2 % len(SWING)]))
                await asyncio.sleep(0.2)
                closed[end] = time.perf_counter()
                await small.complete(end)
                now[0] = end
                await small.conductor.tick(end)
            telling.cancel()
            await asyncio.sleep(0.5)
    taken = sorted(1000 * (watch.arrived[at] - closed[at]) for at in closed if at in watch.arrived)
    p99 = taken[min(len(taken) - 1, round(0.99 * len(taken)))]
    print(
        f"{len(taken)} of {len(closed)} quarter-hours had a decision; {told[0]:,} contacts told meanwhile: "
        f"p50 {statistics.median(taken):.0f} ms, p99 {p99:.0f} ms (goal 50, 250)"
    )


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 150))
