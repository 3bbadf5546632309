"""Erlang A and C against published values, and as properties."""

import decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.staffing.domain.blocking import DEEP, before, inverse_b
from services.staffing.domain.carried import carry
from services.staffing.domain.erlang import BY_ASA, SL_OFFERED, Load, fewest_agents_for, service
from services.staffing.domain.requirement import Goal, Rules, combined_shrinkage, fewest_agents, predict, require
from services.staffing.domain.transient import Day
from services.staffing.domain.waiting import NUMBERS, by_panels, by_series

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
    assert 1 / inverse_b(10.0, 10.0) == pytest.approx(0.2145823, abs=1e-7)


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


def chain(n: int, a: float, handle: float, patience: float) -> dict[str, decimal.Decimal]:
    """Return Erlang A's numbers by summing the states themselves, with fifty digits."""
    decimal.getcontext().prec = 50
    lam = decimal.Decimal(a) / decimal.Decimal(handle)
    mu, theta = 1 / decimal.Decimal(handle), 1 / decimal.Decimal(patience)
    states = [decimal.Decimal(1)]
    k = 0
    while k <= n or states[-1] > sum(states) * decimal.Decimal(10) ** -45:
        k += 1
        states.append(states[-1] * lam / (min(k, n) * mu + max(k - n, 0) * theta))
    whole = sum(states)
    queue = sum((p * (k - n) for k, p in enumerate(states) if k > n), decimal.Decimal(0)) / whole
    waited = decimal.Decimal(0)
    for ahead, p in enumerate(states[n:]):  # who finds `ahead` waiting is served n·mu of n·mu + (ahead + 1)·theta times
        rates = [n * mu + (i + 1) * theta for i in range(ahead + 1)]
        waited += p / whole * n * mu / (n * mu + (ahead + 1) * theta) * sum(1 / r for r in rates)
    left = theta * queue / lam
    return {"waits": sum(states[n:], decimal.Decimal(0)) / whole, "abandoned": left, "asa": waited / (1 - left)}


@pytest.mark.parametrize(
    ("n", "a", "handle", "patience"),
    [
        (1, 0.01, 300, 60),
        (3, 5.0, 240, 30),
        (12, 10.0, 180, 300),
        (40, 40.0, 300, 1),
        (9, 20.0, 600, 45),
        (110, 100.0, 180, 3000),
    ],
)
def test_erlang_a_is_what_its_states_sum_up_to(n: int, a: float, handle: float, patience: float) -> None:
    want = chain(n, a, handle, patience)
    found = service(Load(np.array([a / handle]), np.array([handle * 1.0]), np.array([patience * 1.0])), np.array([n]), 20.0)
    for name, value in want.items():
        assert float(getattr(found, name)[0]) == pytest.approx(float(value), rel=1e-11), name


def test_any_size_is_answered() -> None:
    """0 to 20,000 Erlangs, patience from a second to eleven days, threshold 0, deep overload."""
    for a in (1e-3, 0.7, 300.0, 20_000.0):
        for patience in (1.0, 60.0, 1e6, np.inf):
            for share in (0.3, 1.0, 1.02):
                one = Load(np.array([a / 300]), np.array([300.0]), np.array([patience]))
                n = np.array([max(a * share, 0.4)])
                found = service(one, n, 0.0)
                assert 0 <= found.within[0] <= found.answered[0] <= 1 + 1e-12
                assert found.within[0] == pytest.approx(1 - found.waits[0] if n[0] > a or patience < np.inf else 0.0, abs=1e-9)
                need = fewest_agents(one, EIGHTY_TWENTY)
                assert service(one, need, 20.0).within[0] >= 0.8
                assert need[0] == 0 or service(one, need - 1, 20.0).within[0] < 0.8


def test_a_fraction_of_an_agent_lies_between_whole_ones() -> None:
    ten = Load(np.full(5, 10 / 180), np.full(5, 180.0), np.full(5, 90.0))
    found = service(ten, np.array([11.0, 11.25, 11.5, 11.75, 12.0]), 20.0).within
    assert (np.diff(found) > 0).all()
    assert inverse_b(0.0, 5.0) == 1.0
    assert inverse_b(2.5, 3.0) == pytest.approx(1 + 2.5 / 3 * inverse_b(1.5, 3.0), rel=1e-14)


def test_an_occupancy_cap_asks_for_somebody_where_anything_is_offered() -> None:
    for a in (0.3, 0.9, 3.0, 10.0):
        one = Load(np.array([a / 300]), np.array([300.0]), np.array([60.0]))
        need = int(fewest_agents(one, Goal("OCCUPANCY_CAP", 0.85))[0])
        assert need >= 1
        assert service(one, np.array([need]), 0.0).occupancy[0] <= 0.85
        assert need == 1 or service(one, np.array([need - 1]), 0.0).occupancy[0] > 0.85


@settings(max_examples=60, deadline=None)
@given(st.floats(0.05, 400), st.floats(30, 900), st.floats(1, 5000), st.floats(0.4, 1.2))
def test_who_hangs_up_early_does_not_depend_on_the_answer_threshold(
    a: float, handle: float, patience: float, share: float
) -> None:
    one, n = Load(np.array([a / handle]), np.array([handle]), np.array([patience])), np.array([max(a * share, 0.5)])
    early = [service(one, n, threshold, 5.0).left_short[0] for threshold in (0.0, 5.0, 60.0)]
    assert early == pytest.approx([early[0]] * 3, rel=1e-9, abs=1e-13)
    assert early[0] <= -np.expm1(-5.0 / patience) * service(one, n, 0.0).waits[0] + 1e-12


@settings(max_examples=60, deadline=None)
@given(st.floats(0.3, 300), st.floats(30, 900), st.floats(20, 5000), st.floats(0.3, 1.2))
def test_states_summed_up_and_integrals_tell_the_same(a: float, handle: float, patience: float, share: float) -> None:
    n, found = max(a * share, 0.5), np.zeros((2, NUMBERS))
    y = a * patience / handle
    empty = before(n, a)
    if not y < 2000 or empty > 1e200:
        return
    by_series(empty, y * n / a, y, patience, 20.0, 5.0, DEEP, found[0])
    by_panels(empty, a / handle, n / handle, patience, 20.0, 5.0, DEEP, found[1])
    assert found[0] == pytest.approx(found[1], rel=1e-9, abs=1e-12)


KINDS = ["SERVICE_LEVEL", "ASA", "ABANDONMENT", "OCCUPANCY_CAP"]


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.05, 60), st.floats(30, 900), st.floats(5, 2000), st.sampled_from(KINDS), st.floats(0.05, 0.95), st.floats(0, 60)
)
def test_nobody_fewer_would_do(a: float, handle: float, patience: float, metric: str, target: float, threshold: float) -> None:
    """One after the other, from nobody on."""
    goal = Goal(metric, target * 60 if metric == "ASA" else target, threshold=threshold)
    one, n = Load(np.array([a / handle]), np.array([handle]), np.array([patience])), np.arange(1300)
    every = Load(*(np.repeat(x, n.size) for x in (one.arrivals, one.handle, one.patience)))
    value = goal.value(predict(every, n, goal))
    assume(not (abs(value - goal.target) < 1e-12).any())  # where it is the target itself, rounding decides
    kept = goal.met(value)
    if metric == "OCCUPANCY_CAP":
        kept[0] = False  # with nobody there, nobody is occupied, and nobody answers
    assert fewest_agents(one, goal)[0] == kept.argmax()


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"target": 1.5}, "1.5"),
        ({"target": float("nan")}, "nan"),
        ({"target": -0.2}, "-0.2"),
        ({"metric": "ASA", "target": float("inf")}, "inf"),
        ({"metric": "WAIT"}, "'WAIT'"),
        ({"definition": "ANSWERED_OVER_NOBODY"}, "'ANSWERED_OVER_NOBODY'"),
        ({"threshold": -20.0}, "-20.0"),
        ({"threshold": float("inf")}, "inf"),
    ],
)
def test_a_goal_that_cannot_be_is_refused_at_birth(told: dict[str, Any], shown: str) -> None:
    with pytest.raises(ValueError, match=f"is {shown}|metric {shown}|definition {shown}"):
        Goal(**{"metric": "SERVICE_LEVEL", "target": 0.8, **told})


@pytest.mark.parametrize(
    ("arrivals", "handle", "patience"), [(-1, 300, 60), (np.nan, 300, 60), (1, 0, 60), (1, 300, 0), (1, 300, np.nan)]
)
def test_a_load_that_cannot_be_is_refused_at_birth(arrivals: float, handle: float, patience: float) -> None:
    with pytest.raises(ValueError, match="allowed"):
        Load(*(np.array([float(v)]) for v in (arrivals, handle, patience)))
    with pytest.raises(ValueError, match="allowed"):
        Day(np.array([float(arrivals)]), 1800.0, handle, patience, 20.0)
    if handle > 0:  # of a day, a queue without an AHT is taken at a second
        with pytest.raises(ValueError, match="allowed"):
            carry(np.array([float(arrivals)]), np.array([float(handle)]), np.array([0]), 1800, float(patience))


def test_a_target_of_all_contacts_is_refused_for_staffing() -> None:
    load = Load(np.array([0.02]), np.array([300.0]), np.array([np.inf]))
    with pytest.raises(ValueError, match=r"is 1\.0; allowed: below 1"):
        fewest_agents(load, Goal("SERVICE_LEVEL", 1.0, threshold=20.0))
    for kind, target in ((SL_OFFERED, 1.0), (SL_OFFERED, float("nan")), (BY_ASA, -1.0)):  # of these the search had no end
        with pytest.raises(ValueError, match="target"):
            fewest_agents_for(kind, target, load, 20.0, 0.0)
    with pytest.raises(ValueError, match="minimum is -1"):
        Rules((), -1, 0.0, 0.0)
    with pytest.raises(ValueError, match=r"shrinkage \(1\.0"):
        Rules((), 0, 1.0, 0.0)
