"""A day's plan of chats, deferred work and campaigns played, each in its own measure."""

import dataclasses
import math

import numpy as np
import pytest

from muster.simulator.calling import CallDay, play_calls
from muster.simulator.chats import ChatDay, play_chats
from muster.simulator.deferred import Mail, play_mail
from services.staffing.domain.facts import ForecastDay, RequirementDay
from services.staffing.domain.outbound import Campaign
from services.staffing.domain.requirement import Goal, Rules
from services.staffing.handlers.calling import CallingDay, on_campaign
from services.staffing.handlers.deferring import DeskDays, on_deferred
from services.staffing.handlers.requiring import QueueRules, on_forecast
from services.staffing.handlers.simulating import Asked, Simulation
from services.staffing.handlers.simulating_campaigns import simulate_campaign
from services.staffing.handlers.simulating_chats import simulate_chats
from services.staffing.handlers.simulating_mail import MailPlan, simulate_mail
from tests.unit.test_ahead import SLOTS, forecast
from tests.unit.test_chatting import GOAL, LEVELS
from tests.unit.test_chatting import rules as chat_rules
from tests.unit.test_deferring import DAY, HALF_HOUR, desk, mails, nine_o_clock

USUAL = Asked(300, "LEAVE", None, uncertain=False)
CAMPAIGN = Campaign(150.0, 0.3, 300.0, attempt=25.0, occupancy_cap=0.85, confidence=0.9)


# Chats


def chats(
    asked: Asked = USUAL, rules: QueueRules | None = None, staff: np.ndarray | None = None, goal: Goal = GOAL
) -> Simulation:
    rules = rules or chat_rules(3, LEVELS)
    needed = on_forecast([forecast()], rules, 1, 0)[0]
    return simulate_chats(forecast(), needed, goal, rules, staff, asked)


def test_what_the_formula_says_of_chats_is_what_is_played() -> None:
    found = chats()
    off = np.array(found.moving) - np.array(found.simulated)
    assert np.abs(off[1:]).mean() < 0.03  # the first half-hour begins empty
    assert found.predicted == pytest.approx(found.moving)
    assert found.foreseen == pytest.approx(found.day, abs=0.03)
    assert found.at_once == 3 and found.concurrency is not None and 1.5 < found.concurrency < 3
    assert found.contacts == pytest.approx(300 * 60 * SLOTS, rel=0.02)


def test_chats_as_scheduled_are_judged_by_the_agents_scheduled() -> None:
    needed = on_forecast([forecast()], chat_rules(3, LEVELS), 1, 0)[0].on_queue
    fewer = chats(staff=np.array(needed) - 1.0)
    assert fewer.predicted == [None] * SLOTS
    assert fewer.agents == [round(n - 1) for n in needed]
    assert fewer.day < chats().day - 0.05
    assert fewer.foreseen == pytest.approx(fewer.day, abs=0.05)


def test_a_band_makes_days_of_chats_differ_and_the_same_question_has_the_same_answer() -> None:
    moved = dataclasses.replace(USUAL, uncertain=True)
    assert chats(moved).day_half > 1.5 * chats().day_half
    assert chats(moved) == chats(moved)
    assert chats(dataclasses.replace(USUAL, sigma=0.0)).day != chats().day


def test_chats_promised_over_the_answered_are_judged_so() -> None:
    answered = dataclasses.replace(GOAL, definition="ANSWERED_OVER_ANSWERED")
    few = np.full(SLOTS, 3.0)
    assert chats(staff=few, goal=answered).day > chats(staff=few).day + 0.05


# Deferred work


def mail(
    days: list[ForecastDay],
    rule: str = "8h",
    backlog: list[tuple[int, int]] | None = None,
    now: int | None = None,
    cut: float = 1.0,
    asked: Asked = USUAL,
) -> Simulation:
    at, now = desk(rule), days[0].starts[0] if now is None else now
    answers: list[RequirementDay] = on_deferred(DeskDays(days, backlog or [], at, 0.9, now), Rules((), 0, 0.0, 0.0), 1)
    staff = {s: math.floor(n * cut) for day in answers for s, n in zip(day.starts, day.on_queue, strict=True)}
    return simulate_mail(MailPlan(days, backlog or [], at, 0.9, staff, answers[-1]), asked, now)


@pytest.mark.parametrize("rule", ["2h", "8h", "end_of_day+1@15:00"])
def test_the_share_foreseen_of_a_day_of_mail_is_what_is_played(rule: str) -> None:
    found = mail(mails(300, 4), rule)
    assert found.measure == "DEADLINE_MET" and len(found.starts) == 48
    assert found.foreseen == pytest.approx(found.day, abs=0.03)
    assert found.days_met >= 0.9
    assert found.backlog is not None
    come, due = sum(found.offered), sum(found.backlog.due)
    assert due == pytest.approx(come, rel=0.25)
    assert all(d == 0 for d, level in zip(found.backlog.due, found.simulated, strict=True) if math.isnan(level))


def test_too_few_agents_are_seen_in_what_is_late_and_in_what_waits() -> None:
    enough, few = mail(mails(300, 4)), mail(mails(300, 4), cut=0.7)
    assert few.day < enough.day - 0.1
    # A fluid flatters those who are behind: what is begun shortly before it is due is done after.
    assert few.foreseen is not None and enough.foreseen is not None and few.day < few.foreseen < enough.foreseen - 0.1
    assert enough.backlog is not None and few.backlog is not None
    assert few.backlog.simulated[-1] > enough.backlog.simulated[-1] + 100
    assert few.backlog.predicted[-1] == pytest.approx(few.backlog.simulated[-1], rel=0.1)
    old = [row[2] + row[3] for row in few.backlog.aged]
    assert max(old) > 10 > max(row[2] + row[3] for row in enough.backlog.aged)


def test_by_hand_what_is_open_is_done_first_and_what_is_overdue_last() -> None:
    days = nine_o_clock(0.0, 1)
    nine = days[0].starts[18]
    # Friday at ten, due at ten on Monday; a week ago, overdue.
    backlog = [(nine - 10 * DAY, 40), (days[0].starts[0] - 3 * DAY + 10 * 3600, 6), (days[0].starts[17], 0)]
    plan = MailPlan(days, backlog, desk("8h", 590.0), 0.9, dict.fromkeys(days[0].starts[18:34], 1.0), None)
    found = simulate_mail(plan, dataclasses.replace(USUAL, sigma=0.0), nine)
    assert found.starts[0] == nine and found.agents[:2] == [1, 1]
    assert found.backlog is not None
    assert found.backlog.due[1] == 6 and sum(found.backlog.due) == 6
    assert found.simulated[1] == 1.0 and found.days_met == 1.0
    assert found.backlog.overdue == 40
    assert found.backlog.simulated[:2] == pytest.approx([42.0, 39.0], abs=1.0)
    assert found.predicted == [None] * len(found.starts)


def test_mail_of_uncertain_days_differs_more() -> None:
    days = [dataclasses.replace(day, high=[1.8 * n for n in day.offered]) for day in mails(300, 3)]
    steady, moved = (mail(days, "2h", asked=dataclasses.replace(USUAL, uncertain=u)) for u in (False, True))
    assert moved.day_half > 1.5 * steady.day_half
    assert repr(moved) == repr(mail(days, "2h", asked=dataclasses.replace(USUAL, uncertain=True)))


# Campaigns


def called(reached: int | None = None) -> CallingDay:
    day = nine_o_clock(0.0, 1)[0]
    starts = day.starts[18:40]
    return CallingDay(day, starts, frozenset(starts[2:18]), reached)


def campaign(asked: Asked = USUAL, day: CallingDay | None = None, cut: int = 0, now: int = 0) -> Simulation:
    day = day or called()
    answer = on_campaign(day, CAMPAIGN, Rules((), 0, 0.0, 0.0), 1, now)
    staff = {s: max(n - cut, 0) for s, n in zip(answer.starts, answer.on_queue, strict=True)}
    return simulate_campaign(day, CAMPAIGN, staff, asked, now)


def test_a_campaign_reaches_its_contacts_as_often_as_planned() -> None:
    found = campaign(dataclasses.replace(USUAL, days=2000))
    assert found.measure == "CAMPAIGN" and found.calls is not None and found.calls.wanted == 150
    assert 0.88 < found.days_met < 0.97
    assert found.calls.chance == pytest.approx(found.days_met, abs=0.05)
    assert found.day > 0.99 and found.foreseen == pytest.approx(1.0)
    assert found.simulated[:2] == [0.0, 0.0]  # no calls before ten
    assert sum(found.calls.reached) == pytest.approx(150 * found.day)
    assert found.calls.attempts == pytest.approx(500, rel=0.02)


def test_the_contacts_planned_by_the_hour_are_those_reached() -> None:
    found = campaign(dataclasses.replace(USUAL, days=2000), cut=1)
    assert found.calls is not None
    planned, reached = np.array(found.calls.predicted), np.array(found.calls.reached)
    assert np.abs(planned - reached).mean() < 0.5
    assert found.foreseen == pytest.approx(found.day, abs=0.02)
    assert found.day < 0.95 and found.days_met < 0.1


def test_what_today_has_reached_is_not_called_again() -> None:
    noon = called().starts[6] + 600
    found = campaign(day=called(reached=100), now=noon)
    assert found.starts[0] == called().starts[6] and found.calls is not None and found.calls.wanted == 50
    with pytest.raises(ValueError, match="0 contacts are left"):
        campaign(day=called(reached=150), now=noon)


def test_agents_who_call_rest_as_the_cap_says() -> None:
    day = CallDay(np.array([10] * 8), np.ones(8, bool), float(HALF_HOUR), 10**6, 1.0, 0.0, 300.0, 0.0, None, 0.5)
    seen = play_calls(day, 2, np.random.default_rng(1))
    assert seen.reached.tolist() == [[30] * 8] * 2  # 300 s, then 300 s of rest: three in half an hour each
    with pytest.raises(ValueError, match="cap 0"):
        dataclasses.replace(day, cap=0.0)


def test_paths_must_fit_the_days_played() -> None:
    wrong, one = np.ones((2, 3)), np.ones(4, np.int64)
    day = ChatDay(np.ones(4), one, 1800.0, np.array(LEVELS), 240.0, 40.0)
    nothing, none = np.zeros((0, 2)), np.zeros(0, np.int64)
    post = Mail(np.ones(4), one, 1800.0, np.full((4, 2), 7200.0), one * 0, 300.0, nothing, none)
    with pytest.raises(ValueError, match=r"paths \(2, 3\); allowed"):
        play_chats(day, 2, np.random.default_rng(1), wrong)
    with pytest.raises(ValueError, match=r"paths \(2, 3\); allowed"):
        play_mail(post, 2, np.random.default_rng(1), wrong)
    many = play_chats(day, 400, np.random.default_rng(1), np.full((400, 4), 9.0)).offered.mean()
    assert many == pytest.approx(9.0, abs=0.3)
