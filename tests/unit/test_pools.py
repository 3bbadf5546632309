"""Simulated pools: against Erlang's formulas, the day as it moves, the floor, and a plain ACD written out agent by agent."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from muster.simulator.arrivals import Caller
from muster.simulator.floor import Duty, Floor, Habits
from muster.simulator.pools import BLOCK, LEAVE, LONGEST, PRIORITY, Callers, Group, Plan, Played, Queue, draw, play, simulate
from services.staffing.domain.erlang import Load, service
from services.staffing.domain.transient import Day, predict_day


def luck(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def steady(agents: int, queue: Queue, seconds: float = 1800.0) -> Plan:
    return Plan((queue,), (Group(np.full(queue.volume.size, agents), (0,)),), seconds)


def same(one: Played, two: Played) -> bool:
    return all(
        np.allclose(getattr(one, f.name), getattr(two, f.name), rtol=1e-9, atol=1e-6) for f in dataclasses.fields(Played)
    )


def plain_acd(plan: Plan, callers: Callers, day: int) -> np.ndarray:
    """Return (Q, I, 4) in time, answered, abandoned, waiting: a day played by lists of agents. Pools that shrink must block."""
    size = plan.groups[0].agents.size
    first, last, close = callers.days[day], callers.days[day + 1], size * plan.seconds
    events = [(interval * plan.seconds, 0, "border", interval) for interval in range(size)]
    events += [(float(callers.arrives[k]), 2, "call", k) for k in range(first, last)]
    idle: list[list[float]] = [[] for _ in plan.groups]
    busy, now_on = [0] * len(plan.groups), [0] * len(plan.groups)
    waiting: list[int] = []
    sums = np.zeros((len(plan.queues), size, 4))

    def answer(k: int, group: int, now: float) -> None:
        q, interval = callers.queue[k], callers.cell[k] % size
        sums[q, interval, :2] += [now - callers.arrives[k] <= plan.queues[q].threshold, 1]
        busy[group] += 1
        events.append((now + callers.handle[k], 1, "end", group))

    def offer_agent(group: int, now: float) -> None:
        known = plan.groups[group].queues
        able = [k for k in waiting if callers.gives_up[k] > now and callers.queue[k] in known]
        if not able:
            idle[group].append(now)
            return
        by_rank = plan.routing == PRIORITY
        k = min(able, key=lambda k: (known.index(int(callers.queue[k])) if by_rank else 0, callers.arrives[k]))
        waiting.remove(k)
        answer(k, group, now)

    while events:
        event = min(events)
        events.remove(event)
        now, _, kind, what = event
        if now >= close:
            break
        if kind == "border":
            for group, crew in enumerate(plan.groups):
                now_on[group] = int(crew.agents[what])
                while idle[group] and len(idle[group]) + busy[group] > now_on[group]:
                    idle[group].pop()
                while len(idle[group]) + busy[group] < now_on[group]:
                    offer_agent(group, now)
        elif kind == "end":
            busy[what] -= 1
            if len(idle[what]) + busy[what] < now_on[what]:
                offer_agent(what, now)
        else:
            q = callers.queue[what]
            able = [g for g, crew in enumerate(plan.groups) if q in crew.queues and idle[g]]
            if able:
                group = min(able, key=lambda g: (plan.groups[g].queues.index(int(q)), idle[g][0]))
                idle[group].pop(0)
                answer(what, group, now)
            else:
                waiting.append(what)
    for k in range(first, last):
        interval = callers.cell[k] % size
        if k in waiting:
            sums[callers.queue[k], interval, 2 if callers.gives_up[k] <= close else 3] += 1
    return sums


QUEUES = (
    Queue(np.array([12.0, 30.0, 25.0, 8.0]), 300.0, 90.0, 20.0, sigma=0.8),
    Queue(np.array([20.0, 14.0, 22.0, 5.0]), 200.0, np.inf, 40.0),
    Queue(np.array([6.0, 9.0, 16.0, 12.0]), 500.0, 200.0, 60.0, linear=True),
)
GROUPS = (
    Group(np.array([2, 5, 4, 1]), (0, 1)),
    Group(np.array([3, 4, 6, 2]), (1, 2)),
    Group(np.array([3, 3, 4, 3]), (2, 1)),
    Group(np.array([1, 3, 1, 1]), (1, 0, 2)),
)


@pytest.mark.parametrize("routing", [PRIORITY, LONGEST])
def test_each_contact_goes_as_in_a_plain_acd(routing: int) -> None:
    plan = Plan(QUEUES, GROUPS, 1800.0, BLOCK, routing)
    callers = draw(QUEUES, 1800.0, 12, luck())
    played = play(plan, callers)
    for day in range(12):
        plain = plain_acd(plan, callers, day)
        for n, name in enumerate(("in_time", "answered", "abandoned", "waiting")):
            assert getattr(played, name)[day].tolist() == plain[..., n].tolist(), name
    assert played.waiting.sum() > 0
    assert played.abandoned.sum() > 0


def test_the_floor_tells_the_same_of_the_same_callers() -> None:
    queue = Queue(np.array([60.0, 90.0, 80.0, 0.0, 0.0]), 240.0, 100.0, 20.0, sigma=0.6)
    callers = draw((queue,), 1800.0, 1, luck())
    floor = Floor(
        [
            Caller(str(k), "a/b", float(callers.arrives[k]), float(callers.gives_up[k] - callers.arrives[k]), float(h), 0.0)
            for k, h in enumerate(callers.handle)
        ],
        {f"a{n}": "leeds" for n in range(10)},
        Habits(0.001, 0.001, 0.0),
        1,
        0,
    )
    for agent in floor.agents:
        floor.set_duties(agent, [Duty(0, 9000, "a/b", "")])
    floor.advance(9000)
    played = play(steady(10, queue), callers)
    answered = [r for r in floor.records if r.stage == "WRAPPED"]
    assert played.answered.sum() == len(answered) > 100
    assert played.in_time.sum() == sum(r.wait is not None and r.wait <= 20 for r in answered)
    assert played.abandoned.sum() == len(floor.records) - len(answered) > 5
    assert played.waited.sum() == pytest.approx(sum(r.wait or 0.0 for r in floor.records))


@pytest.mark.parametrize(("patience", "agents"), [(np.inf, 22), (np.inf, 24), (120.0, 18), (60.0, 21), (30.0, 12)])
def test_a_long_day_is_erlangs(patience: float, agents: int) -> None:
    queue = Queue(np.full(40, 120.0), 300.0, patience, 20.0)
    played = simulate(steady(agents, queue), 400, luck())
    told = service(Load(np.array([120 / 1800]), np.array([300.0]), np.array([patience])), np.array([agents]), 20.0)
    late = Played(*(getattr(played, f.name)[:, :, 20:] for f in dataclasses.fields(Played)))
    level, half = late.day_level()
    assert half[0] < 0.012
    assert level[0] == pytest.approx(told.within[0], abs=1.6 * half[0])
    waits = told.asa[0]
    if patience < np.inf:
        assert late.abandoned.sum() / late.offered.sum() == pytest.approx(told.abandoned[0], abs=0.003)
        waits = told.abandoned[0] * patience
    assert late.waited.sum() / late.offered.sum() == pytest.approx(waits, rel=0.06)


@pytest.mark.parametrize("sigma", [0.0, 0.8])
def test_one_agent_makes_callers_wait_as_pollaczek_and_khinchine_say(sigma: float) -> None:
    queue = Queue(np.full(400, 12.0), 90.0, np.inf, 20.0, sigma=sigma)
    played = simulate(steady(1, queue), 60, luck())
    told = (12 / 1800) * 90.0**2 * math.exp(sigma**2) / (2 * (1 - 0.6))
    late = slice(50, 380)
    assert played.waited[..., late].sum() / played.offered[..., late].sum() == pytest.approx(told, rel=0.03)


@pytest.mark.parametrize(("discipline", "off"), [(LEAVE, 0.004), (BLOCK, 0.03)])
def test_a_moving_day_is_as_the_equations_say(discipline: int, off: float) -> None:
    volume, agents = np.array([10.0, 40, 70, 70, 50, 30, 10, 0]), np.array([6, 12, 24, 27, 22, 14, 8, 8])
    played = simulate(
        Plan((Queue(volume, 600.0, 200.0, 20.0, linear=True),), (Group(agents, (0,)),), 1800.0, discipline), 2000, luck()
    )
    told = np.array(predict_day(Day(volume, 1800.0, 600.0, 200.0, 20.0), agents.tolist(), discipline))
    level, half = played.service_level()
    assert half[0, :7].max() < 0.015
    assert np.isnan(level[0, 7])
    assert (np.abs(level[0] - told)[:7] <= 1.6 * half[0, :7] + off).all()


def test_who_leaves_is_drawn_from_all_and_finishes_outside() -> None:
    queue = Queue(np.array([4.0, 0.0, 40.0]), 20_000.0, np.inf, 1e6, sigma=0.0)
    played = simulate(Plan((queue,), (Group(np.array([10, 5, 5]), (0,)),), 1000.0), 3000, luck())
    few = played.offered[:, 0, 0] == 4
    free = played.answered[few, 0, 2]  # five are left; each of the four busy ones left with chance a half
    assert free.mean() == pytest.approx(5 - 2.0, abs=0.12)
    assert set(free) == {1, 2, 3, 4, 5}
    chance = [math.comb(4, k) * math.comb(6, 5 - k) / math.comb(10, 5) for k in range(5)]
    assert [(free == 5 - k).mean() for k in range(5)] == pytest.approx(chance, abs=0.05)


def test_groups_that_serve_everything_are_one_pool() -> None:
    one, two = Queue(np.full(6, 50.0), 300.0, 120.0, 20.0), Queue(np.full(6, 70.0), 300.0, 120.0, 20.0)
    callers = draw((one, two), 1800.0, 20, luck())
    split = (Group(np.full(6, 8), (0, 1)), Group(np.full(6, 12), (1, 0)))
    many = play(Plan((one, two), split, 1800.0, routing=LONGEST), callers)
    together = Queue(np.full(6, 120.0), 300.0, 120.0, 20.0)
    merged = dataclasses.replace(callers, queue=callers.queue * 0, cell=callers.cell % 6)
    single = play(steady(20, together), merged)
    assert many.in_time.sum(axis=1).tolist() == single.in_time[:, 0].tolist()
    assert many.abandoned.sum(axis=1).tolist() == single.abandoned[:, 0].tolist()


def test_a_wall_makes_queues_of_their_own_and_a_door_opens_it() -> None:
    queues = QUEUES[:2]
    callers = draw(queues, 1800.0, 30, luck())
    own, other = Group(np.array([3, 6, 5, 2]), (0,)), Group(np.array([4, 3, 4, 2]), (1,))
    few = play(Plan(queues, (own, dataclasses.replace(other, agents=other.agents * 0)), 1800.0, BLOCK), callers)
    walled = play(Plan(queues, (own, other), 1800.0, BLOCK), callers)
    assert few.in_time[:, 0].tolist() == walled.in_time[:, 0].tolist()
    n_design = play(Plan(queues, (own, dataclasses.replace(other, queues=(1, 0))), 1800.0, BLOCK), callers)
    assert n_design.in_time[:, 0].sum() > 1.02 * walled.in_time[:, 0].sum()
    assert n_design.in_time[:, 1].sum() < walled.in_time[:, 1].sum()


def test_every_contact_is_answered_hangs_up_or_waits_at_the_end() -> None:
    for discipline in (LEAVE, BLOCK):
        played = simulate(Plan(QUEUES, GROUPS, 1800.0, discipline), 50, luck())
        assert (played.offered == played.answered + played.abandoned + played.waiting).all()
        assert (played.in_time <= played.answered).all()
        assert played.waiting[:, :, :2].sum() < played.waiting[:, :, 3].sum()


def test_the_same_seed_plays_the_same_days_and_another_others() -> None:
    plan = Plan(QUEUES, GROUPS, 1800.0)
    assert same(simulate(plan, 5, luck(1)), simulate(plan, 5, luck(1)))
    assert not same(simulate(plan, 5, luck(1)), simulate(plan, 5, luck(2)))


def test_half_widths_hold_the_truth_nineteen_times_in_twenty() -> None:
    plan = steady(7, Queue(np.array([45.0, 45.0]), 300.0, 60.0, 20.0))
    truth = simulate(plan, 20_000, luck(1)).service_level()[0]
    held = []
    for seed in range(400):
        level, half = simulate(plan, 30, luck(seed + 10)).service_level()
        held.append(np.abs(level - truth) <= half)
    assert 0.92 <= np.mean(held) <= 0.97


def test_arrivals_are_poisson_and_run_as_the_rate_does() -> None:
    volume = np.array([30.0, 60.0, 0.0, 90.0])
    callers = draw((Queue(volume, 300.0, 60.0, 20.0, linear=True),), 900.0, 4000, luck())
    counts = np.bincount(callers.cell + 4 * np.repeat(np.arange(4000), np.diff(callers.days)), minlength=16_000).reshape(-1, 4)
    assert counts.mean(axis=0) == pytest.approx(volume, rel=0.01)
    assert counts.var(axis=0) == pytest.approx(volume, rel=0.07)
    day = Day(volume, 900.0, 300.0, 60.0, 20.0)
    seen = np.histogram(callers.arrives, np.linspace(0, 3600, 4 * 45 + 1))[0] / 4000 / 20.0
    told = np.concatenate([day.rates(n) for n in range(4)])
    assert np.abs(seen - told).max() < 6 * np.sqrt(told.max() / 20 / 4000)
    assert all((np.diff(callers.arrives[a:b]) >= 0).all() for a, b in zip(callers.days[:9], callers.days[1:10], strict=True))


def test_days_may_follow_paths_that_a_forecast_drew() -> None:
    queue, paths = Queue(np.zeros(3), 60.0, 60.0, 20.0), np.stack([np.full((1, 3), 10.0), np.full((1, 3), 1000.0)])
    offered = play(steady(3, queue), draw((queue,), 1800.0, 2, luck(), paths)).offered
    assert offered[0].sum() < 80
    assert offered[1].sum() > 2700
    with pytest.raises(ValueError, match="shape"):
        draw((queue,), 900.0, 3, luck(), paths)


@pytest.mark.parametrize(
    ("what", "word"),
    [
        ({"volume": np.array([-1.0, 1.0])}, "volume"),
        ({"handle": 0.0}, "handle"),
        ({"patience": 0.0}, "patience"),
        ({"threshold": np.inf}, "threshold"),
        ({"sigma": -0.1}, "sigma"),
    ],
)
def test_a_queue_that_cannot_be_is_refused(what: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=f"{word}.*allowed"):
        dataclasses.replace(Queue(np.ones(2), 60.0, 60.0, 20.0), **what)


def test_a_plan_that_cannot_be_is_refused() -> None:
    queue = Queue(np.ones(2), 60.0, 60.0, 20.0)
    for agents, serves in (
        (np.array([1, -1]), (0,)),
        (np.array([1.0, 1.0]), (0,)),
        (np.ones(2, int), (0, 0)),
        (np.ones(2, int), ()),
    ):
        with pytest.raises(ValueError, match="allowed"):
            Group(agents, serves)
    refused: list[Callable[[], Plan]] = [
        lambda: Plan((queue,), (Group(np.ones(3, int), (0,)),), 900.0),
        lambda: Plan((queue,), (Group(np.ones(2, int), (1,)),), 900.0),
        lambda: Plan((queue,), (), 900.0),
        lambda: steady(1, queue, 0.0),
        lambda: Plan((queue,), (Group(np.ones(2, int), (0,)),), 900.0, routing=5),
    ]
    for plan in refused:
        with pytest.raises(ValueError, match="allowed"):
            plan()
