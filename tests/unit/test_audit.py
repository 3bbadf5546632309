"""The audit: a lawful schedule passes, and each rule of the catalogue has an example that violates it."""

import dataclasses
import datetime as dt

import pytest

from muster.domain.calendar import resolve
from services.scheduler.domain import audit as rules
from services.scheduler.domain.amend import Change, amend, find_shift
from services.scheduler.domain.audit import CATALOGUE, Context, Violation, audit, seats_suffice
from services.scheduler.domain.rules import AgentRules, Pause
from services.scheduler.domain.shift import Segment, Shift, from_body, new_shift, to_body

ZONE = "Europe/London"
MONDAY = dt.date(2026, 3, 23)
LUNCH = Pause("lunch", 1800, 3 * 3600, 5 * 3600, False)
RULES = AgentRules(
    agent="a1",
    site="leeds",
    zone=ZONE,
    home_based=False,
    queues=("acme/a",),
    lengths=(30_600,),
    grid=1800,
    windows=((frozenset(range(7)), 7 * 3600, 12 * 3600),),
    swing=7200,
    weekly_low=40,
    weekly_high=40,
    weekdays=frozenset(range(7)),
    days_low=5,
    days_high=5,
    rest=11 * 3600,
    weekly_rest=35 * 3600,
    consecutive_days=6,
    consecutive_nights=3,
    pauses=(LUNCH,),
    away=(),
    hired_on=dt.date.min,
    leaves_on=dt.date.max,
)


def shift(day: int, hour: float = 8, length: int = 30_600, queue: str = "acme/a", lunch: int = 4 * 3600) -> Shift:
    midnight = dt.datetime.combine(MONDAY + dt.timedelta(days=day), dt.time())
    begin = resolve(midnight + dt.timedelta(hours=hour), ZONE)
    a, b = begin + lunch, begin + lunch + 1800
    parts = [Segment("phone", queue, begin, a), Segment("lunch", "", a, b), Segment("phone", queue, b, begin + length)]
    return new_shift("a1", "leeds", ZONE, begin, begin + length, parts)


def week(*days: int, hour: float = 8) -> list[Shift]:
    return [shift(d, hour) for d in days]


LAWFUL = week(0, 1, 2, 3, 4)


def found(shifts: list[Shift], agent: AgentRules = RULES) -> set[str]:
    return {v.rule for v in audit({"a1": agent}, shifts, {"leeds": 10}, 0)}


def test_a_lawful_week_passes() -> None:
    assert found(LAWFUL) == set()


def test_a_lawful_week_over_a_clock_change_passes() -> None:
    assert found([*week(0, 1, 2, 3), shift(6)]) == set()  # Sunday 29 March has 23 hours


OVERTIME = dataclasses.replace(
    LAWFUL[0], segments=(*LAWFUL[0].segments, Segment("phone", "acme/a", LAWFUL[0].ends_at, LAWFUL[0].ends_at + 18_000, "d1"))
)
VIOLATIONS: dict[str, tuple[list[Shift], AgentRules]] = {
    "shift_length": ([shift(0, length=28_800), *LAWFUL[1:]], RULES),
    "start": ([shift(0, hour=6), *LAWFUL[1:]], RULES),
    "zone": ([dataclasses.replace(LAWFUL[0], local_start="2026-03-23T07:00"), *LAWFUL[1:]], RULES),
    "start_swing": ([shift(0, hour=11.5), *LAWFUL[1:]], RULES),
    "weekly_hours": (LAWFUL, dataclasses.replace(RULES, weekly_high=39, weekly_low=0)),
    "weekly_days": (week(0, 1, 2, 3), dataclasses.replace(RULES, weekly_low=0)),
    "rest": ([*week(0, 1, 2, 3), shift(4)], dataclasses.replace(RULES, rest=16 * 3600)),
    "weekly_rest": (LAWFUL, dataclasses.replace(RULES, weekly_rest=150 * 3600)),
    "consecutive_days": (LAWFUL, dataclasses.replace(RULES, consecutive_days=4)),
    "consecutive_nights": (
        [shift(d, hour=22) for d in range(5)],
        dataclasses.replace(RULES, windows=(), consecutive_nights=3),
    ),
    "breaks": ([shift(0, lunch=6 * 3600), *LAWFUL[1:]], RULES),
    "segments": ([dataclasses.replace(LAWFUL[0], segments=LAWFUL[0].segments[:2]), *LAWFUL[1:]], RULES),
    "overlap": ([*LAWFUL, shift(4, hour=9)], RULES),
    "employed": (LAWFUL, dataclasses.replace(RULES, leaves_on=MONDAY + dt.timedelta(days=2))),
    "away": (LAWFUL, dataclasses.replace(RULES, away=((LAWFUL[1].starts_at, LAWFUL[1].ends_at),))),
    "eligible": ([shift(0, queue="acme/b"), *LAWFUL[1:]], RULES),
    "overtime": ([OVERTIME, *LAWFUL[1:]], RULES),
}


@pytest.mark.parametrize("rule", sorted(VIOLATIONS))
def test_each_rule_finds_what_breaks_it(rule: str) -> None:
    shifts, agent = VIOLATIONS[rule]
    assert rule in found(shifts, agent)


def test_every_rule_of_the_catalogue_has_an_example() -> None:
    seen = set()
    for shifts, agent in VIOLATIONS.values():
        context = Context(agent, sorted(shifts, key=lambda s: s.starts_at), 0)
        seen |= {rule.__name__ for rule in CATALOGUE if list(rule(context))}
    assert seen == {rule.__name__ for rule in CATALOGUE}


def test_seats_are_counted_over_agents_and_home_takes_none() -> None:
    others = [dataclasses.replace(shift(0), agent=f"a{n}") for n in range(3)]
    assert [v.rule for v in seats_suffice(others, set(), {"leeds": 2})] == ["seats"]
    assert list(seats_suffice(others, {"a0"}, {"leeds": 2})) == []


def test_an_unknown_agent_is_a_violation() -> None:
    assert audit({}, LAWFUL[:1], {}, 0) == [Violation("employed", "a1", LAWFUL[0].shift_id, "is not an agent of the book")]


def test_overtime_extends_and_time_off_ends_a_shift_lawfully() -> None:
    end = LAWFUL[0].ends_at
    more = Change("d1", "OVERTIME", "a1", "acme/a", end, end + 5400)
    longer = amend(LAWFUL[0], more, "phone")
    assert (longer.finishes, longer.ends_at) == (end + 5400, end)
    assert found([longer, *LAWFUL[1:]]) == set()
    off = Change("d2", "VOLUNTARY_TIME_OFF", "a1", "", end - 7200, end)
    shorter = amend(LAWFUL[0], off, "phone")
    assert shorter.worked()[1] == end - 7200
    assert found([shorter, *LAWFUL[1:]]) == set()


def test_a_move_changes_the_queue_of_the_span_and_nothing_else() -> None:
    begin = LAWFUL[0].starts_at + 3600
    moved = amend(LAWFUL[0], Change("d3", "MOVE", "a1", "acme/b", begin, begin + 3600), "phone")
    assert [s.queue for s in moved.segments if s.decision_id == "d3"] == ["acme/b"]
    assert sum(s.seconds for s in moved.segments) == 30_600
    assert found([moved, *LAWFUL[1:]]) == {"eligible"}
    assert found([moved, *LAWFUL[1:]], dataclasses.replace(RULES, queues=("acme/a", "acme/b"))) == set()


def test_a_change_finds_the_shift_it_speaks_of() -> None:
    end = LAWFUL[2].ends_at
    assert find_shift(LAWFUL, Change("d", "OVERTIME", "a1", "acme/a", end, end + 1800)) == LAWFUL[2]
    assert find_shift(LAWFUL, Change("d", "OVERTIME", "a1", "acme/a", end + 60, end + 1800)) is None
    assert find_shift(LAWFUL, Change("d", "MOVE", "a1", "acme/b", end - 1800, end)) == LAWFUL[2]


def test_a_shift_survives_its_way_through_sql() -> None:
    assert from_body(to_body(LAWFUL[0])) == LAWFUL[0]


def test_the_audit_shares_no_code_with_the_solver() -> None:
    assert not any("solvers" in str(getattr(value, "__module__", "")) for value in vars(rules).values())


def test_neighbours_are_not_judged_themselves() -> None:
    before = shift(-1, length=28_800)  # too short, but of the week before
    sick = dataclasses.replace(RULES, away=((before.starts_at, before.ends_at),), consecutive_days=7)
    weeks = {("a1", LAWFUL[0].week)}
    assert audit({"a1": sick}, [before, *LAWFUL], {}, before.starts_at, weeks) == []
    assert {v.rule for v in audit({"a1": sick}, [before, *LAWFUL], {}, before.starts_at)} >= {"away", "shift_length"}
