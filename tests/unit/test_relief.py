"""Intervals that a contract's lock relieves of its targets: left out of the attainment, shown, and counted."""

import asyncio
import dataclasses
import pathlib
import types
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from rich.console import Console

from muster.book.check import parse_book
from muster.book.copy import BookOwner
from muster.book.types import KINDS
from muster.cli import contract as printing
from muster.kit.loop import Fact
from muster.kit.sql import migrate
from muster.v1 import requirement_pb2, volume_pb2
from muster.v1 import staffing_service_pb2 as pb
from services.staffing.attaining import standing
from services.staffing.domain.attainment import CellFacts, Standing
from services.staffing.domain.facts import ClosedCell
from services.staffing.outlooks import Outlooks
from services.staffing.rpc import StaffingRpc
from services.staffing.store import plans
from services.staffing.windowing import Windowing
from services.staffing.wire import read_closed
from tests.support.small_world import QUEUES, book
from tests.support.staffing_world import HALF_HOUR, MONDAY, Staffing, staffing_on

HELP, SALES = QUEUES
VOICE, NOW = "acme/voice", MONDAY + 8 * 3600
LOCK = {"days_ahead": 14, "tolerance_up": 0.1}
EDGES, MADE = (20_000,), 0.8


def with_lock(lock: dict[str, Any] | None, **target: Any) -> dict[str, Any]:
    data = book()
    data["contracts"][0]["targets"][0] |= target
    if lock is not None:
        data["contracts"][0]["lock"] = lock
    return data


@pytest.fixture
def staffing(engine: sa.Engine) -> Staffing:
    found = staffing_on(engine)
    agree(found, with_lock(LOCK))
    return found


def agree(staffing: Staffing, data: dict[str, Any]) -> None:
    """Make the book so, and count its contract anew as a change of it has done."""
    with staffing.database.engine.begin() as connection:
        BookOwner(staffing.streams.book, tuple(KINDS)).apply(connection, parse_book(data), True, 2)
        staffing.requiring.recount(connection, VOICE, 0)


def came(
    staffing: Staffing, slot: int, offered: int, good: int, locked: float | None, queue: str = HELP, revision: int = 1
) -> None:
    """Close the half-hour `slot` after six on Monday: `good` of the offered were answered in time, the others late."""
    start = MONDAY + 6 * 3600 + slot * HALF_HOUR
    facts = CellFacts(offered, offered, 0, 1000 * offered, EDGES, (good, offered - good), (0, 0), locked=locked)
    cell = ClosedCell(queue, start, HALF_HOUR, revision, start + HALF_HOUR, facts, 0)
    staffing.database.run_here(lambda c: staffing.streams.on_closed(c, [Fact(cell, MONDAY, b"", "")]))


def stands(staffing: Staffing, with_relieved: bool = False) -> Standing:
    def read(connection: sa.Connection) -> Standing:
        day = staffing.streams.book_today(connection)
        return standing(connection, day, VOICE, 0, day.contracts[VOICE].targets[0], NOW, with_relieved)

    return staffing.database.run_here(read)


def edge_of(staffing: Staffing) -> StaffingRpc:
    parts: Any = types.SimpleNamespace(clock=staffing.requiring.clock, database=staffing.database)
    return StaffingRpc(parts, types.SimpleNamespace(streams=staffing.streams, book=staffing.streams.book))  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class Told:
    attainment: requirement_pb2.Attainment
    intervals: list[pb.TargetInterval]


def asked(staffing: Staffing) -> Told:
    async def ask() -> Told:
        rpc = edge_of(staffing)
        (found,) = [
            a for a in (await rpc.ListAttainments(pb.ListAttainmentsRequest(), None)).attainments if a.contract == VOICE
        ]
        rows = await rpc.ListTargetIntervals(pb.ListTargetIntervalsRequest(contract=VOICE), None)
        return Told(found, list(rows.intervals))

    return asyncio.run(ask())


def test_more_than_is_tolerated_is_left_out_and_both_figures_are_told(staffing: Staffing) -> None:
    came(staffing, 0, 100, 90, 100.0)
    came(staffing, 1, 111, 20, 100.0)  # a rush
    came(staffing, 2, 110, 80, 100.0)  # just what is tolerated
    came(staffing, 3, 10, 9, 100.0)  # fewer relieve nothing of it
    assert stands(staffing).value == pytest.approx(179 / 220)
    told = asked(staffing)
    a = told.attainment
    assert (a.good_count, a.base_count, a.interval_count, a.relieved_interval_count) == (179, 220, 3, 1)
    assert a.value == pytest.approx(179 / 220)
    assert a.value_with_relieved == pytest.approx(199 / 331)
    assert (a.good_with_relieved_count, a.base_with_relieved_count) == (199, 331)
    assert [(i.relieved, i.offered_count, i.locked_count) for i in told.intervals] == [
        (False, 100, 100.0),
        (True, 111, 100.0),
        (False, 110, 100.0),
        (False, 10, 100.0),
    ]


def test_a_corrected_volume_moves_an_interval_in_and_out(staffing: Staffing) -> None:
    came(staffing, 0, 120, 60, 100.0)
    assert stands(staffing).value is None
    came(staffing, 0, 105, 60, 100.0, revision=2)
    assert stands(staffing).value == pytest.approx(60 / 105)
    came(staffing, 0, 130, 60, 100.0, revision=3)
    assert stands(staffing).value is None
    came(staffing, 0, 100, 60, 100.0, revision=2)  # late, and overtaken
    assert stands(staffing).value is None


def test_what_was_not_held_against_a_lock_counts(staffing: Staffing) -> None:
    came(staffing, 0, 500, 50, None)
    told = asked(staffing)
    assert (stands(staffing).base, told.attainment.relieved_interval_count) == (500, 0)
    assert not told.attainment.HasField("value_with_relieved")
    assert not told.intervals[0].HasField("locked_count")


def test_facts_of_earlier_versions_are_read_as_without_a_lock() -> None:
    cell = volume_pb2.VolumeCell(queue=HELP, interval_seconds=1800, revision=1, offered_count=5)
    cell.starts_at.seconds = MONDAY
    assert read_closed(volume_pb2.VolumeClosed(cell=cell).SerializeToString(), {}).facts.locked is None
    held = volume_pb2.VolumeClosed(cell=cell, locked_count=0.0)
    assert read_closed(held.SerializeToString(), {}).facts.locked == 0.0


def test_only_the_queue_that_is_relieved_is_left_out(staffing: Staffing) -> None:
    came(staffing, 0, 120, 20, 100.0)
    came(staffing, 0, 50, 40, 50.0, SALES)
    found = stands(staffing)
    assert (found.good, found.base, found.intervals) == (40, 50, 1)
    assert (stands(staffing, True).good, asked(staffing).attainment.relieved_interval_count) == (60, 1)


@pytest.mark.parametrize(
    ("lock", "base"),
    [
        ({**LOCK, "relieves": "BOTH"}, 100),
        ({**LOCK, "relieves": "COMMITMENT"}, 220),
        ({**LOCK, "tolerance_up": 0.2}, 220),
        (None, 220),
    ],
)
def test_terms_that_are_declared_anew_are_counted_anew(staffing: Staffing, lock: dict[str, Any] | None, base: int) -> None:
    came(staffing, 0, 120, 60, 100.0)
    came(staffing, 1, 100, 60, 100.0)
    assert stands(staffing).base == 100
    agree(staffing, with_lock(lock))
    assert stands(staffing).base == base


def test_an_interval_is_judged_by_the_contract_of_its_own_day(staffing: Staffing) -> None:
    """On Monday a contract begins that tolerates a half more: Sunday's rush stays relieved, Monday's is not."""
    data = with_lock(LOCK)
    data["contracts"] = [
        {**data["contracts"][0], "valid_until": "2026-03-23"},
        {**with_lock({**LOCK, "tolerance_up": 0.5})["contracts"][0], "valid_from": "2026-03-23"},
    ]
    agree(staffing, data)
    came(staffing, -48, 120, 60, 100.0)
    came(staffing, 0, 130, 60, 100.0)
    assert (stands(staffing).base, stands(staffing, True).base) == (130, 250)
    agree(staffing, data)
    assert stands(staffing).base == 130


def test_what_is_excluded_anyway_is_told_as_excluded(staffing: Staffing) -> None:
    exclusion = {"starts": "2026-03-23T06:00", "ends": "2026-03-23T07:00", "reason": "their outage", "agreed_by": "ann"}
    agree(staffing, with_lock(LOCK, exclusions=[exclusion]))
    for slot in (0, 1, 2, 3):
        came(staffing, slot, 120 if slot % 2 else 100, 60, 100.0)
    told = asked(staffing)
    a = told.attainment
    assert (a.excluded_interval_count, a.relieved_interval_count, a.interval_count, a.base_count) == (2, 1, 1, 100)
    assert [(i.excluded, i.relieved) for i in told.intervals] == [(True, False), (True, False), (False, False), (False, True)]
    assert a.base_with_relieved_count == 220


def test_the_outlook_and_the_gauge_leave_out_the_same(staffing: Staffing) -> None:
    came(staffing, 0, 120, 0, 100.0)
    came(staffing, 1, 100, 90, 100.0)
    requiring = staffing.requiring
    outlooks = Outlooks(requiring.settings, staffing.streams, requiring, requiring.clock)
    windowing = Windowing(outlooks, staffing.streams.due, None, requiring.clock)  # type: ignore[arg-type]

    def read(connection: sa.Connection) -> tuple[Any, Any]:
        (case,) = windowing.cases(connection, VOICE)
        return case.counted, outlooks.attainment(connection, staffing.streams.book_today(connection), HELP)

    counted, gauge = staffing.database.run_here(read)
    assert [(good, base) for _, good, base in counted] == [(90, 100)]
    assert gauge == (0.9, 0.8)


def test_deferred_work_that_is_relieved_is_neither_counted_nor_unsure(staffing: Staffing) -> None:
    rows = [{"contract": VOICE, "target_index": 0, "queue": HELP, "starts_at": MONDAY + n, "good": 1} for n in (0, 1800)]
    with staffing.database.engine.begin() as connection:
        for n, row in enumerate(rows):
            text = "INSERT INTO target_cell (contract, target_index, queue, starts_at, good, base, unsure, relieved)"
            values = " VALUES (:contract, :target_index, :queue, :starts_at, :good, 9, 3, :relieved)"
            connection.execute(sa.text(text + values), {**row, "relieved": n == 1})
        assert plans.target_unsure(connection, VOICE, 0, MONDAY, plans.LAST) == [(MONDAY, 3)]
        assert plans.queue_cells(connection, VOICE, 0, HELP, MONDAY) == [(MONDAY, 1, 9)]
        assert plans.relieved_starts(connection, VOICE, 0, MONDAY) == [MONDAY + 1800]


def test_what_is_kept_of_an_interval_can_be_read_by_the_version_before(staffing: Staffing) -> None:
    came(staffing, 0, 120, 60, 100.0)
    with staffing.database.engine.begin() as connection:
        (body,) = connection.execute(sa.select(sa.column("body", sa.JSON)).select_from(sa.table("volume_cell"))).scalars()
        assert "locked" not in body
        ((_, _, facts),) = plans.cells_since(connection, HELP, MONDAY)
    assert (facts.offered, facts.locked) == (120, 100.0)


def test_cells_that_were_kept_before_there_were_locks_count(engine: sa.Engine) -> None:
    folder, config = pathlib.Path("services/staffing/store/migrations"), Config()
    config.set_main_option("script_location", str(folder))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
        insert = (
            "INSERT INTO target_cell (contract, target_index, queue, starts_at, good, base) VALUES ('a/b', 0, 'a/c', 9, 3, 4)"
        )
        connection.execute(sa.text(insert))
    migrate(engine, folder)
    with engine.begin() as connection:
        assert plans.target_intervals(connection, "a/b", 0, 0) == [(9, 3, 4)]


def printed(told: Told, monkeypatch: pytest.MonkeyPatch) -> str:
    out = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    monkeypatch.setattr(printing, "console", lambda: out)
    printing._overview([told.attainment])
    printing._explain(told.attainment, told.intervals, False)
    return out.export_text()


def test_a_planner_sees_which_how_much_and_both_figures(staffing: Staffing, monkeypatch: pytest.MonkeyPatch) -> None:
    came(staffing, 0, 100, 90, 100.0)
    came(staffing, 1, 150, 15, 100.0)
    text = printed(asked(staffing), monkeypatch)
    assert "1; 42.00% with" in text
    row = next(line for line in text.splitlines() if "2026-03-23 06:30" in line)
    assert [cell.strip() for cell in row.split("│")[2:-1]] == [HELP, "150", "100.0", "+50.0%", "15", "150", "10.00%"]
    assert "left out as relieved: 1; to date 90.00% without them, 42.00% with them (105 ÷ 250)" in text
    day = next(line for line in text.splitlines() if "Mon 2026-03-23  acme/help" in line)
    assert [cell.strip() for cell in day.split("│")[2:-1]] == ["90", "100", "90.00%", "–", "–", "1"]
