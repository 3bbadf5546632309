"""What a closed interval says of the forecast that the contract locked for it: fixed when it closes, the same however facts come."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from muster.book.check import parse_book
from muster.book.copy import BookOwner
from muster.book.types import KINDS
from muster.domain.tolerance import Tolerance
from muster.kit.due import DueWork
from muster.kit.errors import Refusal
from muster.kit.loop import Fact
from muster.v1 import forecast_pb2, volume_pb2
from services.forecaster.domain.facts import Observed, Progress, ReportFact
from services.forecaster.domain.facts import Said as SaidForecast
from services.forecaster.domain.tally import Tally
from services.forecaster.forecast_rpc import ForecastEdge
from services.forecaster.store import outlooks
from tests.support.forecaster import HALF_HOUR, NOON, Forecaster, forecaster_on
from tests.support.small_world import HOUR, QUEUES, WEDNESDAY, book

HELP, DAY = QUEUES[0], 86_400
LOCK = {"days_ahead": 1, "tolerance_up": 0.1}
LOCKED_AT = WEDNESDAY - DAY


def with_lock(lock: dict[str, Any] | None) -> dict[str, Any]:
    data = copy.deepcopy(book())
    if lock is not None:
        data["contracts"][0]["lock"] = lock
    return data


@pytest.fixture
def forecaster(engine: sa.Engine) -> Forecaster:
    return forecaster_on(engine)


def lock(forecaster: Forecaster, terms: dict[str, Any] | None) -> None:
    work = forecaster.work
    with forecaster.database.engine.begin() as connection:
        BookOwner(work.book, tuple(KINDS)).apply(connection, parse_book(with_lock(terms)), False, 2)


def expect(
    forecaster: Forecaster, offered: float, received_at: int, source: str = "CLIENT", revision: int = 1, first: int = 8
) -> None:
    """Have a forecast of Wednesday from an hour on come."""
    starts = list(range(WEDNESDAY + first * HOUR, WEDNESDAY + 20 * HOUR, HALF_HOUR))
    said = SaidForecast(HELP, source, revision, "ann", starts, [offered] * len(starts), [])
    forecaster.database.run_here(lambda c: forecaster.work.streams.on_received(c, [Fact(said, received_at, b"", "")]))
    run_due(forecaster.work.due, forecaster)


def run_due(due: DueWork, forecaster: Forecaster) -> None:
    def once(connection: sa.Connection) -> None:
        keys = connection.execute(sa.text("SELECT key FROM due WHERE kind = 'reclose'")).scalars().all()
        connection.execute(sa.text("DELETE FROM due WHERE kind = 'reclose'"))
        for key in keys:
            forecaster.work.reclose(connection, key, NOON)

    forecaster.database.run_here(once)


def tell(forecaster: Forecaster, start: int, offered: int, revision: int = 1) -> None:
    """Report an interval, and that everything up to its end is told."""
    report = ReportFact(start, HALF_HOUR, revision, Tally(offered=offered, answered=offered, abandoned=0))
    work, volume = forecaster.work, Fact(Observed(HELP, "live", False, (), (report,)), NOON, b"", "")
    word = Fact(Progress("acme", "live", (HELP,), start + HALF_HOUR), NOON, b"", "")
    forecaster.database.run_here(lambda c: work.streams.on_volume(c, [volume]))
    forecaster.database.run_here(lambda c: work.streams.on_progress(c, [word]))
    forecaster.database.run_here(lambda c: work.close(c, HELP, NOON))
    run_due(work.due, forecaster)


def closed(forecaster: Forecaster) -> list[tuple[int, int, int, float | None]]:
    """Return (start, revision, came, locked) of what was told of closed intervals, as told."""
    query = sa.text("SELECT value FROM outbox WHERE topic = 'muster.volume.closed.v1' ORDER BY id")
    with forecaster.database.engine.begin() as connection:
        values = [bytes(v) for v in connection.execute(query).scalars()]
    found = []
    for m in map(volume_pb2.VolumeClosed.FromString, values):
        locked = m.locked_count if m.HasField("locked_count") else None
        found.append((m.cell.starts_at.seconds, m.cell.revision, m.cell.offered_count, locked))
    return found


NINE, HALF_PAST, TEN = (WEDNESDAY + 9 * HOUR + n * HALF_HOUR for n in range(3))


def test_a_closed_interval_tells_what_was_locked_and_a_restated_one_the_same_beside_its_new_volume(
    forecaster: Forecaster,
) -> None:
    lock(forecaster, LOCK)
    expect(forecaster, 20.0, LOCKED_AT)
    expect(forecaster, 70.0, LOCKED_AT + 1, revision=2)  # after the lock
    tell(forecaster, NINE, 25)
    tell(forecaster, HALF_PAST, 20)
    tell(forecaster, NINE, 21, revision=2)
    assert closed(forecaster) == [(NINE, 1, 25, 20.0), (HALF_PAST, 1, 20, 20.0), (NINE, 2, 21, 20.0)]


def test_without_a_forecast_of_others_ours_is_locked_and_none_where_none_stood(forecaster: Forecaster) -> None:
    lock(forecaster, {**LOCK, "days_ahead": 0})
    tell(forecaster, NINE, 25)
    assert closed(forecaster)[0][3] is None  # ours was made at noon
    with forecaster.database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE forecast_version SET made_at = :at"), {"at": WEDNESDAY})
        connection.execute(sa.text("DELETE FROM locked_day"))
    tell(forecaster, HALF_PAST, 25)
    usual = dict(zip(forecaster.today().starts, forecaster.today().offered, strict=True))
    assert closed(forecaster)[-1][3] == pytest.approx(usual[HALF_PAST])


@pytest.mark.parametrize(
    "terms", [None, {"days_ahead": 1, "tolerance_down": 0.1}, {**LOCK, "relieves": "COMMITMENT"}, {"tolerance_up": 0.1}]
)
def test_a_contract_that_relieves_no_target_costs_no_read_and_says_nothing(
    forecaster: Forecaster, terms: dict[str, Any] | None
) -> None:
    lock(forecaster, terms)
    expect(forecaster, 20.0, LOCKED_AT)
    statements = list(asked(forecaster, NINE, 25))
    assert not [s for s in statements if "locked_day" in s or "received_forecast" in s or "forecast_version.message" in s]
    assert closed(forecaster) == [(NINE, 1, 25, None)]


def asked(forecaster: Forecaster, start: int, offered: int) -> Iterator[str]:
    """Give the statements that closing an interval takes."""
    heard: list[str] = []

    def hear(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        heard.append(statement)

    sa.event.listen(forecaster.database.engine, "before_cursor_execute", hear)
    tell(forecaster, start, offered)
    sa.event.remove(forecaster.database.engine, "before_cursor_execute", hear)
    yield from heard


def test_a_lock_costs_one_read_a_close_after_the_first_of_the_day(forecaster: Forecaster) -> None:
    lock(forecaster, LOCK)
    expect(forecaster, 20.0, LOCKED_AT)
    tell(forecaster, NINE, 25)
    statements = list(asked(forecaster, HALF_PAST, 25))
    assert sum("locked_day" in s for s in statements) == 1
    assert not [s for s in statements if "received_forecast" in s]


def test_what_closed_before_there_was_a_lock_stays_without_one(forecaster: Forecaster) -> None:
    expect(forecaster, 20.0, LOCKED_AT)
    tell(forecaster, NINE, 25)
    lock(forecaster, LOCK)
    tell(forecaster, NINE, 26, revision=2)
    tell(forecaster, HALF_PAST, 25)
    tell(forecaster, NINE, 27, revision=3)
    assert closed(forecaster) == [(NINE, 1, 25, None), (NINE, 2, 26, None), (HALF_PAST, 1, 25, 20.0), (NINE, 3, 27, None)]


def test_a_lock_of_another_day_says_nothing_of_this_one(forecaster: Forecaster) -> None:
    expect(forecaster, 20.0, LOCKED_AT)
    later = with_lock(LOCK)
    later["contracts"] = [{**with_lock(None)["contracts"][0], "valid_until": "2026-03-26"}, {**later["contracts"][0]}]
    later["contracts"][1]["valid_from"] = "2026-03-26"
    with forecaster.database.engine.begin() as connection:
        BookOwner(forecaster.work.book, tuple(KINDS)).apply(connection, parse_book(later), True, 2)
    tell(forecaster, NINE, 25)
    assert closed(forecaster) == [(NINE, 1, 25, None)]


def test_a_day_stays_locked_as_it_was_when_its_first_interval_closed(forecaster: Forecaster) -> None:
    lock(forecaster, LOCK)
    expect(forecaster, 20.0, LOCKED_AT)
    tell(forecaster, NINE, 25)
    lock(forecaster, {**LOCK, "days_ahead": 0})
    expect(forecaster, 40.0, WEDNESDAY - HOUR, revision=2)  # would stand at the lock that is agreed now
    tell(forecaster, HALF_PAST, 25)
    assert [locked for *_, locked in closed(forecaster)] == [20.0, 20.0]


def test_a_forecast_that_is_only_heard_after_the_close_gives_what_it_would_have_before(forecaster: Forecaster) -> None:
    """Topics keep no order among them: what came before the lock may be read after the intervals were."""
    lock(forecaster, LOCK)
    tell(forecaster, NINE, 25)
    tell(forecaster, HALF_PAST, 20)
    expect(forecaster, 20.0, LOCKED_AT)
    expect(forecaster, 22.0, LOCKED_AT - HOUR, source="AGREED")
    newest = {start: (came, locked) for start, _, came, locked in closed(forecaster)}
    assert newest == {NINE: (25, 22.0), HALF_PAST: (20, 22.0)}
    before = len(closed(forecaster))
    expect(forecaster, 90.0, LOCKED_AT + 1, source="AGREED", revision=2)
    assert len(closed(forecaster)) == before
    kept = forecaster.database.run_here(lambda c: outlooks.locked_days(c, HELP, "2026-03-25", "2026-03-25"))["2026-03-25"]
    assert (kept.source, kept.since, kept.locked_at) == ("AGREED", NINE, LOCKED_AT)


def test_intervals_that_are_added_to_a_forecast_after_its_lock_are_not_locked(forecaster: Forecaster) -> None:
    lock(forecaster, LOCK)
    expect(forecaster, 20.0, LOCKED_AT, first=10)
    tell(forecaster, NINE, 25)
    expect(forecaster, 5.0, LOCKED_AT + DAY)  # the same revision, with the hours before ten
    tell(forecaster, HALF_PAST, 25)
    tell(forecaster, TEN, 25)
    assert closed(forecaster) == [(NINE, 1, 25, None), (HALF_PAST, 1, 25, None), (TEN, 1, 25, 20.0)]


def test_nor_are_they_where_they_are_read_before_the_days_first_close(forecaster: Forecaster) -> None:
    lock(forecaster, LOCK)
    expect(forecaster, 20.0, LOCKED_AT, first=10)
    expect(forecaster, 5.0, LOCKED_AT + HOUR)
    tell(forecaster, NINE, 25)
    tell(forecaster, HALF_PAST, 25)
    tell(forecaster, TEN, 25)
    as_told = [(NINE, None), (HALF_PAST, None), (TEN, 20.0)]
    assert [(start, held) for start, _, _, held in closed(forecaster)] == as_told
    expect(forecaster, 7.0, LOCKED_AT - HOUR, revision=0)  # an older one, heard late, brings no newer part in
    assert [(start, held) for start, _, _, held in closed(forecaster)][-3:] == as_told


def test_a_plan_of_hours_for_half_hours_is_refused_on_the_topic_and_by_the_rpc(forecaster: Forecaster) -> None:
    starts = list(range(WEDNESDAY + 8 * HOUR, WEDNESDAY + 20 * HOUR, HOUR))
    said = SaidForecast(HELP, "CLIENT", 1, "ann", starts, [40.0] * len(starts), [])
    fact = Fact(said, LOCKED_AT, b"", "")
    handled = forecaster.database.run_here(lambda c: forecaster.work.streams.on_received(c, [fact]))
    assert [(f, refusal.reason) for f, refusal in handled.refused] == [(fact, "MISALIGNED_INTERVAL")]
    kept = sa.text("SELECT count(*) FROM received_forecast")
    assert forecaster.database.read_here(lambda c: c.execute(kept).scalar_one()) == 0
    edge = ForecastEdge(None, forecaster.work)  # type: ignore[arg-type]
    message = forecast_pb2.ForecastReceived(
        queue=HELP,
        source=forecast_pb2.FORECAST_SOURCE_CLIENT,
        starts_at_epoch_seconds=starts,
        offered_count=[40.0] * len(starts),
    )
    with pytest.raises(Refusal, match="steps of 3600 s"):
        forecaster.database.read_here(lambda c: edge.check_grids(c, [message]))
    message.queue = "acme/unheard-of"  # told by the dead letter, as before
    forecaster.database.read_here(lambda c: edge.check_grids(c, [message]))


def test_just_what_is_tolerated_is_tolerated() -> None:
    """100 × 1.15 is 114.99999999999999 in floats, and 115 by the contract."""
    assert Tolerance(0.15).relieved(115, 100.0) == ""
    assert Tolerance(0.15).relieved(116, 100.0) == "TARGET"
    assert Tolerance(0.15).relieved(1, 0.0) == "TARGET"
    assert not Tolerance(None, 0.07).is_outside(93, 100.0)
    assert Tolerance(0.0).relieved(1_000_001, 1_000_000.0) == "TARGET"
