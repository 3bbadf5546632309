"""gRPC edge of what a plan rests on and would give: explained, predicted."""

import dataclasses
import functools
from collections.abc import Callable

import sqlalchemy as sa

from muster.book.types import Queue
from muster.book.view import BookDay
from muster.domain.calendar import local_date
from muster.kit.errors import NotFound, NotNow
from muster.kit.service import Parts
from muster.v1 import requirement_pb2
from muster.v1 import staffing_service_pb2 as pb
from services.staffing.domain.facts import ForecastDay
from services.staffing.domain.requirement import Goal
from services.staffing.handlers.explaining import Explanation, explain
from services.staffing.handlers.predicting import Prediction, predict_plan
from services.staffing.handlers.requiring import QueueRules
from services.staffing.store import plans
from services.staffing.work import Work


@dataclasses.dataclass(frozen=True)
class PlanEdge:
    """Reads what the RPCs of plans answer."""

    parts: Parts
    work: Work

    def queue(self, connection: sa.Connection, name: str) -> tuple[BookDay, Queue]:
        """Return the book of today and a queue. Raise NotFound."""
        book = self.work.streams.book_today(connection)
        queue = book.queues.get(name)
        if queue is None:
            raise NotFound("NO_SUCH_QUEUE", f"no queue {name!r} in the book; declare it with muster apply")
        return book, queue

    def forecast(self, connection: sa.Connection, book: BookDay, queue: Queue, day: str) -> ForecastDay:
        """Return a queue's forecast of a local day, empty: today. Raise NotNow."""
        day = day or local_date(self.parts.clock.now(), book.zone_of(queue)).isoformat()
        found = plans.load_forecast(connection, queue.name, day)
        if found is None or not found.starts:
            raise NotNow("NO_REQUIREMENT", f"{queue.name} has no requirement for {day}; see muster requirement show")
        return found

    def explain(self, connection: sa.Connection, request: pb.ExplainRequirementRequest) -> pb.ExplainRequirementResponse:
        """Explain one interval. Raise NotFound."""
        today, queue = self.queue(connection, request.queue)
        start, zone = request.starts_at.seconds, today.zone_of(queue)
        date = local_date(start, zone)
        forecast = plans.load_forecast(connection, queue.name, date.isoformat())
        if forecast is None or start not in forecast.starts:
            raise NotFound("NO_SUCH_INTERVAL", f"no interval of {queue.name} that is forecast starts at {start}")
        book = self.work.streams.book.view(connection).at(date)
        rules = self.work.requiring.rules_of(connection, book, book.queues.get(queue.name, queue))
        return _explained(explain(forecast, forecast.starts.index(start), rules), rules, forecast.version)

    def prediction(
        self, connection: sa.Connection, request: pb.PredictServiceRequest
    ) -> Callable[[], pb.PredictServiceResponse]:
        """Gather what a day's prediction needs, and return who computes it. Raise NotFound, NotNow."""
        book, queue = self.queue(connection, request.queue)
        forecast = self.forecast(connection, book, queue, request.local_date)
        requirements = plans.list_requirements(connection, queue.name, forecast.local_date, forecast.local_date)
        if not requirements:
            why = f"{queue.name} has no requirement for {forecast.local_date}; see muster requirement show"
            raise NotNow("NO_REQUIREMENT", why)
        rules, goal = self.promised(connection, book, queue)
        staff = self.work.deciding.outlooks.scheduled(connection, book, queue, forecast)
        predict = functools.partial(predict_plan, forecast, requirements[0], goal, rules.patience, staff)
        return lambda: _predicted(predict(), goal)

    def promised(self, connection: sa.Connection, book: BookDay, queue: Queue) -> tuple[QueueRules, Goal]:
        """Return a queue's rules and the service level that its contract promises. Raise NotNow."""
        rules = self.work.requiring.rules_of(connection, book, queue)
        goal = next((g for g in rules.rules.goals if g.metric == "SERVICE_LEVEL"), None)
        if goal is None:
            raise NotNow("NO_SERVICE_LEVEL", f"no contract promises a service level for {queue.name}")
        return rules, goal


def _predicted(found: Prediction, goal: Goal) -> pb.PredictServiceResponse:
    return pb.PredictServiceResponse(
        starts_at_epoch_seconds=found.starts,
        required_agents=found.required,
        formula_service_level=[-1.0 if level is None else level for level in found.stationary],
        service_level=found.leave,
        blocked_service_level=found.block,
        fewest_agents=found.fewest,
        scheduled_agents=found.scheduled,
        scheduled_service_level=found.scheduled_leave,
        target=goal.target,
        threshold_seconds=goal.threshold,
        aht_seconds=found.aht,
    )


def _explained(found: Explanation, rules: QueueRules, version: int) -> pb.ExplainRequirementResponse:
    needs = [
        pb.RequirementNeed(
            metric=g.metric,
            definition=g.definition if g.metric == "SERVICE_LEVEL" else "",
            target=g.target,
            threshold_seconds=g.threshold,
            agents=n,
        )
        for g, n in zip(found.goals, found.needs, strict=True)
    ]
    around = [
        pb.RequirementAround(
            agents=a.agents, values=a.levels, asa_seconds=a.asa, abandonment=a.abandonment, occupancy=a.occupancy
        )
        for a in found.around
    ]
    return pb.ExplainRequirementResponse(
        offered_count=found.offered,
        aht_seconds=found.aht,
        load_erlangs=found.load,
        carried_erlangs=found.carried,
        formula=rules.formula,
        needs=needs,
        minimum_agents=found.minimum,
        driver=requirement_pb2.RequirementDriver.Value(f"REQUIREMENT_DRIVER_{found.driver}"),
        on_queue_agents=found.on_queue,
        unplaced_shrinkage=rules.rules.unplaced_shrinkage,
        scheduled_agents=found.scheduled,
        placed_shrinkage=rules.rules.placed_shrinkage,
        paid_agents=found.paid,
        around=around,
        forecast_version=version,
    )
