"""Agents for uncertain volumes, against brute force over paths and queues played event by event."""

import itertools
from typing import Any

import numba
import numpy as np
import pytest

from services.staffing.domain.clumping import clumping
from services.staffing.domain.erlang import Floats, Ints, Load
from services.staffing.domain.requirement import Goal, fewest_agents, predict
from services.staffing.domain.uncertainty import (
    PathLoad,
    chance_kept,
    choose,
    describe,
    expected_volumes,
    fewest_for_day,
    outcome,
)

EIGHTY_TWENTY = Goal("SERVICE_LEVEL", 0.8, threshold=20.0)
GOALS = [
    EIGHTY_TWENTY,
    Goal("SERVICE_LEVEL", 0.85, "ANSWERED_OVER_ANSWERED", 20.0),
    Goal("SERVICE_LEVEL", 0.8, "LESS_SHORT_ABANDONS", 20.0, 5.0),
    Goal("SERVICE_LEVEL", 0.85, "ABANDONED_IN_TIME_COUNT", 20.0),
    Goal("ASA", 15.0),
    Goal("ABANDONMENT", 0.05),
    Goal("OCCUPANCY_CAP", 0.88),
]
NAMES = [f"{g.metric} {g.definition}" for g in GOALS]


def day(volumes: list[float], spread: float, count: int = 200, patience: float = 120.0) -> PathLoad:
    """Return paths whose whole day varies by one factor."""
    factors = np.maximum(1.0 + spread * np.random.default_rng(3).standard_normal((count, 1)), 0.1)
    return PathLoad(factors * np.array(volumes), np.full(len(volumes), 300.0), patience, 1800.0)


def served(of: PathLoad, interval: int, agents: int, goal: Goal) -> tuple[Floats, Floats]:
    """Return a goal's value on each path by the formulas themselves, and the volumes."""
    volumes = of.paths[:, interval]
    load = Load(volumes / of.seconds, np.full(volumes.size, of.handle[interval]), np.full(volumes.size, of.patience))
    return goal.value(predict(load, np.full(volumes.size, float(agents)), goal)), volumes


@pytest.mark.parametrize("goal", GOALS, ids=NAMES)
def test_without_uncertainty_every_interval_rule_is_the_mean(goal: Goal) -> None:
    choices = choose(day([120.0, 300.0, 45.0], 0.0), goal, 0.9)
    assert choices["EXPECTED"].agents.tolist() == choices["MEAN"].agents.tolist() == choices["CONFIDENT"].agents.tolist()
    assert choices["MEAN"].price == choices["EXPECTED"].price == 0.0
    assert choices["MEAN"].interval_met.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("goal", GOALS, ids=NAMES)
def test_the_table_reads_what_the_formulas_say(goal: Goal) -> None:
    of = day([240.0], 0.15)
    found = outcome(of, np.array([42]), goal)
    value, _ = served(of, 0, 42, goal)
    assert (found.good / found.base)[:, 0] == pytest.approx(value, abs=0.1 if goal.metric == "ASA" else 0.004, rel=0.0)


@pytest.mark.parametrize("patience", [120.0, np.inf])
def test_expected_is_the_fewest_over_all_contacts_of_all_paths(patience: float) -> None:
    of = day([60.0, 240.0], 0.15, patience=patience)
    found = choose(of, EIGHTY_TWENTY, 0.8)["EXPECTED"].agents
    for i in range(2):
        kept = []
        for n in (int(found[i]) - 1, int(found[i])):
            value, volumes = served(of, i, n, EIGHTY_TWENTY)
            kept.append(float((value * volumes).sum() / volumes.sum()))
        assert kept[0] < 0.8 <= kept[1]


@pytest.mark.parametrize("goal", GOALS, ids=NAMES)
def test_confident_is_the_fewest_that_keep_enough_paths(goal: Goal) -> None:
    of = day([60.0, 240.0], 0.15)
    found = choose(of, goal, 0.83)["CONFIDENT"]
    for i in range(2):
        shares = [float(goal.met(served(of, i, int(found.agents[i]) - less, goal)[0]).mean()) for less in (1, 0)]
        assert shares[0] < 0.83 <= shares[1]
        assert found.interval_met[i] == pytest.approx(shares[1], abs=0.011)


@pytest.mark.parametrize("goal", [EIGHTY_TWENTY, Goal("ASA", 15.0), Goal("ABANDONMENT", 0.05)], ids=lambda g: g.metric)
def test_the_day_costs_at_most_one_agent_more_than_the_best_of_all_plans(goal: Goal) -> None:
    of = day([30.0, 90.0, 60.0], 0.2)

    def chance(agents: Ints) -> float:
        found = outcome(of, agents, goal)
        return float(chance_kept(found.spare(goal).sum(axis=1), found.variance.sum(axis=1)).mean())

    found = fewest_for_day(of, goal, 0.8)
    assert chance(found) >= 0.8
    near = [range(max(int(n) - 4, 1), int(n) + 4) for n in found]
    fewer = [np.array(n) for n in itertools.product(*near) if sum(n) == found.sum() - 2]
    assert max(chance(n) for n in fewer) < 0.8


def test_a_certain_day_is_met_or_missed_but_for_luck() -> None:
    of = day([600.0] * 40, 0.0)
    mean = fewest_agents(of.load(of.paths[0]), EIGHTY_TWENTY)
    chances = [describe(of, EIGHTY_TWENTY, mean + more, int(mean.sum())).day_met for more in (-8, 8)]
    assert chances[0] < 0.01 and chances[1] > 0.99


def test_without_luck_and_spread_the_chance_is_a_step() -> None:
    assert chance_kept(np.array([-0.1, 0.0, 0.1]), np.zeros(3)).tolist() == [0.0, 1.0, 1.0]
    assert chance_kept(np.array([0.0, 1.96]), np.ones(2)) == pytest.approx([0.5, 0.975], abs=1e-4)


@pytest.mark.parametrize("goal", GOALS, ids=NAMES)
def test_one_more_agent_never_makes_a_day_less_likely(goal: Goal) -> None:
    of, mean = day([60.0, 240.0], 0.15), fewest_agents(day([60.0, 240.0], 0.0).load(np.array([60.0, 240.0])), goal)
    chances = [describe(of, goal, mean + more, 1).day_met for more in range(-3, 7)]
    assert all(b >= a - 1e-6 for a, b in itertools.pairwise(chances))
    assert chances[-1] > chances[0]


def test_the_wider_the_forecast_the_dearer_the_promise() -> None:
    hours = [[c.hours for c in choose(day([120.0, 300.0], s), EIGHTY_TWENTY, 0.85).values()][1:] for s in (0.0, 0.1, 0.25)]
    for narrow, wide in itertools.pairwise(hours):
        assert all(b > a for a, b in zip(narrow, wide, strict=True))


def test_a_closed_interval_takes_nobody_and_has_no_service() -> None:
    choices = choose(day([0.0, 120.0], 0.1), EIGHTY_TWENTY, 0.8)
    assert all(c.agents[0] == 0 and np.isnan(c.interval_met[0]) for c in choices.values())
    assert all(c.agents[1] > 10 for c in choices.values())


def test_a_minimum_is_kept() -> None:
    assert all(c.agents.tolist()[0] == 7 for c in choose(day([3.0, 120.0], 0.1), EIGHTY_TWENTY, 0.8, 7).values())


@numba.njit
def spans(n: Any, rate: Any, handle: Any, patience: Any, threshold: Any, seconds: Any, count: Any, seed: Any) -> Any:
    """Return (count, 4) offered, in time, hung up, seconds waited by who was answered, of one M/M/n+M queue that never closes."""
    np.random.seed(seed)
    found = np.zeros((count, 4))
    came, leaves = np.zeros(100_000), np.zeros(100_000)
    head = tail = busy = 0
    t = -20.0 * handle
    while True:
        while busy < n and head < tail:
            at, span = head % 100_000, int(came[head % 100_000] // seconds)
            if came[at] >= 0:
                if leaves[at] > t:
                    found[span, 1] += t - came[at] <= threshold
                    found[span, 3] += t - came[at]
                else:
                    found[span, 2] += 1
            busy += leaves[at] > t
            head += 1
        t += np.random.exponential(1.0 / (rate + busy / handle))
        if t >= count * seconds:
            return found
        if np.random.random() * (rate + busy / handle) >= rate:
            busy -= 1
            continue
        if t >= 0:
            found[int(t // seconds), 0] += 1
        if busy < n:
            busy += 1
            if t >= 0:
                found[int(t // seconds), 1] += 1
        else:
            came[tail % 100_000], leaves[tail % 100_000] = t, t + np.random.exponential(patience)
            tail += 1


@pytest.mark.parametrize("seconds", [10_000.0, 1_800.0])
@pytest.mark.parametrize(("n", "erlangs", "patience"), [(11, 10.0, 120.0), (48, 50.0, 120.0), (14, 10.0, 1e6)])
def test_contacts_clump_as_in_a_played_queue(n: int, erlangs: float, patience: float, seconds: float) -> None:
    load = Load(np.array([erlangs / 300.0]), np.array([300.0]), np.array([patience]))
    found = spans(n, erlangs / 300.0, 300.0, patience, 20.0, seconds, int(2e8 / erlangs / seconds), 1)
    offered, mean = found[:, 0], found.sum(axis=0) / found[:, 0].sum()
    for column, goal in ((1, EIGHTY_TWENTY), (2, Goal("ABANDONMENT", 0.05))):
        p = mean[column]
        if p < 0.01:
            continue
        played = float((found[:, column] - p * offered).var() / (offered.mean() * p * (1 - p)))
        assert clumping(load, np.array([n]), goal, seconds)[0] == pytest.approx(played, rel=0.1)


def test_contacts_that_never_wait_do_not_clump() -> None:
    load = Load(np.array([10 / 300.0]), np.array([300.0]), np.array([120.0]))
    assert clumping(load, np.array([60]), EIGHTY_TWENTY)[0] == pytest.approx(1.0, abs=1e-6)
    assert clumping(load, np.array([11]), EIGHTY_TWENTY)[0] > 5


def test_the_stated_chance_of_a_day_is_what_a_played_queue_does() -> None:
    """One interval of eight hours, three levels of volume, 3 × 400 days."""
    volumes = np.array([[900.0], [960.0], [1020.0]])
    of = PathLoad(volumes, np.array([300.0]), 120.0, 28_800.0)
    found = outcome(of, np.array([11]), EIGHTY_TWENTY)
    stated = chance_kept(found.spare(EIGHTY_TWENTY)[:, 0], found.variance[:, 0])
    for row in range(3):
        played = spans(11, volumes[row, 0] / 28_800.0, 300.0, 120.0, 20.0, 28_800.0, 400, row)
        assert stated[row] == pytest.approx(float((played[:, 1] >= 0.8 * played[:, 0]).mean()), abs=0.07)


def test_the_luck_of_single_callers_is_taken_out_of_counts() -> None:
    luck = np.random.default_rng(2)
    rates = np.array([40.0, 90.0, 160.0]) * (1.0 + 0.1 * luck.standard_normal((20_000, 1)))
    found = expected_volumes(luck.poisson(rates).astype(float))
    assert found.mean(axis=0) == pytest.approx([40.0, 90.0, 160.0], rel=0.01)
    assert found.std(axis=0) == pytest.approx([4.0, 9.0, 16.0], rel=0.08)
    assert np.corrcoef(found.T).min() > 0.95


def test_counts_that_only_luck_moves_are_certain() -> None:
    found = expected_volumes(np.random.default_rng(4).poisson(100.0, (20_000, 5)).astype(float))
    assert found.std(axis=0).max() < 2.0


def test_occupancy_is_kept_on_enough_paths() -> None:
    goal = Goal("OCCUPANCY_CAP", 0.85)
    of = day([240.0], 0.1, patience=np.inf)
    agents = choose(of, goal, 0.8)["CONFIDENT"].agents[0]
    quantile = np.sort(of.paths[:, 0])[159]
    assert agents == int(np.ceil(quantile * 300.0 / 1800.0 / 0.85))


@pytest.mark.parametrize("sure", [0.0, 1.0, 1.5, float("nan")])
def test_a_chance_lies_between_0_and_1(sure: float) -> None:
    with pytest.raises(ValueError, match="the chance is"):
        choose(day([60.0], 0.1), EIGHTY_TWENTY, sure)


def test_paths_that_are_no_paths_are_refused() -> None:
    good, handle = np.full((5, 2), 10.0), np.full(2, 300.0)
    for paths in (np.full((5, 2), np.nan), -good, np.full(5, 10.0), np.zeros((0, 2))):
        with pytest.raises(ValueError, match="paths of shape"):
            PathLoad(paths, handle, 120.0, 1800.0)
    for wrong in (np.full(3, 300.0), np.array([300.0, 0.0]), np.array([300.0, np.nan])):
        with pytest.raises(ValueError, match="handle is"):
            PathLoad(good, wrong, 120.0, 1800.0)
    for patience, seconds in ((0.0, 1800.0), (float("nan"), 1800.0), (120.0, 0.0), (120.0, float("nan"))):
        with pytest.raises(ValueError, match="patience is"):
            PathLoad(good, handle, patience, seconds)


def test_goals_and_agents_that_cannot_be_are_refused() -> None:
    of = day([60.0, 60.0], 0.1)
    with pytest.raises(ValueError, match="a goal of"):
        outcome(of, np.array([8, 8]), Goal("DEADLINE_MET", 0.9))
    for agents in (np.array([8]), np.array([8.0, -1.0]), np.array([8.0, np.nan])):
        with pytest.raises(ValueError, match="agents are"):
            outcome(of, agents, EIGHTY_TWENTY)


@pytest.mark.parametrize(("agents", "erlangs", "patience"), [(100, 300.0, 3600.0), (50, 400.0, 36_000.0), (2, 60.0, 600.0)])
def test_far_too_few_agents_still_clump(agents: int, erlangs: float, patience: float) -> None:
    """Where nearly everybody gives up, the queue is long and its likeliest number far above the agents."""
    load = Load(np.array([erlangs / 300.0]), np.array([300.0]), np.array([patience]))
    for goal in (Goal("SERVICE_LEVEL", 0.8, threshold=20.0), Goal("ABANDONMENT", 0.05)):
        found = float(clumping(load, np.array([agents]), goal)[0])
        assert np.isfinite(found)
        assert found >= 1.0
