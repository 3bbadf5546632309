"""Attainment, counted by hand."""

import datetime as dt

import pytest

from muster.domain.calendar import resolve
from services.staffing.domain.attainment import CellFacts, TargetRule, contribution, window_start, within

# 10 offered: 7 answered (4 within 10 s, 2 more within 20 s, 1 later), 3 abandoned (1 within 10 s, 1 within 20 s, 1 later).
CELL = CellFacts(10, 7, 3, 95_000, (10_000, 20_000), (4, 2, 1), (1, 1, 1))


@pytest.mark.parametrize(
    ("definition", "good", "base"),
    [
        ("ANSWERED_OVER_OFFERED", 6, 10),
        ("ANSWERED_OVER_ANSWERED", 6, 7),
        ("LESS_SHORT_ABANDONS", 6, 9),
        ("ABANDONED_IN_TIME_COUNT", 8, 10),
    ],
)
def test_each_definition_divides_what_it_says(definition: str, good: int, base: int) -> None:
    assert contribution(TargetRule("SERVICE_LEVEL", definition, 20_000, 10_000), CELL) == (good, base)


def test_a_threshold_that_is_no_edge_was_not_observed() -> None:
    assert within(CELL.edges, CELL.answered_waits, 15_000) is None
    assert contribution(TargetRule("SERVICE_LEVEL", "ANSWERED_OVER_OFFERED", 15_000, 0), CELL) is None


def test_an_interval_with_nothing_offered_adds_nothing() -> None:
    assert contribution(TargetRule("SERVICE_LEVEL", "ANSWERED_OVER_OFFERED", 20_000, 0), CellFacts(0, 0, 0, 0, (), (), ())) == (
        0,
        0,
    )


def test_asa_is_over_answered_contacts() -> None:
    assert contribution(TargetRule("ASA", "", 0, 0), CELL) == (95_000, 7)


def test_windows_begin_at_local_midnight() -> None:
    now = resolve(dt.datetime(2026, 3, 31, 23, 30), "America/New_York")
    assert window_start("MONTH", "", "America/New_York", now) == resolve(dt.datetime(2026, 3, 1), "America/New_York")
    assert window_start("WEEK", "sun", "America/New_York", now) == resolve(dt.datetime(2026, 3, 29), "America/New_York")
    assert window_start("DAY", "", "Asia/Manila", now) == resolve(dt.datetime(2026, 4, 1), "Asia/Manila")
