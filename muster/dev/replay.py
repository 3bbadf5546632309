"""Stored days lived again: a scratch world on the running broker, driven tick by tick by what was stored."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import json
import os
import pathlib
import shutil
import time
from collections.abc import Iterator

from google.longrunning import operations_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from muster.book.types import SCHEDULER_KINDS, SINGULAR, STAFFING_KINDS
from muster.client.publisher import PROGRESS, VOLUME
from muster.client.stubs import Addresses, Muster
from muster.dev.conductor import Conductor
from muster.dev.live import Screen
from muster.dev.supervisor import Supervisor, undisturbed
from muster.domain.calendar import DAY, monday_of
from muster.kit.codec import encode
from muster.kit.topics import apply_topics
from muster.v1 import book_pb2, decision_pb2, feed_pb2, staffing_service_pb2, volume_pb2
from muster.v1 import forecaster_service_pb2 as forecasting
from muster.v1 import scheduler_service_pb2 as scheduling

FEED = "replay"
HISTORY_DAYS = 84


@dataclasses.dataclass(frozen=True)
class ReplayOptions:
    """Which days, at what pace. Instants are seconds since 1970; speed 0 is without limit."""

    home: pathlib.Path
    begin: int
    end: int
    tick_seconds: int
    speed: float
    stay: bool


def read_book(muster: Muster) -> book_pb2.Book:
    """Return the running Muster's book, from its owners."""
    book = book_pb2.Book()
    for owner, kinds in ((muster.staffing, STAFFING_KINDS), (muster.scheduler, SCHEDULER_KINDS)):
        for kind in kinds:
            request = book_pb2.ListBookRowsRequest(kind=kind, page_size=1000)
            while True:
                answer = owner.ListBookRows(request)
                getattr(book, kind).extend(getattr(row, SINGULAR[kind]) for row in answer.rows)
                if not answer.next_page_token:
                    break
                request.page_token = answer.next_page_token
    return book


def stored_cells(muster: Muster, queue: str, begin: int, end: int) -> Iterator[volume_pb2.VolumeCell]:
    """Yield what is stored of a queue between two instants, in order."""
    request = forecasting.ListVolumeCellsRequest(queue=queue, page_size=5000)
    request.starts_at.seconds, request.ends_at.seconds = begin, end
    while True:
        answer = muster.forecaster.ListVolumeCells(request)
        yield from answer.cells
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


def as_report(cell: volume_pb2.VolumeCell) -> volume_pb2.IntervalReport:
    """Return a stored interval as the report that tells it."""
    report = volume_pb2.IntervalReport(starts_at=cell.starts_at, interval_seconds=cell.interval_seconds, revision=1)
    for name in ("offered_count", "answered_count", "abandoned_count", "overflowed_out_count", "open_count"):
        if cell.HasField(name):
            setattr(report, name, getattr(cell, name))
    for source, target in (
        ("handle_milliseconds_sum", "talk_seconds_sum"),
        ("answered_wait_milliseconds_sum", "answered_wait_seconds_sum"),
        ("abandoned_wait_milliseconds_sum", "abandoned_wait_seconds_sum"),
    ):
        if cell.HasField(source):  # type: ignore[arg-type]
            setattr(report, target, getattr(cell, source) / 1000)
    for bins, field in ((cell.answered_waits, report.answered_within), (cell.abandoned_waits, report.abandoned_within)):
        total = 0
        for edge, count in zip(cell.wait_edges_milliseconds, bins, strict=False):
            total += count
            field.add(threshold_seconds=edge / 1000, count=total)
    return report


@contextlib.contextmanager
def scratch_world(home: pathlib.Path, bootstrap: str) -> Iterator[Addresses]:
    """Run the three services in a world of its own on a running broker."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    world = f"replay-{os.getpid()}-{int(time.time())}."
    apply_topics(bootstrap, world)
    environment = {"MUSTER_WORLD": world, "MUSTER_CLOCK": "CONDUCTED", "MUSTER_SQLITE_SYNCHRONOUS": "NORMAL"}
    supervisor = Supervisor(home, bootstrap, environment)
    try:
        supervisor.start()
        (home / "kafka.address.json").write_text(json.dumps({"bootstrap": bootstrap, "world": world}))
        yield dataclasses.replace(supervisor.wait(), bootstrap=bootstrap, world=world)
    finally:
        with undisturbed():
            supervisor.stop()


class _Replay:
    def __init__(self, options: ReplayOptions, source: Muster, world: Muster, screen: Screen) -> None:
        self._options, self._source, self._world, self._screen = options, source, world, screen
        self._conductor = Conductor(world.addresses.bootstrap, world.addresses.world)
        self._seen: set[str] = set()
        self.counts: dict[str, int] = {}

    async def run(self) -> None:
        o = self._options
        async with self._conductor:
            book = read_book(self._source)
            request = book_pb2.ApplyBookRequest(book=book)
            self._world.staffing.ApplyBook(request)
            self._world.scheduler.ApplyBook(request)
            self._screen.say(f"book copied: {len(book.queues)} queues, {len(book.agents)} agents")
            monday = monday_of(dt.datetime.fromtimestamp(o.begin, dt.UTC).date())
            start = int(dt.datetime.combine(monday, dt.time(), dt.UTC).timestamp()) - 3 * DAY
            queues = [q.name for q in book.queues]
            await self._tell(queues, start - HISTORY_DAYS * DAY, start)
            await self._conductor.tick(start)
            self._solve(monday, (o.end - start) // (7 * DAY) + 1)
            await self._tell(queues, start, o.begin)
            await self._conductor.tick(o.begin)
            await self._live(queues)

    async def _tell(self, queues: list[str], begin: int, end: int) -> int:
        """Tell what was stored of a span, and that it is complete."""
        told = 0
        for queue in queues:
            reports = [as_report(c) for c in stored_cells(self._source, queue, begin, end)]
            told += len(reports)
            for first in range(0, len(reports), 250):
                message = volume_pb2.VolumeObserved(queue=queue, feed=FEED, reports=reports[first : first + 250])
                await self._conductor.send(VOLUME, queue, encode(message))
            client = queue.partition("/")[0]
            through = Timestamp(seconds=end)
            progress = feed_pb2.FeedProgressed(client=client, feed=FEED, queues=[queue], complete_through=through)
            await self._conductor.send(PROGRESS, f"{client}/{FEED}", encode(progress))
        if end - begin > DAY:
            self._screen.say(f"{told:,} stored intervals told")
        return told

    def _solve(self, monday: dt.date, weeks: int) -> None:
        request = scheduling.SolveSchedulesRequest(weeks=min(max(weeks, 1), 6), first_week=monday.isoformat())
        operation = self._world.scheduler.SolveSchedules(request)
        while not operation.done:
            wait = operations_pb2.WaitOperationRequest(name=operation.name)
            wait.timeout.seconds = 1
            operation = self._world.operations.WaitOperation(wait)
        solved = scheduling.SolveSchedulesResponse()
        operation.response.Unpack(solved)
        for v in solved.schedules:
            request_ = scheduling.PublishScheduleRequest(staffing_group=v.staffing_group, version=v.version)
            self._world.scheduler.PublishSchedule(request_)
            self._screen.say(
                f"schedule of {v.staffing_group}: {v.shift_count:,} shifts of {v.agent_count} agents, {v.paid_hours:,.0f} paid hours, "
                f"{v.uncovered_hours:,.0f} agent-hours uncovered, {v.violation_count} violations; published"
            )

    async def _live(self, queues: list[str]) -> None:
        o = self._options
        for now in range(o.begin + o.tick_seconds, o.end + 1, o.tick_seconds):
            began = time.monotonic()
            await self._tell(queues, now - o.tick_seconds, now)
            await self._conductor.tick(now)
            self._show(now)
            if o.speed:
                await asyncio.sleep(max(0.0, o.tick_seconds / o.speed - (time.monotonic() - began)))

    def _show(self, now: int) -> None:
        request = staffing_service_pb2.ListDecisionsRequest(page_size=60)
        for d in reversed(self._world.staffing.ListDecisions(request).decisions):
            if d.decision_id not in self._seen:
                self._seen.add(d.decision_id)
                kind = decision_pb2.DecisionKind.Name(d.kind).removeprefix("DECISION_KIND_")
                self.counts[kind] = self.counts.get(kind, 0) + 1
                self._screen.decision(d)
        self._screen.frame(now, self._world)


async def play_again(options: ReplayOptions, source: Muster, console: Console) -> None:
    """Live the days again; show forecasts' accuracy and decisions."""
    screen = Screen(console)
    with scratch_world(options.home, source.addresses.bootstrap) as addresses:
        world = Muster(addresses)
        replay = _Replay(options, source, world, screen)
        await replay.run()
        decided = ", ".join(f"{n} {kind}" for kind, n in sorted(replay.counts.items())) or "no decisions"
        console.print(f"replayed: {decided}", highlight=False)
        console.print(f"look closer while it stays up: MUSTER_HOME={options.home} muster decisions list -v", highlight=False)
        while options.stay:
            await asyncio.sleep(3600)
