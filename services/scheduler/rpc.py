"""gRPC edge of the scheduler, its long-running operations among it."""

import asyncio
import datetime as dt
from typing import Any

import grpc
import numpy as np
import sqlalchemy as sa
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.rpc import code_pb2, status_pb2

from muster.book.copy import BookOwner
from muster.book.rpc import apply_book, list_rows
from muster.book.types import SCHEDULER_KINDS
from muster.domain.calendar import DAY, local_date
from muster.kit.errors import NotFound, Refusal
from muster.kit.parts import Parts
from muster.kit.rpc import next_token, page
from muster.v1 import book_pb2, schedule_pb2
from muster.v1 import scheduler_service_pb2 as pb
from muster.v1 import scheduler_service_pb2_grpc as stubs
from services.scheduler import wire
from services.scheduler.domain.shift import Shift
from services.scheduler.solvers.port import SLOT
from services.scheduler.store import schedules
from services.scheduler.work import Work

LONGEST_SPAN = 100 * DAY


class SchedulerRpc(stubs.SchedulerServiceServicer):
    """The book's supply side, and the schedule."""

    def __init__(self, parts: Parts, work: Work) -> None:
        self._parts, self._work = parts, work
        self._owner = BookOwner(work.publishing.book, SCHEDULER_KINDS)

    async def ApplyBook(self, request: book_pb2.ApplyBookRequest, context: Any) -> book_pb2.ApplyBookResponse:
        return await apply_book(self._parts, self._owner, request)

    async def ListBookRows(self, request: book_pb2.ListBookRowsRequest, context: Any) -> book_pb2.ListBookRowsResponse:
        return await list_rows(self._parts, self._work.publishing.book, SCHEDULER_KINDS, request)

    async def SolveSchedules(self, request: pb.SolveSchedulesRequest, context: Any) -> operations_pb2.Operation:
        name = await self._parts.database.run(
            lambda c: self._work.ask(c, request.staffing_group, request.weeks, request.first_week, request.request_id)
        )
        self._parts.jobs.wake()
        return await self._parts.database.read(lambda c: operation(c, self._parts, name))

    async def ListSchedules(self, request: pb.ListSchedulesRequest, context: Any) -> pb.ListSchedulesResponse:
        limit, offset = page(request.page_size, request.page_token, 100, 1000)
        found = await self._parts.database.read(lambda c: schedules.list_versions(c, request.staffing_group, limit + 1, offset))
        messages = [wire.version_message(v) for v in found[:limit]]
        return pb.ListSchedulesResponse(schedules=messages, next_page_token=next_token(limit, offset, found))

    def _group(self, connection: sa.Connection, name: str) -> str:
        """Return a group by its name, or by any of its queues; the only one where none is named."""
        groups = self._work.publishing.book_at(connection, self._parts.clock.now()).groups
        if not name and len(groups) == 1:
            return next(iter(groups))
        for group in groups.values():
            if name == group.name or name in group.queues:
                return group.name
        raise NotFound("NO_SUCH_GROUP", f"no staffing group {name!r}; there are: {', '.join(sorted(groups)) or 'none'}")

    async def ListShifts(self, request: pb.ListShiftsRequest, context: Any) -> pb.ListShiftsResponse:
        limit, offset = page(request.page_size, request.page_token, 2000, 10_000)

        def work(connection: sa.Connection) -> tuple[int, list[Shift]]:
            version = schedules.load_version(connection, self._group(connection, request.staffing_group), request.version)
            shifts = [s for week in schedules.weeks_of(connection, version).values() for s in week]
            if request.agent:
                shifts = [s for s in shifts if s.agent == request.agent]
            if request.HasField("starts_at"):
                shifts = [s for s in shifts if s.finishes > request.starts_at.seconds]
            if request.HasField("ends_at"):
                shifts = [s for s in shifts if s.begins < request.ends_at.seconds]
            return version.version, shifts[offset : offset + limit + 1]

        number, found = await self._parts.database.read(work)
        return pb.ListShiftsResponse(
            shifts=[wire.shift_message(s) for s in found[:limit]],
            next_page_token=next_token(limit, offset, found),
            version=number,
        )

    async def GetCoverage(self, request: pb.GetCoverageRequest, context: Any) -> pb.GetCoverageResponse:
        return await self._parts.database.read(lambda c: self._coverage(c, request))

    def _coverage(self, connection: sa.Connection, request: pb.GetCoverageRequest) -> pb.GetCoverageResponse:
        version = schedules.load_version(connection, self._group(connection, request.staffing_group), request.version)
        begin = request.starts_at.seconds if request.HasField("starts_at") else version.starts_at
        end = request.ends_at.seconds if request.HasField("ends_at") else version.ends_at
        begin -= begin % SLOT
        if end - begin > LONGEST_SPAN:
            raise Refusal("INVALID_SPAN", f"{(end - begin) // DAY} days; allowed: {LONGEST_SPAN // DAY}; ask in parts")
        count = max((end - begin) // SLOT, 0)
        have = {q: np.zeros(count) for q in version.queues}
        for shifts in schedules.weeks_of(connection, version).values():
            for g in (g for s in shifts if s.finishes > begin and s.begins < end for g in s.segments if g.queue in have):
                first, last = (g.starts_at - begin) / SLOT, (g.ends_at - begin) / SLOT
                slots = np.arange(max(int(first), 0), max(min(int(np.ceil(last)), count), 0))
                have[g.queue][slots] += np.clip(np.minimum(last, slots + 1) - np.maximum(first, slots), 0, 1)
        answer = pb.GetCoverageResponse(interval_seconds=SLOT, version=version.version)
        answer.starts_at_epoch_seconds.extend(range(begin, begin + count * SLOT, SLOT))
        first_day, last_day = local_date(begin, "UTC"), local_date(end, "UTC")
        one = dt.timedelta(days=1)
        for queue in version.queues:
            required = np.zeros(count)
            for day in schedules.requirements(connection, queue, str(first_day - one), str(last_day + one)):
                for start, agents in zip(day.starts, day.scheduled, strict=True):
                    low, high = (start - begin) // SLOT, (start + day.seconds - begin) // SLOT
                    required[max(low, 0) : max(high, 0)] = agents
            answer.queues.add(queue=queue, required_agents=required.tolist(), scheduled_agents=have[queue].tolist())
        return answer

    async def PublishSchedule(self, request: pb.PublishScheduleRequest, context: Any) -> pb.PublishScheduleResponse:
        version = await self._parts.database.run(
            lambda c: self._work.publishing.publish(c, self._group(c, request.staffing_group), request.version, request.reason)
        )
        self._parts.relay.wake()
        return pb.PublishScheduleResponse(schedule=wire.version_message(version))

    async def RevertSchedule(self, request: pb.RevertScheduleRequest, context: Any) -> pb.RevertScheduleResponse:
        version = await self._parts.database.run(
            lambda c: self._work.publishing.revert(c, self._group(c, request.staffing_group), request.version, request.reason)
        )
        self._parts.relay.wake()
        return pb.RevertScheduleResponse(schedule=wire.version_message(version))


def operation(connection: sa.Connection, parts: Parts, name: str) -> operations_pb2.Operation:
    """Return a solve as a long-running operation. Raise NotFound."""
    job = parts.jobs.look(connection, name)
    answer = operations_pb2.Operation(name=name, done=job.state in ("DONE", "FAILED"))
    answer.metadata.Pack(schedule_pb2.SolveProgress(**(job.progress or {"doing": "waiting"})))
    if job.state == "FAILED":
        answer.error.CopyFrom(status_pb2.Status(code=code_pb2.FAILED_PRECONDITION, message=job.result["message"]))
    elif job.state == "DONE":
        drafts = [schedules.load_version(connection, group, number) for group, number in job.result["drafts"]]
        answer.response.Pack(pb.SolveSchedulesResponse(schedules=[wire.version_message(v) for v in drafts]))
    return answer


class OperationsRpc(operations_pb2_grpc.OperationsServicer):
    """google.longrunning.Operations over the scheduler's jobs."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def GetOperation(self, request: operations_pb2.GetOperationRequest, context: Any) -> operations_pb2.Operation:
        return await self._parts.database.read(lambda c: operation(c, self._parts, request.name))

    async def WaitOperation(self, request: operations_pb2.WaitOperationRequest, context: Any) -> operations_pb2.Operation:
        """Return the operation when it is done, or as it is after the timeout (10 s unless said otherwise)."""
        seconds = request.timeout.ToTimedelta().total_seconds() if request.HasField("timeout") else 10.0
        deadline = asyncio.get_running_loop().time() + min(seconds, 60.0)
        while True:
            found = await self._parts.database.read(lambda c: operation(c, self._parts, request.name))
            if found.done or asyncio.get_running_loop().time() >= deadline:
                return found
            await asyncio.sleep(0.1)

    async def ListOperations(self, request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "list the schedules instead; each solve leaves a draft")

    async def DeleteOperation(self, request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "operations are kept with their drafts")

    async def CancelOperation(self, request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "a solve can't be cancelled; its draft need not be published")
