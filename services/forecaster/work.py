"""The forecaster's time-driven work: closing intervals, updating today, fitting each night."""

import dataclasses
import datetime as dt
import uuid
from typing import Any

import sqlalchemy as sa

from muster.book.copy import BookCopy, Key
from muster.book.demand import Client, Queue
from muster.book.view import BookDay, intake_hours
from muster.book.words import Basis, OverrideMeasure, Reporting
from muster.domain.calendar import DAY, dates, local_date, resolve
from muster.kit.clock import Clock
from muster.kit.due import DueWork
from muster.kit.errors import NotFound, NotNow
from muster.kit.jobs import JobKind, Jobs, Report
from muster.kit.logs import get_log
from muster.kit.loop import dead_letter
from muster.kit.outbox import Outbox
from services.forecaster import volume_wire, wire
from services.forecaster.domain.backtest import FEWEST_HISTORY_DAYS, backtest, hours_seen
from services.forecaster.domain.facts import PublishedDay
from services.forecaster.domain.forecast import LONGEST_HISTORY_WEEKS, forecast_client
from services.forecaster.domain.outlook import OutlookPeriod, periods
from services.forecaster.domain.overriding import Rule, overridden
from services.forecaster.domain.queue_forecast import QueueFacts, QueueForecast
from services.forecaster.domain.volume import closed_through, merge_range
from services.forecaster.forecast_wire import backtest_data
from services.forecaster.gathering import Gathering
from services.forecaster.handlers.closing import close_cells
from services.forecaster.handlers.forecasting import published_days, updated_day
from services.forecaster.handlers.volume import LATENESS_HORIZON_SECONDS
from services.forecaster.scoring import score_days
from services.forecaster.settings import ForecasterSettings
from services.forecaster.store import closing, forecasts, outlooks, volume
from services.forecaster.streams import EVERY_QUEUE, Streams

FITTED_TOGETHER = 250
FORECAST_KINDS = ("clients", "queues", "overrides", "events")


def fit_queues(payload: dict[str, Any], report: Report) -> list[QueueForecast]:
    """Fit every queue of a client, many together; runs in a child process."""
    queues, done = payload["queues"], []
    for n in range(0, len(queues), FITTED_TOGETHER):
        report({"doing": f"fitting {queues[n][0].queue} and others", "done_count": n, "total_count": len(queues)})
        done += forecast_client(queues[n : n + FITTED_TOGETHER], payload["days"])
    return done


def run_backtest(payload: dict[str, Any], report: Report) -> dict[str, Any]:
    """Test a queue's forecasts on its past; runs in a child process."""

    def tell(done: int, of: int) -> None:
        report({"doing": "forecasting again", "done_count": done, "total_count": of})

    return backtest_data(backtest(payload["facts"], payload["today"], payload["weeks"], tell))


@dataclasses.dataclass
class Work:
    """Due work and jobs of the forecaster."""

    settings: ForecasterSettings
    book: BookCopy
    streams: Streams
    due: DueWork
    jobs: Jobs
    outbox: Outbox
    clock: Clock
    gathering: Gathering

    def declare(self) -> None:
        """Say what is done for each kind, in the order in which they run."""
        self.due.declare("unpark", self.unpark)
        self.due.declare("close", self.close)
        self.due.declare("reclose", self.reclose)
        self.due.declare("fit", self.fit)
        self.due.declare("nights", self.nights)
        self.due.declare("nightly", self.nightly)
        self.due.declare("score", self.score)
        self.due.declare("prune", self.prune)
        self.jobs.declare("fit", JobKind(self.load_fit, fit_queues, self.save_fit))
        self.jobs.declare("backtest", JobKind(self.load_backtest, run_backtest, lambda c, request, result: result, aside=True))

    def begin(self, connection: sa.Connection) -> None:
        """Plan what recurs. In a conducted world whose clock has not moved, the first tick plans it through the book."""
        if self.clock.now():
            for client in self.streams.book_today(connection).clients.values():
                self._plan_nightly(connection, client)
            self.due.plan_once(connection, "prune", "", self.clock.now())

    def on_book(self, connection: sa.Connection, changed: set[Key]) -> None:
        """Have a client's queues fitted when its book changes, and parked facts of new queues used."""
        names = {name.partition("/")[0] for kind, name, _ in changed if kind in FORECAST_KINDS}
        for client in sorted(names):
            self.due.plan(connection, "fit", client, self.clock.now())
        for kind, name, valid_from in sorted(changed):
            if kind in FORECAST_KINDS and valid_from:
                starts = resolve(dt.datetime.fromisoformat(valid_from), "UTC")
                self.due.plan(connection, "fit", name.partition("/")[0], max(starts, self.clock.now()))
                if kind == "queues":
                    self.due.plan(connection, "unpark", name, max(starts, self.clock.now()))
            if kind == "queues":
                self.due.plan(connection, "unpark", name, self.clock.now())
            if kind == "clients":
                self.due.plan(connection, "nights", name, self.clock.now())

    def unpark(self, connection: sa.Connection, queue: str, due_at: int) -> None:
        """Use facts that came before their queue was declared."""
        facts = self.streams.take_parked(connection, queue)
        if facts:
            handled = self.streams.on_volume(connection, facts)
            dead = [dead_letter(volume_wire.OBSERVED, fact, refusal) for fact, refusal in handled.refused]
            self.outbox.write(connection, [*handled.messages, *dead])
            get_log().info("volume_unparked", queue=queue, messages=len(facts))
        self.due.plan(connection, "close", queue, self.clock.now())

    def _counting_feeds(self, book: BookDay, queue: Queue, told: dict[str, Any]) -> dict[str, int | None]:
        """Return the feeds whose word closes the queue, with their grace.

        The client's REALTIME feeds that have spoken of the queue (OFFICIAL ones, if it has no other); any that has, if
        none of the declared has yet.
        """
        client = book.clients.get(queue.client)
        declared = {f.name: f for f in client.feeds} if client else {}
        live = {n: f for n, f in declared.items() if f.basis == Basis.REALTIME} or declared
        spoken = {n: f.grace_seconds for n, f in live.items() if n in told}
        return spoken or dict.fromkeys(told)

    def _progress(self, connection: sa.Connection, queue: Queue) -> dict[str, closing.Told]:
        told = closing.progress_of(connection, queue.name)
        for feed, word in closing.progress_of(connection, f"{queue.client}/{EVERY_QUEUE}").items():
            told[feed] = told.get(feed, closing.Told()).with_(word)
        return told

    def reports_at_the_end(self, connection: sa.Connection, book: BookDay, queue: Queue) -> bool:
        """Return whether a feed that counts for the queue tells of a contact only when it is over."""
        client = book.clients.get(queue.client)
        counting = self._counting_feeds(book, queue, self._progress(connection, queue))
        return any(f.name in counting and f.reports == Reporting.END for f in client.feeds) if client else False

    def close(self, connection: sa.Connection, name: str, due_at: int) -> None:
        """Close the intervals that feeds have completed, tell staffing, and update the rest of today."""
        book = self.streams.book_today(connection)
        queue = book.queues.get(name)
        if queue is None:
            return
        told, now = self._progress(connection, queue), self.clock.now()
        feeds = self._counting_feeds(book, queue, told)
        through = min(closed_through([(told[f].complete_through, grace) for f, grace in feeds.items()], now), now)
        through -= through % queue.interval_seconds
        before = closing.closed_through(connection, name)
        if graces := [g for g in feeds.values() if g is not None]:
            step = queue.interval_seconds
            self.due.plan(connection, "close", name, now - now % step + step + max(graces))
        if through <= before:
            return
        since = min((told[f].first_told_at or through for f in feeds), default=through)
        self._publish_closed(connection, book, queue, max(before, since - since % queue.interval_seconds), through)
        closing.save_closed_through(connection, name, through)
        self._update_today(connection, book, queue, through)

    def reclose(self, connection: sa.Connection, key: str, due_at: int) -> None:
        """Look again at closed intervals that a late fact changed."""
        name, first, last = key.split("|")
        book = self.streams.book_today(connection)
        queue = book.queues.get(name)
        if queue is not None:
            end = min(int(last) + DAY, closing.closed_through(connection, name))
            begin = int(first) - int(first) % queue.interval_seconds
            self._publish_closed(connection, book, queue, begin, end, zeros=False)
            self._update_today(connection, book, queue, closing.closed_through(connection, name))

    def _publish_closed(
        self, connection: sa.Connection, book: BookDay, queue: Queue, begin: int, end: int, zeros: bool = True
    ) -> None:
        """Publish what intervals between two instants became. `zeros`: also those of which nothing was told."""
        reports = volume.reports_between(connection, queue.name, begin, end)
        zone, seconds = book.zone_of(queue), queue.interval_seconds
        hours = intake_hours(queue)
        opened = {
            s
            for day in dates(local_date(begin, zone), local_date(end - 1, zone))
            for s in (hours.open_starts(day, zone, seconds) if zeros else ())
        }
        told = {s for r in reports for s in range(r.starts_at - r.starts_at % seconds, r.starts_at + r.seconds, seconds)}
        starts = sorted(s for s in opened | told if begin <= s and s + seconds <= end)
        said = closing.closed_cells(connection, queue.name, starts)
        before = {start: (was.revision, was.digest) for start, was in said.items()}
        cells = close_cells(reports, starts, seconds, before, closing.digest)
        self.outbox.write(connection, [wire.closed_message(queue.name, seconds, c.cell, c.revision, end) for c in cells])
        now = self.clock.now()
        rows = []
        for c in cells:
            first = said[c.cell.starts_at].closed_at if c.cell.starts_at in said else now
            rows.append((c.cell.starts_at, closing.Said(c.revision, c.digest, first, c.cell.tally.offered)))
        closing.save_closed_cells(connection, queue.name, rows)
        if cells:
            get_log().info("volume_closed", queue=queue.name, intervals=len(cells), through=end)

    def _update_today(self, connection: sa.Connection, book: BookDay, queue: Queue, through: int) -> None:
        """Publish the rest of the day in which `through` lies, given its closed intervals."""
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
        version = forecasts.next_version(connection, queue.name)
        updated = updated_day(morning, actual, version, through, now, self._rules(book, queue))
        if updated is not None:
            self._publish(connection, [updated])

    def _rules(self, book: BookDay, queue: Queue) -> list[Rule]:
        """Return the overrides of a queue that hold today."""
        zone, rules = book.zone_of(queue), []
        for o in book.overrides.values():
            if o.queue == queue.name:
                begin, end = (resolve(dt.datetime.fromisoformat(text), zone) for text in (o.starts, o.ends))
                words = f"{o.name}: {o.measure.value} {o.operation.value} {o.value:g}, {o.owner}: {o.reason}"
                on_volume = o.measure == OverrideMeasure.VOLUME
                rules.append(Rule(o.layer, o.name, on_volume, o.operation.value, o.value, begin, end, words))
        return rules

    def _publish(self, connection: sa.Connection, days: list[PublishedDay]) -> None:
        messages = [wire.published_message(day) for day in days]
        for day, message in zip(days, messages, strict=True):
            forecasts.save_day(connection, day, message.value)
        self.outbox.write(connection, messages)

    def _plan_nightly(self, connection: sa.Connection, client: Client) -> None:
        now = self.clock.now()
        today = dt.datetime.combine(local_date(now, client.zone), dt.time())
        times = [resolve(today + dt.timedelta(days=d, seconds=self.settings.nightly_seconds), client.zone) for d in (0, 1)]
        self.due.plan(connection, "nightly", client.name, next(t for t in times if t > now))

    def nightly(self, connection: sa.Connection, client: str, due_at: int) -> None:
        """Fit a client's queues for the night, and plan the next night."""
        book = self.streams.book_today(connection)
        row = book.clients.get(client)
        if row is not None:
            self._ask_fit(connection, client, "NIGHTLY")
            self._plan_nightly(connection, row)
            for name in (q.name for _, q in sorted(book.queues.items()) if q.client == client):
                self.due.plan(connection, "score", name, self.clock.now())

    def score(self, connection: sa.Connection, name: str, due_at: int) -> None:
        """Keep how yesterday's forecasts of a queue did, for metrics."""
        book = self.streams.book_today(connection)
        queue = book.queues.get(name)
        if queue is not None:
            zone = book.zone_of(queue)
            day = local_date(self.clock.now(), zone) - dt.timedelta(days=1)
            leads = score_days(connection, queue, zone, day, day).leads
            outlooks.save_scores(connection, name, day.isoformat(), {k: s for k, s in leads.items() if s.intervals})

    def nights(self, connection: sa.Connection, client: str, due_at: int) -> None:
        """Plan a new client's next night."""
        row = self.streams.book_today(connection).clients.get(client)
        if row is not None:
            self._plan_nightly(connection, row)

    def fit(self, connection: sa.Connection, client: str, due_at: int) -> None:
        """Fit a client's queues because its book changed."""
        self._ask_fit(connection, client, "BOOK")

    def _ask_fit(self, connection: sa.Connection, client: str, trigger: str) -> str:
        name = f"fits/{client}-{self.clock.now()}-{trigger.lower()}"
        return self.jobs.ask_anew(connection, name, "fit", {"client": client, "trigger": trigger})

    def ask_fit(self, connection: sa.Connection, client: str, request_id: str) -> str:
        """Queue a fit that someone asked for; the same request id is the same job."""
        if not request_id:
            return self._ask_fit(connection, client, "REQUESTED")
        name = f"fits/{client}-{request_id}-requested"
        self.jobs.ask(connection, name, "fit", {"client": client, "trigger": "REQUESTED"})
        return name

    def ask_backtest(self, connection: sa.Connection, queue: str, weeks: int, cells: dict[str, Any] | None) -> str:
        """Queue a backtest of a queue, or of cells that are no queue's."""
        name = f"backtests/{queue}-{self.clock.now()}-{uuid.uuid4().hex[:8]}"
        self.jobs.ask(connection, name, "backtest", {"queue": queue, "weeks": weeks, "cells": cells})
        return name

    def load_backtest(self, connection: sa.Connection, request: dict[str, Any]) -> dict[str, Any]:
        """Gather what a backtest needs. Raise NotNow(TOO_LITTLE_HISTORY)."""
        weeks = request["weeks"]
        if request["cells"]:
            c = request["cells"]
            counts = dict(zip(c["starts"], c["offered"], strict=True))
            hours = hours_seen(counts, c["zone"], c["seconds"])
            cells = {s: (n, n, n * 1000) for s, n in counts.items()}
            facts = QueueFacts(request["queue"], c["zone"], c["seconds"], hours, cells)
            today = local_date(max(counts) + c["seconds"], c["zone"])
        else:
            book = self.streams.book_today(connection)
            queue = book.queues.get(request["queue"])
            if queue is None:
                raise NotFound("NO_SUCH_QUEUE", f"no queue {request['queue']!r} in the book")
            facts, today = self.gathering.facts(connection, book, queue, LONGEST_HISTORY_WEEKS + 1 + weeks)
            today = min(today, local_date(closing.closed_through(connection, queue.name), facts.zone))
        known = [start for start, cell in facts.cells.items() if cell[0] is not None]
        days = (today - local_date(min(known), facts.zone)).days if known else 0
        if days <= FEWEST_HISTORY_DAYS:
            raise NotNow("TOO_LITTLE_HISTORY", f"{days} days of history; needed: more than {FEWEST_HISTORY_DAYS}")
        return {"facts": facts, "today": today, "weeks": weeks}

    def load_fit(self, connection: sa.Connection, request: dict[str, Any]) -> dict[str, Any]:
        """Gather half a year of each queue of a client."""
        book = self.streams.book_today(connection)
        queues = [q for _, q in sorted(book.queues.items()) if q.client == request["client"]]
        return {"queues": [self.gathering.facts(connection, book, q) for q in queues], "days": self.settings.forecast_days}

    def save_fit(self, connection: sa.Connection, request: dict[str, Any], result: list[QueueForecast]) -> dict[str, Any]:
        """Publish what was fitted."""
        book, now = self.streams.book_today(connection), self.clock.now()
        for forecast in (f for f in result if f.queue in book.queues):  # the book may have changed since
            seconds = book.queues[forecast.queue].interval_seconds
            version = forecasts.next_version(connection, forecast.queue)
            watermark = closing.closed_through(connection, forecast.queue)
            days = published_days(forecast, seconds, version, request["trigger"], watermark, now)
            rules = self._rules(book, book.queues[forecast.queue])
            self._publish(connection, [overridden(day, rules) for day in days])
            self._keep_outlook(connection, forecast, now)
            get_log().info("forecast_published", queue=forecast.queue, days=len(days), rests_on=forecast.rests_on)
            self._update_today(connection, book, book.queues[forecast.queue], watermark)
        for override in book.overrides.values():
            if override.valid_until and override.name.partition("/")[0] == request["client"]:
                ends = resolve(dt.datetime.fromisoformat(override.valid_until), "UTC")
                self.due.plan(connection, "fit", request["client"], ends)
        fitted = {f.queue for f in result}
        for name, queue in sorted(book.queues.items()):
            if queue.client == request["client"] and name not in fitted:
                then = "declare cold_start (weekly_offered_count, aht_seconds), or import history"
                get_log().warning("forecast_not_possible", queue=name, reason="NO_HISTORY", then=then)
        return {"queues": sorted(fitted)}

    def _keep_outlook(self, connection: sa.Connection, forecast: QueueForecast, now: int) -> None:
        """Keep twelve months, incidents, and what past days brought."""
        since = min(forecast.totals, default=None)
        outlooks.save_day_totals(connection, forecast.queue, forecast.totals, since)
        days = [OutlookPeriod(d.day, d.day, d.offered, d.quantiles, d.offered * d.aht / 3600) for d in forecast.outlook]
        found = {"DAY": days}
        for kind in ("WEEK", "MONTH"):
            found[kind] = periods(forecast.outlook, forecast.between_days, monthly=kind == "MONTH")
        body: dict[str, Any] = {
            kind: [
                [
                    p.first.isoformat(),
                    p.last.isoformat(),
                    round(p.offered, 3),
                    [round(q, 3) for q in p.quantiles],
                    round(p.workload_hours, 3),
                ]
                for p in rows
            ]
            for kind, rows in found.items()
        }
        body["years"] = forecast.outlook_years
        body["incidents"] = [[i.day.isoformat(), i.offered, i.usual, i.ruled] for i in forecast.incidents]
        outlooks.save_outlook(connection, forecast.queue, now, body)

    def prune(self, connection: sa.Connection, key: str, due_at: int) -> None:
        """Delete what is older than its retention says, and plan the next round."""
        now = self.clock.now()
        # Against the newest contact, not the clock: after an outage the backlog still needs its identities.
        cold = min(now, volume.newest_contact(connection)) - LATENESS_HORIZON_SECONDS - DAY
        closed_at = closing.closing_minutes(connection, cold - 14 * DAY, cold)
        volume.compact_spans(connection, cold, closed_at)
        volume.compact_reports(
            connection, now - 6 * DAY, now - 4 * DAY, closing.closing_minutes(connection, now - 6 * DAY, now)
        )
        oldest = now - self.settings.keep_days * DAY
        connection.execute(sa.text("DELETE FROM forecast_version WHERE made_at < :before"), {"before": oldest})
        self.jobs.prune(connection, now - 30 * DAY)
        for table in ("volume_cell", "closed_cell"):
            connection.execute(sa.text(f"DELETE FROM {table} WHERE starts_at < :before"), {"before": oldest})  # noqa: S608
        day = {"day": local_date(max(oldest, 0), "UTC").isoformat()}
        for table in ("day_score", "received_forecast"):
            connection.execute(sa.text(f"DELETE FROM {table} WHERE local_date < :day"), day)  # noqa: S608
        self.outbox.prune(connection, now - 14 * DAY)
        self.due.plan(connection, "prune", "", now + DAY)
