"""gRPC edge of forecasts beside the engine's: received, compared, tested, and what goes with a fit."""

import dataclasses
import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp

from muster.book.demand import Queue
from muster.book.view import BookDay
from muster.domain.calendar import dates, day_bounds, local_date, parse_date
from muster.domain.paths import QUANTILES
from muster.domain.tolerance import Tolerance
from muster.kit.errors import NotFound, NotNow, Refusal
from muster.kit.parts import Parts
from muster.v1 import forecast_pb2
from muster.v1 import forecaster_service_pb2 as pb
from services.forecaster import forecast_wire
from services.forecaster.domain.comparing import Comparison, compare
from services.forecaster.domain.facts import PublishedDay, Received
from services.forecaster.domain.queue_forecast import hours_in_words
from services.forecaster.locking import lock_instant, stood, tolerance_of
from services.forecaster.scoring import contacts_that_came
from services.forecaster.store import forecasts, outlooks
from services.forecaster.work import Work

LONGEST_COMPARISON_DAYS = 62
PERIODS = ("DAY", "WEEK", "MONTH")


def _times(ratio: float) -> str:
    """Return how many times the usual came, so that little does not read as nothing."""
    if 0 < ratio < 0.005:
        return "less than 0.01"
    return f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"


@dataclasses.dataclass(frozen=True)
class ForecastEdge:
    """Reads what the RPCs of forecasts answer."""

    parts: Parts
    work: Work

    def queue(self, connection: sa.Connection, name: str) -> tuple[BookDay, Queue]:
        """Return the book of today and a queue. Raise NotFound."""
        book = self.work.streams.book_today(connection)
        queue = book.queues.get(name)
        if queue is None:
            raise NotFound("NO_SUCH_QUEUE", f"no queue {name!r} in the book; declare it with muster apply")
        return book, queue

    def check_grids(self, connection: sa.Connection, messages: Sequence[forecast_pb2.ForecastReceived]) -> None:
        """Check forecasts to send against their queues' intervals; what is not declared yet is told on the topic. Raise Refusal."""
        book = self.work.streams.book_today(connection)
        for message in messages:
            if queue := book.queues.get(message.queue):
                said = forecast_wire.said_of(forecast_wire.check_received(message))
                forecast_wire.check_grid(said, queue.interval_seconds, book.zone_of(queue))

    def comparisons(
        self, connection: sa.Connection, request: pb.ListForecastComparisonsRequest
    ) -> pb.ListForecastComparisonsResponse:
        """Compare forecasts day by day. Raise NotFound, Refusal(INVALID_SPAN)."""
        book, queue = self.queue(connection, request.queue)
        zone = book.zone_of(queue)
        first = parse_date(request.first_date) if request.first_date else local_date(self.parts.clock.now(), zone)
        last = parse_date(request.last_date) if request.last_date else first + dt.timedelta(days=13)
        if not 0 <= (last - first).days < LONGEST_COMPARISON_DAYS:
            raise Refusal("INVALID_SPAN", f"{first} to {last}; allowed: 1 to {LONGEST_COMPARISON_DAYS} days")
        days = [self._compared(connection, book, queue, day) for day in dates(first, last)]
        return pb.ListForecastComparisonsResponse(days=[forecast_wire.comparison_message(d) for d in days if d.starts])

    def _compared(self, connection: sa.Connection, book: BookDay, queue: Queue, day: dt.date) -> Comparison:
        zone, text, now = book.zone_of(queue), day.isoformat(), self.parts.clock.now()
        ours = forecasts.load_day(connection, queue.name, text)
        standing: dict[str, PublishedDay | Received | None] = {"ENGINE": ours}
        for source in ("CLIENT", "AGREED"):
            standing[source] = outlooks.received(connection, queue.name, text, source)
        contract = self.work.streams.book.view(connection).at(day).contract_of(queue.name)
        lock = contract.lock if contract else None
        locked_at, locked = lock_instant(lock, day, zone) if lock else None, None
        if locked_at is not None and locked_at <= now:
            kept = outlooks.locked_days(connection, queue.name, text, text).get(text)
            locked = kept or stood(connection, queue.name, text, locked_at)
            locked_at = locked.locked_at
        begin, end = day_bounds(day, zone)
        came = contacts_that_came(connection, queue, begin, end, ours.seconds if ours else 0)
        tolerance = tolerance_of(lock) if lock else Tolerance()
        return compare(text, standing, locked if locked and locked.source else None, came, locked_at, tolerance)

    def incidents(self, connection: sa.Connection, name: str) -> pb.ListForecastIncidentsResponse:
        """Read what the newest fit left out. Raise NotFound."""
        book, queue = self.queue(connection, name)
        found = outlooks.load_outlook(connection, name)
        answer = pb.ListForecastIncidentsResponse()
        for day, offered, usual, ruled, *hours in found[1]["incidents"] if found else ():
            kind = "EVENT" if ruled else "SPIKE" if offered > usual else "OUTAGE"
            if ruled:
                said = [
                    f"{e.name}: {e.reason} ({e.owner})"
                    for _, e in sorted(book.events.items())
                    if e.first_date <= day <= e.last_date and (queue.name in e.queues or not e.queues) and not e.learned
                ]
                reason = "; ".join(said) or "an event of the book"
            else:
                share = f"{_times(offered / usual)} times" if usual > 0 else "unlike"
                what = f"{share} what {'these hours' if hours else 'its weekday'}"
                reason = f"{what} brought around it; to have it count, declare an event with learned: true"
            incident = pb.ForecastIncident(local_date=day, offered_count=offered, usual_count=usual, kind=kind, reason=reason)
            if hours:
                incident.hours = hours_in_words(*hours)
            answer.incidents.append(incident)
        return answer

    def periods(self, connection: sa.Connection, request: pb.ListForecastPeriodsRequest) -> pb.ListForecastPeriodsResponse:
        """Read twelve months. Raise NotFound, Refusal(INVALID_PERIOD)."""
        self.queue(connection, request.queue)
        kind = request.period or "MONTH"
        if kind not in PERIODS:
            raise Refusal("INVALID_PERIOD", f"period is {kind!r}; allowed: {', '.join(PERIODS)}")
        found = outlooks.load_outlook(connection, request.queue)
        answer = pb.ListForecastPeriodsResponse(quantile_levels=QUANTILES)
        if found:
            made_at, body = found
            answer.made_at.CopyFrom(Timestamp(seconds=made_at))
            answer.season_years = body["years"]
            for first, last, offered, wide, hours in body[kind]:
                answer.periods.append(
                    pb.ForecastPeriod(
                        first_date=first, last_date=last, offered_count=offered, offered_quantiles=wide, workload_hours=hours
                    )
                )
        return answer

    def start_backtest(self, connection: sa.Connection, request: pb.StartBacktestRequest) -> str:
        """Queue a backtest. Raise NotFound, Refusal(INVALID_BACKTEST)."""
        weeks = request.weeks or 8
        if not 1 <= weeks <= 26:
            raise Refusal("INVALID_BACKTEST", f"weeks is {weeks}; allowed: 1 to 26")
        cells = None
        if request.HasField("cells"):
            cells = forecast_wire.check_backtest_cells(request.cells)
        else:
            self.queue(connection, request.queue)
        return self.work.fitting.ask_backtest(connection, request.queue, weeks, cells)

    def backtest(self, connection: sa.Connection, name: str) -> pb.GetBacktestResponse:
        """Read a backtest. Raise NotFound, NotNow."""
        job = self.parts.jobs.look(connection, name)
        if job.kind != "backtest":
            raise NotFound("NO_SUCH_OPERATION", f"no backtest {name}")
        if job.state == "FAILED":
            raise NotNow(job.result["reason"], job.result["message"])
        return forecast_wire.backtest_message(job.result) if job.state == "DONE" else pb.GetBacktestResponse()
