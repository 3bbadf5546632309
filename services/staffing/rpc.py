"""gRPC edge of staffing."""

import asyncio
import concurrent.futures
import datetime as dt
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import grpc
import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp

from muster.book.copy import BookOwner
from muster.book.rpc import apply_book, list_rows
from muster.book.terms import Target
from muster.book.types import STAFFING_KINDS
from muster.book.view import BookDay
from muster.book.windows import window_of, zone_of
from muster.domain.calendar import local_date
from muster.kit.errors import NotFound, Refusal
from muster.kit.outbox import Outbox
from muster.kit.parts import Parts
from muster.kit.rpc import next_token, page
from muster.v1 import book_pb2, decision_pb2, requirement_pb2
from muster.v1 import staffing_service_pb2 as pb
from muster.v1 import staffing_service_pb2_grpc as stubs
from services.staffing import wire
from services.staffing.attaining import due_through, judging_of, relief, standing
from services.staffing.blending_rpc import BlendingEdge
from services.staffing.explaining_rpc import ExplainingEdge
from services.staffing.handlers.ahead import windows_ahead
from services.staffing.plan_rpc import PlanEdge
from services.staffing.pricing_rpc import PricingEdge
from services.staffing.simulation_rpc import SimulationEdge
from services.staffing.states import queue_states
from services.staffing.store import decisions, plans
from services.staffing.work import Work

T = TypeVar("T")


def pooling_answer(found: dict[str, Any] | None) -> pb.GetPoolingResponse:
    """Return what was found of pools, None: not yet done, on the wire. Jobs done before a group's agents were kept have none."""
    if found is None:
        return pb.GetPoolingResponse()
    starts, unserved = found.get("starts", ()), found.get("unserved", ())
    answer = pb.GetPoolingResponse(done=True, starts_at_epoch_seconds=starts, unserved_queues=unserved)
    for way in found["ways"]:
        told = answer.ways.add(name=way["name"], agent_hours=way["hours"], days_met=way["kept"])
        agents, heads = (way.get(key) or [default] * len(way["groups"]) for key, default in (("agents", ()), ("heads", 0)))
        for queues, hours, there, many in zip(way["groups"], way["group_hours"], agents, heads, strict=True):
            told.groups.add(queues=queues, agent_hours=hours, agents=there, book_agents=many)
    return answer


class StaffingRpc(stubs.StaffingServiceServicer):
    """The book's demand side, requirement and decision."""

    def __init__(self, parts: Parts, work: Work) -> None:
        self._parts, self._work = parts, work
        self._plans = PlanEdge(parts, work)
        self._simulations, self._prices = SimulationEdge(self._plans), PricingEdge(self._plans)
        self._blends, self._reasons = BlendingEdge(self._plans), ExplainingEdge(self._plans)
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="plans")
        self._owner = BookOwner(work.book, STAFFING_KINDS)

    async def _compute(self, work: Callable[[], T]) -> T:
        """Do what takes seconds, one after the other, beside the threads that read."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def ApplyBook(self, request: book_pb2.ApplyBookRequest, context: Any) -> book_pb2.ApplyBookResponse:
        return await apply_book(self._parts, self._owner, request)

    async def ListBookRows(self, request: book_pb2.ListBookRowsRequest, context: Any) -> book_pb2.ListBookRowsResponse:
        return await list_rows(self._parts, self._work.book, STAFFING_KINDS, request)

    async def ListRequirementDays(self, request: pb.ListRequirementDaysRequest, context: Any) -> pb.ListRequirementDaysResponse:
        limit, offset = page(request.page_size, request.page_token, 14, 100)

        def work(connection: sa.Connection) -> pb.ListRequirementDaysResponse:
            book = self._work.streams.book_today(connection)
            queue = book.queues.get(request.queue)
            if queue is None:
                raise NotFound("NO_SUCH_QUEUE", f"no queue {request.queue!r} in the book; declare it with muster apply")
            today = local_date(self._parts.clock.now(), book.zone_of(queue)).isoformat()
            last = request.last_date or dt.date.max.isoformat()
            days = plans.list_requirements(connection, request.queue, request.first_date or today, last, limit + 1, offset)
            messages = [wire.requirement_message(day) for day in days[:limit]]
            return pb.ListRequirementDaysResponse(days=messages, next_page_token=next_token(limit, offset, days))

        return await self._parts.database.read(work)

    async def ExplainRequirement(self, request: pb.ExplainRequirementRequest, context: Any) -> pb.ExplainRequirementResponse:
        return await self._compute(await self._parts.database.read(lambda c: self._reasons.gather(c, request)))

    async def PriceRequirement(self, request: pb.PriceRequirementRequest, context: Any) -> pb.PriceRequirementResponse:
        return await self._compute(await self._parts.database.read(lambda c: self._prices.gather(c, request)))

    async def ExplainBlend(self, request: pb.ExplainBlendRequest, context: Any) -> pb.ExplainBlendResponse:
        return await self._compute(await self._parts.database.read(lambda c: self._blends.gather(c, request)))

    async def SimulatePlan(self, request: pb.SimulatePlanRequest, context: Any) -> pb.SimulatePlanResponse:
        return await self._compute(await self._parts.database.read(lambda c: self._simulations.gather(c, request)))

    async def StartPooling(self, request: pb.StartPoolingRequest, context: Any) -> pb.StartPoolingResponse:
        job = await self._parts.database.run(lambda c: self._work.pooling.ask(c, request.queues, request.local_date))
        self._parts.jobs.wake()
        return pb.StartPoolingResponse(job=job)

    async def GetPooling(self, request: pb.GetPoolingRequest, context: Any) -> pb.GetPoolingResponse:
        found = await self._parts.database.read(lambda c: self._work.pooling.answer(c, request.job))
        return pooling_answer(found)

    async def PredictService(self, request: pb.PredictServiceRequest, context: Any) -> pb.PredictServiceResponse:
        return await self._compute(await self._parts.database.read(lambda c: self._plans.prediction(c, request)))

    async def ListAttainments(self, request: pb.ListAttainmentsRequest, context: Any) -> pb.ListAttainmentsResponse:
        limit, offset = page(request.page_size, request.page_token, 500, 1000)

        def work(connection: sa.Connection) -> list[requirement_pb2.Attainment]:
            book, now = self._work.streams.book_today(connection), self._parts.clock.now()
            rows = []
            for name, contract in sorted(book.contracts.items()):
                client = name.partition("/")[0]
                if request.client and client != request.client:
                    continue
                rows += [_attainment(connection, book, name, index, t, now) for index, t in enumerate(contract.targets)]
            return rows

        rows = (await self._parts.database.read(work))[offset:]
        return pb.ListAttainmentsResponse(attainments=rows[:limit], next_page_token=next_token(limit, offset, rows))

    async def ListWindowOutlooks(self, request: pb.ListWindowOutlooksRequest, context: Any) -> pb.ListWindowOutlooksResponse:
        if not request.contract:
            return await self._parts.database.read(lambda c: self._plans.windows(c, request.client))
        cases = await self._parts.database.read(lambda c: self._plans.cases(c, request.contract))
        found = await self._compute(lambda: windows_ahead(cases))
        return await self._parts.database.read(lambda c: self._plans.windows(c, "", found))

    async def ListTargetIntervals(self, request: pb.ListTargetIntervalsRequest, context: Any) -> pb.ListTargetIntervalsResponse:
        limit, offset = page(request.page_size, request.page_token, 2000, 10_000)

        def work(connection: sa.Connection) -> pb.ListTargetIntervalsResponse:
            book, now = self._work.streams.book_today(connection), self._parts.clock.now()
            contract = book.contracts.get(request.contract)
            if contract is None or not 0 <= request.target_index < len(contract.targets):
                raise NotFound("NO_SUCH_TARGET", f"no target {request.target_index} of contract {request.contract!r}")
            target = contract.targets[request.target_index]
            judging, since = judging_of(book, contract.name, target), window_of(book, contract.name, target, now)
            until = due_through(book, contract.name, target, now)
            span = (since, plans.LAST if until is None else until)
            rows = plans.target_cells(connection, contract.name, request.target_index, span, limit + 1, offset)
            answer = pb.ListTargetIntervalsResponse(next_page_token=next_token(limit, offset, rows))
            for r in rows[:limit]:
                excluded = judging.excludes(r.starts_at)
                answer.intervals.append(
                    pb.TargetInterval(
                        queue=r.queue,
                        starts_at=Timestamp(seconds=r.starts_at),
                        good_count=r.good,
                        base_count=r.base,
                        excluded=excluded,
                        relieved=r.relieved and not excluded,
                        offered_count=r.offered,
                        locked_count=r.locked,
                    )
                )
            return answer

        return await self._parts.database.read(work)

    async def ListQueueStates(self, request: pb.ListQueueStatesRequest, context: Any) -> pb.ListQueueStatesResponse:
        limit, offset = page(request.page_size, request.page_token, 500, 1000)
        states = await self._parts.database.read(lambda c: queue_states(c, self._work))
        kept = [s for s in states if not request.client or s.queue.startswith(request.client + "/")][offset:]
        answer = pb.ListQueueStatesResponse(next_page_token=next_token(limit, offset, kept))
        answer.now.seconds = self._parts.clock.now()
        for s in kept[:limit]:
            answer.states.append(
                pb.QueueState(
                    queue=s.queue,
                    starts_at=Timestamp(seconds=s.starts_at),
                    forecast_offered_count=s.forecast,
                    actual_offered_count=s.actual,
                    required_agents=s.required,
                    scheduled_agents=s.scheduled,
                    on_queue_agents=s.on_queue,
                    predicted_service_level=s.predicted,
                    attainment=s.attainment,
                    target=s.target,
                    presence=s.presence,
                    logged_in_agents=s.logged_in,
                )
            )
        return answer

    async def ListDecisions(self, request: pb.ListDecisionsRequest, context: Any) -> pb.ListDecisionsResponse:
        limit, offset = page(request.page_size, request.page_token, 100, 1000)
        for enum, value in ((decision_pb2.DecisionState, request.state), (decision_pb2.DecisionKind, request.kind)):
            if value not in enum.values():
                raise Refusal("UNKNOWN_WORD", f"{enum.DESCRIPTOR.name} {value}; allowed: {', '.join(enum.keys())}")
        state = decision_pb2.DecisionState.Name(request.state).removeprefix("DECISION_STATE_") if request.state else ""
        kind = decision_pb2.DecisionKind.Name(request.kind).removeprefix("DECISION_KIND_") if request.kind else ""
        found = await self._parts.database.read(
            lambda c: decisions.find(c, request.staffing_group, state, kind, limit + 1, offset)
        )
        messages = [wire.decision_message(r) for r in found[:limit]]
        return pb.ListDecisionsResponse(decisions=messages, next_page_token=next_token(limit, offset, found))

    async def WatchDecisions(self, request: pb.WatchDecisionsRequest, context: Any) -> AsyncIterator[pb.WatchDecisionsResponse]:
        outbox, database, relay = self._parts.outbox, self._parts.database, self._parts.relay
        group = request.staffing_group
        if request.HasField("after_position"):
            position = request.after_position
            kept = await database.read(lambda c: outbox.first_position(c))
            if position and position + 1 < kept:
                why = f"position {position} lies before {kept}, the oldest kept; watch without it for a snapshot"
                await context.abort(grpc.StatusCode.OUT_OF_RANGE, why)
        else:
            position, records = await database.read(lambda c: (outbox.last_position(c), decisions.under_way(c, group)))
            for record in records:
                yield pb.WatchDecisionsResponse(decision=wire.decision_message(record, position), snapshot=True)
        while True:
            rounds = relay.rounds  # before reading: what is published meanwhile is not waited for
            rows = relay.newer(wire.DECISION, position) or await database.read(
                functools.partial(_steps_since, outbox, position)
            )
            for position, value in rows:
                decision = wire.read_issued(value, position)
                if not group or decision.staffing_group == group:
                    yield pb.WatchDecisionsResponse(decision=decision)
            if not rows:
                await relay.published_since(rounds, 1.0)

    async def RespondToDecision(self, request: pb.RespondToDecisionRequest, context: Any) -> pb.RespondToDecisionResponse:
        record = await self._parts.database.run(
            lambda c: self._work.deciding.respond(
                c, request.decision_id, request.accept, list(request.accepted_agents), request.reason, request.request_id
            )
        )
        self._parts.relay.wake()
        return pb.RespondToDecisionResponse(decision=wire.decision_message(record))


def _steps_since(outbox: Outbox, position: int, connection: sa.Connection) -> list[tuple[int, bytes]]:
    """Return steps of decisions published after a position."""
    return outbox.since(connection, wire.DECISION, position)


def _attainment(
    connection: sa.Connection, book: BookDay, contract: str, index: int, target: Target, now: int
) -> requirement_pb2.Attainment:
    """Return how a target stands, also with what the contract's lock leaves out."""
    found = standing(connection, book, contract, index, target, now)
    row = requirement_pb2.Attainment(
        contract=contract,
        target_index=index,
        window_starts_at=Timestamp(seconds=window_of(book, contract, target, now)),
        window=target.window.kind,
        value=found.value,
        target=target.target,
        good_count=found.good,
        base_count=found.base,
        interval_count=found.intervals,
        unobserved_interval_count=found.unobserved,
        excluded_interval_count=found.excluded,
        metric=str(target.metric),
        definition=str(target.definition or "ANSWERED_OVER_OFFERED") if target.metric == "SERVICE_LEVEL" else "",
        aggregation=str(target.aggregation),
        threshold_seconds=target.threshold_seconds,
        zone=zone_of(book, contract, target),
        each_target=judging_of(book, contract, target).each,
        threshold_business=target.threshold_business,
        unsure_count=found.unsure,
    )
    if found.through is not None:
        row.due_through.seconds = found.through
    left_out = relief(connection, book, contract, index, target, now)
    if left_out is not None:
        row.relieved_interval_count, whole = left_out
        row.excluded_interval_count = whole.excluded  # also of intervals that are relieved besides
        row.good_with_relieved_count, row.base_with_relieved_count = whole.good, whole.base
        if whole.value is not None:
            row.value_with_relieved = whole.value
    return row
