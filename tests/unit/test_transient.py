"""A day's queue as it moves: against the stationary formula where nothing moves, and against a simulation where it does."""

import numpy as np
import pytest

from muster.simulator.pools import Group, Plan, Queue, draw, play
from services.staffing.domain.erlang import Load, service
from services.staffing.domain.transient import BLOCK, LEAVE, Day, fewest_day, predict_day, served_in_time, shrink


def day(volume: list[float], handle: float = 300.0, patience: float = 120.0, threshold: float = 20.0) -> Day:
    return Day(np.array(volume), 1800.0, handle, patience, threshold, linear=True)


def test_where_nothing_moves_it_is_erlang_a() -> None:
    levels = predict_day(day([120.0] * 20), [22] * 20, LEAVE)
    load = Load(np.array([120 / 1800]), np.array([300.0]), np.array([120.0]))
    assert levels[-1] == pytest.approx(service(load, np.array([22]), 20.0).within[0], abs=1e-4)
    assert levels[0] > levels[-1] + 0.05  # the day begins empty


def test_endless_patience_and_threshold_zero_are_taken() -> None:
    load = Load(np.array([60 / 1800]), np.array([300.0]), np.array([np.inf]))
    for threshold in (0.0, 30.0):
        levels = predict_day(day([60.0] * 30, patience=np.inf, threshold=threshold), [13] * 30, LEAVE)
        assert levels[-1] == pytest.approx(service(load, np.array([13]), threshold).within[0], abs=1e-3)


def test_who_finds_nobody_waiting_is_served_at_the_rate_of_all() -> None:
    chance = served_in_time(10, 300.0, 1 / 60, 20.0, 50)
    rate = 10 / 300
    assert chance[0] == pytest.approx(rate / (rate + 1 / 60) * (1 - np.exp(-(rate + 1 / 60) * 20)), abs=1e-7)
    assert (np.diff(chance) <= 1e-12).all()


def test_leavers_take_their_contacts_with_them() -> None:
    p = np.zeros(30)
    p[4], p[20] = 0.5, 0.5
    left = shrink(p, 10, 6)
    assert left.sum() == pytest.approx(1.0)
    assert left[16] == pytest.approx(0.5)  # all ten were busy: four contacts left, the ten waiting stay
    busy = sum(x * left[x] for x in range(5)) / 0.5
    assert busy == pytest.approx(4 * 6 / 10)


def simulated(d: Day, required: list[int], days: int, seed: int) -> np.ndarray:
    """Return the service level of each interval, simulated contact by contact; leavers finish outside the pool."""
    luck, good, offered = np.random.default_rng(seed), np.zeros(len(required)), np.zeros(len(required))
    top = d.volume.max() / d.seconds
    for _ in range(days):
        t, ends, queue = 0.0, np.zeros(0), list[tuple[float, float]]()
        agents, now = required[0], 0
        while t < d.seconds * len(required):
            t += luck.exponential(1 / top)
            while queue:
                free = np.sort(ends)
                start = free[len(free) - agents] if len(free) >= agents else 0.0
                if start > t:
                    break
                came, gives_up = queue.pop(0)
                begin = max(start, came)
                if gives_up < begin:
                    continue
                good[int(came // d.seconds)] += begin - came <= d.threshold
                ends = np.append(ends[ends > begin], begin + luck.exponential(d.handle))
            interval = min(int(t // d.seconds), len(required) - 1)
            while now < interval:
                now += 1
                ends = ends[ends > now * d.seconds]
                gone = agents - required[now]
                if gone > 0:
                    stay = luck.permutation(agents)[: required[now]]
                    ends = ends[[i for i in range(len(ends)) if i in stay]]
                agents = required[now]
            if luck.random() < np.interp(t, (np.arange(d.volume.size) + 0.5) * d.seconds, d.volume) / d.seconds / top:
                offered[interval] += 1
                queue.append((t, t + luck.exponential(d.patience)))
    return np.asarray(good / np.maximum(offered, 1))


def test_a_moving_day_is_what_a_simulation_shows() -> None:
    d = day([10.0, 40.0, 70.0, 70.0, 50.0, 30.0, 10.0], handle=600.0, patience=200.0)
    required = [6, 12, 24, 27, 22, 16, 8]
    told, seen = np.array(predict_day(d, required, LEAVE)), simulated(d, required, 150, 5)
    assert np.abs(told - seen).mean() < 0.025
    assert np.abs(told - seen).max() < 0.06


def test_each_interval_keeps_the_target_with_the_fewest() -> None:
    d = day([5.0, 30.0, 80.0, 120.0, 90.0, 40.0, 10.0], handle=900.0)
    required = fewest_day(d, 0.8)
    leave, block = (np.array(predict_day(d, required.tolist(), how)) for how in (LEAVE, BLOCK))
    assert (leave >= 0.8).all()
    assert (block >= 0.79).all()
    for interval in (1, 3, 5):
        fewer = required.copy()
        fewer[interval] -= 1
        assert predict_day(d, fewer.tolist(), LEAVE)[interval] < 0.8 or predict_day(d, fewer.tolist(), BLOCK)[interval] < 0.792


def test_nothing_offered_needs_nobody_and_is_kept() -> None:
    assert fewest_day(day([0.0, 0.0]), 0.8).tolist() == [0, 0]
    assert predict_day(day([0.0, 0.0]), [1, 0], BLOCK) == [1.0, 1.0]


def test_what_is_told_of_an_interval_comes_in_it_and_nothing_while_closed() -> None:
    d = Day(np.array([0.0, 100.0, 0.0, 50.0]), 900.0, 300.0, 60.0, 20.0)
    assert [d.rates(n).mean() * 900 for n in range(4)] == pytest.approx([0, 100, 0, 50])
    assert fewest_day(d, 0.8)[[0, 2]].tolist() == [0, 0]


def test_a_large_pool_may_shrink() -> None:
    levels = predict_day(Day(np.full(3, 1800.0), 900.0, 300.0, 60.0, 20.0), [1400, 700, 700], LEAVE)
    assert np.isfinite(levels).all()
    p = np.zeros(2000)
    p[1000] = 1.0
    left = shrink(p, 1400, 700)
    assert left.sum() == pytest.approx(1.0)
    assert (np.arange(2000) * left).sum() == pytest.approx(500.0)


def test_contacts_longer_than_an_interval_block_the_ones_after_too() -> None:
    d = Day(np.array([6.0] * 24 + [1.0] * 16), 900.0, 7200.0, 60.0, 20.0)
    required = np.array([60] * 24 + [12] * 16)
    told = np.array(predict_day(d, required.tolist(), BLOCK))
    queue = Queue(d.volume, d.handle, d.patience, d.threshold)
    plan = Plan((queue,), (Group(required, (0,)),), d.seconds, BLOCK)
    played = play(plan, draw(plan.queues, plan.seconds, 400, np.random.default_rng(3)))
    seen = (played.in_time.sum(axis=0) / played.offered.sum(axis=0))[0]
    # 48 are busy when 12 are left: 10,000 s pass, eleven intervals, until one of them may take a contact again.
    assert seen[24:29].max() < 0.05
    assert told[24:29].max() < 0.05
    assert np.abs(told - seen)[24:32].max() < 0.3
