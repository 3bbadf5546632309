"""What must have come of a BPO after it was hurt: every interval, the attainment, and nothing that waits."""

import contextlib

import sqlalchemy as sa

from muster.v1 import forecaster_service_pb2 as forecasting
from muster.v1 import staffing_service_pb2 as staffing
from muster.v1 import volume_pb2
from tests.support.fault_world import SINGLE, FaultWorld
from tests.support.ledger import INTERVAL, Expected, Ledger
from tests.support.small_world import QUEUES


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
