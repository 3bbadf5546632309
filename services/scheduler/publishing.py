"""Versions of the schedule: audited, published, reverted, amended by decisions."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from muster.book.copy import BookCopy
from muster.book.view import BookDay
from muster.domain.calendar import DAY, local_date, monday_of, parse_date
from muster.kit.clock import Clock
from muster.kit.errors import NotNow, Violation
from muster.kit.logs import get_log
from muster.kit.outbox import Outbox, Outgoing
from services.scheduler import wire
from services.scheduler.domain import audit as auditing
from services.scheduler.domain.amend import amend, find_shift
from services.scheduler.domain.rules import AgentRules, rules_of
from services.scheduler.domain.shift import Shift
from services.scheduler.domain.version import DRAFT, PUBLISHED, Version
from services.scheduler.store import schedules

NEIGHBOUR_SECONDS = 15 * DAY


@dataclasses.dataclass
class Publishing:
    """What puts versions in force."""

    book: BookCopy
    outbox: Outbox
    clock: Clock

    def book_at(self, connection: sa.Connection, instant: int) -> BookDay:
        """Return the book as it holds on an instant's UTC day."""
        return self.book.view(connection).at(local_date(instant, "UTC"))

    def on_queue_code(self, book: BookDay) -> str:
        """Return the activity code of serving contacts."""
        return next((a.name for _, a in sorted(book.activities.items()) if a.on_queue), "on-queue")

    def rules(
        self, connection: sa.Connection, book: BookDay, agents: Iterable[str], begin: int, end: int, reported: bool = True
    ) -> dict[str, AgentRules]:
        """Return the rules of some agents between two instants. `reported`: absences reported since count as well."""
        away = schedules.absences(connection, begin, end) if reported else {}
        first, last = local_date(begin - 2 * DAY, "UTC"), local_date(end + 2 * DAY, "UTC")
        return {
            name: rules_of(book, book.agents[name], away.get(name, ()), first, last)
            for name in sorted(set(agents))
            if name in book.agents and book.is_whole(book.agents[name])
        }

    def audit(
        self,
        connection: sa.Connection,
        group: str,
        weeks: Mapping[tuple[str, str], Sequence[Shift]],
        since: int,
        reported: bool = True,
    ) -> list[auditing.Violation]:
        """Return every violation that weeks would bring, with their neighbours in force. `reported`: absences count."""
        agents = {agent for agent, _ in weeks}
        force = schedules.weeks_in_force(connection, group, agents)
        together = {**force, **weeks}
        shifts = [s for of_week in together.values() for s in of_week if s.finishes > since - NEIGHBOUR_SECONDS]
        last = max((s.finishes for s in shifts), default=since)
        book = self.book_at(connection, max(since, self.clock.now()))
        rules = self.rules(connection, book, agents, since - NEIGHBOUR_SECONDS, last, reported)
        seats = {name: site.seats for name, site in book.sites.items()}
        others = self._others(connection, book, group, agents, since)
        return auditing.audit(rules, shifts, {}, since, set(weeks)) + list(
            auditing.seats_suffice([*[s for s in shifts if s.finishes > since], *others], self._home(book), seats)
        )

    def _home(self, book: BookDay) -> set[str]:
        return {name for name, agent in book.agents.items() if agent.home_based}

    def _others(self, connection: sa.Connection, book: BookDay, group: str, agents: set[str], since: int) -> list[Shift]:
        """Return shifts in force of everybody else, since they take seats too."""
        limited = {name for name, site in book.sites.items() if site.seats is not None}
        found: list[Shift] = []
        if not limited:
            return found
        for other in book.groups.values():
            mine = [a for a in other.agents if a not in agents and book.agents[a].site in limited]
            for shifts in schedules.weeks_in_force(connection, other.name, mine).values():
                found += [s for s in shifts if s.finishes > since]
        return found

    def publish(self, connection: sa.Connection, group: str, number: int, reason: str) -> Version:
        """Put a draft in force. Raise NotFound, NotNow (NOT_A_DRAFT, STALE_BASE, AUDIT_FAILED)."""
        version = schedules.load_version(connection, group, number)
        if version.state != DRAFT:
            raise NotNow("NOT_A_DRAFT", f"version {number} of {group} is {version.state}; only drafts can be published")
        weeks = schedules.weeks_of(connection, version)
        if newer := schedules.newer_weeks(connection, group, number, weeks):
            agent, week = newer[0]
            why = f"{len(newer)} agent-weeks were published anew since (first: {agent}, week of {week}); solve again"
            raise NotNow("STALE_BASE", why)
        self._must_pass(self.audit(connection, group, weeks, version.starts_at))
        return self._put_in_force(connection, dataclasses.replace(version, reason=reason or version.reason), weeks)

    def revert(self, connection: sa.Connection, group: str, number: int, reason: str) -> Version:
        """Publish the shifts of an earlier version anew, from this week on. Raise NotFound, NotNow."""
        old = schedules.load_version(connection, group, number)
        if old.state == DRAFT:
            raise NotNow("NOT_PUBLISHED", f"version {number} of {group} was never in force; publish it instead")
        this_week = monday_of(local_date(self.clock.now(), "UTC") - dt.timedelta(days=1)).isoformat()
        wanted = schedules.weeks_of(connection, old)
        newest = schedules.load_version(connection, group, 0)
        current = schedules.weeks_of(connection, newest)
        keys = {key for key in wanted.keys() | current.keys() if key[1] >= this_week}
        changed = {k: wanted.get(k, []) for k in sorted(keys) if wanted.get(k, []) != current.get(k, [])}
        since = self.clock.now()
        self._must_pass(self.audit(connection, group, changed, since))
        version = dataclasses.replace(
            newest,
            version=schedules.next_version(connection, group),
            made_at=since,
            reason=reason or f"reverted to version {number}",
            base=newest.version,
            decision_ids=(),
        )
        return self._put_in_force(connection, version, changed)

    def _must_pass(self, violations: Sequence[auditing.Violation]) -> None:
        if violations:
            listed = tuple(Violation(v.shift_id or v.agent or "seats", f"{v.rule}: {v.why}") for v in violations[:200])
            raise NotNow("AUDIT_FAILED", f"the audit found {len(violations)} violations; first: {violations[0]}", listed)

    def _put_in_force(
        self, connection: sa.Connection, version: Version, weeks: Mapping[tuple[str, str], Sequence[Shift]]
    ) -> Version:
        live = dataclasses.replace(version, state=PUBLISHED)
        schedules.save_version(connection, live, weeks)
        newest = schedules.published_version(connection, live.group)
        schedules.supersede(connection, live.group, newest)
        self.outbox.write(connection, wire.published(live, weeks, live.reason))
        get_log().info("schedule_published", group=live.group, version=live.version, weeks=len(weeks), reason=live.reason)
        return live

    def carry_out(self, connection: sa.Connection, step: wire.DecisionStep) -> list[Outgoing]:
        """Amend the schedule in force for an accepted decision, candidate by candidate; what breaks a rule is left out."""
        now = self.clock.now()
        book = self.book_at(connection, now)
        group = step.group
        number = schedules.published_version(connection, group)
        if not number:
            return []
        current = schedules.load_version(connection, group, number)
        code = self.on_queue_code(book)
        force = schedules.weeks_in_force(connection, group, [c.agent for c in step.changes])
        weeks: dict[tuple[str, str], list[Shift]] = {}
        failed: list[str] = []
        for change in step.changes:
            mine = [s for (agent, _), shifts in force.items() if agent == change.agent for s in shifts]
            shift = find_shift(mine, change)
            if shift is None:
                failed.append(f"{change.agent}: no shift there any more")
                continue
            key = (shift.agent, shift.week)
            amended = [amend(s, change, code) if s == shift else s for s in force[key]]
            broken = self.audit(connection, group, {key: amended}, now, reported=False)
            if broken:
                failed.append(f"{change.agent}: {broken[0].rule}: {broken[0].why}")
                continue
            force[key] = weeks[key] = amended
        version = dataclasses.replace(
            current,
            version=schedules.next_version(connection, group),
            made_at=now,
            base=number,
            decision_ids=(step.decision_id,),
            reason="; ".join(failed) if not weeks else step.reason,
        )
        if failed:
            get_log().warning(
                "amendment_refused", decision=step.decision_id, why=failed, consequence="carried out for the others"
            )
        self._put_in_force(connection, version, weeks)
        return []


def first_monday(text: str, now: int) -> dt.date:
    """Return the first week's Monday: as given, else the next one."""
    if text:
        return parse_date(text)
    return monday_of(local_date(now, "UTC")) + dt.timedelta(days=7)
