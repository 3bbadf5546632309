"""Erlang A and C against published values, and as properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.staffing.domain.erlang import Load, erlang_b_inverse
from services.staffing.domain.requirement import Goal, Rules, combined_shrinkage, fewest_agents, predict, require

EIGHTY_TWENTY = Goal("SERVICE_LEVEL", 0.8, threshold=20.0)


def load(per_half_hour: float, handle: float, patience: float = np.inf) -> Load:
    return Load(np.array([per_half_hour / 1800]), np.array([handle]), np.array([patience]))


def test_a_hundred_calls_of_three_minutes_need_fourteen_agents() -> None:
    """The worked example of the trade: 10 Erlangs, 80/20, 14 agents at 88.8 % (e.g. Koole, Call Center Optimization, 2013)."""
    calls = load(100, 180)
    assert fewest_agents(calls, EIGHTY_TWENTY).tolist() == [14]
    assert predict(calls, np.array([14]), EIGHTY_TWENTY).within[0] == pytest.approx(0.8884, abs=1e-4)


def test_twenty_erlangs_at_eighty_in_thirty_need_twenty_four() -> None:
    calls = load(200, 180)
    assert fewest_agents(calls, Goal("SERVICE_LEVEL", 0.8, threshold=30.0)).tolist() == [24]


def test_erlang_b_of_ten_erlangs_on_ten_lines() -> None:
    """0.2146, Cooper, Introduction to Queueing Theory, tables."""
    assert 1 / erlang_b_inverse(np.array([10.0]), 10)[10, 0] == pytest.approx(0.2145823, abs=1e-7)


def test_endless_patience_is_erlang_c() -> None:
    patient, endless = load(100, 180, 1e7), load(100, 180)
    a, c = (predict(x, np.array([12]), EIGHTY_TWENTY) for x in (patient, endless))
    assert a.within == pytest.approx(c.within, abs=1e-4)
    assert a.waits == pytest.approx(c.waits, abs=1e-4)


def test_an_unstable_queue_without_patience_serves_nobody_in_time() -> None:
    assert predict(load(100, 180), np.array([9]), EIGHTY_TWENTY).within[0] == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.5, 400), st.floats(30, 1200), st.floats(20, 2000), st.integers(1, 40))
def test_one_more_agent_never_serves_worse(calls: float, handle: float, patience: float, agents: int) -> None:
    n = np.array([agents, agents + 1])
    both = Load(np.full(2, calls / 1800), np.full(2, handle), np.full(2, patience))
    s = predict(both, n, EIGHTY_TWENTY)
    assert s.within[1] >= s.within[0] - 1e-9
    assert s.abandoned[1] <= s.abandoned[0] + 1e-9
    assert np.all((s.within >= 0) & (s.within <= s.answered + 1e-9) & (s.occupancy <= 1))


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.5, 300),
    st.floats(30, 900),
    st.sampled_from([60.0, 200.0, np.inf]),
    st.sampled_from(["ANSWERED_OVER_OFFERED", "ANSWERED_OVER_ANSWERED", "LESS_SHORT_ABANDONS", "ABANDONED_IN_TIME_COUNT"]),
)
def test_the_requirement_is_the_fewest_that_keep_the_target(
    calls: float, handle: float, patience: float, definition: str
) -> None:
    goal = Goal("SERVICE_LEVEL", 0.8, definition, 20.0, 5.0)
    one = load(calls, handle, patience)
    n = fewest_agents(one, goal)
    assert goal.value(predict(one, n, goal))[0] >= 0.8
    if n[0] > 1:
        assert goal.value(predict(one, n - 1, goal))[0] < 0.8


def test_what_decided_is_said_and_rounding_happens_once() -> None:
    goals = (EIGHTY_TWENTY, Goal("OCCUPANCY_CAP", 0.5))
    needed = require(load(100, 180), Rules(goals, 3, 0.1, 0.0625))
    assert needed.driver == ("OCCUPANCY_CAP",)
    assert needed.on_queue.tolist() == [20.0]
    assert needed.scheduled[0] == pytest.approx(20 / 0.9)
    assert needed.paid[0] == pytest.approx(20 / 0.9 / 0.9375)
    quiet = require(load(0, 180), Rules(goals, 3, 0.0, 0.0))
    assert (quiet.on_queue.tolist(), quiet.driver) == ([3.0], ("MINIMUM_STAFF",))
    assert np.isnan(quiet.service_level[0])  # nothing offered has no service level, never 100 %


def test_unknown_patience_is_conservative() -> None:
    assert fewest_agents(load(100, 180), EIGHTY_TWENTY)[0] >= fewest_agents(load(100, 180, 120), EIGHTY_TWENTY)[0]


def test_kinds_of_shrinkage_combine_and_do_not_add() -> None:
    assert combined_shrinkage([0.1, 0.2]) == pytest.approx(0.28)
