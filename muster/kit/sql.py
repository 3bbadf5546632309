"""SQL: one engine a service, one thread that talks to it, one `begin` that may write from its first statement."""

import asyncio
import concurrent.futures
import pathlib
import random
import re
from collections.abc import Callable
from typing import Any, TypeVar

import orjson
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from muster.kit.errors import NotReady
from muster.kit.logs import get_log
from muster.kit.statements import to_json

T = TypeVar("T")

# A day of intervals is read and written in a fraction of the time that the standard library takes.
JSON = {"json_serializer": to_json, "json_deserializer": orjson.loads}


def add_kit_tables(metadata: sa.MetaData) -> None:
    """Declare the tables that every service has: positions, outbox, due work, jobs, leases, facts about itself."""
    sa.Table(
        "source",
        metadata,
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("cluster_id", sa.Text, nullable=False),
        sa.Column("topic_id", sa.Text, nullable=False),
        sa.Column("next", sa.BigInteger, nullable=False),
    )
    sa.Table(
        "outbox",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("headers", sa.JSON),
        sa.Column("written_at", sa.BigInteger, nullable=False),
        sa.Column("position", sa.BigInteger, unique=True),
        # Without it, finding what waits reads through every message already sent.
        sa.Index(
            "ix_outbox_waiting", "id", sqlite_where=sa.text("position IS NULL"), postgresql_where=sa.text("position IS NULL")
        ),
        sqlite_autoincrement=True,
    )
    sa.Table(
        "due",
        metadata,
        sa.Column("due_at", sa.BigInteger, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
    )
    sa.Table(
        "job",
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("lease_until", sa.Float, nullable=False, server_default="0"),
        sa.Column("token", sa.Integer, nullable=False, server_default="0"),
        sa.Column("progress", sa.JSON),
        sa.Column("result", sa.JSON),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
    )
    sa.Table(
        "lease",
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
    sa.Table(
        "about",
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


PAGES_A_MEGABYTE = 256


def sqlite_engine(path: pathlib.Path, synchronous: str, megabytes: int = 0) -> sa.Engine:
    """Open (or create) a SQLite file in WAL mode whose transactions take the write lock when they begin.

    A transaction that reads first and writes later would meet "database is locked" without waiting.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30, "check_same_thread": False}, **JSON)

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: object) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")
        if megabytes:
            connection.execute(f"PRAGMA max_page_count={megabytes * PAGES_A_MEGABYTE}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


WAIT_MILLISECONDS = 30_000
IDLE_MILLISECONDS = 15_000


def postgres_engine(url: str, schema: str) -> sa.Engine:
    """Open a schema of a PostgreSQL database; create it if need be. As with SQLite, one transaction writes at a time.

    Writers of a schema wait for one lock, so that what two processes do is what one would have done; readers see one
    snapshot and wait for nobody. A process that freezes in mid-transaction loses its session, and with it the lock.
    """
    found = sa.make_url(url).set(drivername="postgresql+psycopg")
    options = (
        f"-c search_path={schema} -c lock_timeout={WAIT_MILLISECONDS} "
        f"-c idle_in_transaction_session_timeout={IDLE_MILLISECONDS} -c statement_timeout={4 * WAIT_MILLISECONDS}"
    )
    alive = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
    arguments = {"options": options, "connect_timeout": 5, **alive}
    engine = sa.create_engine(found, connect_args=arguments, pool_pre_ping=True, pool_size=8, **JSON)

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("reading", False):
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        else:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock(hashtextextended('{schema}', 0))")

    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    return engine


def open_engine(url: str, folder: pathlib.Path, world: str, service: str, synchronous: str, megabytes: int = 0) -> sa.Engine:
    """Open a service's SQL: a schema of `url`, or a SQLite file in `folder` where there is no URL (of so many MB; 0: any)."""
    if not url:
        return sqlite_engine(folder / f"{service}.sqlite", synchronous, megabytes)
    return postgres_engine(url, re.sub("[^a-z0-9]", "_", f"{world}{service}"))


SQLITE_TROUBLES = ("locked", "full", "disk I/O", "unable to open", "readonly")


def is_trouble(error: sa.exc.DBAPIError) -> bool:
    """Return whether an error is the database's trouble, which passes, and not a mistake in what it was asked."""
    if error.connection_invalidated:
        return True
    if not isinstance(error, sa.exc.OperationalError):
        return False
    return "sqlite" not in type(error.orig).__module__ or any(word in str(error.orig) for word in SQLITE_TROUBLES)


class Database:
    """The service's SQL. Work is a function of a connection; it runs in one transaction, in the database's thread."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="sql")
        self._readers = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="sql-reader")
        self._troubles: dict[bool, str] = {}

    @property
    def trouble(self) -> str | None:
        """What trouble the database has, to write or to read; None: none that is known."""
        return self._troubles.get(False) or self._troubles.get(True)

    async def run(self, work: Callable[[sa.Connection], T]) -> T:
        """Run work in one transaction; roll back if it raises. sqlalchemy.exc.OperationalError: the database has trouble."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.run_here, work)

    async def insist(self, work: Callable[[sa.Connection], T], reading: bool = False) -> T:
        """Run work as `run` does, and again for as long as the database has trouble; `trouble` says what, meanwhile.

        `reading`: it only reads, beside the writer, and waits for nobody who asks over RPC. For what a service does of itself. Work whose
        commit was cut off may have been done: it must bear being done again.
        """
        while True:
            try:
                if reading:
                    done = await asyncio.get_running_loop().run_in_executor(self._readers, self.read_here, work)
                else:
                    done = await self.run(work)
            except sa.exc.DBAPIError as error:
                if not is_trouble(error):
                    raise
                self._have_trouble(error, reading)
                await asyncio.sleep(random.uniform(0.2, 1.0))
            else:
                if self._troubles.pop(reading, None) and not self._troubles:
                    get_log().info("database_is_back")
                return done

    def _have_trouble(self, error: sa.exc.DBAPIError, reading: bool) -> None:
        """Remember, and say once, that the database has trouble; a read that succeeds does not say that writing does."""
        why = " ".join(str(error.orig).split())
        if self.trouble is None:
            get_log().warning("database_held", reason="DATABASE_UNAVAILABLE", error=why, then="retrying")
        self._troubles[reading] = f"DATABASE_UNAVAILABLE: {why}"

    def run_here(self, work: Callable[[sa.Connection], T]) -> T:
        """Run work in one transaction in the calling thread."""
        with self.engine.begin() as connection:
            return work(connection)

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run work that only reads, beside the writer."""
        return await asyncio.to_thread(self.read_here, work)

    def read_here(self, work: Callable[[sa.Connection], T]) -> T:
        """Run work that only reads in the calling thread."""
        with self.engine.connect() as connection, connection.execution_options(reading=True).begin():
            return work(connection)

    def close(self) -> None:
        for threads in (self._thread, self._readers):
            threads.shutdown(wait=True)
        self.engine.dispose()


def migrate(engine: sa.Engine, migrations: pathlib.Path) -> None:
    """Bring the schema to the newest version this code knows. Raise NotReady if the schema is newer than the code."""
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.set_main_option("path_separator", "os")
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    with engine.begin() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
        if found is not None and found not in known:
            raise NotReady("SCHEMA_NEWER", f"the database is at version {found}, newer than this code; start the newer code")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def remember(connection: sa.Connection, metadata: sa.MetaData, name: str, value: str) -> None:
    """Keep a fact about the service itself."""
    about = metadata.tables["about"]
    connection.execute(sa.delete(about).where(about.c.name == name))
    connection.execute(sa.insert(about).values(name=name, value=value))


def recall(connection: sa.Connection, metadata: sa.MetaData, name: str) -> str | None:
    """Return a fact about the service itself, None if never kept."""
    about = metadata.tables["about"]
    return connection.execute(sa.select(about.c.value).where(about.c.name == name)).scalar_one_or_none()
