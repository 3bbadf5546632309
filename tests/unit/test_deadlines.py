"""Deadlines of deferred work, as a planner counts them on the calendar."""

import datetime as dt

import numpy as np
import pytest

from muster.domain.calendar import Opening, OpeningHours
from muster.domain.deadlines import Deadlines, deadline_of, deadlines_of
from muster.domain.due_rule import DueRule, parse_due
from tests.support.office import LONDON, OFFICE, WEEK, at


@pytest.mark.parametrize(
    ("rule", "came", "due"),
    [
        ("8h", "2026-06-01 09:00", "2026-06-01 17:00"),  # a Monday, as it opens: due as it closes
        ("8h", "2026-06-01 13:00", "2026-06-02 13:00"),
        ("8h", "2026-06-05 16:59", "2026-06-08 16:59"),  # over the weekend
        ("2h30m", "2026-06-06 12:00", "2026-06-08 11:30"),  # came on a Saturday
        ("90m", "2026-12-24 16:30", "2026-12-29 10:00"),  # Christmas, its Saturday and Sunday, Boxing Day's substitute
        ("end_of_day", "2026-06-01 08:00", "2026-06-01 17:00"),
        ("end_of_day", "2026-06-01 17:00", "2026-06-02 17:00"),
        ("end_of_day+1@15:00", "2026-06-01 14:59", "2026-06-02 17:00"),
        ("end_of_day+1@15:00", "2026-06-01 15:00", "2026-06-03 17:00"),
        ("end_of_day+1@15:00", "2026-06-05 15:00", "2026-06-09 17:00"),  # Friday at the cut-off counts as Monday
        ("end_of_day+2", "2026-04-02 10:00", "2026-04-08 17:00"),  # Good Friday and, in England only, Easter Monday below
    ],
)
def test_a_business_deadline_is_what_a_planner_counts_on_the_calendar(rule: str, came: str, due: str) -> None:
    england = OpeningHours(OFFICE.weekly, ("GB",), ((dt.date(2026, 4, 6), ()),))
    assert deadline_of(at(came), parse_due(rule), england, LONDON) == at(due)


@pytest.mark.parametrize("rule", ["4h", "90m", "end_of_day", "end_of_day+1@15:10", "elapsed"])
def test_what_an_interval_may_wait_is_what_its_every_second_may(rule: str) -> None:
    hours = OpeningHours((Opening(WEEK, 9 * 3600 + 600, 17 * 3600 + 1200), Opening(frozenset((5,)), 10 * 3600, 12 * 3600)))
    kept = Deadlines(DueRule(elapsed=5000) if rule == "elapsed" else parse_due(rule), hours, LONDON)
    starts = np.arange(at("2026-03-27 06:00"), at("2026-03-30 20:00"), 1800)  # over a weekend with a clock change
    least, most = kept.waits(starts, 1800)
    for start, low, high in list(zip(starts, least, most, strict=True))[::3]:
        seconds = np.arange(start, start + 1800)
        seconds = seconds[seconds % 60 > 0]  # what comes as the minute begins may still be due a day earlier
        allowed = deadlines_of(seconds, kept.rule, hours, LONDON) - seconds
        assert allowed.min() - 1 <= low <= allowed.min()
        assert allowed.max() <= high <= allowed.max() + 1
        assert rule == "elapsed" or (low % 60, high % 60) == (0, 0)


@pytest.mark.parametrize("rule", ["4h", "end_of_day", "end_of_day+1@15:10"])
def test_what_came_before_due_through_is_due_and_what_came_later_is_not(rule: str) -> None:
    kept = Deadlines(parse_due(rule), OFFICE, LONDON)
    for now in range(at("2026-06-01 07:00"), at("2026-06-03 20:00"), 4500):
        border = kept.due_through(now, 1800)
        last, later = border - 1, border + 1799
        assert border % 1800 == 0
        assert deadline_of(last, kept.rule, OFFICE, LONDON) <= now < deadline_of(later, kept.rule, OFFICE, LONDON)


@pytest.mark.parametrize("rule", ["end_of_day+25", "200h"])
def test_long_promises_are_looked_for_as_far_back_as_they_reach(rule: str) -> None:
    kept, now = Deadlines(parse_due(rule), OFFICE, LONDON), at("2026-06-15 12:00")
    border = kept.due_through(now, 1800)
    assert deadline_of(border - 1, kept.rule, OFFICE, LONDON) <= now < deadline_of(border + 1799, kept.rule, OFFICE, LONDON)


def test_business_time_runs_by_elapsed_hours_through_a_clock_change() -> None:
    always = OpeningHours((Opening(frozenset(range(7)), 0, 24 * 3600),))
    spring, autumn = at("2026-03-28 22:00"), at("2026-10-24 22:00")
    assert deadline_of(spring, parse_due("8h"), always, LONDON) == at("2026-03-29 07:00")  # the night has an hour less
    assert deadline_of(autumn, parse_due("8h"), always, LONDON) == at("2026-10-25 05:00")
    assert deadline_of(spring, DueRule(elapsed=8 * 3600), always, LONDON) == spring + 8 * 3600
    office = parse_due("8h")
    assert deadline_of(at("2026-03-27 12:00"), office, OFFICE, LONDON) == at("2026-03-30 12:00")
    assert at("2026-03-30 12:00") - at("2026-03-27 12:00") == 71 * 3600


def test_hours_past_midnight_belong_to_the_day_on_which_they_begin() -> None:
    night = OpeningHours((Opening(WEEK, 20 * 3600, 4 * 3600),))
    assert deadline_of(at("2026-06-02 02:00"), parse_due("end_of_day"), night, LONDON) == at("2026-06-02 04:00")
    assert deadline_of(at("2026-06-02 05:00"), parse_due("end_of_day"), night, LONDON) == at("2026-06-03 04:00")
    assert deadline_of(at("2026-06-02 03:00"), parse_due("2h"), night, LONDON) == at("2026-06-02 21:00")


@pytest.mark.parametrize("rule", ["8h", "90m", "40h", "end_of_day", "end_of_day@15:00", "end_of_day+3@23:00"])
@pytest.mark.parametrize("first", ["2026-03-25 00:00", "2026-10-22 00:00", "2026-12-20 00:00"])
def test_deadlines_looked_up_together_are_those_of_each(rule: str, first: str) -> None:
    night = OpeningHours((*OFFICE.weekly, Opening(frozenset({4}), 20 * 3600, 4 * 3600)), ("GB",))
    came = at(first) + np.random.default_rng(5).integers(0, 12 * 86_400, 150)
    came[:4] = at(first) + 9 * 3600 + np.array([0, 8 * 3600, 86_400, 86_399])
    for hours in (OFFICE, night):
        each = [deadline_of(int(t), parse_due(rule), hours, LONDON) for t in came]
        assert deadlines_of(came, parse_due(rule), hours, LONDON).tolist() == each


def test_deadlines_beyond_a_long_closure_are_found_and_none_is_refused() -> None:
    shut = tuple((dt.date(2026, 6, 1) + dt.timedelta(days=n), ()) for n in range(60))
    hours, came = OpeningHours(OFFICE.weekly, (), shut), np.array([at("2026-06-01 09:00")])
    assert deadlines_of(came, parse_due("8h"), hours, LONDON)[0] == at("2026-07-31 17:00")
    assert deadlines_of(came, parse_due("end_of_day"), hours, LONDON)[0] == at("2026-07-31 17:00")
    for rule in ("1h", "end_of_day+1"):
        with pytest.raises(ValueError, match="within 400 days"):
            deadlines_of(came, parse_due(rule), OpeningHours(()), LONDON)
    assert deadlines_of(came, DueRule(elapsed=60), OpeningHours(()), LONDON)[0] == came[0] + 60


@pytest.mark.parametrize(
    "rule", ["8h", "2h30m", "30m", "end_of_day", "end_of_day+1", "end_of_day@09:30", "end_of_day+1@15:00", "end_of_day+2@24:00"]
)
def test_a_rule_is_written_as_it_was_read(rule: str) -> None:
    assert str(parse_due(rule)) == rule
    assert str(DueRule(elapsed=5400)) == "1h30m elapsed"


@pytest.mark.parametrize(
    "text", ["", "8", "h", "0h", "-1h", "end_of_day+", "end_of_day@25:00", "end_of_day+1@15", "eod", "8h+1"]
)
def test_a_deadline_that_nobody_can_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"allowed|not a"):
        parse_due(text)
