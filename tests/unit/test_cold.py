"""A queue without history rests on what is declared, says on what, and its bands hold while it learns."""

import datetime as dt
import functools
import pathlib
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from muster.book import demand
from muster.book.check import check_book, parse_book
from muster.book.copy import BookCopy, BookOwner
from muster.book.types import KINDS
from muster.domain.calendar import Opening, OpeningHours, dates, day_bounds, slot_of
from muster.kit.clock import ConductedClock
from muster.kit.due import DueWork
from muster.kit.errors import Refusal
from muster.kit.sql import Database, migrate
from services.forecaster.domain.cold import Halves, Profile, counted_out, still_quiet, vertical_profile
from services.forecaster.domain.facts import PublishedDay
from services.forecaster.domain.forecast import forecast_queue
from services.forecaster.domain.queue_forecast import QueueFacts
from services.forecaster.domain.verticals import VERTICALS, quiet_share, unknown
from services.forecaster.gathering import Gathering
from services.forecaster.settings import ForecasterSettings
from services.forecaster.store import forecasts
from services.forecaster.store.tables import metadata
from services.forecaster.streams import Streams
from services.forecaster.wire import published_message
from services.forecaster.work import Work
from tests.support.small_world import book as small_book

FIRST, ZONE, SECONDS = dt.date(2026, 3, 2), "Europe/London", 1800
ALL_HOURS = OpeningHours((Opening(frozenset(range(7)), 0, 0),))
EVEN = np.ones((7, 48))


def test_the_book_knows_the_verticals_by_name_and_no_other() -> None:
    assert tuple(sorted(VERTICALS)) == demand.VERTICALS
    data = small_book()
    data["queues"][0]["cold_start"]["vertical"] = "PIZZA"
    with pytest.raises(Refusal) as caught:
        parse_book(data)
    assert any("BANKING" in str(v) for v in caught.value.violations)


def test_an_unknown_shape_is_refused_once() -> None:
    data = small_book()
    data["queues"][0]["cold_start"]["shape"] = "acme/nothing"
    with pytest.raises(Refusal) as caught:
        check_book(parse_book(data))
    assert [v.field for v in caught.value.violations] == ["queues[0].cold_start.shape"]


@pytest.mark.parametrize("name", sorted(VERTICALS))
def test_a_vertical_is_a_week_of_any_interval_length(name: str) -> None:
    half, quarter = (VERTICALS[name].shape(seconds) for seconds in (1800, 900))
    assert half.mean() == pytest.approx(1)
    assert (half > 0).all()
    assert quarter.reshape(7, 48, 2).mean(axis=2) == pytest.approx(half, rel=0.02)
    assert half[0].sum() == half.sum(axis=1).max()  # Mondays first


def test_an_even_spread_knows_less_than_a_vertical_and_less_around_the_clock() -> None:
    whole, desk = np.ones((7, 48), bool), np.zeros((7, 48), bool)
    desk[:5, 18:34] = True
    for opened in (whole, desk):
        assert unknown(EVEN, SECONDS, opened) > unknown(VERTICALS["TELECOM"].shape(SECONDS), SECONDS, opened) > 0
    assert unknown(EVEN, SECONDS, whole) > 3 * unknown(EVEN, SECONDS, desk)
    assert quiet_share(SECONDS, whole) > quiet_share(SECONDS, desk)
    assert unknown(EVEN, SECONDS, ~whole) == quiet_share(SECONDS, ~whole) == 0


def test_a_slot_in_which_something_came_is_no_quiet_one_and_one_without_becomes_it() -> None:
    offered, weekdays = np.full((3, 48), 0.0), np.array([0, 1, 2])
    offered[1, 20] = 4
    found = still_quiet(0.3, 10 * EVEN, 1.0, offered, weekdays)
    assert found[0, 20] == 0
    assert found[0, 5] > 0.95
    assert found[5, 20] == pytest.approx(0.3)  # of a weekday not seen yet nothing is known
    assert still_quiet(0.3, 0.01 * EVEN, 1.0, offered, weekdays)[0, 5] < 0.35  # where hardly anything was due, none says little


def test_counts_vary_as_the_mixture_they_are_drawn_from() -> None:
    luck, size = np.random.default_rng(4), 200_000
    halves = Halves(np.array([4.0]), 0.2, np.array([30.0]), 0.8, 0.6)
    own = luck.random(size) < 0.6
    drawn = luck.poisson(np.where(own, 4 * luck.gamma(5, 0.2, size), 30 * luck.gamma(1.25, 0.8, size)))
    assert halves.mean()[0] == pytest.approx(drawn.mean(), rel=0.02)
    assert halves.mean()[0] * (1 + halves.dispersion()[0] * halves.mean()[0]) == pytest.approx(drawn.var(), rel=0.03)
    quiet = np.where(luck.random(size) < 0.25, 0, luck.negative_binomial(1 / 0.5, (1 / 0.5) / (1 / 0.5 + 20 / 0.75), size))
    wide = counted_out(np.array([20.0]), np.array([quiet.var() / 400 - 1 / 20]), np.array([0.25]))[0]
    assert wide == pytest.approx(np.quantile(quiet, [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975]), abs=2)
    assert counted_out(np.zeros(1), np.ones(1), np.ones(1)).tolist() == [[0.0] * 7]


def lived(shape: np.ndarray, seed: int) -> dict[int, tuple[int, int, int]]:
    """Return two weeks of a queue that differs from a shape as queues do: slot by slot and day by day."""
    luck, cells = np.random.default_rng(seed), {}
    own = shape * luck.gamma(8, 1 / 8, (1, 48)) * luck.gamma(30, 1 / 30, (7, 1))
    for day in dates(FIRST, FIRST + dt.timedelta(days=13)):
        of_day = luck.gamma(30, 1 / 30)
        for start in ALL_HOURS.open_starts(day, ZONE, SECONDS):
            n = int(luck.poisson(20 * own[day.weekday(), slot_of(start, ZONE, SECONDS)] * of_day))
            cells[start] = (n, n, n * 300_000)
    return cells


@pytest.mark.parametrize("profile", [Profile(), vertical_profile("RETAIL", SECONDS)], ids=["even", "vertical"])
def test_bands_hold_in_the_first_two_weeks_whatever_is_declared(profile: Profile) -> None:
    inside, counted, wrong = np.zeros(2), np.zeros(2), np.zeros(2)
    for seed, vertical in enumerate(("RETAIL", "BANKING", "TRAVEL")):
        cells = lived(VERTICALS[vertical].shape(SECONDS), seed)
        weekly = sum(n for n, _, _ in cells.values()) / 2 * (0.8, 1.2, 1.0)[seed]
        for n in range(14):
            day = FIRST + dt.timedelta(days=n)
            known: dict[int, Any] = {s: c for s, c in cells.items() if s < day_bounds(day, ZONE)[0]}
            found = forecast_queue(QueueFacts("a/b", ZONE, SECONDS, ALL_HOURS, known, weekly, 300.0, profile=profile), day, 1)
            assert found is not None
            came = np.array([cells[s][0] for s in found.days[0].starts])
            wide = found.days[0].offered_quantiles
            inside[n // 7] += ((wide[:, 1] <= came) & (came <= wide[:, 5])).sum()
            counted[n // 7] += came.size
            wrong += (abs(found.days[0].offered - came).sum(), abs(weekly / 336 - came).sum())
    assert (inside / counted >= 0.75).all()
    assert wrong[0] < wrong[1]


@pytest.fixture
def work(engine: sa.Engine) -> tuple[Work, Database]:
    migrate(engine, pathlib.Path("services/forecaster/store/migrations"))
    book, clock, database = BookCopy(metadata), ConductedClock(day_bounds(FIRST, ZONE)[0]), Database(engine)
    due = DueWork(database, metadata, clock, runs_itself=False)
    data = small_book()
    data["queues"][1]["cold_start"] |= {"shape": "acme/help", "vertical": "TELECOM"}
    with engine.begin() as connection:
        BookOwner(book, tuple(KINDS)).apply(connection, parse_book(data), False, 1)
    settings = ForecasterSettings()  # type: ignore[call-arg]
    gathering = Gathering(settings, book, clock)
    streams = Streams(book, due, clock)
    return Work(settings, book, streams, due, None, None, clock, gathering), database  # type: ignore[arg-type]  # unused


def keep(day: PublishedDay, connection: sa.Connection) -> None:
    forecasts.save_day(connection, day, published_message(day).value)


def test_a_siblings_shape_comes_before_a_vertical_and_words_say_which_it_is(work: tuple[Work, Database]) -> None:
    forecaster, database = work

    def profiles() -> dict[str, Profile]:
        loaded = database.run_here(lambda c: forecaster.fitting.load_fit(c, {"client": "acme"}))
        return {facts.queue: facts.profile for facts, _ in loaded["queues"]}

    before = profiles()
    assert before["acme/help"].words == "spread evenly"
    assert before["acme/sales"].words == "shaped as TELECOM (declared, not measured)"
    for history, measured in ((3, False), (40, True)):
        for n in range(1, 8):
            day = FIRST + dt.timedelta(days=n)
            starts = list(range(day_bounds(day, ZONE)[0] + 8 * 3600, day_bounds(day, ZONE)[0] + 20 * 3600, SECONDS))
            offered = [float(k) for k in range(len(starts))]
            size, wide = len(starts), [[0.0] * 7] * len(starts)
            forecast = PublishedDay(
                "acme/help", day.isoformat(), SECONDS, starts, [history] * size, offered, [300.0] * size, wide, wide,
                "NIGHTLY", "", history, 0.1, 0, 0, history,
            )  # fmt: skip
            database.run_here(functools.partial(keep, forecast))
        after = profiles()["acme/sales"]
        assert after.words == f"shaped as acme/help ({history} days of history)"
        assert after.measured == measured
        assert after.shape is not None
        assert after.shape[2, 39] == 23
    found = forecast_queue(QueueFacts("acme/sales", ZONE, SECONDS, ALL_HOURS, {}, 700.0, 240.0, profile=after), FIRST, 7)
    assert found is not None
    assert found.rests_on == "declared profile, shaped as acme/help (40 days of history), no history"


def test_where_one_slot_is_open_its_shape_can_not_be_wrong() -> None:
    hours = OpeningHours((Opening(frozenset({0}), 9 * 3600, 9 * 3600 + SECONDS),))
    found = forecast_queue(QueueFacts("a/b", ZONE, SECONDS, hours, {}, 20.0, 300.0), FIRST, 7)
    assert found is not None
    assert sum(d.offered.sum() for d in found.days) == pytest.approx(20.0)
    assert all(np.isfinite(d.offered_quantiles).all() and np.isfinite(d.workload_quantiles).all() for d in found.days)


@pytest.mark.parametrize("days", [0, 1, 5, 9, 13])
def test_a_right_declaration_stays_right_while_days_come_in(days: int) -> None:
    since = FIRST - dt.timedelta(days=days)
    cells = {
        s: (10, 10, 3_000_000) for n in range(days) for s in ALL_HOURS.open_starts(since + dt.timedelta(days=n), "UTC", SECONDS)
    }
    found = forecast_queue(QueueFacts("a/b", "UTC", SECONDS, ALL_HOURS, cells, 3360.0, 300.0), FIRST, 7)
    assert found is not None
    assert sum(d.offered.sum() for d in found.days) == pytest.approx(3360.0, rel=0.01)
