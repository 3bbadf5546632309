"""gRPC edge of blending: what idle time of calls does of a queue's deferred work."""

import dataclasses
from collections.abc import Callable

import sqlalchemy as sa

from muster.domain.calendar import local_date
from muster.kit.errors import NotNow
from muster.v1 import staffing_service_pb2 as pb
from services.staffing.handlers.blending import beside
from services.staffing.handlers.deferring import on_deferred
from services.staffing.plan_rpc import PlanEdge


@dataclasses.dataclass(frozen=True)
class BlendingEdge:
    """Gathers what explaining a blend needs."""

    edge: PlanEdge

    def gather(self, connection: sa.Connection, request: pb.ExplainBlendRequest) -> Callable[[], pb.ExplainBlendResponse]:
        """Return who explains it. Raise NotFound, NotNow."""
        requiring, now = self.edge.work.requiring, self.edge.parts.clock.now()
        book, queue = self.edge.queue(connection, request.queue)
        if queue.blend is None:
            raise NotNow("NO_BLEND", f"{queue.name} blends into no calls; declare its blend in the book and apply it")
        rules, today = requiring.rules_of(connection, book, queue), local_date(now, book.zone_of(queue)).isoformat()
        if rules.due is None:
            raise NotNow("NO_PLAN", f"no contract promises a deadline for {queue.name}")
        asked = request.local_date or today
        if asked < today:
            raise NotNow("DAY_IS_OVER", f"{queue.name}: {asked} is over; ask for {today} or a later day")
        case, calls = requiring.desk_days(connection, book, queue, rules)
        loss = queue.blend.loss
        if asked not in {day.local_date for day in case.days}:
            raise NotNow("NO_REQUIREMENT", f"{queue.name} has no requirement for {asked}; see muster requirement show")

        def explain() -> pb.ExplainBlendResponse:
            blend = beside(case, calls)
            answer = pb.ExplainBlendResponse(aht_seconds=case.handle, loss=loss)
            try:
                with_it, without = (on_deferred(one, rules.rules, 0) for one in (blend, case))
            except ValueError as error:
                raise NotNow("NO_PLAN", f"{queue.name}: {error}") from error
            blended, plain = (next(d for d in found if d.local_date == asked) for found in (with_it, without))
            answer.agent_hours = sum(blended.on_queue) * blended.seconds / 3600
            answer.plain_agent_hours = sum(plain.on_queue) * plain.seconds / 3600
            for day in blend.calls:
                rows = [n for n, start in enumerate(day.starts) if start in set(blended.starts)]
                if rows:
                    answer.calls.add(
                        queue=day.queue,
                        able_share=day.able,
                        starts_at_epoch_seconds=[day.starts[n] for n in rows],
                        on_queue_agents=[day.on_queue[n] for n in rows],
                        keep_idle_agents=[day.keep[n] for n in rows],
                        idle_agents=[day.agents[n] for n in rows],
                        service_level=[day.level[n] for n in rows],
                        plain_service_level=[day.plain[n] for n in rows],
                    )
            return answer

        return explain
