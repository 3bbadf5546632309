"""A service as a Faust worker: how it starts, reports health, and stops."""

import asyncio
import json
import os
import pathlib
import sys
import threading
import time
from collections.abc import Callable, Iterable

import faust
import mode
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from prometheus_client.core import Metric

from muster.kit.clock import ConductedClock
from muster.kit.conducted import Conducted
from muster.kit.errors import NotReady
from muster.kit.logs import configure_logs, get_log
from muster.kit.loop import BatchLoop
from muster.kit.metrics import MetricsServer, counter, gauge
from muster.kit.parts import Edges, Parts, make_parts
from muster.kit.positions import Partition, Positions
from muster.kit.rpc import Grants, RpcServer
from muster.kit.settings import ServiceSettings, refuse_misspelled
from muster.kit.sql import is_trouble, migrate
from muster.kit.state_topics import StateTopics
from muster.kit.topics import Source, describe_sources

SOURCE_CHECK_SECONDS = 10.0
SWITCH_SECONDS = 0.0005  # a thread that computes keeps what came over the network waiting for ten times that, else
GIVE_UP_SECONDS = 5.5  # more than the relay takes for its last messages


class _Running(mode.Service):
    """The service itself: everything that runs beside Faust's own group."""

    def __init__(self, parts: Parts, edges: Edges, state: StateTopics, positions: Positions) -> None:
        super().__init__()
        self._parts, self._edges, self._state, self._positions = parts, edges, state, positions
        s = parts.settings
        self._batches = BatchLoop(
            parts.database,
            positions,
            parts.outbox,
            parts.clock,
            edges.inlets,
            self._new_consumer,
            s.world,
            s.batch_records,
            s.refused_window_records,
            parts.relay.deliver_letters,
        )
        self._batches.conducted = s.clock == "CONDUCTED"
        self._rpc = RpcServer(f"{s.listen}:{s.grpc_port}", Grants.load(s.auth_file, s.listen), edges.rpc_names, s.drain_seconds)
        edges.add_rpcs(self._rpc.server)
        self._metrics = MetricsServer(s.listen, s.metrics_port, [self._collect, edges.collect])
        self._conducted: Conducted | None = None
        if isinstance(parts.clock, ConductedClock):
            self._conducted = Conducted(
                parts.name,
                s.world,
                s.bootstrap,
                parts.clock,
                parts.database,
                parts.metadata,
                parts.outbox,
                self._expected,
                self._settle,
                parts.relay.wake,
            )
            self._conducted.restore()
        self._batches.before_commit = parts.due.run_along
        self._batches.after_commit, state.after_commit = self._on_batch, self._on_commit
        self._rpc.why_not_ready = self._why_not_ready

    def _new_consumer(self) -> AIOKafkaConsumer:
        s = self._parts.settings
        return AIOKafkaConsumer(
            bootstrap_servers=s.bootstrap,
            group_id=f"{s.world}{self._parts.name}",
            group_instance_id=f"{self._parts.name}-{s.instance}",
            auto_offset_reset="none",
            enable_auto_commit=False,
            fetch_max_wait_ms=200,  # a record ends the wait; a short one only keeps broker and service busy
            max_partition_fetch_bytes=8_388_608,  # so that a few long messages don't make a batch of few
            session_timeout_ms=int(s.session_seconds * 1000),
            heartbeat_interval_ms=int(s.session_seconds * 1000 / 6),
            rebalance_timeout_ms=int(s.session_seconds * 1000),
        )

    def _on_commit(self) -> None:
        self._parts.relay.wake()
        self._parts.due.wake()
        self._parts.jobs.wake()
        if self._conducted:
            self._conducted.progress.set()

    def _on_batch(self) -> None:
        """Have what a batch led to go on; what found nothing to do would only keep SQL from those who wait for it."""
        self._parts.relay.wake()
        self._parts.jobs.wake_if_asked()
        if self._parts.due.left_over:
            self._parts.due.wake()
        if self._conducted:
            self._conducted.progress.set()

    def _expected(self) -> dict[Partition, int]:
        return {**self._state.expected, **self._batches.expected}

    async def _settle(self) -> None:
        while True:
            await self._parts.due.settle()
            await self._parts.jobs.settle()
            if not await self._parts.database.run(self._due_again):
                break
        await self._parts.relay.drain()

    def _due_again(self, connection: sa.Connection) -> bool:
        return self._parts.due.has_due(connection) or self._parts.jobs.open_count(connection) > 0

    def _why_not_ready(self) -> str | None:
        if self._parts.database.trouble:
            return self._parts.database.trouble
        if self._batches.stopped:
            return f"INLET_STOPPED: {self._batches.stopped}"
        assigned = {topic for topic, _ in self._batches.expected}
        wanted = {self._parts.settings.world + inlet.topic for inlet in self._edges.inlets}
        return None if wanted <= assigned else "waiting for Kafka to assign partitions"

    def _collect(self) -> Iterable[Metric]:
        database, clock = self._parts.database, self._parts.clock
        yield counter(
            "muster_facts_consumed", "Messages taken", ["topic"], [([t], n) for t, n in sorted(self._batches.consumed.items())]
        )
        yield counter(
            "muster_facts_refused",
            "Messages sent to the dead-letter topic",
            ["topic", "reason"],
            [([t, r], n) for (t, r), n in sorted(self._batches.refused.items())],
        )
        yield gauge(
            "muster_outbox_depth", "Messages not yet published", [], [([], database.read_here(self._parts.outbox.depth))]
        )
        yield gauge("muster_jobs_open", "Jobs that wait or run", [], [([], database.read_here(self._parts.jobs.all_open))])
        yield gauge("muster_clock_seconds", "Business time, seconds since 1970", [], [([], clock.now())])

    def _topics(self) -> dict[str, Source]:
        s = self._parts.settings
        names = [inlet.topic for inlet in self._edges.inlets] + list(self._edges.state_topics)
        return describe_sources(s.bootstrap, [s.world + name for name in names])

    @mode.Service.task
    async def _watch_sources(self) -> None:
        """Stop when a topic is no longer the one we read: its offsets mean other records now."""
        while not self.should_stop:
            await self.sleep(SOURCE_CHECK_SECONDS)
            try:
                sources = await asyncio.to_thread(self._topics)
            except (KafkaError, NotReady) as error:
                get_log().warning("sources_unseen", why=str(error), then=f"looking again in {SOURCE_CHECK_SECONDS:g} s")
                continue
            await self._parts.database.insist(lambda c, sources=sources: self._positions.verify(c, sources))  # type: ignore[misc]

    async def on_start(self) -> None:
        s, database = self._parts.settings, self._parts.database
        sources = await asyncio.to_thread(self._topics)
        starts = await _beginnings(s.bootstrap, sources)
        await database.run(lambda c: self._positions.adopt(c, sources, starts))
        healed = await self._state.heal(s.bootstrap, {name: source.partitions for name, source in sources.items()})
        await database.run(self._edges.begin)
        get_log().info("started", instance=s.instance, book_messages=healed, world=s.world or "-")
        for child in (
            self._parts.relay,
            self._parts.jobs,
            self._parts.due,
            self._batches,
            self._conducted,
            self._rpc,
            self._metrics,
        ):
            if child is not None:
                await self.add_runtime_dependency(child)
        self._tell_ports()

    def _tell_ports(self) -> None:
        """Leave the ports where the supervisor and the CLI find them."""
        s = self._parts.settings
        told = {"grpc": f"{s.listen}:{self._rpc.port}", "metrics": f"{s.listen}:{self._metrics.port}", "pid": os.getpid()}
        name = self._parts.name if s.instance == "1" else f"{self._parts.name}-{s.instance}"
        path = pathlib.Path(s.data) / f"{name}.address.json"
        path.with_suffix(".new").write_text(json.dumps(told))
        path.with_suffix(".new").rename(path)


async def _beginnings(bootstrap: str, sources: dict[str, Source]) -> dict[Partition, int]:
    """Return the oldest offset the broker keeps of each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        tps = [TopicPartition(name, p) for name, source in sources.items() for p in range(source.partitions)]
        return {(tp.topic, tp.partition): offset for tp, offset in (await consumer.beginning_offsets(tps)).items()}
    finally:
        await consumer.stop()


def _open(name: str, settings: ServiceSettings, metadata: sa.MetaData, migrations: pathlib.Path) -> Parts:
    """Make the parts and bring the schema up to date; wait for a database that isn't there yet."""
    while True:
        try:
            parts = make_parts(name, settings, metadata)
            migrate(parts.database.engine, migrations)
            return parts
        except sa.exc.DBAPIError as error:
            if not is_trouble(error):
                raise
            get_log().warning("start_held", reason="DATABASE_UNAVAILABLE", error=str(error.orig), then="retrying in 1 s")
            time.sleep(1)


class _Worker(faust.Worker):
    """Faust's worker, whose stopping ends: Kafka's clients would wait for a broker that is away, for as long as it is."""

    end_seconds: float

    async def stop(self) -> None:
        threading.Thread(target=self._end, daemon=True, name="end").start()
        await super().stop()

    def _end(self) -> None:
        time.sleep(self.end_seconds)
        why = "something did not stop in time, as clients of an absent broker do"
        get_log().warning("stopped_short", why=why, consequence="the next start goes on from SQL")
        sys.stderr.flush()
        os._exit(1 if self.crash_reason else 0)


def run_service(
    name: str,
    settings_type: type[ServiceSettings],
    metadata: sa.MetaData,
    migrations: pathlib.Path,
    plug: Callable[[Parts], Edges],
) -> None:
    """Run a service until SIGTERM or SIGINT; a bug ends the process with a failure, so that it is started anew."""
    refuse_misspelled(settings_type)
    settings = settings_type()  # type: ignore[call-arg]
    sys.setswitchinterval(SWITCH_SECONDS)
    configure_logs(name, settings.log_level)
    parts = _open(name, settings, metadata, migrations)
    edges = plug(parts)
    positions = Positions(metadata)
    state = StateTopics(edges.state_topics, edges.keep_state, parts.database, positions, settings.world)
    app = faust.App(
        f"{settings.world}{name}-book",
        broker=[f"kafka://{address}" for address in settings.bootstrap.split(",")],
        store="memory://",
        datadir=settings.data / "faust",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        broker_session_timeout=settings.session_seconds,
        broker_heartbeat_interval=settings.session_seconds / 6,
        broker_rebalance_timeout=settings.session_seconds,
        broker_commit_interval=1.0,
        consumer_group_instance_id=f"{name}-{settings.instance}",
        worker_redirect_stdouts=False,
        stream_wait_empty=False,
    )
    state.follow(app)
    running = _Running(parts, edges, state, positions)
    worker = _Worker(app, running, loglevel="WARNING", quiet=True, override_logging=False)
    worker.end_seconds = settings.drain_seconds + GIVE_UP_SECONDS
    try:
        worker.execute_from_commandline()
    finally:
        parts.database.close()
