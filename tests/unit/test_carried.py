"""Load as it is carried from interval to interval."""

import datetime as dt
import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from muster.domain.calendar import day_starts, round_the_clock
from services.staffing.domain.carried import PARTS, Carried, carried_service, carry, fewest_carried, joined
from services.staffing.domain.chatting import ChatLoad
from services.staffing.domain.erlang import SL_ALL, SL_ANSWERED, SL_EXCLUDED, SL_OFFERED, Load
from services.staffing.domain.facts import ForecastDay
from services.staffing.domain.requirement import Goal, Rules, fewest_agents, predict
from services.staffing.domain.transient import BLOCK, LEAVE, Day, predict_day
from services.staffing.handlers.requiring import QueueRules, load_of

HALF_HOUR = 1800
EIGHTY_TWENTY = Goal("SERVICE_LEVEL", 0.8, threshold=20.0)


def starts(count: int, first: int = 0) -> np.ndarray:
    return first + HALF_HOUR * np.arange(count)


def test_what_does_not_change_is_the_formula() -> None:
    """Around the clock at one rate, nothing is carried that isn't there anyway."""
    volume, aht = np.full(48, 60.0), np.full(48, 300.0)
    load = carry(volume, aht, starts(48), HALF_HOUR, 180.0, around=True)
    assert load.load == pytest.approx(np.full((48, PARTS), 10.0))
    still = Load(volume / HALF_HOUR, aht, np.full(48, 180.0))
    for goal in (EIGHTY_TWENTY, Goal("ASA", 15.0), Goal("ABANDONMENT", 0.04), Goal("OCCUPANCY_CAP", 0.8)):
        needed = fewest_agents(load, goal)
        assert needed.tolist() == fewest_agents(still, goal).tolist()
        assert goal.value(predict(load, needed, goal)) == pytest.approx(goal.value(predict(still, needed, goal)))


def test_load_follows_its_differential_equation() -> None:
    volume, aht = np.array([20.0, 90.0, 40.0, 0.0, 60.0]), np.array([240.0, 600.0, 2400.0, 300.0, 300.0])
    load = carry(volume, aht, starts(5), HALF_HOUR, math.inf)
    middles = (np.arange(5) + 0.5) * HALF_HOUR
    part = HALF_HOUR / PARTS

    def rate(t: float) -> float:
        i, k = int(t // HALF_HOUR), int(t % HALF_HOUR // part)
        parts = np.interp((np.arange(PARTS) + 0.5) * part + i * HALF_HOUR, middles, volume)
        return float(volume[i] / HALF_HOUR * parts[k] / parts.mean())

    def moves(t: float, m: np.ndarray) -> np.ndarray:
        i = min(int(t // HALF_HOUR), 4)
        return np.array([rate(min(t, 5 * HALF_HOUR - 1e-6)) - m[0] / aht[i], m[0]])

    at = [np.array([0.0, 0.0])]
    for n in range(5 * PARTS):  # from border to border, where the rate jumps
        span = (n * part, (n + 1) * part - 1e-6)
        at.append(solve_ivp(moves, span, at[-1], rtol=1e-9, atol=1e-9).y[:, -1])
    mean = np.diff([m[1] for m in at]) / part
    assert load.load.ravel() == pytest.approx(mean, rel=1e-4, abs=1e-4)


def test_an_opening_needs_fewer_and_the_hour_after_a_peak_more_than_the_formula_says() -> None:
    volume = np.array([100.0, 100.0, 100.0, 20.0, 20.0])
    aht = np.full(5, 900.0)
    needed = fewest_agents(carry(volume, aht, starts(5), HALF_HOUR, 180.0), EIGHTY_TWENTY)
    formula = fewest_agents(Load(volume / HALF_HOUR, aht, np.full(5, 180.0)), EIGHTY_TWENTY)
    assert needed[0] < formula[0]
    assert needed[3] > formula[3]


def test_it_says_what_the_moving_queue_gives() -> None:
    """Held against the forward equations, where a pool shrinks and where long contacts are carried."""
    volume = np.array([30.0, 50.0, 80.0, 110.0, 120.0, 100.0, 70.0, 50.0, 40.0, 40.0])
    load = carry(volume, np.full(10, 600.0), starts(10), HALF_HOUR, 240.0)
    needed = fewest_agents(load, EIGHTY_TWENTY)
    told = EIGHTY_TWENTY.value(predict(load, needed, EIGHTY_TWENTY))
    day = Day(volume, HALF_HOUR, 600.0, 240.0, 20.0)
    for discipline in (LEAVE, BLOCK):
        moving = np.array(predict_day(day, needed.tolist(), discipline))
        assert np.abs(moving - told)[1:].mean() < 0.05  # on the way down it errs to the safe side
        assert moving.min() > 0.77
    formula = fewest_agents(Load(volume / HALF_HOUR, np.full(10, 600.0), np.full(10, 240.0)), EIGHTY_TWENTY)
    assert min(predict_day(day, formula.tolist(), BLOCK)) < 0.7  # what the formula alone would have left


def test_closed_hours_empty_the_queue_and_days_stand_by_themselves() -> None:
    aht = np.full(2, 600.0)
    apart = carry(np.array([60.0, 60.0]), aht, np.array([0, 8 * HALF_HOUR]), HALF_HOUR, 60.0)
    assert apart.load[1] == pytest.approx(apart.load[0], rel=1e-3)
    together = carry(np.array([60.0, 60.0]), aht, starts(2), HALF_HOUR, 60.0)
    assert together.load[1, 0] > 1.5 * together.load[0, 0]
    both = joined([apart, together])
    assert both.load.shape == (4, PARTS)
    assert fewest_agents(both, EIGHTY_TWENTY)[2:].tolist() == fewest_agents(together, EIGHTY_TWENTY).tolist()


def test_a_night_begins_with_what_the_evening_left() -> None:
    """Open from six in the evening to six: at midnight nothing ends."""
    night = np.concatenate([np.arange(12), np.arange(36, 48)]) * HALF_HOUR
    load = carry(np.full(24, 60.0), np.full(24, 900.0), night, HALF_HOUR, 60.0, around=True)
    assert load.load[0, 0] == pytest.approx(load.load[-1, -1], rel=0.01)
    assert load.load[12, 0] < 0.5 * load.load[0, 0]  # the evening begins empty


@pytest.mark.parametrize(
    ("day", "first", "last", "around"),
    [
        ("2026-03-28", 0, 48, True),
        ("2026-03-28", 1, 47, False),  # 00:30 to 23:30: it opens with nobody in it
        ("2026-03-28", 0, 47, False),
        ("2026-03-28", 1, 48, False),
        ("2026-03-29", 0, 46, True),  # a day of 23 hours
        ("2026-03-29", 1, 46, False),
        ("2026-10-25", 0, 50, True),  # of 25
        ("2026-10-25", 1, 49, False),  # 24 of them, and none of both midnights
    ],
)
def test_a_day_begins_with_what_it_ends_with_only_where_it_is_open_at_both_midnights(
    day: str, first: int, last: int, around: bool
) -> None:
    zone = "Europe/London"
    rows = list(day_starts(dt.date.fromisoformat(day), zone, HALF_HOUR))[first:last]
    assert round_the_clock(rows, HALF_HOUR, zone) == around
    size = len(rows)
    told = ForecastDay("a/b", day, HALF_HOUR, rows, [1] * size, [60.0] * size, [70.0] * size, [900.0] * size, 0, 1, True)
    for at_once in (1, 3):
        load = load_of(told, told.offered, QueueRules(Rules((), 0, 0.0, 0.0), 60.0, "", at_once, zone=zone))
        carried = load.carried if isinstance(load, ChatLoad) else load
        assert isinstance(carried, Carried)
        assert carried.begins[0] == pytest.approx(30.0 if around else 0.0, rel=0.01)


def test_a_day_without_service_is_open_at_no_midnight() -> None:
    assert not round_the_clock([], HALF_HOUR, "Europe/London")


def test_nothing_offered_needs_nobody_and_unequal_arrays_are_refused() -> None:
    none = carry(np.zeros(3), np.full(3, 300.0), starts(3), HALF_HOUR, 60.0)
    assert fewest_agents(none, EIGHTY_TWENTY).tolist() == [0, 0, 0]
    assert predict(none, np.zeros(3), EIGHTY_TWENTY).within.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="2 volumes, 3 AHTs"):
        carry(np.zeros(2), np.zeros(3), starts(2), HALF_HOUR, 60.0)


def test_where_nobody_answers_no_wait_ends() -> None:
    load = carry(np.array([40.0, 40.0]), np.full(2, 300.0), starts(2), HALF_HOUR, 60.0)
    assert predict(load, np.array([0, 8]), EIGHTY_TWENTY).asa.tolist() == [math.inf, pytest.approx(15, abs=15)]
    assert fewest_agents(load, Goal("ASA", 200.0)).tolist() == [1, 1]


@pytest.mark.parametrize("patience", [20.0, 180.0, 3000.0, math.inf])
@pytest.mark.parametrize(
    "goal",
    [
        EIGHTY_TWENTY,
        Goal("SERVICE_LEVEL", 0.9, "LESS_SHORT_ABANDONS", 0.0, 5.0),
        Goal("SERVICE_LEVEL", 0.7, "ABANDONED_IN_TIME_COUNT", 60.0),
        Goal("ASA", 25.0),
        Goal("ABANDONMENT", 0.04),
        Goal("OCCUPANCY_CAP", 0.85),
    ],
    ids=lambda goal: f"{goal.metric} {goal.definition}",
)
def test_nobody_fewer_would_do_as_load_is_carried(goal: Goal, patience: float) -> None:
    """A day from one contact to thousands an interval."""
    volume = np.array([1.0, 3.0, 30.0, 200.0, 900.0, 2400.0, 2300.0, 700.0, 90.0, 4.0])
    load = carry(volume, np.full(10, 420.0), starts(10), HALF_HOUR, patience)
    needed = fewest_agents(load, goal)
    assert goal.met(goal.value(predict(load, needed, goal))).all()
    fewer = np.maximum(needed - 1, 0)
    short = ~goal.met(goal.value(predict(load, fewer, goal)))
    if math.isinf(patience):  # who never leaves is answered some day: no fewer than the part that asks for least has to have
        short |= needed == np.floor(load.load.min(axis=1)) + 1
    assert (short | (needed <= 1)).all()


@pytest.mark.parametrize("patience", [90.0, np.inf])
def test_a_target_of_all_asks_for_no_more_than_a_double_can_tell(patience: float) -> None:
    luck = np.random.default_rng(1)
    volume = 20 + 15 * np.sin(np.arange(40) / 3) + 5 * luck.random(40)
    day = carry(volume, np.full(40, 300.0), 1800 * np.arange(40), 1800, patience)
    for kind in (SL_OFFERED, SL_ANSWERED, SL_EXCLUDED, SL_ALL):
        assert fewest_carried(kind, 1.0, day, 20.0, 5.0).max() < 60


def test_a_day_needs_what_it_needs_alone_also_beside_another() -> None:
    """Answered in time over answered of unlike parts is kept by nine agents, not by fifty, and by 133 and more."""

    def one(load: list[float], share: list[float]) -> Carried:
        parts = (np.array([load]), np.array([share]))
        return Carried.told(np.array([0.2]), np.array([151.0]), np.array([2443.0]), *parts)

    steady, unlike = one([20.0] * 4, [0.25] * 4), one([134.0, 7.3, 1.1, 1.3], [0.156, 0.156, 0.25, 0.438])
    alone = fewest_carried(SL_ANSWERED, 0.95, unlike, 60.0, 0.0)
    beside = fewest_carried(SL_ANSWERED, 0.95, joined([steady, unlike]), 60.0, 0.0)
    assert beside[1] == alone[0]
    more = np.arange(alone[0], alone[0] + 40)
    level = [carried_service(unlike, np.array([n]), 60.0) for n in more]
    assert all(s.within[0] / s.answered[0] >= 0.95 for s in level)
