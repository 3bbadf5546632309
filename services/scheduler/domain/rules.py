"""What binds one agent's shifts, taken from the book: work pattern, zone, absences, queues they may serve."""

import dataclasses
import datetime as dt
from collections.abc import Sequence

from muster.book.supply import Agent, WorkPattern
from muster.book.view import BookDay
from muster.domain.calendar import WEEKDAYS, dates, parse_date, resolve, time_of_day


@dataclasses.dataclass(frozen=True)
class Pause:
    """A break of a shift: activity, length, and where it may lie, seconds after the shift's start."""

    activity: str
    seconds: int
    earliest: int
    latest: int
    paid: bool


@dataclasses.dataclass(frozen=True)
class AgentRules:
    """The rules of one agent. Seconds, unless said otherwise; weekdays from Monday 0."""

    agent: str
    site: str
    zone: str
    home_based: bool
    queues: tuple[str, ...]
    lengths: tuple[int, ...]
    grid: int
    windows: tuple[tuple[frozenset[int], int, int], ...]
    swing: int
    weekly_low: float
    weekly_high: float
    weekdays: frozenset[int]
    days_low: int
    days_high: int
    rest: int
    weekly_rest: int
    consecutive_days: int
    consecutive_nights: int | None
    pauses: tuple[Pause, ...]
    away: tuple[tuple[int, int], ...]
    hired_on: dt.date
    leaves_on: dt.date

    def may_start(self, weekday: int, second: int) -> bool:
        """Return whether a shift may start at a time of a weekday."""
        if weekday not in self.weekdays or second % self.grid:
            return False
        return not self.windows or any(weekday in days and low <= second <= high for days, low, high in self.windows)

    def is_away(self, begin: int, end: int) -> bool:
        """Return whether leave, sickness or an unavailability lies in [begin, end)."""
        return any(a < end and begin < b for a, b in self.away)

    def employed(self, day: dt.date) -> bool:
        return self.hired_on <= day < self.leaves_on

    def days_free(self, monday: dt.date) -> int:
        """Return how many weekdays of a week the agent could work at all: employed, and not away all day."""
        count = 0
        for day in dates(monday, monday + dt.timedelta(days=6)):
            begin = resolve(dt.datetime.combine(day, dt.time()), self.zone)
            whole = any(a <= begin and b >= begin + 20 * 3600 for a, b in self.away)
            count += day.weekday() in self.weekdays and self.employed(day) and not whole
        return count


def _instant(text: str, zone: str) -> int:
    return resolve(dt.datetime.fromisoformat(text), zone)


def _weekly_away(agent: Agent, zone: str, first: dt.date, last: dt.date) -> list[tuple[int, int]]:
    spans = []
    for row in agent.unavailability:
        weekdays = {WEEKDAYS.index(d) for d in row.days}
        begin, end = time_of_day(row.starts), time_of_day(row.ends)
        for day in dates(first - dt.timedelta(days=1), last):
            if day.weekday() in weekdays:
                midnight = dt.datetime.combine(day, dt.time())
                till = midnight + dt.timedelta(seconds=end, days=0 if end > begin else 1)
                spans.append((resolve(midnight + dt.timedelta(seconds=begin), zone), resolve(till, zone)))
    return spans


def zone_of(book: BookDay, agent: Agent, pattern: WorkPattern) -> str:
    """Return the zone whose clock an agent's shifts keep."""
    return pattern.zone if pattern.anchor_zone == "CLIENT" else book.sites[agent.site].zone


def rules_of(book: BookDay, agent: Agent, absences: Sequence[tuple[int, int]], first: dt.date, last: dt.date) -> AgentRules:
    """Return what binds an agent between two dates. absences: reported ones, as instants."""
    pattern = book.work_patterns[agent.work_pattern]
    zone = zone_of(book, agent, pattern)
    leave = [
        (_instant(t.starts, book.sites[agent.site].zone), _instant(t.ends, book.sites[agent.site].zone))
        for t in agent.time_off
        if t.state == "APPROVED"
    ]
    pauses = tuple(
        Pause(b.activity, b.seconds, b.earliest_seconds, b.latest_seconds, book.activities[b.activity].paid)
        for b in pattern.breaks
    )
    windows = tuple(
        (
            frozenset(WEEKDAYS.index(d) for d in (w.days or WEEKDAYS)),
            time_of_day(w.starts),
            time_of_day(w.ends),
        )
        for w in pattern.start_windows
    )
    return AgentRules(
        agent=agent.name,
        site=agent.site,
        zone=zone,
        home_based=bool(agent.home_based),
        queues=book.eligible.get(agent.name, ()),
        lengths=tuple(sorted(pattern.shift_seconds)),
        grid=pattern.start_grid_seconds,
        windows=windows,
        swing=pattern.start_swing_seconds if pattern.start_swing_seconds is not None else 86_400,
        weekly_low=pattern.minimum_weekly_hours,
        weekly_high=pattern.maximum_weekly_hours,
        weekdays=frozenset(WEEKDAYS.index(d) for d in (pattern.days or WEEKDAYS)),
        days_low=pattern.minimum_days,
        days_high=pattern.maximum_days,
        rest=round(pattern.rest_hours * 3600),
        weekly_rest=round(pattern.weekly_rest_hours * 3600),
        consecutive_days=pattern.maximum_consecutive_days,
        consecutive_nights=pattern.maximum_consecutive_nights,
        pauses=pauses,
        away=tuple(sorted([*leave, *absences, *_weekly_away(agent, zone, first, last)])),
        hired_on=parse_date(agent.hired_on) if agent.hired_on else dt.date.min,
        leaves_on=parse_date(agent.leaves_on) if agent.leaves_on else dt.date.max,
    )
