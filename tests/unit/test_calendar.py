"""Local days, opening hours and clock changes."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.calendar import (
    Opening,
    OpeningHours,
    day_bounds,
    day_starts,
    resolve,
    slot_of,
    time_of_day,
    to_local,
    zone_of,
)

ALL = frozenset(range(7))


@pytest.mark.parametrize(
    ("zone", "day", "half_hours"),
    [
        ("Europe/London", "2026-03-28", 48),
        ("Europe/London", "2026-03-29", 46),
        ("Europe/London", "2026-10-25", 50),
        ("America/New_York", "2026-03-08", 46),
        ("Asia/Manila", "2026-03-29", 48),
        ("Australia/Lord_Howe", "2026-10-04", 47),
        ("Australia/Lord_Howe", "2026-04-05", 49),
    ],
)
def test_a_local_day_has_the_half_hours_its_clock_gives_it(zone: str, day: str, half_hours: int) -> None:
    assert len(day_starts(dt.date.fromisoformat(day), zone, 1800)) == half_hours


@given(
    st.dates(dt.date(2020, 1, 1), dt.date(2030, 12, 31)),
    st.sampled_from(["Europe/London", "America/New_York", "Australia/Lord_Howe"]),
)
def test_days_follow_each_other_without_gap_or_overlap(day: dt.date, zone: str) -> None:
    assert day_bounds(day, zone)[1] == day_bounds(day + dt.timedelta(days=1), zone)[0]


def test_a_skipped_local_time_is_read_on_the_new_clock() -> None:
    instant = resolve(dt.datetime(2026, 3, 29, 1, 30), "Europe/London")
    assert to_local(instant, "Europe/London").strftime("%H:%M") == "02:30"


def test_a_local_time_that_comes_twice_is_read_as_the_first() -> None:
    first = resolve(dt.datetime(2026, 10, 25, 1, 30), "Europe/London")
    assert to_local(first, "Europe/London").utcoffset() == dt.timedelta(hours=1)


def test_a_slot_is_local_time_of_day() -> None:
    noon = resolve(dt.datetime(2026, 3, 29, 12), "Europe/London")
    assert slot_of(noon, "Europe/London", 1800) == 24


def test_hours_through_midnight_open_two_days() -> None:
    hours = OpeningHours((Opening(ALL, 20 * 3600, 4 * 3600),))
    day = dt.date(2026, 3, 25)
    begin, end = day_bounds(day, "UTC")
    assert hours.spans(day, "UTC") == [(begin, begin + 4 * 3600), (begin + 20 * 3600, end)]


def test_a_public_holiday_is_closed_and_a_date_wins_over_it() -> None:
    weekly = (Opening(ALL, 9 * 3600, 17 * 3600),)
    christmas = dt.date(2026, 12, 25)
    assert OpeningHours(weekly, ("GB",)).open_starts(christmas, "Europe/London", 1800) == []
    partial = OpeningHours(weekly, ("GB",), ((christmas, (Opening(ALL, 10 * 3600, 12 * 3600),)),))
    assert len(partial.open_starts(christmas, "Europe/London", 1800)) == 4


@pytest.mark.parametrize("text", ["8", "08:60", "24:01", "nine", ""])
def test_nonsense_is_no_time_of_day(text: str) -> None:
    with pytest.raises(ValueError, match="not a time of day"):
        time_of_day(text)


def test_an_unknown_zone_is_refused_with_its_name() -> None:
    with pytest.raises(ValueError, match="'Europe/Londn' is not an IANA zone"):
        zone_of("Europe/Londn")
