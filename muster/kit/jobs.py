"""Long work (fits, solves): claimed by one process, computed in a spawned child, saved only by who still holds the claim."""

import asyncio
import concurrent.futures
import ctypes
import dataclasses
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import mode
import sqlalchemy as sa

from muster.kit.clock import Clock, Runtime
from muster.kit.errors import MusterError, NotFound
from muster.kit.logs import get_log
from muster.kit.sql import Database

Report = Callable[[dict[str, Any]], None]
MOST_TRIES = 3


@dataclasses.dataclass(frozen=True)
class JobKind:
    """What a kind of job does.

    load(connection, request) → payload, which only reads; compute(payload, report) → result, pure and importable, in a child process;
    save(connection, request, result) → what callers see, JSON. aside: nothing that is published hangs on it: it has a child of its own,
    neither other jobs nor a clock that is conducted wait for it, and if it fails nothing but itself does.
    """

    load: Callable[[sa.Connection, dict[str, Any]], Any]
    compute: Callable[[Any, Report], Any]
    save: Callable[[sa.Connection, dict[str, Any], Any], dict[str, Any]]
    aside: bool = False


_reports: Any = None


def _start_child(reports: Any) -> None:
    """Set a child up: progress goes to `reports`; it dies with its parent and leaves Ctrl-C to it."""
    global _reports
    _reports = reports
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _compute(job: str, compute: Callable[[Any, Report], Any], payload: Any) -> Any:
    return compute(payload, lambda progress: _reports.put((job, progress)))


@dataclasses.dataclass
class _Computer:
    """A process that computes, one job at a time, and what it reports."""

    reports: Any
    pool: concurrent.futures.ProcessPoolExecutor

    def kill(self) -> None:
        for process in list((self.pool._processes or {}).values()):
            process.kill()
        self.pool.shutdown(wait=True, cancel_futures=True)


def _new_computer() -> _Computer:
    """Return one whose process starts with its first job."""
    context = multiprocessing.get_context("spawn")
    reports = context.SimpleQueue()
    return _Computer(reports, concurrent.futures.ProcessPoolExecutor(1, context, initializer=_start_child, initargs=(reports,)))


class Jobs(mode.Service):
    """The `job` table of a service, and the children that work it off: one, and one for what is done aside."""

    def __init__(self, database: Database, metadata: sa.MetaData, clock: Clock, owner: str, lease: float) -> None:
        super().__init__()
        self._database, self._table, self._clock = database, metadata.tables["job"], clock
        self._owner, self._lease, self._runtime = owner, lease, Runtime()
        self._kinds: dict[str, JobKind] = {}
        self._open: dict[bool, sa.Select[Any]] = {}
        self._wake = {aside: asyncio.Event() for aside in (False, True)}
        self._computers: dict[bool, _Computer] = {}
        self._asked = False
        self.after_work: Callable[[], None] = lambda: None
        self.last_seconds: float | None = None

    def declare(self, kind: str, job: JobKind) -> None:
        self._kinds[kind] = job
        c = self._table.c
        open_here = c.kind.in_(self._kinds_of(job.aside)) & c.state.in_(("WAITING", "RUNNING"))
        self._open[job.aside] = sa.select(c.name).where(open_here).limit(1)

    def ask(self, connection: sa.Connection, name: str, kind: str, request: dict[str, Any]) -> None:
        """Queue a job; asking again under the same name changes nothing."""
        t = self._table
        if connection.execute(sa.select(t.c.name).where(t.c.name == name)).first() is None:
            row = {"name": name, "kind": kind, "request": request, "state": "WAITING", "asked_at": self._clock.now()}
            self._asked = True
            connection.execute(sa.insert(t).values(row))

    def ask_anew(self, connection: sa.Connection, name: str, kind: str, request: dict[str, Any]) -> str:
        """Queue a job that sees what stands now, and return its name: one of the name that waits still will see it; beside
        one that has begun another is queued, as name-2, name-3 …
        """
        t, tried, number = self._table, name, 1
        while connection.execute(sa.select(t.c.name).where((t.c.name == tried) & (t.c.state != "WAITING"))).first():
            number += 1
            tried = f"{name}-{number}"
        self.ask(connection, tried, kind, request)
        return tried

    def prune(self, connection: sa.Connection, before: int) -> None:
        """Delete jobs that ended and were asked for before an instant."""
        t = self._table
        connection.execute(sa.delete(t).where(t.c.state.in_(("DONE", "FAILED")) & (t.c.asked_at < before)))

    def wake(self) -> None:
        """Say that a job may wait."""
        self._asked = False
        for event in self._wake.values():
            event.set()

    def wake_if_asked(self) -> None:
        """Wake if a job was asked for since it was woken last."""
        if self._asked:
            self.wake()

    def look(self, connection: sa.Connection, name: str) -> sa.Row[Any]:
        """Return a job's row. Raise NotFound."""
        row = connection.execute(sa.select(self._table).where(self._table.c.name == name)).first()
        if row is None:
            raise NotFound("NO_SUCH_OPERATION", f"no operation {name}")
        return row

    def _kinds_of(self, aside: bool) -> list[str]:
        """Return the kinds known here that are done aside, or not; what a newer process asked for is left to it."""
        return sorted(name for name, kind in self._kinds.items() if kind.aside == aside)

    def open_count(self, connection: sa.Connection, aside: bool = False) -> int:
        """Return how many jobs wait or run."""
        t = self._table
        query = sa.select(sa.func.count()).where(t.c.state.in_(("WAITING", "RUNNING")) & t.c.kind.in_(self._kinds_of(aside)))
        return int(connection.execute(query).scalar_one())

    def all_open(self, connection: sa.Connection) -> int:
        """Return how many jobs wait or run, those aside too."""
        return self.open_count(connection) + self.open_count(connection, aside=True)

    def _is_open(self, connection: sa.Connection, aside: bool) -> bool:
        """Return whether a job waits or runs."""
        return connection.execute(self._open[aside]).first() is not None

    def _claim(self, connection: sa.Connection, aside: bool = False) -> sa.Row[Any] | None:
        t, now = self._table, self._runtime.wall()
        known = t.c.kind.in_(self._kinds_of(aside))
        free = (t.c.state == "WAITING") | ((t.c.state == "RUNNING") & ((t.c.lease_until < now) | (t.c.owner == self._owner)))
        first = sa.select(t.c.name).where(known & free).order_by(t.c.asked_at, t.c.name).limit(1).scalar_subquery()
        claim = {"state": "RUNNING", "owner": self._owner, "token": t.c.token + 1, "lease_until": now + self._lease}
        return connection.execute(sa.update(t).where(t.c.name == first).values(claim).returning(t)).first()

    def _save(self, connection: sa.Connection, row: sa.Row[Any], result: Any) -> bool:
        """Save under the fencing token; False if another owner has claimed the job since."""
        t = self._table
        mine = (t.c.name == row.name) & (t.c.token == row.token) & (t.c.state == "RUNNING")
        if connection.execute(sa.update(t).where(mine).values(state="DONE")).rowcount != 1:
            return False
        seen = self._kinds[row.kind].save(connection, row.request, result)
        connection.execute(sa.update(t).where(t.c.name == row.name).values(result=seen))
        return True

    def _fail(self, connection: sa.Connection, row: sa.Row[Any], error: MusterError) -> None:
        failed = {"state": "FAILED", "result": {"reason": error.reason, "message": error.message}}
        t = self._table
        connection.execute(sa.update(t).where((t.c.name == row.name) & (t.c.token == row.token)).values(failed))

    async def on_start(self) -> None:
        self._computers = {aside: _new_computer() for aside in (False, True)}

    async def on_stop(self) -> None:
        for child in self._computers.values():
            child.kill()

    @mode.Service.task
    async def _run(self) -> None:
        await self._work_off(aside=False)

    @mode.Service.task
    async def _run_aside(self) -> None:
        await self._work_off(aside=True)

    async def _work_off(self, aside: bool) -> None:
        wake = self._wake[aside]
        while not self.should_stop and self._kinds_of(aside):
            row = None
            if await self._database.insist(lambda c: self._is_open(c, aside), reading=True):
                row = await self._database.insist(lambda c: self._claim(c, aside))
            if row is not None:
                await self._work(row)
                continue
            try:
                await asyncio.wait_for(wake.wait(), 0.5)
            except TimeoutError:
                pass
            wake.clear()

    async def _work(self, row: sa.Row[Any]) -> None:
        kind, began = self._kinds[row.kind], self._runtime.monotonic()
        try:
            payload = await self._database.insist(lambda c: kind.load(c, row.request), reading=True)
            result = await self._in_child(row, kind, payload)
            saved = await self._database.insist(lambda c: self._save(c, row, result))
        except MusterError as error:
            await self._database.insist(lambda c, error=error: self._fail(c, row, error))  # type: ignore[misc]
            get_log().warning("job_failed", job=row.name, reason=error.reason, why=error.message)
            return
        except Exception as error:
            if self.should_stop or (row.token < MOST_TRIES and not kind.aside):
                raise  # our end, which took the child along; or a bug: the process ends, is started anew, and tries again
            if isinstance(error, concurrent.futures.BrokenExecutor):
                self._computers[kind.aside] = _new_computer()
            failure = MusterError("INTERNAL", f"{type(error).__name__}: {error}")
            await self._database.insist(lambda c: self._fail(c, row, failure))
            get_log().error("job_failed", job=row.name, tries=row.token, why=failure.message, then="report it with the log")
            return
        seconds = round(self._runtime.monotonic() - began, 2)
        self.last_seconds = seconds
        get_log().info("job_done" if saved else "job_fenced", job=row.name, kind=row.kind, seconds=seconds)
        self.after_work()

    async def _in_child(self, row: sa.Row[Any], kind: JobKind, payload: Any) -> Any:
        child = self._computers[kind.aside]
        future = asyncio.get_running_loop().run_in_executor(child.pool, _compute, row.name, kind.compute, payload)
        while not future.done():
            await asyncio.wait([future], timeout=0.2)
            newest = None
            while not child.reports.empty():
                newest = child.reports.get()[1]
            await self._database.insist(lambda c, newest=newest: self._renew(c, row, newest))  # type: ignore[misc]
        return await future

    def _renew(self, connection: sa.Connection, row: sa.Row[Any], progress: dict[str, Any] | None) -> None:
        t = self._table
        values: dict[str, Any] = {"lease_until": self._runtime.wall() + self._lease}
        if progress is not None:
            values["progress"] = progress
        connection.execute(sa.update(t).where((t.c.name == row.name) & (t.c.token == row.token)).values(values))

    async def settle(self) -> None:
        """Return when no job waits or runs that is not aside."""
        while await self._database.insist(self.open_count):
            self.wake()
            await asyncio.sleep(0.01)
