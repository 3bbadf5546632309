"""Requirements of queues that are not calls, from the book and the facts to what is published."""

import dataclasses
import datetime as dt
import pathlib
from typing import Any

import pytest
import sqlalchemy as sa

from muster.book.check import check_book, parse_book
from muster.book.copy import BookCopy, BookOwner
from muster.book.terms import Target
from muster.book.types import KINDS
from muster.kit.clock import ConductedClock
from muster.kit.due import DueWork
from muster.kit.errors import Refusal
from muster.kit.loop import Fact
from muster.kit.outbox import Outbox
from muster.kit.sql import Database, migrate
from services.staffing.attaining import standing
from services.staffing.domain.attainment import CellFacts
from services.staffing.domain.facts import Attendance, ClosedCell, ForecastDay
from services.staffing.handlers.calling import explain_campaign
from services.staffing.requiring import Requiring, goal_of
from services.staffing.settings import StaffingSettings
from services.staffing.store import floor, plans
from services.staffing.store.tables import metadata
from services.staffing.streams import Streams
from tests.support.small_world import book

MONDAY = int(dt.datetime(2026, 3, 23, tzinfo=dt.UTC).timestamp())  # London is on UTC until the 29th
DAY, HALF_HOUR = 86_400, 1800
MAIL, CHAT, CALLS = "acme/mail", "acme/chat", "acme/campaign"


def with_mail_and_chat(**more: Any) -> dict[str, Any]:
    """Return the small book with mail, taken in around the clock and answered from eight to six on weekdays, and chat, three at once."""
    data = book()
    week = ["mon", "tue", "wed", "thu", "fri"]
    round_the_clock = [{"days": [*week, "sat", "sun"], "opens": "00:00", "closes": "24:00"}]
    usual = {**data["queues"][0], "patience": None, "cold_start": {"weekly_offered_count": 2000, "aht_seconds": 360}}
    served = [{"days": week, "opens": "08:00", "closes": "18:00"}]
    mail = {**usual, "name": MAIL, "channel": "EMAIL", "service_hours": served, "intake_hours": round_the_clock}
    levels = [300.0, 360.0, 450.0]
    chat = {**usual, "name": CHAT, "channel": "CHAT", "concurrency": {"max": 3, "aht_seconds_by_level": levels}}
    data["queues"] += [{k: v for k, v in q.items() if v is not None} for q in (mail, chat)]
    window = {"kind": "MONTH"}
    promise = {"metric": "DEADLINE_MET", "threshold_business": "8h", "target": 0.95, "window": window, **more}
    wait = {"metric": "SERVICE_LEVEL", "threshold_seconds": 40, "target": 0.8, "window": window}
    data["contracts"] += [
        {"name": "acme/back-office", "queues": [MAIL], "targets": [promise]},
        {"name": "acme/chats", "queues": [CHAT], "targets": [wait]},
    ]
    return data


@dataclasses.dataclass
class Staffing:
    """Staffing's requirements on a database, without Kafka."""

    database: Database
    streams: Streams
    requiring: Requiring

    def expect(self, queue: str, offered: float, aht: float, days: int, first: int = 0) -> None:
        facts = []
        for n in range(first, first + days):
            starts = list(range(MONDAY + n * DAY, MONDAY + (n + 1) * DAY, HALF_HOUR))
            date = (dt.date(2026, 3, 23) + dt.timedelta(days=n)).isoformat()
            size = len(starts)
            told, high = [offered] * size, [1.2 * offered] * size
            day = ForecastDay(queue, date, HALF_HOUR, starts, [1] * size, told, high, [aht] * size, MONDAY, 1, True)
            facts.append(Fact(day, MONDAY, b"", ""))
        self.database.run_here(lambda c: self.streams.on_forecast(c, facts))
        self.database.run_here(lambda c: self.requiring.require(c, queue, 0))

    def came(self, queue: str, hour: int, offered: int, done: int) -> None:
        facts = CellFacts(offered, done, 0, None, (), (), ())
        cell = ClosedCell(queue, MONDAY + hour * 3600, HALF_HOUR, 1, MONDAY + hour * 3600 + HALF_HOUR, facts, None)
        self.database.run_here(lambda c: self.streams.on_closed(c, [Fact(cell, MONDAY, b"", "")]))

    def required(self, queue: str) -> list[Any]:
        return self.database.run_here(lambda c: plans.list_requirements(c, queue, "", "9999"))


@pytest.fixture
def staffing(engine: sa.Engine) -> Staffing:
    return staffing_on(engine)


def staffing_on(engine: sa.Engine) -> Staffing:
    """Return staffing's requirements of the small book with mail and chat, on Monday at eight."""
    migrate(engine, pathlib.Path("services/staffing/store/migrations"))
    database, clock, copy = Database(engine), ConductedClock(MONDAY + 8 * 3600), BookCopy(metadata)
    with engine.begin() as connection:
        BookOwner(copy, tuple(KINDS)).apply(connection, parse_book(with_mail_and_chat()), False, 1)
    outbox, due = Outbox(metadata, clock), DueWork(database, metadata, clock, runs_itself=False)
    streams = Streams(copy, due, clock, outbox)
    return Staffing(database, streams, Requiring(StaffingSettings(), streams, outbox, clock))  # type: ignore[call-arg]


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


def with_a_campaign(**more: Any) -> dict[str, Any]:
    """Return the book with outbound: 90 contacts a weekday from nine to five, a third of attempts of 20 s reach someone."""
    data = with_mail_and_chat()
    served = [{"days": ["mon", "tue", "wed", "thu", "fri"], "opens": "09:00", "closes": "17:00"}]
    campaign = {"daily_contacts": 90, "connect_rate": 1 / 3, "aht_seconds": 300, "attempt_seconds": 20, **more}
    plain = {k: v for k, v in data["queues"][0].items() if k not in ("patience", "cold_start")}
    data["queues"].append({**plain, "name": CALLS, "channel": "OUTBOUND", "service_hours": served, "campaign": campaign})
    cap = {"metric": "OCCUPANCY_CAP", "target": 0.9, "window": {"kind": "DAY"}}
    data["contracts"].append({"name": "acme/outbound", "queues": [CALLS], "targets": [cap]})
    check_book(parse_book(data))
    return data


def applied(staffing: Staffing, data: dict[str, Any]) -> None:
    copy = staffing.streams.book
    staffing.database.run_here(lambda c: BookOwner(copy, tuple(KINDS)).apply(c, parse_book(data), False, 2))


def test_a_campaign_is_reserved_level_through_its_hours(staffing: Staffing) -> None:
    applied(staffing, with_a_campaign())
    staffing.expect(CALLS, 2.0, 300.0, 6)
    days = {day.local_date: day for day in staffing.required(CALLS)}
    tuesday, saturday = days["2026-03-24"], days["2026-03-28"]
    # 32,400 s of work, at 90 % 36,000 s: ten agent-hours over eight.
    assert sum(tuesday.on_queue) / 2 == 10.0
    assert set(tuesday.on_queue) == {1.0, 2.0}
    assert tuesday.load == pytest.approx([1.125] * 16)
    assert set(tuesday.drivers) == {"CAMPAIGN"}
    assert tuesday.service_level == [None] * 16
    assert tuesday.occupancy == pytest.approx([0.9] * 16)  # no more than the cap, whether one agent or two
    assert tuesday.scheduled[0] == pytest.approx(tuesday.on_queue[0] / 0.95)
    assert "90 contacts a day" in tuesday.formula
    assert saturday.starts == []
    assert sum(tuesday.on_queue_safe) > sum(tuesday.on_queue)


def test_a_campaign_that_must_be_sure_takes_more_and_one_of_few_hours_is_higher(staffing: Staffing) -> None:
    evening = [{"days": ["tue"], "opens": "15:00", "closes": "20:00"}]
    applied(staffing, with_a_campaign(confidence=0.95, calling_hours=evening))
    staffing.expect(CALLS, 2.0, 300.0, 3)
    _, tuesday, wednesday = staffing.required(CALLS)
    assert tuesday.on_queue[:12] == [0.0] * 12
    assert 10.5 < sum(tuesday.on_queue) / 2 < 14
    assert set(tuesday.drivers[:12]) == {"CLOSED"}
    assert not any(wednesday.on_queue)


def test_what_today_has_reached_is_taken_off_the_rest_of_today(staffing: Staffing) -> None:
    applied(staffing, with_a_campaign())
    staffing.expect(CALLS, 2.0, 300.0, 2)
    before = staffing.required(CALLS)[0]
    staffing.requiring.clock.move(MONDAY + 13 * 3600)  # type: ignore[attr-defined]
    staffing.came(CALLS, 9, 60, 60)
    staffing.database.run_here(lambda c: staffing.requiring.require_all(c, CALLS, 0))
    after, tomorrow = staffing.required(CALLS)
    assert after.on_queue[:8] == before.on_queue[:8]
    assert sum(after.on_queue[8:]) / 2 == pytest.approx(30 / 90 * 10, abs=0.5)
    assert sum(tomorrow.on_queue) / 2 == 10.0


def test_a_campaign_ends_with_its_row(staffing: Staffing) -> None:
    data = with_a_campaign()
    data["queues"][-1]["valid_until"] = "2026-03-25"
    applied(staffing, data)
    staffing.expect(CALLS, 2.0, 300.0, 5)
    assert [day.local_date for day in staffing.required(CALLS)] == ["2026-03-23", "2026-03-24"]


def test_why_an_interval_reserves_its_agents(staffing: Staffing) -> None:
    applied(staffing, with_a_campaign())
    staffing.expect(CALLS, 2.0, 300.0, 2)
    tuesday = staffing.required(CALLS)[1]

    def explained(connection: sa.Connection) -> Any:
        book = staffing.streams.book_today(connection)
        queue, rules = book.queues[CALLS], staffing.requiring.rules_of(connection, book, book.queues[CALLS])
        day = plans.load_forecast(connection, CALLS, tuesday.local_date)
        assert day is not None
        called = staffing.requiring.calling_day(connection, book, queue, day)
        return explain_campaign(called, tuesday.starts[3], rules, MONDAY + 8 * 3600)

    why = staffing.database.run_here(explained)
    assert (why.on_queue, why.load, why.driver) == (tuesday.on_queue[3], tuesday.load[3], "CAMPAIGN")
    assert why.offered == pytest.approx(90 / 16)  # contacts of half an hour
    assert why.aht == pytest.approx(360.0)  # with three attempts each


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


def test_reserved_agents_are_busy_where_calls_are_made_and_nowhere_else(staffing: Staffing) -> None:
    data = with_a_campaign(calling_hours=[{"days": ["tue"], "opens": "12:00", "closes": "17:00"}])
    data["contracts"][-1]["minimum_staff"] = [{"queue": CALLS, "agents": 1}]
    applied(staffing, data)
    staffing.expect(CALLS, 2.0, 300.0, 3)
    tuesday = staffing.required(CALLS)[1]
    assert tuesday.on_queue[:6] == [1.0] * 6
    assert tuesday.occupancy[:6] == [0.0] * 6
    assert tuesday.occupancy[6:] == pytest.approx([0.9] * 10)


def test_a_campaign_that_is_behind_reserves_no_more_agents_than_there_are(staffing: Staffing) -> None:
    data = with_a_campaign()
    data["queues"][-1]["required_skills"] = ["renewals"]
    for agent in data["agents"][:3]:
        agent["skills"] = [{"skill": "renewals"}]
    applied(staffing, data)
    staffing.expect(CALLS, 2.0, 300.0, 2)
    staffing.came(CALLS, 9, 5, 5)
    staffing.requiring.clock.move(MONDAY + 16 * 3600 + 1800)  # type: ignore[attr-defined]
    staffing.database.run_here(lambda c: staffing.requiring.require_all(c, CALLS, 0))
    monday = staffing.required(CALLS)[0]
    assert monday.on_queue[-1] == 3.0
    assert monday.occupancy[-1] == pytest.approx(0.9)


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
