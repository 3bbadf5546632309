"""Idle time of calls: the cut-off chain by hand and played, and what a plan of mail makes of it."""

import dataclasses
import heapq

import numpy as np
import pytest

from services.staffing.domain.blending import IdleDay, idle_time
from services.staffing.domain.carried import PARTS, Carried, carry
from services.staffing.domain.erlang import BY_ABANDONED, BY_ASA, SL_OFFERED
from services.staffing.domain.facts import ForecastDay
from services.staffing.domain.requirement import Goal, Rules, fewest_of_all
from services.staffing.handlers.blending import CallsDay, idle_of
from services.staffing.handlers.deferring import DeskDays, on_deferred, plan_days, prepare
from services.staffing.handlers.pricing_mail import price_mail
from services.staffing.handlers.requiring import QueueRules
from tests.unit.test_deferring import PLAIN, desk, mails

HELP = "acme/help"


def steady(load: float, handle: float, patience: float) -> Carried:
    return Carried.told(
        np.array([load / handle]),
        np.array([handle]),
        np.array([patience]),
        np.full((1, PARTS), load),
        np.full((1, PARTS), 1 / PARTS),
    )


def chain(n: int, keep: int, load: float, patience: float, handle: float) -> tuple[float, float]:
    """Return the share of calls that need not wait, and agents with an item, of the chain never below n - keep, state by state."""
    states = np.arange(n - keep, n + 600)
    down = np.minimum(states, n) / handle + np.maximum(states - n, 0) / patience
    weight = np.append(0.0, np.cumsum(np.log(load / handle) - np.log(down[1:])))
    share = np.exp(weight - weight.max())
    share /= share.sum()
    left = float(share @ np.maximum(states - n, 0)) / patience
    return float(share[states < n].sum()), float(share @ np.minimum(states, n)) - load + left * handle


@pytest.mark.parametrize("patience", [60.0, 300.0, np.inf])
@pytest.mark.parametrize(("n", "load"), [(12, 9.5), (3, 0.4), (60, 52.0)])
def test_items_as_long_as_calls_are_the_cut_off_chain(n: int, load: float, patience: float) -> None:
    calls, floor = steady(load, 300.0, patience), 0.6
    found = idle_time(SL_OFFERED, np.array([floor]), np.array([float(n)]), calls, (0.0, 0.0, 300.0))
    keep = int(found.keep[0])
    at_once, items = chain(n, keep, load, patience, 300.0)
    assert found.value[0] == pytest.approx(at_once, abs=1e-9) and found.agents[0] == pytest.approx(items, abs=1e-7)
    assert at_once >= floor > chain(n, keep - 1, load, patience, 300.0)[0]


def floor_played(
    n: int, keep: int, load: float, handle: float, patience: float, item: float, calls: int
) -> tuple[float, float]:
    """Return the share of calls answered within 20 s, and agents with an item, of a floor played with items always at hand."""
    luck = np.random.default_rng(5)
    ends: list[tuple[float, bool]] = []
    line: list[tuple[float, float]] = []
    now, within, items = 0.0, 0, 0.0

    def fill() -> None:
        while n - len(ends) > keep:
            heapq.heappush(ends, (now + luck.exponential(item), True))

    fill()
    for _ in range(calls):
        comes = now + luck.exponential(handle / load)
        while ends and ends[0][0] <= comes:
            now, was_item = heapq.heappop(ends)
            items += was_item
            while line:
                came, gives_up = line.pop(0)
                if gives_up > now:
                    within += now - came <= 20.0
                    heapq.heappush(ends, (now + luck.exponential(handle), False))
                    break
            fill()
        now = comes
        if len(ends) < n:
            within += 1
            heapq.heappush(ends, (now + luck.exponential(handle), False))
        else:
            line.append((now, now + luck.exponential(patience)))
    return within / calls, items * item / now


@pytest.mark.parametrize(("n", "load", "item"), [(12, 9.0, 900.0), (5, 1.5, 600.0), (12, 9.0, 100.0)])
def test_calls_fare_no_worse_than_said_beside_longer_and_shorter_items(n: int, load: float, item: float) -> None:
    found = idle_time(SL_OFFERED, np.array([0.7]), np.array([float(n)]), steady(load, 300.0, 120.0), (20.0, 0.0, item))
    level, items = floor_played(n, int(found.keep[0]), load, 300.0, 120.0, item, 60_000)
    assert 0.7 <= found.value[0] <= level + 0.01 and level < found.value[0] + 0.06
    assert items == pytest.approx(found.agents[0], rel=0.2)


def test_calls_keep_their_floor_beside_items_that_take_far_longer() -> None:
    found = idle_time(SL_OFFERED, np.array([0.8]), np.array([12.0]), steady(9.0, 60.0, np.inf), (20.0, 0.0, 1800.0))
    assert found.agents[0] > 0.5
    assert floor_played(12, int(found.keep[0]), 9.0, 60.0, 1e12, 1800.0, 200_000)[0] > 0.79


def test_nothing_is_done_where_calls_spare_nothing_and_all_where_nobody_calls() -> None:
    short, none = steady(9.5, 300.0, 120.0), steady(0.0, 300.0, 120.0)
    assert idle_time(SL_OFFERED, np.array([0.99]), np.array([9.0]), short, (20.0, 0.0, 300.0)).agents[0] == 0
    all_idle = idle_time(SL_OFFERED, np.array([0.8]), np.array([4.0]), none, (20.0, 0.0, 300.0))
    assert (all_idle.keep[0], all_idle.agents[0]) == (0, 4)
    assert idle_time(SL_OFFERED, np.array([0.8]), np.array([0.0]), none, (20.0, 0.0, 300.0)).agents[0] == 0
    capped = idle_time(SL_OFFERED, np.array([0.5]), np.array([12.0]), steady(6.0, 300.0, 120.0), (20.0, 0.0, 300.0), most=0.7)
    assert 6.0 + capped.agents[0] <= 0.7 * 12 + 0.1  # one call in a hundred hangs up
    with pytest.raises(ValueError, match=r"agents \[1.5\]"):
        idle_time(SL_OFFERED, np.array([0.8]), np.array([1.5]), none, (20.0, 0.0, 300.0))


def calls(goals: tuple[Goal, ...] = (), agents: float = 12.0, spare: bool = False, loss: float = 0.02) -> CallsDay:
    goal = Goal("SERVICE_LEVEL", 0.8, threshold=20.0)
    rules = QueueRules(Rules((goal, *goals), 0, 0.0, 0.0), 120.0, "Erlang A")
    starts = tuple(range(0, 5 * 1800, 1800))
    offered, high, aht = ((v,) * 5 for v in (57.0, 66.0, 300.0))
    return CallsDay("acme/help", 1800, starts, offered, high, aht, (agents,) * 5, (spare,) * 5, rules, 0.5, loss)


def test_calls_lose_no_more_than_is_said_and_agents_whom_they_do_not_need_are_free() -> None:
    needed, lavish, spare = (idle_of(day, 300) for day in (calls(), calls(agents=14.0), calls(agents=14.0, spare=True)))
    for found in (needed, lavish):
        assert all(p - 0.02 <= v < p for p, v in zip(found.plain, found.level, strict=True))
    assert spare.plain == lavish.plain and min(spare.level) >= 0.8
    assert all(more > 1.5 * few for more, few in zip(spare.agents, lavish.agents, strict=True))
    assert max(idle_of(calls(loss=0.0), 300).agents) < min(needed.agents)
    capped = idle_of(calls((Goal("OCCUPANCY_CAP", 0.85),), agents=14.0, spare=True), 300)
    assert all(few < more for few, more in zip(capped.agents, spare.agents, strict=True))
    assert all(s < a for s, a in zip(needed.safe, needed.agents, strict=True))  # more calls than expected leave less


@pytest.mark.parametrize("goal", [Goal("ABANDONMENT", 0.03), Goal("ASA", 4.0), Goal("SERVICE_LEVEL", 0.95, threshold=60.0)])
def test_whatever_else_is_promised_of_calls_is_kept(goal: Goal) -> None:
    day = calls((goal,), loss=0.2)
    load = carry(np.array(day.offered), np.array(day.aht), np.array(day.starts), 1800, 120.0)
    needed = tuple(float(n) for n in fewest_of_all(load, day.rules.rules)[0])
    found = idle_of(dataclasses.replace(day, on_queue=needed), 300)
    alone = idle_of(dataclasses.replace(day, on_queue=needed, rules=calls().rules), 300)
    assert all(more > some for more, some in zip(found.keep, alone.keep, strict=True))
    for n, keep, a in zip(needed, found.keep, load.load[:, 0], strict=True):
        kind = {"ABANDONMENT": BY_ABANDONED, "ASA": BY_ASA}.get(goal.metric, SL_OFFERED)
        bound, one = np.array([goal.target]), steady(float(a), 300.0, 120.0)
        assert keep >= idle_time(kind, bound, np.array([n]), one, (goal.threshold, 0.0, 300.0)).keep[0]


def test_calls_that_nothing_is_promised_for_are_not_left_to_wait() -> None:
    day = dataclasses.replace(calls(agents=16.0, spare=True), rules=QueueRules(Rules((), 16, 0.0, 0.0), 120.0, "Erlang A"))
    found = idle_of(day, 300)
    assert min(found.level) >= 0.8 and min(found.keep) > 0


def test_idle_time_takes_mail_off_those_who_do_nothing_else() -> None:
    days, at = mails(300, 10), desk("8h")
    begin = days[0].starts[0]
    idle = [
        IdleDay("acme/help", 1.0, tuple(day.starts), *[tuple([v] * 48) for v in (9.0, 3, 2.0, 1.5, 0.8, 0.82)])  # type: ignore[arg-type]
        for day in days
    ]
    alone, helped = (on_deferred(DeskDays(days, [], at, 0.9, begin, some), PLAIN, 1) for some in ((), idle))
    saved = sum(sum(one.on_queue) - sum(other.on_queue) for one, other in zip(alone[:5], helped[:5], strict=True)) / 2
    assert saved == pytest.approx(5 * 8 * 2.0, rel=0.15)  # two agents from nine to five
    assert all(day.blended == [2.0] * len(day.starts) for day in helped) and all(not day.blended for day in alone)
    assert all(level is None or level > 0.9 for day in helped for level in day.service_level)
    for day, safe in zip(helped[:5], alone[:5], strict=True):
        assert sum(day.on_queue) <= sum(day.on_queue_safe) < sum(safe.on_queue_safe)
    noon = days[0].starts[24]
    later = on_deferred(DeskDays(days, [], at, 0.9, noon, idle), PLAIN, 2, alone[0])[0]
    assert later.blended[:6] == [0.0] * 6 and later.blended[6:] == [2.0] * 10
    plenty = [dataclasses.replace(day, agents=(40.0,) * 48, safe=(40.0,) * 48) for day in idle]
    nobody = on_deferred(DeskDays(days, [], at, 0.9, begin, plenty), Rules((), 1, 0.0, 0.0), 1)
    assert {n for day in nobody for n in day.on_queue} == {1.0}  # the minimum staff


def test_the_target_is_kept_however_much_may_be_lost_and_only_who_is_able_counts() -> None:
    day = dataclasses.replace(calls(loss=0.2), on_queue=(12.0,) * 5)
    found = idle_of(day, 300)
    assert min(found.level) >= 0.8 and max(found.level) < 0.9
    few, all_of_them = (idle_of(dataclasses.replace(day, able=able), 300) for able in (0.25, 1.0))
    assert np.array(few.agents) == pytest.approx(0.25 * np.array(all_of_them.agents), abs=1e-8)
    assert np.array(few.safe) == pytest.approx(0.25 * np.array(all_of_them.safe), abs=1e-8)


def idle_days_of(days: list[ForecastDay], agents: float, safe: float) -> list[IdleDay]:
    return [
        IdleDay(HELP, 1.0, tuple(d.starts), *[(v,) * 48 for v in (9.0, 3, agents, safe, 0.8, 0.82)])  # type: ignore[arg-type]
        for d in days
    ]


def test_a_plan_counts_on_idle_agents_within_its_hours_in_its_margin_its_load_and_its_safe_number() -> None:
    days, at = mails(300, 8), desk("2h")
    begin = days[0].starts[0]
    idle = idle_days_of(days, 5.0, 0.0)
    alone, helped = (prepare(DeskDays(days, [], at, 0.9, begin, some), 0) for some in ((), idle))
    assert not helped.idle[~helped.work.open].any() and (helped.idle[: 7 * 48][helped.work.open[: 7 * 48]] == 5.0).all()
    assert helped.margin.z != alone.margin.z
    plain, beside = (on_deferred(DeskDays(days, [], at, 0.9, begin, some), PLAIN, 1) for some in ((), idle))
    assert sum(plain[1].load) - sum(beside[1].load) > 0.8 * 16 * 4
    unsafe = on_deferred(DeskDays(days, [], at, 0.9, begin, idle_days_of(days, 5.0, 5.0)), PLAIN, 1)
    assert sum(beside[1].on_queue_safe) > sum(unsafe[1].on_queue_safe) + 30


def test_a_price_counts_on_idle_agents_in_what_is_expected() -> None:
    days, at = mails(300, 8), desk("2h")
    now, tuesday = days[0].starts[0], days[1].local_date
    idle = idle_days_of(days, 5.0, 5.0)
    helped = price_mail(DeskDays(days, [], at, 0.9, now, idle), PLAIN, 0.85, tuesday)["MEAN"]
    alone = price_mail(DeskDays(days, [], at, 0.9, now), PLAIN, 0.85, tuesday)["MEAN"]
    assert helped.hours < alone.hours - 20 and helped.expected > 0.9


def test_a_plan_never_takes_more_than_it_would_without_idle_agents() -> None:
    days, at = mails(40, 8, 600.0), desk("2h", 600.0)
    begin = days[0].starts[0]
    alone, little, much = (
        plan_days(DeskDays(days, [], at, 0.9, begin, some), 0)
        for some in ((), idle_days_of(days, 0.05, 0.05), idle_days_of(days, 3.0, 3.0))
    )
    assert little.whole.tolist() == alone.whole.tolist() and not little.idle.any()
    assert much.whole.sum() < alone.whole.sum() / 2 and much.idle.any()
