"""A holiday or part day takes its shape from earlier days of its kind, own and other queues', pulled to a normal day's."""

import dataclasses
import datetime as dt
import pathlib

import numpy as np
import pytest
import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp

from muster.book.check import parse_book
from muster.book.copy import BookCopy, BookOwner
from muster.book.types import KINDS
from muster.domain.calendar import Opening, OpeningHours, dates, day_bounds
from muster.kit.clock import ConductedClock
from muster.kit.due import DueWork
from muster.kit.loop import Fact
from muster.kit.sql import Database, migrate
from muster.v1 import volume_pb2
from services.forecaster.domain.forecast import forecast_client
from services.forecaster.domain.part_days import SLOT_WORTH, Floats, PartDay, earlier_dates, kind_of, shaped
from services.forecaster.domain.queue_forecast import QueueFacts
from services.forecaster.gathering import Gathering
from services.forecaster.settings import ForecasterSettings
from services.forecaster.store import closing
from services.forecaster.store.tables import metadata
from services.forecaster.streams import Streams
from services.forecaster.volume_wire import read_observed
from services.forecaster.work import Work
from tests.support.small_world import book as small_book

ZONE, SECONDS = "Europe/London", 1800
ALL_DAY, SHORT = Opening(frozenset(range(7)), 8 * 3600, 18 * 3600), (Opening(frozenset(range(7)), 8 * 3600, 13 * 3600),)
EVE, FIRST = dt.date(2026, 12, 24), dt.date(2026, 12, 20)
EARLY: Floats = np.array([10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]) / 55  # everyone calls first thing
SLOTS = np.arange(10)
KEY = ("12-24", ((8 * 3600, 13 * 3600),))


def lived(counts: Floats, kind: str = "12-24", closes: int = 13, usual: Floats | None = None) -> PartDay:
    hours = ((8 * 3600, closes * 3600),)
    return PartDay(dt.date(2025, 12, 24), kind, hours, counts, np.full(10, 0.1) if usual is None else usual)


def test_a_days_kind_is_its_holiday_by_name_or_its_date() -> None:
    hours = OpeningHours((ALL_DAY,), ("GB",))
    assert kind_of(hours, dt.date(2026, 4, 3)) == "Good Friday"
    assert earlier_dates(hours, dt.date(2026, 4, 3)) == [dt.date(2024, 3, 29), dt.date(2025, 4, 18)]
    assert kind_of(hours, EVE) == "12-24"
    assert earlier_dates(hours, EVE) == [dt.date(2024, 12, 24), dt.date(2025, 12, 24)]
    assert earlier_dates(OpeningHours((ALL_DAY,)), dt.date(2028, 2, 29)) == []


def test_the_total_stays_and_much_that_was_seen_outweighs_a_normal_days_shape() -> None:
    normal = np.full(10, 20.0)
    assert shaped(normal, SLOTS, KEY, [], []) == pytest.approx(normal)
    found = shaped(normal, SLOTS, KEY, [lived(5000 * EARLY)], [])
    assert found.sum() == pytest.approx(200)
    assert found == pytest.approx(200 * EARLY, abs=1.0)
    little = shaped(normal, SLOTS, KEY, [lived(50 * EARLY)], [])
    worth = SLOT_WORTH * 10
    assert little == pytest.approx(200 * (50 * EARLY + worth / 10) / (50 + worth))


def test_other_kinds_say_nothing_and_the_same_hours_half() -> None:
    normal = np.full(10, 20.0)
    assert shaped(normal, SLOTS, KEY, [lived(5000 * EARLY, "Good Friday", 12)], []) == pytest.approx(normal)
    half = shaped(normal, SLOTS, KEY, [lived(100 * EARLY, "12-31")], [])
    assert half == pytest.approx(shaped(normal, SLOTS, KEY, [lived(50 * EARLY)], []))


def test_other_queues_tell_how_the_day_differs_not_what_a_queue_is_like() -> None:
    late = EARLY[::-1]
    differs = late * np.linspace(1.5, 0.5, 10)  # a queue of the afternoon, on whose part day the morning gains
    found = shaped(np.full(10, 20.0), SLOTS, KEY, [], [lived(50_000 * differs / differs.sum(), usual=late)])
    assert found / 20.0 == pytest.approx(np.linspace(1.5, 0.5, 10) / np.linspace(1.5, 0.5, 10).mean(), rel=0.15)
    assert shaped(np.zeros(10), SLOTS, KEY, [], [lived(5000 * EARLY)]) == pytest.approx(np.zeros(10))


def facts(name: str, level: int, earlier: dict[dt.date, dict[int, float]]) -> QueueFacts:
    hours = OpeningHours((ALL_DAY,), special=((EVE, SHORT), (dt.date(2025, 12, 24), SHORT)))
    cells = {
        start: (level, level, level * 300_000)
        for day in dates(FIRST - dt.timedelta(days=56), FIRST - dt.timedelta(days=1))
        for start in hours.open_starts(day, ZONE, SECONDS)
    }
    return QueueFacts(name, ZONE, SECONDS, hours, cells, earlier=earlier)


def test_last_years_eve_shapes_this_years_own_and_a_siblings() -> None:
    seen = {dt.date(2025, 12, 24): {16 + slot: 3000 * share for slot, share in enumerate(EARLY)}}
    both = forecast_client([(facts("a/own", 40, seen), FIRST), (facts("a/other", 40, {}), FIRST)], 7)
    alone = forecast_client([(facts("a/other", 40, {}), FIRST)], 7)
    eve = FIRST.toordinal() - EVE.toordinal()
    own, other, without = (f.days[-eve].offered for f in (both[0], both[1], alone[0]))
    assert len(own) == 10
    assert own.sum() == pytest.approx(without.sum(), rel=0.01)
    assert without[0] / without[9] == pytest.approx(1.0, abs=0.05)
    assert own[0] / own[9] > 5
    assert 3 < other[0] / other[9] <= own[0] / own[9] + 1
    assert both[0].days[0].offered == pytest.approx(alone[0].days[0].offered, rel=0.01)  # a normal day knows nothing of it


def test_hours_that_are_never_open_otherwise_have_a_band_too() -> None:
    early = (Opening(frozenset(range(7)), 6 * 3600, 12 * 3600),)
    usual = facts("a/own", 40, {dt.date(2025, 12, 24): {12 + slot: 30.0 for slot in range(12)}})
    hours = dataclasses.replace(usual.hours, special=((EVE, early), (dt.date(2025, 12, 24), early)))
    found = forecast_client([(dataclasses.replace(usual, hours=hours), FIRST)], 7)[0]
    eve = next(day for day in found.days if day.day == EVE)
    assert (eve.offered > 1).all()
    assert (eve.offered_quantiles[:, 1] < eve.offered).all()
    assert (eve.offered_quantiles[:, 5] > eve.offered).all()
    assert (eve.offered_quantiles[:, 6] < 4 * eve.offered + 10).all()
    assert (eve.workload_quantiles[:, 6] > 0).all()


def test_a_fit_reads_part_days_of_earlier_years_from_stored_volume(engine: sa.Engine) -> None:
    migrate(engine, pathlib.Path("services/forecaster/store/migrations"))
    now = day_bounds(FIRST, ZONE)[0] + 7200
    book, clock = BookCopy(metadata), ConductedClock(now)
    due = DueWork(Database(engine), metadata, clock, runs_itself=False)
    streams = Streams(book, due, clock)
    data = small_book()
    short = [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "opens": "08:00", "closes": "13:00"}]
    data["queues"][0]["holidays"] = {"dates": [{"date": d, "hours": short} for d in ("2025-12-24", "2026-12-24")]}
    told = volume_pb2.VolumeObserved(queue="acme/help", feed="live")
    for year, day in ((2025, 24), (2025, 23), (2024, 24)):  # of 2024's the book says nothing
        begin = day_bounds(dt.date(year, 12, day), ZONE)[0] + 8 * 3600
        for slot in range(10):
            told.reports.add(
                starts_at=Timestamp(seconds=begin + slot * 1800),
                interval_seconds=1800,
                revision=1,
                offered_count=100 - 9 * slot,
            )
    settings = ForecasterSettings()  # type: ignore[call-arg]
    gathering = Gathering(settings, book, clock)
    work = Work(settings, book, streams, due, None, None, clock, gathering)  # type: ignore[arg-type]  # neither is used
    with engine.begin() as connection:
        BookOwner(book, tuple(KINDS)).apply(connection, parse_book(data), False, 1)
        assert streams.on_volume(connection, [Fact(read_observed(told.SerializeToString(), {}), now, b"", "")]).refused == []
        closing.save_closed_through(connection, "acme/help", now)
        loaded = {facts.queue: facts for facts, _ in work.fitting.load_fit(connection, {"client": "acme"})["queues"]}
    assert loaded["acme/help"].earlier == {dt.date(2025, 12, 24): {16 + slot: 100.0 - 9 * slot for slot in range(10)}}
    assert loaded["acme/sales"].earlier == {}
