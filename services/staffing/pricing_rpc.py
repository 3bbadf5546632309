"""gRPC edge of what being surer costs: calls and chats against paths of what may come, deferred work by its level plan."""

import dataclasses
from collections.abc import Callable

import numpy as np
import sqlalchemy as sa

from muster.book.demand import Queue
from muster.book.view import BookDay
from muster.domain.calendar import local_date
from muster.kit.errors import NotNow, Refusal
from muster.v1 import staffing_service_pb2 as pb
from services.staffing.domain.requirement import Goal
from services.staffing.domain.uncertainty import Choice
from services.staffing.handlers.blending import beside
from services.staffing.handlers.pricing_mail import price_mail
from services.staffing.handlers.requiring import QueueRules
from services.staffing.handlers.spreading import levels_of, price_day
from services.staffing.plan_rpc import PlanEdge

Price = Callable[[], pb.PriceRequirementResponse]


@dataclasses.dataclass(frozen=True)
class PricingEdge:
    """Gathers what pricing a day needs."""

    edge: PlanEdge

    def gather(self, connection: sa.Connection, request: pb.PriceRequirementRequest) -> Price:
        """Return who prices the day. Raise NotFound, NotNow, Refusal(INVALID_SURENESS)."""
        book, queue = self.edge.queue(connection, request.queue)
        rules = self.edge.work.requiring.rules_of(connection, book, queue)
        if rules.campaign is not None:
            why = "its contacts are the book's and have no band; how sure it is to reach them is its campaign's confidence"
            raise NotNow("NOT_FOR_OUTBOUND", f"{queue.name}: {why}, see muster requirement explain and simulate")
        forecast = self.edge.forecast(connection, book, queue, request.local_date)
        book, queue, rules = self.edge.on_day(connection, book, queue, forecast.local_date)
        sure = request.sureness if request.HasField("sureness") else rules.rules.sureness
        if not 0.5 < sure < 1:
            raise Refusal("INVALID_SURENESS", f"sureness is {sure}; allowed: above 0.5 to below 1")
        if rules.due is not None:
            return self._mail(connection, book, queue, rules, forecast.local_date, sure)
        goal = rules.rules.promised
        if goal is None:
            raise NotNow("NO_SERVICE_LEVEL", f"no contract promises a service level for {queue.name}")
        levels = levels_of(forecast, rules.at_once, rules.by_level)
        return lambda: _priced(price_day(forecast, rules.rules, rules.patience, sure, levels), rules, goal, sure)

    def _mail(
        self, connection: sa.Connection, book: BookDay, queue: Queue, rules: QueueRules, asked: str, sure: float
    ) -> Price:
        now = self.edge.parts.clock.now()
        today = local_date(now, book.zone_of(queue)).isoformat()
        if asked < today:
            raise NotNow("DAY_IS_OVER", f"{queue.name}: {asked} is over; ask for {today} or a later day")
        case, calls = self.edge.work.requiring.desk_days(connection, book, queue, rules)

        def price() -> pb.PriceRequirementResponse:
            try:
                found = price_mail(beside(case, calls), rules.rules, sure, asked)
            except ValueError as error:
                raise NotNow("NO_PLAN", f"{queue.name}: {error}") from error
            answer = _priced(found, rules, Goal("DEADLINE_MET", rules.kept), sure)
            answer.due_rule = str(case.desk.rule)
            return answer

        return price


def _priced(found: dict[str, Choice], rules: QueueRules, goal: Goal, sure: float) -> pb.PriceRequirementResponse:
    answer = pb.PriceRequirementResponse(
        target=goal.target,
        threshold_seconds=goal.threshold,
        sureness=sure,
        staff_to=rules.rules.staff_to,
        measure=goal.metric,
    )
    for name, choice in found.items():
        met = choice.interval_met[np.isfinite(choice.interval_met)]
        of_intervals = float(met.mean()) if met.size else 1.0
        answer.choices.add(
            staff_to=name,
            agents=choice.agents,
            agent_hours=choice.hours,
            price=choice.price,
            expected_service_level=choice.expected,
            day_met=choice.day_met,
            intervals_met=-1.0 if goal.metric == "DEADLINE_MET" else of_intervals,
        )
    return answer
