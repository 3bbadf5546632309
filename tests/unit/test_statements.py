"""Statements that run often give the same on both databases, however they are run, and say alike what goes wrong."""

from typing import Any

import pytest
import sqlalchemy as sa

from muster.kit.sql import Database, is_trouble
from muster.kit.statements import Prepared, given, savepoint, upsert

metadata = sa.MetaData()
shift = sa.Table(
    "shift",
    metadata,
    sa.Column("agent", sa.Text, primary_key=True),
    sa.Column("starts_at", sa.BigInteger, primary_key=True),
    sa.Column("applied", sa.Boolean, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("place", sa.LargeBinary),
)
s = shift.c
EVERYTHING = Prepared(sa.select(shift).order_by(s.agent, s.starts_at))
OF_SOME = Prepared(sa.select(s.agent, s.body).where(s.agent.in_(given("agents", many=True))).order_by(s.agent))
OF_TWO = Prepared(sa.select(s.agent).where(s.agent.in_(("ada", "cy")) & (s.starts_at > given("since"))).order_by(s.agent))
IN_FORCE = Prepared(sa.select(sa.func.count(), sa.func.sum(sa.case((s.starts_at > 15, 1), else_=0))).where(s.applied.is_(True)))
CHANGE = Prepared(sa.update(shift).where(s.agent == given("of_agent")).values(body=sa.bindparam("new", type_=sa.JSON)))
FORGET = Prepared(sa.delete(shift).where(s.starts_at <= given("at")))
NONE_SUCH = Prepared(sa.select(s.agent).where(s.agent == given("of_agent")))


def row(agent: str, starts_at: int, body: Any, applied: bool = True) -> dict[str, Any]:
    return {"agent": agent, "starts_at": starts_at, "applied": applied, "body": body, "place": b"\x00x"}


@pytest.fixture
def database(engine: sa.Engine) -> Any:
    metadata.create_all(engine)
    made = Database(engine)
    rows = [row("ada", 10, {"a": [1, None]}), row("bob", 20, None, False), row("cy", 30, [True])]
    made.run_here(lambda c: upsert(c, shift, rows))
    yield made
    made.close()


def test_rows_come_back_as_they_were_kept(database: Database) -> None:
    rows = database.read_here(EVERYTHING.rows)
    assert [(r[0], r[1], r[2], r[3], bytes(r[4])) for r in rows] == [
        ("ada", 10, True, {"a": [1, None]}, b"\x00x"),
        ("bob", 20, False, None, b"\x00x"),
        ("cy", 30, True, [True], b"\x00x"),
    ]
    assert all(type(r[2]) is bool for r in rows)


def test_values_are_given_by_name_one_or_many(database: Database) -> None:
    def read(c: sa.Connection) -> Any:
        some = OF_SOME.rows(c, agents=["cy", "ada", "eve"]), OF_SOME.column(c, agents=[])
        counted = tuple(IN_FORCE.rows(c)[0])
        return [tuple(r) for r in some[0]], some[1], OF_TWO.column(c, since=15), counted, NONE_SUCH.value(c, of_agent="eve")

    some, nobody, two, counted, missing = database.read_here(read)
    assert some == [("ada", {"a": [1, None]}), ("cy", [True])]
    assert (nobody, two, counted, missing) == ([], ["cy"], (2, 1), None)


def test_changes_are_counted_and_upserts_replace(database: Database) -> None:
    def change(c: sa.Connection) -> Any:
        changed = CHANGE.change(c, of_agent="ada", new={"b": 2}), CHANGE.change(c, of_agent="eve", new=None)
        upsert(c, shift, [row("cy", 30, "new")])
        return changed, FORGET.change(c, at=20), [tuple(r)[:4] for r in EVERYTHING.rows(c)]

    assert database.run_here(change) == ((1, 0), 2, [("cy", 30, True, "new")])


def test_a_savepoint_undoes_what_was_run_by_the_driver_and_nothing_else(database: Database) -> None:
    def fail(c: sa.Connection) -> None:
        with savepoint(c):
            FORGET.change(c, at=99)
            raise RuntimeError

    def work(c: sa.Connection) -> None:
        FORGET.change(c, at=10)
        with pytest.raises(RuntimeError):
            fail(c)

    database.run_here(work)
    assert [r[0] for r in database.read_here(EVERYTHING.rows)] == ["bob", "cy"]


def test_what_goes_wrong_is_said_as_sqlalchemy_says_it(database: Database) -> None:
    gone = Prepared(sa.select(sa.table("gone", sa.column("x")).c.x))
    with pytest.raises(sa.exc.DBAPIError, match="gone"):
        database.read_here(gone.rows)
    with pytest.raises(sa.exc.IntegrityError):
        database.run_here(lambda c: upsert(c, shift, [{**row("dan", 1, 1), "applied": None}]))
    assert len(database.read_here(EVERYTHING.rows)) == 3


def test_what_goes_wrong_at_a_later_row_is_said_so_too(tmp_path: Any) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'x.sqlite'}")
    fail = Prepared(sa.select(sa.func.burst(s.starts_at)).order_by(s.starts_at))
    metadata.create_all(engine)
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.create_function("burst", 1, lambda at: 1 // (at - 20))
        upsert(connection, shift, [row("ada", 10, 1), row("bob", 20, 1)])
        with pytest.raises(sa.exc.OperationalError):
            fail.rows(connection)
    with engine.connect() as connection:
        assert EVERYTHING.rows(connection) == []  # nobody committed


def test_a_locked_database_is_trouble_that_passes(tmp_path: Any) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'x.sqlite'}", connect_args={"timeout": 0.05})
    metadata.create_all(engine)
    with engine.connect() as holder, engine.connect() as other:
        holder.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(sa.exc.OperationalError) as locked:
            upsert(other, shift, [row("ada", 1, 1)])
    assert is_trouble(locked.value)
