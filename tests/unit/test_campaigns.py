"""Requirements of campaigns: what is reserved for their calls, when, and why."""

from typing import Any

import pytest
import sqlalchemy as sa

from services.staffing.handlers.calling import explain_campaign
from services.staffing.store import plans
from tests.support.staffing_world import CALLS, MONDAY, Staffing, applied, staffing_on, with_a_campaign


@pytest.fixture
def staffing(engine: sa.Engine) -> Staffing:
    return staffing_on(engine)


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
