"""Windows over which a contract's target is judged: where one begins, and where it ends."""

import calendar
import datetime as dt

from muster.domain.calendar import WEEKDAYS, local_date, resolve

LONGEST_WINDOW_DAYS = 45


def _fiscal_year(year_start: dt.date, years: int) -> dt.date:
    """Return the first day of a fiscal year, so many after the one that begins on `year_start`: of its weekdays the nearest to the
    anniversary (of 29 February: 28). So years have 52 weeks, or 53, and never drift."""
    year, last = year_start.year + years, year_start.month == 2 and year_start.day == 29
    anniversary = dt.date(year, 2, 28) if last and not calendar.isleap(year) else year_start.replace(year=year)
    return anniversary + dt.timedelta(days=(year_start.weekday() - anniversary.weekday() + 3) % 7 - 3)


def _fiscal_start(day: dt.date, year_start: dt.date) -> dt.date:
    """Return the first day of the 4-4-5 period in which a day lies; a year's 53rd week belongs to its last period, which then has six."""
    years = day.year - year_start.year + 1
    while (first := _fiscal_year(year_start, years)) > day:
        years -= 1
    quarter, week = divmod(min((day - first).days // 7, 51), 13)
    return first + dt.timedelta(weeks=quarter * 13 + (0 if week < 4 else 4 if week < 8 else 8))


def window_start(
    kind: str, week_start: str, zone: str, now: int, fiscal_kind: str = "MONTH", year_start: dt.date | None = None
) -> int:
    """Return the first instant of the window that `now` lies in: DAY, WEEK, MONTH, or FISCAL by the client's calendar."""
    day = local_date(now, zone)
    if kind == "WEEK":
        first = WEEKDAYS.index(week_start or "mon")
        day -= dt.timedelta(days=(day.weekday() - first) % 7)
    elif kind == "FISCAL" and fiscal_kind == "FOUR_FOUR_FIVE" and year_start is not None:
        day = _fiscal_start(day, year_start)
    elif kind != "DAY":
        day = day.replace(day=1)
    return resolve(dt.datetime.combine(day, dt.time()), zone)


def window_end(
    kind: str, week_start: str, zone: str, now: int, fiscal_kind: str = "MONTH", year_start: dt.date | None = None
) -> int:
    """Return the instant at which the window that `now` lies in ends: the first of a local day that lies in another."""
    start, day = window_start(kind, week_start, zone, now, fiscal_kind, year_start), local_date(now, zone)
    for ahead in range(1, LONGEST_WINDOW_DAYS):
        begins = resolve(dt.datetime.combine(day + dt.timedelta(days=ahead), dt.time()), zone)
        if window_start(kind, week_start, zone, begins, fiscal_kind, year_start) != start:
            return begins
    raise ValueError(f"a window of {kind} has no end within {LONGEST_WINDOW_DAYS} days of {day}")
