"""Staffing's time-driven work: which there is, in what order, and what a change of the book makes due."""

import dataclasses

import sqlalchemy as sa

from muster.book.copy import BookCopy, Key
from muster.domain.calendar import DAY, local_date
from muster.kit.clock import Clock
from muster.kit.due import DueWork
from muster.kit.outbox import Outbox
from services.staffing.deciding import Deciding
from services.staffing.pooling import Pooling
from services.staffing.requiring import Requiring
from services.staffing.settings import StaffingSettings
from services.staffing.store import floor
from services.staffing.streams import Streams
from services.staffing.windowing import Windowing


@dataclasses.dataclass
class Work:
    """Due work of staffing."""

    settings: StaffingSettings
    book: BookCopy
    streams: Streams
    due: DueWork
    outbox: Outbox
    clock: Clock
    requiring: Requiring
    deciding: Deciding
    windowing: Windowing
    pooling: Pooling

    def declare(self) -> None:
        """Say what is done for each kind, in the order in which they run."""
        self.due.declare("recount", self.requiring.recount)
        self.due.declare("new_day", self.deciding.new_day)
        self.due.declare("regroup", self.deciding.regroup)
        self.due.declare("require_all", self.requiring.require_all)
        self.due.declare("require", self.requiring.require)
        self.due.declare("expire", self.deciding.expire)
        self.due.declare("decide_if_told", self.deciding.decide_if_told)
        self.due.declare("decide_slot", self.deciding.decide_slot)
        self.due.declare("decide", self.deciding.decide)
        self.windowing.declare()
        self.pooling.declare()
        self.due.declare("prune", self.prune)

    def begin(self, connection: sa.Connection) -> None:
        """Plan what recurs."""
        self.due.plan_once(connection, "prune", "", self.clock.now())
        self.due.plan(connection, "regroup", "", self.clock.now())
        self.due.plan_once(connection, "new_day", "", self.clock.now())
        self.windowing.begin(connection)

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

    def prune(self, connection: sa.Connection, key: str, due_at: int) -> None:
        """Delete what is older than its retention says, and plan the next round."""
        now = self.clock.now()
        before = now - self.settings.keep_days * DAY
        for table in ("volume_cell", "target_cell"):
            connection.execute(sa.text(f"DELETE FROM {table} WHERE starts_at < :before"), {"before": before})  # noqa: S608
        connection.execute(sa.text("DELETE FROM shift WHERE ends_at < :before"), {"before": now - 60 * DAY})
        floor.forget_absences(connection, now - 60 * DAY)
        day = {"day": local_date(max(before, 0), "UTC").isoformat()}
        for table in ("forecast_day", "requirement_day"):
            connection.execute(sa.text(f"DELETE FROM {table} WHERE local_date < :day"), day)  # noqa: S608
        self.outbox.prune(connection, now - 14 * DAY)
        self.windowing.jobs.prune(connection, now - 30 * DAY)
        self.due.plan(connection, "prune", "", now + DAY)
