"""Hours of a day that stand out by far: found, filled in after the rest of their day, named, and counted where people say so."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from muster.domain.calendar import slot_of
from services.forecaster.domain.engine.mean import expected_contacts
from services.forecaster.domain.engine.panel import LEARNED, Floats, Panel, days_of
from services.forecaster.domain.forecast import forecast_queue
from services.forecaster.domain.queue_forecast import QueueFacts, QueueForecast
from services.forecaster.forecast_rpc import ForecastEdge
from services.forecaster.store import outlooks
from tests.support.steady_queue import HOURS, MONDAY, cells

DAYS, AHEAD, SLOTS = 56, 7, 48
TUESDAY = 50  # of the last week
HIT = slice(20, 26)


def flat(series: int = 1, mean: float = 20.0, seed: int = 3) -> Floats:
    return np.random.default_rng(seed).poisson(mean, (series, DAYS, SLOTS)).astype(float)


def panel_of(offered: Floats) -> Panel:
    dates = np.datetime64("2026-01-05") + np.arange(DAYS + AHEAD)
    return Panel(offered, dates, np.zeros((len(offered), DAYS + AHEAD), np.int64))


def hit(offered: Floats, days: Sequence[int], came: float, slots: slice = HIT) -> Floats:
    changed = offered.copy()
    changed[0, list(days), slots] = came
    return changed


@pytest.mark.parametrize("came", [200.0, 0.0])
def test_three_hours_of_a_spike_or_of_an_outage_do_not_come_again_a_week_later(came: float) -> None:
    plain, found = flat(2), expected_contacts(panel_of(hit(flat(2), [TUESDAY], came)))
    usual = expected_contacts(panel_of(plain))
    ratio = (found / usual)[0, TUESDAY % 7]
    assert ratio[HIT] == pytest.approx(1.0, abs=0.06)
    assert (found.sum(axis=2) / usual.sum(axis=2)) == pytest.approx(1.0, abs=0.01)


def test_hours_are_filled_in_after_the_rest_of_their_day() -> None:
    busy = flat()
    busy[0, TUESDAY] *= 1.5
    days = days_of(panel_of(hit(busy, [TUESDAY], 0.0)))
    assert np.flatnonzero(days.hours[0, TUESDAY]).tolist() == list(range(HIT.start, HIT.stop))
    assert days.hours.sum() == HIT.stop - HIT.start
    assert days.counted.all()
    assert days.counts[0, TUESDAY, HIT].mean() == pytest.approx(30, rel=0.1)


def test_an_interval_that_is_hit_in_part_belongs_to_the_incident() -> None:
    partly = hit(hit(flat(), [TUESDAY], 0.0), [TUESDAY], 6.0, slice(26, 27))
    assert np.flatnonzero(days_of(panel_of(partly)).hours[0, TUESDAY]).tolist() == list(range(HIT.start, 27))


def test_a_day_of_which_the_greater_part_was_an_outage_is_left_out() -> None:
    days = days_of(panel_of(hit(flat(), [TUESDAY], 0.0, slice(0, 30))))
    assert days.total[0].min() == 0
    assert not days.hours.any()
    assert np.flatnonzero(days.incidents[0]).tolist() == [TUESDAY]


def test_what_chance_a_busy_day_or_one_interval_does_is_no_incident() -> None:
    many = np.random.default_rng(5)
    level = np.exp(many.normal(1, 1.5, (200, 1, 1))) * many.gamma(10, 0.1, (200, DAYS, 1))
    assert not days_of(panel_of(many.poisson(level * np.ones(SLOTS)).astype(float))).hours.any()
    busy = flat()
    busy[0, TUESDAY] *= 3.8
    for offered in (busy, hit(flat(), [TUESDAY], 200.0, slice(20, 21)), hit(flat(mean=2.0), [TUESDAY], 0.0)):
        assert not days_of(panel_of(offered)).hours.any()


def test_the_same_hours_on_three_days_on_end_are_a_new_form_of_the_day() -> None:
    assert not days_of(panel_of(hit(flat(), [50, 51, 52], 200.0))).hours.any()
    assert days_of(panel_of(hit(flat(), [50, 51], 200.0))).hours.any(axis=2).sum() == 2
    assert days_of(panel_of(hit(flat(), [48, 50, 52], 200.0))).hours.any(axis=2).sum() == 3


def test_hours_not_observed_are_no_outage_and_a_young_weekday_has_none() -> None:
    assert not days_of(panel_of(hit(flat(), [TUESDAY], np.nan))).hours.any()
    spiked = panel_of(hit(flat(), [15], 200.0))
    assert not days_of(spiked.until(21, 7)).hours.any()


def test_a_day_that_people_let_count_counts_in_all_its_hours() -> None:
    spiked = panel_of(hit(flat(), [TUESDAY], 200.0))
    rulings = np.zeros(spiked.special.shape, np.int64)
    rulings[:, TUESDAY] = LEARNED
    days = days_of(dataclasses.replace(spiked, rulings=rulings))
    assert not days.hours.any()
    assert days.total[0, TUESDAY] == spiked.offered[0, TUESDAY].sum()


def come(*events: tuple[dt.date, dt.date, bool]) -> QueueForecast:
    told = cells(56)
    broken = MONDAY - dt.timedelta(days=6)
    for start in HOURS.open_starts(broken, "Europe/London", 1800):
        if slot_of(start, "Europe/London", 1800) in range(HIT.start, HIT.stop):
            told[start] = (200, 200, 200 * 200_000)
    found = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, HOURS, told, events=events), MONDAY, 7)
    assert found is not None
    return found


def test_hours_are_named_by_the_clock_and_an_event_lets_them_count() -> None:
    found, broken = come(), MONDAY - dt.timedelta(days=6)
    (incident,) = found.incidents
    assert (incident.day, incident.hours, incident.ruled) == (broken, (10 * 3600, 13 * 3600), False)
    assert incident.offered == 1200
    assert incident.usual == pytest.approx(120, rel=0.15)
    assert found.rests_on == "56 days of history, without 2026-03-31 10:00-13:00 (1,200 contacts)"
    counted = come((broken, broken, True))
    assert counted.incidents == ()
    assert counted.days[1].offered.sum() > 1.08 * found.days[1].offered.sum()


def test_the_list_tells_the_hours_and_reads_what_was_kept_before_there_were_any(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"incidents": [["2026-03-20", 9000.0, 960.0, False], ["2026-03-31", 6.0, 120.0, False, 36000, 46800]]}
    monkeypatch.setattr(outlooks, "load_outlook", lambda connection, name: (0, kept))
    monkeypatch.setattr(ForecastEdge, "queue", lambda self, connection, name: (None, None))
    edge: Any = ForecastEdge
    whole, part = edge(None, None).incidents(None, "a/b").incidents
    assert (whole.kind, whole.hours) == ("SPIKE", "")
    assert (part.kind, part.hours, part.offered_count, part.usual_count) == ("OUTAGE", "10:00-13:00", 6.0, 120.0)
    assert part.reason.startswith("0.05 times what these hours brought around it; to have it count, declare an event")
    assert whole.reason.startswith("9.4 times what its weekday brought around it")
