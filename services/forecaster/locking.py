"""Which forecast a contract locked for a day: found when the day's first interval closes under the lock, and kept from then on."""

import dataclasses
import datetime as dt
from collections.abc import Container, Iterator, Sequence

import sqlalchemy as sa

from muster.book.demand import Queue
from muster.book.terms import Lock
from muster.book.view import BookView
from muster.domain.calendar import dates, day_bounds, local_date
from muster.domain.tolerance import Tolerance
from services.forecaster import wire
from services.forecaster.domain.facts import LockedDay, Received
from services.forecaster.store import forecasts, outlooks


def tolerance_of(lock: Lock) -> Tolerance:
    """Return what a contract tolerates."""
    return Tolerance(lock.tolerance_up, lock.tolerance_down, lock.relieves)


def lock_instant(lock: Lock, day: dt.date, zone: str) -> int | None:
    """Return the midnight at which a local day is locked; None: the contract locks none."""
    return None if lock.days_ahead is None else day_bounds(day - dt.timedelta(days=lock.days_ahead), zone)[0]


def stood(connection: sa.Connection, queue: str, day: str, then: int) -> LockedDay:
    """Return what stood when a day was locked: the agreed forecast, else the client's, else ours; an empty one where none did."""
    for source in ("AGREED", "CLIENT"):
        if said := outlooks.received(connection, queue, day, source, by=then):
            return LockedDay(queue, day, then, source, said.starts, said.offered)
    body = forecasts.newest_by(connection, queue, day, then)
    if body is None:
        return LockedDay(queue, day, then)
    ours = wire.read_day(body)
    return LockedDay(queue, day, then, "ENGINE", ours.starts, ours.offered)


def locked_counts(
    connection: sa.Connection, view: BookView, queue: Queue, zone: str, starts: Sequence[int], said: Container[int]
) -> dict[int, float]:
    """Return the contacts that were locked for intervals that close, by start, where the contract of their day may relieve its target by
    them. said: starts that closed before; what of them closed without a lock stays so.

    One read where a contract has such a lock, and three more at a day's first interval; none elsewhere.
    """
    fixed_at, found = _lock_instants(view, queue.name, zone, starts), dict[int, float]()
    if not fixed_at:
        return found
    kept = outlooks.locked_days(connection, queue.name, min(fixed_at), max(fixed_at))
    for start in starts:
        day = local_date(start, zone).isoformat()
        if day not in fixed_at:
            continue
        if day not in kept and start not in said:
            kept[day] = dataclasses.replace(stood(connection, queue.name, day, fixed_at[day]), since=start)
            outlooks.save_locked(connection, kept[day])
        held = kept.get(day)
        count = held.count(start) if held and held.holds(start) else None
        if count is not None:
            found[start] = count
    return found


def _lock_instants(view: BookView, queue: str, zone: str, starts: Sequence[int]) -> dict[str, int]:
    """Return when the local days of intervals (in order) were locked, where the contract of the day may relieve its target."""
    found = dict[str, int]()
    for day in dates(local_date(starts[0], zone), local_date(starts[-1], zone)) if starts else ():
        contract = view.at(day).contract_of(queue)
        lock = contract.lock if contract else None
        then = lock_instant(lock, day, zone) if lock and tolerance_of(lock).may_relieve_target else None
        if then is not None:
            found[day.isoformat()] = then
    return found


def heard_late(connection: sa.Connection, days: Sequence[Received]) -> Iterator[tuple[str, int, int]]:
    """Look again at locked days of which a forecast is only now heard that had come before the lock: topics keep no order among them.
    Give queue, first and last interval of those that were locked otherwise."""
    for queue in sorted({day.queue for day in days}):
        own = [day for day in days if day.queue == queue]
        kept = outlooks.locked_days(connection, queue, min(d.local_date for d in own), max(d.local_date for d in own))
        for day in own:
            old = kept.get(day.local_date)
            if old is None or old.since is None or day.received_at > old.locked_at:
                continue
            new = dataclasses.replace(stood(connection, queue, day.local_date, old.locked_at), since=old.since)
            if new != old:
                outlooks.save_locked(connection, new)
                yield queue, old.since, max(*new.starts, *old.starts, old.since)
