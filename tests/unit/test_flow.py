"""The load that contacts meet, by what n agents make of it."""

import math

import numpy as np
import pytest

from services.staffing.domain.carried import carried_service, carry, met_by
from services.staffing.domain.facts import ForecastDay
from services.staffing.domain.flow import flow, in_system
from services.staffing.domain.requirement import Goal, Rules, fewest_agents, predict
from services.staffing.domain.transient import BLOCK, LEAVE, Day, predict_day
from services.staffing.handlers.explaining import explain
from services.staffing.handlers.requiring import QueueRules, on_forecast

HALF_HOUR = 1800
EIGHTY_TWENTY = Goal("SERVICE_LEVEL", 0.8, threshold=20.0)
PATIENT = 10.0 + 60.0 * np.sin(np.linspace(0.05, 3.0, 20)) ** 2


def chain(n: int, a: float, ratio: float) -> tuple[float, float]:
    """Return mean and variance of the number in the system, by the chain itself."""
    j = np.arange(1, 3000)
    logs = np.concatenate([[0.0], np.cumsum(math.log(a) - np.log(np.minimum(j, n) + np.maximum(j - n, 0) / ratio))])
    p = np.exp(logs - logs.max())
    p /= p.sum()
    mean = float(p @ np.arange(p.size))
    return mean, float(p @ (np.arange(p.size) - mean) ** 2)


@pytest.mark.parametrize("ratio", [0.05, 0.4, 1.0, 3.0, 50.0, math.inf])
@pytest.mark.parametrize("a", [20.0, 60.0, 100.0, 108.0])
def test_the_number_in_the_system_is_the_chains(a: float, ratio: float) -> None:
    mean, variance = chain(110, a, ratio)
    number, slope = in_system(110.0, a, ratio)
    assert number == pytest.approx(mean, rel=0.03)
    assert slope == pytest.approx(variance / a, rel=0.08)


@pytest.mark.parametrize("patience", [1.0, 90.0, 300.0, 5000.0, math.inf])
def test_there_is_an_answer_at_any_size(patience: float) -> None:
    for offered in (0.0, 1e-6, 0.3, 50.0, 20_000.0):
        for here in (0.0, 40.0, 30_000.0):
            for n in (0.0, 0.5, 1.0, 50.0, 20_100.0):
                met, left = flow(n, here, offered, 300.0, patience, 450.0)
                assert math.isfinite(met)
                assert 0 <= left <= here + 1.5 * offered
                assert met <= max(here, offered)


def test_an_opening_with_long_contacts_keeps_its_target_as_the_queue_moves() -> None:
    """Callers gave up sooner than the carried load says, and the first half hour fell six points short."""
    volume, aht = np.array([130.0, 155.0, 170.0, 180.0, 180.0]), 1100.0
    load = carry(volume, np.full(5, aht), HALF_HOUR * np.arange(5), HALF_HOUR, 300.0)
    needed, day = fewest_agents(load, EIGHTY_TWENTY), Day(volume, HALF_HOUR, aht, 300.0, 20.0)
    told = EIGHTY_TWENTY.value(predict(load, needed, EIGHTY_TWENTY))
    for discipline in (LEAVE, BLOCK):
        moving = predict_day(day, needed.tolist(), discipline)
        assert min(moving) > 0.785
        assert abs(moving[0] - told[0]) < 0.015


def test_who_waits_is_carried_on_and_a_rush_is_over_before_all_of_it_waits() -> None:
    """Nobody hangs up: the day keeps its target as the queue moves, with fewer agents than its peaks alone would ask for."""
    load = carry(PATIENT, np.full(20, 600.0), HALF_HOUR * np.arange(20), HALF_HOUR, math.inf)
    needed = fewest_agents(load, EIGHTY_TWENTY)
    told = EIGHTY_TWENTY.value(predict(load, needed, EIGHTY_TWENTY))
    moving = np.array(predict_day(Day(PATIENT, HALF_HOUR, 600.0, math.inf, 20.0), needed.tolist(), BLOCK))
    assert moving.min() > 0.77
    assert np.abs(moving - told).mean() < 0.015
    alone = [int(fewest_agents(load.pick(np.array([i])), EIGHTY_TWENTY)[0]) for i in range(20)]
    assert needed.sum() >= sum(alone)  # each by itself, nobody would wait from before
    busier = needed.copy()
    busier[7] -= 3
    worse = EIGHTY_TWENTY.value(predict(load, busier, EIGHTY_TWENTY))
    assert worse[8] < told[8] - 0.02


@pytest.mark.parametrize("patience", [60.0, 599.0, 601.0, 4000.0, math.inf])
def test_one_agent_more_is_never_worse(patience: float) -> None:
    load = carry(PATIENT, np.full(20, 600.0), HALF_HOUR * np.arange(20), HALF_HOUR, patience)
    agents = fewest_agents(load, EIGHTY_TWENTY)
    levels = np.array([carried_service(load, np.maximum(agents + more, 1), 20.0).within for more in range(-8, 9)])
    assert (np.diff(levels, axis=0) > -1e-6).all()


@pytest.mark.parametrize("patience", [120.0, 2000.0, math.inf])
def test_the_load_met_says_the_same_as_a_told_one(patience: float) -> None:
    load = carry(PATIENT, np.full(20, 600.0), HALF_HOUR * np.arange(20), HALF_HOUR, patience)
    agents = fewest_agents(load, EIGHTY_TWENTY)
    told = carried_service(met_by(load, agents), agents, 20.0)
    assert told.within == pytest.approx(carried_service(load, agents, 20.0).within)
    assert np.abs(met_by(load, agents).load - load.load).max() > 0.1


@pytest.mark.parametrize("patience", [120.0, math.inf])
def test_an_interval_is_explained_as_its_day_is_required(patience: float) -> None:
    day = ForecastDay(
        queue="acme/help",
        local_date="2026-06-01",
        seconds=HALF_HOUR,
        starts=[HALF_HOUR * i for i in range(20)],
        versions=[1] * 20,
        offered=PATIENT.tolist(),
        high=(1.2 * PATIENT).tolist(),
        aht=[600.0] * 20,
        watermark=0,
        version=1,
        whole=True,
    )
    rules = QueueRules(Rules((EIGHTY_TWENTY,), 0, 0.0, 0.0), patience, "")
    required = on_forecast([day], rules, 1, 0)[0]
    for place in range(20):
        told = explain(day, place, rules)
        assert told.on_queue == required.on_queue[place]
        (at,) = (a for a in told.around if a.agents == told.on_queue)
        assert at.levels[0] == pytest.approx(required.service_level[place], abs=1e-8)
