"""Windows of a contract's targets by the book: in which zone, by which calendar, from when to when."""

import datetime as dt

from muster.book.terms import Target
from muster.book.view import BookDay
from muster.domain.calendar import parse_date
from muster.domain.windows import window_end, window_start


def zone_of(book: BookDay, contract: str, target: Target) -> str:
    """Return the zone of a target's window: its own, else the client's."""
    client = book.clients.get(contract.partition("/")[0])
    return target.window.zone or (client.zone if client else "UTC")


def _calendar(book: BookDay, contract: str) -> tuple[str, dt.date | None]:
    client = book.clients.get(contract.partition("/")[0])
    fiscal = client.fiscal_calendar if client else None
    start = parse_date(fiscal.year_start) if fiscal and fiscal.year_start else None
    return (str(fiscal.kind) if fiscal else "MONTH"), start


def window_of(book: BookDay, contract: str, target: Target, now: int) -> int:
    """Return the first instant of a target's window."""
    window, zone = target.window, zone_of(book, contract, target)
    return window_start(window.kind, window.week_start, zone, now, *_calendar(book, contract))


def window_end_of(book: BookDay, contract: str, target: Target, now: int) -> int:
    """Return the instant at which a target's window ends."""
    window, zone = target.window, zone_of(book, contract, target)
    return window_end(window.kind, window.week_start, zone, now, *_calendar(book, contract))
