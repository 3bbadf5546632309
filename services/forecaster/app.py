"""Composition root of the forecaster: the only place that constructs things."""

import pathlib
from typing import cast

from muster.book.copy import BookCopy
from muster.book.types import ALL_TOPICS
from muster.kit.parts import Edges, Parts
from muster.kit.service import run_service
from muster.v1 import forecaster_service_pb2_grpc as stubs
from services.forecaster import scan
from services.forecaster.domain.engine import intraday, season
from services.forecaster.gathering import Gathering
from services.forecaster.metrics import ForecasterMetrics
from services.forecaster.rpc import ForecasterRpc
from services.forecaster.settings import ForecasterSettings
from services.forecaster.store.tables import metadata
from services.forecaster.streams import Streams
from services.forecaster.work import Work


def warm_up() -> None:
    """Compile what the hot paths need, or load what was compiled before."""
    scan.warm_up()
    intraday.warm_up()
    season.warm_up()


def plug(parts: Parts) -> Edges:
    """Plug the forecaster into the parts of a service."""
    warm_up()
    book = BookCopy(metadata)
    settings = cast(ForecasterSettings, parts.settings)
    streams = Streams(book, parts.due, parts.clock, real_time=settings.clock == "SYSTEM")
    gathering = Gathering(settings, book, parts.clock)
    work = Work(settings, book, streams, parts.due, parts.jobs, parts.outbox, parts.clock, gathering)
    work.declare()
    book.on_change = work.on_book
    rpc = ForecasterRpc(parts, work)
    return Edges(
        inlets=streams.inlets(),
        state_topics=ALL_TOPICS,
        keep_state=book.keep,
        add_rpcs=lambda server: stubs.add_ForecasterServiceServicer_to_server(rpc, server),
        rpc_names=("muster.v1.ForecasterService",),
        collect=ForecasterMetrics(parts, work).collect,
        begin=work.begin,
    )


def main() -> None:
    migrations = pathlib.Path(__file__).with_name("store") / "migrations"
    run_service("forecaster", ForecasterSettings, metadata, migrations, plug)
