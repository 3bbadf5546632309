"""When a group is decided: as soon as its queues are told, once a quarter of an hour, and at the latest at a fixed instant."""

import asyncio
import dataclasses
import types
from typing import Any, cast

import pytest
import sqlalchemy as sa

from muster.book.view import StaffingGroup
from muster.kit.clock import ConductedClock
from muster.kit.due import DueWork
from muster.kit.sql import Database, add_kit_tables
from services.staffing.deciding import Deciding
from services.staffing.domain.group import SLOT
from services.staffing.settings import StaffingSettings

BEGIN, GROUP, DELAY = 1_000 * SLOT, "acme/help", 60
metadata = sa.MetaData()
add_kit_tables(metadata)


@dataclasses.dataclass
class Quarters:
    """A group of one queue, and what is known of it; the decision itself is only noted."""

    database: Database
    clock: ConductedClock
    due: DueWork
    deciding: Deciding
    told: list[int]
    decided: list[int]

    def at(self, seconds: int) -> list[int]:
        """Move to so many seconds after the quarter of an hour, do what is due; return when it was decided so far."""
        self.clock.move(BEGIN + seconds)
        asyncio.run(self.due.settle())
        return [at - BEGIN for at in self.decided]

    def tell(self, through: int) -> None:
        self.told[0] = BEGIN + through
        self.database.run_here(lambda c: self.deciding.streams.on_told(c, GROUP))

    def regroup(self) -> None:
        self.database.run_here(lambda c: self.deciding._plan_decide(c, GROUP))


@pytest.fixture
def quarters(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> Quarters:
    database, clock = Database(engine), ConductedClock(BEGIN - 300)
    metadata.create_all(engine)
    group, told, decided = StaffingGroup(GROUP, (GROUP,), ()), [0], list[int]()
    book = types.SimpleNamespace(groups={GROUP: group}, queues={GROUP: GROUP}, group_of=lambda queue: group)
    streams, outlooks = types.SimpleNamespace(book_today=lambda c: book), types.SimpleNamespace()
    outlooks.is_told = lambda c, book, queue, instant: told[0] >= instant
    due = DueWork(database, metadata, clock, runs_itself=False)
    settings = StaffingSettings(decide_delay_seconds=DELAY)  # type: ignore[call-arg]
    deciding = Deciding(settings, cast(Any, streams), due, cast(Any, None), clock, cast(Any, outlooks))
    monkeypatch.setattr(deciding, "decide", lambda c, name, due_at: decided.append(clock.now()))
    due.declare("decide_if_told", deciding.decide_if_told)
    due.declare("decide_slot", deciding.decide_slot)
    found = Quarters(database, clock, due, deciding, told, decided)
    found.regroup()
    return found


def test_it_is_decided_when_the_last_word_comes_and_not_again(quarters: Quarters) -> None:
    assert quarters.at(0) == []
    quarters.tell(0)
    assert quarters.at(3) == [3]
    quarters.tell(0)
    assert quarters.at(DELAY + 1) == [3]
    quarters.tell(SLOT)
    assert quarters.at(SLOT + 2) == [3, SLOT + 2]


def test_a_feed_that_lags_delays_nobody_beyond_the_fixed_instant(quarters: Quarters) -> None:
    assert quarters.at(DELAY - 1) == []
    assert quarters.at(DELAY) == [DELAY]
    quarters.tell(0)
    assert quarters.at(DELAY + 30) == [DELAY]
    assert quarters.at(SLOT + DELAY) == [DELAY, SLOT + DELAY]


def test_what_was_told_before_is_decided_at_the_quarter_itself(quarters: Quarters) -> None:
    quarters.tell(0)
    assert quarters.at(0) == [0]


def test_a_start_or_a_change_of_the_book_decides_no_quarter_twice(quarters: Quarters) -> None:
    quarters.tell(0)
    assert quarters.at(5) == [5]
    quarters.regroup()
    quarters.tell(0)
    assert quarters.at(DELAY + 5) == [5]
