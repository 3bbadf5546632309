"""Workload is contacts × AHT, with a band of its own that holds as often as it says, moves with overrides, and narrows with the day."""

import dataclasses
import datetime as dt

import numpy as np
import pytest

from services.forecaster import wire
from services.forecaster.domain.engine.handle_time import learn_handle_time
from services.forecaster.domain.engine.intraday import Drift
from services.forecaster.domain.engine.mean import expected_contacts
from services.forecaster.domain.engine.panel import Floats, Panel
from services.forecaster.domain.engine.spread import learn_spread, work_quantiles_of
from services.forecaster.domain.engine.workload import Handling, handling, product_band
from services.forecaster.domain.facts import PublishedDay, merge_days
from services.forecaster.domain.forecast import forecast_queue
from services.forecaster.domain.overriding import Rule, overridden, without_overrides
from services.forecaster.domain.queue_forecast import QueueForecast
from services.forecaster.domain.today import update_day
from services.forecaster.handlers.forecasting import published_days
from tests.unit.test_forecast import FIRST, SECONDS, facts

SLOTS, PAST = 24, 84


def lived(days: int, varies: float, seed: int = 3) -> tuple[Floats, Floats]:
    """Return contacts and seconds of handling (2, D, S): handle times of a variation, and days whose contacts and AHT differ."""
    luck = np.random.default_rng(seed)
    shape = 20 * (0.5 + np.sin((np.arange(SLOTS) + 1) / 25 * np.pi))
    offered = luck.poisson(shape * luck.gamma(50, 1 / 50, (2, days, 1))).astype(float)
    each = luck.gamma(np.maximum(offered, 1e-9) / varies, varies) * 300
    return offered, np.where(offered > 0, each, 0.0) * luck.gamma(400, 1 / 400, (2, days, 1))


def how_it_went(offered: Floats, seconds: Floats, days: int) -> Handling:
    weekdays, ago = np.arange(days) % 7, np.arange(days, 0, -1) / 7
    learnt = [learn_handle_time(n, s, weekdays, ago) for n, s in zip(offered, seconds, strict=True)]
    return handling(offered, seconds, weekdays, learnt)


@pytest.mark.parametrize("varies", [0.3, 1.5])
def test_the_band_of_workload_holds_as_often_as_it_says(varies: float) -> None:
    days = PAST + 140
    offered, seconds = lived(days, varies)
    dates, inside, wide, count = np.datetime64("2026-01-05") + np.arange(days), 0, 0, 0
    for origin in range(PAST, days - 7, 7):
        panel = Panel(offered[:, :origin], dates[: origin + 7], np.zeros((2, origin + 7), np.int64))
        mean = expected_contacts(panel)
        spread = learn_spread(panel, how_it_went(offered[:, :origin], seconds[:, :origin], origin))
        work = work_quantiles_of(mean, spread)[0] * 300
        came = seconds[:, origin : origin + 7]
        inside += int(((work[..., 1] <= came) & (came <= work[..., 5])).sum())
        wide += int(((work[..., 0] <= came) & (came <= work[..., 6])).sum())
        count += came.size
    assert 0.76 <= inside / count <= 0.84
    assert 0.93 <= wide / count <= 0.97


@pytest.mark.parametrize("varies", [0.3, 1.5])
def test_how_much_handle_times_vary_is_read_from_means_of_intervals(varies: float) -> None:
    offered, seconds = lived(PAST, varies)
    assert how_it_went(offered, seconds, PAST).compound == pytest.approx([1 + varies] * 2, rel=0.12)


def test_without_a_past_relative_errors_of_contacts_and_aht_add_in_squares() -> None:
    contacts = np.array([[40.0, 70.0, 85.0, 100.0, 115.0, 130.0, 190.0]])
    seconds = np.array([[240.0, 276.0, 288.0, 300.0, 312.0, 324.0, 450.0]])
    wide = product_band(np.array([100.0]), contacts, np.array([300.0]), seconds)[0]
    assert wide[3] == pytest.approx(100 * 300 / 3600)
    assert wide[5] / wide[3] == pytest.approx(1 + np.hypot(0.3, 0.08))
    assert wide[1] / wide[3] == pytest.approx(1 - np.hypot(0.3, 0.08))
    assert (np.diff(wide) >= 0).all()
    assert product_band(np.zeros(1), np.zeros((1, 7)), np.array([300.0]), seconds).tolist() == [[0.0] * 7]


def fitted(days: int = 56, **declared: object) -> QueueForecast:
    found = forecast_queue(facts(days, **declared), FIRST, 7)  # type: ignore[arg-type]  # as facts takes them
    assert found is not None
    return found


def published(forecast: QueueForecast) -> PublishedDay:
    return published_days(forecast, SECONDS, 1, "NIGHTLY", 0, 0)[0]


def test_a_fit_tells_workload_by_interval_and_day_around_contacts_times_aht() -> None:
    day = fitted().days[0]
    work = day.offered * day.aht / 3600
    assert day.workload_quantiles.shape == (len(day.starts), 7)
    assert day.workload_quantiles[:, 3] == pytest.approx(work, rel=0.1)
    low, high = day.work_total_quantiles[1], day.work_total_quantiles[5]
    assert low < work.sum() < high
    assert high - low < (day.workload_quantiles[:, 5] - day.workload_quantiles[:, 1]).sum()
    cold = fitted(0, weekly_offered=1680.0, declared_aht=240.0).days[0]
    assert (cold.workload_quantiles[:, 5] > cold.offered * 240 / 3600).all()
    assert cold.work_total_quantiles == ()


def test_workload_moves_with_overrides_of_either_and_comes_back() -> None:
    day = published(fitted())
    rules = [Rule(0, f"acme/{on}", on, "MULTIPLY", 1.5, 0, 2**40, f"acme/{on}: x") for on in (True, False)]
    moved = overridden(day, rules)
    assert moved.workload_quantiles[3] == pytest.approx([q * 2.25 for q in day.workload_quantiles[3]], rel=1e-4)
    assert moved.work_total_quantiles == pytest.approx([q * 2.25 for q in day.work_total_quantiles], rel=1e-4)
    again = without_overrides(moved)
    assert again.workload_quantiles[3] == pytest.approx(day.workload_quantiles[3], rel=1e-4)


def test_where_nothing_was_expected_an_override_brings_workload_with_a_band() -> None:
    nothing = PublishedDay(
        "a/b", "2026-03-02", 1800, [0], [1], [0.0], [300.0], [[0.0] * 7], [[300.0] * 7], "NIGHTLY", "", 1, 0, 0, 0, 1
    )
    moved = overridden(nothing, [Rule(0, "a/x", True, "SET", 12.0, 0, 1800, "a/x: x")])
    assert moved.workload_quantiles[0][1] < 1.0 < moved.workload_quantiles[0][5]


def test_today_narrows_workload_only_by_what_it_knows_of_contacts() -> None:
    today = dataclasses.replace(fitted().days[0], drift=Drift(0.04, 0.01, 0.9, 0.02))
    actual = {start: float(n) for start, n in zip(today.starts[:12], today.offered[:12], strict=True)}
    rest, _ = update_day(today, actual, today.starts[12], SECONDS)  # type: ignore[arg-type]
    before, after = (np.array(q)[:, 5] - np.array(q)[:, 1] for q in (today.workload_quantiles[12:], rest.workload_quantiles))
    of_contacts = (rest.offered_quantiles[:, 5] - rest.offered_quantiles[:, 1]) / (
        today.offered_quantiles[12:, 5] - today.offered_quantiles[12:, 1]
    )
    assert (after < before).all()
    assert (after / before > of_contacts - 1e-9).all()


def test_a_day_of_an_earlier_version_has_its_band_made_up_and_merges() -> None:
    day = published(fitted())
    old = wire.read_day(wire.published_message(day).value)
    assert old.workload_quantiles == day.workload_quantiles
    assert old.work_total_quantiles == pytest.approx(day.work_total_quantiles)
    body = {**vars(day)}
    for name in ("workload_quantiles", "work_total_quantiles"):
        del body[name]
    stored = PublishedDay(**body)
    assert len(stored.workload_band()) == len(day.starts)
    rest = PublishedDay(**{**vars(day), "trigger": "INTRADAY", "version": 2, "versions": [2] * len(day.starts)})
    merged = merge_days(stored, rest)
    assert merged.workload_quantiles == day.workload_quantiles
    assert dt.date.fromisoformat(merged.local_date) == FIRST
