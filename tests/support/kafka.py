"""The Kafka that tests run on: MUSTER_TEST_BOOTSTRAP, else Docker by testcontainers, else a node as plain processes.

MUSTER_TEST_BROKER=bootstrap|docker|node forces one; then it fails instead of falling back.
"""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterator

from muster.dev.broker import Broker, free_port


@dataclasses.dataclass(frozen=True)
class Kafka:
    """A running Kafka: of which kind, and where."""

    kind: str
    bootstrap: str


def docker_answers() -> bool:
    """Return whether a Docker engine answers."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=5)
        return bool(client.ping())
    except (DockerException, OSError):
        return False


@contextlib.contextmanager
def in_docker() -> Iterator[Kafka]:
    from testcontainers.community.kafka import KafkaContainer

    image = os.environ.get("MUSTER_TEST_KAFKA_IMAGE")
    container = KafkaContainer(image) if image else KafkaContainer()
    with container.with_kraft() as running:
        yield Kafka("docker (testcontainers)", running.get_bootstrap_server())


@contextlib.contextmanager
def as_node(home: pathlib.Path) -> Iterator[Kafka]:
    with Broker(home / "node", free_port()) as broker:
        yield Kafka("node (plain process)", broker.bootstrap)


@contextlib.contextmanager
def choose_kafka(home: pathlib.Path) -> Iterator[Kafka]:
    """Run, or find, the first Kafka that serves."""
    forced, given = os.environ.get("MUSTER_TEST_BROKER", ""), os.environ.get("MUSTER_TEST_BOOTSTRAP", "")
    if forced == "bootstrap" or (not forced and given):
        yield Kafka("given (MUSTER_TEST_BOOTSTRAP)", given)
    elif forced == "docker" or (not forced and docker_answers()):
        with in_docker() as kafka:
            yield kafka
    else:
        with as_node(home) as kafka:
            yield kafka
