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
from muster.v1 import staffing_service_pb2 as staffing
from tests.support.ledger import INTERVAL, Expected, Ledger
from tests.support.postgres import Postgres
from tests.support.proxy import Proxy
from tests.support.small_world import QUEUES, book

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


def differences(expected: dict[tuple[str, int], Expected], found: dict[tuple[str, int], volume_pb2.VolumeCell]) -> list[str]:
    """Return where the cells differ from the ledger."""
    wrong = []
    for key in sorted(expected.keys() | found.keys()):
        e, c = expected.get(key, Expected()), found.get(key, volume_pb2.VolumeCell())
        within = sum(n for edge, n in zip(c.wait_edges_milliseconds, c.answered_waits, strict=False) if edge <= 20_000)
        seen = Expected(
            c.offered_count,
            c.answered_count,
            c.abandoned_count,
            c.handled_count,
            c.handle_milliseconds_sum,
            c.answered_wait_milliseconds_sum,
            within,
        )
        if seen != e:
            wrong.append(f"{key}: told {e}, found {seen}")
    return wrong


def check_volume(world: FaultWorld, ledger: Ledger, begin: int, end: int) -> None:
    """Every interval holds what the ledger told, nothing more and nothing less."""
    expected = ledger.expected()

    def why() -> str:
        found = {(q, s): c for q in QUEUES for s, c in world.cells(q, begin, end).items()}
        wrong = differences(expected, found)
        return f"{len(wrong)} of {len(expected)} intervals differ, first {wrong[0]}" if wrong else ""

    world.settle(why)


def check_attainment(world: FaultWorld, ledger: Ledger, through: int) -> None:
    """Staffing counted each closed interval of the window once, as it last became."""

    def why() -> str:
        with contextlib.closing(world.muster()) as muster:
            a = muster.staffing.ListAttainments(staffing.ListAttainmentsRequest(), timeout=20).attainments[0]
        since = a.window_starts_at.seconds
        closed = {k: e for k, e in ledger.expected().items() if since <= k[1] and k[1] + INTERVAL <= through}
        told = sum(e.within_20 for e in closed.values()), sum(e.offered for e in closed.values())
        seen = a.good_count, a.base_count
        return f"attainment {seen}, told {told}" if seen != told else ""

    world.settle(why)


def check_nothing_stuck(world: FaultWorld) -> None:
    """No outbox waits, no job runs on, positions are dense, and each requirement answers its forecast's newest version."""

    def why() -> str:
        for service in SINGLE:
            engine = world.engine(service)
            with engine.connect().execution_options(reading=True) as connection, connection.begin():
                waiting, first, last, count = connection.execute(
                    sa.text(
                        "SELECT sum(CASE WHEN position IS NULL THEN 1 ELSE 0 END), min(position), max(position),"
                        " count(position) FROM outbox"
                    )
                ).one()
                jobs = connection.execute(sa.text("SELECT count(*) FROM job WHERE state IN ('WAITING', 'RUNNING')")).scalar()
            engine.dispose()
            if waiting or jobs:
                return f"{service}: {waiting} messages and {jobs} jobs wait"
            if count and last - first + 1 != count:
                return f"{service}: positions {first} to {last} for {count} messages"
        with contextlib.closing(world.muster()) as muster:
            for queue in QUEUES:
                forecasts = muster.forecaster.ListForecastDays(forecasting.ListForecastDaysRequest(queue=queue)).days
                requirements = muster.staffing.ListRequirementDays(staffing.ListRequirementDaysRequest(queue=queue)).days
                if not forecasts or not requirements:
                    return f"{queue}: {len(forecasts)} days of forecast and {len(requirements)} of requirement stand"
                forecast, required = forecasts[0], requirements[0]
                if required.forecast_version != forecast.version:
                    return f"{queue}: requirement of forecast {required.forecast_version}, newest {forecast.version}"
        return ""

    world.settle(why)


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
