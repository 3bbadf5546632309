"""What is done by time and what is done as a job: due work coalesces, claims are fenced, failures take nothing along."""

import asyncio
from concurrent.futures.process import BrokenProcessPool

import pytest
import sqlalchemy as sa

from muster.kit.clock import ConductedClock
from muster.kit.due import DueWork
from muster.kit.jobs import JobKind, Jobs
from muster.kit.sql import Database
from tests.support.kit_tables import metadata


def test_work_that_is_due_together_is_done_once_as_the_newest(database: Database) -> None:
    clock, done = ConductedClock(100), list[tuple[str, int]]()
    due = DueWork(database, metadata, clock, runs_itself=False)
    due.declare("close", lambda connection, key, at: done.append((key, at)))

    def plan(connection: sa.Connection) -> None:
        for at in (50, 70, 90, 200):
            due.plan(connection, "close", "a", at)
        due.plan(connection, "close", "a", 90)

    database.run_here(plan)
    asyncio.run(due.settle())
    assert done == [("a", 90)]
    clock.move(200)
    asyncio.run(due.settle())
    assert done == [("a", 90), ("a", 200)]


def test_work_of_a_kind_that_only_a_newer_process_knows_is_left_to_it(database: Database) -> None:
    older, newer = (DueWork(database, metadata, ConductedClock(100), runs_itself=False) for _ in range(2))
    done = list[tuple[str, str]]()
    for due, kinds in ((older, ("close",)), (newer, ("close", "days_after"))):
        for kind in kinds:
            due.declare(kind, lambda connection, key, at, kind=kind: done.append((kind, key)))  # type: ignore[misc]
    database.run_here(lambda c: newer.plan(c, "days_after", "a", 50))
    database.run_here(lambda c: newer.plan(c, "close", "b", 60))
    asyncio.run(older.settle())
    assert done == [("close", "b")]
    assert not database.run_here(older.has_due)
    asyncio.run(newer.settle())
    assert done == [("close", "b"), ("days_after", "a")]


def test_work_that_fails_is_still_due(database: Database) -> None:
    due = DueWork(database, metadata, ConductedClock(100), runs_itself=False)

    def fail(connection: sa.Connection, key: str, at: int) -> None:
        raise RuntimeError("boom")

    due.declare("close", fail)
    database.run_here(lambda c: due.plan(c, "close", "a", 50))
    with pytest.raises(RuntimeError, match="boom"):
        asyncio.run(due.settle())
    assert database.run_here(due.has_due)


def jobs_of(database: Database, owner: str, lease: float) -> Jobs:
    jobs = Jobs(database, metadata, ConductedClock(1), owner, lease)
    jobs.declare("fit", JobKind(lambda c, r: r, lambda p, report: p, lambda c, r, result: {"seen": result}))
    return jobs


def test_a_job_is_claimed_once_and_saved_only_by_who_holds_the_claim(database: Database) -> None:
    first, second = jobs_of(database, "one", 0.0), jobs_of(database, "two", 60.0)
    database.run_here(lambda c: first.ask(c, "fits/a", "fit", {"client": "a"}))
    database.run_here(lambda c: first.ask(c, "fits/a", "fit", {"client": "other"}))
    stale = database.run_here(first._claim)
    fresh = database.run_here(second._claim)  # the first lease has run out
    assert stale is not None
    assert fresh is not None
    assert (fresh.request, fresh.token) == ({"client": "a"}, 2)
    assert database.run_here(lambda c: first._save(c, stale, 1)) is False
    assert database.run_here(lambda c: second._save(c, fresh, 2)) is True
    assert database.run_here(lambda c: second.look(c, "fits/a")).result == {"seen": 2}
    assert database.run_here(second._claim) is None


def test_work_that_fails_takes_nothing_along(database: Database) -> None:
    done: list[str] = []

    def work(connection: sa.Connection, key: str, due_at: int) -> None:
        if key == "c":
            raise ValueError("a bug")
        done.append(key)

    due = DueWork(database, metadata, ConductedClock(10), runs_itself=False)
    due.declare("work", work)
    for key in "abc":
        database.run_here(lambda c, key=key: due.plan(c, "work", key, 1))  # type: ignore[misc]
    assert database.run_here(due.run_some)
    assert done == ["a", "b"]
    with pytest.raises(ValueError, match="a bug"):
        database.run_here(due.run_some)
    assert done == ["a", "b"]
    assert not database.run_here(lambda c: due.is_planned(c, "work", "a", 1))


def test_what_a_batch_makes_due_is_done_along_with_it_and_a_failure_leaves_the_batch(database: Database) -> None:
    done: list[str] = []

    def work(connection: sa.Connection, key: str, due_at: int) -> None:
        done.append(key)
        if key == "b":
            due.plan(connection, "work", "never", 99)
            raise ValueError("a bug")

    due = DueWork(database, metadata, ConductedClock(10), runs_itself=True)
    due.declare("work", work)

    def batch(connection: sa.Connection) -> None:
        for key in "ab":
            due.plan(connection, "work", key, 1)
        due.run_along(connection)

    database.run_here(batch)
    assert done == ["a", "b"]
    planned = {key: database.run_here(lambda c, key=key: due.is_planned(c, "work", key, 1)) for key in "ab"}  # type: ignore[misc]
    assert planned == {"a": False, "b": True}
    assert not database.run_here(lambda c: due.is_planned(c, "work", "never", 99))
    assert due.left_over  # "b" is still due, and the service is woken for it
    due.declare("work", lambda connection, key, due_at: done.append(key))
    database.run_here(due.run_along)
    assert done == ["a", "b", "b"]
    assert not due.left_over


def test_jobs_are_woken_by_what_asked_for_one(database: Database) -> None:
    jobs = jobs_of(database, "one", 60.0)
    jobs.wake_if_asked()
    assert not jobs._wake[False].is_set()
    database.run_here(lambda c: jobs.ask(c, "fits/a", "fit", {}))
    jobs.wake_if_asked()
    assert jobs._wake[False].is_set()
    jobs._wake[False].clear()
    jobs.wake_if_asked()
    assert not jobs._wake[False].is_set()


def test_a_job_that_only_a_newer_process_knows_is_left_to_it(database: Database) -> None:
    jobs = jobs_of(database, "one", 60.0)
    database.run_here(lambda c: jobs.ask(c, "windows/1", "windows", {}))
    assert database.run_here(jobs._claim) is None


def test_what_changes_after_a_job_has_begun_is_seen_by_another(database: Database) -> None:
    jobs = jobs_of(database, "one", 60.0)

    def ask() -> str:
        return database.run_here(lambda c: jobs.ask_anew(c, "fits/a-1-book", "fit", {"client": "a"}))

    assert [ask(), ask()] == ["fits/a-1-book", "fits/a-1-book"]
    assert database.run_here(jobs._claim) is not None
    assert [ask(), ask()] == ["fits/a-1-book-2", "fits/a-1-book-2"]
    assert database.run_here(jobs.open_count) == 2


def test_what_is_done_aside_is_waited_for_by_nobody(database: Database) -> None:
    jobs = jobs_of(database, "one", 60.0)
    jobs.declare("look", JobKind(lambda c, r: r, lambda p, report: p, lambda c, r, result: result, aside=True))
    database.run_here(lambda c: jobs.ask(c, "looks/1", "look", {}))
    assert database.run_here(jobs.open_count) == 0
    assert database.run_here(jobs.all_open) == 1
    assert database.run_here(jobs._claim) is None
    database.run_here(lambda c: jobs.ask(c, "fits/a", "fit", {"client": "a"}))
    fit, look = database.run_here(jobs._claim), database.run_here(lambda c: jobs._claim(c, aside=True))
    assert fit is not None
    assert look is not None
    assert (fit.name, look.name) == ("fits/a", "looks/1")


def test_a_job_that_ends_with_its_service_is_tried_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = jobs_of(database, "one", 60.0)
    database.run_here(lambda c: jobs.ask(c, "fits/a", "fit", {"client": "a"}))
    rows = [database.run_here(jobs._claim) for _ in range(3)]  # claimed by the process that is started anew, again and again

    async def broken(*_: object) -> None:
        raise BrokenProcessPool("the child is gone")

    monkeypatch.setattr(jobs, "_in_child", broken)
    assert rows[2] is not None
    assert rows[2].token == 3
    asyncio.run(jobs._work(rows[2]))
    assert database.run_here(lambda c: jobs.look(c, "fits/a")).state == "FAILED"
    database.run_here(lambda c: jobs.ask(c, "fits/b", "fit", {"client": "a"}))
    rows = [database.run_here(jobs._claim) for _ in range(3)]
    jobs._stopped.set()
    assert rows[2] is not None
    with pytest.raises(BrokenProcessPool):
        asyncio.run(jobs._work(rows[2]))
    assert database.run_here(lambda c: jobs.look(c, "fits/b")).state == "RUNNING"


def test_what_fails_aside_takes_nothing_along(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = jobs_of(database, "one", 60.0)
    jobs.declare("look", JobKind(lambda c, r: r, lambda p, report: p, lambda c, r, result: result, aside=True))
    database.run_here(lambda c: jobs.ask(c, "looks/1", "look", {}))
    row = database.run_here(lambda c: jobs._claim(c, aside=True))

    async def broken(*_: object) -> None:
        raise BrokenProcessPool("the child is gone")

    monkeypatch.setattr(jobs, "_in_child", broken)
    assert row is not None
    asyncio.run(jobs._work(row))
    assert database.run_here(lambda c: jobs.look(c, "looks/1")).state == "FAILED"
    assert True in jobs._computers  # a new one, for the next


def test_work_that_recurs_is_planned_once(database: Database) -> None:
    due = DueWork(database, metadata, ConductedClock(1), runs_itself=False)
    with database.engine.begin() as connection:
        due.plan_once(connection, "prune", "", 10)
        due.plan_once(connection, "prune", "", 20)
        rows = connection.execute(sa.select(metadata.tables["due"].c.due_at)).scalars().all()
    assert rows == [10]
