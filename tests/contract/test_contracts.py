"""Contracts as data: permissions, topics, examples, generated code, deploy files."""

import importlib.resources
import pathlib
import subprocess
import sys

import pytest
import yaml
from google.protobuf import descriptor_pool, json_format, message_factory

import muster.v1.attendance_pb2
import muster.v1.clock_pb2
import muster.v1.feed_pb2
import muster.v1.floor_pb2
import muster.v1.forecaster_service_pb2
import muster.v1.scheduler_service_pb2
import muster.v1.staffing_service_pb2  # noqa: F401 - registers descriptors
from muster.book.types import ALL_TOPICS
from muster.kit.rpc import permission_of
from muster.kit.topics import all_topics
from muster.v1 import options_pb2

ROOT = pathlib.Path(__file__).parents[2]
SERVICES = ("ForecasterService", "StaffingService", "SchedulerService")
EXAMPLES = sorted((ROOT / "protos/examples").glob("*/*.json"))


@pytest.mark.parametrize("service", SERVICES)
def test_every_rpc_declares_its_permission(service: str) -> None:
    methods = descriptor_pool.Default().FindServiceByName(f"muster.v1.{service}").methods
    assert methods
    for method in methods:
        assert permission_of(f"/muster.v1.{service}/{method.name}") != options_pb2.PERMISSION_UNSPECIFIED, method.name


def test_an_rpc_without_a_permission_would_be_found() -> None:
    assert permission_of("/grpc.health.v1.Health/Check") == options_pb2.PERMISSION_UNSPECIFIED


def test_every_topic_names_a_message_that_exists_and_who_speaks_there() -> None:
    for topic in all_topics().values():
        assert descriptor_pool.Default().FindMessageTypeByName(topic.message), topic.topic
        assert topic.producers, topic.topic
        assert topic.consumers, topic.topic
        assert topic.topic.startswith("muster."), topic.topic
        assert topic.topic.endswith(".v1"), topic.topic
    assert {t.topic for t in all_topics().values() if t.is_state} == set(ALL_TOPICS)


def test_no_message_that_is_published_has_a_map_field() -> None:
    """Maps serialise in any order; equal messages must give equal bytes."""
    for topic in all_topics().values():
        todo, seen = [descriptor_pool.Default().FindMessageTypeByName(topic.message)], set()
        while todo:
            message = todo.pop()
            if message.full_name in seen:
                continue
            seen.add(message.full_name)
            assert not message.GetOptions().map_entry, message.full_name
            todo += [f.message_type for f in message.fields if f.message_type]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_example_is_a_message_of_its_topic(path: pathlib.Path) -> None:
    topic = all_topics()[path.parent.name]
    kind = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(topic.message))
    message = json_format.Parse(path.read_text(), kind())
    assert message.ByteSize() > 0


def test_there_are_examples_of_what_client_systems_send() -> None:
    assert {p.parent.name for p in EXAMPLES} >= {
        "muster.volume.observed.v1",
        "muster.feed.progressed.v1",
        "muster.floor.observed.v1",
        "muster.attendance.reported.v1",
    }


def test_generated_topics_are_those_of_protos() -> None:
    generated = importlib.resources.files("muster.v1") / "topics"
    names = {p.name for p in (ROOT / "protos/topics").glob("*.yaml")}
    assert {p.name for p in generated.iterdir()} == names


def test_the_compose_file_is_one() -> None:
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    assert set(compose["services"]) >= {"kafka", "topics", "forecaster", "staffing", "scheduler"}
    for name in ("forecaster", "staffing", "scheduler"):
        service = compose["services"][name]
        assert service["command"] == ["-m", f"services.{name}"]
        assert service["environment"]["MUSTER_AUTH_FILE"]
        assert service["environment"]["MUSTER_LISTEN"] == "0.0.0.0"


def test_the_wheel_part_needs_no_services() -> None:
    """Only `muster` goes into the wheel: nothing there may import `services`."""
    code = "import sys; sys.modules['services'] = None; import muster.cli.main, muster.client.publisher"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
