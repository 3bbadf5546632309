"""Agents of several skills: targets held on days no search has seen, nothing to spare, and walls that cost what formulas say."""

import dataclasses
import itertools

import numpy as np
import pytest

from muster.simulator.pools import LONGEST, PRIORITY
from services.staffing.domain.erlang import SL_OFFERED, Load, fewest_agents_for
from services.staffing.domain.pooling import (
    Found,
    Judge,
    Pools,
    Seen,
    Wanted,
    chained,
    dedicated,
    find,
    hours,
    missed,
    pooled,
    repair,
    start,
    trim,
)
from services.staffing.handlers import pooling as handlers

SECONDS = 1800.0
BUSY = np.array([12.0, 30.0, 40.0, 30.0, 26.0, 12.0])
PAIR = (Wanted(BUSY, 300.0, 120.0, 20.0, 0.8), Wanted(BUSY[::-1] * 0.6, 360.0, 150.0, 30.0, 0.8))


def judge_of(pools: Pools, days: int, seed: int, routing: int = PRIORITY) -> Judge:
    return handlers.judge_of(pools, routing, days, np.random.default_rng(seed))


def found(pools: Pools, routing: int = PRIORITY) -> Found:
    return find(pools, judge_of(pools, 80, 1, routing), judge_of(pools, 600, 2, routing))


@pytest.mark.parametrize("skills", [dedicated, chained, pooled])
def test_every_target_holds_on_nineteen_of_twenty_days_that_no_search_has_seen(skills: object) -> None:
    groups = {dedicated: dedicated, chained: chained, pooled: pooled}[skills](2)  # type: ignore[index]
    routing = LONGEST if skills is pooled else PRIORITY
    pools = Pools(PAIR, groups, SECONDS)
    staffed = found(pools, routing)
    assert (staffed.missed <= 0).all()
    assert staffed.hours == staffed.agents.sum() / 2
    fresh = judge_of(pools, 2000, 99, routing)(staffed.agents)
    assert ((fresh.days() >= pools.targets).mean(axis=0) >= 0.94).all()
    assert (fresh.intervals() >= pools.targets[:, None] - pools.slack - 0.02).all()


def test_walls_cost_and_one_door_between_neighbours_saves_most_of_it() -> None:
    walled, ring = (found(Pools(PAIR, skills(2), SECONDS)).hours for skills in (dedicated, chained))
    one = found(Pools(PAIR, pooled(2), SECONDS), LONGEST).hours
    assert one < 0.95 * walled
    assert ring < 0.95 * walled
    assert walled - ring > 0.6 * (walled - one)


def test_one_queue_is_staffed_as_the_fewest_of_all_staffings_tried_one_by_one() -> None:
    volume = np.array([20.0, 36.0, 16.0])
    pools = Pools((Wanted(volume, 300.0, 120.0, 20.0, 0.8),), dedicated(1), SECONDS)
    judge = judge_of(pools, 150, 1)
    kept = [
        sum(agents)
        for agents in itertools.product(range(3, 9), range(5, 12), range(2, 8))
        if (missed(pools, judge(np.array([agents])), 0.965) <= 0).all()
    ]
    trimmed = trim(pools, judge, start(pools, judge))
    assert (missed(pools, judge(trimmed), 0.965) <= 0).all()
    assert min(kept) <= trimmed.sum() <= min(kept) + 1


def test_of_what_is_left_nobody_can_go() -> None:
    pools = Pools(PAIR, chained(2), SECONDS)
    judge = judge_of(pools, 80, 1)
    begun = start(pools, judge)
    trimmed = trim(pools, judge, begun)
    assert trimmed.sum() < 0.98 * begun.sum()
    assert (missed(pools, judge(trimmed), 0.965) <= 0).all()
    for group, interval in np.argwhere(trimmed > 0):
        fewer = trimmed.copy()
        fewer[group, interval] -= 1
        assert (missed(pools, judge(fewer), 0.965) > 0).any(), (group, interval)


def test_a_long_day_with_one_pool_needs_what_erlang_says() -> None:
    volume = np.full(12, 120.0)
    pools = Pools((Wanted(volume, 300.0, 120.0, 20.0, 0.8),), dedicated(1), SECONDS, share_of_days=0.5)
    told = fewest_agents_for(SL_OFFERED, 0.8, Load(volume[:1] / SECONDS, np.array([300.0]), np.array([120.0])), 20.0, 0.0)[0]
    assert found(pools).agents.mean() == pytest.approx(told - 0.5, abs=0.75)


def test_repair_adds_where_it_is_missed_and_nothing_where_all_is_kept() -> None:
    pools = Pools(PAIR, dedicated(2), SECONDS)
    judge, staffed = judge_of(pools, 300, 2), found(pools)
    again, by = repair(pools, judge, staffed.agents)
    assert (by <= 0).all()
    short = staffed.agents.copy()
    short[1] = 0
    mended, by = repair(pools, judge, short)
    assert (by <= 0).all()
    assert mended[0].tolist() == again[0].tolist()


def test_what_a_queue_misses_is_counted_by_days_and_by_its_worst_interval() -> None:
    pools = Pools((Wanted(np.full(2, 10.0), 60.0, 60.0, 20.0, 0.8),), dedicated(1), SECONDS)
    offered = np.full((100, 1, 2), 10.0)
    in_time = np.full((100, 1, 2), 9.0)
    assert missed(pools, Seen(in_time, offered)) == pytest.approx([-0.1])
    in_time[:4, 0] = 5.0
    assert missed(pools, Seen(in_time, offered))[0] < 0
    in_time[:8, 0] = 5.0
    assert missed(pools, Seen(in_time, offered)) == pytest.approx([0.3])
    uneven = np.stack([np.full((100, 1), 10.0), np.full((100, 1), 6.5)], axis=2)
    assert missed(pools, Seen(uneven, offered)) == pytest.approx([0.05])
    assert missed(pools, Seen(offered * 0, offered * 0)) == pytest.approx([-0.2])


def test_skills_are_a_wall_a_ring_or_one_pool() -> None:
    assert dedicated(3) == ((0,), (1,), (2,))
    assert chained(3) == ((0, 1), (1, 2), (2, 0))
    assert (chained(1), chained(2)) == (((0,),), ((0, 1), (1, 0)))
    assert pooled(3) == ((0, 1, 2),)
    assert hours(np.array([[2, 3], [1, 0]]), 900.0) == 1.5


def test_a_closed_interval_gets_nobody() -> None:
    shut = tuple(dataclasses.replace(q, volume=np.concatenate([[0.0, 0.0], q.volume])) for q in PAIR)
    for skills in (dedicated, chained):
        pools = Pools(shut, skills(2), SECONDS)
        assert not start(pools, judge_of(pools, 40, 1))[:, :2].any()


@pytest.mark.parametrize(
    ("what", "word"),
    [
        ({"groups": ((0,),)}, "groups"),
        ({"groups": ((0, 0), (1,))}, "groups"),
        ({"groups": ((0, 1), (2,))}, "groups"),
        ({"seconds": 0.0}, "seconds"),
        ({"share_of_days": 1.0}, "share_of_days"),
        ({"slack": 0.0}, "slack"),
        ({"queues": (PAIR[0], dataclasses.replace(PAIR[1], volume=np.ones(2)))}, "intervals"),
    ],
)
def test_pools_that_cannot_be_are_refused(what: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=f"{word}.*allowed"):
        dataclasses.replace(Pools(PAIR, dedicated(2), SECONDS), **what)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "what", [{"target": 1.0}, {"target": 0.0}, {"handle": -1.0}, {"threshold": -1.0}, {"volume": np.array([np.nan])}]
)
def test_a_wish_that_cannot_be_is_refused(what: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="allowed"):
        dataclasses.replace(PAIR[0], **what)  # type: ignore[arg-type]


def test_who_gives_up_counts_only_where_the_contract_counts_the_offered() -> None:
    volume, hasty = np.array([30.0, 40.0, 0.0, 30.0]), (300.0, 25.0, 20.0, 0.8)
    offered, answered = (Pools((Wanted(volume, *hasty, of),), dedicated(1), SECONDS) for of in (False, True))
    fewer = found(answered)
    assert fewer.hours < 0.9 * found(offered).hours
    assert (fewer.missed <= 0).all()
    assert (fewer.agents[0, volume > 0] > 0).all()  # where nobody is answered nobody is answered in time
    nobody = judge_of(answered, 20, 3)(np.zeros((1, 4), np.int64))
    assert nobody.intervals()[0].tolist() == [0, 0, 1, 0]
