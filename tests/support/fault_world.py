"""A small BPO in real time on a broker and a database of its own, and every way in which this file can hurt it."""

import contextlib
import dataclasses
import os
import pathlib
import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grpc
import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kafka import KafkaProducer

from muster.book.check import parse_book
from muster.book.wire import book_to_message
from muster.client.stubs import Muster
from muster.dev.broker import Broker, free_port
from muster.dev.supervisor import CHECKOUT, Supervisor
from muster.kit.codec import encode
from muster.kit.sql import open_engine
from muster.kit.topics import apply_topics
from muster.v1 import book_pb2, feed_pb2, volume_pb2
from muster.v1 import forecaster_service_pb2 as forecasting
from tests.support.postgres import Postgres
from tests.support.proxy import Proxy
from tests.support.small_world import book

SETTLED_SECONDS = 240
SINGLE = ("forecaster", "staffing", "scheduler")
DOUBLE = ("forecaster", "forecaster@2", "staffing", "staffing@2", "scheduler")


@dataclasses.dataclass
class FaultWorld:
    """A running BPO, its ledger's producer, and how long each process took to be back after a kill (seconds)."""

    home: pathlib.Path
    broker: Broker
    supervisor: Supervisor
    producer: KafkaProducer
    postgres: Postgres | None
    proxy: Proxy | None
    kafka_proxy: Proxy | None
    back: list[float] = dataclasses.field(default_factory=list)
    drained: list[float] = dataclasses.field(default_factory=list)

    # What is told.

    def tell(self, messages: Iterable[volume_pb2.VolumeObserved]) -> None:
        for m in messages:
            self.producer.send("muster.volume.observed.v1", key=m.queue.encode(), value=encode(m))

    def complete(self, through: int) -> None:
        message = feed_pb2.FeedProgressed(client="acme", feed="live", complete_through=Timestamp(seconds=through))
        self.producer.send("muster.feed.progressed.v1", key=b"acme/live", value=encode(message))

    def muster(self) -> Muster:
        """Return stubs of the first processes, where they are now."""
        return Muster(dataclasses.replace(self.supervisor.wait(), bootstrap=self.broker.bootstrap))

    # What is done to it.

    def kill(self, service: str) -> None:
        """kill -9, and wait until it serves again."""
        began = time.monotonic()
        old = self.supervisor.processes[service].pid
        os.kill(old, signal.SIGKILL)
        self.wait_back(service, old)
        self.back.append(time.monotonic() - began)

    def roll(self, service: str) -> None:
        """SIGTERM, see it drain and end, and wait until it serves again."""
        process = self.supervisor.processes[service]
        began = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        while process.poll() is None:
            time.sleep(0.02)
        self.drained.append(time.monotonic() - began)
        self.wait_back(service, process.pid)

    def wait_back(self, service: str, old: int, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.supervisor.processes[service].pid != old and self.serves(service):
                return
            time.sleep(0.05)
        log = self.supervisor._log(service).read_text()[-3000:]
        raise AssertionError(f"{service} was not back after {seconds} s:\n{log}")

    def serves(self, service: str) -> bool:
        import json

        path = self.home / f"{service.replace('@', '-')}.address.json"
        if not path.exists():
            return False
        told = json.loads(path.read_text())
        if told["pid"] != self.supervisor.processes[service].pid:
            return False
        with grpc.insecure_channel(told["grpc"]) as channel:
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def freeze(self, service: str, seconds: float) -> None:
        """Stop a process beyond its Kafka session, then wake it: a zombie that believes it still owns its partitions."""
        process = self.supervisor.processes[service]
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGCONT)

    def pause_broker(self, seconds: float) -> None:
        assert self.broker.process
        os.killpg(self.broker.process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.killpg(self.broker.process.pid, signal.SIGCONT)

    def restart_broker(self, kill: bool) -> None:
        self.broker.stop(kill=kill)
        self.broker.start()

    def restart_database(self, kill: bool) -> None:
        assert self.postgres
        if kill:
            self.postgres.kill()
        else:
            self.postgres.stop()
        time.sleep(1.5)
        self.postgres.start()

    def disturb(self, proxy: Proxy | None, how: str, seconds: float) -> None:
        """Delay, cut, or silence the connections to the database or the broker for a while."""
        assert proxy
        if how == "cut":
            proxy.cut()
        elif how == "delay":
            proxy.delay_seconds = 0.2
            time.sleep(seconds)
            proxy.delay_seconds = 0.0
        else:
            proxy.silent = True
            time.sleep(seconds)
            proxy.cut()
            proxy.silent = False

    # What must have come of it.

    def engine(self, service: str) -> sa.Engine:
        url = self.postgres.url if self.postgres else ""
        return open_engine(url, self.home, "", service, "NORMAL")

    def cells(self, queue: str, begin: int, end: int) -> dict[int, volume_pb2.VolumeCell]:
        request = forecasting.ListVolumeCellsRequest(queue=queue, page_size=5000)
        request.starts_at.seconds, request.ends_at.seconds = begin, end
        with contextlib.closing(self.muster()) as muster:
            return {c.starts_at.seconds: c for c in muster.forecaster.ListVolumeCells(request, timeout=20).cells}

    def settle(self, why: Callable[[], str]) -> None:
        """Wait until `why` finds nothing missing; else fail with what it says."""
        deadline, missing = time.monotonic() + SETTLED_SECONDS, "?"
        while time.monotonic() < deadline:
            try:
                missing = why()
            except grpc.RpcError as error:
                missing = str(error)
            if not missing:
                return
            time.sleep(0.5)
        raise AssertionError(missing)


def start_book(world: FaultWorld) -> None:
    """Declare the small book, open around the clock."""
    request = book_pb2.ApplyBookRequest(book=book_to_message(parse_book(book(20, "00:00", "24:00"))))
    with contextlib.closing(world.muster()) as muster:
        muster.staffing.ApplyBook(request)
        muster.scheduler.ApplyBook(request)
    time.sleep(1)


@contextlib.contextmanager
def fault_world(
    home: pathlib.Path,
    database: str,
    services: tuple[str, ...],
    broker: Broker | None = None,
    checkout: pathlib.Path = CHECKOUT,
    replication: int = 1,
    logs: pathlib.Path | None = None,
    **environment: str,
) -> Iterator[FaultWorld]:
    """Run it: `database` is sqlite or postgresql; it and a broker of our own stand behind proxies that can hurt them."""
    with contextlib.ExitStack() as stack:
        kafka_proxy = None
        if broker is None:
            kafka_proxy = Proxy(free_port())
            stack.callback(kafka_proxy.close)
            broker = Broker(home / "kafka", kafka_proxy.target, told=kafka_proxy.port)
        stack.enter_context(broker)
        apply_topics(broker.bootstrap, "", replication)
        postgres = proxy = None
        told: dict[str, Any] = {"MUSTER_SQLITE_SYNCHRONOUS": "NORMAL", "MUSTER_LEASE_SECONDS": "5", **environment}
        if database == "postgresql":
            postgres = Postgres()
            postgres.start()
            stack.callback(postgres.remove)
            proxy = Proxy(postgres.port)
            stack.callback(proxy.close)
            told["MUSTER_DATABASE_URL"] = postgres.url.replace(str(postgres.port), str(proxy.port))
        supervisor = Supervisor(home, broker.bootstrap, told, services, checkout, logs)
        stack.callback(supervisor.stop)
        supervisor.start()
        producer = KafkaProducer(
            bootstrap_servers=broker.bootstrap,
            acks="all",
            linger_ms=5,
            batch_size=131_072,
            delivery_timeout_ms=240_000,
            max_block_ms=240_000,
        )
        stack.callback(producer.close, 5)
        world = FaultWorld(home, broker, supervisor, producer, postgres, proxy, kafka_proxy)
        for service in services:
            world.wait_back(service, 0)
        start_book(world)
        yield world


def pieces(everything: list[Any], count: int) -> list[list[Any]]:
    """Cut a list into so many pieces of about one length."""
    return [everything[len(everything) * n // count : len(everything) * (n + 1) // count] for n in range(count)]


def shuffled(luck: random.Random, faults: list[Any]) -> list[Any]:
    luck.shuffle(faults)
    return faults
