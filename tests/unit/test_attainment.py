"""Attainment, counted by hand."""

import datetime as dt
import itertools

import pytest

from muster.domain.calendar import Opening, OpeningHours, local_date, resolve
from muster.domain.deadlines import Deadlines
from muster.domain.due_rule import parse_due
from muster.domain.windows import window_end, window_start
from services.staffing.domain.attainment import (
    Added,
    CellFacts,
    Judging,
    TargetRule,
    contribution,
    contributions,
    in_deadline,
    stand,
    within,
)

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


# 20 items came: 5 done within two hours, 3 more within two and a half, 4 later, 8 are open.
MAIL = CellFacts(20, 12, 0, None, (7_200_000, 9_000_000), (5, 3, 4), (0, 0, 0), 8)


def test_what_is_open_when_it_is_due_was_not_done_in_time() -> None:
    assert in_deadline(MAIL, 9_000_000, 9_000_000) == Added(8, 20, 0)


def test_what_is_done_close_to_its_deadline_is_not_called_in_time() -> None:
    """It came somewhere in an interval of half an hour: what waited two to two and a half hours may be early or late."""
    assert in_deadline(MAIL, 7_200_000, 9_000_000) == Added(5, 20, 3)


def test_a_deadline_without_its_edges_was_not_observed() -> None:
    assert in_deadline(MAIL, 3_600_000, 9_000_000) is None
    assert in_deadline(CellFacts(20, 12, 0, None, (), (), (), 8), 7_200_000, 9_000_000) is None
    assert in_deadline(CellFacts(0, 0, 0, None, (), (), ()), 7_200_000, 9_000_000) == Added(0, 0, 0)


def test_each_interval_is_judged_by_what_its_own_items_may_wait() -> None:
    """Open from 9 to 17, due within two hours of service: at noon two hours later, by night at 11."""
    always = OpeningHours((Opening(frozenset(range(7)), 9 * 3600, 17 * 3600),))
    rule = TargetRule("DEADLINE_MET", "", 0, 0, Deadlines(parse_due("2h"), always, "UTC"), 1800)
    day = 1_780_272_000
    noon, night = day + 12 * 3600, day + 8 * 3600
    hours = (7_200_000, 9_000_000, 10_800_000)
    cell = CellFacts(9, 9, 0, None, hours, (4, 3, 2, 0), (0, 0, 0, 0))
    assert contributions(rule, [(noon, cell), (night, cell), (noon + 9000, cell)]) == [Added(4, 9), Added(7, 9, 2), Added(4, 9)]


def test_a_deadline_that_no_hours_of_service_ever_reach_is_not_observed() -> None:
    monthly = OpeningHours((Opening(frozenset((0,)), 9 * 3600, 9 * 3600 + 60),))
    rule = TargetRule("DEADLINE_MET", "", 0, 0, Deadlines(parse_due("400h"), monthly, "UTC"), 1800)
    assert contributions(rule, [(1_780_272_000, MAIL)]) == [None]


def test_a_day_reaches_a_share_of_deadlines_from_below() -> None:
    judging = Judging("DEADLINE_MET", "SHARE_OF_DAYS", 0.8, "UTC")
    assert stand(judging, [(0, 9, 10), (86_400, 7, 10)]).value == 0.5


def test_windows_begin_at_local_midnight() -> None:
    now = resolve(dt.datetime(2026, 3, 31, 23, 30), "America/New_York")
    assert window_start("MONTH", "", "America/New_York", now) == resolve(dt.datetime(2026, 3, 1), "America/New_York")
    assert window_start("WEEK", "sun", "America/New_York", now) == resolve(dt.datetime(2026, 3, 29), "America/New_York")
    assert window_start("DAY", "", "Asia/Manila", now) == resolve(dt.datetime(2026, 4, 1), "Asia/Manila")


DAY0 = resolve(dt.datetime(2026, 3, 2), "Europe/London")
# Two days: day one 8/10 and 2/10, day two 9/10, an interval with nothing offered, one not observed.
ADDED: list[tuple[int, int | None, int | None]] = [
    (DAY0 + 32_400, 8, 10),
    (DAY0 + 34_200, 2, 10),
    (DAY0 + 118_800, 9, 10),
    (DAY0 + 120_600, 0, 0),
    (DAY0 + 122_400, None, None),
]


@pytest.mark.parametrize(
    ("aggregation", "value"),
    [
        ("CONTACT_WEIGHTED", 19 / 30),
        ("MEAN_OF_INTERVALS", (0.8 + 0.2 + 0.9) / 3),
        ("SHARE_OF_INTERVALS", 2 / 3),
        ("SHARE_OF_DAYS", 1 / 2),
    ],
)
def test_each_aggregation_adds_up_as_it_says(aggregation: str, value: float) -> None:
    found = stand(Judging("SERVICE_LEVEL", aggregation, 0.8, "Europe/London"), ADDED)
    assert found.value == pytest.approx(value)
    assert (found.good, found.base, found.intervals, found.unobserved, found.excluded) == (19, 30, 5, 1, 0)


def test_exclusions_and_rounding_apply_before_the_value_is_judged() -> None:
    judging = Judging("SERVICE_LEVEL", "CONTACT_WEIGHTED", 0.8, "Europe/London", ((DAY0 + 34_200, DAY0 + 36_000),), 2)
    found = stand(judging, ADDED)
    assert (found.value, found.good, found.base, found.excluded) == (0.85, 17, 20, 1)


def test_waits_and_abandons_are_good_below_their_limit() -> None:
    assert Judging("ASA", "SHARE_OF_INTERVALS", 20, "UTC").reaches(200_000, 10)
    assert not Judging("ASA", "SHARE_OF_INTERVALS", 20, "UTC").reaches(200_001, 10)
    assert Judging("ABANDONMENT", "SHARE_OF_DAYS", 0.05, "UTC").reaches(5, 100)
    assert stand(Judging("ASA", "CONTACT_WEIGHTED", 20, "UTC"), [(DAY0, 90_000, 10)]).value == 9.0


def test_nothing_observed_is_no_value_and_never_100_percent() -> None:
    for aggregation in ("CONTACT_WEIGHTED", "MEAN_OF_INTERVALS", "SHARE_OF_INTERVALS", "SHARE_OF_DAYS"):
        judging = Judging("SERVICE_LEVEL", aggregation, 0.8, "UTC")
        assert stand(judging, [(DAY0, 0, 0), (DAY0 + 1800, None, None)]).value is None


@pytest.mark.parametrize(
    ("day", "first"),
    [
        ((2026, 2, 1), (2026, 2, 1)),  # the year begins
        ((2026, 2, 28), (2026, 2, 1)),  # four weeks
        ((2026, 3, 1), (2026, 3, 1)),  # four more
        ((2026, 3, 29), (2026, 3, 29)),  # five
        ((2026, 5, 2), (2026, 3, 29)),
        ((2026, 5, 3), (2026, 5, 3)),  # the second quarter
        ((2027, 1, 30), (2026, 12, 27)),  # the last day of 52 weeks
        ((2027, 1, 31), (2027, 1, 31)),
    ],
)
def test_a_four_four_five_year(day: tuple[int, int, int], first: tuple[int, int, int]) -> None:
    now = resolve(dt.datetime(*day, 12), "America/New_York")
    begin = window_start("FISCAL", "", "America/New_York", now, "FOUR_FOUR_FIVE", dt.date(2026, 2, 1))
    assert begin == resolve(dt.datetime(*first), "America/New_York")


def fiscal_starts(year_start: dt.date, until: dt.date) -> list[dt.date]:
    """Return the first days of 4-4-5 windows from a year's start up to a date, each as the one before ends."""
    zone, found = "America/New_York", [year_start]
    while found[-1] < until:
        now = resolve(dt.datetime.combine(found[-1], dt.time(12)), zone)
        found.append(local_date(window_end("FISCAL", "", zone, now, "FOUR_FOUR_FIVE", year_start), zone))
    return found


# Retail's calendar (NRF) begins on the Sunday nearest to 1 February; 2028 and 2034 have 53 weeks.
RETAIL = ["2026-02-01", "2027-01-31", "2028-01-30", "2029-02-04", "2030-02-03", "2031-02-02", "2032-02-01", "2033-01-30"]
RETAIL += ["2034-01-29", "2035-02-04", "2036-02-03"]


def test_ten_four_four_five_years_have_twelve_windows_each_and_the_last_takes_a_53rd_week() -> None:
    starts = fiscal_starts(dt.date(2026, 2, 1), dt.date(2036, 2, 3))
    assert [d.isoformat() for d in starts[::12]] == RETAIL
    weeks = [(b - a).days / 7 for a, b in itertools.pairwise(starts)]
    assert len(weeks) == 120
    longer = [n // 12 for n, w in enumerate(weeks) if w != (4, 4, 5)[n % 3]]
    assert [RETAIL[n][:4] for n in longer] == ["2028", "2034"]
    assert [weeks[12 * n + 11] for n in longer] == [6, 6]


@pytest.mark.parametrize(
    ("day", "first"),
    [
        ((2029, 1, 27), (2028, 12, 24)),  # the 52nd week
        ((2029, 2, 3), (2028, 12, 24)),  # the 53rd
        ((2029, 2, 4), (2029, 2, 4)),
        ((2024, 2, 3), (2023, 12, 24)),  # years before the one that the book names
        ((2023, 1, 29), (2023, 1, 29)),
    ],
)
def test_the_53rd_week_belongs_to_the_last_period(day: tuple[int, int, int], first: tuple[int, int, int]) -> None:
    now = resolve(dt.datetime(*day, 12), "America/New_York")
    begin = window_start("FISCAL", "", "America/New_York", now, "FOUR_FOUR_FIVE", dt.date(2026, 2, 1))
    assert begin == resolve(dt.datetime(*first), "America/New_York")


@pytest.mark.parametrize("year_start", [dt.date(2024, 2, 29), dt.date(2026, 1, 1), dt.date(2026, 12, 31), dt.date(2025, 9, 28)])
def test_a_four_four_five_year_begins_within_three_days_of_its_anniversary(year_start: dt.date) -> None:
    starts = fiscal_starts(year_start, year_start + dt.timedelta(days=3660))[::12]
    for n, first in enumerate(starts):
        year, leap_day = year_start.year + n, (year_start.month, year_start.day) == (2, 29)
        anniversary = dt.date(year, 3, 1) - dt.timedelta(days=1) if leap_day else year_start.replace(year=year)
        assert first.weekday() == year_start.weekday()
        assert abs((first - anniversary).days) <= 3
