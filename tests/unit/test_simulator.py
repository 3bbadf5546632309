"""The floor: nobody is served twice, the same callers meet any roster, habits bend the plan."""

import numpy as np
import pytest

from muster.simulator.arrivals import Caller, Demand, draw_callers, expected_handle
from muster.simulator.floor import Duty, Floor, Habits, chance

T0 = 1_774_400_400
PUNCTUAL = Habits(0.001, 0.001, 0.0)
DEMAND = Demand("a/b", T0, 1800, np.full(8, 30.0), 0.05, 0.1, 200.0, 0.5, 0.1, 150.0, 0.05)


def played(agents: int, seed: int = 1, hours: int = 4) -> Floor:
    floor = Floor(draw_callers(DEMAND, chance(seed, "x")), {f"a{n}": "leeds" for n in range(agents)}, PUNCTUAL, seed, T0)
    for agent in floor.agents:
        floor.set_duties(agent, [Duty(T0, T0 + hours * 3600, "a/b", "")])
    floor.advance(T0 + 6 * 3600)
    return floor


def test_every_caller_is_answered_or_hangs_up_and_more_agents_answer_sooner() -> None:
    few, many = played(4), played(8)
    for floor in (few, many):
        assert {r.stage for r in floor.records} <= {"WRAPPED", "ABANDONED"}
    in_time = [sum(r.stage == "WRAPPED" and (r.wait or 0) <= 20 for r in f.records) for f in (few, many)]
    assert in_time[0] < in_time[1]
    assert [r.caller for r in few.records] == [r.caller for r in many.records]


def test_the_same_seed_plays_the_same_day() -> None:
    one, two = played(5), played(5)
    assert [(r.stage, r.wait) for r in one.records] == [(r.stage, r.wait) for r in two.records]


def test_agents_finish_their_contact_before_they_leave() -> None:
    floor = Floor([Caller("c", "a/b", T0 + 10.0, 99.0, 500.0, 0.0)], {"a": "leeds"}, PUNCTUAL, 1, T0)
    floor.set_duties("a", [Duty(T0, T0 + 60, "a/b", "")])
    floor.advance(T0 + 100)
    assert floor.agents["a"].state == "ON_CONTACT"
    floor.advance(T0 + 600)
    assert (floor.agents["a"].state, floor.records[0].stage) == ("LOGGED_OUT", "WRAPPED")


def test_a_new_plan_takes_effect_at_once() -> None:
    floor = Floor([], {"a": "leeds"}, PUNCTUAL, 1, T0)
    floor.set_duties("a", [Duty(T0, T0 + 3600, "a/b", "")])
    floor.advance(T0 + 600)
    floor.set_duties("a", [Duty(T0, T0 + 3600, "a/c", "")])
    floor.advance(T0 + 601)
    assert floor.agents["a"].queue == "a/c"


def test_changes_are_told_once() -> None:
    floor = played(4)
    assert floor.take_contacts()
    assert floor.take_contacts() == []


def test_handle_times_have_the_mean_they_are_meant_to() -> None:
    callers = [c for seed in range(30) for c in draw_callers(DEMAND, chance(seed, "y"))]
    mean = np.mean([c.talk + c.after_call for c in callers])
    assert mean == pytest.approx(expected_handle(DEMAND), rel=0.02)
