"""The decision: who is named, when nothing is done, and that the same inputs give the same decision."""

import dataclasses
from decimal import Decimal

import numpy as np
import orjson
import pytest

from muster.kit.statements import to_json
from services.staffing.domain.decision import decide
from services.staffing.domain.erlang import Load
from services.staffing.domain.group import (
    SLOT,
    SLOTS,
    AgentOutlook,
    GroupOutlook,
    LeverRule,
    QueueOutlook,
    decision_id,
    inputs_hash,
)
from services.staffing.domain.presence import Absence, PlannedShift, Segment, on_queue, turnout
from services.staffing.domain.record import ACCEPTED, OPEN, RECORDED, from_body, issue, to_body
from services.staffing.domain.requirement import Goal
from services.staffing.handlers.outlook import under_way

NOW = 1_774_432_800
LEVERS = {
    "MOVE": LeverRule("MOVE", 0, 0, 1800, 7200, None, Decimal(0), 1.0),
    "OVERTIME": LeverRule("OVERTIME", 900, 900, 1800, 7200, 8, Decimal(0), 0.5),
    "VOLUNTARY_TIME_OFF": LeverRule("VOLUNTARY_TIME_OFF", 900, 0, 3600, 14_400, 6, Decimal(0), 0.5),
}


def queue(name: str, calls: float, required: float, expected: float, **changes: object) -> QueueOutlook:
    load = Load(np.full(SLOTS, calls / 1800), np.full(SLOTS, 300.0), np.full(SLOTS, 180.0))
    flat = {"required": required, "required_safe": required * 1.15, "expected": expected}
    arrays = {k: np.full(SLOTS, float(v)) for k, v in flat.items()}
    made = QueueOutlook(
        name,
        "acme",
        load,
        Goal("SERVICE_LEVEL", 0.8, threshold=20.0),
        **arrays,
        complete=True,
        window_safe=True,
        forecast_version=1,
        requirement_version=1,
        complete_through=NOW,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def agent(
    name: str, on: str, *, starts: int = -4, ends: float = 4, eligible: tuple[str, ...] = ("acme/a", "acme/b")
) -> AgentOutlook:
    begin, end = NOW + starts * 3600, NOW + int(ends * 3600)
    shift = PlannedShift(name, "leeds", begin, end, (Segment("phone", on, begin, end),))
    return AgentOutlook(shift, eligible, Decimal(12), Decimal(18), True, 0, begin - 4 * 3600, end + 4 * 3600)


def group(*queues: QueueOutlook, agents: tuple[AgentOutlook, ...] = (), **changes: object) -> GroupOutlook:
    made = GroupOutlook("acme/a", NOW, {q.queue: q for q in queues}, agents, LEVERS, frozenset(), {}, 3, "FLOOR", NOW, 0, "GBP")
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


SHORT = queue("acme/a", 100, 19, 15)
LONG = queue("acme/b", 40, 9, 14)


def test_agents_are_moved_from_a_queue_that_can_spare_them() -> None:
    team = tuple(agent(f"b{n}", "acme/b") for n in range(6))
    (move,) = [p for p in decide(group(SHORT, LONG, agents=team)) if p.lever == "MOVE"]
    assert (move.kind, move.count) == ("SCALE_UP", 3)
    assert {leg.queue: leg.agents for leg in move.legs} == {"acme/a": 3, "acme/b": -3}
    leg = move.legs[0]
    assert leg.after is not None
    assert leg.before is not None
    assert leg.after > leg.before
    assert all("can spare" in n.why for n in move.candidates)


def test_nobody_is_moved_to_a_queue_they_may_not_serve() -> None:
    team = tuple(agent(f"b{n}", "acme/b", eligible=("acme/b",)) for n in range(6))
    assert all(p.lever != "MOVE" for p in decide(group(SHORT, LONG, agents=team)))


def test_overtime_asks_more_than_needed_since_some_decline() -> None:
    team = tuple(agent(f"a{n}", "acme/a", ends=1) for n in range(20))
    (more,) = decide(group(dataclasses.replace(SHORT, window_safe=False), agents=team))
    assert (more.kind, more.lever, more.count) == ("SCALE_UP", "OVERTIME", 8)
    assert all(n.starts_at == NOW + 3600 for n in more.candidates)
    assert more.cost > 0


def test_overtime_that_does_not_reach_the_shortage_is_not_asked_for() -> None:
    open_for_an_hour = np.where(np.arange(SLOTS) < 4, 100 / 1800, 0.0)
    load = Load(open_for_an_hour, np.full(SLOTS, 300.0), np.full(SLOTS, 180.0))
    short = dataclasses.replace(SHORT, window_safe=False, load=load)
    team = tuple(agent(f"a{n}", "acme/a", ends=1) for n in range(20))
    (hold,) = decide(group(short, agents=team))
    assert (hold.kind, hold.reason_code) == ("HOLD", "NO_LEVER")
    assert "whose hours would help" in hold.reason


def test_a_safe_window_is_not_saved_by_overtime_for_a_small_shortfall() -> None:
    slight = queue("acme/a", 100, 19, 17.8)
    team = tuple(agent(f"a{n}", "acme/a", ends=1) for n in range(20))
    assert decide(group(slight, agents=team)) == []
    assert decide(group(dataclasses.replace(slight, window_safe=False), agents=team))


def test_a_feed_that_is_not_complete_holds_and_never_sends_anybody_home() -> None:
    blind = dataclasses.replace(LONG, complete=False)
    team = tuple(agent(f"b{n}", "acme/b", ends=3) for n in range(8))
    proposals = decide(group(blind, agents=team))
    assert [(p.kind, p.reason_code) for p in proposals] == [("HOLD", "FEED_INCOMPLETE")]
    assert decide(group(LONG, agents=team))[0].kind == "SCALE_DOWN"


def test_time_off_is_offered_only_while_the_window_is_safe() -> None:
    team = tuple(agent(f"b{n}", "acme/b", ends=3) for n in range(8))
    (down,) = decide(group(LONG, agents=team))
    assert (down.kind, down.lever) == ("SCALE_DOWN", "VOLUNTARY_TIME_OFF")
    assert down.cost < 0
    assert decide(group(dataclasses.replace(LONG, window_safe=False), agents=team)) == []


def test_time_off_never_goes_below_the_requirement_at_the_ninety_percent_quantile() -> None:
    team = tuple(agent(f"b{n:02d}", "acme/b", ends=3) for n in range(14))
    (down,) = decide(group(LONG, agents=team))
    assert LONG.expected[0] - down.count * 0.5 >= LONG.required_safe[0] * 1.05 - 1e-9


def test_without_a_schedule_it_holds() -> None:
    assert decide(group(SHORT, schedule_version=0))[0].reason_code == "NO_SCHEDULE"


def test_a_shortage_without_anybody_to_name_says_so() -> None:
    assert decide(group(dataclasses.replace(SHORT, window_safe=False)))[0].reason_code == "NO_LEVER"


def test_busy_agents_are_not_named_twice() -> None:
    team = tuple(agent(f"b{n}", "acme/b") for n in range(4))
    proposals = decide(group(SHORT, LONG, agents=team, busy=frozenset({"b0", "b1"})))
    assert {n.agent for p in proposals for n in p.candidates} == {"b2", "b3"}


def test_the_same_inputs_give_the_same_decision_and_id() -> None:
    team = tuple(agent(f"b{n}", "acme/b") for n in range(6))
    one, two = (group(SHORT, LONG, agents=team) for _ in range(2))
    assert decide(one) == decide(two)
    assert inputs_hash(one) == inputs_hash(two)
    assert decision_id("acme/a", NOW, "INTERVAL", 0) == decision_id("acme/a", NOW, "INTERVAL", 0)
    assert decision_id("acme/a", NOW, "INTERVAL", 0) != decision_id("acme/a", NOW, "INTERVAL", 1)


@pytest.mark.parametrize(
    ("autonomy", "limit", "state"),
    [("SHADOW", None, RECORDED), ("PILOT", None, OPEN), ("LIVE", None, ACCEPTED), ("LIVE", 1, OPEN)],
)
def test_autonomy_decides_the_first_state(autonomy: str, limit: int | None, state: str) -> None:
    outlook = group(SHORT, LONG, agents=tuple(agent(f"b{n}", "acme/b") for n in range(6)))
    record = issue(outlook, decide(outlook)[0], 0, "INTERVAL", autonomy, limit)
    assert record.state == state
    assert from_body(orjson.loads(to_json(to_body(record)))) == record


def test_what_is_under_way_is_counted_once() -> None:
    outlook = group(SHORT, LONG, agents=tuple(agent(f"b{n}", "acme/b") for n in range(6)))
    record = issue(outlook, decide(outlook)[0], 0, "INTERVAL", "LIVE", None)
    expected = {"acme/a": SHORT.expected.copy(), "acme/b": LONG.expected.copy()}
    under_way(expected, [record], {"MOVE": 1.0}, NOW)
    assert expected["acme/a"][1] == 18
    assert expected["acme/b"][1] == 11


def test_absent_agents_are_not_expected_and_turnout_moves_towards_the_floor() -> None:
    shifts = [agent(f"b{n}", "acme/b").shift for n in range(4)]
    absences = {"b0": [Absence("b0", NOW, NOW + 3600)]}
    there = on_queue(shifts, absences, ["acme/b"], NOW, 8, SLOT)["acme/b"]
    assert (there[0], there[5]) == (3.0, 4.0)
    twice = {"b0": [Absence("b0", NOW + 600, NOW + 1200), Absence("b0", NOW, NOW + 900), Absence("b0", NOW + 2000, NOW + 1900)]}
    there = on_queue(shifts, twice, ["acme/b"], NOW, 8, SLOT)["acme/b"]
    assert there[:3].tolist() == pytest.approx(
        [3.0, 3 + 600 / 900, 4.0]
    )  # absences that overlap count once, one that ends first not at all
    assert turnout(None, 20, 0.95) == 0.95
    assert 0.5 < turnout(10, 20, 0.95) < 0.95
