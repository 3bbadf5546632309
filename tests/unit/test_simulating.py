"""A day's plan played contact by contact."""

import dataclasses
import math

import numpy as np
import pytest

from services.staffing.domain.requirement import Goal, Rules
from services.staffing.handlers.requiring import QueueRules, on_forecast
from services.staffing.handlers.simulating import Asked, simulate_plan
from tests.unit.test_ahead import GOAL, SLOTS, forecast

RULES = QueueRules(Rules((GOAL,), 0, 0.0, 0.0), 180.0, "")
USUAL = Asked(400, "LEAVE", None, uncertain=False)


def with_a_pause() -> tuple[list[int], list[float]]:
    starts, volume = forecast().starts, [20.0 + 10 * n for n in range(SLOTS)]
    return [s for n, s in enumerate(starts) if n not in (7, 8)], [v for n, v in enumerate(volume) if n not in (7, 8)]


def test_what_is_predicted_is_what_is_played() -> None:
    starts, volume = with_a_pause()
    size = len(starts)
    day = dataclasses.replace(forecast(), starts=starts, offered=volume, high=volume, aht=[300.0] * size, versions=[1] * size)
    needed = on_forecast([day], RULES, 1, 0)[0]
    for discipline in ("LEAVE", "BLOCK"):
        found = simulate_plan(day, needed, GOAL, 180.0, None, dataclasses.replace(USUAL, discipline=discipline))
        assert len(found.starts) == SLOTS
        assert found.agents[7:9] == [0, 0]
        assert math.isnan(found.simulated[7])
        assert found.predicted[7] is None
        came = [n for n in range(SLOTS) if found.offered[n] > 0]
        off = np.array([(found.moving[n] - found.simulated[n]) / found.half[n] for n in came])
        assert (np.abs(off) < 1).mean() >= 0.75  # half-widths of 95 %
        assert np.abs(off).max() < 2.5
        assert found.foreseen == pytest.approx(np.average(found.moving, weights=found.offered))
        assert found.day == pytest.approx(found.foreseen, abs=0.01)
        assert found.contacts == pytest.approx(400 * sum(volume), rel=0.02)


def test_a_schedule_is_played_and_a_band_makes_days_differ() -> None:
    needed = on_forecast([forecast()], RULES, 1, 0)[0]
    few = simulate_plan(forecast(), needed, GOAL, 180.0, np.full(SLOTS, 9.0), USUAL)
    assert set(few.agents) == {9}
    assert few.predicted == [None] * SLOTS
    assert few.day < 0.6
    steady, moved = (
        simulate_plan(forecast(), needed, GOAL, 180.0, None, dataclasses.replace(USUAL, uncertain=u)) for u in (False, True)
    )
    assert moved.day_half > 1.5 * steady.day_half
    assert moved == simulate_plan(forecast(), needed, GOAL, 180.0, None, dataclasses.replace(USUAL, uncertain=True))


def test_days_are_judged_over_the_answered_where_the_contract_counts_those() -> None:
    needed, staff = on_forecast([forecast()], RULES, 1, 0)[0], np.full(SLOTS, 9.0)
    answered = dataclasses.replace(GOAL, definition="ANSWERED_OVER_ANSWERED")
    of_all, of_answered = (simulate_plan(forecast(), needed, goal, 60.0, staff, USUAL) for goal in (GOAL, answered))
    assert of_answered.day > of_all.day + 0.03  # who hung up is not counted
    assert of_answered.days_met >= of_all.days_met
    assert of_answered.foreseen is None
    assert all(math.isnan(level) for level in of_answered.moving)


def test_long_handle_times_that_vary_more_are_played_as_told() -> None:
    needed = on_forecast([forecast()], RULES, 1, 0)[0]
    found = simulate_plan(
        forecast(), needed, Goal("SERVICE_LEVEL", 0.8, threshold=20.0), 180.0, None, dataclasses.replace(USUAL, sigma=1.0)
    )
    assert 0.7 < found.day < 0.95


@pytest.mark.parametrize(
    ("days", "discipline", "sigma"), [(1, "LEAVE", None), (6000, "LEAVE", None), (10, "STAY", None), (10, "BLOCK", -1.0)]
)
def test_what_can_not_be_played_is_refused(days: int, discipline: str, sigma: float | None) -> None:
    with pytest.raises(ValueError, match="allowed"):
        Asked(days, discipline, sigma, uncertain=False)
