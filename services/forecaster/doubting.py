"""Which zeros of the past a dead feed may have left: a fit learns nothing from them."""

import sqlalchemy as sa

from muster.book.demand import Queue
from muster.book.view import BookDay
from muster.domain.calendar import day_bounds, local_date
from muster.kit.logs import get_log
from services.forecaster.domain.engine.panel import LEARNED
from services.forecaster.domain.queue_forecast import QueueFacts
from services.forecaster.domain.suspects import suspected
from services.forecaster.feeds import presumed_empty, silent_feeds
from services.forecaster.handlers.forecasting import doubted_zeros
from services.forecaster.store import forecasts


def not_observed(connection: sa.Connection, book: BookDay, queue: Queue, facts: QueueFacts) -> set[int]:
    """Return the starts of past intervals that closed by a feed's grace alone, and empty although the forecast that was published for
    their day all but rules that out: today's rule, held against each day's own morning.

    Of a day without one, or with one of another interval length, no zero is doubted, nor of one that an event says to learn from.
    """
    if not silent_feeds(connection, book, queue):
        return set()
    found, counts = set[int](), {s: c[0] for s, c in facts.cells.items()}
    midnight = day_bounds(local_date(facts.known_at, facts.zone), facts.zone)[0]
    days = sorted({local_date(s, facts.zone) for s in suspected(counts, facts.seconds, midnight)})
    for day, ruling in zip(days, facts.rulings(days), strict=True):
        morning = None if ruling == LEARNED else forecasts.load_morning(connection, queue.name, day.isoformat())
        if morning is None or morning.seconds != facts.seconds:
            continue
        known = {s: n for s in morning.starts if s in facts.cells and (n := facts.cells[s][0]) is not None}
        found |= presumed_empty(connection, book, queue, doubted_zeros(morning, known))
    if found:
        first, last = (local_date(s, facts.zone).isoformat() for s in (min(found), max(found)))
        get_log().info("empty_intervals_left_out", queue=queue.name, intervals=len(found), first=first, last=last)
    return found
