"""Accuracy: what stood so long before, held against what came, beside the week before and what chance alone makes."""

import dataclasses

import numpy as np
import pytest

from services.forecaster.domain.accuracy import WEEK, Added, Score, add_value, poisson_error, pooled, score_day
from services.forecaster.domain.facts import PublishedDay
from services.forecaster.domain.forecast import LEVELS
from services.forecaster.wire import value_message

WIDE = [4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0]
DAY = PublishedDay(
    "acme/help", "2026-03-02", 1800, [WEEK, WEEK + 1800, WEEK + 3600], [1] * 3, [10.0] * 3, [300.0] * 3, [WIDE] * 3,
    [[300.0] * 7] * 3, "NIGHTLY", "", 56, 0.0, 0, 0, 1, statistical=[9.0] * 3, statistical_aht=[300.0] * 3,
)  # fmt: skip


def test_a_day_is_scored_where_it_is_known_what_came() -> None:
    score = score_day(DAY, {WEEK: 12, WEEK + 1800: 15}, {0: 6}, LEVELS)
    assert (score.intervals, score.offered, score.wrong, score.statistical_wrong) == (2, 27, 7, 9)
    assert (score.naive_wrong, score.naive_offered) == (6, 12)
    assert (score.in_80, score.in_95, score.over) == (1, 2, -7)


def test_scores_pool_as_one_over_all_their_intervals() -> None:
    one, two = score_day(DAY, {WEEK: 12}, {}, LEVELS), score_day(DAY, {WEEK + 1800: 15}, {}, LEVELS)
    both = score_day(DAY, {WEEK: 12, WEEK + 1800: 15}, {}, LEVELS)
    assert dataclasses.astuple(pooled([one, two])) == pytest.approx(dataclasses.astuple(both))
    assert pooled([]) == Score()


def test_poissons_error_is_that_of_simulated_counts() -> None:
    luck = np.random.default_rng(2)
    for mean in (0.3, 4.0, 250.0):
        counts = luck.poisson(mean, 200_000)
        assert poisson_error(mean) == pytest.approx(np.abs(counts - mean).mean(), rel=0.01)
    assert poisson_error(0.0) == 0


def test_what_an_override_added_is_counted_where_it_changed_something() -> None:
    starts = [900 * n for n in range(4)]
    believed = PublishedDay(
        "acme/help", "1970-01-01", 900, starts, [1] * 4, [20.0, 10.0, 10.0, 10.0], [360.0] * 4, [[0.0] * 7] * 4, [[0.0] * 7] * 4,
        "NIGHTLY", "", 1, 0.0, 0, 0, 1, statistical=[10.0, 20.0, 10.0, 10.0], statistical_aht=[360.0] * 4, overrides=["a", "b"],
    )  # fmt: skip
    found: dict[str, Added] = {}
    add_value(found, believed, {0: 16, 900: 8, 1800: 99})
    assert set(found) == {"a", "b"}
    assert (found["a"].intervals, found["a"].offered) == (2, 12.0)
    assert (found["a"].wrong_without, found["a"].wrong_with) == (9.0, 3.0)
    assert found["a"].saved_hours == pytest.approx(6 * 0.1)
    message = value_message("acme/help", "acme/sale: VOLUME MULTIPLY 1.5, ops: mail, of: May", found["a"])
    assert (message.override, message.owner, message.reason) == ("acme/sale", "ops", "mail, of: May")
    assert message.wape == pytest.approx(3 / 12)
