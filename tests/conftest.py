"""What all tests share: one genuine Kafka a session, a world of its own for each test that asks."""

import pathlib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from muster.kit.topics import apply_topics
from tests.support.kafka import choose_kafka


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
