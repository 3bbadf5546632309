"""A contract's window: draws added up as it is counted, against hand-made sums and brute force."""

import dataclasses
import datetime as dt
import itertools

import numpy as np
import pytest
from scipy.stats import betabinom

from muster.domain.calendar import resolve
from services.staffing.domain.attainment import Judging, stand
from services.staffing.domain.clumping import clumping
from services.staffing.domain.erlang import Floats, Ints, Load
from services.staffing.domain.queue_days import QueueDay, carried
from services.staffing.domain.requirement import Goal, predict
from services.staffing.domain.uncertainty import PathLoad, outcome
from services.staffing.domain.window import AGGREGATIONS, Counted, Pledge, draw, fold, look_ahead

ZONE = "Europe/London"
SL = Goal("SERVICE_LEVEL", 0.8, threshold=20.0)
ASA = Goal("ASA", 20.0)
ABANDONMENT = Goal("ABANDONMENT", 0.05)
EACH = {"SERVICE_LEVEL": 0.8, "ASA": 20.0, "ABANDONMENT": 0.05}
DAY0 = resolve(dt.datetime(2026, 3, 2), ZONE)


def pledge(aggregation: str, goal: Goal = SL, target: float | None = None) -> Pledge:
    usual = 0.7 if aggregation.startswith("SHARE") else EACH[goal.metric]
    return Pledge(goal, Judging(goal.metric, aggregation, EACH[goal.metric], ZONE), usual if target is None else target)


def starts_of(day: int, count: int) -> Ints:
    return DAY0 + day * 86_400 + 32_400 + 1800 * np.arange(count)


def ahead(day: int, paths: Floats, agents: list[int], queue: str = "help") -> QueueDay:
    size = paths.shape[1]
    return QueueDay(queue, starts_of(day, size), PathLoad(paths, np.full(size, 300.0), 120.0, 1800.0), np.array(agents))


def luck() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("goal", [SL, ASA, ABANDONMENT], ids=lambda g: g.metric)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_every_path_adds_up_as_the_window_itself_will(aggregation: str, goal: Goal) -> None:
    rng, many = luck(), 50
    excluded = ((int(starts_of(0, 4)[1]), int(starts_of(0, 4)[2])), (int(starts_of(2, 4)[0]), int(starts_of(2, 4)[1])))
    judging = Judging(goal.metric, aggregation, EACH[goal.metric], ZONE, excluded)
    starts = np.concatenate([starts_of(1, 6)[3:], starts_of(2, 4)])
    base = rng.integers(0, 12, (many, starts.size))
    good = rng.integers(0, 40_000, base.shape) * base if goal is ASA else rng.binomial(base, 0.7)
    counted: Counted = [
        *((int(s), g, b) for s, g, b in zip(starts_of(0, 4), (9, 3, 0, 70_000), (10, 10, 0, 9), strict=True)),
        (int(starts_of(1, 1)[0]), None, None),
        (int(starts_of(1, 2)[1]), 4, 5),
    ]
    scale = judging.scale
    sums, counts = fold(Pledge(goal, judging, 0.5), counted, starts, good / scale, base.astype(float))
    for path in range(many):
        future = [(int(s), int(g), int(b)) for s, g, b in zip(starts, good[path], base[path], strict=True)]
        assert sums[path] / counts[path] == pytest.approx(stand(judging, [*counted, *future]).value)


def brute(of: Pledge, counted: Counted, days: list[QueueDay], seed: int) -> tuple[float, float]:
    """Return P(met) and the mean of the window's value: contacts drawn on every path, added up by `stand`."""
    rng, drawn = np.random.default_rng(seed), []
    long = of.judging.aggregation in ("CONTACT_WEIGHTED", "SHARE_OF_DAYS")
    for day in days:
        for i, start in enumerate(map(int, day.starts)):
            volumes, felt = day.load.paths[:, i], carried(day)[:, i]
            load = Load(felt / 1800.0, np.full(volumes.size, 300.0), np.full(volumes.size, 120.0))
            agents = np.full(volumes.size, float(day.agents[i]))
            p = of.goal.value(predict(load, agents, of.goal))
            clumps = clumping(load, agents, of.goal, np.inf if long else 1800.0)
            n = rng.poisson(volumes)
            rho = np.clip((clumps - 1) / np.maximum(n - 1, 1), 1e-6, 0.999)
            good = np.asarray(betabinom.rvs(n, p * (1 - rho) / rho, (1 - p) * (1 - rho) / rho, random_state=rng))
            drawn.append([(start, int(g), int(b)) for g, b in zip(good, n, strict=True)])
    values = [stand(of.judging, [*counted, *future]).value or 0.0 for future in zip(*drawn, strict=True)]
    met = np.array(values) >= of.target if of.rising else np.array(values) <= of.target
    return float(met.mean()), float(np.mean(values))


COUNTED: Counted = [(int(s), g, 60) for s, g in zip(starts_of(0, 4), (55, 40, 50, 47), strict=True)]


@pytest.mark.parametrize("goal", [SL, ABANDONMENT], ids=lambda g: g.metric)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_the_chance_is_what_brute_force_finds(aggregation: str, goal: Goal) -> None:
    factors = 1.0 + 0.1 * luck().standard_normal((6000, 1))
    days = [ahead(day, factors * np.array([60.0, 72.0, 40.0]), [11, 13, 8]) for day in (1, 2, 3)]
    counted = COUNTED if goal is SL else [(s, 60 - (g or 0) - (3 if g == 55 else 0), b) for s, g, b in COUNTED]
    of = pledge(aggregation, goal, 0.6 if aggregation.startswith("SHARE") else None)
    found, (met, mean) = look_ahead(of, counted, days, luck()), brute(of, counted, days, 1)
    assert found.met == pytest.approx(met, abs=0.03)
    assert found.expected == pytest.approx(mean, abs=0.008)


@pytest.mark.parametrize("goal", [SL, ASA, ABANDONMENT], ids=lambda g: g.metric)
def test_draws_have_the_mean_and_the_spread_that_are_expected(goal: Goal) -> None:
    load = PathLoad(np.full((40_000, 1), 120.0), np.array([300.0]), 120.0, 1800.0)
    value = float(goal.value(predict(load.load(np.array([120.0])), np.array([21.0]), goal))[0])
    of = outcome(load, np.array([21]), dataclasses.replace(goal, target=value), 1800.0)
    good, base = draw(of, goal, luck())
    assert base.mean() == pytest.approx(of.base.mean(), rel=0.01)
    assert good.sum() / base.sum() == pytest.approx(value, rel=0.02)
    assert (good - value * base).var() == pytest.approx(of.variance.mean(), rel=0.05)


def test_contacts_in_hand_are_carried_over() -> None:
    """Handle time 300 s in intervals of 1,800 s: a sixth of a step, less e^−6 of it, is still to come; leavers take theirs along."""
    late = (1 - np.exp(-6)) / 6
    flat = ahead(1, np.full((1, 3), 60.0), [11, 11, 11])
    assert carried(flat)[0] == pytest.approx([60.0, 60.0, 60.0])
    assert carried(dataclasses.replace(flat, opens=True))[0] == pytest.approx([60 * (1 - late), 60.0, 60.0], rel=1e-3)
    rising = ahead(1, np.array([[60.0, 120.0]]), [11, 22])
    assert carried(rising)[0] == pytest.approx([60.0, 120.0 - 60.0 * late])
    assert carried(ahead(1, np.array([[120.0, 60.0]]), [22, 22]))[0] == pytest.approx([120.0, 60.0 + 60.0 * late])
    assert carried(ahead(1, np.array([[120.0, 60.0]]), [22, 11]))[0] == pytest.approx([120.0, 60.0])


def test_a_window_that_cannot_fail_and_one_that_cannot_succeed() -> None:
    day = ahead(1, np.full((200, 2), 60.0), [30, 30])
    for good, met in ((950, 1.0), (300, 0.0)):
        found = look_ahead(pledge("CONTACT_WEIGHTED"), [(DAY0, good, 1000)], [day], luck())
        assert found.met == met
        assert found.expected == pytest.approx((good + 120) / 1120, abs=0.002)
        assert found.band[0] <= found.expected <= found.band[1]


def test_the_budget_of_contacts_by_hand() -> None:
    """1,000 behind, 1,000 to come: 400 may miss, 150 did; 37.5 % of the budget in 50 % of the window."""
    day = ahead(1, np.full((2000, 2), 500.0), [90, 90])
    budget = look_ahead(pledge("CONTACT_WEIGHTED"), [(DAY0, 850, 1000)], [day], luck()).budget
    assert (budget.allowed, budget.used, budget.left) == pytest.approx((400.0, 150.0, 250.0), abs=0.5)
    assert (budget.passed, budget.burn) == pytest.approx((0.5, 0.75), abs=0.001)


def test_the_budget_of_waits_is_in_seconds() -> None:
    """ASA 20 s over 100 behind, waited 1,500 s, and 1,000 to come: 22,000 s may be waited."""
    day = ahead(1, np.full((2000, 2), 500.0), [130, 130])
    budget = look_ahead(pledge("CONTACT_WEIGHTED", ASA), [(DAY0, 1_500_000, 100)], [day], luck()).budget
    assert budget.used == 1500.0
    assert budget.allowed == pytest.approx(22_000.0, rel=0.002)


@pytest.mark.parametrize(
    ("aggregation", "allowed", "used"), [("SHARE_OF_INTERVALS", 0.3 * 6, 2), ("SHARE_OF_DAYS", 0.3 * 2, 1)]
)
def test_the_budget_of_intervals_and_days(aggregation: str, allowed: float, used: float) -> None:
    """Day one: 55, 40, 50, 47 of 60, so two intervals miss 80 %; the day, 192 of 240, is just good, unless one contact less."""
    day = ahead(1, np.full((200, 2), 500.0), [130, 130])
    counted: Counted = [*COUNTED[:3], (COUNTED[3][0], 46, 60)]
    budget = look_ahead(pledge(aggregation), counted, [day], luck()).budget
    assert (budget.allowed, budget.used) == pytest.approx((allowed, used))


def test_nothing_may_miss_and_nothing_is_behind_has_no_burn() -> None:
    day = ahead(1, np.full((50, 1), 50.0), [30])
    assert np.isnan(look_ahead(pledge("CONTACT_WEIGHTED"), [], [day], luck()).budget.burn)
    assert np.isnan(look_ahead(pledge("CONTACT_WEIGHTED", target=1.0), [(DAY0, 9, 10)], [day], luck()).budget.burn)


@pytest.mark.parametrize("goal", [SL, ASA, ABANDONMENT], ids=lambda g: g.metric)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_more_agents_never_make_a_window_less_likely(aggregation: str, goal: Goal) -> None:
    paths = np.maximum(1.0 + 0.1 * luck().standard_normal((600, 1)), 0.1) * np.full(8, 60.0)
    chances = []
    for n in (8, 10, 12, 14, 18):
        days = [ahead(day, paths, [n] * 8) for day in (1, 2)]
        chances.append(look_ahead(pledge(aggregation, goal), [], days, luck(), hours_more=False).met)
    assert all(b >= a - 0.03 for a, b in itertools.pairwise(chances))
    assert chances[0] < 0.2 and chances[-1] > 0.9


@pytest.mark.parametrize("goal", [SL, ASA, ABANDONMENT], ids=lambda g: g.metric)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_an_hour_more_does_what_replanning_with_it_does(aggregation: str, goal: Goal) -> None:
    paths = np.maximum(1.0 + 0.15 * luck().standard_normal((40_000, 1)), 0.1) * np.array([40.0, 60.0, 60.0])
    agents = {"SERVICE_LEVEL": [8, 11, 10], "ASA": [8, 11, 10], "ABANDONMENT": [9, 13, 12]}[goal.metric]
    of = pledge(aggregation, goal, 0.6 if aggregation.startswith("SHARE") else None)
    before = look_ahead(of, COUNTED[:0], [ahead(1, paths, agents), ahead(2, paths, agents)], luck())
    hour = before.hours_more[0]
    assert hour.date == dt.date(2026, 3, 3) and len(hour.placed) == 2
    more = [n + (("help", int(s)) in hour.placed) for n, s in zip(agents, starts_of(1, 3), strict=True)]
    assert sum(more) == sum(agents) + 2
    after = look_ahead(of, COUNTED[:0], [ahead(1, paths, more), ahead(2, paths, agents)], luck())
    gained, chance = after.expected - before.expected, after.met - before.met
    assert (gained > 0) == of.rising and (hour.value > 0) == of.rising and hour.chance > 0
    assert hour.value == pytest.approx(gained, rel=0.34, abs=0.001)
    assert hour.chance == pytest.approx(chance, abs=0.02)


def test_two_queues_of_one_interval_are_one_interval() -> None:
    """Two queues, each 50 of 50 or hardly any in time: together below 80 % in every interval."""
    paths = np.full((200, 4), 50.0)
    days = [ahead(1, paths, [40] * 4, "a"), ahead(1, paths, [2] * 4, "b")]
    found = look_ahead(pledge("SHARE_OF_INTERVALS", target=0.5), [], days, luck())
    assert found.met == 0.0 and found.expected == 0.0
    assert {queue for queue, _ in found.hours_more[0].placed} <= {"a", "b"} and len(found.hours_more) == 1


def test_a_day_begun_and_its_rest_are_one_day() -> None:
    rest = QueueDay(
        "help", starts_of(0, 6)[4:], PathLoad(np.full((200, 2), 20.0), np.full(2, 300.0), 120.0, 1800.0), np.array([20, 20])
    )
    found = look_ahead(pledge("SHARE_OF_DAYS"), [(s, 10, b) for s, _, b in COUNTED], [rest], luck())
    assert found.met == 0.0 and found.budget.used == 0.0 and found.budget.passed == 0.0


def test_days_that_go_together_widen_the_band() -> None:
    scores = luck().standard_normal((4000, 10))
    wide = []
    for factors in (np.repeat(scores[:, :1], 10, axis=1), scores):
        days = [ahead(d, 60.0 * np.maximum(1 + 0.15 * factors[:, d : d + 1], 0.1) * np.ones(6), [11] * 6) for d in range(10)]
        band = look_ahead(pledge("CONTACT_WEIGHTED"), [], days, luck(), hours_more=False).band
        wide.append(band[1] - band[0])
    assert wide[0] > 1.5 * wide[1]


def test_the_value_is_rounded_before_it_is_held_against_the_target() -> None:
    """799 of 1,000 behind and nothing to come: 0.8 after rounding to two places."""
    day = ahead(1, np.zeros((10, 1)), [0])
    met = []
    for places in (None, 2):
        judging = Judging("SERVICE_LEVEL", "CONTACT_WEIGHTED", 0.8, ZONE, (), places)
        met.append(look_ahead(Pledge(SL, judging, 0.8), [(DAY0, 799, 1000)], [day], luck()).met)
    assert met == [0.0, 1.0]


def test_a_window_with_nothing_ever_offered_has_no_value() -> None:
    found = look_ahead(
        pledge("CONTACT_WEIGHTED"), [(DAY0, 0, 0), (DAY0 + 1800, None, None)], [ahead(1, np.zeros((5, 1)), [3])], luck()
    )
    assert np.isnan(found.met) and np.isnan(found.expected) and found.hours_more == ()


def test_the_same_seed_says_the_same() -> None:
    days = [ahead(1, np.full((100, 2), 60.0), [11, 11])]
    assert look_ahead(pledge("MEAN_OF_INTERVALS"), COUNTED, days, luck()) == look_ahead(
        pledge("MEAN_OF_INTERVALS"), COUNTED, days, luck()
    )


def test_what_cannot_be_judged_is_refused() -> None:
    for goal, metric, aggregation in (
        (SL, "ASA", "CONTACT_WEIGHTED"),
        (Goal("OCCUPANCY_CAP", 0.9), "OCCUPANCY_CAP", "CONTACT_WEIGHTED"),
        (SL, "SERVICE_LEVEL", "MEDIAN"),
    ):
        with pytest.raises(ValueError, match="judged as"):
            Pledge(goal, Judging(metric, aggregation, 0.8, ZONE), 0.8)
    for target in (-0.1, 1.2, float("nan")):
        with pytest.raises(ValueError, match="the target is"):
            pledge("CONTACT_WEIGHTED", target=target)
    with pytest.raises(ValueError, match="the target is"):
        pledge("SHARE_OF_DAYS", ASA, 20.0)


def test_days_that_do_not_fit_are_refused() -> None:
    load = PathLoad(np.full((5, 2), 60.0), np.full(2, 300.0), 120.0, 1800.0)
    for starts, agents in (
        (starts_of(0, 3), np.array([9, 9])),
        (starts_of(0, 2), np.array([9])),
        (starts_of(0, 2), np.array([9.0, np.nan])),
    ):
        with pytest.raises(ValueError, match="help: starts"):
            QueueDay("help", starts, load, agents)
    with pytest.raises(ValueError, match="numbers of paths"):
        look_ahead(pledge("CONTACT_WEIGHTED"), [], [], luck())
    with pytest.raises(ValueError, match="numbers of paths"):
        look_ahead(
            pledge("CONTACT_WEIGHTED"), [], [ahead(1, np.full((5, 1), 9.0), [3]), ahead(2, np.full((6, 1), 9.0), [3])], luck()
        )
