"""gRPC edge of why an interval needs the agents it does: calls, chats and campaigns by their plan's edge, deferred work by its level plan."""

import dataclasses
from collections.abc import Callable

import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp

from muster.book.demand import Queue
from muster.book.view import BookDay
from muster.domain.calendar import local_date
from muster.kit.errors import NotFound, NotNow
from muster.v1 import staffing_service_pb2 as pb
from services.staffing.handlers.blending import beside
from services.staffing.handlers.explaining_mail import MailWhy, explain_mail
from services.staffing.handlers.requiring import QueueRules
from services.staffing.plan_rpc import PlanEdge, clock_of, explained
from services.staffing.store import plans

Explain = Callable[[], pb.ExplainRequirementResponse]


@dataclasses.dataclass(frozen=True)
class ExplainingEdge:
    """Gathers what explaining an interval needs."""

    edge: PlanEdge

    def gather(self, connection: sa.Connection, request: pb.ExplainRequirementRequest) -> Explain:
        """Return who explains it. Raise NotFound, NotNow."""
        book, queue = self.edge.queue(connection, request.queue)
        rules = self.edge.work.requiring.rules_of(connection, book, queue)
        if rules.due is None:
            return self.edge.explanation(connection, request)
        return self._mail(connection, book, queue, rules, request.starts_at.seconds)

    def _mail(self, connection: sa.Connection, book: BookDay, queue: Queue, rules: QueueRules, start: int) -> Explain:
        case, calls = self.edge.work.requiring.desk_days(connection, book, queue, rules)
        desk, zone = case.desk, book.zone_of(queue)
        date, when = local_date(start, zone), clock_of(start, zone)
        if start < case.begin:
            why = f"{queue.name}: the interval at {when} is over, and what is left is planned from now on"
            raise NotNow("INTERVAL_IS_OVER", f"{why}; ask for a later one, or see muster requirement show")
        day = next((d for d in case.days if d.local_date == date.isoformat()), None)
        if day is None or start not in desk.hours.open_starts(date, zone, desk.seconds):
            raise NotFound("NO_SUCH_INTERVAL", f"no interval of {queue.name} with service that is forecast starts at {when}")
        told = next(iter(plans.list_requirements(connection, queue.name, day.local_date, day.local_date)), None)
        published = dict(zip(told.starts, told.on_queue, strict=True)).get(start) if told else None

        def explain() -> pb.ExplainRequirementResponse:
            try:
                found = explain_mail(beside(case, calls), rules.rules, start)
            except ValueError as error:
                raise NotNow("NO_PLAN", f"{queue.name}: {error}") from error
            answer = explained(found.explained, rules, day.version)
            answer.formula = f"earliest deadline first, {desk.rule} ({100 * rules.kept:g} %)"
            answer.deferred.MergeFrom(_deferred(found, published))
            return answer

        return explain


def _deferred(found: MailWhy, published: float | None) -> pb.DeferredNeed:
    return pb.DeferredNeed(
        came_count=found.came,
        due_count=found.due,
        plan_begins_at=Timestamp(seconds=found.begin),
        open_count=found.open,
        level_agents=found.level,
        margin=found.z,
        margin_agents=found.full,
        away_agents=found.away,
        idle_agents=found.idle,
        days_kept=found.kept,
        day_share=found.share,
        trial_count=found.trials,
        published_agents=published,
    )
