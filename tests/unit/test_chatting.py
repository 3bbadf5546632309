"""Chat queues among the requirement: agents with several chats at once."""

import dataclasses
import time

import numpy as np
import pytest

from muster.book.check import check_book, parse_book
from muster.kit.errors import Refusal
from muster.simulator.chats import ChatDay, play_chats
from services.staffing.domain.chatting import ChatLoad, chats_given, fewest_for_chats
from services.staffing.domain.erlang import SL_OFFERED
from services.staffing.domain.group import SLOTS
from services.staffing.domain.requirement import Goal, Rules, fewest_agents, predict
from services.staffing.handlers.explaining import explain
from services.staffing.handlers.outlook import series
from services.staffing.handlers.requiring import QueueRules, load_of, on_forecast
from tests.support.small_world import book
from tests.unit.test_ahead import SLOTS as INTERVALS
from tests.unit.test_ahead import forecast

GOAL = Goal("SERVICE_LEVEL", 0.8, threshold=40.0)
LEVELS = (300.0, 360.0, 450.0)


def rules(at_once: int, by_level: tuple[float, ...] = (), minimum: int = 0) -> QueueRules:
    return QueueRules(Rules((GOAL,), minimum, 0.0, 0.0), 240.0, "", at_once, by_level)


def chats(asked: QueueRules) -> ChatLoad:
    load = load_of(forecast(), forecast().offered, asked)
    assert isinstance(load, ChatLoad)
    return load


def test_agents_with_one_chat_are_agents_with_one_call() -> None:
    calls, two = load_of(forecast(), forecast().offered, rules(1)), chats(rules(2, (300.0, 300.0)))
    one = dataclasses.replace(two, levels=two.levels[:, :1])
    told, want = fewest_agents(one, GOAL), fewest_agents(calls, GOAL)
    assert (abs(told - want) <= 1).all()
    assert fewest_agents(two, GOAL).max() < 0.7 * want.max()


def test_the_published_requirement_of_a_chat_queue_keeps_its_target_when_played() -> None:
    asked = rules(3, LEVELS)
    day = on_forecast([forecast()], asked, 1, 0)[0]
    assert set(day.drivers) == {"SERVICE_LEVEL"}
    agents = np.array(day.on_queue).astype(np.int64)
    played = play_chats(
        ChatDay(np.array(forecast().offered), agents, 1800.0, np.array(LEVELS), 240.0, 40.0), 400, np.random.default_rng(5)
    )
    levels = (
        played.within.sum(axis=0) / played.offered.sum(axis=0) if played.within.ndim > 1 else played.within / played.offered
    )
    assert levels.min() > 0.78
    assert levels[1:].mean() == pytest.approx(np.mean([v or 0.0 for v in day.service_level[1:]]), abs=0.03)
    fewer = predict(load_of(forecast(), forecast().offered, asked), agents - 1, GOAL)
    assert (GOAL.value(fewer) < 0.8).all()


def test_numbers_are_kept_and_lie_straight_between_whole_agents() -> None:
    load = chats(rules(3, LEVELS))
    whole = chats_given(load, np.full(INTERVALS, 4.0), 40.0)
    above = chats_given(load, np.full(INTERVALS, 5.0), 40.0)
    half = chats_given(load, np.full(INTERVALS, 4.5), 40.0)
    assert half.within == pytest.approx((whole.within + above.within) / 2)
    began = time.perf_counter()
    many = [dataclasses.replace(forecast(n), local_date=f"2026-03-{n + 1:02}") for n in range(28)]
    on_forecast(many, rules(3, LEVELS), 1, 0)
    again = time.perf_counter()
    on_forecast(many, rules(3, LEVELS), 1, 0)
    assert time.perf_counter() - again <= max(again - began, 0.5)
    assert fewest_for_chats(SL_OFFERED, 0.8, load, 40.0, 0.0).min() >= 2


def test_decisions_and_explanations_see_chats_too() -> None:
    asked = rules(3, LEVELS, minimum=2)
    day = on_forecast([forecast()], asked, 1, 0)[0]
    ahead = series([forecast()], [day], forecast().starts[4], asked)
    assert ahead.load.erlangs.shape == (SLOTS,)
    at_required = GOAL.value(predict(ahead.load, ahead.required, GOAL))
    assert at_required[0] == pytest.approx(day.service_level[4], abs=0.02)
    why = explain(forecast(), 4, asked)
    assert why.minimum == 2
    assert [a.agents for a in why.around] == [why.on_queue - 1, why.on_queue, why.on_queue + 1]


@pytest.mark.parametrize(
    ("channel", "most", "levels", "why"),
    [
        ("CHAT", 3, [300.0, 320.0], "allowed: max, 3, or none"),
        ("CHAT", 2, [300.0, 280.0], "no faster"),
        ("CHAT", 2, [300.0, 700.0], "no slower"),
        ("VOICE", 2, [], "goes with channel CHAT"),
    ],
)
def test_what_can_not_be_is_refused_by_the_book(channel: str, most: int, levels: list[float], why: str) -> None:
    data = book()
    data["queues"][0] |= {"channel": channel, "concurrency": {"max": most, "aht_seconds_by_level": levels}}
    with pytest.raises(Refusal) as caught:
        check_book(parse_book(data))
    assert why in " ".join(v.description for v in caught.value.violations)


def test_levels_with_parts_of_a_second_stay_as_they_are() -> None:
    load = chats(rules(2, (100.4, 200.6)))
    assert fewest_for_chats(SL_OFFERED, 0.8, load, 40.0, 0.0).min() >= 1
