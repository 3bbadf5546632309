"""Forecasts as they are published: overridden by the book's rules, and today followed as its intervals close."""

import dataclasses
import datetime as dt

import sqlalchemy as sa

from muster.book.demand import Queue
from muster.book.view import BookDay
from muster.book.words import OverrideMeasure
from muster.domain.calendar import local_date, resolve
from muster.kit.clock import Clock
from muster.kit.logs import get_log
from muster.kit.outbox import Outbox
from services.forecaster import wire
from services.forecaster.domain.facts import PublishedDay
from services.forecaster.domain.overriding import Rule
from services.forecaster.domain.volume import merge_range
from services.forecaster.feeds import presumed_empty
from services.forecaster.handlers.forecasting import doubted_zeros, updated_day
from services.forecaster.store import closing, forecasts, volume


@dataclasses.dataclass
class Today:
    """Publishes days, and the rest of today."""

    outbox: Outbox
    clock: Clock

    def update(self, connection: sa.Connection, book: BookDay, queue: Queue, through: int) -> None:
        """Publish the rest of the day in which `through` lies, given its closed intervals.

        What is empty against all odds, and closed by a feed's grace alone, was not observed.
        """
        now, zone = self.clock.now(), book.zone_of(queue)
        day = local_date(now, zone)
        morning = forecasts.load_morning(connection, queue.name, day.isoformat())
        if morning is None or not morning.starts or through <= morning.starts[0]:
            return
        closed = [s for s in morning.starts if s + queue.interval_seconds <= through]
        said = closing.closed_cells(connection, queue.name, closed)
        counts = {start: was.offered for start, was in said.items()}
        if None in counts.values():  # not observed; or closed by a version that did not keep it
            cells = merge_range(
                volume.reports_between(connection, queue.name, closed[0], through), closed, queue.interval_seconds
            )
            counts = {start: cells[start].tally.offered if start in cells else 0 for start in counts}
        actual = {start: count for start, count in counts.items() if count is not None}
        if doubted := doubted_zeros(morning, actual):
            unseen = presumed_empty(connection, book, queue, doubted)
            actual = {start: count for start, count in actual.items() if start not in unseen}
            if unseen:
                then = "today's forecast leaves them out; look after the feed, and have it say how far it has told"
                get_log().warning("empty_intervals_doubted", queue=queue.name, intervals=len(unseen), then=then)
        version = forecasts.next_version(connection, queue.name)
        updated = updated_day(morning, actual, version, through, now, self.rules(book, queue))
        if updated is not None:
            self.publish(connection, [updated])

    def rules(self, book: BookDay, queue: Queue) -> list[Rule]:
        """Return the overrides of a queue that hold today."""
        zone, rules = book.zone_of(queue), []
        for o in book.overrides.values():
            if o.queue == queue.name:
                begin, end = (resolve(dt.datetime.fromisoformat(text), zone) for text in (o.starts, o.ends))
                words = f"{o.name}: {o.measure.value} {o.operation.value} {o.value:g}, {o.owner}: {o.reason}"
                on_volume = o.measure == OverrideMeasure.VOLUME
                rules.append(Rule(o.layer, o.name, on_volume, o.operation.value, o.value, begin, end, words))
        return rules

    def publish(self, connection: sa.Connection, days: list[PublishedDay]) -> None:
        """Keep and publish days."""
        messages = [wire.published_message(day) for day in days]
        for day, message in zip(days, messages, strict=True):
            forecasts.save_day(connection, day, message.value)
        self.outbox.write(connection, messages)
