"""Statements that run often: built once, as near to the driver as may be, rows replaced by their key."""

import contextlib
import functools
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
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


def _is_sqlite(connection: sa.Connection) -> bool:
    return connection.dialect.name == "sqlite"


class _Text:
    """A statement as SQLite's driver takes it: its text, and how its values and its rows are to be turned."""

    def __init__(self, statement: Any, keys: Sequence[str] | None = None) -> None:
        from sqlalchemy.dialects import sqlite

        compiled = statement.compile(dialect=sqlite.dialect(), column_keys=keys)
        self.text, self._names = str(compiled), tuple(compiled.positiontup)
        self._constants = {n: v for n, v in compiled.params.items() if not compiled.binds[n].required}
        many = {n for n in self._names if compiled.binds[n].expanding}
        for name in many:
            self.text = self.text.replace(f"(__[POSTCOMPILE_{name}])", "(SELECT value FROM json_each(?))")
        self._json = many | {n for n in self._names if isinstance(compiled.binds[n].type, sa.JSON)}
        columns = statement.selected_columns if isinstance(statement, sa.Select) else ()
        kinds = {n: c.type for n, c in enumerate(columns)}
        self._turned = [(n, orjson.loads) for n, kind in kinds.items() if isinstance(kind, sa.JSON)]
        self._turned += [(n, bool) for n, kind in kinds.items() if isinstance(kind, sa.Boolean)]

    def values(self, told: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return values in the order of the text's places."""
        if not self._json and not self._constants:
            return tuple([told[name] for name in self._names])
        every = {**self._constants, **told}
        return tuple([to_json(every[name]) if name in self._json else every[name] for name in self._names])

    def rows(self, fetched: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return rows with what is JSON read."""
        if not self._turned:
            return fetched
        turned = [list(row) for row in fetched]
        for row in turned:
            for n, turn in self._turned:
                row[n] = None if row[n] is None else turn(row[n])
        return [tuple(row) for row in turned]


def _drive(connection: sa.Connection, text: str, values: Any, many: bool = False) -> tuple[list[tuple[Any, ...]], int]:
    """Run a text by SQLite's driver, in SQLAlchemy's transaction; return rows, and how many were changed. What goes wrong is said as
    SQLAlchemy says it."""
    if not connection.in_transaction():
        connection.begin()
    driver: Any = connection.connection.driver_connection
    run: Callable[..., sqlite3.Cursor] = driver.executemany if many else driver.execute
    try:
        cursor = run(text, values)
        return ([] if many else cursor.fetchall()), cursor.rowcount
    except sqlite3.Error as error:
        said = sa.exc.DBAPIError.instance(text, values, error, sqlite3.Error, dialect=connection.dialect)
        raise said from error


class Prepared:
    """A statement that is built once and run often, its values by name. SQLite's driver runs it itself: what SQLAlchemy does around it takes
    several times as long. PostgreSQL's is a network away, and SQLAlchemy notices when it is gone."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._text = functools.cache(lambda: _Text(statement))

    def rows(self, connection: sa.Connection, **values: Any) -> Sequence[Sequence[Any]]:
        """Return all rows."""
        if not _is_sqlite(connection):
            return connection.execute(self._statement, values).all()
        text = self._text()
        return text.rows(_drive(connection, text.text, text.values(values))[0])

    def column(self, connection: sa.Connection, **values: Any) -> list[Any]:
        """Return the first value of each row."""
        return [row[0] for row in self.rows(connection, **values)]

    def value(self, connection: sa.Connection, **values: Any) -> Any:
        """Return the first value of the first row, None without rows."""
        return next(iter(self.column(connection, **values)), None)

    def change(self, connection: sa.Connection, **values: Any) -> int:
        """Return how many rows were changed."""
        if not _is_sqlite(connection):
            return connection.execute(self._statement, values).rowcount
        text = self._text()
        return _drive(connection, text.text, text.values(values))[1]


def _command(connection: sa.Connection, text: str) -> None:
    if _is_sqlite(connection):
        _drive(connection, text, ())
    else:
        connection.exec_driver_sql(text)


@contextlib.contextmanager
def savepoint(connection: sa.Connection) -> Iterator[None]:
    """Have what is done within undone if it raises, and nothing else of the transaction.

    SQLAlchemy's own takes four times as long, and is asked for at every piece of due work.
    """
    _command(connection, "SAVEPOINT piece")
    try:
        yield
    except BaseException:
        if not connection.invalidated:
            _command(connection, "ROLLBACK TO SAVEPOINT piece")
        raise
    _command(connection, "RELEASE SAVEPOINT piece")


def insert_many(connection: sa.Connection, table: sa.Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows of what the driver takes as it is (JSON as text), by the driver itself."""
    mark = "?" if _is_sqlite(connection) else "%s"
    text = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join([mark] * len(names))})"  # noqa: S608
    if _is_sqlite(connection):
        _drive(connection, text, rows, many=True)
    else:
        connection.exec_driver_sql(text, list(rows))


@functools.lru_cache(maxsize=200)
def _upsert_statement(table: sa.Table, dialect: str, given: frozenset[str]) -> Any:
    from sqlalchemy.dialects import postgresql, sqlite

    insert = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    keys = [column.name for column in table.primary_key.columns]
    others = {c.name: insert.excluded[c.name] for c in table.columns if c.name not in keys and c.name in given}
    return insert.on_conflict_do_update(index_elements=keys, set_=others) if others else insert.on_conflict_do_nothing()


@functools.lru_cache(maxsize=200)
def _upsert_text(table: sa.Table, given: frozenset[str]) -> _Text:
    return _Text(_upsert_statement(table, "sqlite", given), [c.name for c in table.columns if c.name in given])


def upsert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows, replacing those with the same primary key."""
    if not rows:
        return
    given = frozenset(rows[0])
    if _is_sqlite(connection):
        text = _upsert_text(table, given)
        _drive(connection, text.text, list(map(text.values, rows)), many=True)
    else:
        connection.execute(_upsert_statement(table, connection.dialect.name, given), rows)
