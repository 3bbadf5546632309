"""Staffing's time-driven work: requirements, decisions, expiries."""

import dataclasses
import datetime as dt
import math
from collections.abc import Sequence
from decimal import Decimal

import sqlalchemy as sa

from muster.book.copy import BookCopy, Key
from muster.book.types import AutonomyLevel, Direction, LeverKind, Queue, Site, TargetMetric
from muster.book.view import BookDay, StaffingGroup, opening_hours
from muster.domain.calendar import DAY, dates, local_date
from muster.domain.money import Money
from muster.kit.clock import Clock
from muster.kit.due import DueWork
from muster.kit.errors import NotNow
from muster.kit.logs import get_log
from muster.kit.outbox import Outbox
from services.staffing import wire
from services.staffing.domain.attainment import window_start
from services.staffing.domain.decision import (
    SLOT,
    SLOTS,
    AgentOutlook,
    GroupOutlook,
    LeverRule,
    Proposal,
    QueueOutlook,
    decide,
)
from services.staffing.domain.erlang import Floats
from services.staffing.domain.presence import Absence, PlannedShift, on_queue, turnout
from services.staffing.domain.record import (
    ACCEPTED,
    EXPIRED,
    OPEN,
    REJECTED,
    SUPERSEDED,
    DecisionRecord,
    issue,
)
from services.staffing.domain.requirement import Goal, Rules, combined_shrinkage
from services.staffing.errors import refuse
from services.staffing.handlers import outlook as assembling
from services.staffing.handlers.requiring import QueueRules, on_forecast
from services.staffing.settings import StaffingSettings
from services.staffing.store import decisions, floor, plans
from services.staffing.streams import Streams

LONGEST_DAY = 12 * 3600
LEVEL_ORDER = (AutonomyLevel.SHADOW, AutonomyLevel.PILOT, AutonomyLevel.LIVE)


@dataclasses.dataclass
class Work:
    """Due work of staffing."""

    settings: StaffingSettings
    book: BookCopy
    streams: Streams
    due: DueWork
    outbox: Outbox
    clock: Clock

    def declare(self) -> None:
        """Say what is done for each kind, in the order in which they run."""
        self.due.declare("recount", self.recount)
        self.due.declare("regroup", self.regroup)
        self.due.declare("require_all", self.require_all)
        self.due.declare("require", self.require)
        self.due.declare("expire", self.expire)
        self.due.declare("decide", self.decide)
        self.due.declare("prune", self.prune)

    def begin(self, connection: sa.Connection) -> None:
        """Plan what recurs."""
        self.due.plan(connection, "prune", "", self.clock.now())
        self.due.plan(connection, "regroup", "", self.clock.now())

    def on_book(self, connection: sa.Connection, changed: set[Key]) -> None:
        """Have everything that a change of the book touches computed anew."""
        now = self.clock.now()
        kinds = {kind for kind, _, _ in changed}
        self.due.plan(connection, "regroup", "", now)
        for _, name, _ in sorted(k for k in changed if k[0] == "contracts"):
            self.due.plan(connection, "recount", name, now)
        if kinds & {"queues", "contracts", "shrinkage", "sites", "agents"}:
            for queue in self.book.view(connection).queue_names():
                self.due.plan(connection, "require_all", queue, now)

    # Requirement

    def rules_of(self, connection: sa.Connection, book: BookDay, queue: Queue) -> QueueRules:
        """Return what a queue's requirement rests on."""
        contract = book.contract_of(queue.name)
        goals = []
        for t in contract.targets if contract else ():
            if not t.queues or queue.name in t.queues:
                definition = str(t.definition or "ANSWERED_OVER_OFFERED")
                threshold, short = t.threshold_seconds or 0.0, t.short_abandon_seconds or 0.0
                goals.append(Goal(str(t.metric), t.target, definition, threshold, short))
        patience, formula = self._patience(connection, queue)
        unplaced, placed = self._shrinkage(book, queue)
        return QueueRules(Rules(tuple(goals), book.minimum_staff(queue.name), unplaced, placed), patience, formula)

    def _patience(self, connection: sa.Connection, queue: Queue) -> tuple[float, str]:
        """Return mean patience in seconds: declared, or total waiting of all / abandons; unknown is conservative."""
        declared = queue.patience
        if declared and declared.source == "DECLARED" and declared.seconds:
            return declared.seconds, f"Erlang A (patience {declared.seconds:.0f} s, declared)"
        if declared and declared.source == "ESTIMATED":
            since = self.clock.now() - self.settings.patience_days * DAY
            waited, abandons = plans.patience_sums(connection, queue.name, since)
            if abandons >= self.settings.patience_abandons:
                seconds = waited / 1000 / abandons
                return seconds, f"Erlang A (patience {seconds:.0f} s, estimated from {abandons} abandons)"
            if declared.seconds:
                return declared.seconds, f"Erlang A (patience {declared.seconds:.0f} s, declared; too few abandons to estimate)"
        return math.inf, "Erlang C (patience unknown)"

    def _shrinkage(self, book: BookDay, queue: Queue) -> tuple[float, float]:
        """Return shrinkage that the schedule does not place, and that it does, averaged over eligible agents' sites."""
        sites = [book.agents[a].site for a, queues in book.eligible.items() if queue.name in queues]
        shares: dict[bool, list[float]] = {True: [], False: []}
        for site in sites or [""]:
            for placed in (True, False):
                rows = [
                    s.share
                    for _, s in sorted(book.shrinkage.items())
                    if s.placed_by_scheduler == placed and s.site in ("", site) and s.queue in ("", queue.name)
                ]
                shares[placed].append(combined_shrinkage(rows))
        return sum(shares[False]) / len(shares[False]), sum(shares[True]) / len(shares[True])

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
        rules = self.rules_of(connection, book, queue)
        version = plans.last_requirement_version(connection, name) + 1
        answers = on_forecast(days, rules, version, self.clock.now())
        for day in answers:
            plans.save_requirement(connection, day)
        self.outbox.write(connection, [wire.requirement_published(day) for day in answers])
        if len(answers) > 1:
            get_log().info("requirement_published", queue=name, days=len(answers), formula=rules.formula)

    def recount(self, connection: sa.Connection, contract: str, due_at: int) -> None:
        """Count a contract's targets anew from closed cells, since its terms changed."""
        book = self.streams.book_today(connection)
        row = book.contracts.get(contract)
        plans.forget_contributions(connection, contract)
        for queue in row.queues if row else ():
            cells = plans.cells_since(connection, queue, self.clock.now() - 62 * DAY)
            for owner, index, rule in self.streams.rules_of(book, queue):
                if owner == contract:
                    plans.save_contributions(connection, contract, index, rule, cells)

    # Decision

    def regroup(self, connection: sa.Connection, key: str, due_at: int) -> None:
        """Supersede what groups that are no more have under way, and have every group decided."""
        groups = self.streams.book_today(connection).groups
        messages = []
        for record in decisions.under_way(connection):
            if record.group not in groups:
                messages.append(self.streams.keep(connection, record.step(SUPERSEDED, "the book merged or split the group")))
        self.outbox.write(connection, messages)
        for name in groups:
            self._plan_decide(connection, name)

    def _plan_decide(self, connection: sa.Connection, group: str) -> None:
        # In lock-step everything that was known by the quarter of an hour has come: nothing to wait for.
        now, delay = self.clock.now(), 0 if self.settings.clock == "CONDUCTED" else self.settings.decide_delay_seconds
        self.due.plan(connection, "decide", group, (now - delay) // SLOT * SLOT + SLOT + delay)

    def expire(self, connection: sa.Connection, decision_id: str, due_at: int) -> None:
        """Close a decision that nobody answered in time."""
        record = decisions.load(connection, decision_id)
        if record.state == OPEN:
            self.outbox.write(connection, [self.streams.keep(connection, record.step(EXPIRED, "nobody answered in time"))])

    def decide(self, connection: sa.Connection, name: str, due_at: int) -> None:
        """Decide for a group, and plan its next quarter of an hour."""
        book = self.streams.book_today(connection)
        group = book.groups.get(name)
        if group is None:
            return
        self._plan_decide(connection, name)
        outlook = self._outlook(connection, book, group)
        if not any(q.required.any() or q.load.arrivals.any() for q in outlook.queues.values()):
            return
        proposals = [p for p in decide(outlook) if not self._repeats(connection, name, p)]
        records = []
        for ordinal, proposal in enumerate(proposals):
            level, limit = self._autonomy(book, proposal)
            record = issue(outlook, proposal, ordinal, "INTERVAL", level, limit)
            if decisions.exists(connection, record.decision_id):
                continue
            records.append(record)
            if record.state == OPEN:
                self.due.plan(connection, "expire", record.decision_id, record.expires_at)
        self.outbox.write(connection, [self.streams.keep(connection, r) for r in records])
        for r in records:
            p = r.proposal
            get_log().info(
                "decision_issued", group=name, kind=p.kind, lever=p.lever, count=p.count, state=r.state, reason=p.reason
            )

    def _repeats(self, connection: sa.Connection, group: str, proposal: Proposal) -> bool:
        """Return whether a hold says what the group's last decisions of its quarter of an hour said already."""
        if proposal.kind != "HOLD":
            return False
        recent = decisions.since(connection, group, self.clock.now() - 2 * SLOT - 60)
        return any(
            r.proposal.kind == "HOLD"
            and r.proposal.reason_code == proposal.reason_code
            and _subject(r.proposal) == _subject(proposal)
            for r in recent
        )

    def _autonomy(self, book: BookDay, proposal: Proposal) -> tuple[str, int | None]:
        """Return the lowest freedom, and lowest limit, that the clients concerned give the lever."""
        direction = Direction.UP if proposal.kind == "SCALE_UP" else Direction.DOWN
        levels, limits = [], []
        for client in sorted({leg.queue.partition("/")[0] for leg in proposal.legs}):
            row = book.clients.get(client)
            said = [a for a in (row.autonomy if row else ()) if a.lever == proposal.lever and a.direction in (None, direction)]
            levels.append(said[0].level if said else AutonomyLevel.SHADOW)
            limits += [a.limit_agents for a in said if a.limit_agents]
        return str(min(levels, key=LEVEL_ORDER.index, default=AutonomyLevel.SHADOW)), min(limits, default=None)

    def _outlook(self, connection: sa.Connection, book: BookDay, group: StaffingGroup) -> GroupOutlook:
        now = self.clock.now()
        begin = now - now % SLOT
        shifts = floor.shifts_between(connection, group.agents, now - 2 * DAY, now + 3 * DAY)
        current = [s for s in shifts if s.ends_at > now and s.starts_at < begin + SLOTS * SLOT]
        absences = floor.absences(connection, now, begin + SLOTS * SLOT)
        levers = self._levers(book, group)
        records = decisions.under_way(connection, group.name)
        planned = on_queue(current, absences, group.queues, begin, SLOTS, SLOT)
        present = floor.presence(connection, now - self.settings.floor_fresh_seconds)
        expected = {}
        for queue, (seen, due) in self._turned_up(connection, group, current, absences, present).items():
            usual = 1.0 - self._shrinkage(book, book.queues[queue])[0]
            expected[queue] = planned[queue] * turnout(seen, due, usual)
        assembling.under_way(expected, records, {k: rule.acceptance for k, rule in levers.items()}, begin)
        recent = decisions.since(connection, group.name, now - 7 * DAY)
        outlooks = {q: self._queue(connection, book, book.queues[q], begin, expected[q]) for q in group.queues}
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

    def _turned_up(
        self,
        connection: sa.Connection,
        group: StaffingGroup,
        current: Sequence[PlannedShift],
        absences: dict[str, list[Absence]],
        present: dict[str, floor.Presence],
    ) -> dict[str, tuple[float | None, float]]:
        """Return by queue how many are on it (None without a floor) of how many should be."""
        now = self.clock.now()
        states = floor.agents_on_queue(connection, now - self.settings.floor_fresh_seconds)
        if states:
            due = assembling.settled(current, absences, group.queues, now)
            return {q: (float(sum(q in states.get(a, ()) for a in names)), float(len(names))) for q, names in due.items()}
        on_now = assembling.scheduled_now(current, absences, group.queues, now)
        return {q: (present[q].on_queue if q in present else None, float(n)) for q, n in on_now.items()}

    def _currency(self, book: BookDay, group: StaffingGroup) -> str:
        client = book.clients.get(group.name.partition("/")[0])
        return client.currency if client else "XXX"

    def _queue(self, connection: sa.Connection, book: BookDay, queue: Queue, begin: int, expected: Floats) -> QueueOutlook:
        zone = book.zone_of(queue)
        first, last = local_date(begin, zone).isoformat(), local_date(begin + SLOTS * SLOT, zone).isoformat()
        requirements = plans.list_requirements(connection, queue.name, first, last)
        rules = self.rules_of(connection, book, queue)
        forecasts = plans.list_forecasts(connection, queue.name, first, last)
        ahead = assembling.series(forecasts, requirements, begin, rules.patience)
        through = plans.complete_through(connection, queue.name)
        goal = next((g for g in rules.rules.goals if g.metric == "SERVICE_LEVEL"), Goal("SERVICE_LEVEL", 0.8, threshold=20.0))
        return QueueOutlook(
            queue=queue.name,
            client=queue.client,
            load=ahead.load,
            goal=goal,
            required=ahead.required,
            required_safe=ahead.required_safe,
            expected=expected,
            complete=self.is_complete(book, queue, through),
            window_safe=self._window_safe(connection, book, queue),
            forecast_version=max((f.version for f in forecasts), default=0),
            requirement_version=max((r.version for r in requirements), default=0),
            complete_through=through,
        )

    def is_complete(self, book: BookDay, queue: Queue, through: int) -> bool:
        """Return whether every open interval that ended a while ago has been closed."""
        now, zone = self.clock.now(), book.zone_of(queue)
        late = now - self.settings.feed_patience_seconds
        today = local_date(now, zone)
        starts = [
            s
            for day in dates(today - dt.timedelta(days=1), today)
            for s in opening_hours(queue).open_starts(day, zone, queue.interval_seconds)
        ]
        return all(s + queue.interval_seconds <= max(through, 0) for s in starts if s + queue.interval_seconds <= late)

    def _window_safe(self, connection: sa.Connection, book: BookDay, queue: Queue) -> bool:
        """Return whether every service-level target of the queue stands above its promise; unknown is not safe."""
        value = self.attainment(connection, book, queue.name)
        return value is not None and value[0] >= value[1] + self.settings.safe_margin

    def attainment(self, connection: sa.Connection, book: BookDay, queue: str) -> tuple[float, float] | None:
        """Return (value to date, promise) of the service-level target that covers a queue; None if not observed."""
        contract = book.contract_of(queue)
        if contract is None:
            return None
        client = book.clients.get(queue.partition("/")[0])
        for index, t in enumerate(contract.targets):
            if t.metric == TargetMetric.SERVICE_LEVEL and (not t.queues or queue in t.queues):
                zone = t.window.zone or (client.zone if client else "UTC")
                since = window_start(t.window.kind, t.window.week_start, zone, self.clock.now())
                sums = plans.target_sums(connection, contract.name, index, since)
                return (sums.good / sums.base, t.target) if sums.base else None
        return None

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
            pattern = book.work_patterns[row.work_pattern]
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

    # Answers

    def respond(
        self, connection: sa.Connection, decision_id: str, accept: bool, agents: Sequence[str], reason: str, request_id: str
    ) -> DecisionRecord:
        """Take an answer. Raise NotFound, NotNow(NOT_OPEN), Refusal(NOT_A_CANDIDATE)."""
        if request_id and (known := decisions.answered(connection, request_id)):
            return decisions.load(connection, known)
        record = decisions.load(connection, decision_id)
        if record.state != OPEN:
            raise NotNow("NOT_OPEN", f"decision {decision_id} is {record.state} ({record.state_reason})")
        if self.clock.now() >= record.expires_at:
            raise NotNow("NOT_OPEN", f"decision {decision_id} could be answered until {record.expires_at}")
        named = [n.agent for n in record.proposal.candidates]
        if strange := sorted(set(agents) - set(named)):
            raise refuse("NOT_A_CANDIDATE", f"{', '.join(strange)} not named in the decision; allowed: {', '.join(named)}")
        if accept:
            accepted = tuple(a for a in named if a in set(agents)) if agents else tuple(named)
            record = record.step(ACCEPTED, reason or f"{len(accepted)} of {len(named)} accepted", accepted=accepted)
        else:
            record = record.step(REJECTED, reason or "rejected", accepted=())
        self.outbox.write(connection, [self.streams.keep(connection, record)])
        if request_id:
            decisions.remember_answer(connection, request_id, decision_id)
        return record

    def prune(self, connection: sa.Connection, key: str, due_at: int) -> None:
        """Delete what is older than its retention says, and plan the next round."""
        now = self.clock.now()
        before = now - self.settings.keep_days * DAY
        for table in ("volume_cell", "target_cell"):
            connection.execute(sa.text(f"DELETE FROM {table} WHERE starts_at < :before"), {"before": before})  # noqa: S608
        connection.execute(sa.text("DELETE FROM shift WHERE ends_at < :before"), {"before": now - 60 * DAY})
        day = {"day": local_date(max(before, 0), "UTC").isoformat()}
        for table in ("forecast_day", "requirement_day"):
            connection.execute(sa.text(f"DELETE FROM {table} WHERE local_date < :day"), day)  # noqa: S608
        self.outbox.prune(connection, now - 14 * DAY)
        self.due.plan(connection, "prune", "", now + DAY)


def _subject(proposal: Proposal) -> str:
    """Return what a hold is about: its text without numbers."""
    return "".join(c for c in proposal.reason if not c.isdigit() and c != ".")
