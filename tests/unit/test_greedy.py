"""Whatever the greedy solver returns, the audit finds nothing; and it covers where it is needed."""

import datetime as dt
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muster.domain.calendar import DAY, resolve
from services.scheduler.domain.audit import audit
from services.scheduler.domain.rules import AgentRules, Pause
from services.scheduler.solvers.greedy import solve_greedily
from services.scheduler.solvers.port import SLOT, Problem, Solution

PAUSES = (Pause("break", 900, 4500, 9900, True), Pause("lunch", 1800, 10_800, 19_800, False))


def agent(name: str, zone: str, queues: tuple[str, ...], **changes: object) -> AgentRules:
    base: dict[str, object] = {
        "agent": name,
        "site": "leeds",
        "zone": zone,
        "home_based": False,
        "queues": queues,
        "lengths": (30_600,),
        "grid": 1800,
        "windows": (),
        "swing": 7200,
        "weekly_low": 40,
        "weekly_high": 40,
        "weekdays": frozenset(range(7)),
        "days_low": 5,
        "days_high": 5,
        "rest": 11 * 3600,
        "weekly_rest": 35 * 3600,
        "consecutive_days": 6,
        "consecutive_nights": 5,
        "pauses": PAUSES,
        "away": (),
        "hired_on": dt.date.min,
        "leaves_on": dt.date.max,
    }
    return AgentRules(**{**base, **changes})  # type: ignore[arg-type]


def problem(
    agents: tuple[AgentRules, ...], monday: dt.date, weeks: int, need: float = 2.0, seats: int | None = None
) -> Problem:
    begin = resolve(dt.datetime.combine(monday, dt.time()), "UTC") - DAY
    slots = (weeks * 7 * DAY + 3 * DAY) // SLOT
    required = np.full((2, slots), need)
    required[1, np.arange(slots) % 96 < 32] = np.nan  # the second queue is closed from 00 to 08 UTC
    mondays = tuple(monday + dt.timedelta(weeks=w) for w in range(weeks))
    taken = {"leeds": np.zeros(slots)} if seats is not None else {}
    return Problem("acme/a", mondays, begin, ("acme/a", "acme/b"), required, agents, {}, "phone", {"leeds": seats}, taken)


def violations(p: Problem, solution: Solution) -> list[str]:
    rules = {a.agent: a for a in p.agents}
    return [str(v) for v in audit(rules, solution.shifts, p.seats, p.begin)]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Europe/London", "America/New_York", "Asia/Manila"]),
            st.sampled_from([("acme/a",), ("acme/b",), ("acme/a", "acme/b")]),
            st.sampled_from([(5, 40.0, 40.0, (30_600,)), (4, 16.0, 25.0, (18_000, 21_600))]),
            st.integers(0, 6),
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([dt.date(2026, 3, 23), dt.date(2026, 3, 2), dt.date(2026, 10, 19), dt.date(2026, 6, 1)]),
)
def test_a_solved_schedule_breaks_no_rule(drawn: list[Any], monday: dt.date) -> None:
    agents = []
    for n, (zone, queues, (days, low, high, lengths), away) in enumerate(drawn):
        gone = resolve(dt.datetime.combine(monday + dt.timedelta(days=away), dt.time()), zone)
        off = ((gone, gone + DAY),)
        pauses = PAUSES if lengths == (30_600,) else PAUSES[:1]
        agents.append(
            agent(
                f"a{n}",
                zone,
                queues,
                days_low=days,
                weekly_low=low,
                weekly_high=high,
                lengths=lengths,
                pauses=pauses,
                away=off,
            )
        )
    p = problem(tuple(agents), monday, 2)
    assert violations(p, solve_greedily(p, lambda progress: None)) == []


def test_everybody_works_and_cover_goes_where_it_is_required() -> None:
    team = tuple(agent(f"a{n:02d}", "Europe/London", ("acme/a",)) for n in range(12))
    p = problem(team, dt.date(2026, 3, 23), 1)
    solution = solve_greedily(p, lambda progress: None)
    assert {s.agent for s in solution.shifts} == {a.agent for a in team}
    assert all(len([s for s in solution.shifts if s.agent == a.agent]) == 5 for a in team)
    hours = sum(g.seconds for s in solution.shifts for g in s.segments if g.queue) / 3600
    open_hours = 2 * 7 * 24
    assert solution.uncovered_hours < 2 * 9 * 24 + 2 * 9 * 16 - 0.75 * min(hours, open_hours)


def test_a_site_is_never_fuller_than_its_seats() -> None:
    team = tuple(agent(f"a{n:02d}", "Europe/London", ("acme/a",), weekly_low=0, days_low=0) for n in range(8))
    p = problem(team, dt.date(2026, 3, 23), 1, need=8.0, seats=2)
    solution = solve_greedily(p, lambda progress: None)
    assert solution.shifts
    assert violations(p, solution) == []


def test_the_same_problem_gives_the_same_shifts_and_progress_is_told() -> None:
    team = tuple(agent(f"a{n}", "Asia/Manila", ("acme/a", "acme/b")) for n in range(4))
    p, told = problem(team, dt.date(2026, 3, 23), 2), list[dict[str, object]]()
    assert solve_greedily(p, told.append).shifts == solve_greedily(p, lambda progress: None).shifts
    assert told[-1]["done_count"] == told[-1]["total_count"] == 16


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_a_night_shift_over_a_clock_change_keeps_its_elapsed_length(day: str) -> None:
    sunday = dt.date.fromisoformat(day)
    monday = sunday - dt.timedelta(days=6)
    night = agent("a1", "Europe/London", ("acme/a",), windows=((frozenset(range(7)), 22 * 3600, 22 * 3600),))
    p = problem((night,), monday, 1)
    solution = solve_greedily(p, lambda progress: None)
    assert len(solution.shifts) == 5
    assert {s.ends_at - s.starts_at for s in solution.shifts} == {30_600}
    assert all(s.local_start.endswith("22:00") for s in solution.shifts)
    assert violations(p, solution) == []


def test_a_short_shift_has_only_the_breaks_that_fit_into_it() -> None:
    pauses = (*PAUSES, Pause("break", 900, 21_600, 27_900, True))
    short = agent("a1", "Europe/London", ("acme/a",), lengths=(14_400, 30_600), pauses=pauses, weekly_low=12, days_low=3)
    p = problem((short,), dt.date(2026, 3, 23), 1, need=0.2)
    solution = solve_greedily(p, lambda progress: None)
    assert solution.shifts
    assert violations(p, solution) == []
