"""Plans of every channel asked for and played, from the book and the facts to what a planner sees."""

import types
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from rich.console import Console

from muster.cli import simulation
from muster.kit.errors import MusterError
from muster.v1 import staffing_service_pb2 as pb
from services.staffing.domain.erlang import Floats
from services.staffing.domain.facts import ForecastDay
from services.staffing.outlooks import Outlooks
from services.staffing.plan_rpc import PlanEdge
from services.staffing.simulation_rpc import SimulationEdge
from tests.support.staffing_world import CALLS, CHAT, MAIL, Staffing, applied, staffing_on, with_a_campaign

TUESDAY = "2026-03-24"


def edge_of(staffing: Staffing) -> SimulationEdge:
    requiring: Any = staffing.requiring
    outlooks = Outlooks(requiring.settings, staffing.streams, requiring, requiring.clock)
    work: Any = types.SimpleNamespace(
        streams=staffing.streams, requiring=requiring, clock=requiring.clock, deciding=types.SimpleNamespace(outlooks=outlooks)
    )
    parts: Any = types.SimpleNamespace(clock=requiring.clock)
    return SimulationEdge(PlanEdge(parts, work))


@pytest.fixture
def staffing(engine: sa.Engine) -> Staffing:
    found = staffing_on(engine)
    applied(found, with_a_campaign())
    for queue, offered in ((MAIL, 8.0), (CHAT, 30.0), (CALLS, 5.0)):
        found.expect(queue, offered, 360.0, 5)
    return found


def played(staffing: Staffing, queue: str, day: str = TUESDAY, **more: Any) -> pb.SimulatePlanResponse:
    request = pb.SimulatePlanRequest(queue=queue, local_date=day, days=more.pop("days", 60), **more)
    return staffing.database.run_here(lambda c: edge_of(staffing).gather(c, request))()


def printed(found: pb.SimulatePlanResponse, queue: str, monkeypatch: pytest.MonkeyPatch) -> str:
    out = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    monkeypatch.setattr(simulation, "console", lambda: out)
    simulation.show_simulation(found, queue, "requirement", 60, "Europe/London")
    return out.export_text()


def test_mail_is_played_from_now_to_the_end_of_its_day(staffing: Staffing, monkeypatch: pytest.MonkeyPatch) -> None:
    found = played(staffing, MAIL)
    assert (found.measure, found.due_rule, found.target) == ("DEADLINE_MET", "8h", 0.95)
    assert len(found.starts_at_epoch_seconds) == 48
    assert found.day_service_level == pytest.approx(found.day_predicted, abs=0.04)
    assert found.days_met > 0.8
    assert len(found.backlog.aged_count) == 48 * len(found.backlog.age_seconds)
    text = printed(found, MAIL, monkeypatch)
    assert "target 95% in time, due 8h" in text and "items fall due on the day" in text
    assert "over 4 h" in text and "over 72 h" not in text
    assert max(len(line) for line in text.splitlines()) <= 160
    today = played(staffing, MAIL, "")
    assert len(today.starts_at_epoch_seconds) == 32  # from eight on


def four_by_day(self: Outlooks, connection: Any, book: Any, queue: Any, forecast: ForecastDay) -> Floats:
    """Four agents from eight to six (London is on UTC), none by night; fewer are on queue than are scheduled."""
    return np.array([4.0 if 8 <= start % 86_400 // 3600 < 18 else 0.0 for start in forecast.starts])


@pytest.mark.parametrize("queue", [MAIL, CHAT, CALLS])
def test_what_is_scheduled_is_played_less_those_who_are_away(
    staffing: Staffing, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Outlooks, "scheduled", four_by_day)
    there = round(4 * 0.95)  # a twentieth is sick
    found = played(staffing, queue, scheduled=True)
    for start, agents in zip(found.starts_at_epoch_seconds, found.agents, strict=True):
        assert agents == (there if 8 <= start % 86_400 // 3600 < 18 else 0)
    assert set(found.predicted_service_level) == {-1.0}
    if queue == CHAT:  # what came by night waits for ever in the morning, and the formula takes each interval for itself
        assert found.day_service_level < 0.1 < found.day_predicted
    else:
        assert found.day_service_level == pytest.approx(found.day_predicted, abs=0.05)


def test_what_is_overdue_is_said(staffing: Staffing, monkeypatch: pytest.MonkeyPatch) -> None:
    staffing.came(MAIL, -10 * 24, 70, 30)
    found = played(staffing, MAIL, "")
    assert found.backlog.overdue_count == 40
    assert "40 items are overdue already" in printed(found, MAIL, monkeypatch)


def test_chats_are_played_several_at_once(staffing: Staffing, monkeypatch: pytest.MonkeyPatch) -> None:
    found = played(staffing, CHAT)
    assert (found.measure, found.chats_at_once, found.target, found.threshold_seconds) == ("SERVICE_LEVEL", 3, 0.8, 40.0)
    assert found.day_service_level == pytest.approx(found.day_predicted, abs=0.03)
    assert 1 < found.concurrency <= 3
    text = printed(found, CHAT, monkeypatch)
    assert "3 chats at once" in text and "by formula" in text and "in mean" in text


def test_a_campaign_is_played_until_its_contacts_are_reached(staffing: Staffing, monkeypatch: pytest.MonkeyPatch) -> None:
    found = played(staffing, CALLS)
    assert (found.measure, found.target) == ("CAMPAIGN", 1.0)
    assert sum(found.campaign.reached_count) == pytest.approx(found.campaign.wanted_count * found.day_service_level)
    assert found.simulated_service_level[-1] == pytest.approx(found.day_service_level)
    text = printed(found, CALLS, monkeypatch)
    assert "contacts to reach" in text and "all are reached on" in text and "by then, planned" in text


@pytest.mark.parametrize(
    ("queue", "day", "more", "reason", "why"),
    [
        (CHAT, TUESDAY, {"discipline": "BLOCK"}, "INVALID_SIMULATION", "BLOCK is for calls"),
        (MAIL, TUESDAY, {"discipline": "BLOCK"}, "INVALID_SIMULATION", "BLOCK is for calls"),
        (CALLS, TUESDAY, {"uncertain": True}, "INVALID_SIMULATION", "ask without it"),
        (MAIL, TUESDAY, {"scheduled": True}, "NO_SCHEDULE", "no schedule is published"),
        (CHAT, TUESDAY, {"scheduled": True}, "NO_SCHEDULE", "no schedule is published"),
        (MAIL, TUESDAY, {"days": 5000}, "INVALID_SIMULATION", "play it fewer times"),
        (CHAT, "2026-05-01", {}, "NO_REQUIREMENT", "has no requirement for 2026-05-01"),
    ],
)
def test_what_can_not_be_played_says_why(
    staffing: Staffing, queue: str, day: str, more: dict[str, Any], reason: str, why: str
) -> None:
    with pytest.raises(MusterError, match=why) as caught:
        played(staffing, queue, day, **more)
    assert caught.value.reason == reason


def test_a_day_of_mail_that_is_over_is_not_played(staffing: Staffing) -> None:
    staffing.requiring.clock.move(staffing.requiring.clock.now() + 2 * 86_400)  # type: ignore[attr-defined]
    with pytest.raises(MusterError, match="ask for 2026-03-25 or a later day"):
        played(staffing, MAIL, TUESDAY)


def changed_on_tuesday() -> dict[str, Any]:
    """Return the book with half the contacts to reach and more promised of chats from Tuesday on."""
    data = with_a_campaign()
    calls, chats = data["queues"][-1], data["contracts"][-2]
    data["queues"].append({**calls, "valid_from": TUESDAY, "campaign": {**calls["campaign"], "daily_contacts": 45}})
    data["contracts"].append({**chats, "valid_from": TUESDAY, "targets": [{**chats["targets"][0], "target": 0.9}]})
    calls["valid_until"] = chats["valid_until"] = TUESDAY
    return data


def test_a_day_is_played_by_its_own_book(engine: sa.Engine) -> None:
    staffing = staffing_on(engine)
    applied(staffing, changed_on_tuesday())
    for queue, offered in ((CHAT, 30.0), (CALLS, 5.0)):
        staffing.expect(queue, offered, 360.0, 3)
    today, then = (played(staffing, CALLS, day).campaign for day in ("", TUESDAY))
    assert (today.wanted_count, then.wanted_count) == (90, 45)
    assert then.met_predicted >= then.confidence - 1e-9
    assert [played(staffing, CHAT, day).target for day in ("", TUESDAY)] == [0.8, 0.9]


def test_a_campaign_with_nothing_left_to_call_says_so(staffing: Staffing) -> None:
    staffing.came(CALLS, 7, 500, 500)
    with pytest.raises(MusterError, match="500 of 90 contacts are reached; ask for another day"):
        played(staffing, CALLS, "")
