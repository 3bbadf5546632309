"""How long from the word that closes an interval to the decision, delivered over gRPC, while 200 contacts a second come in.

python -m bench.latency [CLIENTS]: three services on a genuine broker, by the wall clock. Each client is a staffing group of two
queues and fourteen agents with a published schedule; after the next quarter of an hour the clients' feeds say one after another
that it is complete, two a second. Milliseconds of wall time from sending that word to the refreshed forecast of the client's two
queues on its topic, and to the arrival of the group's decision. The last shift ends at 20:00 in London: from
a quarter to six in the evening on, what lacks after it is decided before the word comes, and no decision is left to time.
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import pathlib
import statistics
import sys
import tempfile
import threading
import time
from typing import Any

import grpc
from aiokafka import AIOKafkaConsumer
from google.longrunning import operations_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from muster.book.check import parse_book
from muster.book.wire import book_to_message
from muster.client.stubs import Muster
from muster.dev.broker import Broker, free_port
from muster.dev.conductor import Conductor
from muster.dev.supervisor import Supervisor
from muster.kit.codec import encode
from muster.kit.topics import apply_topics
from muster.v1 import book_pb2, feed_pb2, forecast_pb2, volume_pb2
from muster.v1 import scheduler_service_pb2 as scheduling
from muster.v1 import staffing_service_pb2 as staffing
from tests.support import small_world

QUARTER, DAY, AGENTS = 900, 86_400, 14
RATE, BATCH = 200, 20
GAP = 0.5
SETTING_UP = 60
USUAL, SWUNG = {"help": 6, "sales": 6}, {"help": 30, "sales": 0}


def book(clients: int) -> dict[str, Any]:
    """Return the tests' small book, once for each client and open around the clock, in quarters of an hour."""
    one = small_world.book(AGENTS, "00:00", "24:00")
    data = {
        kind: list(rows)
        for kind, rows in one.items()
        if kind in ("shrinkage", "levers", "sites", "activities", "work_patterns")
    }
    data |= {kind: [] for kind in ("clients", "queues", "contracts", "agents")}
    for n in range(clients):
        name = f"c{n:03d}"
        data["clients"].append({**one["clients"][0], "name": name})
        for q in one["queues"]:
            short = q["name"].partition("/")[2]
            cold = {"weekly_offered_count": 4000, "aht_seconds": 240}
            data["queues"].append(
                {
                    **q,
                    "name": f"{name}/{short}",
                    "interval_seconds": QUARTER,
                    "cold_start": cold,
                    "required_skills": [f"{name}-{short}"],
                }
            )
        data["contracts"].append({**one["contracts"][0], "name": f"{name}/voice", "queues": [f"{name}/help", f"{name}/sales"]})
        for a in one["agents"]:
            skills = [{**s, "skill": f"{name}-{s['skill']}"} for s in a["skills"]]
            data["agents"].append({**a, "name": f"{name}-{a['name']}", "skills": skills})
    return data


@dataclasses.dataclass
class Watch:
    """When the first decision of each group came, after `since`."""

    muster: Muster
    since: float = 0.0
    arrived: dict[str, float] = dataclasses.field(default_factory=dict)

    def follow(self) -> None:
        answers = self.muster.staffing.WatchDecisions(staffing.WatchDecisionsRequest(after_position=0), timeout=7200)
        with contextlib.suppress(grpc.RpcError):  # the watch ends with the measurement
            for answer in answers:
                if self.since:
                    self.arrived.setdefault(answer.decision.staffing_group.partition("/")[0], time.perf_counter())


async def forecasts(bootstrap: str, seen: dict[str, dict[str, float]]) -> None:
    """Note when the first update of each queue's forecast came, by client and queue."""
    async with AIOKafkaConsumer(
        "bench.muster.forecast.published.v1", bootstrap_servers=bootstrap, auto_offset_reset="latest", fetch_max_wait_ms=200
    ) as consumer:
        async for record in consumer:
            now, day = time.perf_counter(), forecast_pb2.ForecastPublished.FromString(record.value).day
            if day.trigger == forecast_pb2.FORECAST_TRIGGER_INTRADAY:
                seen.setdefault(day.queue.partition("/")[0], {}).setdefault(day.queue, now)


async def contacts(send: Any, clients: int) -> None:
    """Tell 200 contacts a second, in messages of 20, as they happen."""
    told = 0
    while True:
        message = volume_pb2.VolumeObserved(queue=f"c{told // BATCH % clients:03d}/help", feed="live")
        for _ in range(BATCH):
            contact = message.contacts.add(contact_id=f"c{told}", revision=1, stage=volume_pb2.STAGE_OFFERED)
            contact.arrived_at.seconds = int(time.time())
            told += 1
        await send("muster.volume.observed.v1", message.queue, encode(message))
        await asyncio.sleep(BATCH / RATE)


async def tell(send: Any, client: str, begin: int, end: int, offered: dict[str, int]) -> float:
    """Report a client's two queues, then that it is complete; return when that word was sent."""
    for queue, count in offered.items():
        starts = list(range(begin, end, QUARTER))
        columns = volume_pb2.IntervalReportColumns(
            starts_at_epoch_seconds=starts,
            interval_seconds=QUARTER,
            revision=2,
            offered_count=[count] * len(starts),
            answered_count=[count] * len(starts),
            abandoned_count=[0] * len(starts),
            handle_milliseconds_sum=[count * 240_000] * len(starts),
        )
        message = volume_pb2.VolumeObserved(queue=f"{client}/{queue}", feed="live", report_columns=columns)
        await send("muster.volume.observed.v1", message.queue, encode(message))
    await asyncio.sleep(0.1)
    told = time.perf_counter()
    word = feed_pb2.FeedProgressed(client=client, feed="live", complete_through=Timestamp(seconds=end))
    await send("muster.feed.progressed.v1", f"{client}/live", encode(word))
    return told


async def run(clients: int) -> None:
    with tempfile.TemporaryDirectory() as folder, Broker(pathlib.Path(folder) / "kafka", free_port()) as broker:
        apply_topics(broker.bootstrap, "bench.", 1)
        environment = {"MUSTER_WORLD": "bench.", "MUSTER_DECIDE_DELAY_SECONDS": "880"}
        supervisor = Supervisor(pathlib.Path(folder) / "home", broker.bootstrap, environment)
        try:
            supervisor.start()
            muster = Muster(dataclasses.replace(supervisor.wait(), bootstrap=broker.bootstrap, world="bench."))
            request = book_pb2.ApplyBookRequest(book=book_to_message(parse_book(book(clients))))
            muster.staffing.ApplyBook(request)
            muster.scheduler.ApplyBook(request)
            async with Conductor(broker.bootstrap, "bench.") as conductor:
                names = [f"c{n:03d}" for n in range(clients)]
                begin = int(time.time() + SETTING_UP) // QUARTER * QUARTER + QUARTER
                for name in names:
                    await tell(conductor.send, name, begin - DAY, begin - 2 * QUARTER, USUAL)
                await asyncio.to_thread(_publish_schedules, muster, f"{names[-1]}/sales")
                watch = Watch(muster)
                threading.Thread(target=watch.follow, daemon=True).start()
                print(f"{clients} clients scheduled; {begin - time.time():.0f} s to the quarter of an hour", flush=True)
                await asyncio.sleep(begin - time.time() + 20)
                telling = asyncio.create_task(contacts(conductor.send, clients))
                refreshed: dict[str, dict[str, float]] = {}
                noting = asyncio.create_task(forecasts(broker.bootstrap, refreshed))
                await asyncio.sleep(10)
                watch.since, told = time.perf_counter(), dict[str, float]()
                refreshed.clear()
                for name in names:
                    told[name] = await tell(conductor.send, name, begin - 2 * QUARTER, begin, SWUNG)
                    await asyncio.sleep(GAP)
                await asyncio.sleep(3)
                telling.cancel()
                noting.cancel()
            muster.close()
        finally:
            supervisor.stop()
    taken = sorted(1000 * (watch.arrived[name] - told[name]) for name in names if name in watch.arrived)
    fresh = sorted(1000 * (max(refreshed[name].values()) - told[name]) for name in names if len(refreshed.get(name, {})) == 2)
    _say(f"{len(fresh)} of {clients} clients had both forecasts refreshed", fresh, "p99 100")
    _say(f"{len(taken)} of {clients} groups had a decision", taken, "50, 250")


def _say(what: str, taken: list[float], goal: str) -> None:
    if not taken:
        raise SystemExit(f"{what}: none")
    p99 = taken[min(len(taken) - 1, round(0.99 * len(taken)))]
    ends = f"{list(map(round, taken[:3]))} … {list(map(round, taken[-5:]))}"
    print(f"{what}: p50 {statistics.median(taken):.0f} ms, p99 {p99:.0f} ms (goal {goal}); {ends}")


def _publish_schedules(muster: Muster, last_queue: str) -> None:
    monday = dt.date.today() - dt.timedelta(days=dt.date.today().weekday())
    request = staffing.ListRequirementDaysRequest(queue=last_queue)
    while not muster.staffing.ListRequirementDays(request).days:
        time.sleep(1)
    time.sleep(2)
    operation = muster.scheduler.SolveSchedules(scheduling.SolveSchedulesRequest(weeks=1, first_week=monday.isoformat()))
    while not operation.done:
        operation = muster.operations.WaitOperation(operations_pb2.WaitOperationRequest(name=operation.name))
    solved = scheduling.SolveSchedulesResponse()
    operation.response.Unpack(solved)
    for v in solved.schedules:
        muster.scheduler.PublishSchedule(scheduling.PublishScheduleRequest(staffing_group=v.staffing_group, version=v.version))


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 120))
