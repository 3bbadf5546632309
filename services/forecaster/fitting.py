"""Fits and backtests: asked for, loaded, computed aside, kept and published; each night by each client's clock."""

import dataclasses
import datetime as dt
import uuid
from typing import Any

import sqlalchemy as sa

from muster.book.demand import Client
from muster.domain.calendar import local_date, resolve
from muster.kit.clock import Clock
from muster.kit.due import DueWork
from muster.kit.errors import NotFound, NotNow
from muster.kit.jobs import JobKind, Jobs, Report
from muster.kit.logs import get_log
from services.forecaster.domain.backtest import FEWEST_HISTORY_DAYS, backtest, hours_seen, with_zeros
from services.forecaster.domain.forecast import LONGEST_HISTORY_WEEKS, forecast_client
from services.forecaster.domain.outlook import OutlookDay, OutlookPeriod, periods
from services.forecaster.domain.overriding import outlook_overridden, overridden
from services.forecaster.domain.queue_forecast import QueueFacts, QueueForecast
from services.forecaster.forecast_wire import backtest_data
from services.forecaster.gathering import Gathering
from services.forecaster.handlers.forecasting import published_days
from services.forecaster.scoring import score_days
from services.forecaster.settings import ForecasterSettings
from services.forecaster.store import closing, forecasts, outlooks
from services.forecaster.streams import Streams
from services.forecaster.today import Today

FITTED_TOGETHER = 250


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
class Fitting:
    """Fits clients' queues, and tests forecasts on the past."""

    settings: ForecasterSettings
    streams: Streams
    due: DueWork
    jobs: Jobs
    clock: Clock
    gathering: Gathering
    today: Today

    def declare(self) -> None:
        """Say what is done for each kind, in the order in which they run."""
        self.due.declare("fit", self.fit)
        self.due.declare("nights", self.nights)
        self.due.declare("nightly", self.nightly)
        self.due.declare("score", self.score)
        self.jobs.declare("fit", JobKind(self.load_fit, fit_queues, self.save_fit))
        self.jobs.declare("backtest", JobKind(self.load_backtest, run_backtest, lambda c, request, result: result, aside=True))

    def plan_nightly(self, connection: sa.Connection, client: Client) -> None:
        """Plan a client's next night."""
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
            self.plan_nightly(connection, row)
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
            self.plan_nightly(connection, row)

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
            counts = with_zeros(counts, hours, c["zone"], c["seconds"])
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
            days = published_days(forecast, seconds, version, request["trigger"], forecast.known_through, now)
            rules = self.today.rules(book, book.queues[forecast.queue])
            self.today.publish(connection, [overridden(day, rules) for day in days])
            zone = book.zone_of(book.queues[forecast.queue])
            self._keep_outlook(connection, forecast, outlook_overridden(forecast.outlook, days, rules, zone), now)
            get_log().info("forecast_published", queue=forecast.queue, days=len(days), rests_on=forecast.rests_on)
            self.today.update(connection, book, book.queues[forecast.queue], closing.closed_through(connection, forecast.queue))
        for override in book.overrides.values():
            if override.valid_until and override.name.partition("/")[0] == request["client"]:
                ends = resolve(dt.datetime.fromisoformat(override.valid_until), "UTC")
                self.due.plan(connection, "fit", request["client"], ends)
        fitted = {f.queue for f in result}
        for name, queue in sorted(book.queues.items()):
            if queue.client == request["client"] and name not in fitted:
                then = "declare cold_start (weekly_offered_count, aht_seconds), or import history with handle times"
                get_log().warning("forecast_not_possible", queue=name, reason="NO_HISTORY", then=then)
        return {"queues": sorted(fitted)}

    def _keep_outlook(self, connection: sa.Connection, forecast: QueueForecast, outlook: list[OutlookDay], now: int) -> None:
        """Keep twelve months with their overrides, incidents, and what past days brought."""
        since = min(forecast.totals, default=None)
        outlooks.save_day_totals(connection, forecast.queue, forecast.totals, since)
        days = [OutlookPeriod(d.day, d.day, d.offered, d.quantiles, d.offered * d.aht / 3600) for d in outlook]
        found = {"DAY": days}
        for kind in ("WEEK", "MONTH"):
            found[kind] = periods(outlook, forecast.between_days, monthly=kind == "MONTH")
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
        body["incidents"] = [[i.day.isoformat(), i.offered, i.usual, i.ruled, *(i.hours or ())] for i in forecast.incidents]
        outlooks.save_outlook(connection, forecast.queue, now, body)
