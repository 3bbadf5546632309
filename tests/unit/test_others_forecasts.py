"""Forecasts that others made: what is taken, what is refused, and what came held against what was locked."""

import dataclasses
import datetime as dt
import pathlib

import pytest
import sqlalchemy as sa

from muster.domain.tolerance import Tolerance
from muster.kit.errors import Refusal
from muster.kit.sql import Database, migrate
from muster.v1 import forecast_pb2
from services.forecaster.domain.comparing import compare
from services.forecaster.domain.facts import LockedDay, Received, Said
from services.forecaster.forecast_wire import check_grid, check_received, comparison_message, read_received
from services.forecaster.store import outlooks
from tests.unit.test_forecast import ZONE


def test_what_came_is_held_against_what_was_locked() -> None:
    starts = [int(dt.datetime(2026, 3, 2, h, tzinfo=dt.UTC).timestamp()) for h in (9, 10, 11)]
    client = Received("acme/help", "2026-03-02", "CLIENT", 1, 0, "ann", starts, [100.0, 100.0, 100.0], [])
    locked = LockedDay("acme/help", "2026-03-02", 5, "CLIENT", client.starts, client.offered, starts[0])
    came = {starts[0]: 115, starts[1]: 80}
    found = compare("2026-03-02", {"ENGINE": None, "CLIENT": client}, locked, came, 5, Tolerance(0.1, 0.15))
    assert found.outside == [True, True, False]
    assert not found.day_outside
    assert found.came == [115.0, 80.0, -1.0]
    assert found.engine == [-1.0, -1.0, -1.0]
    assert found.relieved == ["TARGET", "", ""]
    assert found.day_relieved == ""
    for relieves, each in (("COMMITMENT", ["", "COMMITMENT", ""]), ("BOTH", ["TARGET", "COMMITMENT", ""])):
        tolerance = Tolerance(0.1, 0.15, relieves)
        again = compare("2026-03-02", {"CLIENT": client}, locked, came, 5, tolerance)
        assert again.relieved == each
    surge = compare("2026-03-02", {}, locked, {starts[0]: 150, starts[1]: 90}, 5, Tolerance(0.1, 0.15))
    assert (surge.day_relieved, comparison_message(surge).day_relieved) == ("TARGET", "TARGET")
    later = dataclasses.replace(locked, since=starts[1])  # the first interval closed before there was a lock
    rush = {starts[0]: 150, starts[1]: 150}
    assert compare("2026-03-02", {}, later, rush, 5, Tolerance(0.1)).relieved == ["", "TARGET", ""]
    assert compare("2026-03-02", {}, later, {starts[0]: 150}, 5, Tolerance(0.1)).day_relieved == ""
    unlocked = compare("2026-03-02", {"CLIENT": client}, None, came, None, Tolerance())
    assert (unlocked.outside, unlocked.locked, unlocked.locked_source) == ([], [], "")


def received(**changes: object) -> forecast_pb2.ForecastReceived:
    told: dict[str, object] = {
        "queue": "acme/help",
        "source": forecast_pb2.FORECAST_SOURCE_CLIENT,
        "revision": 1,
        "starts_at_epoch_seconds": [1_772_409_600 + 1800, 1_772_409_600],
        "offered_count": [3.0, 2.0],
    }
    return forecast_pb2.ForecastReceived(**{**told, **changes})  # type: ignore[arg-type]


def test_a_received_forecast_is_sorted_and_split_by_local_day() -> None:
    said = read_received(received().SerializeToString(), {})
    assert (said.source, said.offered) == ("CLIENT", [2.0, 3.0])
    days = said.days("America/New_York", 7)
    assert [(d.local_date, d.offered) for d in days] == [("2026-03-01", [2.0, 3.0])]
    assert [d.local_date for d in said.days("Asia/Manila", 7)] == ["2026-03-02"]


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"queue": "help"}, "NO_QUEUE", "client/queue"),
        ({"source": forecast_pb2.FORECAST_SOURCE_ENGINE}, "INVALID_FORECAST", "CLIENT, AGREED"),
        ({"offered_count": [1.0]}, "INVALID_FORECAST", "as many"),
        ({"offered_count": [1.0, float("nan")]}, "INVALID_FORECAST", "nan"),
        ({"offered_count": [1.0, -2.0]}, "INVALID_FORECAST", "-2.0"),
        ({"aht_seconds": [0.0, 5.0]}, "INVALID_FORECAST", "above 0"),
        ({"starts_at_epoch_seconds": [900, 900]}, "INVALID_FORECAST", "twice"),
        ({"starts_at_epoch_seconds": [901, 1800]}, "INVALID_FORECAST", "quarter"),
        ({"revision": -1}, "INVALID_FORECAST", "revision is -1"),
        ({"starts_at_epoch_seconds": [1_784_541_600_000, 1_784_541_600_900]}, "INVALID_FORECAST", "in seconds"),
        ({"sent_by": "a\0b"}, "INVALID_FORECAST", "printable"),
    ],
)
def test_what_is_no_forecast_is_refused(changes: dict[str, object], reason: str, words: str) -> None:
    with pytest.raises(Refusal, match=words) as caught:
        check_received(received(**changes))
    assert caught.value.reason == reason


def day_plan(seconds: int, hours: tuple[float, ...] = (8, 12, 13.5, 18)) -> Said:
    """Return a day's plan in steps of so many seconds, of a morning and an afternoon."""
    begins = [1_772_409_600 + int(hour * 3600) for hour in hours]
    starts = [s for first, last in zip(begins[::2], begins[1::2], strict=True) for s in range(first, last, seconds)]
    return Said("acme/help", "CLIENT", 1, "ann", starts, [4.0] * len(starts), [])


@pytest.mark.parametrize(("told", "seconds"), [(1800, 900), (3600, 900), (3600, 1800)])
def test_a_plan_of_longer_intervals_than_the_queues_is_refused(told: int, seconds: int) -> None:
    with pytest.raises(
        Refusal, match=f"2026-03-02 is told in steps of {told} s, .* intervals of {seconds} s; send one value"
    ) as caught:
        check_grid(day_plan(told), seconds, ZONE)
    assert caught.value.reason == "MISALIGNED_INTERVAL"


def test_a_plan_of_the_queues_intervals_or_of_some_of_them_is_taken() -> None:
    for seconds in (900, 1800):
        check_grid(day_plan(seconds), seconds, ZONE)
    few = day_plan(1800, (9, 10.5))  # three corrected quarter-hours
    check_grid(few, 900, ZONE)
    scattered = [1_772_409_600 + int(hour * 3600) for hour in (8, 8.5, 10, 13.25, 16)]
    check_grid(few._replace(starts=scattered, offered=[4.0] * 5), 900, ZONE)
    with pytest.raises(Refusal, match="no start of an interval of 1800 s"):
        check_grid(day_plan(900), 1800, ZONE)


def test_one_coarse_day_among_fine_ones_is_refused() -> None:
    fine, coarse = day_plan(900), day_plan(1800)
    later = [s + 86_400 for s in coarse.starts]
    both = fine._replace(starts=fine.starts + later, offered=[4.0] * (len(fine.starts) + len(later)))
    with pytest.raises(Refusal, match="2026-03-03"):
        check_grid(both, 900, ZONE)


def test_messages_of_one_revision_add_up(engine: sa.Engine) -> None:
    def day(starts: list[int], offered: list[float]) -> Received:
        return Received("acme/help", "2026-03-02", "CLIENT", 1, 5, "ann", starts, offered, [])

    migrate(engine, pathlib.Path("services/forecaster/store/migrations"))
    database = Database(engine)
    database.run_here(lambda c: outlooks.save_received(c, [day([900, 1800], [1.0, 2.0])]))
    database.run_here(lambda c: outlooks.save_received(c, [day([1800, 2700], [9.0, 3.0])]))
    found = database.read_here(lambda c: outlooks.received(c, "acme/help", "2026-03-02", "CLIENT"))
    assert found is not None
    assert (found.starts, found.offered) == ([900, 1800, 2700], [1.0, 2.0, 3.0])
    assert database.read_here(lambda c: outlooks.received(c, "acme/help", "2026-03-02", "CLIENT", by=4)) is None
