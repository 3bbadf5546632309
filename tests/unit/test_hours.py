"""Opening hours that changed: what was not open then is no zero, and what is open now was always so."""

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from muster.book.check import parse_book
from muster.book.copy import BookOwner
from muster.book.types import KINDS
from muster.domain.calendar import DAY
from muster.kit.loop import Fact
from services.forecaster.domain.facts import Observed, Progress, ReportFact
from services.forecaster.domain.queue_forecast import QueueForecast
from services.forecaster.domain.tally import Tally
from services.forecaster.fitting import fit_queues
from tests.support.forecaster import HALF_HOUR, HELP, NOON, Forecaster, forecaster_on
from tests.support.small_world import HOUR, WEDNESDAY, book

WEEKDAYS = ["mon", "tue", "wed", "thu", "fri"]
SHORT = [{"days": WEEKDAYS, "opens": "08:00", "closes": "18:00"}]
LONG = [{"days": [*WEEKDAYS, "sat"], "opens": "08:00", "closes": "20:00"}]


def dated(changes_on: str) -> dict[str, Any]:
    """Return the small book, whose queues are open for longer from a day on, nothing declared of their volume."""
    data = book()
    plain = [{k: v for k, v in queue.items() if k != "cold_start"} for queue in data["queues"]]
    data["queues"] = [{**q, "service_hours": SHORT, "valid_until": changes_on} for q in plain]
    data["queues"] += [{**q, "service_hours": LONG, "valid_from": changes_on} for q in plain]
    return data


def tell(forecaster: Forecaster, first: int, end: int, hours: range) -> None:
    """Report 30 contacts for each half-hour of some hours (London in winter: UTC) of Mondays to Fridays."""
    moments = [dt.datetime.fromtimestamp(s, dt.UTC) for s in range(first, end, HALF_HOUR)]
    starts = [int(m.timestamp()) for m in moments if m.hour in hours and m.weekday() < 5]
    tally = Tally(offered=30, answered=30, abandoned=0, handled=30, handle_ms=30 * 240_000)
    volume = Observed(HELP, "live", False, (), tuple(ReportFact(s, HALF_HOUR, 1, tally) for s in starts))
    streams, work = forecaster.work.streams, forecaster.work
    forecaster.database.run_here(lambda c: streams.on_volume(c, [Fact(volume, NOON, b"", "")]))
    word = Progress("acme", "live", (HELP,), end)
    forecaster.database.run_here(lambda c: streams.on_progress(c, [Fact(word, NOON, b"", "")]))
    forecaster.database.run_here(lambda c: work.close(c, HELP, NOON))


def fitted(forecaster: Forecaster) -> QueueForecast:
    request = {"client": "acme", "trigger": "NIGHTLY"}
    found = fit_queues(forecaster.database.run_here(lambda c: forecaster.work.fitting.load_fit(c, request)), lambda told: None)
    return next(f for f in found if f.queue == HELP)


def test_hours_that_were_added_are_no_zeros_of_the_past(engine: sa.Engine) -> None:
    forecaster = forecaster_on(engine)
    with engine.begin() as connection:
        BookOwner(forecaster.work.book, tuple(KINDS)).apply(connection, parse_book(dated("2026-03-24")), False, 2)
    tell(forecaster, WEDNESDAY - 43 * DAY, WEDNESDAY - DAY, range(8, 18))
    tell(forecaster, WEDNESDAY - DAY, WEDNESDAY, range(8, 20))
    found = fitted(forecaster)
    thursday, saturday = found.days[1], found.days[3]
    assert found.rests_on == "31 days of history"  # Mondays to Fridays, and no Saturday before the first
    assert thursday.offered == pytest.approx([30.0] * 24, rel=0.05)  # one evening was seen: it always was so
    assert saturday.offered == pytest.approx([30.0] * 24, rel=0.05)  # not seen yet: as other days are
    assert saturday.starts[0] == WEDNESDAY + 3 * DAY + 8 * HOUR
