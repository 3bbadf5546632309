"""Forecasts as they are published: overridden by the book's rules; today followed as its intervals close, and the days after with it."""

import dataclasses
import datetime as dt

import sqlalchemy as sa

from muster.book.demand import Queue
from muster.book.view import BookDay
from muster.book.windows import window_end_of
from muster.book.words import OverrideMeasure
from muster.domain.calendar import day_bounds, local_date, parse_date, resolve
from muster.kit.clock import Clock
from muster.kit.due import DueWork
from muster.kit.logs import get_log
from muster.kit.outbox import Outbox
from services.forecaster import wire
from services.forecaster.domain.engine.lasting import ENDS, day_after, kept
from services.forecaster.domain.engine.panel import Floats
from services.forecaster.domain.facts import PublishedDay
from services.forecaster.domain.overriding import Rule
from services.forecaster.domain.volume import merge_range
from services.forecaster.feeds import presumed_empty
from services.forecaster.handlers.forecasting import doubted_zeros, fades_after, moved_day, run_of, told_after, updated_day
from services.forecaster.store import closing, forecasts, volume

# Days after are told again where tomorrow has moved by so much.
MOVED = 0.02


@dataclasses.dataclass
class Today:
    """Publishes days, the rest of today, and what the days after keep of it."""

    outbox: Outbox
    clock: Clock
    due: DueWork

    def update(self, connection: sa.Connection, book: BookDay, queue: Queue, through: int) -> None:
        """Publish the rest of the day in which `through` lies, given its closed intervals; have the days after told where that moves them."""
        now, zone = self.clock.now(), book.zone_of(queue)
        day = local_date(now, zone)
        stood = self._stood(connection, queue, day)
        if stood is None or not stood.morning.starts or through < stood.morning.starts[0]:
            return
        rules, faded = self.rules(book, queue), self._faded(connection, book, queue, stood.morning)
        if faded is None and through == stood.morning.starts[0]:
            return
        morning = _begun(stood, faded, rules)
        actual = self._observed(connection, book, queue, morning, through)
        version = forecasts.next_version(connection, queue.name)
        updated = updated_day(morning, actual, version, through, now, rules, faded)
        if updated is not None:
            self.publish(connection, [updated])
        tomorrow = day_after(morning.lasting, 1, run_of(morning, actual), stood.moved)
        if abs(tomorrow - (stood.moved_tomorrow or 1.0)) >= MOVED:
            self.due.plan(connection, "days_after", queue.name, now)

    def tell_days_after(self, connection: sa.Connection, book: BookDay, queue: Queue) -> None:
        """Publish the days after today, to the end of the contract's window, as far as they keep how today runs.

        Tomorrow is always told, the night's shifts reach into it; days that nothing is kept of are not.
        """
        now, zone = self.clock.now(), book.zone_of(queue)
        today, through = local_date(now, zone), closing.closed_through(connection, queue.name)
        stood = self._stood(connection, queue, today)
        if stood is None or not stood.morning.starts:
            return
        rules, version = self.rules(book, queue), forecasts.next_version(connection, queue.name)
        morning, lasting = _begun(stood, self._faded(connection, book, queue, stood.morning), rules), stood.morning.lasting
        run = run_of(morning, self._observed(connection, book, queue, morning, through))
        moved, factors = list[PublishedDay](), dict[str, float]()
        for ahead in range(1, min((self._window_ends(book, queue, now) - today).days, ENDS - 1) + 1):
            if ahead > 1 and kept(lasting, ahead) == 0:
                continue
            text = (today + dt.timedelta(days=ahead)).isoformat()
            factors[text] = day_after(lasting, ahead, run, stood.moved)
            day = forecasts.load_morning(connection, queue.name, text)
            if day is not None and day.starts:
                moved.append(told_after(day, factors[text], version, through, now, rules))
        self.publish(connection, moved)
        forecasts.keep_moved(connection, queue.name, factors)
        get_log().info("days_after_told", queue=queue.name, days=len(moved), run=round(run, 4))

    def _stood(self, connection: sa.Connection, queue: Queue, day: dt.date) -> forecasts.Stood | None:
        tomorrow = day + dt.timedelta(days=1)
        return forecasts.load_today(connection, queue.name, day.isoformat(), tomorrow.isoformat())

    def _faded(self, connection: sa.Connection, book: BookDay, queue: Queue, morning: PublishedDay) -> Floats | None:
        """Return by what factor today's intervals (I,) differ as yesterday fades, where it goes on without a break: a rush does not end at
        midnight."""
        day = parse_date(morning.local_date)
        midnight, _ = day_bounds(day, book.zone_of(queue))
        if morning.starts[0] != midnight:
            return None
        yesterday = forecasts.load_morning(connection, queue.name, (day - dt.timedelta(days=1)).isoformat())
        if yesterday is None or not yesterday.starts or yesterday.starts[-1] + yesterday.seconds != midnight:
            return None
        return fades_after(yesterday, self._observed(connection, book, queue, yesterday, midnight), morning)

    @staticmethod
    def _window_ends(book: BookDay, queue: Queue, now: int) -> dt.date:
        """Return the last local day of the longest window of the queue's contract, tomorrow at least."""
        zone, contract = book.zone_of(queue), book.contract_of(queue.name)
        ends = [local_date(now, zone) + dt.timedelta(days=1)]
        for target in contract.targets if contract else ():
            if contract and (not target.queues or queue.name in target.queues):
                ends.append(local_date(window_end_of(book, contract.name, target, now) - 1, zone))
        return max(ends)

    def _observed(
        self, connection: sa.Connection, book: BookDay, queue: Queue, morning: PublishedDay, through: int
    ) -> dict[int, int]:
        """Return what was offered in a day's intervals that ended by an instant.

        What is empty against all odds, and closed by a feed's grace alone, was not observed.
        """
        seconds, other = morning.seconds, morning.seconds != queue.interval_seconds or queue.valid_from >= morning.local_date
        closed = [s for s in morning.starts if s + seconds <= through]
        said = closing.closed_cells(connection, queue.name, closed)
        counts = {start: was.offered for start, was in said.items()}
        if said and other:  # some of the day may have closed in intervals of another length
            counts = dict.fromkeys((s for s in closed if s >= min(said)), None)
        if None in counts.values():  # not observed; or closed by a version that did not keep it
            cells = merge_range(volume.reports_between(connection, queue.name, closed[0], through), closed, seconds)
            counts = {start: cells[start].tally.offered if start in cells else 0 for start in counts}
        actual = {start: count for start, count in counts.items() if count is not None}
        if doubted := doubted_zeros(morning, actual):
            unseen = presumed_empty(connection, book, queue, doubted)
            actual = {start: count for start, count in actual.items() if start not in unseen}
            if unseen:
                then = "today's forecast leaves them out; look after the feed, and have it say how far it has told"
                get_log().warning("empty_intervals_doubted", queue=queue.name, intervals=len(unseen), then=then)
        return actual

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


def _begun(stood: forecasts.Stood, faded: Floats | None, rules: list[Rule]) -> PublishedDay:
    """Return today's forecast as it began: as the day before has moved it, until the next fit, and as it fades."""
    if stood.moved is None and faded is None:
        return stood.morning
    return moved_day(stood.morning, (stood.moved or 1.0) * (1.0 if faded is None else faded), rules)
