"""Zones, local days and opening hours. A local day has 46, 48 or 50 half-hours, and only this module counts them.

Instants are seconds since 1970 UTC. Zones come from the pinned tzdata wheel, not from the host.
"""

import dataclasses
import datetime as dt
import functools
import zoneinfo
from collections.abc import Iterable, Sequence

import holidays
import tzdata

zoneinfo.reset_tzpath(to=[])

TZDATA_VERSION: str = tzdata.IANA_VERSION
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = 86_400


@functools.cache
def zone_of(name: str) -> zoneinfo.ZoneInfo:
    """Return the zone. Raise ValueError for a name that tzdata doesn't hold."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not an IANA zone, like Europe/London") from error


def resolve(local: dt.datetime, zone: str) -> int:
    """Return the instant of a naive local time.

    A time that a clock change skips is read as the same elapsed time after midnight (01:30 in a skipped 01:00–02:00 is
    02:30 on the new clock); one that comes twice is read as the first.
    """
    return int(local.replace(tzinfo=zone_of(zone), fold=0).timestamp())


def to_local(instant: int, zone: str) -> dt.datetime:
    """Return the zone's local time of an instant, aware."""
    return dt.datetime.fromtimestamp(instant, zone_of(zone))


def local_date(instant: int, zone: str) -> dt.date:
    """Return the zone's local date of an instant."""
    return to_local(instant, zone).date()


def day_bounds(day: dt.date, zone: str) -> tuple[int, int]:
    """Return the instants at which a local day begins and ends."""
    midnight = dt.datetime.combine(day, dt.time())
    return resolve(midnight, zone), resolve(midnight + dt.timedelta(days=1), zone)


@functools.lru_cache(4096)
def day_starts(day: dt.date, zone: str, seconds: int) -> range:
    """Return the starts of a local day's intervals of `seconds`: 46, 48 or 50 half-hours (47, 49 on Lord Howe)."""
    begin, end = day_bounds(day, zone)
    return range(begin, end, seconds)


def slot_of(instant: int, zone: str, seconds: int) -> int:
    """Return the place of an instant in an ordinary day: local time of day over the interval's length, from 0."""
    local = to_local(instant, zone)
    return (local.hour * 3600 + local.minute * 60 + local.second) // seconds


def floor_to(instant: int, seconds: int) -> int:
    """Return the start of the interval of `seconds` that holds an instant, on the grid of UTC.

    All zones of today differ from UTC by multiples of 15 minutes, so quarter-hours are quarter-hours everywhere;
    half-hours of zones at :45 start on that zone's own quarter.
    """
    return instant - instant % seconds


def parse_date(text: str) -> dt.date:
    """Return the date of YYYY-MM-DD. Raise ValueError that shows the text."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a date like 2026-03-29") from error


def time_of_day(text: str) -> int:
    """Return seconds after midnight of HH:MM, 00:00 to 24:00. Raise ValueError that shows the text."""
    hours, colon, minutes = text.partition(":")
    if colon and hours.isdigit() and minutes.isdigit() and len(minutes) == 2:
        total = int(hours) * 3600 + int(minutes) * 60
        if int(minutes) < 60 and total <= DAY:
            return total
    raise ValueError(f"{text!r} is not a time of day like 08:30 (00:00 to 24:00)")


def dates(first: dt.date, last: dt.date) -> Iterable[dt.date]:
    """Yield the dates from first to last, both included."""
    for offset in range((last - first).days + 1):
        yield first + dt.timedelta(days=offset)


def monday_of(day: dt.date) -> dt.date:
    """Return the Monday of a date's week."""
    return day - dt.timedelta(days=day.weekday())


@dataclasses.dataclass(frozen=True)
class Opening:
    """Hours of some weekdays, seconds after local midnight; closes ≤ opens means the next day."""

    weekdays: frozenset[int]
    opens: int
    closes: int


@functools.cache
def public_holidays(country: str, year: int) -> dict[dt.date, str]:
    """Return a country's public holidays of a year, by date. Raise ValueError for a country that isn't known."""
    try:
        return dict(holidays.country_holidays(country, years=year))
    except NotImplementedError as error:
        raise ValueError(f"{country!r} is not a country whose holidays are known, like GB") from error


@dataclasses.dataclass(frozen=True)
class OpeningHours:
    """When something is open: weekly hours, and days unlike others (None: closed all day)."""

    weekly: tuple[Opening, ...]
    countries: tuple[str, ...] = ()
    special: tuple[tuple[dt.date, tuple[Opening, ...]], ...] = ()

    def special_day(self, day: dt.date) -> tuple[Opening, ...] | None:
        """Return the hours of a holiday (none: closed), or None for an ordinary day."""
        for date, hours in self.special:
            if date == day:
                return hours
        return () if any(day in public_holidays(country, day.year) for country in self.countries) else None

    def hours_of(self, day: dt.date) -> list[tuple[int, int]]:
        """Return (opens, closes) of the day's own hours, seconds after midnight; closes may exceed 24 h."""
        special = self.special_day(day)
        hours = self.weekly if special is None else special
        chosen = [h for h in hours if special is not None or day.weekday() in h.weekdays]
        return [(h.opens, h.closes if h.closes > h.opens else h.closes + DAY) for h in chosen]

    def spans(self, day: dt.date, zone: str) -> list[tuple[int, int]]:
        """Return the instants between which it is open on a local day, hours of the day before included."""
        begin, end = day_bounds(day, zone)
        spans = []
        for own in (day - dt.timedelta(days=1), day):
            midnight = dt.datetime.combine(own, dt.time())
            for opens, closes in self.hours_of(own):
                first = resolve(midnight + dt.timedelta(seconds=opens), zone)
                last = resolve(midnight + dt.timedelta(seconds=closes), zone)
                if max(first, begin) < min(last, end):
                    spans.append((max(first, begin), min(last, end)))
        return sorted(spans)

    def open_starts(self, day: dt.date, zone: str, seconds: int) -> list[int]:
        """Return the starts of a local day's intervals in which it is open, also in part."""
        spans = self.spans(day, zone)
        return [s for s in day_starts(day, zone, seconds) if any(a < s + seconds and s < b for a, b in spans)]


def round_the_clock(starts: Sequence[int], seconds: int, zone: str) -> bool:
    """Return whether a local day's intervals, ascending, begin at its midnight and end at the next: it may be closed between."""
    if not starts:
        return False
    begin, end = day_bounds(local_date(starts[0], zone), zone)
    return starts[0] <= begin and starts[-1] + seconds >= end


def overlap(a: tuple[int, int], b: tuple[int, int]) -> int:
    """Return how many seconds two spans share."""
    return max(0, min(a[1], b[1]) - max(a[0], b[0]))


def merge_spans(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans in order, joined where they touch."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged
