"""Accuracy: what stood so long before, held against what came, beside the week before and what chance alone makes."""

import dataclasses

import numpy as np
import pytest

from services.forecaster.domain.accuracy import WEEK, Score, poisson_error, pooled, score_day
from services.forecaster.domain.facts import PublishedDay
from services.forecaster.domain.forecast import LEVELS

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
