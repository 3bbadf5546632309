"""How a service runs: positions are fenced, readers wait for nobody, the schema is as declared, settings are strict."""

import asyncio
import pathlib
import sqlite3
import threading
from typing import Any

import grpc
import pytest
import sqlalchemy as sa

from muster.kit.codec import decode
from muster.kit.errors import NotReady, Refusal, SourceReplaced
from muster.kit.positions import Fenced, Positions
from muster.kit.rpc import Grants, RpcServer, from_rpc_error, page, to_status
from muster.kit.settings import ServiceSettings, refuse_misspelled
from muster.kit.sql import Database, migrate
from muster.kit.topics import Source
from muster.v1 import forecaster_service_pb2, volume_pb2
from services.forecaster.settings import ForecasterSettings
from services.scheduler.settings import SchedulerSettings
from services.staffing.settings import StaffingSettings
from tests.support.kit_tables import metadata


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
