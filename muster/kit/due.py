"""Time-driven work: a row (due_at, kind, key) whose effects and whose removal are one transaction."""

import asyncio
from collections.abc import Callable

import mode
import sqlalchemy as sa

from muster.kit.clock import Clock, Runtime
from muster.kit.sql import Database
from muster.kit.statements import Prepared, given, savepoint, upsert

TOGETHER_SECONDS = 0.06

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
        c, kind, key, due_at = self._table.c, given("of_kind"), given("of_key"), given("at")
        piece = (c.kind == kind) & (c.key == key)
        self._find = Prepared(sa.select(c.kind).where(piece & (c.due_at == due_at)))
        self._find_any = Prepared(sa.select(c.kind).where(piece).limit(1))
        self._due = Prepared(sa.select(c.kind, c.key, sa.func.max(c.due_at)).where(c.due_at <= due_at).group_by(c.kind, c.key))
        self._done = Prepared(sa.delete(self._table).where(piece & (c.due_at <= due_at)))
        self._runs_itself, self._runtime = runs_itself, Runtime()
        self._wake = asyncio.Event()
        self.left_over = False
        self.after_work: Callable[[], None] = lambda: None

    def declare(self, kind: str, work: Work) -> None:
        """Say what to do for a kind: work(connection, key, due_at)."""
        self._works[kind] = work

    def plan(self, connection: sa.Connection, kind: str, key: str, due_at: int) -> None:
        """Have a kind of work done for a key at an instant; planning it twice is planning it once."""
        upsert(connection, self._table, [{"kind": kind, "key": key, "due_at": due_at}])

    def plan_once(self, connection: sa.Connection, kind: str, key: str, due_at: int) -> None:
        """Plan work that recurs, unless it is planned already: a restart must not begin a second round."""
        if not self._find_any.rows(connection, of_kind=kind, of_key=key):
            self.plan(connection, kind, key, due_at)

    def _next(self, connection: sa.Connection, now: int) -> tuple[str, str, int] | None:
        order = list(self._works)  # what only a newer process knows, one that may run beside this, is left to it
        rows = [(str(kind), str(key), int(at)) for kind, key, at in self._due.rows(connection, at=now) if kind in self._works]
        return min(rows, key=lambda r: (order.index(r[0]), r[1]), default=None)

    def is_planned(self, connection: sa.Connection, kind: str, key: str, due_at: int) -> bool:
        """Return whether a kind of work is planned for a key at an instant."""
        return bool(self._find.rows(connection, of_kind=kind, of_key=key, at=due_at))

    def cancel(self, connection: sa.Connection, kind: str, key: str, due_at: int) -> bool:
        """Have work planned up to an instant left undone; return whether there was any."""
        return self._done.change(connection, of_kind=kind, of_key=key, at=due_at) > 0

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
        self.cancel(connection, kind, key, due_at)
        self._works[kind](connection, key, due_at)
        return True

    def run_some(self, connection: sa.Connection) -> bool:
        """Do pieces of work that are due, for as long as is little beside a transaction; return whether there was any."""
        until, done = self._runtime.monotonic() + TOGETHER_SECONDS, self.run_next(connection)
        if done:
            self._run_more(connection, until)
        return done

    def run_along(self, connection: sa.Connection) -> None:
        """Do what a batch of facts made due within its own transaction, if that is little; the rest, as `left_over` says, as always."""
        if self._runs_itself:
            self.left_over = self._run_more(connection, self._runtime.monotonic() + TOGETHER_SECONDS)

    def _run_more(self, connection: sa.Connection, until: float) -> bool:
        """Do pieces of work that are due until an instant; return whether there may be more."""
        more = True
        while more and self._runtime.monotonic() < until:
            try:
                with savepoint(connection):
                    more = self.run_next(connection)
            except sa.exc.DBAPIError:
                raise
            except Exception:
                break  # it comes first next time, by itself: what was done before it stands
        return more

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
