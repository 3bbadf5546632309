"""How past days' forecasts did: what had been published by then, held against what came."""

import dataclasses
import datetime as dt
from collections.abc import Mapping

import sqlalchemy as sa

from muster.book.demand import Queue
from muster.domain.calendar import DAY, dates, day_bounds
from services.forecaster import wire
from services.forecaster.domain.accuracy import LEADS, WEEK, Added, Came, Score, add_value, score_day
from services.forecaster.domain.queue_forecast import LEVELS
from services.forecaster.domain.volume import merge_range
from services.forecaster.store import closing, forecasts, volume


@dataclasses.dataclass
class Scored:
    """A queue's days: scores by days before (leads of which nothing stood are missing), and by override what it added."""

    leads: dict[int, Score] = dataclasses.field(default_factory=dict)
    added: dict[str, Added] = dataclasses.field(default_factory=dict)


def contacts_that_came(connection: sa.Connection, queue: Queue, begin: int, end: int, seconds: int = 0) -> Mapping[int, int]:
    """Return the contacts of closed intervals between two instants, as `what_came` does."""
    return {start: came.offered for start, came in what_came(connection, queue, begin, end, seconds).items()}


def what_came(connection: sa.Connection, queue: Queue, begin: int, end: int, seconds: int = 0) -> Mapping[int, Came]:
    """Return contacts and their handling of closed intervals between two instants; of one that closed without a word, none. seconds:
    how long intervals are, as the forecast has them that they are held against; 0: as the queue's are today."""
    seconds, through = seconds or queue.interval_seconds, min(closing.closed_through(connection, queue.name), end)
    if through <= begin:
        return {}
    reports = volume.reports_between(connection, queue.name, begin, through)
    cells = merge_range(reports, range(begin, through, seconds), seconds)
    came = {
        s: Came(t.offered, t.handled, None if t.handle_ms is None else t.handle_ms / 1000)
        for s, t in ((s, c.tally) for s, c in cells.items())
        if t.offered is not None
    }
    silent = {
        s: Came(0) for s in closing.closed_cells(connection, queue.name, range(begin, through, seconds)) if s not in cells
    }
    return {**came, **silent}


def score_days(connection: sa.Connection, queue: Queue, zone: str, first: dt.date, last: dt.date) -> Scored:
    """Score a queue's local days, what stood a day, a week and four weeks before."""
    begin, end = day_bounds(first, zone)[0] - WEEK, day_bounds(last, zone)[1]
    lengths, scored = dict[int, Mapping[int, Came]](), Scored()
    for day in dates(first, last):
        midnight = day_bounds(day, zone)[0]
        for lead in LEADS:
            body = forecasts.newest_by(connection, queue.name, day.isoformat(), midnight - (lead - 1) * DAY)
            if body is not None:
                believed = wire.read_day(body)
                if believed.seconds not in lengths:
                    lengths[believed.seconds] = what_came(connection, queue, begin, end, believed.seconds)
                came = lengths[believed.seconds]
                score = score_day(believed, came, came, LEVELS)
                scored.leads[lead] = scored.leads.get(lead, Score()).add(score)
                if lead == LEADS[0] and believed.overrides:
                    add_value(scored.added, believed, came)
    return scored
