"""Long contacts that still last are in AHT as long as they will be, not left out, and not for ever."""

import dataclasses
import datetime as dt

import numpy as np
import pytest

from muster.domain.calendar import Opening, OpeningHours, dates, day_bounds
from services.forecaster.domain.engine.open_contacts import expected_if_open
from services.forecaster.domain.forecast import forecast_queue
from services.forecaster.domain.queue_forecast import QueueFacts
from services.forecaster.domain.tally import Tally

FIRST, ZONE, SECONDS = dt.date(2026, 3, 2), "Europe/London", 1800
HOURS = OpeningHours((Opening(frozenset(range(7)), 0, 0),))
MEAN = 7200.0  # two hours: a case of the back office, of which a midnight finds many on the table


def lognormal(luck: np.random.Generator, variation: float, size: int) -> np.ndarray:
    sigma = np.sqrt(np.log1p(variation))
    return luck.lognormal(np.log(MEAN) - sigma**2 / 2, sigma, size)


@pytest.mark.parametrize("variation", [0.1, 1.0])
@pytest.mark.parametrize("age", [600.0, 7200.0, 14_400.0])
def test_what_lasts_already_lasts_as_long_as_such_contacts_do(variation: float, age: float) -> None:
    lasts = lognormal(np.random.default_rng(1), variation, 2_000_000)
    if (lasts > age).mean() < 0.002:
        assert variation == 0.1
        return
    assert expected_if_open(age, MEAN, variation) == pytest.approx(lasts[lasts > age].mean(), rel=0.02)


def test_one_just_come_is_like_any_other_and_one_whose_end_was_never_told_is_none() -> None:
    assert expected_if_open(0.0, MEAN, 1.0) == MEAN
    assert expected_if_open(30 * MEAN, MEAN, 1.0) is None


def lived(variation: float, days: int, wrapped: bool = False) -> QueueFacts:
    """Return days of cases of which the last is seen at midnight; `wrapped`: as it will be known in the end."""
    luck, midnight = np.random.default_rng(2), day_bounds(FIRST, ZONE)[0]
    cells: dict[int, tuple[int | None, int | None, int | None]] = {}
    unfinished: dict[int, int] = {}
    for day in dates(FIRST - dt.timedelta(days=days), FIRST - dt.timedelta(days=1)):
        for start in HOURS.open_starts(day, ZONE, SECONDS):
            came = start + luck.uniform(0, SECONDS, 40)
            lasts = lognormal(luck, variation, 40)
            done = np.ones(40, bool) if wrapped else came + lasts <= midnight
            cells[start] = (40, int(done.sum()), int(lasts[done].sum() * 1000))
            if not done.all():
                unfinished[start] = int((~done).sum())
    return QueueFacts("a/b", ZONE, SECONDS, HOURS, cells, unfinished=unfinished, known_at=midnight)


@pytest.mark.parametrize(("variation", "low"), [(0.1, 0.999), (1.0, 0.975)])
def test_aht_of_the_last_day_is_not_low_because_its_long_cases_still_last(variation: float, low: float) -> None:
    facts = lived(variation, 3)
    aht = {}
    for name, what in (
        ("allowed", facts),
        ("left out", dataclasses.replace(facts, unfinished={})),
        ("true", lived(variation, 3, True)),
    ):
        found = forecast_queue(what, FIRST, 1)
        assert found is not None
        aht[name] = float(found.days[0].aht.mean())
    assert aht["left out"] < low * aht["true"]
    assert aht["allowed"] == pytest.approx(aht["true"], rel=0.01)


def test_an_open_contact_never_told_of_again_changes_nothing() -> None:
    facts = lived(1.0, 14, wrapped=True)
    old = min(facts.cells) + 2 * 86_400
    lost = dataclasses.replace(facts, unfinished={old: 5})
    both = [forecast_queue(f, FIRST, 1) for f in (facts, lost)]
    assert both[0] is not None
    assert both[1] is not None
    assert both[1].days[0].aht == pytest.approx(both[0].days[0].aht, rel=1e-9)


def test_unfinished_is_answered_and_not_wrapped_up_where_both_are_told() -> None:
    assert Tally(offered=9, answered=7, handled=4).unfinished == 3
    assert Tally(offered=9, answered=7).unfinished == 0
    assert Tally(offered=9, handled=4).unfinished == 0
