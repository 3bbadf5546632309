"""The floor with chats and mail: who takes what, how long it takes, and that nothing is lost."""

import dataclasses
import math

import numpy as np
import pytest

from muster.simulator.arrivals import Caller, Demand, draw_callers
from muster.simulator.chats import ChatDay, play_chats
from muster.simulator.floor import Duty, Floor, Habits, chance
from muster.simulator.lines import Calls, Manner

T0 = 1_774_400_400
PUNCTUAL = Habits(0.001, 0.001, 0.0)
CHAT, MAIL = Manner((1.0, 1.5, 2.0)), Manner(deferred=True)


def caller(name: str, arrives: float, seconds: float, due: float = math.inf) -> Caller:
    return Caller(name, "a/b", T0 + arrives, math.inf, seconds, 0.0, T0 + due)


def floor_of(callers: list[Caller], agents: int, manner: Manner, hours: float = 10.0) -> Floor:
    floor = Floor(callers, {f"a{n}": "leeds" for n in range(agents)}, PUNCTUAL, 1, T0 - 60, {"a/b": manner})
    for agent in floor.agents:
        floor.set_duties(agent, [Duty(T0 - 60, T0 + int(3600 * hours), "a/b", "")])
    return floor


def test_a_chat_goes_to_who_has_the_fewest() -> None:
    floor = floor_of([caller(str(n), n, 900.0) for n in range(5)], 2, CHAT)
    floor.advance(T0 + 60)
    assert sorted(len(a.contacts) for a in floor.agents.values()) == [2, 3]
    floor = floor_of([caller(str(n), n, 900.0) for n in range(7)], 2, CHAT)
    floor.advance(T0 + 60)
    assert [len(a.contacts) for a in floor.agents.values()] == [3, 3]
    assert sum(r.stage == "OFFERED" for r in floor.records) == 1


def test_chats_side_by_side_take_longer_each_and_less_together() -> None:
    floor = floor_of([caller("one", 0.0, 300.0), caller("two", 0.0, 300.0)], 1, CHAT)
    floor.advance(T0 + 3600)
    assert [r.took for r in floor.records] == pytest.approx([450.0, 450.0])
    floor = floor_of([caller("one", 0.0, 300.0), caller("two", 150.0, 300.0)], 1, CHAT)
    floor.advance(T0 + 3600)
    # Half alone, the rest beside the other; then the other alone again.
    assert [r.took for r in floor.records] == pytest.approx([150 + 225, 225 + 150])
    assert all(a.state == "AVAILABLE" and not a.contacts for a in floor.agents.values())


def test_chats_in_hand_are_finished_before_an_agent_goes_and_none_is_added() -> None:
    floor = floor_of([caller("one", 0.0, 600.0), caller("late", 400.0, 60.0)], 1, CHAT, hours=0.1)
    floor.advance(T0 + 7200)
    (agent,) = floor.agents.values()
    assert [r.stage for r in floor.records] == ["WRAPPED", "OFFERED"]
    assert agent.state == "LOGGED_OUT"
    assert floor.records[0].took == pytest.approx(600.0)


def test_an_agent_who_comes_back_in_the_middle_of_a_chat_has_room_beside_it() -> None:
    floor = floor_of([caller("one", 0.0, 600.0), caller("two", 400.0, 60.0)], 1, CHAT)
    floor.advance(T0 + 60)
    for at, queue in ((100, "a/c"), (200, "a/b")):
        floor.set_duties("a0", [Duty(T0, T0 + 36_000, queue, "")])
        floor.advance(T0 + at)
    floor.advance(T0 + 410)
    assert len(floor.agents["a0"].contacts) == 2


@pytest.mark.parametrize("agents", [4, 5])
def test_a_chat_floor_serves_as_the_chats_simulator_does(agents: int) -> None:
    rates, levels = np.full(16, 40.0), np.array([300.0, 450.0, 600.0])
    demand = Demand("a/b", T0, 1800, rates, 0.0, 0.0, 300.0 / math.exp(0.55**2 / 2), 0.55, 0.0, math.inf, 0.0)
    within, took = [], []
    for seed in range(40):
        floor = floor_of(draw_callers(demand, chance(seed, "chats")), agents, CHAT, hours=9.0)
        floor.advance(T0 + 9 * 3600)
        waits = [r.wait for r in floor.records if r.caller.arrives < T0 + 8 * 3600]
        within.append(np.mean([w is not None and w <= 30 for w in waits]))
        took += [r.took for r in floor.records if r.took is not None]
    day = ChatDay(np.append(rates, [0.0, 0.0]), np.full(18, agents), 1800.0, levels, math.inf, 30.0, 0.55)
    seen = play_chats(day, 400, np.random.default_rng(3))
    expected = (seen.within.sum(axis=1) / seen.offered.sum(axis=1)).mean()
    assert np.mean(within) == pytest.approx(expected, abs=3.5 * np.std(within) / math.sqrt(40))
    assert np.mean(took) == pytest.approx(seen.chat_seconds.sum() / seen.answered.sum(), rel=0.03)


def test_mail_goes_by_deadline_and_what_is_late_comes_last() -> None:
    mails = [caller("late", -50.0, 100.0, 80.0), caller("far", -40.0, 100.0, 9000.0), caller("near", -30.0, 100.0, 500.0)]
    floor = floor_of([caller("first", -55.0, 155.0, 50.0), *mails], 1, MAIL)
    floor.advance(T0 + 3600)
    ended = {r.caller.contact_id: r.caller.arrives + (r.wait or 0.0) - T0 for r in floor.records}
    assert sorted(ended, key=lambda name: ended[name]) == ["first", "near", "far", "late"]
    assert {r.caller.contact_id for r in floor.records if r.in_time} == {"near", "far"}


def test_the_floor_tells_of_mail_when_it_comes_and_when_it_is_done() -> None:
    floor = floor_of([caller("one", 0.0, 600.0, 3600.0)], 1, MAIL)
    told = []
    for at in (10, 300, 700):
        floor.advance(T0 + at)
        told.append([dataclasses.astuple(r)[1:4] for r in floor.take_contacts()])
    assert told == [[(1, "TAKEN", None)], [], [(2, "WRAPPED", pytest.approx(600.0))]]


def test_mail_that_came_before_the_floor_opened_is_worked_first_and_its_wait_is_whole() -> None:
    floor = floor_of([caller("old", -7200.0, 60.0, 100.0)], 1, MAIL)
    floor.advance(T0 + 3600)
    assert floor.records[0].wait == pytest.approx(7200.0 - 60.0 + 60.0)
    assert floor.records[0].in_time


def test_a_stretch_that_falls_is_refused() -> None:
    for stretch in ((), (2.0,), (1.0, 0.9)):
        with pytest.raises(ValueError, match="stretch is"):
            Manner(stretch)


def attempts(count: int, connect_rate: float, seconds: float, dialled: float) -> tuple[Caller, ...]:
    hits = chance(3, "attempts").random(count) < connect_rate
    return tuple(
        Caller(f"t{n}", "a/b", 0.0, math.inf, seconds, 0.0, dialled=dialled, reaches=bool(hit)) for n, hit in enumerate(hits)
    )


def test_agents_call_one_after_the_other_in_calling_hours_until_enough_are_reached() -> None:
    calls = Calls(attempts(4000, 0.25, 200.0, 20.0), 60, ((T0 + 1800, T0 + 5400), (T0 + 7200, T0 + 36_000)))
    floor = floor_of([], 3, Manner(calls=calls))
    floor.advance(T0 + 1800)
    assert not floor.records
    assert all(a.state == "AVAILABLE" for a in floor.agents.values())
    floor.advance(T0 + 7100)
    first = [r.begun - T0 for r in floor.records]
    assert min(first) == pytest.approx(1800.0, abs=1)
    assert max(first) < 5400
    floor.advance(T0 + 36_000)
    assert sum(r.stage == "WRAPPED" for r in floor.records) == 60
    assert {r.stage for r in floor.records} == {"WRAPPED", "MISSED"}
    assert all(a.state == "AVAILABLE" for a in floor.agents.values())
    took = {r.stage: r.took for r in floor.records}
    assert took == {"WRAPPED": pytest.approx(220.0), "MISSED": pytest.approx(20.0)}
    # 60 contacts of 200 s and four attempts of 20 s each, by three agents.
    busy = sum(r.took or 0.0 for r in floor.records)
    assert busy == pytest.approx(60 * (200 + 80), rel=0.15)


def test_only_contacts_that_were_reached_are_told() -> None:
    calls = Calls(attempts(40, 0.5, 100.0, 10.0), 10, ((T0, T0 + 36_000),))
    floor = floor_of([], 1, Manner(calls=calls))
    floor.advance(T0 + 36_000)
    told = floor.take_contacts()
    assert len(told) == 10
    assert all(r.stage == "WRAPPED" and r.caller.arrives == r.begun and r.wait is None for r in told)
