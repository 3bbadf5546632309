"""gRPC edge of plans that are played: what a queue's channel takes gathered, played beside the threads that read, told."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import sqlalchemy as sa

from muster.book.demand import Queue
from muster.book.view import BookDay
from muster.domain.calendar import day_bounds, local_date, parse_date
from muster.kit.errors import NotNow, Refusal
from muster.v1 import staffing_service_pb2 as pb
from services.staffing.domain.facts import ForecastDay, RequirementDay
from services.staffing.domain.requirement import Goal
from services.staffing.handlers.requiring import QueueRules
from services.staffing.handlers.simulating import Asked, Simulation, simulate_plan
from services.staffing.handlers.simulating_campaigns import rest_of, simulate_campaign
from services.staffing.handlers.simulating_chats import simulate_chats
from services.staffing.handlers.simulating_mail import MailPlan, simulate_mail
from services.staffing.plan_rpc import PlanEdge
from services.staffing.requiring import BACKLOG_SECONDS
from services.staffing.store import plans

USUAL_DAYS, MOST_CONTACTS = 200, 3_000_000
Play = Callable[[], pb.SimulatePlanResponse]


@dataclasses.dataclass(frozen=True)
class _Case:
    """What is asked of which queue: its forecast and requirement of the day, and whether the schedule is played."""

    book: BookDay
    queue: Queue
    rules: QueueRules
    forecast: ForecastDay
    requirement: RequirementDay
    asked: Asked
    scheduled: bool


@dataclasses.dataclass(frozen=True)
class SimulationEdge:
    """Gathers what playing a day needs, by the queue's channel."""

    edge: PlanEdge

    def gather(self, connection: sa.Connection, request: pb.SimulatePlanRequest) -> Play:
        """Return who plays the day. Raise NotFound, NotNow, Refusal(INVALID_SIMULATION)."""
        sigma = request.handle_sigma if request.HasField("handle_sigma") else None
        try:
            asked = Asked(request.days or USUAL_DAYS, request.discipline or "LEAVE", sigma, request.uncertain)
        except ValueError as error:
            raise Refusal("INVALID_SIMULATION", str(error)) from error
        book, queue = self.edge.queue(connection, request.queue)
        forecast, requirement = self.edge.day(connection, book, queue, request.local_date)
        book, queue, rules = self.edge.on_day(connection, book, queue, forecast.local_date)
        case = _Case(book, queue, rules, forecast, requirement, asked, request.scheduled)
        if asked.discipline != "LEAVE" and (rules.at_once > 1 or not rules.in_line):
            why = f"discipline is {asked.discipline} for {queue.name}, {queue.channel}; allowed: LEAVE, BLOCK is for calls"
            raise Refusal("INVALID_SIMULATION", why)
        if rules.due is not None:
            return self._mail(connection, case)
        if rules.campaign is not None:
            return self._campaign(connection, case)
        return self._line(connection, case)

    def _line(self, connection: sa.Connection, case: _Case) -> Play:
        """Return who plays a day of calls or chats."""
        rules, goal = case.rules, case.rules.rules.promised
        if goal is None:
            raise NotNow("NO_SERVICE_LEVEL", f"no contract promises a service level for {case.queue.name}")
        staff = None
        if case.scheduled:
            staff = np.array(list(self._scheduled(connection, case, case.forecast.starts).values()))
        _check_size(sum(case.forecast.offered), case.asked)
        forecast, requirement, asked = case.forecast, case.requirement, case.asked
        if rules.at_once > 1:
            return lambda: _told(simulate_chats(forecast, requirement, goal, rules, staff, asked), goal)
        return lambda: _told(simulate_plan(forecast, requirement, goal, rules.patience, staff, asked), goal)

    def _mail(self, connection: sa.Connection, case: _Case) -> Play:
        """Return who plays deferred work from now to the end of the day."""
        queue, rules, now = case.queue, case.rules, self.edge.parts.clock.now()
        zone, asked_for = case.book.zone_of(queue), case.forecast.local_date
        today = local_date(now, zone).isoformat()
        if asked_for < today:
            why = f"{asked_for} is over, and what was open then is not kept; ask for {today} or a later day"
            raise NotNow("DAY_IS_OVER", f"{queue.name}: {why}")
        days = [day for day in plans.list_forecasts(connection, queue.name, today, asked_for) if day.starts]
        staff = dict[int, float]()
        if case.scheduled:
            begins, ends = (day_bounds(parse_date(day), zone)[n] for n, day in enumerate((today, asked_for)))
            staff.update(self._scheduled(connection, case, [begins, ends - queue.interval_seconds]))
        idle = dict[int, float]()
        for needed in plans.list_requirements(connection, queue.name, today, asked_for):
            idle.update(zip(needed.starts, needed.idle, strict=True))
            if not case.scheduled:
                staff.update(zip(needed.starts, needed.on_queue, strict=True))
        backlog = plans.open_items(connection, queue.name, now - BACKLOG_SECONDS)
        _check_size(sum(sum(d.offered) for d in days) + sum(n for _, n in backlog), case.asked)
        required = None if case.scheduled else case.requirement
        desk = self.edge.work.requiring.desk(case.book, queue, rules)
        plan = MailPlan(days, backlog, desk, rules.kept, staff, required, idle)
        return lambda: _mail_told(plan, case.asked, now, queue.name)

    def _campaign(self, connection: sa.Connection, case: _Case) -> Play:
        """Return who plays what is left of a campaign's day."""
        campaign, now, name = case.rules.campaign, self.edge.parts.clock.now(), case.queue.name
        assert campaign
        if case.asked.uncertain:
            why = f"uncertain is set for {name}; a campaign's contacts are the book's, and have no band: ask without it"
            raise Refusal("INVALID_SIMULATION", why)
        called = self.edge.work.requiring.calling_day(connection, case.book, case.queue, case.forecast)
        _, rest = rest_of(called, campaign, now)
        if not rest.contacts:
            reached = "" if called.reached is None else f", {called.reached} of {campaign.contacts:g} contacts are reached"
            why = f"{name} makes no more calls on {case.forecast.local_date}{reached}; ask for another day"
            raise NotNow("NOTHING_TO_CALL", why)
        _check_size(rest.contacts / campaign.connect_rate, case.asked)
        needed = case.requirement
        staff: Mapping[int, float] = dict(zip(needed.starts, needed.on_queue, strict=True))
        if case.scheduled:
            staff = self._scheduled(connection, case, called.starts)
        goal, found = Goal("CAMPAIGN", 1.0), (called, campaign, staff, case.asked, now)

        def play() -> pb.SimulatePlanResponse:
            answer = _told(simulate_campaign(*found), goal)
            answer.campaign.confidence = campaign.confidence
            return answer

        return play

    def _scheduled(self, connection: sa.Connection, case: _Case, starts: Sequence[int]) -> dict[int, float]:
        """Return the agents on queue, by start, that the published schedule has from the first to the last of some intervals.

        Raise NotNow(NO_SCHEDULE).
        """
        seconds = case.forecast.seconds
        span = list(range(starts[0], starts[-1] + seconds, seconds))
        day = dataclasses.replace(case.forecast, starts=span)
        staff = self.edge.work.deciding.outlooks.scheduled(connection, case.book, case.queue, day)
        if staff is None:
            raise NotNow("NO_SCHEDULE", f"no schedule is published for {case.queue.name}; see muster schedule show")
        there = 1.0 - case.rules.rules.unplaced_shrinkage
        return {start: float(n) * there for start, n in zip(span, staff, strict=True)}


def _check_size(contacts: float, asked: Asked) -> None:
    if contacts * asked.days > MOST_CONTACTS:
        most = f"{contacts:,.0f} contacts, played {asked.days} times; allowed: {MOST_CONTACTS:,} in all, play it fewer times"
        raise Refusal("INVALID_SIMULATION", most)


def _mail_told(plan: MailPlan, asked: Asked, now: int, name: str) -> pb.SimulatePlanResponse:
    try:
        answer = _told(simulate_mail(plan, asked, now), Goal("DEADLINE_MET", plan.target))
    except ValueError as error:
        raise NotNow("NO_PLAN", f"{name}: {error}") from error
    answer.due_rule = str(plan.desk.rule)
    return answer


def _shares(values: Sequence[float | None]) -> list[float]:
    return [-1.0 if v is None or not math.isfinite(v) else v for v in values]


def _told(found: Simulation, goal: Goal) -> pb.SimulatePlanResponse:
    answer = pb.SimulatePlanResponse(
        starts_at_epoch_seconds=found.starts,
        agents=found.agents,
        offered_count=found.offered,
        predicted_service_level=_shares(found.predicted),
        moving_service_level=_shares(found.moving),
        simulated_service_level=_shares(found.simulated),
        half_width=[half if math.isfinite(half) else 0.0 for half in found.half],
        day_service_level=found.day if math.isfinite(found.day) else 1.0,
        day_half_width=found.day_half if math.isfinite(found.day_half) else 0.0,
        days_met=found.days_met,
        contact_count=found.contacts,
        target=goal.target,
        threshold_seconds=goal.threshold,
        measure=found.measure,
        day_predicted=found.foreseen,
        chats_at_once=found.at_once,
        concurrency=found.concurrency,
    )
    if found.backlog is not None:
        waits = found.backlog
        answer.backlog.MergeFrom(
            pb.SimulatedBacklog(
                due_count=waits.due,
                predicted_count=waits.predicted,
                simulated_count=waits.simulated,
                half_width=waits.half,
                age_seconds=waits.ages,
                aged_count=[n for row in waits.aged for n in row],
                overdue_count=waits.overdue,
            )
        )
    if found.calls is not None:
        calls = found.calls
        answer.campaign.MergeFrom(
            pb.SimulatedCampaign(
                wanted_count=calls.wanted,
                predicted_count=calls.predicted,
                reached_count=calls.reached,
                attempts=calls.attempts,
                met_predicted=calls.chance,
            )
        )
    return answer
