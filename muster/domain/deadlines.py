"""When each item of deferred work is due: its rule, counted in elapsed time or by the hours of service, day by day."""

import dataclasses
import datetime as dt

import numpy as np
from numpy.typing import NDArray

from muster.domain.calendar import DAY, OpeningHours, dates, local_date, merge_spans, resolve
from muster.domain.due_rule import DueRule

Ints = NDArray[np.int64]

NEAR, FAR = 14, 400


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


def deadlines_of(arrivals: Ints, rule: DueRule, hours: OpeningHours, zone: str) -> Ints:
    """Return what `deadline_of` says of each arrival (K,), looked up for all at once."""
    if rule.elapsed is not None or not arrivals.size:
        return arrivals + (rule.elapsed or 0)
    first, last = (local_date(int(t), zone) for t in (arrivals.min(), arrivals.max()))
    for ahead in (NEAR, FAR):
        days = list(dates(first - dt.timedelta(days=1), last + dt.timedelta(days=ahead)))
        if rule.days is not None:
            closes = [(day, max(c for _, c in own)) for day in days if (own := hours.hours_of(day))]
            cuts = [_clock(day, min(c, c if rule.cut_off is None else rule.cut_off), zone) for day, c in closes]
            counts = np.searchsorted(np.maximum.accumulate(np.array(cuts, np.int64)), arrivals, "right") + rule.days
            if counts.max() < len(closes):
                return np.array([_clock(day, c, zone) for day, c in closes], np.int64)[counts]
        else:
            spans = np.array(merge_spans([s for day in days for s in hours.spans(day, zone)]), np.int64).reshape(-1, 2)
            served = np.append(0, np.cumsum(spans[:, 1] - spans[:, 0]))
            at = np.minimum(np.searchsorted(spans[:, 1], arrivals, "right"), len(spans) - 1)
            wanted = int(rule.business or 0) + served[at] + np.maximum(arrivals - spans[at, 0], 0) if len(spans) else served
            if wanted.max() <= served[-1] and len(spans):
                to = np.searchsorted(served, wanted) - 1
                return np.asarray(spans[to, 0] + wanted - served[to], np.int64)
    return np.array([deadline_of(int(t), rule, hours, zone) for t in arrivals], np.int64)


# Hours, cut-offs and business time are whole minutes: within one, what an item may wait falls evenly or stays.
MINUTE = 60


@dataclasses.dataclass(frozen=True)
class Deadlines:
    """A queue's deadlines: the rule, the hours of service it counts by, and their zone."""

    rule: DueRule
    hours: OpeningHours
    zone: str

    def waits(self, starts: Ints, seconds: int) -> tuple[Ints, Ints]:
        """Return the least and the most seconds (K,) that what comes within intervals of `seconds` may wait, their borders left out.

        In business time whole minutes: nothing that waited up to the least was late, nothing that waited longer than the most in time.
        Raise ValueError where service hours don't come within 400 days.
        """
        minutes = np.asarray(starts, np.int64)[:, None] + np.arange(0, seconds, MINUTE)
        came = np.concatenate([minutes.ravel() + 1, minutes.ravel() + MINUTE - 1])
        first, last = (deadlines_of(came, self.rule, self.hours, self.zone) - came).reshape(2, *minutes.shape)
        falls = last < first  # what comes later in the minute is due no later
        return (last - falls).min(axis=1), (first + falls).max(axis=1)

    def due_through(self, now: int, seconds: int) -> int:
        """Return the latest border of intervals of `seconds` before which all that came is due by now; at the earliest 400 days ago."""
        borders = np.zeros(0, np.int64)
        for days in (30, FAR):
            borders = np.arange((now - days * DAY) // seconds * seconds, now + 1, seconds)
            due = np.searchsorted(deadlines_of(borders - 1, self.rule, self.hours, self.zone), now, "right")
            if due:
                return int(borders[due - 1])
        return int(borders[0])
