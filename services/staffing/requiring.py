"""Requirements as they are computed: what a queue's number rests on, and when it is computed anew."""

import collections
import dataclasses
import datetime as dt
import itertools
from collections.abc import Sequence

import sqlalchemy as sa

from muster.book.demand import Queue
from muster.book.terms import Target
from muster.book.view import BookDay, calling_starts, due_rule, opening_hours
from muster.book.words import Channel, TargetMetric
from muster.domain.calendar import DAY, day_bounds, local_date, parse_date
from muster.domain.due_rule import DueRule
from muster.kit.clock import Clock
from muster.kit.logs import get_log
from muster.kit.outbox import Outbox
from services.staffing import wire
from services.staffing.domain.deferred import Desk
from services.staffing.domain.facts import ForecastDay, RequirementDay
from services.staffing.domain.outbound import Campaign
from services.staffing.domain.patience import Patience, patience_of
from services.staffing.domain.requirement import Goal, Rules, combined_shrinkage, shrinkage_of_sites
from services.staffing.handlers.blending import CallsDay, beside, calls_day
from services.staffing.handlers.calling import CallingDay, describe, on_campaign
from services.staffing.handlers.deferring import DeskDays, on_deferred
from services.staffing.handlers.requiring import QueueRules, on_forecast
from services.staffing.settings import StaffingSettings
from services.staffing.store import plans
from services.staffing.streams import Streams

BACKLOG_SECONDS = 14 * DAY
DAYS_AT_ONCE = 1


def goal_of(t: Target) -> Goal:
    """Return what a target asks of a queue: of each interval or day, where the target is a share of them."""
    definition = str(t.definition or "ANSWERED_OVER_OFFERED")
    return Goal(str(t.metric), t.each, definition, t.threshold_seconds or 0.0, t.short_abandon_seconds or 0.0)


def campaign_of(queue: Queue, rules: Rules) -> Campaign | None:
    """Return what outbound is to reach on a day, as much of reserved time worked as the contract's cap says; None for other channels."""
    said = queue.campaign if queue.channel == Channel.OUTBOUND else None
    if said is None:
        return None
    cap = min((g.target for g in rules.goals if g.metric == TargetMetric.OCCUPANCY_CAP), default=1.0)
    return Campaign(
        said.daily_contacts, said.connect_rate, said.aht_seconds, said.attempt_seconds, said.aht_variation, cap, said.confidence
    )


def _says_the_same(before: RequirementDay | None, day: RequirementDay) -> bool:
    """Return whether a day answers the same forecast with the same agents."""
    if before is None or before.forecast_version != day.forecast_version:
        return False
    return (before.starts, before.on_queue, before.scheduled, before.idle) == (
        day.starts,
        day.on_queue,
        day.scheduled,
        day.idle,
    )


@dataclasses.dataclass
class Requiring:
    """Computes requirements, and counts targets anew."""

    settings: StaffingSettings
    streams: Streams
    outbox: Outbox
    clock: Clock

    def rules_of(self, connection: sa.Connection, book: BookDay, queue: Queue) -> QueueRules:
        """Return what a queue's requirement rests on."""
        contract = book.contract_of(queue.name)
        goals, staff_to, sureness = [], "MEAN", 0.85
        due: DueRule | None = None
        kept = 1.0
        for t in contract.targets if contract else ():
            if t.queues and queue.name not in t.queues:
                continue
            if t.metric == TargetMetric.DEADLINE_MET:
                if due is None:
                    due, kept = due_rule(t), t.each
            else:
                goals.append(goal_of(t))
                if t.metric == TargetMetric.SERVICE_LEVEL and staff_to == "MEAN":
                    staff_to, sureness = t.staff_to or "MEAN", t.sureness or sureness
        patience, formula = self.patience(connection, queue)
        unplaced, placed = self.shrinkage(book, queue)
        minimum = book.minimum_staff(queue.name)
        at_once = queue.concurrency.max if queue.concurrency and queue.channel == Channel.CHAT else 1
        by_level = queue.concurrency.aht_seconds_by_level if queue.concurrency and at_once > 1 else ()
        if at_once > 1:
            formula = (
                f"{at_once} chats at once; {formula.replace('Erlang A', 'some give up').replace('Erlang C', 'nobody gives up')}"
            )
        rules = Rules(tuple(goals), minimum, unplaced, placed, staff_to, sureness)
        campaign = campaign_of(queue, rules)
        formula = describe(campaign) if campaign else formula
        return QueueRules(
            rules, patience.seconds, formula, at_once, tuple(by_level), due, kept, campaign, patience, book.zone_of(queue)
        )

    def patience(self, connection: sa.Connection, queue: Queue) -> tuple[Patience, str]:
        """Return the patience of a queue's callers with what was seen of it, and the formula in words."""
        declared, seen = queue.patience, (0, 0)
        source = declared.source if declared else "NONE"
        if source == "ESTIMATED":
            seen = plans.patience_sums(connection, queue.name, self.clock.now() - self.settings.patience_days * DAY)
        enough = self.settings.patience_abandons
        return patience_of(source, declared.seconds if declared else None, seen[0] / 1000, seen[1], enough)

    def shrinkage(self, book: BookDay, queue: Queue) -> tuple[float, float]:
        """Return shrinkage that the schedule does not place, and that it does, of eligible agents' sites together (`shrinkage_of_sites`)."""
        sites = collections.Counter(book.agents[a].site for a in book.servers.get(queue.name, ())) or {"": 1}
        rows = [s for _, s in sorted(book.shrinkage.items()) if s.queue in ("", queue.name)]
        found = []
        for site, agents in sorted(sites.items()):
            here = [s for s in rows if s.site in ("", site)]
            unplaced, placed = (
                combined_shrinkage([s.share for s in here if s.placed_by_scheduler == by_schedule])
                for by_schedule in (False, True)
            )
            found.append((agents, unplaced, placed))
        return shrinkage_of_sites(found)

    def require(self, connection: sa.Connection, name: str, due_at: int) -> None:
        """Compute and publish the requirement of days whose forecast is newer."""
        self._require(connection, name, everything=False)

    def require_all(self, connection: sa.Connection, name: str, due_at: int) -> None:
        """Compute and publish the requirement of every day from today on."""
        self._require(connection, name, everything=True)

    def _require(self, connection: sa.Connection, name: str, everything: bool) -> None:
        book = self.streams.book_today(connection)
        queue = book.queues.get(name)
        if queue is None:
            return
        today = local_date(self.clock.now(), book.zone_of(queue)).isoformat()
        days = plans.unanswered_forecasts(connection, name, today, everything)
        if not days:
            return
        rules, left = self.rules_of(connection, book, queue), list[ForecastDay]()
        if (
            rules.rules.staff_to != "MEAN"
        ):  # what a forecast may miss takes a second a day: the others in transactions of their own
            if everything:
                plans.forget_answers(connection, name, today)
            days, left = days[:DAYS_AT_ONCE], days[DAYS_AT_ONCE:]
        version = plans.last_requirement_version(connection, name) + 1
        if rules.campaign is not None:
            answers = self._reserved(connection, name, days, version)
        elif rules.due is not None:
            answers = self._deferred(connection, book, queue, rules, version)
        else:
            answers = self._answers(connection, name, days, version)
        for day in answers:
            plans.save_requirement(connection, day)
        self.outbox.write(connection, [wire.requirement_published(day) for day in answers])
        if answers and left:  # a day that the book no longer serves has no answer, and is not asked for again and again
            self.streams.due.plan(connection, "require", name, self.clock.now())
        else:
            for other in book.queues.values():
                if other.blend is not None and name in other.blend.queues:  # its work takes these agents' idle time
                    self.streams.due.plan(connection, "require_all", other.name, self.clock.now())
        self.streams.on_told(connection, name)
        if len(answers) > 1:
            get_log().info("requirement_published", queue=name, days=len(answers), formula=answers[0].formula)

    def _answers(self, connection: sa.Connection, name: str, days: Sequence[ForecastDay], version: int) -> list[RequirementDay]:
        """Return the requirement of days, each by the book as it holds on that day."""
        view, answers = self.streams.book.view(connection), []
        for _, same in itertools.groupby(days, key=lambda day: id(view.at(parse_date(day.local_date)))):
            alike = list(same)
            book = view.at(parse_date(alike[0].local_date))
            queue = book.queues.get(name)
            if queue is not None:
                answers += on_forecast(alike, self.rules_of(connection, book, queue), version, self.clock.now())
        return answers

    def calling_day(self, connection: sa.Connection, book: BookDay, queue: Queue, day: ForecastDay) -> CallingDay:
        """Return a day of outbound: when calls may be made, and, of today, what has been reached."""
        date, zone, now = parse_date(day.local_date), book.zone_of(queue), self.clock.now()
        reached = None
        if date == local_date(now, zone):
            cells = plans.cells_since(connection, queue.name, day_bounds(date, zone)[0])
            told = [facts.answered for _, _, facts in cells if facts.answered is not None]
            reached = sum(told) if told else None
        starts = opening_hours(queue).open_starts(date, zone, queue.interval_seconds)
        most = len(book.servers.get(queue.name, ()))
        return CallingDay(day, starts, frozenset(calling_starts(queue, date, zone)), reached, most or None)

    def _reserved(
        self, connection: sa.Connection, name: str, days: Sequence[ForecastDay], version: int
    ) -> list[RequirementDay]:
        """Return the days of a campaign, each by the book as it holds on that day."""
        view, answers = self.streams.book.view(connection), []
        for day in days:
            book = view.at(parse_date(day.local_date))
            queue = book.queues.get(name)
            rules = self.rules_of(connection, book, queue) if queue else None
            if queue is None or rules is None or rules.campaign is None or queue.interval_seconds != day.seconds:
                continue  # a forecast of other intervals than the book's is about to be replaced
            before = next(iter(plans.list_requirements(connection, name, day.local_date, day.local_date)), None)
            called = self.calling_day(connection, book, queue, day)
            answers.append(on_campaign(called, rules.campaign, rules.rules, version, self.clock.now(), before))
        return answers

    def _deferred(
        self, connection: sa.Connection, book: BookDay, queue: Queue, rules: QueueRules, version: int
    ) -> list[RequirementDay]:
        """Return the days of a queue's deferred work, planned together, that are new or other than before."""
        today, last = local_date(self.clock.now(), book.zone_of(queue)).isoformat(), dt.date.max.isoformat()
        before = {day.local_date: day for day in plans.list_requirements(connection, queue.name, today, last)}
        case, calls = self.desk_days(connection, book, queue, rules)
        try:
            found = on_deferred(beside(case, calls), rules.rules, version, before.get(today))
        except ValueError as error:
            get_log().warning("requirement_not_possible", queue=queue.name, reason="NO_PLAN", why=str(error))
            return []
        return [day for day in found if not _says_the_same(before.get(day.local_date), day)]

    def desk_days(
        self, connection: sa.Connection, book: BookDay, queue: Queue, rules: QueueRules
    ) -> tuple[DeskDays, list[CallsDay]]:
        """Return a queue's deferred work as it is planned, and the days of calls whose agents' idle time may do part of it."""
        now, zone = self.clock.now(), book.zone_of(queue)
        today = local_date(now, zone).isoformat()
        days = plans.list_forecasts(connection, queue.name, today, dt.date.max.isoformat())
        backlog = plans.open_items(connection, queue.name, now - BACKLOG_SECONDS)
        case = DeskDays(days, backlog, self.desk(book, queue, rules), rules.kept, now)
        return case, self.calls_of(connection, queue, today)

    def calls_of(self, connection: sa.Connection, queue: Queue, first: str) -> list[CallsDay]:
        """Return the days of calls, from a local date on, whose agents' idle time does a queue's deferred work; each by its day's book."""
        if queue.blend is None:
            return []
        view, found, last = self.streams.book.view(connection), list[CallsDay](), dt.date.max.isoformat()
        begin = (parse_date(first) - dt.timedelta(days=1)).isoformat()  # what is today here may be yesterday where calls are
        for name in queue.blend.queues:
            required = {day.local_date: day for day in plans.list_requirements(connection, name, begin, last)}
            days = plans.list_forecasts(connection, name, begin, last)
            for _, same in itertools.groupby(days, key=lambda day: id(view.at(parse_date(day.local_date)))):
                alike = list(same)
                book = view.at(parse_date(alike[0].local_date))
                calls = book.queues.get(name)
                if calls is None or calls.interval_seconds != queue.interval_seconds:
                    continue
                rules, able = self.rules_of(connection, book, calls), book.able(name, queue.name)
                for day in alike:
                    needed = required.get(day.local_date)
                    if needed is not None and calls.interval_seconds == day.seconds == needed.seconds:
                        found.append(calls_day(day, needed, rules, able, queue.blend.loss))
        return found

    def desk(self, book: BookDay, queue: Queue, rules: QueueRules) -> Desk:
        """Return where a queue's deferred work is done, and when it is due."""
        assert rules.due
        cold = queue.cold_start.aht_seconds if queue.cold_start and queue.cold_start.aht_seconds else 300.0
        return Desk(opening_hours(queue), book.zone_of(queue), rules.due, queue.interval_seconds, cold)

    def recount(self, connection: sa.Connection, contract: str, due_at: int) -> None:
        """Count a contract's targets anew from closed cells, since its terms changed."""
        book = self.streams.book_today(connection)
        row = book.contracts.get(contract)
        plans.forget_contributions(connection, contract)
        for queue in row.queues if row else ():
            cells = plans.cells_since(connection, queue, self.clock.now() - 62 * DAY)
            relieved = self.streams.relieved(connection, cells)
            for owner, index, rule in self.streams.rules_of(book, queue):
                if owner == contract:
                    plans.save_contributions(connection, contract, index, rule, cells, relieved)
