"""What being surer of deadlines costs: the level plan for so many times the work, held against paths of what may come."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from muster.domain.calendar import parse_date
from services.staffing.domain.erlang import Floats, Ints
from services.staffing.domain.facts import ForecastDay
from services.staffing.domain.requirement import Rules
from services.staffing.domain.uncertainty import Choice
from services.staffing.handlers.deferring import DeskDays, Prepared, draw, prepare
from services.staffing.handlers.margins import Margin, spread_of, staffed
from services.staffing.handlers.spreading import PATHS, luck_of, paths_of

LEAST, MOST, STEPS = 0.25, 4.0, 10


def expected_work(days: Sequence[ForecastDay], prepared: Prepared, seconds: int, luck: np.random.Generator) -> Floats:
    """Return the items (PATHS, K) of each group that may come on each path; what is there, or lies beyond the days, as expected."""
    found = np.tile(prepared.work.count, (PATHS, 1))
    for day, paths in zip(days, paths_of(days, PATHS, luck), strict=True):
        at = (np.array(day.starts, np.int64) - prepared.begin) // seconds
        found[:, at[at >= 0]] = paths[:, at >= 0]
    return found


def _least(good: Callable[[float], bool]) -> float:
    """Return the least factor, LEAST to MOST, that is good, by halves; MOST where none is."""
    low, high = LEAST, MOST
    for _ in range(STEPS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if good(middle) else (middle, high)
    return high


def price_mail(case: DeskDays, rules: Rules, sure: float, date: str) -> dict[str, Choice]:
    """Return what staffing a day costs and gives: MEAN as it is published; EXPECTED, DAY: the plan for so many times the work that, over all
    paths, the day's share is kept, or it is on `sure` of them. All days up to it are staffed alike, and never to less than the work that is
    expected: what is late must be done too.

    Hours and agents are those of the day. Raise ValueError where nothing falls due on it.
    """
    prepared, days, desk, target = prepare(case, rules.minimum), case.days, case.desk, case.target
    place = [day.local_date for day in days].index(date)
    luck = luck_of(days[0].queue, date, "price")
    expected = expected_work(days, prepared, desk.seconds, luck)
    trials = draw(prepared.work, prepared.known, prepared.day - place, 1, luck, expected)
    due, spread = trials.due[:, 0], spread_of(prepared.work)
    if not (due > 0).any():
        raise ValueError(f"nothing falls due on {date}; allowed: a day on which something does")

    nobody = np.zeros_like(prepared.margin.away)
    expected_agents = staffed(prepared.work, Margin(0.0, nobody), rules.minimum, prepared.idle)

    def agents(factor: float) -> Ints:
        raised = np.maximum(factor * (1.0 + prepared.margin.z * spread), 1.0)
        more = dataclasses.replace(prepared.work, count=prepared.work.count * raised)
        found = staffed(more, Margin(0.0, prepared.margin.away), rules.minimum, prepared.idle)
        return found if found.sum() >= expected_agents.sum() else expected_agents

    def given(staff: Ints) -> tuple[float, float]:
        timely = trials.in_time(staff + prepared.idle)[:, 0]
        return float(timely.sum() / due.sum()), float((timely >= target * due - 1e-6).mean())

    factors = {
        "MEAN": 1.0,
        "EXPECTED": _least(lambda f: given(agents(f))[0] >= target),
        "DAY": _least(lambda f: given(agents(f))[1] >= sure),
    }
    starts = [s for s in desk.hours.open_starts(parse_date(date), desk.zone, desk.seconds) if s >= prepared.begin]
    at = (np.array(starts, np.int64) - prepared.begin) // desk.seconds
    found, mean = dict[str, Choice](), 0
    for name, factor in factors.items():
        staff = agents(factor)
        own = np.maximum(staff[at], rules.minimum)
        total = int(own.sum())
        mean = total if name == "MEAN" else mean
        price = total / mean - 1.0 if mean else 0.0
        share, kept = given(staff)
        found[name] = Choice(own, total * desk.seconds / 3600, price, np.full(own.size, np.nan), share, kept)
    return found
