"""Statements that run often: built once, as near to the driver as may be, rows replaced by their key."""

import contextlib
import functools
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import sqlalchemy as sa


def to_json(value: Any) -> str:
    """Return the text of what SQL keeps as JSON. What is no number is null: no database takes NaN."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def given(name: str, many: bool = False) -> sa.BindParameter[Any]:
    """Return the place of a value (or of `many`, for IN) in a statement that is built once and run often.

    Building a statement takes three times as long as running it.
    """
    return sa.bindparam(name, expanding=many)


@contextlib.contextmanager
def savepoint(connection: sa.Connection) -> Iterator[None]:
    """Have what is done within undone if it raises, and nothing else of the transaction.

    SQLAlchemy's own takes four times as long, and is asked for at every piece of due work.
    """
    connection.exec_driver_sql("SAVEPOINT piece")
    try:
        yield
    except BaseException:
        if not connection.invalidated:
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT piece")
        raise
    connection.exec_driver_sql("RELEASE SAVEPOINT piece")


def insert_many(connection: sa.Connection, table: sa.Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows of what the driver takes as it is (JSON as text), by the driver itself."""
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    text = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join([mark] * len(names))})"  # noqa: S608
    connection.exec_driver_sql(text, list(rows))


@functools.lru_cache(maxsize=200)
def _upsert_statement(table: sa.Table, dialect: str, given: frozenset[str]) -> Any:
    from sqlalchemy.dialects import postgresql, sqlite

    insert = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    keys = [column.name for column in table.primary_key.columns]
    others = {c.name: insert.excluded[c.name] for c in table.columns if c.name not in keys and c.name in given}
    return insert.on_conflict_do_update(index_elements=keys, set_=others) if others else insert.on_conflict_do_nothing()


@functools.lru_cache(maxsize=200)
def _sqlite_text(table: sa.Table, given: frozenset[str]) -> tuple[str, tuple[str, ...]] | None:
    """Return the statement for SQLite's driver and the order of its values; None where a type needs SQLAlchemy's help."""
    from sqlalchemy.dialects import sqlite

    if any(isinstance(c.type, sa.JSON) for c in table.columns):
        return None
    statement = _upsert_statement(table, "sqlite", given)
    compiled = statement.compile(dialect=sqlite.dialect(), column_keys=[c.name for c in table.columns if c.name in given])
    return str(compiled), tuple(compiled.positiontup)


def upsert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows, replacing those with the same primary key."""
    if not rows:
        return
    given = frozenset(rows[0])
    plain = _sqlite_text(table, given) if connection.dialect.name == "sqlite" else None
    if plain is not None and len(plain[1]) > 1:
        text, names = plain
        connection.exec_driver_sql(text, list(map(operator.itemgetter(*names), rows)))
    else:
        connection.execute(_upsert_statement(table, connection.dialect.name, given), rows)
