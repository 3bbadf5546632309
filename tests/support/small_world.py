"""A small BPO for tests: one client, two queues, twenty agents, and what drives it tick by tick on a genuine Kafka."""

import contextlib
import dataclasses
import datetime as dt
import pathlib
from collections.abc import AsyncIterator
from typing import Any

from google.longrunning import operations_pb2
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from muster.book.check import parse_book
from muster.book.wire import book_to_message
from muster.client.stubs import Muster
from muster.dev.conductor import Conductor
from muster.dev.supervisor import Supervisor
from muster.kit.codec import encode
from muster.v1 import book_pb2, feed_pb2, volume_pb2
from muster.v1 import scheduler_service_pb2 as scheduling

MONDAY = dt.date(2026, 3, 23)
FRIDAY = int(dt.datetime(2026, 3, 20, tzinfo=dt.UTC).timestamp())
WEDNESDAY = int(dt.datetime(2026, 3, 25, tzinfo=dt.UTC).timestamp())
HOUR = 3600
QUEUES = ("acme/help", "acme/sales")
HOURS = range(8, 20)


def book(agents: int = 20, opens: str = "08:00", closes: str = "20:00") -> dict[str, Any]:
    """Return the small book's data."""
    target = {"metric": "SERVICE_LEVEL", "threshold_seconds": 20, "target": 0.8, "window": {"kind": "MONTH"}}
    levels = [
        {"lever": "MOVE", "level": "LIVE"},
        {"lever": "OVERTIME", "level": "PILOT"},
        {"lever": "VOLUNTARY_TIME_OFF", "level": "PILOT"},
    ]
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    return {
        "clients": [
            {"name": "acme", "zone": "Europe/London", "currency": "GBP", "autonomy": levels, "feeds": [{"name": "live"}]},
        ],
        "queues": [
            {
                "name": name,
                "channel": "VOICE",
                "interval_seconds": 1800,
                "service_hours": [{"days": days, "opens": opens, "closes": closes}],
                "required_skills": [name.partition("/")[2]],
                "patience": {"source": "DECLARED", "seconds": 180},
                "cold_start": {"weekly_offered_count": 4000, "aht_seconds": 240},
            }
            for name in QUEUES
        ],
        "contracts": [{"name": "acme/voice", "queues": list(QUEUES), "targets": [target]}],
        "shrinkage": [{"name": "sick", "kind": "sick", "share": 0.05}],
        "levers": [
            {"name": "move", "kind": "MOVE", "lead_seconds": 300, "minimum_duration_seconds": 1800},
            {"name": "extend", "kind": "OVERTIME", "lead_seconds": 900, "notice_seconds": 900, "expected_acceptance": 0.5},
            {"name": "home", "kind": "VOLUNTARY_TIME_OFF", "lead_seconds": 900, "maximum_duration_seconds": 14400},
        ],
        "sites": [{"name": "leeds", "zone": "Europe/London", "country": "GB", "currency": "GBP", "hourly_pay": "12.80 GBP"}],
        "activities": [
            {"name": "phone", "paid": True, "on_queue": True},
            {"name": "lunch", "paid": False},
            {"name": "voluntary-time-off", "paid": False},
        ],
        "work_patterns": [
            {
                "name": "days",
                "shift_seconds": [30600],
                "start_windows": [{"starts": "07:00", "ends": "11:30"}],
                "minimum_weekly_hours": 40,
                "maximum_weekly_hours": 40,
                "minimum_days": 5,
                "maximum_days": 5,
                "breaks": [{"activity": "lunch", "seconds": 1800, "earliest_seconds": 10800, "latest_seconds": 19800}],
            }
        ],
        "agents": [
            {
                "name": f"a{n:02d}",
                "site": "leeds",
                "work_pattern": "days",
                "skills": [
                    {"skill": ("help", "sales")[n % 2], "priority": 1},
                    {"skill": ("sales", "help")[n % 2], "priority": 2},
                ],
            }
            for n in range(agents)
        ],
    }


def reports(queue: str, begin: int, end: int, offered: int, revision: int = 1) -> volume_pb2.VolumeObserved:
    """Return half-hour reports of a queue's open hours (London in winter: UTC), each with `offered` contacts."""
    starts = [s for s in range(begin, end, 1800) if dt.datetime.fromtimestamp(s, dt.UTC).hour in HOURS]
    columns = volume_pb2.IntervalReportColumns(
        starts_at_epoch_seconds=starts,
        interval_seconds=1800,
        revision=revision,
        offered_count=[offered] * len(starts),
        answered_count=[offered - 1] * len(starts),
        abandoned_count=[1] * len(starts),
        handle_milliseconds_sum=[(offered - 1) * 240_000] * len(starts),
        threshold_seconds=20,
        answered_within_count=[round(offered * 0.85)] * len(starts),
    )
    return volume_pb2.VolumeObserved(queue=queue, feed="live", report_columns=columns)


def progress(through: int, queues: tuple[str, ...] = ()) -> feed_pb2.FeedProgressed:
    return feed_pb2.FeedProgressed(client="acme", feed="live", queues=queues, complete_through=Timestamp(seconds=through))


@dataclasses.dataclass
class SmallWorld:
    """A running small BPO."""

    supervisor: Supervisor
    muster: Muster
    conductor: Conductor
    world: str
    bootstrap: str

    async def send(self, topic: str, key: str, message: Message) -> None:
        await self.conductor.send(topic, key, encode(message))

    async def volume(self, message: volume_pb2.VolumeObserved) -> None:
        await self.send("muster.volume.observed.v1", message.queue, message)

    async def complete(self, through: int, queues: tuple[str, ...] = ()) -> None:
        await self.send("muster.feed.progressed.v1", "acme/live", progress(through, queues))

    def apply(self, data: dict[str, Any]) -> None:
        request = book_pb2.ApplyBookRequest(book=book_to_message(parse_book(data)))
        self.muster.staffing.ApplyBook(request)
        self.muster.scheduler.ApplyBook(request)

    async def start(self, offered: int = 30) -> None:
        """Apply the book, tell five weeks of history, solve and publish, and come to Wednesday."""
        self.apply(book())
        for queue in QUEUES:
            await self.volume(reports(queue, FRIDAY - 35 * 86_400, FRIDAY, offered))
        await self.complete(FRIDAY)
        await self.conductor.tick(FRIDAY)
        self.solve()
        for queue in QUEUES:
            await self.volume(reports(queue, FRIDAY, WEDNESDAY, offered))
        await self.complete(WEDNESDAY)
        await self.conductor.tick(WEDNESDAY)

    def solve(self, publish: bool = True) -> list[Any]:
        request = scheduling.SolveSchedulesRequest(weeks=2, first_week=MONDAY.isoformat())
        operation = self.muster.scheduler.SolveSchedules(request)
        while not operation.done:
            operation = self.muster.operations.WaitOperation(operations_pb2.WaitOperationRequest(name=operation.name))
        solved = scheduling.SolveSchedulesResponse()
        operation.response.Unpack(solved)
        if publish:
            for v in solved.schedules:
                wanted = scheduling.PublishScheduleRequest(staffing_group=v.staffing_group, version=v.version)
                self.muster.scheduler.PublishSchedule(wanted)
        return list(solved.schedules)


@contextlib.asynccontextmanager
async def small_world(home: pathlib.Path, bootstrap: str, world: str, **more: str) -> AsyncIterator[SmallWorld]:
    """Run the three services in a world, in lock-step; the book and the history are the test's. `more`: environment."""
    environment = {**more, "MUSTER_WORLD": world, "MUSTER_CLOCK": "CONDUCTED", "MUSTER_SQLITE_SYNCHRONOUS": "NORMAL"}
    supervisor = Supervisor(home, bootstrap, environment)
    try:
        supervisor.start()
        muster = Muster(dataclasses.replace(supervisor.wait(), bootstrap=bootstrap, world=world))
        async with Conductor(bootstrap, world) as conductor:
            yield SmallWorld(supervisor, muster, conductor, world, bootstrap)
        muster.close()
    finally:
        supervisor.stop()
