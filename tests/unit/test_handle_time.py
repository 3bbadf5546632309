"""AHT is learnt from handled contacts: weekdays, slots, a level that moves, and no single long contact."""

import numpy as np
import pytest

from services.forecaster.domain.engine.handle_time import learn_handle_time
from services.forecaster.domain.engine.panel import Floats, Ints

DAYS, SLOTS = 84, 12
WEEKDAYS: Ints = np.arange(DAYS, dtype=np.int64) % 7
AGO: Floats = (DAYS - 1 - np.arange(DAYS)) / 7.0


def learnt(handled: Floats, aht: Floats) -> Floats:
    found = learn_handle_time(handled, handled * aht, WEEKDAYS, AGO)
    assert found is not None
    return found.seconds


def by_chance(handled: Floats, mean: Floats, seed: int = 3) -> Floats:
    """AHT (T, S) of contacts whose times are exponential."""
    count = np.maximum(handled, 1)
    return mean * np.random.default_rng(seed).gamma(count, 1 / count, handled.shape)


def test_a_quiet_weekday_of_its_own_is_believed_before_its_slots_are() -> None:
    handled = np.where(WEEKDAYS == 5, 3.0, 80.0)[:, None] * np.ones(SLOTS)
    mean = np.where(WEEKDAYS == 5, 200.0, 350.0)[:, None] * np.ones(SLOTS)
    seconds = learnt(handled, by_chance(handled, mean))
    assert seconds[5].max() < 245
    assert seconds[0] == pytest.approx(350, rel=0.05)


def test_weekday_slots_that_differ_by_chance_are_pulled_together() -> None:
    handled = np.full((DAYS, SLOTS), 60.0)
    seconds = learnt(handled, by_chance(handled, np.full((DAYS, SLOTS), 300.0)))
    plain = np.sqrt(1 / (60 * DAYS / 7))  # what twelve weeks of sixty contacts leave of chance
    assert (seconds / seconds.mean(axis=0)).std() < plain / 3


def test_weekday_slots_that_differ_for_certain_keep_their_difference() -> None:
    handled = np.full((DAYS, SLOTS), 60.0)
    mean = np.full((DAYS, SLOTS), 300.0)
    mean[WEEKDAYS == 1, 4] = mean[WEEKDAYS == 4, 9] = 500.0
    seconds = learnt(handled, by_chance(handled, mean))
    assert seconds[1, 4] > 430
    assert seconds[4, 9] > 430
    assert seconds[1, 9] < 330


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_a_level_that_moved_three_weeks_ago_is_followed(factor: float) -> None:
    handled = np.full((DAYS, SLOTS), 50.0)
    mean = np.where(AGO < 3, factor, 1.0)[:, None] * np.full(SLOTS, 300.0)
    moved = learnt(handled, by_chance(handled, mean)).mean() / 300 - 1
    assert moved / (factor - 1) > 0.4  # as far as a half-life of three weeks goes


def test_one_contact_of_hours_changes_little() -> None:
    handled = np.full((DAYS, SLOTS), 4.0)
    aht = by_chance(handled, np.full((DAYS, SLOTS), 300.0))
    usual = learnt(handled, aht)
    aht[-6, 3] = (3 * 300 + 5 * 3600) / 4
    assert learnt(handled, aht) == pytest.approx(usual, rel=0.08)


def test_few_contacts_have_the_mean_of_all_of_them() -> None:
    handled = np.zeros((DAYS, SLOTS))
    handled[-1, 2:4] = 5.0
    seconds = learnt(handled, np.full((DAYS, SLOTS), 240.0))
    assert seconds == pytest.approx(240.0)
