"""How contracts' targets stand: the book's terms, and the intervals counted so far."""

import contextlib
import dataclasses
import datetime as dt

import sqlalchemy as sa

from muster.book.terms import Target
from muster.book.view import BookDay
from muster.book.windows import window_of, zone_of
from muster.domain.calendar import resolve
from services.staffing.domain.attainment import Judging, Standing, stand
from services.staffing.store import plans


def judging_of(book: BookDay, contract: str, target: Target) -> Judging:
    """Return how a target adds up."""
    zone = zone_of(book, contract, target)
    spans = [tuple(resolve(dt.datetime.fromisoformat(text), zone) for text in (e.starts, e.ends)) for e in target.exclusions]
    return Judging(
        str(target.metric),
        str(target.aggregation),
        target.each,
        zone,
        tuple((begin, end) for begin, end in spans),
        target.rounding_places,
    )


def standing(
    connection: sa.Connection, book: BookDay, contract: str, index: int, target: Target, now: int, with_relieved: bool = False
) -> Standing:
    """Return how a target stands in its window; what the contract's lock leaves out is not counted unless it is asked for."""
    since, until = window_of(book, contract, target, now), due_through(book, contract, target, now)
    judging = judging_of(book, contract, target)
    if until is None or with_relieved:
        last = plans.LAST if until is None else until
        return stand(judging, plans.target_intervals(connection, contract, index, since, last, with_relieved))
    found = stand(judging, plans.target_intervals(connection, contract, index, since, until))
    unsure = plans.target_unsure(connection, contract, index, since, until)
    return dataclasses.replace(found, unsure=sum(n for start, n in unsure if not judging.excludes(start)), through=until)


def relief(
    connection: sa.Connection, book: BookDay, contract: str, index: int, target: Target, now: int
) -> tuple[int, Standing] | None:
    """Return how many of the window's intervals the contract's lock leaves out, one for each queue, and how the target would stand with
    them; None: it leaves none out. What is excluded anyway is not among them."""
    since, until = window_of(book, contract, target, now), due_through(book, contract, target, now)
    starts = plans.relieved_starts(connection, contract, index, since, plans.LAST if until is None else until)
    if not starts:
        return None
    judging = judging_of(book, contract, target)
    whole = standing(connection, book, contract, index, target, now, with_relieved=True)
    return sum(not judging.excludes(start) for start in starts), whole


def due_through(book: BookDay, contract: str, target: Target, now: int) -> int | None:
    """Return the instant before which all that came is due by now, in every queue of a target; None: it has no deadlines."""
    found = []
    for name in target.queues or book.contracts[contract].queues:
        queue = book.queues.get(name)
        deadlines = book.deadlines(queue, target) if queue else None
        if queue and deadlines:
            with contextlib.suppress(ValueError):  # hours of service that never make it due: nothing was observed
                found.append(deadlines.due_through(now, queue.interval_seconds))
    return min(found, default=None)
