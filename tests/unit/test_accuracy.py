"""Accuracy: what stood so long before, held against what came, beside the week before and what chance alone makes."""

import dataclasses

import numpy as np
import pytest

from services.forecaster.domain.accuracy import WEEK, Added, Came, Score, add_value, poisson_error, pooled, score_day, weekly
from services.forecaster.domain.facts import PublishedDay
from services.forecaster.domain.queue_forecast import LEVELS
from services.forecaster.wire import value_message

WIDE = [4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0]
DAY = PublishedDay(
    "acme/help", "2026-03-02", 1800, [WEEK, WEEK + 1800, WEEK + 3600], [1] * 3, [10.0] * 3, [300.0] * 3, [WIDE] * 3,
    [[300.0] * 7] * 3, "NIGHTLY", "", 56, 0.0, 0, 0, 1, statistical=[9.0] * 3, statistical_aht=[300.0] * 3,
)  # fmt: skip


def test_a_day_is_scored_where_it_is_known_what_came() -> None:
    score = score_day(DAY, {WEEK: Came(12), WEEK + 1800: Came(15)}, {0: Came(6)}, LEVELS)
    assert (score.intervals, score.offered, score.wrong, score.statistical_wrong) == (2, 27, 7, 9)
    assert (score.naive_wrong, score.naive_offered) == (6, 12)
    assert (score.in_80, score.in_95, score.over) == (1, 2, -7)


def test_scores_pool_as_one_over_all_their_intervals() -> None:
    one, two = score_day(DAY, {WEEK: Came(12)}, {}, LEVELS), score_day(DAY, {WEEK + 1800: Came(15)}, {}, LEVELS)
    both = score_day(DAY, {WEEK: Came(12), WEEK + 1800: Came(15)}, {}, LEVELS)
    together = dataclasses.replace(pooled([one, two]), days=1)  # two scores of one day
    assert dataclasses.astuple(together) == pytest.approx(dataclasses.astuple(both))
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
    add_value(found, believed, {0: Came(16), 900: Came(8), 1800: Came(99)})
    assert set(found) == {"a", "b"}
    assert (found["a"].intervals, found["a"].offered) == (2, 12.0)
    assert (found["a"].wrong_without, found["a"].wrong_with) == (9.0, 3.0)
    assert found["a"].saved_hours == pytest.approx(6 * 0.1)
    message = value_message("acme/help", "acme/sale: VOLUME MULTIPLY 1.5, ops: mail, of: May", found["a"])
    assert (message.override, message.owner, message.reason) == ("acme/sale", "ops", "mail, of: May")
    assert message.wape == pytest.approx(3 / 12)


def test_an_error_of_workload_is_staff_that_was_not_needed_or_missing() -> None:
    # Expected: 10 contacts × 300 s = 50 minutes each. Came: 12 × 250 = 50 minutes, 15 × 360 = 90, 6 of unknown AHT: 30 at 300 s.
    came = {WEEK: Came(12, 12, 3000.0), WEEK + 1800: Came(15, 10, 3600.0), WEEK + 3600: Came(6)}
    score = score_day(DAY, came, {WEEK - WEEK: Came(10, 10, 2400.0)}, LEVELS)
    assert score.under_hours == pytest.approx(40 / 60)
    assert score.over_hours == pytest.approx(20 / 60)
    assert score.wrong_hours == pytest.approx(1.0)
    assert score.statistical_hours == pytest.approx((5 + 45 + 15) / 60)
    assert score.naive_hours == pytest.approx(10 / 60)
    hours = weekly([score, pooled([score] * 14)])
    assert hours.under == pytest.approx(2 * 7 * 40 / 60)  # a day and two weeks of one kind
    assert hours.naive == pytest.approx(2 * 7 * 10 / 60)


def test_a_week_has_seven_days_also_where_two_are_closed() -> None:
    closed = dataclasses.replace(DAY, starts=[])
    open_day = {WEEK: Came(22, 22, 6600.0)}  # an hour more than expected
    one = dataclasses.replace(DAY, starts=[WEEK])
    week = pooled([*[score_day(one, open_day, {}, LEVELS)] * 5, *[score_day(closed, {}, {}, LEVELS)] * 2])
    assert week.intervals == 5
    assert weekly([week]).under == pytest.approx(5.0)


def test_overrides_of_volume_and_aht_share_what_they_saved_together() -> None:
    believed = PublishedDay(
        "acme/help", "1970-01-01", 1800, [0, 1800], [1] * 2, [20.0, 10.0], [360.0, 300.0], [[0.0] * 7] * 2, [[0.0] * 7] * 2,
        "NIGHTLY", "", 1, 0.0, 0, 0, 1, statistical=[10.0, 10.0], statistical_aht=[300.0, 300.0],
        overrides=["v: VOLUME MULTIPLY 2, ops: mail", "h: AHT SET 360, ann: new tool"],
    )  # fmt: skip
    found: dict[str, Added] = {}
    add_value(found, believed, {0: Came(18, 16, 16 * 400.0), 1800: Came(9, 9, 2700.0)})
    volume, handling = found[believed.overrides[0]], found[believed.overrides[1]]
    assert (volume.intervals, handling.intervals) == (1, 1)
    assert (volume.wrong_without, volume.wrong_with) == (8.0, 2.0)
    assert (handling.wrong_without, handling.wrong_with) == pytest.approx((16 * 100.0, 16 * 40.0))
    assert handling.saved_hours > 0
    error = abs(18 * 400 - 10 * 300) - abs(18 * 400 - 20 * 360)
    assert volume.saved_hours + handling.saved_hours == pytest.approx(error / 3600)
    message = value_message("acme/help", believed.overrides[1], handling)
    assert (message.measure, message.owner, message.reason) == ("AHT", "ann", "new tool")
    assert message.statistical_wape == pytest.approx(100 / 400)


def test_an_override_of_aht_is_not_judged_where_no_aht_came() -> None:
    believed = dataclasses.replace(
        DAY, statistical=DAY.offered, statistical_aht=[200.0] * 3, overrides=["h: AHT SET 300, a: b"]
    )
    found: dict[str, Added] = {}
    add_value(found, believed, {WEEK: Came(12), WEEK + 1800: Came(3, 0, 0.0)})
    assert found == {}
    assert score_day(believed, {WEEK: Came(12)}, {}, LEVELS).wrong_hours == pytest.approx(2 * 200 / 3600)
