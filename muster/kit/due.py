"""Time-driven work: a row (due_at, kind, key) whose effects and whose removal are one transaction."""

import asyncio
from collections.abc import Callable

import mode
import sqlalchemy as sa

from muster.kit.clock import Clock, Runtime
from muster.kit.sql import Database

TOGETHER_SECONDS = 0.015

Work = Callable[[sa.Connection, str, int], None]


class DueWork(mode.Service):
    """The `due` table of a service and what to do for each kind of row.

    Rows of one kind and key that are due together are run once, as the newest: catching up after downtime
    does not repeat what has passed. Kinds run in the order in which they were declared.
    """

    def __init__(self, database: Database, metadata: sa.MetaData, clock: Clock, runs_itself: bool) -> None:
        super().__init__()
        self._database, self._table, self._clock = database, metadata.tables["due"], clock
        self._works: dict[str, Work] = {}
        self._runs_itself, self._runtime = runs_itself, Runtime()
        self._wake = asyncio.Event()
        self.after_work: Callable[[], None] = lambda: None

    def declare(self, kind: str, work: Work) -> None:
        """Say what to do for a kind: work(connection, key, due_at)."""
        self._works[kind] = work

    def plan(self, connection: sa.Connection, kind: str, key: str, due_at: int) -> None:
        """Have a kind of work done for a key at an instant; planning it twice is planning it once."""
        row = {"kind": kind, "key": key, "due_at": due_at}
        t = self._table
        where = (t.c.kind == kind) & (t.c.key == key) & (t.c.due_at == due_at)
        if connection.execute(sa.select(t.c.kind).where(where)).first() is None:
            connection.execute(sa.insert(t).values(row))

    def plan_once(self, connection: sa.Connection, kind: str, key: str, due_at: int) -> None:
        """Plan work that recurs, unless it is planned already: a restart must not begin a second round."""
        t = self._table
        if connection.execute(sa.select(t.c.kind).where((t.c.kind == kind) & (t.c.key == key))).first() is None:
            self.plan(connection, kind, key, due_at)

    def _next(self, connection: sa.Connection, now: int) -> tuple[str, str, int] | None:
        t = self._table
        query = sa.select(t.c.kind, t.c.key, sa.func.max(t.c.due_at)).where(t.c.due_at <= now).group_by(t.c.kind, t.c.key)
        order = list(self._works)
        rows = [(str(k), str(key), int(at)) for k, key, at in connection.execute(query)]
        return min(rows, key=lambda r: (order.index(r[0]), r[1]), default=None)

    def is_planned(self, connection: sa.Connection, kind: str, key: str, due_at: int) -> bool:
        """Return whether a kind of work is planned for a key at an instant."""
        t = self._table
        where = (t.c.kind == kind) & (t.c.key == key) & (t.c.due_at == due_at)
        return connection.execute(sa.select(t.c.kind).where(where)).first() is not None

    def cancel(self, connection: sa.Connection, kind: str, key: str, due_at: int) -> bool:
        """Have work planned up to an instant left undone; return whether there was any."""
        t = self._table
        where = (t.c.kind == kind) & (t.c.key == key) & (t.c.due_at <= due_at)
        return connection.execute(sa.delete(t).where(where)).rowcount > 0

    def wake(self) -> None:
        """Say that work may have become due."""
        self._wake.set()

    def has_due(self, connection: sa.Connection) -> bool:
        """Return whether work is due now."""
        return self._next(connection, self._clock.now()) is not None

    def run_next(self, connection: sa.Connection) -> bool:
        """Do one piece of work that is due; return whether there was any."""
        found = self._next(connection, self._clock.now())
        if found is None:
            return False
        kind, key, due_at = found
        t = self._table
        connection.execute(sa.delete(t).where((t.c.kind == kind) & (t.c.key == key) & (t.c.due_at <= due_at)))
        self._works[kind](connection, key, due_at)
        return True

    def run_some(self, connection: sa.Connection) -> bool:
        """Do pieces of work that are due, for as long as is little beside a transaction; return whether there was any."""
        until, done = self._runtime.monotonic() + TOGETHER_SECONDS, self.run_next(connection)
        more = done
        while more and self._runtime.monotonic() < until:
            try:
                with connection.begin_nested():
                    more = self.run_next(connection)
            except sa.exc.DBAPIError:
                raise
            except Exception:
                break  # it comes first next time, by itself: what was done before it stands
        return done

    async def settle(self) -> None:
        """Do all work that is due now."""
        while await self._database.insist(self.run_some):
            self.after_work()

    @mode.Service.task
    async def _run(self) -> None:
        while self._runs_itself and not self.should_stop:
            self._wake.clear()
            await self.settle()
            try:
                await asyncio.wait_for(self._wake.wait(), 0.25)
            except TimeoutError:
                pass
