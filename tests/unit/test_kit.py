"""How a service runs: due work coalesces, jobs are fenced, positions are fenced, the outbox is dense, settings are strict."""

import asyncio
import pathlib
import sqlite3
import threading
import time
import types
from concurrent.futures.process import BrokenProcessPool
from typing import Any, cast

import grpc
import pytest
import sqlalchemy as sa
from aiokafka.errors import KafkaError

from muster.kit.clock import ConductedClock
from muster.kit.codec import decode
from muster.kit.due import DueWork
from muster.kit.errors import NotReady, Refusal, SourceReplaced
from muster.kit.jobs import JobKind, Jobs
from muster.kit.outbox import Outbox, Outgoing, Relay
from muster.kit.positions import Fenced, Positions
from muster.kit.rpc import Grants, RpcServer, from_rpc_error, page, to_status
from muster.kit.settings import ServiceSettings, refuse_misspelled
from muster.kit.sql import Database, add_kit_tables, migrate
from muster.kit.topics import Source
from muster.v1 import forecaster_service_pb2, volume_pb2
from services.forecaster.settings import ForecasterSettings
from services.scheduler.settings import SchedulerSettings
from services.staffing.settings import StaffingSettings

metadata = sa.MetaData()
add_kit_tables(metadata)


@pytest.fixture
def database(engine: sa.Engine) -> Any:
    made = Database(engine)
    metadata.create_all(made.engine)
    yield made
    made.close()


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


def test_what_is_published_while_a_watcher_reads_is_not_waited_for(database: Database) -> None:
    outbox = Outbox(metadata, ConductedClock(5))

    async def watch() -> None:
        relay = Relay(database, outbox, metadata, "", "", "one", 30.0)
        sent: list[str] = []

        async def send(topic: str, letters: Any) -> None:
            sent.append(topic)

        relay._send = send  # type: ignore[method-assign]
        rounds = relay.rounds
        await database.run(lambda c: outbox.write(c, [Outgoing("t", "k", b"1")]))
        await relay.publish_some()
        async with asyncio.timeout(5):
            await relay.published_since(rounds, 60.0)  # published before it waits
            late = asyncio.ensure_future(relay.published_since(relay.rounds, 60.0))
            await asyncio.sleep(0)
            await database.run(lambda c: outbox.write(c, [Outgoing("t", "k", b"2")]))
            await relay.publish_some()
            await late
            await relay.published_since(relay.rounds, 0.01)  # nothing comes
        assert sent == ["t", "t"]

    asyncio.run(watch())


def test_watchers_are_told_from_memory_before_sql_keeps_a_position_and_only_what_goes_on_from_theirs(
    database: Database,
) -> None:
    outbox = Outbox(metadata, ConductedClock(5))

    async def watch() -> None:
        relays = [Relay(database, outbox, metadata, "", "", owner, 0.2) for owner in ("one", "two")]
        kept: list[int] = []

        async def send(topic: str, letters: Any) -> None:
            kept.append(await database.run(outbox.last_position))

        async def publish(relay: Relay, *topics: str) -> None:
            await database.run(lambda c: outbox.write(c, [Outgoing(t, "k", t.encode()) for t in topics]))
            assert await relay.publish_some() == len(topics)

        for relay in relays:
            relay._send = send  # type: ignore[method-assign]
        await publish(relays[0], "a", "b", "a")
        assert relays[0].newer("a", 0) == [(1, b"a"), (3, b"a")]
        assert relays[0].newer("a", 1) == [(3, b"a")]
        assert relays[0].newer("a", 3) == relays[1].newer("a", 0) == []
        await asyncio.sleep(0.3)
        await publish(relays[1], "a")
        assert relays[1].newer("a", 3) == [(4, b"a")]
        assert relays[1].newer("a", 2) == []  # it doesn't know what 3 was
        await asyncio.sleep(0.3)
        await publish(relays[0], "a")
        assert relays[0].newer("a", 4) == [(5, b"a")]
        assert relays[0].newer("a", 3) == []  # 4 was another's
        assert outbox_positions(database) == [1, 2, 3, 4, 5]
        assert kept == [0, 0, 3, 4]

    asyncio.run(watch())


def test_a_watcher_whom_memory_does_not_join_on_to_waits_for_sql_alone(database: Database) -> None:
    outbox = Outbox(metadata, ConductedClock(5))

    async def watch() -> list[tuple[int, bytes]]:
        relay = Relay(database, outbox, metadata, "", "", "one", 30.0)

        async def send(topic: str, letters: Any) -> None:
            pass

        async def follow() -> list[tuple[int, bytes]]:
            while True:
                rounds = relay.rounds
                rows = relay.newer("t", 0) or await database.read(lambda c: outbox.since(c, "t", 0))
                if rows:
                    return rows
                await relay.published_since(rounds, 60.0)

        relay._send = send  # type: ignore[method-assign]
        await database.run(lambda c: outbox.write(c, [Outgoing("other", "k", b"0"), Outgoing("t", "k", b"1")]))
        await relay.publish_some(1)
        relay._newest.clear()
        keep = outbox.published

        def late(connection: sa.Connection, ids: list[int]) -> None:
            time.sleep(0.2)  # who was told has read by now
            keep(connection, ids)

        outbox.published = late  # type: ignore[method-assign]
        async with asyncio.timeout(5):
            following = asyncio.ensure_future(follow())
            await asyncio.sleep(0.1)
            await relay.publish_some(1)
            return await following

    assert asyncio.run(watch()) == [(2, b"1")]


def outbox_positions(database: Database) -> list[int]:
    return database.run_here(
        lambda c: list(c.execute(sa.select(metadata.tables["outbox"].c.position).order_by("id")).scalars())
    )


def test_one_relay_publishes_under_a_lease_and_another_when_it_has_run_out(database: Database) -> None:
    outbox = Outbox(metadata, ConductedClock(5))

    async def publish() -> None:
        sent: list[str] = []
        relays = {}
        for owner in ("one", "two"):
            relays[owner] = Relay(database, outbox, metadata, "", "", owner, 0.5)

            async def send(topic: str, letters: Any, owner: str = owner) -> None:
                sent.append(owner)

            relays[owner]._send = send  # type: ignore[method-assign]

        async def tell() -> None:
            await database.run(lambda c: outbox.write(c, [Outgoing("t", "k", b"1")]))

        await tell()
        assert await relays["one"].publish_some() == 1
        await tell()
        assert await relays["two"].publish_some() == 0
        assert await relays["one"].publish_some() == 1
        await tell()
        await asyncio.sleep(0.6)
        assert await relays["two"].publish_some() == 1
        assert await relays["one"].publish_some() == 0
        assert sent == ["one", "one", "two"]

    asyncio.run(publish())
    assert database.run_here(outbox.last_position) == 3


def test_a_read_that_succeeds_does_not_say_that_writing_does(database: Database) -> None:
    failures = [sa.exc.OperationalError("write", {}, sqlite3.OperationalError("database or disk is full"))]
    seen: list[str | None] = []

    def write(connection: sa.Connection) -> None:
        if failures:
            raise failures.pop()

    async def work() -> None:
        writing = asyncio.ensure_future(database.insist(write))
        while database.trouble is None:
            await asyncio.sleep(0.01)
        await database.insist(lambda c: None, reading=True)
        seen.append(database.trouble)
        await writing
        seen.append(database.trouble)

    asyncio.run(work())
    assert seen == ["DATABASE_UNAVAILABLE: database or disk is full", None]


def test_what_a_service_reads_for_itself_waits_for_nobody_who_asks(engine: sa.Engine) -> None:
    database, asked = Database(engine), threading.Event()

    async def run() -> None:
        slow = [asyncio.ensure_future(database.read(lambda _: asked.wait(20))) for _ in range(20)]
        await asyncio.sleep(0.1)
        async with asyncio.timeout(10):
            await database.insist(lambda c: c.execute(sa.text("SELECT 1")).scalar(), reading=True)
        assert not any(task.done() for task in slow)
        asked.set()
        await asyncio.gather(*slow)

    asyncio.run(run())
    database.close()


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


def test_what_one_topic_refuses_does_not_overtake_another() -> None:
    sent: list[str] = []

    async def send(topic: str, letters: Any) -> None:
        if topic == "a":
            raise KafkaError("away")
        await asyncio.sleep(0.01)
        sent.append(topic)

    relay = types.SimpleNamespace(_world="", _send=send)
    with pytest.raises(KafkaError):
        asyncio.run(Relay.deliver_letters(cast(Any, relay), {"a": [(b"", b"1", [])], "b": [(b"", b"2", [])]}))
    assert sent == ["b"]  # it ended before anything is sent again


def test_a_position_moves_only_from_where_it_stands(database: Database) -> None:
    positions, source = Positions(metadata), {"t": Source("cluster", "topic", 1)}
    database.run_here(lambda c: positions.adopt(c, source, {("t", 0): 5}))
    database.run_here(lambda c: positions.advance(c, ("t", 0), 5, 9))
    with pytest.raises(Fenced):
        database.run_here(lambda c: positions.advance(c, ("t", 0), 5, 7))
    assert database.run_here(positions.read) == {("t", 0): 9}
    database.run_here(lambda c: positions.raise_to(c, ("t", 0), 3))
    assert database.run_here(positions.read) == {("t", 0): 9}


def test_a_replaced_topic_stops_with_the_command_to_adopt_it(database: Database) -> None:
    positions = Positions(metadata)
    database.run_here(lambda c: positions.adopt(c, {"t": Source("cluster", "one", 1)}, {("t", 0): 0}))
    with pytest.raises(SourceReplaced, match="muster topics adopt t") as caught:
        database.run_here(lambda c: positions.adopt(c, {"t": Source("cluster", "two", 1)}, {("t", 0): 0}))
    assert caught.value.reason == "SOURCE_REPLACED"


def test_positions_of_published_messages_are_dense(database: Database) -> None:
    outbox = Outbox(metadata, ConductedClock(1))
    database.run_here(lambda c: outbox.write(c, [Outgoing("t", "k", b"%d" % n) for n in range(5)]))
    rows = database.run_here(lambda c: outbox.waiting(c, 3))
    database.run_here(lambda c: outbox.published(c, [r.id for r in rows]))
    database.run_here(lambda c: outbox.published(c, [r.id for r in outbox.waiting(c, 9)]))
    assert database.run_here(lambda c: outbox.since(c, "t", 2)) == [(3, b"2"), (4, b"3"), (5, b"4")]
    assert database.run_here(outbox.depth) == 0


def test_a_reader_is_not_locked_out_by_the_writer(database: Database) -> None:
    with database.engine.begin() as writer:
        writer.execute(sa.insert(metadata.tables["about"]).values(name="x", value="1"))
        assert database.read_here(lambda c: c.execute(sa.text("SELECT count(*) FROM about")).scalar()) == 0


def test_a_misspelled_setting_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_BOOTSTRAPP", "x")
    with pytest.raises(Refusal, match="MUSTER_BOOTSTRAPP") as caught:
        refuse_misspelled(ServiceSettings)
    assert caught.value.reason == "UNKNOWN_SETTING"


def test_a_setting_of_one_service_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = (ForecasterSettings, SchedulerSettings, StaffingSettings)
    for name in {name for kind in kinds for name in kind.model_fields}:
        monkeypatch.setenv(f"MUSTER_{name.upper()}", "1")
    for kind in kinds:
        refuse_misspelled(kind)
    monkeypatch.setenv("MUSTER_NOBODYS", "1")
    for kind in kinds:
        with pytest.raises(Refusal, match="MUSTER_NOBODYS"):
            refuse_misspelled(kind)


def test_listening_beyond_loopback_needs_authentication(tmp_path: pathlib.Path) -> None:
    with pytest.raises(Refusal, match="MUSTER_AUTH_FILE"):
        Grants.load(None, "0.0.0.0")
    path = tmp_path / "auth.yaml"
    path.write_text("tokens: {secret: [VOLUME_WRITE]}")
    grants = Grants.load(path, "0.0.0.0")
    allowed, other = "/muster.v1.ForecasterService/PublishVolume", "/muster.v1.StaffingService/ApplyBook"
    assert grants.allow(allowed, {"authorization": "Bearer secret"})
    assert not grants.allow(other, {"authorization": "Bearer secret"})
    assert not grants.allow(allowed, {})
    assert grants.allow("/grpc.health.v1.Health/Check", {})
    assert forecaster_service_pb2.DESCRIPTOR.services_by_name
    path.write_text("tokens: {secret: [FLY]}")
    with pytest.raises(Refusal, match="PERMISSION_FLY"):
        Grants.load(path, "0.0.0.0")


def test_json_and_protobuf_are_told_apart_and_rubbish_is_refused() -> None:
    message = volume_pb2.VolumeObserved(queue="a/b", feed="live")
    assert decode(volume_pb2.VolumeObserved, message.SerializeToString(), {}) == message
    assert decode(volume_pb2.VolumeObserved, b'{"queue": "a/b", "feed": "live", "newField": 1}', {}) == message
    for rubbish, reason in ((b"", "EMPTY"), (b"{]", "NOT_JSON"), (b"\x07\xff\xff", "NOT_PROTOBUF")):
        with pytest.raises(Refusal) as caught:
            decode(volume_pb2.VolumeObserved, rubbish, {})
        assert caught.value.reason == reason


def test_an_error_keeps_its_reason_and_violations_over_grpc() -> None:
    status = to_status(Refusal("INVALID_BOOK", "one fault"))
    assert status.code == 3
    assert b"INVALID_BOOK" in status.SerializeToString()
    assert callable(from_rpc_error)


def test_pages_have_limits() -> None:
    assert page(0, "", 100, 1000) == (100, 0)
    assert page(5000, "20", 100, 1000) == (1000, 20)
    with pytest.raises(Refusal):
        page(-1, "", 100, 1000)
    with pytest.raises(Refusal):
        page(1, "x", 100, 1000)


def test_protobuf_whose_second_byte_looks_like_json_is_protobuf() -> None:
    """Field 1's tag is a newline, and a length of 91 or 123 is a bracket: once taken for JSON, and refused."""
    for length in (91, 123):
        message = volume_pb2.VolumeObserved(queue="q" * length)
        assert decode(volume_pb2.VolumeObserved, message.SerializeToString(), {}) == message


def test_work_that_recurs_is_planned_once(database: Database) -> None:
    due = DueWork(database, metadata, ConductedClock(1), runs_itself=False)
    with database.engine.begin() as connection:
        due.plan_once(connection, "prune", "", 10)
        due.plan_once(connection, "prune", "", 20)
        rows = connection.execute(sa.select(metadata.tables["due"].c.due_at)).scalars().all()
    assert rows == [10]


@pytest.mark.parametrize("service", ["forecaster", "staffing", "scheduler"])
def test_a_schema_that_is_newer_than_the_code_refuses_to_start(service: str, engine: sa.Engine) -> None:
    migrations = pathlib.Path(__file__).parents[2] / f"services/{service}/store/migrations"
    migrate(engine, migrations)
    migrate(engine, migrations)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NotReady, match="start the newer code") as caught:
        migrate(engine, migrations)
    assert caught.value.reason == "SCHEMA_NEWER"


@pytest.mark.parametrize("service", ["forecaster", "staffing", "scheduler"])
def test_migrations_make_the_schema_that_the_code_declares(service: str, engine: sa.Engine) -> None:
    import importlib

    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    migrate(engine, pathlib.Path(__file__).parents[2] / f"services/{service}/store/migrations")
    declared = importlib.import_module(f"services.{service}.store.tables").metadata
    with engine.begin() as connection:
        found = compare_metadata(MigrationContext.configure(connection), declared)
    assert [d for d in found if "alembic_version" not in str(d)] == []


def test_a_call_that_outlasts_the_drain_is_to_be_made_again() -> None:
    async def run() -> grpc.StatusCode:
        server = RpcServer("127.0.0.1:0", Grants({}), [], 1.3)

        async def slow(request: bytes, context: Any) -> bytes:
            await asyncio.sleep(30)
            return b""

        handler: Any = grpc.unary_unary_rpc_method_handler(slow)
        server.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.T", {"Slow": handler}),))
        await server.on_start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            call: Any = channel.unary_unary("/t.T/Slow")(b"")  # type: ignore[arg-type]
            await asyncio.sleep(0.2)
            await server.on_stop()
            try:
                await call
            except grpc.aio.AioRpcError as error:
                return error.code()
        raise AssertionError("the call came to an end")

    assert asyncio.run(run()) == grpc.StatusCode.UNAVAILABLE
