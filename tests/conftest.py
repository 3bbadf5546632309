"""What all tests share: one genuine Kafka a session, a world of its own for each test that asks."""

import pathlib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from muster.kit.sql import Database, open_engine
from muster.kit.topics import apply_topics
from tests.support.kafka import choose_kafka
from tests.support.kit_tables import metadata
from tests.support.postgres import Postgres, postgres_running


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[str]:
    """Return a genuine Kafka's address; which one is printed."""
    with choose_kafka(pathlib.Path(tmp_path_factory.mktemp("kafka"))) as kafka:
        terminal: Any = request.config.pluginmanager.get_plugin("terminalreporter")
        capture: Any = request.config.pluginmanager.get_plugin("capturemanager")
        with capture.global_and_fixture_disabled():
            terminal.write_line(f"kafka: {kafka.kind} at {kafka.bootstrap}")
        yield kafka.bootstrap


@pytest.fixture
def world(bootstrap: str) -> str:
    """Return the prefix of a world whose topics are there and empty."""
    name = f"t{uuid.uuid4().hex[:8]}."
    apply_topics(bootstrap, name)
    return name


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a genuine PostgreSQL."""
    with postgres_running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[sa.Engine]:
    """Return an empty database of each kind."""
    url = request.getfixturevalue("postgres").url if request.param == "postgresql" else ""
    made = open_engine(url, tmp_path, f"t{uuid.uuid4().hex[:8]}.", "store", "NORMAL")
    yield made
    made.dispose()


@pytest.fixture
def database(engine: sa.Engine) -> Iterator[Database]:
    """Return a database that has the tables of every service, and no others."""
    made = Database(engine)
    metadata.create_all(made.engine)
    yield made
    made.close()
