"""The source itself breaks: gaps in its offsets, records deleted before they were read, a topic replaced while it is read."""

import contextlib
import json
import os
import pathlib
import sqlite3
import subprocess
import time

import grpc
import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from muster.dev.supervisor import Supervisor
from muster.kit.codec import encode
from muster.kit.sql import sqlite_engine
from muster.kit.topics import apply_topics
from muster.v1 import volume_pb2
from tests.integration.test_inlet import serving, wait_until
from tests.support.fault_checks import check_attainment, check_volume
from tests.support.fault_world import SINGLE, FaultWorld, fault_world
from tests.support.ledger import HOUR, INTERVAL, messages, write_ledger
from tests.support.small_world import QUEUES

VOLUME = "muster.volume.observed.v1"


def message(n: int) -> bytes:
    contact = volume_pb2.Contact(contact_id=f"c{n}", revision=1, stage=volume_pb2.STAGE_OFFERED)
    contact.arrived_at.seconds = int(time.time()) - 60
    return encode(volume_pb2.VolumeObserved(queue="acme/help", feed="live", contacts=[contact]))


def positions(home: pathlib.Path, topic: str) -> int:
    engine = sqlite_engine(home / "forecaster.sqlite", "NORMAL")
    with engine.connect().execution_options(reading=True) as connection, connection.begin():
        found = connection.exec_driver_sql("SELECT sum(next) FROM source WHERE topic = ?", (topic,)).scalar()
    engine.dispose()
    return int(found or 0)


def parked(home: pathlib.Path) -> int:
    engine = sqlite_engine(home / "forecaster.sqlite", "NORMAL")
    with engine.connect().execution_options(reading=True) as connection, connection.begin():
        found = connection.exec_driver_sql("SELECT count(*) FROM parked").scalar()
    engine.dispose()
    return int(found or 0)


def start(home: pathlib.Path, bootstrap: str, world: str) -> Supervisor:
    supervisor = Supervisor(home, bootstrap, {"MUSTER_WORLD": world}, services=("forecaster",))
    supervisor.start()
    return supervisor


def log(home: pathlib.Path) -> str:
    return (home / "forecaster.log").read_text()


def test_gaps_between_offsets_are_passed_and_nothing_is_skipped(tmp_path: pathlib.Path, bootstrap: str, world: str) -> None:
    """Each transaction leaves a marker at an offset that no consumer ever sees."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"{world}gaps")
    producer.init_transactions()
    for first in range(0, 60, 3):
        producer.begin_transaction()
        for n in range(first, first + 3):
            producer.send(world + VOLUME, key=b"acme/help", value=message(n))
        producer.commit_transaction()
    producer.close()
    supervisor = start(tmp_path, bootstrap, world)
    try:
        wait_until(lambda: (tmp_path / "forecaster.sqlite").exists() and (tmp_path / "forecaster.address.json").exists(), 40)
        wait_until(lambda: parked(tmp_path) == 60, 30)
    finally:
        supervisor.stop()


def test_records_deleted_before_they_were_read_stop_the_service_loudly(
    tmp_path: pathlib.Path, bootstrap: str, world: str
) -> None:
    supervisor = start(tmp_path, bootstrap, world)
    wait_until(lambda: (tmp_path / "forecaster.address.json").exists(), 40)
    supervisor.stop()
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    placed = [producer.send(world + VOLUME, key=b"acme/help", value=message(n)).get(10) for n in range(5)]
    producer.close()
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.delete_records({TopicPartition(world + VOLUME, placed[0].partition): 4})
    admin.close()
    again = start(tmp_path, bootstrap, world)
    try:
        wait_until(lambda: "SOURCE_OUT_OF_RANGE" in log(tmp_path), 40)
    finally:
        again.stop()
    assert positions(tmp_path, world + VOLUME) == 0  # nothing was skipped in silence


def test_a_topic_replaced_while_it_is_read_stops_the_service_with_the_command_to_adopt_it(
    tmp_path: pathlib.Path, bootstrap: str, world: str
) -> None:
    supervisor = start(tmp_path, bootstrap, world)
    try:
        wait_until(lambda: (tmp_path / "forecaster.address.json").exists(), 40)
        admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        admin.delete_topics([world + VOLUME])
        wait_until(lambda: world + VOLUME not in admin.list_topics())
        admin.close()
        apply_topics(bootstrap, world)
        wait_until(lambda: "SOURCE_REPLACED" in log(tmp_path), 60)
    finally:
        supervisor.stop()
    assert f"muster topics adopt {world}{VOLUME}" in log(tmp_path)


def test_a_full_disk_is_waited_out(tmp_path: pathlib.Path) -> None:
    """The databases lie on a small file system that fills up: a clear error, not ready, and on it goes once there is room."""
    home = tmp_path / "small"
    home.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(home)], capture_output=True).returncode
    )
    if not mounted:
        pytest.skip("no file system may be mounted here; the next test stands for it")
    try:
        _fill_up(tmp_path, home, BallastOnDisk(home))
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)


def test_a_full_database_file_is_waited_out(tmp_path: pathlib.Path) -> None:
    """The same where a file reaches the most it may take."""
    _fill_up(tmp_path, tmp_path / "small", BallastInFile(tmp_path / "small"), megabytes=2)


class BallastOnDisk:
    """Fills the file system that a folder lies on."""

    def __init__(self, home: pathlib.Path) -> None:
        self._path = home / "ballast"

    def fill(self) -> None:
        with contextlib.suppress(OSError), self._path.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 65_536)

    def clear(self) -> None:
        self._path.unlink()


class BallastInFile:
    """Fills the forecaster's SQLite file beyond what the service lets it take."""

    def __init__(self, home: pathlib.Path) -> None:
        self._path = home / "forecaster.sqlite"

    def _run(self, statement: str) -> None:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        with contextlib.closing(connection):
            connection.execute(statement)

    def fill(self) -> None:
        self._run("CREATE TABLE ballast AS SELECT zeroblob(4000000) AS weight")

    def clear(self) -> None:
        self._run("DROP TABLE ballast")


def _fill_up(folder: pathlib.Path, home: pathlib.Path, ballast: BallastOnDisk | BallastInFile, megabytes: int = 0) -> None:
    import random

    from muster.dev.broker import Broker, free_port

    luck, now = random.Random(11), int(time.time())
    ledger = write_ledger(luck, QUEUES, 4_000, now)
    told = list(messages(ledger, luck))
    through = now - now % INTERVAL
    kafka = Broker(folder / "kafka", free_port())
    with fault_world(home, "sqlite", SINGLE, broker=kafka, logs=folder, MUSTER_SQLITE_MEGABYTES=str(megabytes)) as world:
        world.tell(told[: len(told) // 2])
        world.producer.flush()
        check_something_known(world)
        ballast.fill()
        world.tell(told[len(told) // 2 :])
        world.producer.flush()
        address = json.loads((home / "forecaster.address.json").read_text())["grpc"]
        wait_until(lambda: not serving(address), 30)
        assert "DATABASE_UNAVAILABLE" in log(folder)
        restarts = world.supervisor.restarts
        ballast.clear()
        wait_until(lambda: serving(address), 30)
        world.complete(through)
        world.producer.flush()
        check_volume(world, ledger, now - 71 * HOUR, now + INTERVAL)
        check_attainment(world, ledger, through)
        assert world.supervisor.restarts == restarts


def check_something_known(world: FaultWorld) -> None:
    def known() -> bool:
        now = int(time.time())
        try:
            return any(c.offered_count for q in QUEUES for c in world.cells(q, now - 2 * HOUR, now).values())
        except grpc.RpcError:
            return False

    wait_until(known, 30)
