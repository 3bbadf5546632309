"""Composition root of the scheduler: the only place that constructs things."""

import pathlib
from typing import Any, cast

from google.longrunning import operations_pb2_grpc

from muster.book.copy import BookCopy
from muster.book.types import ALL_TOPICS
from muster.kit.parts import Edges, Parts
from muster.kit.service import run_service
from muster.v1 import scheduler_service_pb2_grpc as stubs
from services.scheduler.metrics import SchedulerMetrics
from services.scheduler.publishing import Publishing
from services.scheduler.rpc import OperationsRpc, SchedulerRpc
from services.scheduler.settings import SchedulerSettings
from services.scheduler.store.tables import metadata
from services.scheduler.streams import Streams
from services.scheduler.work import Work


def plug(parts: Parts) -> Edges:
    """Plug the scheduler into the parts of a service."""
    book = BookCopy(metadata)
    publishing = Publishing(book, parts.outbox, parts.clock)
    settings = cast(SchedulerSettings, parts.settings)
    work = Work(publishing, parts.jobs, parts.due, parts.outbox, parts.clock, settings.keep_drafts_days)
    work.declare()

    def add_rpcs(server: Any) -> None:
        stubs.add_SchedulerServiceServicer_to_server(SchedulerRpc(parts, work), server)
        operations_pb2_grpc.add_OperationsServicer_to_server(OperationsRpc(parts), server)

    return Edges(
        inlets=Streams(publishing).inlets(),
        state_topics=ALL_TOPICS,
        keep_state=book.keep,
        add_rpcs=add_rpcs,
        rpc_names=("muster.v1.SchedulerService", "google.longrunning.Operations"),
        collect=SchedulerMetrics(parts).collect,
        begin=work.begin,
    )


def main() -> None:
    migrations = pathlib.Path(__file__).with_name("store") / "migrations"
    run_service("scheduler", SchedulerSettings, metadata, migrations, plug)
