"""What being surer costs, of chats and of deferred work: stated chances are those of days played."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from muster.domain.paths import GAUSS
from muster.kit.errors import MusterError
from muster.simulator.chats import ChatDay, play_chats
from muster.v1 import staffing_service_pb2 as pb
from services.staffing.domain.facts import ForecastDay
from services.staffing.domain.requirement import Rules
from services.staffing.domain.uncertainty import Choice, PathLoad, outcome
from services.staffing.handlers.deferring import DeskDays, on_deferred
from services.staffing.handlers.explaining import explain
from services.staffing.handlers.pricing_mail import price_mail
from services.staffing.handlers.requiring import QueueRules, on_forecast
from services.staffing.handlers.simulating import Asked
from services.staffing.handlers.simulating_mail import MailPlan, simulate_mail
from services.staffing.handlers.spreading import levels_of, luck_of, paths_of, price_day
from services.staffing.pricing_rpc import PricingEdge
from tests.support.staffing_world import CALLS, CHAT, MAIL, Staffing, applied, staffing_on, with_a_campaign
from tests.unit.test_ahead import SLOTS, forecast
from tests.unit.test_chatting import GOAL, LEVELS
from tests.unit.test_deferring import PLAIN, desk, mails
from tests.unit.test_simulation_rpc import TUESDAY, changed_on_tuesday, edge_of

# Chats


def chat_price(day: ForecastDay, patience: float = 240.0) -> dict[str, Choice]:
    return price_day(day, Rules((GOAL,), 0, 0.0, 0.0), patience, 0.85, LEVELS)


def test_what_a_day_of_chats_is_said_to_keep_is_what_it_keeps_when_played() -> None:
    day = forecast(offered=150.0, spread=0.1)
    found, paths = chat_price(day), paths_of([day], 600, luck_of("other days"))[0]
    assert found["MEAN"].hours <= found["EXPECTED"].hours <= found["DAY"].hours <= found["CONFIDENT"].hours
    assert found["DAY"].day_met >= 0.85
    for choice in found.values():
        plan = ChatDay(np.array(day.offered), choice.agents, 1800.0, np.array(LEVELS), 240.0, 40.0)
        seen = play_chats(plan, 600, np.random.default_rng(3), paths)
        kept = float((seen.within.sum(axis=1) / seen.offered.sum(axis=1) >= 0.8).mean())
        assert seen.within.sum() / seen.offered.sum() == pytest.approx(choice.expected, abs=0.025)
        assert kept == pytest.approx(choice.day_met, abs=0.09) and kept > choice.day_met - 0.03


def test_chats_are_published_as_sure_as_their_contract_says_and_explained_so() -> None:
    day, agents = forecast(offered=150.0, spread=0.1), dict[str, list[int]]()
    paths = paths_of([day], 600, luck_of("other days"))[0]
    for staff_to in ("MEAN", "DAY"):
        rules = QueueRules(Rules((GOAL,), 0, 0.0, 0.0, staff_to, 0.85), 240.0, "", len(LEVELS), LEVELS)
        answer = on_forecast([day], rules, 1, 0)[0]
        agents[staff_to] = [int(n) for n in answer.on_queue]
        plan = ChatDay(np.array(day.offered), np.array(agents[staff_to]), 1800.0, np.array(LEVELS), 240.0, 40.0)
        seen = play_chats(plan, 600, np.random.default_rng(3), paths)
        kept = float((seen.within.sum(axis=1) / seen.offered.sum(axis=1) >= 0.8).mean())
        assert (kept > 0.8) == (staff_to == "DAY")
        told = [explain(day, place, rules) for place in range(SLOTS)]
        assert [(t.on_queue, t.driver) for t in told] == list(zip(answer.on_queue, answer.drivers, strict=True))
    assert "UNCERTAINTY" in answer.drivers
    assert sum(agents["MEAN"]) < sum(agents["DAY"]) < 1.1 * sum(agents["MEAN"])


def test_chats_one_at_a_time_cost_what_calls_cost() -> None:
    day = forecast()
    rules = Rules((GOAL,), 0, 0.0, 0.0)
    calls, one = price_day(day, rules, 180.0, 0.85), price_day(day, rules, 180.0, 0.85, (300.0,))
    for name, choice in calls.items():
        assert one[name].hours == pytest.approx(choice.hours, rel=0.02)
        assert one[name].day_met == pytest.approx(choice.day_met, abs=0.06)


def test_chats_without_levels_take_the_days_mean_aht() -> None:
    assert levels_of(forecast(), 3, ()) == (300.0, 300.0, 300.0)
    assert levels_of(forecast(), 3, LEVELS) == LEVELS
    assert levels_of(forecast(), 1, ()) == ()
    load = PathLoad(np.full((2, SLOTS), 60.0), np.full(SLOTS, 450.0), 240.0, 1800.0, LEVELS)
    cap = dataclasses.replace(GOAL, metric="OCCUPANCY_CAP")
    with pytest.raises(ValueError, match="OCCUPANCY_CAP for chats"):
        outcome(load, np.full(SLOTS, 4.0), cap)


# Deferred work


def uncertain(days: list[ForecastDay], spread: float) -> list[ForecastDay]:
    """Return days whose totals have a standard deviation of `spread`, going together half."""
    found = []
    for day in days:
        offered = np.array(day.offered)
        high = (offered + GAUSS[5] * np.sqrt((spread * offered) ** 2 + offered)).tolist()
        total = [float(offered.sum()) * (1 + spread * g) for g in GAUSS]
        found.append(dataclasses.replace(day, high=high, total=total, between_days=0.5))
    return found


def mail_price(spread: float, rule: str = "2h", sure: float = 0.9, place: int = 3) -> dict[str, Choice]:
    days = uncertain(mails(300, 10), spread)
    return price_mail(DeskDays(days, [], desk(rule), 0.9, days[0].starts[0]), PLAIN, sure, days[place].local_date)


def test_being_surer_of_deadlines_costs_more_the_less_is_known() -> None:
    sure, unsure = mail_price(0.05), mail_price(0.25)
    for found in (sure, unsure):
        assert set(found) == {"MEAN", "EXPECTED", "DAY"}
        assert found["EXPECTED"].hours <= found["DAY"].hours
        assert found["EXPECTED"].expected >= 0.9 and found["DAY"].day_met >= 0.9
    assert unsure["MEAN"].day_met < sure["MEAN"].day_met
    assert unsure["DAY"].price > 0 > sure["DAY"].price
    work = 300 * 480 / 3600
    assert all(c.hours >= 0.95 * work for c in (*sure.values(), *unsure.values()))  # what is late must be done too
    assert repr(mail_price(0.05)) == repr(sure)


def test_the_mean_is_what_is_published_and_its_chance_what_is_played() -> None:
    days, at = uncertain(mails(300, 10), 0.2), desk("2h")
    now, thursday = days[0].starts[0], days[3].local_date
    answers = on_deferred(DeskDays(days, [], at, 0.9, now), PLAIN, 1)
    mean = price_mail(DeskDays(days, [], at, 0.9, now), PLAIN, 0.85, thursday)["MEAN"]
    assert mean.agents.tolist() == answers[3].on_queue
    staff = {s: n for day in answers for s, n in zip(day.starts, day.on_queue, strict=True)}
    found = simulate_mail(MailPlan(days[:4], [], at, 0.9, staff, None), Asked(600, "LEAVE", None, uncertain=True), now)
    assert mean.expected == pytest.approx(found.day, abs=0.02)
    assert mean.day_met == pytest.approx(found.days_met, abs=0.06)


def test_a_day_on_which_nothing_falls_due_has_no_price() -> None:
    with pytest.raises(ValueError, match="nothing falls due on 2026-06-06"):
        mail_price(0.1, "8h", place=5)


# Asked for


@pytest.fixture
def staffing(engine: sa.Engine) -> Staffing:
    found = staffing_on(engine)
    applied(found, with_a_campaign())
    for queue, offered in ((MAIL, 8.0), (CHAT, 30.0), (CALLS, 5.0)):
        found.expect(queue, offered, 360.0, 5)
    return found


def priced(staffing: Staffing, queue: str, day: str = TUESDAY, **more: Any) -> pb.PriceRequirementResponse:
    request = pb.PriceRequirementRequest(queue=queue, local_date=day, **more)
    return staffing.database.run_here(lambda c: PricingEdge(edge_of(staffing).edge).gather(c, request))()


def test_a_planner_asks_what_being_surer_costs_of_chats_and_of_mail(staffing: Staffing) -> None:
    chats, mail = priced(staffing, CHAT), priced(staffing, MAIL, sureness=0.9)
    assert [c.staff_to for c in chats.choices] == ["MEAN", "EXPECTED", "CONFIDENT", "DAY"]
    assert (chats.measure, chats.target, chats.due_rule) == ("SERVICE_LEVEL", 0.8, "")
    assert [c.staff_to for c in mail.choices] == ["MEAN", "EXPECTED", "DAY"]
    assert (mail.measure, mail.target, mail.due_rule) == ("DEADLINE_MET", 0.95, "8h")
    assert all(c.intervals_met == -1 for c in mail.choices)


def test_a_day_is_priced_by_its_own_book(engine: sa.Engine) -> None:
    staffing = staffing_on(engine)
    applied(staffing, changed_on_tuesday())
    staffing.expect(CHAT, 30.0, 360.0, 3)
    assert [priced(staffing, CHAT, day).target for day in ("", TUESDAY)] == [0.8, 0.9]


@pytest.mark.parametrize(
    ("queue", "day", "reason", "why"),
    [
        (CALLS, TUESDAY, "NOT_FOR_OUTBOUND", "is its campaign's confidence, see muster requirement explain"),
        (MAIL, "2026-03-22", "NO_REQUIREMENT", "has no requirement for 2026-03-22"),
    ],
)
def test_what_has_no_price_says_why(staffing: Staffing, queue: str, day: str, reason: str, why: str) -> None:
    with pytest.raises(MusterError, match=why) as caught:
        priced(staffing, queue, day)
    assert caught.value.reason == reason
