"""The next hours of a group, gathered from SQL: load, requirement, presence, levers, pay, and how its contracts stand."""

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable, Sequence
from decimal import Decimal

import sqlalchemy as sa

from muster.book.demand import Queue
from muster.book.supply import Site
from muster.book.view import BookDay, StaffingGroup, opening_hours
from muster.book.words import LeverKind, TargetMetric
from muster.domain.calendar import DAY, dates, local_date
from muster.domain.money import Money
from muster.kit.clock import Clock
from muster.kit.logs import get_log
from services.staffing.attaining import standing
from services.staffing.domain.erlang import Floats
from services.staffing.domain.facts import ForecastDay
from services.staffing.domain.group import SLOT, SLOTS, AgentOutlook, GroupOutlook, LeverRule, QueueOutlook
from services.staffing.domain.presence import Absence, PlannedShift, on_queue, turnout
from services.staffing.domain.record import (
    DecisionRecord,
)
from services.staffing.handlers import outlook as assembling
from services.staffing.requiring import Requiring
from services.staffing.settings import StaffingSettings
from services.staffing.store import decisions, floor, plans
from services.staffing.streams import Streams

LONGEST_DAY = 12 * 3600
IN_TIME = (TargetMetric.SERVICE_LEVEL, TargetMetric.DEADLINE_MET)


@dataclasses.dataclass
class Outlooks:
    """Gathers what decisions are made on."""

    settings: StaffingSettings
    streams: Streams
    requiring: Requiring
    clock: Clock

    def assemble(self, connection: sa.Connection, book: BookDay, group: StaffingGroup) -> GroupOutlook:
        now = self.clock.now()
        begin = now - now % SLOT
        shifts = floor.shifts_between(connection, group.agents, now - 2 * DAY, now + 3 * DAY)
        current = [s for s in shifts if s.ends_at > now and s.starts_at < begin + SLOTS * SLOT]
        absences = floor.absences(connection, group.agents, now, begin + SLOTS * SLOT)
        levers = self._levers(book, group)
        records = decisions.under_way(connection, group.name)
        planned = on_queue(current, absences, group.queues, begin, SLOTS, SLOT)
        fresh_since = now - self.settings.floor_fresh_seconds
        states = floor.states_of(connection, group.agents, fresh_since)
        present = floor.presence(connection, states, fresh_since)
        told, here = floor.sites_told(connection, fresh_since), floor.on_queues(states)
        expected = {}
        for queue, (seen, due) in self._turned_up(group, current, absences, present, told, here).items():
            usual = 1.0 - self.requiring.shrinkage(book, book.queues[queue])[0]
            expected[queue] = planned[queue] * turnout(seen, due, usual)
        assembling.under_way(expected, records, {k: rule.acceptance for k, rule in levers.items()}, begin)
        recent = decisions.scaled_since(connection, group.name, now - 7 * DAY)
        stood = functools.cache(lambda contract, index: self._standing(connection, book, contract, index))
        outlooks = {q: self._queue(connection, book, book.queues[q], begin, expected[q], stood) for q in group.queues}
        seen_at = [p.observed_at for q, p in present.items() if q in outlooks]
        return GroupOutlook(
            group=group.name,
            now=now,
            queues=outlooks,
            agents=self._agents(book, group, shifts, current, absences, recent),
            levers=levers,
            busy=frozenset(n.agent for r in records for n in r.proposal.candidates),
            scaled=assembling.last_scaled(r for r in recent if r.decide_at > now - DAY),
            schedule_version=floor.applied_version(connection, group.name),
            presence="FLOOR" if seen_at else "ASSUMED",
            floor_watermark=max(seen_at, default=None),
            absent=len(set(absences) & {s.agent for s in current}),
            currency=self._currency(book, group),
        )

    def scheduled(self, connection: sa.Connection, book: BookDay, queue: Queue, forecast: ForecastDay) -> Floats | None:
        """Return the mean agents scheduled on a queue in each interval of a forecast's day, absences aside; None: no schedule."""
        group = book.group_of(queue.name)
        if group is None or not floor.applied_version(connection, group.name):
            return None
        begin, seconds = forecast.starts[0], forecast.seconds
        slots = (forecast.starts[-1] + seconds - begin) // SLOT
        shifts = floor.shifts_between(connection, group.agents, begin, begin + slots * SLOT)
        agents = on_queue(shifts, {}, group.queues, begin, slots, SLOT)[queue.name]
        mean: Floats = agents.reshape(-1, seconds // SLOT).mean(axis=1)
        return mean

    def _turned_up(
        self,
        group: StaffingGroup,
        current: Sequence[PlannedShift],
        absences: dict[str, list[Absence]],
        present: dict[str, floor.Presence],
        told: set[str],
        states: dict[str, set[str]],
    ) -> dict[str, tuple[float | None, float]]:
        """Return by queue how many are on it (None without a floor) of how many should be. `told`: sites with a fresh picture."""
        now = self.clock.now()
        if told:
            # A site without a fresh picture says nothing of its agents: unknown is not absent.
            here = [shift for shift in current if shift.site in told]
            due = assembling.settled(here, absences, group.queues, now)
            counted = {q: (float(sum(q in states.get(a, ()) for a in names)), float(len(names))) for q, names in due.items()}
            return {q: pair if pair[1] else (None, 0.0) for q, pair in counted.items()}
        on_now = assembling.scheduled_now(current, absences, group.queues, now)
        return {q: (present[q].on_queue if q in present else None, float(n)) for q, n in on_now.items()}

    def _currency(self, book: BookDay, group: StaffingGroup) -> str:
        client = book.clients.get(group.name.partition("/")[0])
        return client.currency if client else "XXX"

    def _queue(
        self,
        connection: sa.Connection,
        book: BookDay,
        queue: Queue,
        begin: int,
        expected: Floats,
        stood: Callable[[str, int], float | None],
    ) -> QueueOutlook:
        zone = book.zone_of(queue)
        first, last = local_date(begin, zone).isoformat(), local_date(begin + SLOTS * SLOT, zone).isoformat()
        requirements = plans.list_requirements(connection, queue.name, first, last)
        rules = self.requiring.rules_of(connection, book, queue)
        forecasts = plans.list_forecasts(connection, queue.name, first, last)
        ahead = assembling.series(forecasts, requirements, begin, rules)
        through = plans.complete_through(connection, queue.name)
        return QueueOutlook(
            queue=queue.name,
            client=queue.client,
            load=ahead.load,
            goal=rules.rules.shown,
            required=ahead.required,
            required_safe=ahead.required_safe,
            expected=expected,
            complete=self.is_complete(book, queue, through),
            window_safe=self._window_safe(book, queue, stood),
            forecast_version=max((f.version for f in forecasts), default=0),
            requirement_version=max((r.version for r in requirements), default=0),
            complete_through=through,
        )

    def is_complete(self, book: BookDay, queue: Queue, through: int) -> bool:
        """Return whether every open interval that ended a while ago has been closed."""
        return self._closed_up_to(book, queue, through, self.clock.now() - self.settings.feed_patience_seconds)

    def is_told(self, connection: sa.Connection, book: BookDay, queue: Queue, instant: int) -> bool:
        """Return whether every open interval that ended by an instant is closed, and today's forecast knows of it."""
        known = plans.complete_through(connection, queue.name)
        if not self._closed_up_to(book, queue, known, instant):
            return False
        day = plans.load_forecast(connection, queue.name, local_date(instant, book.zone_of(queue)).isoformat())
        follows = day is not None and any(s >= instant for s in day.starts) and day.starts[0] < instant
        if day is not None and follows:  # else nothing of the day is left, or has been, that an update could change
            known = min(known, day.watermark)
        return self._closed_up_to(book, queue, known, instant)

    def _closed_up_to(self, book: BookDay, queue: Queue, through: int, late: int) -> bool:
        if through >= late:
            return True
        zone = book.zone_of(queue)
        today = local_date(self.clock.now(), zone)
        starts = [
            s
            for day in dates(today - dt.timedelta(days=1), today)
            for s in opening_hours(queue).open_starts(day, zone, queue.interval_seconds)
        ]
        return all(s + queue.interval_seconds <= max(through, 0) for s in starts if s + queue.interval_seconds <= late)

    def _window_safe(self, book: BookDay, queue: Queue, stood: Callable[[str, int], float | None]) -> bool:
        """Return whether the service level promised for a queue stands above its promise; unknown is not safe."""
        found = _promise(book, queue.name, (TargetMetric.SERVICE_LEVEL,))
        value = stood(found[0], found[1]) if found else None
        return found is not None and value is not None and value >= found[2] + self.settings.safe_margin

    def attainment(self, connection: sa.Connection, book: BookDay, queue: str) -> tuple[float, float] | None:
        """Return (value to date, promise) of the target that covers a queue; None if not observed."""
        found = _promise(book, queue, IN_TIME)
        value = self._standing(connection, book, found[0], found[1]) if found else None
        return (value, found[2]) if found and value is not None else None

    def _standing(self, connection: sa.Connection, book: BookDay, contract: str, index: int) -> float | None:
        target = book.contracts[contract].targets[index]
        return standing(connection, book, contract, index, target, self.clock.now()).value

    def _levers(self, book: BookDay, group: StaffingGroup) -> dict[str, LeverRule]:
        rules = {}
        for kind in LeverKind:
            lever = book.lever(kind)
            if lever is None:
                continue
            price = self._convert(book, lever.hourly_price, self._currency(book, group)) if lever.hourly_price else Decimal(0)
            rules[str(kind)] = LeverRule(
                str(kind),
                lever.lead_seconds,
                lever.notice_seconds,
                lever.minimum_duration_seconds,
                lever.maximum_duration_seconds,
                lever.cap_agents,
                price,
                lever.expected_acceptance or 1.0,
            )
        return rules

    def _convert(self, book: BookDay, money: Money, currency: str) -> Decimal:
        """Return an amount in another currency by the book's rate; unchanged, and said so, where there is none."""
        if money.currency == currency:
            return money.amount
        for name, inverse in ((f"{money.currency}/{currency}", False), (f"{currency}/{money.currency}", True)):
            rate = book.currency_rates.get(name)
            if rate is not None:
                factor = Decimal(repr(rate.rate))
                return money.amount / factor if inverse else money.amount * factor
        then = "declare it under currency_rates"
        get_log().warning("no_currency_rate", pair=f"{money.currency}/{currency}", consequence="counted one to one", then=then)
        return money.amount

    def _pay(self, book: BookDay, site: Site, currency: str) -> tuple[Decimal, Decimal]:
        """Return the price of a normal hour and of an hour of overtime."""
        hour = self._convert(book, site.hourly_pay, currency)
        extra = [r.multiplier for r in site.pay_rules if r.kind.startswith("OVERTIME")]
        return hour, hour * Decimal(str(max(extra, default=1.5)))

    def _agents(
        self,
        book: BookDay,
        group: StaffingGroup,
        shifts: Sequence[PlannedShift],
        current: Sequence[PlannedShift],
        absences: dict[str, list[Absence]],
        recent: Sequence[DecisionRecord],
    ) -> list[AgentOutlook]:
        """Return who works in the next hours and isn't away, with what may be asked of them."""
        offers: dict[str, int] = {}
        for record in recent:
            for n in record.proposal.candidates:
                offers[n.agent] = offers.get(n.agent, 0) + (record.proposal.lever != "MOVE")
        by_agent: dict[str, list[PlannedShift]] = {}
        for shift in shifts:
            by_agent.setdefault(shift.agent, []).append(shift)
        currency = self._currency(book, group)
        pay = {name: self._pay(book, site, currency) for name, site in book.sites.items()}
        found = []
        for shift in current:
            row = book.agents.get(shift.agent)
            if row is None or shift.agent in absences:
                continue
            pattern = book.work_patterns.get(row.work_pattern)
            if pattern is None or row.site not in book.sites:
                continue
            rest = int(pattern.rest_hours * 3600)
            earliest, latest = assembling.bounds(by_agent[shift.agent], shift, rest, LONGEST_DAY)
            site = book.sites[row.site]
            found.append(
                AgentOutlook(
                    shift,
                    book.eligible.get(shift.agent, ()),
                    *pay[row.site],
                    may_leave_early=site.voluntary_time_off is not False,
                    offers=offers.get(shift.agent, 0),
                    earliest_start=earliest,
                    latest_end=latest,
                )
            )
        return found


def _promise(book: BookDay, queue: str, metrics: Sequence[TargetMetric]) -> tuple[str, int, float] | None:
    """Return the target that covers a queue, the first of some metrics: contract, index, and what is promised."""
    contract = book.contract_of(queue)
    for index, t in enumerate(contract.targets if contract else ()):
        if contract and t.metric in metrics and (not t.queues or queue in t.queues):
            return contract.name, index, t.target
    return None
