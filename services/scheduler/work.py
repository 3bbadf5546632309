"""The scheduler's long work: solving drafts, group by group, in a child process."""

import dataclasses
import datetime as dt
from typing import Any

import numpy as np
import sqlalchemy as sa

from muster.book.view import BookDay, StaffingGroup
from muster.domain.calendar import DAY, dates, local_date, resolve
from muster.kit.clock import Clock
from muster.kit.due import DueWork
from muster.kit.errors import NotFound, NotNow, Refusal
from muster.kit.jobs import JobKind, Jobs, Report
from muster.kit.logs import get_log
from muster.kit.outbox import Outbox
from services.scheduler.domain.shift import Shift, by_week
from services.scheduler.domain.version import DRAFT, Version
from services.scheduler.errors import refuse
from services.scheduler.publishing import Publishing, first_monday
from services.scheduler.solvers.greedy import solve_greedily
from services.scheduler.solvers.port import SLOT, Problem, Solution
from services.scheduler.store import schedules

SPILL_SECONDS = 2 * DAY


def solve_all(problems: list[Problem], report: Report) -> list[tuple[str, Solution]]:
    """Solve each group's problem; runs in a child process."""
    return [(p.group, solve_greedily(p, report)) for p in problems]


@dataclasses.dataclass
class Work:
    """Jobs and due work of the scheduler."""

    publishing: Publishing
    jobs: Jobs
    due: DueWork
    outbox: Outbox
    clock: Clock
    keep_drafts_days: int

    def declare(self) -> None:
        self.jobs.declare("solve", JobKind(self.load, solve_all, self.save))
        self.due.declare("prune", self.prune)

    def begin(self, connection: sa.Connection) -> None:
        self.due.plan_once(connection, "prune", "", self.clock.now())

    def ask(self, connection: sa.Connection, group: str, weeks: int, first_week: str, request_id: str) -> str:
        """Queue a solve; the same request id is the same operation. Raise Refusal, NotFound, NotNow."""
        if not 1 <= weeks <= 6:
            raise Refusal("INVALID_WEEKS", f"weeks is {weeks}; allowed: 1 to 6")
        try:
            monday = first_monday(first_week, self.clock.now())
        except ValueError as error:
            raise refuse("INVALID_DATE", str(error)) from error
        if monday.weekday() != 0:
            raise refuse("INVALID_DATE", f"first_week {monday} is no Monday")
        book = self._book(connection, monday)
        if group and group not in book.groups:
            raise NotFound("NO_SUCH_GROUP", f"no staffing group {group!r}; there are: {', '.join(book.groups) or 'none'}")
        request = {"group": group, "weeks": weeks, "monday": monday.isoformat()}
        problems = self.load(connection, request)
        if not problems:
            why = "no requirement covers these weeks yet; see muster requirement show"
            raise NotNow("NO_REQUIREMENT", why)
        name = request_id or f"{group or 'all'}-{monday}-{weeks}-{schedules.next_version(connection, group)}-{self.clock.now()}"
        name = f"operations/solve-{name.replace('/', '.')}"
        if not request_id:
            return self.jobs.ask_anew(connection, name, "solve", request)
        self.jobs.ask(connection, name, "solve", request)
        return name

    def _book(self, connection: sa.Connection, monday: dt.date) -> BookDay:
        return self.publishing.book.view(connection).at(monday)

    def load(self, connection: sa.Connection, request: dict[str, Any]) -> list[Problem]:
        """Gather the problem of each group that has a requirement in the weeks asked for."""
        monday = dt.date.fromisoformat(request["monday"])
        mondays = tuple(monday + dt.timedelta(weeks=w) for w in range(request["weeks"]))
        book = self._book(connection, monday)
        groups = [g for _, g in sorted(book.groups.items()) if request["group"] in ("", g.name)]
        problems = [self._problem(connection, book, g, mondays) for g in groups if g.agents]
        return [p for p in problems if np.isfinite(p.required).any()]

    def _problem(self, connection: sa.Connection, book: BookDay, group: StaffingGroup, mondays: tuple[dt.date, ...]) -> Problem:
        midnight = resolve(dt.datetime.combine(mondays[0], dt.time()), "UTC")
        begin = midnight - DAY
        end = midnight + len(mondays) * 7 * DAY + SPILL_SECONDS
        required = np.full((len(group.queues), (end - begin) // SLOT), np.nan)
        for row, queue in enumerate(group.queues):
            first, last = local_date(begin, "UTC") - dt.timedelta(days=1), local_date(end, "UTC") + dt.timedelta(days=1)
            for day in schedules.requirements(connection, queue, first.isoformat(), last.isoformat()):
                for start, agents in zip(day.starts, day.scheduled, strict=True):
                    low, high = (start - begin) // SLOT, (start + day.seconds - begin) // SLOT
                    required[row, max(low, 0) : max(high, 0)] = agents
        rules = self.publishing.rules(connection, book, group.agents, begin, end)
        force = schedules.weeks_in_force(connection, group.name, group.agents)
        weeks = {m.isoformat() for m in mondays}
        fixed: dict[str, list[Shift]] = {}
        for (agent, week), shifts in force.items():
            if week not in weeks:
                near = [s for s in shifts if begin - 15 * DAY < s.finishes and s.begins < end + 15 * DAY]
                fixed.setdefault(agent, []).extend(near)
        return Problem(
            group=group.name,
            mondays=mondays,
            begin=begin,
            queues=group.queues,
            required=required,
            agents=tuple(rules[a] for a in group.agents),
            fixed={agent: tuple(shifts) for agent, shifts in fixed.items()},
            on_queue=self.publishing.on_queue_code(book),
            seats={name: site.seats for name, site in book.sites.items()},
            taken=self._taken(connection, book, group, begin, end),
        )

    def _taken(self, connection: sa.Connection, book: BookDay, group: StaffingGroup, begin: int, end: int) -> dict[str, Any]:
        """Return the seats that other groups take, by site and slot."""
        taken = {name: np.zeros((end - begin) // SLOT) for name, site in book.sites.items() if site.seats is not None}
        for other in book.groups.values():
            if other.name == group.name or not taken:
                continue
            for shifts in schedules.weeks_in_force(connection, other.name, other.agents).values():
                for s in shifts:
                    if s.site in taken and s.finishes > begin and s.begins < end and not book.agents[s.agent].home_based:
                        low, high = (s.begins - begin) // SLOT, -((begin - s.finishes) // SLOT)
                        taken[s.site][max(low, 0) : max(high, 0)] += 1
        return taken

    def save(self, connection: sa.Connection, request: dict[str, Any], result: list[tuple[str, Solution]]) -> dict[str, Any]:
        """Keep drafts, audited; return their versions."""
        monday = dt.date.fromisoformat(request["monday"])
        drafts = []
        for group, solution in result:
            book = self._book(connection, monday)
            weeks = by_week(solution.shifts)
            for agent in book.groups[group].agents:
                for day in dates(monday, monday + dt.timedelta(weeks=request["weeks"], days=-1)):
                    if day.weekday() == 0:
                        weeks.setdefault((agent, day.isoformat()), [])
            begin = resolve(dt.datetime.combine(monday, dt.time()), "UTC") - DAY
            violations = self.publishing.audit(connection, group, weeks, begin)
            paid = {a.name for a in book.activities.values() if a.paid}
            version = Version(
                group=group,
                version=schedules.next_version(connection, group),
                state=DRAFT,
                starts_at=begin,
                ends_at=max((s.finishes for s in solution.shifts), default=begin),
                made_at=self.clock.now(),
                reason=f"solved for {request['weeks']} weeks from {monday}",
                queues=book.groups[group].queues,
                shift_count=len(solution.shifts),
                agent_count=len({s.agent for s in solution.shifts}),
                paid_hours=round(sum(g.seconds for s in solution.shifts for g in s.segments if g.activity in paid) / 3600, 2),
                uncovered_hours=round(solution.uncovered_hours, 2),
                violation_count=len(violations),
            )
            schedules.save_version(connection, version, weeks)
            if violations:
                get_log().warning(
                    "draft_has_violations",
                    group=group,
                    version=version.version,
                    count=len(violations),
                    first=str(violations[0]),
                )
            drafts.append([group, version.version])
        return {"drafts": drafts}

    def prune(self, connection: sa.Connection, key: str, due_at: int) -> None:
        """Delete old drafts and published messages, and plan the next round."""
        now = self.clock.now()
        for version in schedules.list_versions(connection, "", 10_000, 0):
            if version.state == DRAFT and version.made_at < now - self.keep_drafts_days * DAY:
                schedules.delete_version(connection, version)
        self.outbox.prune(connection, now - 14 * DAY)
        self.due.plan(connection, "prune", "", now + DAY)
