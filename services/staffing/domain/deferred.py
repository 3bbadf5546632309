"""Deferred work: when each item is due, and the fewest agents that have it done by then, level through the hours of service.

Items are worked off by earliest deadline (Jackson, 1955; in a fluid nothing keeps more deadlines). The cumulated work of any plan that
keeps them lies between what is due and what has come; of those with the fewest hours the levelest, for every convex cost at once, is the
string pulled taut between the two (Veinott, "Least d-majorized network flows", Management Science 17, 1971). What idle time of other work
can take in time is a matching of items to moments, largest when the earliest due goes first (Glover, "Maximum matching in a convex
bipartite graph", Naval Research Logistics 14, 1967).
"""

import dataclasses
import datetime as dt
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from muster.domain.calendar import OpeningHours, dates, local_date, merge_spans, overlap, resolve, time_of_day
from services.staffing.domain.erlang import Floats, Ints, compiled

HOUR, FAR = 3600, 400
BUSINESS_TIME, END_OF_DAY = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?"), re.compile(r"end_of_day(?:\+(\d{1,2}))?(?:@(\d\d:\d\d))?")


@dataclasses.dataclass(frozen=True)
class DueRule:
    """When an item is due: `elapsed` seconds, `business` seconds of service hours, or the end of business day + `days`.

    With a cut-off, seconds after local midnight, what comes at it or later counts for the next business day.
    """

    elapsed: int | None = None
    business: int | None = None
    days: int | None = None
    cut_off: int | None = None

    def __post_init__(self) -> None:
        said = [v for v in (self.elapsed, self.business, self.days) if v is not None]
        if len(said) != 1 or said[0] < (self.days is None) or (self.days or 0) > 60:
            raise ValueError(f"{self} names {len(said)} times; allowed: one, seconds above 0 or 0 to 60 business days")
        if self.cut_off is not None and (self.days is None or not 0 < self.cut_off <= 24 * HOUR):
            raise ValueError(f"cut_off is {self.cut_off}; allowed: with days only, above 0 to {24 * HOUR} seconds")


def parse_due(text: str) -> DueRule:
    """Return the rule of the contract's `threshold_business`: 8h, 90m, 2h30m; end_of_day, end_of_day+1, end_of_day+1@15:00."""
    if found := END_OF_DAY.fullmatch(text):
        return DueRule(days=int(found[1] or 0), cut_off=time_of_day(found[2]) if found[2] else None)
    if text and (found := BUSINESS_TIME.fullmatch(text)):
        return DueRule(business=int(found[1] or 0) * HOUR + int(found[2] or 0) * 60)
    raise ValueError(f"{text!r} is not a business deadline like 8h, 2h30m, end_of_day or end_of_day+1@15:00")


def _clock(day: dt.date, seconds: int, zone: str) -> int:
    return resolve(dt.datetime.combine(day, dt.time()) + dt.timedelta(seconds=seconds), zone)


def _end_of_day(arrival: int, days: int, cut_off: int | None, hours: OpeningHours, zone: str) -> int:
    """Return the end of business day + days; a business day's hours past midnight are its own."""
    first, counted = local_date(arrival, zone) - dt.timedelta(days=1), -1
    for day in dates(first, first + dt.timedelta(days=FAR)):
        if own := hours.hours_of(day):
            closes = max(c for _, c in own)
            if counted >= 0 or arrival < _clock(day, closes if cut_off is None else min(closes, cut_off), zone):
                counted += 1
            if counted == days:
                return _clock(day, closes, zone)
    raise ValueError(f"no {days} business days within {FAR} days of {arrival} in {zone}")


def deadline_of(arrival: int, rule: DueRule, hours: OpeningHours, zone: str) -> int:
    """Return the instant by which an item must be done. Raise ValueError where service hours don't come within 400 days."""
    if rule.elapsed is not None:
        return arrival + rule.elapsed
    if rule.days is not None:
        return _end_of_day(arrival, rule.days, rule.cut_off, hours, zone)
    first, left = local_date(arrival, zone), int(rule.business or 0)
    for day in dates(first, first + dt.timedelta(days=FAR)):
        for begin, end in merge_spans(hours.spans(day, zone)):
            begin = max(begin, arrival)
            if end - begin >= left:
                return begin + left
            left -= max(end - begin, 0)
    raise ValueError(f"no {rule.business} seconds of service within {FAR} days of {arrival} in {zone}")


@dataclasses.dataclass(frozen=True)
class Cohort:
    """Items of one age in the backlog: when they came and are due, seconds since 1970, and how many."""

    arrived: int
    due: int
    count: float

    def __post_init__(self) -> None:
        if not 0 <= self.count < math.inf or self.due < self.arrived:
            raise ValueError(f"{self}; allowed: a count of 0 or more, due not before it arrived")


@dataclasses.dataclass(frozen=True)
class Work:
    """Items by group: `came` (K,) the interval in which they come, −1 for backlog; `due` (K,) the border of intervals by which they must
    be done, interval i lying between borders i and i + 1; `count` (K,) expected items; `open` (I,) whether there is service; `seconds` of
    an interval; `handle`: AHT in seconds. What comes later is due no earlier: the level plan is exact for no other order.
    """

    came: Ints
    due: Ints
    count: Floats
    open: np.ndarray
    seconds: float
    handle: float

    def __post_init__(self) -> None:
        if not self.came.shape == self.due.shape == self.count.shape:
            raise ValueError(f"came {self.came.shape}, due {self.due.shape}, count {self.count.shape}; allowed: (K,) each")
        if not (np.isfinite(self.count).all() and (self.count >= 0).all() and self.seconds > 0 and 0 < self.handle < np.inf):
            raise ValueError(f"count {self.count}, seconds {self.seconds}, handle {self.handle}; allowed: 0 or more, above 0")
        if (self.came < -1).any() or (self.came >= self.open.size).any():
            raise ValueError(f"came is {self.came}; allowed: -1 (backlog) to {self.open.size - 1}")
        if (np.diff(self.due[np.lexsort((self.due, self.came))]) < 0).any():
            raise ValueError(f"due is {self.due}; allowed: not earlier for what comes later than for what came before")

    @property
    def agent_items(self) -> float:
        """Items that an agent does in an interval."""
        return self.seconds / self.handle


@dataclasses.dataclass(frozen=True)
class Desk:
    """Whose work it is: service hours and their zone, when items are due, seconds of an interval, AHT in seconds."""

    hours: OpeningHours
    zone: str
    rule: DueRule
    seconds: int
    handle: float


def work_of(desk: Desk, begin: int, intake: Floats, backlog: tuple[Cohort, ...] = ()) -> Work:
    """Return the work of intervals from `begin` on, intake (I,) items each; an interval's items are due when its first one is.

    Overdue backlog is due at the first border; backlog due after the first of the intake is taken to be due with it.
    """
    seconds, zone = desk.seconds, desk.zone
    starts = range(begin, begin + seconds * intake.size, seconds)
    due = [(deadline_of(s, desk.rule, desk.hours, zone) - begin) // seconds for s in starts]
    due += [max(min((c.due - begin) // seconds, due[0]), 0) for c in backlog]
    came = np.concatenate([np.arange(intake.size), np.full(len(backlog), -1)])
    spans = merge_spans([span for day in {local_date(s, zone) for s in starts} for span in desk.hours.spans(day, zone)])
    served = np.array([sum(overlap(span, (s, s + seconds)) for span in spans) == seconds for s in starts])
    count = np.concatenate([intake, [c.count for c in backlog]])
    return Work(came.astype(np.int64), np.array(due, np.int64), count.astype(float), served, float(seconds), desk.handle)


def taut_string(low: Floats, high: Floats) -> Floats:
    """Return the shortest path (J + 1,) from low[0] to low[J] with low ≤ path ≤ high at each step. Raise ValueError if there is none."""
    if low.shape != high.shape or (low > high + 1e-9 * (1 + abs(high))).any():
        raise ValueError(f"low {low} is not below high {high} everywhere; allowed: low ≤ high, (J + 1,) both")
    low, high, last, at = np.minimum(low, high), high.copy(), low.size - 1, 0
    high[last], path = low[last], np.full(low.size, low[0])
    while at < last:
        steps = np.arange(1, last - at + 1)
        rise = np.maximum.accumulate((low[at + 1 :] - path[at]) / steps)
        fall = np.minimum.accumulate((high[at + 1 :] - path[at]) / steps)
        crossed = np.flatnonzero(rise > fall + 1e-12 * (1 + abs(fall)))
        to, slope = steps.size - 1, rise[-1]
        if crossed.size:  # the funnel closes: the string bends at the side that it comes up, or down, against
            stop = int(crossed[0])
            side = fall if rise[stop] > rise[stop - 1] else rise
            slope = side[stop - 1]
            to = int(np.flatnonzero(side[:stop] == slope)[0])
        path[at + 1 : at + 2 + to] = path[at] + slope * steps[: to + 1]
        at += to + 1
    return path


def level_agents(work: Work, scale: float = 1.0) -> tuple[Floats, Ints]:
    """Return the agents (I,) that have all done in time with the fewest hours, levelest: as real numbers, and whole.

    For `scale` times the items. Whole ones are the fewest that never fall behind the string: what rounding gains is carried over. Items
    that no open interval lies before are done in the first one after.
    """
    opens, due = np.flatnonzero(work.open), work.due[:, None]
    # Cumulated by the end of each open interval: what has come, and what is due before the next one opens.
    here = np.where((work.came[:, None] <= opens) & (due <= work.open.size), work.count[:, None] * scale, 0.0)
    high = np.append(0.0, here.sum(axis=0))
    low = np.append(0.0, (here * (due <= np.append(opens[1:], work.open.size))).sum(axis=0))
    real, whole = np.zeros(work.open.size), np.zeros(work.open.size, np.int64)
    path, done = taut_string(low, high), 0.0
    real[opens] = np.diff(path) / work.agent_items
    for j, i in enumerate(opens):
        whole[i] = max(math.ceil((path[j + 1] - done) / work.agent_items - 1e-9), 0)
        done = min(done + whole[i] * work.agent_items, high[j + 1])
    return real, whole


@compiled
def _work_off(came: Any, due: Any, left: Any, room: Any, on_time: Any) -> Any:
    """Work groups (K,), in order of due, off in room (I,) while they are in time; on_time (K,) takes what is done; left is changed."""
    first = 0
    for i in range(len(room)):
        while first < len(due) and left[first] <= 0:
            first += 1
        for k in range(first, len(due)):
            if left[k] > 0 and came[k] <= i < due[k]:
                done = min(left[k], room[i])
                left[k] -= done
                room[i] -= done
                on_time[k] += done


@dataclasses.dataclass(frozen=True)
class Blend:
    """Items (K,) that slack takes in time, the share of all due that is, and the agents (I,) that the rest needs, real and whole."""

    taken: Floats
    share: float
    real: Floats
    whole: Ints


def usable_slack(agents: Floats, load: Floats, share: float = 0.8) -> Floats:
    """Return the agents (I,) that other work leaves free, (on queue − load) × share, 0 where there are none."""
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; allowed: 0 to 1")
    return np.asarray(np.maximum(agents - load, 0.0) * share, float)


def blend(work: Work, slack: Floats, scale: float = 1.0) -> Blend:
    """Return what slack (I,), in agents, takes of `scale` times the work before it is due, and the fewest agents for the rest."""
    order, taken = np.argsort(work.due, kind="stable"), np.zeros(work.due.size)
    asked = np.where(work.due <= work.open.size, work.count * scale, 0.0)
    _work_off(work.came[order], work.due[order], asked[order], np.where(work.open, slack, 0.0) * work.agent_items, taken)
    taken = taken[np.argsort(order)]
    real, whole = level_agents(dataclasses.replace(work, count=np.maximum(asked - taken, 0.0)))
    return Blend(taken, float(taken.sum() / asked.sum()) if asked.sum() > 0 else 1.0, real, whole)


def fewest_deferred_agents(
    work: Work, kept: Callable[[Ints], float], wanted: float, slack: Ints | None = None
) -> tuple[Ints, float]:
    """Return the whole agents (I,) beside slack that keep the target on a share of days, and the share that they keep.

    kept: the share of days on which these agents, slack with them, do, as trials show it: items come by chance, and one at a time. The
    level plan for the fewest times the expected items that suffices, found by halves; the one for 4 times, where nothing does.
    """
    if not 0 < wanted < 1:
        raise ValueError(f"wanted is {wanted}; allowed: a share of days above 0, below 1")
    free = np.zeros(work.open.size, np.int64) if slack is None else np.where(work.open, slack, 0).astype(np.int64)
    low, high, best = 0.0, 4.0, blend(work, free.astype(float), 4.0).whole
    share = kept(best + free)
    while share >= wanted and high - low > 0.002:
        whole = blend(work, free.astype(float), (low + high) / 2).whole
        found = kept(whole + free)
        if found >= wanted:
            high, best, share = (low + high) / 2, whole, found
        else:
            low = (low + high) / 2
    return best, share
