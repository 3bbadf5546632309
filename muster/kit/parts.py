"""What a service is made of (Parts), and what it plugs into them (Edges)."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from prometheus_client.core import Metric

from muster.kit.clock import Clock, ConductedClock, SystemClock
from muster.kit.due import DueWork
from muster.kit.jobs import Jobs
from muster.kit.loop import Inlet
from muster.kit.outbox import Outbox, Relay
from muster.kit.settings import ServiceSettings
from muster.kit.sql import Database, open_engine
from muster.kit.state_topics import StateRecord


@dataclasses.dataclass
class Parts:
    """What a service's composition root builds on."""

    name: str
    settings: ServiceSettings
    metadata: sa.MetaData
    clock: Clock
    database: Database
    outbox: Outbox
    due: DueWork
    jobs: Jobs
    relay: Relay


@dataclasses.dataclass
class Edges:
    """What a service plugs into Parts: inlets, state topics, RPCs, metrics; `begin` runs once, when the book has been read."""

    inlets: Sequence[Inlet]
    state_topics: Sequence[str]
    keep_state: Callable[[sa.Connection, Sequence[StateRecord]], None]
    add_rpcs: Callable[[Any], None]
    rpc_names: Sequence[str]
    collect: Callable[[], Iterable[Metric]]
    begin: Callable[[sa.Connection], None]


def make_parts(name: str, settings: ServiceSettings, metadata: sa.MetaData) -> Parts:
    """Open the database and build the parts; touches no network."""
    settings.data.mkdir(parents=True, exist_ok=True)
    engine = open_engine(
        settings.database_url, settings.data, settings.world, name, settings.sqlite_synchronous, settings.sqlite_megabytes
    )
    database = Database(engine)
    conducted = settings.clock == "CONDUCTED"
    clock: Clock = ConductedClock() if conducted else SystemClock()
    outbox = Outbox(metadata, clock)
    owner = f"{name}-{settings.instance}"
    due = DueWork(database, metadata, clock, runs_itself=not conducted)
    jobs = Jobs(database, metadata, clock, owner, settings.lease_seconds)
    relay = Relay(database, outbox, metadata, settings.bootstrap, settings.world, owner, settings.lease_seconds)

    def wake() -> None:
        relay.wake()
        jobs.wake()

    due.after_work = jobs.after_work = wake
    return Parts(name, settings, metadata, clock, database, outbox, due, jobs, relay)
