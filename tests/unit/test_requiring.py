"""Requirements of calls, mail and chat, from the book and the facts to what is published."""

from typing import Any

import pytest
import sqlalchemy as sa

from muster.book.check import check_book, parse_book
from muster.book.copy import BookOwner
from muster.book.terms import Target
from muster.book.types import KINDS
from muster.kit.errors import Refusal
from muster.kit.loop import Fact
from services.staffing.attaining import standing
from services.staffing.domain.attainment import CellFacts
from services.staffing.domain.facts import Attendance, ClosedCell
from services.staffing.requiring import goal_of
from services.staffing.store import floor, plans
from tests.support.staffing_world import CHAT, DAY, HALF_HOUR, MAIL, MONDAY, Staffing, staffing_on, with_mail_and_chat


@pytest.fixture
def staffing(engine: sa.Engine) -> Staffing:
    return staffing_on(engine)


def test_mail_is_staffed_by_its_deadlines_in_hours_of_service(staffing: Staffing) -> None:
    staffing.expect(MAIL, 8.0, 360.0, 12)
    days = {day.local_date: day for day in staffing.required(MAIL)}
    tuesday, saturday = days["2026-03-24"], days["2026-03-28"]
    assert len(tuesday.starts) == 20  # eight to six
    assert saturday.starts == []
    assert set(tuesday.drivers) == {"DEADLINE_MET"}
    assert "earliest deadline first" in tuesday.formula
    hours = sum(sum(day.on_queue) for date, day in days.items() if "2026-03-24" <= date <= "2026-03-30") / 2
    work = 7 * 48 * 8 * 360 / 3600
    assert 0.95 * work <= hours < 1.25 * work  # a week's mail, with room for chance
    monday = days["2026-03-30"]
    assert sum(monday.on_queue) > 1.5 * sum(days["2026-03-27"].on_queue)  # the weekend's mail is there
    assert all(0.94 < level <= 1 for level in tuesday.service_level)


def test_a_backlog_that_grows_is_worked_off(staffing: Staffing) -> None:
    staffing.expect(MAIL, 8.0, 360.0, 12)
    before = staffing.required(MAIL)[0]
    staffing.came(MAIL, 7, 300, 10)
    staffing.expect(MAIL, 8.0, 360.0, 12)
    assert staffing.required(MAIL)[0].version == before.version  # the same forecast: nothing is asked
    staffing.database.run_here(lambda c: staffing.requiring.require_all(c, MAIL, 0))
    after = staffing.required(MAIL)[0]
    assert after.version > before.version
    more = (290 - 15 * 8) * 360 / 3600  # hours: what the night should have brought was planned for already
    assert sum(before.on_queue) / 2 + 0.5 * more < sum(after.on_queue) / 2 < sum(before.on_queue) / 2 + 1.5 * more


def test_what_closes_an_interval_may_be_the_last_word_that_was_waited_for(staffing: Staffing) -> None:
    told: list[str] = []
    staffing.streams.on_told = lambda connection, queue: told.append(queue)
    staffing.came(MAIL, 7, 300, 10)
    assert told == [MAIL]
    staffing.came(MAIL, 7, 300, 10)  # the same again says nothing new
    assert told == [MAIL]
    staffing.expect(MAIL, 8.0, 360.0, 2)  # or a new requirement may be
    assert told == [MAIL, MAIL]


@pytest.mark.parametrize("rule", ["15m", "30m", "8h", "end_of_day+1@15:00"])
def test_deadlines_shorter_than_an_interval_are_planned_too(staffing: Staffing, rule: str) -> None:
    data = with_mail_and_chat(threshold_business=rule)
    copy = staffing.streams.book
    staffing.database.run_here(lambda c: BookOwner(copy, tuple(KINDS)).apply(c, parse_book(data), False, 2))
    staffing.expect(MAIL, 8.0, 360.0, 8)
    assert sum(staffing.required(MAIL)[1].on_queue) > 0


def test_what_is_not_observed_is_no_backlog(staffing: Staffing) -> None:
    for hour, told in ((5, (50, None, None)), (6, (50, 20, None)), (7, (50, 20, 7))):
        offered, answered, left = told
        facts = CellFacts(offered, answered, 0, None, (), (), (), left)
        cell = ClosedCell(MAIL, MONDAY + hour * 3600, HALF_HOUR, 1, MONDAY, facts, None)
        staffing.database.run_here(lambda c, cell=cell: staffing.streams.on_closed(c, [Fact(cell, MONDAY, b"", "")]))  # type: ignore[misc]
    left_open = [count for _, count in staffing.database.run_here(lambda c: plans.open_items(c, MAIL, MONDAY))]
    assert left_open == [0, 30, 7]


def test_deadlines_are_judged_once_all_that_came_is_due(staffing: Staffing) -> None:
    """Eight hours of service from eight on: what came by night is due at four, what came from half past eight to nine at five."""
    hour = 3_600_000
    told = ((0, (16 * hour - 1_800_000, 16 * hour), (6, 3, 0)), (8, (8 * hour,), (7, 2)), (11, (22 * hour,), (9, 0)))
    for at, edges, waits in told:
        facts = CellFacts(10, 9, 0, None, edges, waits, (0,) * len(waits), 1)
        cell = ClosedCell(MAIL, MONDAY + at * 3600, HALF_HOUR, 1, MONDAY, facts, None)
        staffing.database.run_here(lambda c, cell=cell: staffing.streams.on_closed(c, [Fact(cell, MONDAY, b"", "")]))  # type: ignore[misc]

    def stands(hours: float) -> Any:
        now = MONDAY + int(hours * 3600)

        def found(connection: sa.Connection) -> Any:
            day = staffing.streams.book_today(connection)
            return standing(connection, day, "acme/back-office", 0, day.contracts["acme/back-office"].targets[0], now)

        return staffing.database.run_here(found)

    assert stands(15.9).base == 0
    by_four, by_five = stands(16.0), stands(16.5)
    assert (by_four.good, by_four.base, by_four.unsure, by_four.through) == (6, 10, 3, MONDAY + 8 * 3600)
    assert (by_five.good, by_five.base, by_five.unobserved) == (13, 20, 0)
    assert stands(24 + 17.5).base == 30


def test_what_is_staffed_surely_takes_a_transaction_a_day_and_comes_to_an_end(staffing: Staffing) -> None:
    """Also of a queue that the book serves no longer after Wednesday."""
    data = with_mail_and_chat()
    data["contracts"][0]["targets"][0] |= {"staff_to": "CONFIDENT", "sureness": 0.9}
    data["queues"][0]["valid_until"] = "2026-03-26"
    copy = staffing.streams.book
    staffing.database.run_here(lambda c: BookOwner(copy, tuple(KINDS)).apply(c, parse_book(data), False, 2))
    staffing.expect("acme/help", 30.0, 240.0, 6)
    assert len(staffing.required("acme/help")) == 1
    due = staffing.streams.due
    due.declare("require", staffing.requiring.require)
    rounds = 0
    while staffing.database.run_here(due.run_next):
        rounds += 1
        assert rounds < 10
    days = staffing.required("acme/help")
    assert [day.local_date for day in days] == ["2026-03-23", "2026-03-24", "2026-03-25"]
    assert all("UNCERTAINTY" in day.drivers for day in days)


def test_chat_is_staffed_for_three_at_once(staffing: Staffing) -> None:
    staffing.expect(CHAT, 60.0, 450.0, 2)
    staffing.expect("acme/help", 60.0, 450.0, 2)
    chats, calls = staffing.required(CHAT)[0], staffing.required("acme/help")[0]
    assert chats.formula.startswith("3 chats at once")
    assert max(chats.on_queue) < 0.6 * max(calls.on_queue)
    assert min(level for level in chats.service_level if level is not None) >= 0.8


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"threshold_business": "soon"}, "not a business deadline"),
        ({"threshold_business": ""}, "needs one of them"),
        ({"threshold_seconds": 3600}, "needs one of them"),
        ({"metric": "SERVICE_LEVEL", "threshold_seconds": 20, "threshold_business": ""}, "only there"),
    ],
)
def test_what_no_deadline_is_says_so(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_book(parse_book(with_mail_and_chat(**wrong)))
    assert why in " ".join(v.description for v in caught.value.violations)


def test_short_abandons_say_nothing_of_patience(staffing: Staffing) -> None:
    data = with_mail_and_chat()
    data["queues"][0] |= {"patience": {"source": "ESTIMATED"}}
    data["contracts"][0]["targets"][0]["short_abandon_seconds"] = 5
    copy, help_queue = staffing.streams.book, data["queues"][0]["name"]
    staffing.database.run_here(lambda c: BookOwner(copy, tuple(KINDS)).apply(c, parse_book(data), False, 2))
    facts = CellFacts(1000, 600, 400, 20_000_000, (5000, 60_000), (600, 0, 0), (300, 100, 0))
    cell = ClosedCell(help_queue, MONDAY + 7 * 3600, HALF_HOUR, 1, MONDAY, facts, 4_000_000)
    staffing.database.run_here(lambda c: staffing.streams.on_closed(c, [Fact(cell, MONDAY, b"", "")]))
    book_day = staffing.database.run_here(staffing.streams.book_today)
    seen = staffing.database.run_here(lambda c: staffing.requiring.patience(c, book_day.queues[help_queue]))[0]
    assert (seen.abandons, seen.seconds) == (100, 235.0)  # a hundred waited on after five seconds


def test_a_return_is_kept_while_the_absence_it_ended_would_last(staffing: Staffing) -> None:
    def look(day: int) -> dict[str, Any]:
        return staffing.database.run_here(lambda c: floor.absences(c, ["a1"], MONDAY + day * DAY, MONDAY + (day + 1) * DAY))

    for id_, kind, begin, end in (("x", "SICK", 0, 200), ("y", "RETURN", 30, None), ("z", "SICK", 10, 20)):
        ends = None if end is None else MONDAY + end * DAY
        fact = Attendance(id_, 1, "a1", kind, MONDAY + begin * DAY, ends, False)
        staffing.database.run_here(lambda c, fact=fact: floor.save_attendance(c, fact))  # type: ignore[misc]
    assert look(100) == {}
    staffing.database.run_here(lambda c: floor.forget_absences(c, MONDAY + 90 * DAY))
    assert look(100) == {}
    staffing.database.run_here(lambda c: floor.forget_absences(c, MONDAY + 210 * DAY))
    assert look(150) == {}


def test_a_share_of_intervals_is_staffed_to_what_each_must_reach() -> None:
    of = {"aggregation": "SHARE_OF_INTERVALS", "window": {"kind": "WEEK"}, "target": 0.9}
    for metric, each in (("SERVICE_LEVEL", 0.75), ("ABANDONMENT", 0.05), ("ASA", 20.0)):
        target = Target.model_validate({**of, "metric": metric, "threshold_seconds": 20, "each_target": each})
        assert goal_of(target).target == each
    whole = Target.model_validate({**of, "metric": "SERVICE_LEVEL", "threshold_seconds": 20})
    assert goal_of(whole).target == 0.9
