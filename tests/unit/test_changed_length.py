"""Today on the day on which a queue's intervals become shorter or longer."""

import pytest
import sqlalchemy as sa

from muster.book.check import parse_book
from muster.book.copy import BookOwner
from muster.book.types import KINDS
from muster.kit.loop import Fact
from services.forecaster.domain.facts import Observed, Progress, ReportFact
from services.forecaster.domain.tally import Tally
from services.forecaster.fitting import fit_queues
from tests.support.forecaster import HELP, HOUR, NOON, Forecaster, forecaster_on
from tests.support.small_world import WEDNESDAY, book

TEN = WEDNESDAY + 10 * HOUR


def tell(forecaster: Forecaster, first: int, end: int, seconds: int, hourly: float) -> None:
    """Report so many contacts an hour in intervals of a length, and that all is told up to their end."""
    each = round(hourly * seconds / HOUR)
    counted = Tally(offered=each, answered=each, abandoned=0)
    reports = tuple(ReportFact(s, seconds, 1, counted) for s in range(first, end, seconds))
    volume = Fact(Observed(HELP, "live", False, (), reports), NOON, b"", "")
    word = Fact(Progress("acme", "live", (HELP,), end), NOON, b"", "")
    forecaster.database.run_here(lambda c: forecaster.work.streams.on_volume(c, [volume]))
    forecaster.database.run_here(lambda c: forecaster.work.streams.on_progress(c, [word]))
    forecaster.database.run_here(lambda c: forecaster.work.close(c, HELP, NOON))


@pytest.mark.parametrize("fitted_since", [False, True])
@pytest.mark.parametrize(("before", "since"), [(1800, 900), (900, 1800)])
def test_contacts_that_come_as_expected_move_nothing_when_intervals_change(
    engine: sa.Engine, before: int, since: int, fitted_since: bool
) -> None:
    small = book()
    for row in small["queues"]:
        row["interval_seconds"] = before
    forecaster = forecaster_on(engine, small)
    hourly = forecaster.today().offered[0] * HOUR / before
    tell(forecaster, TEN - 2 * HOUR, TEN, before, hourly)
    day = "2026-03-25"
    later = [row | {"interval_seconds": since, "valid_from": day} for row in small["queues"]]
    small["queues"] = [row | {"valid_until": day} for row in small["queues"]] + later
    with forecaster.database.engine.begin() as connection:
        BookOwner(forecaster.work.book, tuple(KINDS)).apply(connection, parse_book(small), False, 2)
    if fitted_since:
        request, fitting = {"client": "acme", "trigger": "BOOK"}, forecaster.work.fitting
        found = fit_queues(forecaster.database.run_here(lambda c: fitting.load_fit(c, request)), lambda told: None)
        forecaster.database.run_here(lambda c: fitting.save_fit(c, request, found))
    tell(forecaster, TEN, NOON, since, hourly)
    assert forecaster.today().seconds == (since if fitted_since else before)
    assert forecaster.today().day_factor == pytest.approx(1.0, abs=0.05)
