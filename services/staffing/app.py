"""Composition root of staffing: the only place that constructs things."""

import pathlib
from typing import cast

from muster.book.copy import BookCopy
from muster.book.types import ALL_TOPICS
from muster.kit.parts import Edges, Parts
from muster.kit.service import run_service
from muster.v1 import staffing_service_pb2_grpc as stubs
from services.staffing.deciding import Deciding
from services.staffing.domain import blending, carried, chatting, deferred, items, uncertainty
from services.staffing.metrics import StaffingMetrics
from services.staffing.outlooks import Outlooks
from services.staffing.pooling import Pooling
from services.staffing.requiring import Requiring
from services.staffing.rpc import StaffingRpc
from services.staffing.settings import StaffingSettings
from services.staffing.store.tables import metadata
from services.staffing.streams import Streams
from services.staffing.windowing import Windowing
from services.staffing.work import Work


def warm_up() -> None:
    """Compile what requirements need, or load what was compiled before: no transaction waits for it."""
    for part in (carried, chatting, deferred, items, blending, uncertainty):
        part.warm_up()


def plug(parts: Parts) -> Edges:
    """Plug staffing into the parts of a service."""
    warm_up()
    book = BookCopy(metadata)
    streams = Streams(book, parts.due, parts.clock, parts.outbox)
    settings = cast(StaffingSettings, parts.settings)
    requiring = Requiring(settings, streams, parts.outbox, parts.clock)
    outlooks = Outlooks(settings, streams, requiring, parts.clock)
    deciding = Deciding(settings, streams, parts.due, parts.outbox, parts.clock, outlooks)
    pooling = Pooling(requiring, parts.jobs, parts.clock)
    windowing = Windowing(outlooks, parts.due, parts.jobs, parts.clock)
    work = Work(settings, book, streams, parts.due, parts.outbox, parts.clock, requiring, deciding, windowing, pooling)
    work.declare()
    book.on_change = work.on_book
    rpc = StaffingRpc(parts, work)
    return Edges(
        inlets=streams.inlets(),
        state_topics=ALL_TOPICS,
        keep_state=book.keep,
        add_rpcs=lambda server: stubs.add_StaffingServiceServicer_to_server(rpc, server),
        rpc_names=("muster.v1.StaffingService",),
        collect=StaffingMetrics(parts, work).collect,
        begin=work.begin,
    )


def main() -> None:
    migrations = pathlib.Path(__file__).with_name("store") / "migrations"
    run_service("staffing", StaffingSettings, metadata, migrations, plug)
