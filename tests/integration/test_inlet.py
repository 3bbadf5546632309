"""The inlet stops when more than half of what it reads is refused, and says so; a replaced topic stops the start."""

import asyncio
import pathlib
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

from muster.dev.supervisor import Supervisor
from muster.kit.topics import apply_topics
from tests.support.small_world import small_world

VOLUME = "muster.volume.observed.v1"


def serving(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def wait_until(seen: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not seen():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_an_inlet_of_rubbish_stops_and_the_service_is_not_ready(tmp_path: pathlib.Path, bootstrap: str, world: str) -> None:
    async def run() -> None:
        async with small_world(tmp_path, bootstrap, world) as small:
            address = small.muster.addresses.grpc["forecaster"]
            await asyncio.to_thread(wait_until, lambda: serving(address))
            producer = KafkaProducer(bootstrap_servers=bootstrap)
            for n in range(1500):
                producer.send(world + VOLUME, key=b"acme/help", value=b"\x07rubbish %d" % n)
            producer.flush()
            await asyncio.to_thread(wait_until, lambda: not serving(address))
            assert "INLET_STOPPED" in (tmp_path / "forecaster.log").read_text()
            assert small.supervisor.restarts == 0

    asyncio.run(run())


def test_a_recreated_topic_stops_the_start_with_the_command_to_adopt_it(
    tmp_path: pathlib.Path, bootstrap: str, world: str
) -> None:
    supervisor = Supervisor(tmp_path, bootstrap, {"MUSTER_WORLD": world}, services=("forecaster",))
    supervisor.start()
    wait_until(lambda: (tmp_path / "forecaster.address.json").exists(), 30)
    supervisor.stop()
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.delete_topics([world + VOLUME])
    wait_until(lambda: world + VOLUME not in admin.list_topics())
    admin.close()
    apply_topics(bootstrap, world)
    again = Supervisor(tmp_path, bootstrap, {"MUSTER_WORLD": world}, services=("forecaster",))
    again.start()
    try:
        wait_until(lambda: "SOURCE_REPLACED" in (tmp_path / "forecaster.log").read_text(), 30)
    finally:
        again.stop()
    assert f"muster topics adopt {world}{VOLUME}" in (tmp_path / "forecaster.log").read_text()
