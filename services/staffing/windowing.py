"""Where contracts' windows will end: gathered from SQL, computed in a child process, kept for metrics and readers."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from muster.book.demand import Queue
from muster.book.terms import Target
from muster.book.view import BookDay
from muster.book.windows import window_end_of, window_of
from muster.book.words import Channel, TargetMetric
from muster.domain.calendar import day_bounds, local_date, parse_date
from muster.domain.deadlines import deadline_of
from muster.kit.clock import Clock
from muster.kit.due import DueWork
from muster.kit.jobs import JobKind, Jobs
from muster.kit.logs import get_log
from services.staffing.attaining import judging_of
from services.staffing.domain.facts import ForecastDay
from services.staffing.domain.window import METRICS, Pledge
from services.staffing.handlers.ahead import QueueAhead, WindowCase, windows_ahead
from services.staffing.handlers.deadlines_ahead import Cells, DeskCase
from services.staffing.handlers.spreading import levels_of
from services.staffing.outlooks import Outlooks
from services.staffing.requiring import BACKLOG_SECONDS, goal_of
from services.staffing.store import plans

PERIOD_SECONDS = 6 * 3600
IN_LINE = (Channel.VOICE, Channel.CHAT)


@dataclasses.dataclass
class Windowing:
    """Looks ahead to the end of each contract's windows, every six hours and when asked."""

    outlooks: Outlooks
    due: DueWork
    jobs: Jobs
    clock: Clock

    def declare(self) -> None:
        self.due.declare("windows", self.look)
        self.jobs.declare("windows", JobKind(lambda connection, request: self.cases(connection), windows_ahead, self.save))

    def begin(self, connection: sa.Connection) -> None:
        """Plan the first time: not at once, when an older process may still run beside this one that knows no such job."""
        self.due.plan_once(connection, "windows", "", self._next())

    def _next(self) -> int:
        return (self.clock.now() // PERIOD_SECONDS + 1) * PERIOD_SECONDS

    def look(self, connection: sa.Connection, key: str, due_at: int) -> None:
        """Have all windows looked at, also when none has days ahead any more, and plan the next time. What was missed is not made up."""
        on_time = self.clock.now() - due_at < PERIOD_SECONDS
        if on_time and self.outlooks.streams.book_today(connection).contracts:
            self.jobs.ask(connection, f"windows/{self.clock.now()}", "windows", {})
        self.due.plan(connection, "windows", "", self._next())

    def save(self, connection: sa.Connection, request: dict[str, Any], result: Any) -> dict[str, Any]:
        plans.save_window_outlooks(connection, self.clock.now(), result)
        return {"targets": len(result)}

    def cases(self, connection: sa.Connection, contract: str = "") -> list[WindowCase]:
        """Return what looking ahead needs, of every target or of one contract's."""
        book, found = self.outlooks.streams.book_today(connection), []
        for name, row in sorted(book.contracts.items()):
            if contract in ("", name):
                for index, target in enumerate(row.targets):
                    queues = [book.queues[q] for q in target.queues or row.queues if q in book.queues]
                    in_line = str(target.metric) in METRICS and all(q.channel in IN_LINE for q in queues)
                    if in_line or target.metric == TargetMetric.DEADLINE_MET:
                        case = self._case if in_line else self._deferred
                        try:
                            found.append(case(connection, book, name, index, target))
                        except ValueError as error:
                            get_log().warning("window_not_possible", contract=name, target=index, why=str(error))
        return found

    def _case(self, connection: sa.Connection, book: BookDay, contract: str, index: int, target: Target) -> WindowCase:
        now = self.clock.now()
        since, until = window_of(book, contract, target, now), window_end_of(book, contract, target, now)
        judging = judging_of(book, contract, target)
        pledge = Pledge(goal_of(target), judging, target.target)
        counted = plans.target_intervals(connection, contract, index, since)
        queues, scheduled = [], 0
        for name in target.queues or book.contracts[contract].queues:
            if name in book.queues:
                ahead, planned = self._queue(
                    connection, book, name, max(since, plans.complete_through(connection, name)), until
                )
                if ahead.days:
                    queues.append(ahead)
                    scheduled = max(scheduled, planned)
        return WindowCase(contract, index, pledge, counted, queues, scheduled)

    def _deferred(self, connection: sa.Connection, book: BookDay, contract: str, index: int, target: Target) -> WindowCase:
        now = self.clock.now()
        since, until = window_of(book, contract, target, now), window_end_of(book, contract, target, now)
        pledge = Pledge(goal_of(target), judging_of(book, contract, target), target.target)
        counted, desks, scheduled = list[tuple[int, int | None, int | None]](), [], 0
        for name in target.queues or book.contracts[contract].queues:
            own = plans.queue_cells(connection, contract, index, name, since)
            row = book.queues.get(name)
            desk, planned = self._desk(connection, book, row, own, (since, until)) if row else (None, 0)
            if desk is None:
                counted += own
            else:
                desks.append(desk)
                scheduled = max(scheduled, planned)
        return WindowCase(contract, index, pledge, counted, [], scheduled, desks)

    def _desk(
        self, connection: sa.Connection, book: BookDay, queue: Queue, cells: Cells, window: tuple[int, int]
    ) -> tuple[DeskCase | None, int]:
        """Return a queue's deferred work ahead, None where no day is forecast, and of how many days of the window a schedule is published."""
        now, zone, requiring = self.clock.now(), book.zone_of(queue), self.outlooks.requiring
        today, rules = local_date(now, zone).isoformat(), requiring.rules_of(connection, book, queue)
        if rules.due is None:
            return None, 0
        desk = requiring.desk(book, queue, rules)
        last = local_date(deadline_of(window[1] - desk.seconds, desk.rule, desk.hours, zone), zone).isoformat()
        days = [day for day in plans.list_forecasts(connection, queue.name, today, last) if day.starts]
        if not days:
            return None, 0
        required = {day.local_date: day for day in plans.list_requirements(connection, queue.name, today, last)}
        bounds = [day_bounds(parse_date(day.local_date), zone) for day in days]
        span = range(bounds[0][0], bounds[-1][1], desk.seconds)
        whole = dataclasses.replace(days[0], starts=list(span))
        planned = self.outlooks.scheduled(connection, book, queue, whole)
        there = 1.0 - rules.rules.unplaced_shrinkage
        staff, scheduled = dict[int, float](), 0
        for day, (begins, ends) in zip(days, bounds, strict=True):
            rows = slice((begins - span[0]) // desk.seconds, (ends - span[0]) // desk.seconds)
            needed = required.get(day.local_date)
            if planned is not None and planned[rows].any():
                staff.update(zip(span[rows], (planned[rows] * there).tolist(), strict=True))
                scheduled += begins < window[1]
            elif needed is not None:
                staff.update(zip(needed.starts, needed.on_queue, strict=True))
            for start, idle in zip(needed.starts, needed.idle, strict=True) if needed else ():
                staff[start] = staff.get(start, 0.0) + idle
        backlog = plans.open_items(connection, queue.name, now - BACKLOG_SECONDS)
        return DeskCase(queue.name, desk, days, backlog, staff, span[-1] + desk.seconds, cells, *window, now), scheduled

    def _queue(self, connection: sa.Connection, book: BookDay, name: str, since: int, until: int) -> tuple[QueueAhead, int]:
        """Return a queue's days from an instant on, and of how many of them a schedule is published."""
        queue = book.queues[name]
        zone = book.zone_of(queue)
        first, last = (local_date(at, zone).isoformat() for at in (since, until - 1))
        days = [day for day in plans.list_forecasts(connection, name, first, last) if day.starts]
        required = {day.local_date: day for day in plans.list_requirements(connection, name, first, last)}
        rules = self.outlooks.requiring.rules_of(connection, book, queue)
        kept, agents, planned = list[ForecastDay](), list[Sequence[float]](), 0
        for day in days:
            staff = self.outlooks.scheduled(connection, book, queue, day)
            needed = required.get(day.local_date)
            if staff is not None and staff.any():
                here = np.array([(s - day.starts[0]) // day.seconds for s in day.starts])
                agents.append([float(n) * (1.0 - rules.rules.unplaced_shrinkage) for n in staff[here]])
                planned += 1
            elif needed is not None and needed.starts == day.starts:
                agents.append(needed.on_queue)
            else:
                continue
            kept.append(day)
        levels = [levels_of(day, rules.at_once, rules.by_level) for day in kept]
        return QueueAhead(name, kept, agents, rules.patience, since, until, levels, zone), planned
