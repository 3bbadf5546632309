"""What a fit needs of a queue, gathered from the book, its cells and what was forecast of others."""

import collections
import dataclasses
import datetime as dt
from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa

from muster.book.copy import BookCopy
from muster.book.demand import ColdStart, Queue
from muster.book.view import BookDay, intake_hours
from muster.domain.calendar import DAY, OpeningHours, dates, day_bounds, local_date, parse_date, slot_of
from muster.kit.clock import Clock
from services.forecaster.domain.cold import Profile, vertical_profile
from services.forecaster.domain.forecast import LONGEST_HISTORY_WEEKS
from services.forecaster.domain.laying_out import ENOUGH_DAYS
from services.forecaster.domain.part_days import earlier_dates
from services.forecaster.domain.queue_forecast import QueueFacts, held_then
from services.forecaster.domain.volume import merge_range
from services.forecaster.doubting import not_observed
from services.forecaster.handlers.volume import LATENESS_HORIZON_SECONDS
from services.forecaster.settings import ForecasterSettings
from services.forecaster.store import closing, forecasts, outlooks, volume


@dataclasses.dataclass
class Gathering:
    """Gathers what is known of queues."""

    settings: ForecasterSettings
    book: BookCopy
    clock: Clock

    def facts(
        self, connection: sa.Connection, book: BookDay, queue: Queue, weeks: int = LONGEST_HISTORY_WEEKS + 1
    ) -> tuple[QueueFacts, dt.date]:
        """Return what is known of a queue, from so many weeks of cells, and its local day of now."""
        zone, now = book.zone_of(queue), self.clock.now()
        through = closing.closed_through(connection, queue.name)
        begin, older = now - weeks * 7 * DAY, outlooks.day_totals(connection, queue.name)
        reports = volume.reports_between(connection, queue.name, begin, through)
        first = min((r.starts_at for r in reports), default=through)
        seconds, hours = queue.interval_seconds, intake_hours(queue)
        span = list(dates(local_date(max(first, begin), zone), local_date(now, zone)))
        past = self._past_hours(connection, queue, span)
        starts = [s for d in span for s in hours.open_starts(d, zone, seconds) if first <= s and s + seconds <= through]
        told = merge_range(reports, starts, seconds)
        if len(past) > 1:  # of what was not open then, nothing told is no zero
            open_then = {s for d in span for s in held_then(past, d, hours).open_starts(d, zone, seconds)}
            starts = [s for s in starts if s in told or s in open_then]
        cells: dict[int, tuple[int | None, int | None, int | None]] = {}
        unfinished: dict[int, int] = {}
        for s in starts:
            tally = told[s].tally if s in told else None
            if tally and s > now - LATENESS_HORIZON_SECONDS and (lasting := tally.unfinished):
                unfinished[s] = lasting
            cells[s] = (tally.offered, tally.handled, tally.handle_ms) if tally else (0, 0, 0)
        cold = queue.profile
        facts = QueueFacts(
            queue.name,
            zone,
            seconds,
            hours,
            cells,
            cold.weekly_offered_count if cold else None,
            cold.aht_seconds if cold else None,
            self._later_hours(connection, queue.name, local_date(now, zone)),
            tuple(
                (parse_date(e.first_date), parse_date(e.last_date), e.learned)
                for _, e in sorted(book.events.items())
                if e.name.partition("/")[0] == queue.client and (not e.queues or queue.name in e.queues)
            ),
            tuple(sorted((parse_date(a.starts_on), a.share) for a in queue.allocation_share)),
            older,
            self._profile(connection, book, cold, seconds),
            self._earlier_part_days(connection, queue, zone, max(first, begin)),
            unfinished,
            now,
            past,
            through,
        )
        unseen = dict.fromkeys(not_observed(connection, book, queue, facts), (None, None, None))
        return dataclasses.replace(facts, cells=cells | unseen), local_date(now, zone)

    def _profile(self, connection: sa.Connection, book: BookDay, cold: ColdStart | None, seconds: int) -> Profile:
        """Return how what is declared spreads over the week: as another queue does, else as an industry's, else evenly."""
        found = self._shape_of(connection, book, cold.shape, seconds) if cold and cold.shape else None
        return found or (vertical_profile(cold.vertical, seconds) if cold and cold.vertical else Profile())

    def _shape_of(self, connection: sa.Connection, book: BookDay, name: str, seconds: int) -> Profile | None:
        """Return how the forecast of another queue spreads over its coming week (7, S), in its own local time; None without one."""
        queue = book.queues.get(name)
        if queue is None:
            return None
        zone = book.zone_of(queue)
        today = local_date(self.clock.now(), zone)
        first, last = ((today + dt.timedelta(days=n)).isoformat() for n in (1, 28))
        shape, count, known = np.zeros((7, DAY // seconds)), np.zeros(7), 0
        for day in forecasts.list_days(connection, name, first, last, 28, 0):
            weekday = parse_date(day.local_date).weekday()
            known = max(known, day.history_days)
            count[weekday] += bool(day.starts)  # a day that is closed says nothing of its weekday
            for start, offered in zip(day.starts, day.offered, strict=True):
                for at in range(start, start + day.seconds, min(seconds, day.seconds)):
                    shape[weekday, slot_of(at, zone, seconds)] += offered
        if shape.sum() == 0:
            return None
        words = f"shaped as {name} ({f'{known} days of history' if known else 'itself without history'})"
        return Profile(shape / np.maximum(count, 1)[:, None], words, measured=known >= ENOUGH_DAYS)

    def _earlier_part_days(
        self, connection: sa.Connection, queue: Queue, zone: str, before: int
    ) -> dict[dt.date, dict[int, float]]:
        """Return contacts by slot of the holidays and part days, before an instant, that are of one kind with those to come."""
        hours, seconds = intake_hours(queue), queue.interval_seconds
        today, found = local_date(self.clock.now(), zone), dict[dt.date, dict[int, float]]()
        horizon = dates(today, today + dt.timedelta(days=self.settings.forecast_days - 1))
        wanted = {d for day in horizon if hours.special_day(day) for d in earlier_dates(hours, day)}
        for day in sorted(wanted):
            begin, end = day_bounds(day, zone)
            then = self.book.view(connection).at(day).queues.get(queue.name)
            if end > before or all(h.special_day(day) is None for h in (hours, *([intake_hours(then)] if then else []))):
                continue
            counts: dict[int, float] = collections.defaultdict(float)
            cells = merge_range(volume.reports_between(connection, queue.name, begin, end), range(begin, end, seconds), seconds)
            for start, cell in cells.items():
                counts[slot_of(start, zone, seconds)] += cell.tally.offered or 0
            if sum(counts.values()) > 0:
                found[day] = dict(counts)
        return found

    def _past_hours(
        self, connection: sa.Connection, queue: Queue, days: Sequence[dt.date]
    ) -> tuple[tuple[dt.date, OpeningHours], ...]:
        """Return the hours that held from which past day on, today's last: as dated rows declare them. A row changed in place is a
        correction: such hours held before, too."""
        view, found = self.book.view(connection), list[tuple[dt.date, OpeningHours]]()
        before = None
        for day in days:
            book = view.at(day)
            row = book.queues.get(queue.name) if book is not before else None
            if row is not None and (not found or intake_hours(row) != found[-1][1]):
                found.append((day, intake_hours(row)))
            before = book
        return tuple(found)

    def _later_hours(
        self, connection: sa.Connection, name: str, today: dt.date
    ) -> tuple[tuple[dt.date, OpeningHours | None], ...]:
        """Return from which days of the horizon on the book declares other hours."""
        view, changes = self.book.view(connection), list[tuple[dt.date, OpeningHours | None]]()
        before = view.at(today)
        for day in dates(today, today + dt.timedelta(days=self.settings.forecast_days)):
            book = view.at(day)
            if book is not before:
                row = book.queues.get(name)
                changes.append((day, intake_hours(row) if row else None))
                before = book
        return tuple(changes)
