"""The series of the forecaster: forecast and actual per queue, age of the newest fact per feed."""

import dataclasses
import datetime as dt
from collections.abc import Iterable

import sqlalchemy as sa
from prometheus_client.core import Metric

from muster.domain.calendar import local_date
from muster.kit.metrics import gauge
from muster.kit.parts import Parts
from services.forecaster.domain.volume import merge_range
from services.forecaster.store import closing, forecasts, outlooks, volume
from services.forecaster.work import Work


@dataclasses.dataclass
class _Rows:
    """One scrape's rows, by series."""

    forecast: list[tuple[list[str], float | None]] = dataclasses.field(default_factory=list)
    actual: list[tuple[list[str], float | None]] = dataclasses.field(default_factory=list)
    age: list[tuple[list[str], float | None]] = dataclasses.field(default_factory=list)
    lag: list[tuple[list[str], float | None]] = dataclasses.field(default_factory=list)
    wape: list[tuple[list[str], float | None]] = dataclasses.field(default_factory=list)
    bias: list[tuple[list[str], float | None]] = dataclasses.field(default_factory=list)
    inside: list[tuple[list[str], float | None]] = dataclasses.field(default_factory=list)


class ForecasterMetrics:
    """Collects at each scrape; ages come from Clock."""

    def __init__(self, parts: Parts, work: Work) -> None:
        self._parts, self._work = parts, work

    def collect(self) -> Iterable[Metric]:
        rows = self._parts.database.read_here(self._read)
        parked = self._parts.database.read_here(closing.parked_count)
        yield gauge("muster_forecast_offered", "Contacts forecast for the current interval", ["client", "queue"], rows.forecast)
        yield gauge("muster_volume_offered", "Contacts offered in the newest closed interval", ["client", "queue"], rows.actual)
        age = "Business seconds since the newest fact"
        yield gauge("muster_feed_newest_fact_age_seconds", age, ["client", "queue", "feed"], rows.age)
        lag = "Business seconds since the instant up to which the feed has told everything"
        yield gauge("muster_feed_complete_lag_seconds", lag, ["client", "queue", "feed"], rows.lag)
        labels = ["client", "queue", "lead_days"]
        yield gauge("muster_forecast_wape", "Absolute errors over contacts, last 28 days scored", labels, rows.wape)
        yield gauge("muster_forecast_bias", "Expected less came, over came, last 28 days scored", labels, rows.bias)
        inside = "Share of intervals inside the 80 % band, last 28 days scored"
        yield gauge("muster_forecast_inside_80", inside, labels, rows.inside)
        yield gauge("muster_volume_parked", "Facts parked until their queue is declared", [], [([], parked)])

    def _read(self, connection: sa.Connection) -> _Rows:
        rows, now = _Rows(), self._parts.clock.now()
        book = self._work.streams.book_today(connection)
        for name, queue in sorted(book.queues.items()):
            labels, seconds = [queue.client, name], queue.interval_seconds
            day = forecasts.load_day(connection, name, local_date(now, book.zone_of(queue)).isoformat())
            current = now - now % seconds
            if day and current in day.starts:
                rows.forecast.append((labels, day.offered[day.starts.index(current)]))
            last = closing.closed_through(connection, name) - seconds
            cell = merge_range(volume.reports_between(connection, name, last, last + seconds), [last], seconds).get(last)
            if cell:
                rows.actual.append((labels, cell.tally.offered))
        since = local_date(now, "UTC") - dt.timedelta(days=28)
        for (name, lead), score in sorted(outlooks.scores_since(connection, since.isoformat()).items()):
            if name in book.queues and score.offered > 0:
                labels = [name.partition("/")[0], name, str(lead)]
                rows.wape.append((labels, score.wrong / score.offered))
                rows.bias.append((labels, score.over / score.offered))
                rows.inside.append((labels, score.in_80 / score.intervals))
        for r in closing.all_progress(connection):
            if r.queue in book.queues:
                labels = [r.queue.partition("/")[0], r.queue, r.feed]
                rows.age.append((labels, now - r.newest_fact_at if r.newest_fact_at else None))
                rows.lag.append((labels, now - r.complete_through if r.complete_through else None))
        return rows
