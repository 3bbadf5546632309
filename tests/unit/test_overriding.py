"""Overrides lie over the statistics in layers, are shown beside them, and outlive today's updates."""

import dataclasses
import datetime as dt

import pytest

from muster.domain.calendar import day_bounds
from services.forecaster.domain.facts import PublishedDay, merge_days
from services.forecaster.domain.outlook import OutlookDay
from services.forecaster.domain.overriding import Rule, outlook_overridden, overridden, without_overrides
from services.forecaster.handlers.forecasting import updated_day

DAY = PublishedDay(
    "acme/help", "2026-03-02", 1800, [0, 1800, 3600], [1, 1, 1], [10.0, 20.0, 0.0], [300.0, 300.0, 300.0],
    [[5.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0], [10.0, 14.0, 17.0, 20.0, 23.0, 26.0, 30.0], [0.0] * 7], [[300.0] * 7] * 3,
    "NIGHTLY", "56 days of history", 56, 0.05, 0, 0, 1,
)  # fmt: skip


def rule(operation: str, value: float, starts: int = 0, ends: int = 5400, on_volume: bool = True, layer: int = 0) -> Rule:
    return Rule(layer, f"acme/{operation.lower()}-{layer}", on_volume, operation, value, starts, ends, f"{operation} {value:g}")


@pytest.mark.parametrize(
    ("operation", "value", "expected"),
    [
        ("SET", 15, [15, 15, 15]),
        ("ADD", -12, [0, 8, 0]),
        ("MULTIPLY", 1.5, [15, 30, 0]),
        ("AT_LEAST", 12, [12, 20, 12]),
        ("AT_MOST", 12, [10, 12, 0]),
    ],
)
def test_each_operation_does_what_it_says_and_the_statistics_stay_beside(
    operation: str, value: float, expected: list[float]
) -> None:
    day = overridden(DAY, [rule(operation, value)])
    assert day.offered == expected
    assert day.statistical == DAY.offered
    assert day.overrides == [f"{operation} {value:g}"]
    assert all(q == sorted(q) for q in day.offered_quantiles)


def test_layers_come_in_their_order_and_only_where_they_hold() -> None:
    day = overridden(DAY, [rule("ADD", 5, layer=2), rule("MULTIPLY", 2, layer=1, ends=1800)])
    assert day.offered == [25.0, 25.0, 5.0]
    assert day.offered_quantiles[0][6] == pytest.approx(16 * 2.5)
    assert day.offered_quantiles[2][6] > 5 > day.offered_quantiles[2][0] >= 0  # where nothing was expected, wide
    assert overridden(DAY, [rule("SET", 1, starts=9000, ends=10_800)]) is DAY


def test_aht_has_overrides_of_its_own() -> None:
    day = overridden(DAY, [rule("MULTIPLY", 1.1, on_volume=False)])
    assert day.aht == pytest.approx([330.0] * 3)
    assert day.offered == DAY.offered


def test_taking_them_off_gives_the_statistics_back() -> None:
    again = without_overrides(overridden(DAY, [rule("MULTIPLY", 1.25)]))
    assert again.offered == DAY.offered
    assert again.offered_quantiles[1] == pytest.approx(DAY.offered_quantiles[1])
    assert again.overrides == []


def test_todays_update_keeps_what_was_set_and_scales_what_was_multiplied() -> None:
    for operation, value in (("SET", 30.0), ("MULTIPLY", 2.0)):
        rules = [rule(operation, value, starts=1800)]
        morning = overridden(DAY, rules)
        updated = updated_day(morning, {0: 30}, 2, 1800, 1800, rules)
        assert updated is not None
        assert updated.statistical[0] > 20
        assert updated.offered[0] == (30.0 if operation == "SET" else pytest.approx(2 * updated.statistical[0]))
        merged = merge_days(morning, updated)
        assert merged.statistical[0] == 10
        assert merged.offered[0] == 10
        assert merged.overrides == [f"{operation} {value:g}"]
    gone = updated_day(overridden(DAY, [rule("SET", 30.0)]), {0: 30}, 2, 1800, 1800)
    assert gone is not None
    assert gone.offered[0] == pytest.approx(20.0, rel=0.3)  # an override that no longer holds is no longer in today
    assert gone.statistical == []


def test_a_rule_off_the_grid_holds_for_the_intervals_it_touches() -> None:
    assert overridden(DAY, [rule("SET", 7, starts=2000, ends=3000)]).offered == [10.0, 7.0, 0.0]


def test_the_year_has_the_overrides_too_within_the_six_weeks_and_beyond() -> None:
    monday = dt.date(2026, 3, 2)

    def published(n: int) -> PublishedDay:
        first = day_bounds(monday + dt.timedelta(days=n), "Europe/London")[0] + 9 * 3600
        starts = [first, first + 1800, first + 3600]
        return dataclasses.replace(DAY, local_date=(monday + dt.timedelta(days=n)).isoformat(), starts=starts)

    days = [published(n) for n in range(14)]
    wide = (20.0, 24.0, 27.0, 30.0, 33.0, 36.0, 40.0)
    year = [OutlookDay(monday + dt.timedelta(days=n), 30.0, wide, 300.0, 0.0) for n in range(60)]
    near, far = days[3].starts[0], published(45).starts[0]  # in summer time, an hour earlier by UTC
    rules = [
        rule("MULTIPLY", 2, near, near + 1800),
        rule("ADD", 5, far, far + 5400),
        rule("ADD", 60, far, far + 5400, False, 1),
    ]
    found = outlook_overridden(year, days, rules, "Europe/London")
    assert [n for n, (old, new) in enumerate(zip(year, found, strict=True)) if old != new] == [3, 45]
    assert found[3].offered == pytest.approx(40)
    assert found[3].quantiles[6] == pytest.approx(40 * 40 / 30)
    assert found[45].offered == pytest.approx(45)
    assert found[45].aht == pytest.approx(360)
    assert outlook_overridden(year, days, [], "Europe/London") == year
