"""Chats: Erlang where an agent has one at a time, the exact chain of all spreads where agents are few, the simulator where many."""

import itertools

import numpy as np
import pytest

from muster.simulator.chats import ChatDay, ChatsSeen, play_chats
from services.staffing.domain.chat import Chats, carried, chat_service, fewest_chat_agents, handle_by_level
from services.staffing.domain.erlang import (
    BY_ABANDONED,
    BY_ASA,
    BY_OCCUPANCY,
    SL_ALL,
    SL_ANSWERED,
    SL_EXCLUDED,
    SL_OFFERED,
    Load,
    fewest_agents_for,
    service,
)

THREE = np.array([300.0, 360.0, 450.0])
SHARED = ("waits", "answered", "abandoned", "within", "left_within", "left_short", "asa", "occupancy")


def chats(lam: float, handle: np.ndarray = THREE, patience: float = 200.0) -> Chats:
    return Chats(np.array([lam]), handle, patience)


def exact_waits(n: int, handle: np.ndarray, lam: float, patience: float) -> float:
    """Return the chance that all slots are taken, from the chain over how many agents are on each level, written out in full."""
    most, rate = handle.size, np.concatenate([[0.0], np.arange(1, handle.size + 1) / handle])
    spreads = [s for s in itertools.product(range(n + 1), repeat=most + 1) if sum(s) == n]
    place = {s: i for i, s in enumerate(spreads)}
    size, queue = len(spreads), 120
    full = place[(0,) * most + (n,)]
    flow = np.zeros((size + queue, size + queue))

    def moved(s: tuple[int, ...], frm: int, to: int) -> int:
        other = list(s)
        other[frm] -= 1
        other[to] += 1
        return place[tuple(other)]

    for s, i in place.items():
        lowest = next(k for k in range(most + 1) if s[k])
        flow[i, moved(s, lowest, lowest + 1) if lowest < most else size] += lam
        for k in range(1, most + 1):
            if s[k]:
                flow[i, moved(s, k, k - 1)] += s[k] * rate[k]
    for q in range(queue):
        flow[size + q, full if q == 0 else size + q - 1] += n * rate[most] + (q + 1) / patience
        if q < queue - 1:
            flow[size + q, size + q + 1] += lam
    flow -= np.diag(flow.sum(axis=1))
    flow[:, 0] = 1.0
    p = np.linalg.solve(flow.T, np.eye(size + queue)[0])
    return float(p[full] + p[size:].sum())


@pytest.mark.parametrize("patience", [30.0, 200.0, np.inf])
@pytest.mark.parametrize(("load", "n"), [(0.1, 1), (3.0, 5), (20.0, 22), (20.0, 18), (5.0, 25), (200.0, 210)])
def test_one_chat_at_a_time_is_a_call(load: float, n: int, patience: float) -> None:
    one = np.array([300.0])
    ours = chat_service(chats(load / 300, one, patience), np.array([n]), 20.0, 5.0)
    erlang = service(Load(np.array([load / 300]), one, np.array([patience])), np.array([n]), 20.0, 5.0)
    for name in SHARED:
        assert getattr(ours, name)[0] == pytest.approx(getattr(erlang, name)[0], abs=1e-9), name


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (SL_OFFERED, 0.8),
        (SL_ANSWERED, 0.9),
        (SL_EXCLUDED, 0.85),
        (SL_ALL, 0.9),
        (BY_ASA, 15.0),
        (BY_ABANDONED, 0.03),
        (BY_OCCUPANCY, 0.8),
    ],
)
def test_one_chat_at_a_time_needs_as_many_agents_as_calls(kind: int, target: float) -> None:
    arrivals = np.array([0.0, 0.001, 0.01, 0.07, 0.4])
    five = np.full(5, 240.0)
    for patience in (90.0, np.inf) if kind in (SL_OFFERED, BY_ASA) else (90.0,):
        ours = fewest_chat_agents(kind, target, Chats(arrivals, np.array([240.0]), patience), 20.0, 5.0)
        assert ours.tolist() == fewest_agents_for(kind, target, Load(arrivals, five, np.full(5, patience)), 20.0, 5.0).tolist()


@pytest.mark.parametrize(
    ("n", "handle", "load", "off"),
    [
        (1, THREE, 0.7, 1e-9),
        (2, THREE, 0.8, 0.003),
        (5, THREE, 0.85, 0.002),
        (4, np.array([300.0, 440.0, 640.0]), 0.9, 0.004),
        (9, np.array([300.0, 400.0]), 0.95, 0.001),
        (3, np.array([300.0, 330.0, 380.0, 450.0]), 0.9, 0.003),
    ],
)
def test_few_agents_are_as_busy_as_the_chain_of_all_spreads_says(n: int, handle: np.ndarray, load: float, off: float) -> None:
    lam = load * n * handle.size / handle[-1]
    told = chat_service(chats(lam, handle), np.array([n]), 30.0).waits[0]
    assert told == pytest.approx(exact_waits(n, handle, lam, 200.0), abs=off)


def test_where_a_chat_is_as_fast_beside_others_the_spread_does_not_matter() -> None:
    same = np.full(3, 300.0)
    told = chat_service(chats(0.035, same), np.array([4]), 30.0).waits[0]
    calls = service(Load(np.array([0.035]), np.array([300.0]), np.array([200.0])), np.array([12]), 30.0).waits[0]
    assert told == pytest.approx(calls, abs=1e-9)
    assert told == pytest.approx(exact_waits(4, same, 0.035, 200.0), abs=1e-9)


def seen_of(lam: float, n: int, handle: np.ndarray, patience: float, sigma: float = 0.0, days: int = 60) -> ChatsSeen:
    day = ChatDay(np.full(24, lam * 1800), np.full(24, n), 1800.0, handle, patience, 40.0, sigma)
    return play_chats(day, days, np.random.default_rng(7))


@pytest.mark.parametrize(
    ("n", "load", "patience"), [(2, 0.8, 200.0), (12, 0.93, 200.0), (40, 0.98, 120.0), (100, 1.02, 300.0), (12, 0.9, np.inf)]
)
def test_the_service_is_what_the_simulator_shows(n: int, load: float, patience: float) -> None:
    lam = load * n * 3 / 450
    told = chat_service(chats(lam, THREE, patience), np.array([n]), 40.0)
    seen = seen_of(lam, n, THREE, patience)
    late = slice(6, None)  # the day begins empty
    offered = seen.offered[:, late].sum(axis=1)
    within, left = seen.within[:, late].sum(axis=1) / offered, seen.abandoned[:, late].sum(axis=1) / offered
    assert abs(within.mean() - told.within[0]) < 3.5 * within.std() / np.sqrt(60) + 0.003
    assert abs(left.mean() - told.abandoned[0]) < 3.5 * left.std() / np.sqrt(60) + 0.002
    assert seen.chat_seconds.sum() / seen.busy_seconds.sum() == pytest.approx(told.concurrency[0], rel=0.06)


def test_each_requirement_is_the_fewest() -> None:
    many = Chats(np.array([0.002, 0.02, 0.1, 0.3]), np.array([300.0, 380.0, 480.0]), 180.0)
    found = fewest_chat_agents(SL_OFFERED, 0.8, many, 45.0)
    assert (chat_service(many, found, 45.0).within >= 0.8).all()
    assert (chat_service(many, found - 1, 45.0).within < 0.8).all()
    assert (
        found < fewest_agents_for(SL_OFFERED, 0.8, Load(many.arrivals, np.full(4, 300.0), np.full(4, 180.0)), 45.0, 0.0)
    ).all()


def test_a_target_that_no_number_of_agents_keeps_is_refused() -> None:
    for kind, target in ((SL_OFFERED, 1.2), (BY_ABANDONED, 0.0), (BY_ASA, -1.0)):
        with pytest.raises(ValueError, match="target is"):
            fewest_chat_agents(kind, target, chats(0.1), 20.0)


def test_large_and_lopsided_loads_stay_numbers() -> None:
    lots = Chats(np.array([1e-9, 0.01, 30.0, 60.0]), np.linspace(300, 700, 6), np.inf)
    told = chat_service(lots, np.array([50, 400, 4000, 4000]), 20.0)
    assert np.isfinite(told.within).all()
    assert told.within[:2].tolist() == [1.0, 1.0]
    assert told.within[3] == 0.0 and told.asa[3] == np.inf  # more than all slots can finish, and nobody gives up


def test_no_agents_answer_nobody_and_nothing_offered_waits_for_nobody() -> None:
    two = chat_service(Chats(np.array([0.0, 0.1]), THREE, 60.0), np.array([0, 0]), 20.0)
    assert two.within.tolist() == [1.0, 0.0]
    assert two.abandoned.tolist() == [0.0, 1.0]
    assert two.left_within[1] == pytest.approx(1 - np.exp(-1 / 3))


def test_long_chats_run_on_into_the_next_interval() -> None:
    flat = carried(np.full(40, 0.1), np.full(40, 900.0), 1800.0)
    assert flat[0] == pytest.approx(0.1 * (1 - 0.5 * (1 - np.exp(-2))))  # the mean of 1 − e^(−t / S) over two S
    assert flat[-1] == pytest.approx(0.1)
    after = carried(np.array([0.1, 0.0, 0.0]), np.full(3, 900.0), 1800.0)
    assert after[1] > 0.03 and after[2] == pytest.approx(after[1] * np.exp(-2))
    assert carried(np.array([0.1, 0.4]), np.full(2, 1e-3), 1800.0) == pytest.approx([0.1, 0.4], rel=1e-5)


def test_every_chat_is_answered_given_up_or_still_open() -> None:
    agents = np.array([3, 0, 5, 1, 4, 2])
    for patience in (60.0, np.inf):
        seen = play_chats(ChatDay(np.full(6, 40.0), agents, 900.0, THREE, patience, 30.0, 0.8), 30, np.random.default_rng(2))
        assert (seen.offered == seen.answered + seen.abandoned + seen.still_open).all()
        assert (seen.within <= seen.answered).all()
        assert (seen.still_open.sum() == 0) == (patience < np.inf)
        assert (seen.abandoned.sum() > 0) == (patience < np.inf)
        assert (seen.chat_seconds <= 3 * seen.busy_seconds + 1e-6).all()


def test_who_leaves_finishes_and_takes_nothing_new() -> None:
    day = ChatDay(np.array([200.0, 50.0]), np.array([4, 0]), 1800.0, np.array([600.0]), np.inf, 1e9)
    seen = play_chats(day, 20, np.random.default_rng(1))
    assert (seen.answered[:, 1] == 0).all()
    assert (seen.busy_seconds > 4 * 1800).all()  # they go on past the border


def test_a_lone_agent_shares_their_time_as_the_levels_say() -> None:
    handle = np.array([300.0, 500.0])
    seen = seen_of(1.0, 1, handle, 1e-6)  # always full, nobody waits
    assert seen.answered.sum() / (seen.busy_seconds.sum() / 500.0 * 2) == pytest.approx(1.0, rel=0.03)


@pytest.mark.parametrize(
    "bad",
    [
        {"arrivals": np.array([-1.0])},
        {"arrivals": np.array([np.nan])},
        {"handle": np.array([300.0, 250.0])},  # faster beside another
        {"handle": np.array([300.0, 700.0])},  # two bring fewer an hour than one
        {"handle": np.zeros(0)},
        {"handle": np.full(21, 300.0)},
        {"patience": 0.0},
    ],
)
def test_chats_that_make_no_sense_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="allowed"):
        Chats(**{"arrivals": np.array([0.1]), "handle": THREE, "patience": 60.0, **bad})  # type: ignore[arg-type]


def test_the_book_s_levels_are_taken_or_the_forecast_s_aht_at_each() -> None:
    assert handle_by_level(240.0, 3, ()).tolist() == [240.0] * 3
    assert handle_by_level(240.0, 2, (200.0, 290.0)).tolist() == [200.0, 290.0]
    with pytest.raises(ValueError, match="has 1 levels"):
        handle_by_level(240.0, 2, (200.0,))


def test_a_day_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="agents"):
        ChatDay(np.ones(2), np.ones(3, int), 900.0, THREE, 60.0, 20.0)
    with pytest.raises(ValueError, match="sigma 9"):
        ChatDay(np.ones(2), np.ones(2, int), 900.0, THREE, 60.0, 20.0, 9.0)
    with pytest.raises(ValueError, match="days is 0"):
        play_chats(ChatDay(np.ones(2), np.ones(2, int), 900.0, THREE, 60.0, 20.0), 0, np.random.default_rng(1))
