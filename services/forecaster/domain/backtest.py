"""What forecasts would have been: made again at past origins with the cells known before them, and held against what came.

An origin is a local midnight; each sees only intervals that had ended by then (as they are known now, corrections included).
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping

import numpy as np

from muster.domain.calendar import DAY, Opening, OpeningHours, dates, day_bounds, local_date, slot_of
from services.forecaster.domain.accuracy import WEEK, Score, poisson_error
from services.forecaster.domain.forecast import LONGEST_HISTORY_WEEKS, forecast_queue
from services.forecaster.domain.queue_forecast import LEVELS, QueueFacts

LEADS = ((1, 1), (2, 7), (8, 28))
ORIGIN_STEP_DAYS = 5
SHOWN_DAYS = 3
FEWEST_HISTORY_DAYS = 14
USUAL_WEEKS = 8
# Contacts in mean of a slot in which none may be chance (1 in 150).
MOST_OF_QUIET = 5.0


@dataclasses.dataclass
class LeadScore:
    """Errors of forecasts of so many days ahead, and of the mean of the weekday's last eight weeks beside them."""

    score: Score = dataclasses.field(default_factory=Score)
    usual_wrong: float = 0.0
    usual_offered: float = 0.0


@dataclasses.dataclass
class Backtest:
    """leads: by (first, last) day ahead; origins; shown: (start, came, expected, 10 %, 90 %) of the last days, a day ahead."""

    leads: dict[tuple[int, int], LeadScore]
    origins: int
    shown: list[tuple[int, float, float, float, float]]


def hours_seen(cells: Mapping[int, int], zone: str, seconds: int) -> OpeningHours:
    """Return opening hours read from cells: per weekday from the first to the last slot in which anything ever came, without those
    in which nothing came on any day: a night between two evenings, a noon break."""
    found: dict[int, set[int]] = {}
    for start, offered in cells.items():
        if offered > 0:
            found.setdefault(local_date(start, zone).weekday(), set()).add(slot_of(start, zone, seconds))
    ever = set[int]().union(*found.values())
    openings = []
    for weekday, own in sorted(found.items()):
        opened = [slot for slot in range(min(own), max(own) + 1) if slot in ever]
        begins = [slot for slot in opened if slot - 1 not in opened]
        ends = [slot + 1 for slot in opened if slot + 1 not in opened]
        openings += [
            Opening(frozenset({weekday}), low * seconds, high * seconds % DAY) for low, high in zip(begins, ends, strict=True)
        ]
    return OpeningHours(tuple(openings))


def with_zeros(cells: Mapping[int, int], hours: OpeningHours, zone: str, seconds: int) -> dict[int, int]:
    """Return cells with none in the open intervals that they leave out, of the days of which they tell anything, where none can be
    chance. Cells that tell a zero anywhere leave none out: what is missing of them is not known."""
    if 0 in cells.values():
        return dict(cells)
    sums, found = dict[int, tuple[int, int]](), dict(cells)
    for start, offered in cells.items():
        slot = slot_of(start, zone, seconds)
        whole, count = sums.get(slot, (0, 0))
        sums[slot] = whole + offered, count + 1
    quiet = {slot for slot, (whole, count) in sums.items() if whole <= MOST_OF_QUIET * count}
    first, last = min(cells), max(cells)
    for day in {local_date(start, zone) for start in cells}:
        for start in hours.open_starts(day, zone, seconds):
            if first < start < last and slot_of(start, zone, seconds) in quiet:
                found.setdefault(start, 0)
    return dict(sorted(found.items()))


def backtest(facts: QueueFacts, today: dt.date, weeks: int, report: Callable[[int, int], None]) -> Backtest:
    """Test a queue's forecasts over the last `weeks` weeks before `today`. report(done, of). ValueError: too little history."""
    came = {start: cell[0] for start, cell in facts.cells.items() if cell[0] is not None}
    if not came:
        raise ValueError("no interval is known")
    first_day = local_date(min(came), facts.zone)
    earliest = max(today - dt.timedelta(weeks=weeks), first_day + dt.timedelta(days=FEWEST_HISTORY_DAYS))
    shown_from = today - dt.timedelta(days=SHOWN_DAYS)
    origins = list(dates(earliest, today - dt.timedelta(days=1)))[::-ORIGIN_STEP_DAYS][::-1]
    origins = sorted({*origins, *(d for d in dates(shown_from, today - dt.timedelta(days=1)) if d >= earliest)})
    if not origins:
        need = f"{FEWEST_HISTORY_DAYS} days of history and a day after them"
        raise ValueError(f"history begins on {first_day}, it is {today}; needed: {need}")
    result = Backtest({lead: LeadScore() for lead in LEADS}, len(origins), [])
    for done, origin in enumerate(origins):
        report(done, len(origins))
        midnight = day_bounds(origin, facts.zone)[0]
        since = midnight - (LONGEST_HISTORY_WEEKS + 1) * WEEK
        known = {s: c for s, c in facts.cells.items() if since <= s and s + facts.seconds <= midnight}
        forecast = forecast_queue(dataclasses.replace(facts, cells=known), origin, LEADS[-1][1])
        if forecast is None:
            continue
        for ahead, day in enumerate(forecast.days, start=1):
            lead = next(lead for lead in LEADS if lead[0] <= ahead <= lead[1])
            for place, start in enumerate(day.starts):
                if start in came:
                    _add(result.leads[lead], came, start, float(day.offered[place]), day.offered_quantiles[place], midnight)
                    if ahead == 1 and origin >= shown_from:
                        low, high = (float(day.offered_quantiles[place][LEVELS.index(q)]) for q in (0.1, 0.9))
                        result.shown.append((start, float(came[start]), float(day.offered[place]), low, high))
    return result


def _add(into: LeadScore, came: Mapping[int, int], start: int, expected: float, wide: np.ndarray, midnight: int) -> None:
    actual, s = came[start], into.score
    places = [LEVELS.index(level) for level in (0.1, 0.9, 0.025, 0.975)]
    low, high, lowest, highest = (float(wide[p]) for p in places)
    s.intervals += 1
    s.offered += actual
    s.wrong += abs(actual - expected)
    s.statistical_wrong += abs(actual - expected)
    s.over += expected - actual
    s.in_80 += low <= actual <= high
    s.in_95 += lowest <= actual <= highest
    s.limit += poisson_error(expected)
    newest = start - -(-(start - midnight + 1) // WEEK) * WEEK  # the same interval in the newest week known at the origin
    before = [came[at] for n in range(USUAL_WEEKS) if (at := newest - n * WEEK) in came]
    if newest in came:
        s.naive_wrong += abs(actual - came[newest])
        s.naive_offered += actual
    if before:
        into.usual_wrong += abs(actual - sum(before) / len(before))
        into.usual_offered += actual
