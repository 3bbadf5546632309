"""gRPC edge of what a plan rests on and would give: explained, predicted."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp

from muster.book.demand import Queue
from muster.book.terms import Target
from muster.book.view import BookDay
from muster.book.windows import window_end_of, window_of
from muster.book.words import Channel
from muster.domain.calendar import local_date, parse_date, to_local
from muster.kit.errors import NotFound, NotNow
from muster.kit.parts import Parts
from muster.v1 import requirement_pb2
from muster.v1 import staffing_service_pb2 as pb
from services.staffing.attaining import standing
from services.staffing.domain.facts import ForecastDay, RequirementDay
from services.staffing.domain.patience import Patience
from services.staffing.domain.requirement import Goal
from services.staffing.handlers.ahead import WindowCase
from services.staffing.handlers.calling import CallingDay, explain_campaign
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

    def on_day(self, connection: sa.Connection, book: BookDay, queue: Queue, date: str) -> tuple[BookDay, Queue, QueueRules]:
        """Return by what a local day of a queue of today is planned: that day's book; today's where it is deferred work."""
        rules = self.work.requiring.rules_of(connection, book, queue)
        if rules.due is None:
            book = self.work.streams.book.view(connection).at(parse_date(date))
            queue = book.queues.get(queue.name, queue)
            rules = self.work.requiring.rules_of(connection, book, queue)
        return book, queue, rules

    def explanation(
        self, connection: sa.Connection, request: pb.ExplainRequirementRequest
    ) -> Callable[[], pb.ExplainRequirementResponse]:
        """Gather what explaining an interval needs, and return who explains it. Raise NotFound, NotNow."""
        today, queue = self.queue(connection, request.queue)
        start, zone = request.starts_at.seconds, today.zone_of(queue)
        date = local_date(start, zone)
        forecast = plans.load_forecast(connection, queue.name, date.isoformat())
        if forecast is None or start not in forecast.starts:
            raise NotFound(
                "NO_SUCH_INTERVAL", f"no interval of {queue.name} that is forecast starts at {clock_of(start, zone)}"
            )
        book = self.work.streams.book.view(connection).at(date)
        rules = self.work.requiring.rules_of(connection, book, book.queues.get(queue.name, queue))
        if rules.due is not None:
            raise NotNow(
                "NOT_FOR_DEFERRED", f"{queue.name} is work with a deadline on that day, not today; see muster requirement show"
            )
        if rules.campaign is not None:
            called = self.work.requiring.calling_day(connection, book, book.queues.get(queue.name, queue), forecast)
            if start not in called.starts:
                raise NotFound("NO_SUCH_INTERVAL", f"{queue.name} has no service at {clock_of(start, zone)}")
            now = self.work.clock.now()
            return lambda: _called(called, start, rules, now)
        return lambda: explained(explain(forecast, forecast.starts.index(start), rules), rules, forecast.version)

    def prediction(
        self, connection: sa.Connection, request: pb.PredictServiceRequest
    ) -> Callable[[], pb.PredictServiceResponse]:
        """Gather what a day's prediction needs, and return who computes it. Raise NotFound, NotNow."""
        book, queue = self.queue(connection, request.queue)
        forecast, requirement = self.day(connection, book, queue, request.local_date)
        book, queue, _ = self.on_day(connection, book, queue, forecast.local_date)
        rules, goal = self.promised(connection, book, queue)
        staff = self.work.deciding.outlooks.scheduled(connection, book, queue, forecast)
        shrinkage = rules.rules.unplaced_shrinkage
        predict = functools.partial(predict_plan, forecast, requirement, goal, rules.patience, staff, shrinkage)
        return lambda: _predicted(predict(), goal)

    def day(self, connection: sa.Connection, book: BookDay, queue: Queue, date: str) -> tuple[ForecastDay, RequirementDay]:
        """Return a queue's forecast and requirement of a local day. Raise NotNow."""
        forecast = self.forecast(connection, book, queue, date)
        requirements = plans.list_requirements(connection, queue.name, forecast.local_date, forecast.local_date)
        if not requirements:
            why = f"{queue.name} has no requirement for {forecast.local_date}; see muster requirement show"
            raise NotNow("NO_REQUIREMENT", why)
        return forecast, requirements[0]

    def cases(self, connection: sa.Connection, contract: str) -> list[WindowCase]:
        """Return what looking ahead needs of a contract. Raise NotFound, NotNow(NOT_FOR_OUTBOUND)."""
        book = self.work.streams.book_today(connection)
        row = book.contracts.get(contract)
        if row is None:
            raise NotFound("NO_SUCH_CONTRACT", f"no contract {contract!r} in the book; see muster contract attainment")
        queues = [book.queues[name] for name in row.queues if name in book.queues]
        if queues and all(queue.channel == Channel.OUTBOUND for queue in queues):
            why = "nobody who is called waits, so no service is promised over a window"
            raise NotNow("NOT_FOR_OUTBOUND", f"{contract}: {why}; see muster requirement simulate for the contacts of a day")
        return self.work.windowing.cases(connection, contract)

    def windows(
        self, connection: sa.Connection, client: str, found: Sequence[tuple[str, int, dict[str, Any]]] | None = None
    ) -> pb.ListWindowOutlooksResponse:
        """Return windows ahead: as found, else as last computed."""
        book, now = self.work.streams.book_today(connection), self.parts.clock.now()
        rows = [(name, index, now, body) for name, index, body in found or ()]
        if found is None:
            rows = [tuple(row) for row in plans.window_outlooks(connection)]
        answer = pb.ListWindowOutlooksResponse()
        for name, index, made_at, body in rows:
            contract = book.contracts.get(name)
            if contract is None or index >= len(contract.targets) or (client and name.partition("/")[0] != client):
                continue
            target = contract.targets[index]
            if body["of"] != [str(target.metric), str(target.aggregation), target.target]:
                continue  # computed before the book changed
            answer.outlooks.append(_window(name, index, target, body, made_at))
            last = answer.outlooks[-1]
            last.window_starts_at.seconds = window_of(book, name, target, made_at)
            last.window_ends_at.seconds = window_end_of(book, name, target, made_at)
            value = standing(connection, book, name, index, target, now).value
            if value is not None:
                last.value = value
        return answer

    def promised(self, connection: sa.Connection, book: BookDay, queue: Queue) -> tuple[QueueRules, Goal]:
        """Return a queue's rules and the service level that its contract promises. Raise NotNow."""
        rules = self.work.requiring.rules_of(connection, book, queue)
        if rules.at_once > 1:
            raise NotNow(
                "NOT_FOR_CHAT", f"{queue.name} has several chats an agent; see muster requirement explain and simulate"
            )
        if rules.due is not None:
            raise NotNow("NOT_FOR_DEFERRED", f"{queue.name} is work with a deadline; see muster requirement show and simulate")
        if rules.campaign is not None:
            raise NotNow(
                "NOT_FOR_OUTBOUND", f"{queue.name} is called, nobody waits; see muster requirement explain and simulate"
            )
        goal = rules.rules.promised
        if goal is None:
            raise NotNow("NO_SERVICE_LEVEL", f"no contract promises a service level for {queue.name}")
        return rules, goal


def _window(name: str, index: int, target: Target, body: dict[str, Any], made_at: int) -> pb.WindowOutlook:
    budget = body["budget"]
    hours = [
        pb.WindowHour(
            local_date=date,
            queue=placed[0][0] if placed else "",
            starts_at=Timestamp(seconds=placed[0][1] if placed else 0),
            met_gain=chance or 0.0,
            value_gain=value or 0.0,
        )
        for date, placed, chance, value in body["hours_more"]
    ]
    return pb.WindowOutlook(
        contract=name,
        target_index=index,
        metric=str(target.metric),
        aggregation=str(target.aggregation),
        target=target.target,
        met_probability=body["met"],
        expected_value=body["expected"],
        low_value=body["band"][0],
        high_value=body["band"][1],
        budget_allowed=budget["allowed"],
        budget_used=budget["used"],
        passed=budget["passed"],
        burn=budget["burn"],
        hours_more=hours,
        day_count=body["days"],
        scheduled_day_count=body["scheduled_days"],
        made_at=Timestamp(seconds=made_at),
    )


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


def _called(day: CallingDay, start: int, rules: QueueRules, now: int) -> pb.ExplainRequirementResponse:
    campaign, found = rules.campaign, explain_campaign(day, start, rules, now)
    assert campaign
    answer = explained(found, rules, day.forecast.version)
    answer.campaign.MergeFrom(
        pb.CampaignNeed(
            daily_contacts=campaign.contacts,
            attempts=campaign.attempts,
            agent_seconds=campaign.seconds,
            confidence=campaign.confidence,
            occupancy_cap=campaign.occupancy_cap,
            calling_intervals=len(day.calls),
        )
    )
    return answer


def explained(found: Explanation, rules: QueueRules, version: int) -> pb.ExplainRequirementResponse:
    """Return an explanation as it is told, by a forecast's version."""
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
            agents=a.agents,
            values=a.levels,
            asa_seconds=a.asa,
            abandonment=a.abandonment,
            occupancy=a.occupancy,
            plan_share=a.in_all,
            days_kept=a.kept,
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
        **_patience(rules.seen, found.by_patience),
    )


def _patience(seen: Patience | None, agents: tuple[float, float] | None) -> dict[str, Any]:
    """Return the fields of an explanation that tell of patience; what is not known is left out."""
    if seen is None:
        return {}
    low, high = agents or (None, None)
    return {
        "patience_source": seen.source,
        "patience_seconds": seen.seconds if math.isfinite(seen.seconds) else None,
        "patience_low_seconds": seen.low,
        "patience_high_seconds": seen.high,
        "abandoned_count": seen.abandons,
        "agents_at_low_patience": low,
        "agents_at_high_patience": high,
    }


def clock_of(instant: int, zone: str) -> str:
    """Return an instant as a clock of the zone shows it."""
    return f"{to_local(instant, zone):%Y-%m-%d %H:%M} {zone}"
