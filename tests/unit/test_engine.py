"""What the engine makes of histories that are not as they should be, and of what it is built to see."""

import datetime as dt

import numpy as np
import pytest

from muster.domain.calendar import Opening, OpeningHours, dates
from services.forecaster.domain.engine.mean import expected_contacts
from services.forecaster.domain.engine.panel import AFTER_CLOSURE, CLOSED_OR_PARTIAL, Floats, Panel
from services.forecaster.domain.engine.spread import day_quantiles_of, learn_spread, quantiles_of, restored, stabilised
from services.forecaster.domain.forecast import forecast_client, forecast_queue
from services.forecaster.domain.queue_forecast import QueueFacts, QueueForecast

WEEKDAY = np.array([1.3, 1.1, 1.0, 1.0, 0.9, 0.5, 0.4])
FIRST = np.datetime64("2026-01-05")
SLOTS = 24


def made(days: int = 84, ahead: int = 7, series: int = 2, mean: float = 40.0, seed: int = 1, wild: float = 50.0) -> Panel:
    """Return a panel of Poisson counts with weekdays, a daily form, and days that differ by 1/√wild."""
    luck = np.random.default_rng(seed)
    weekday = WEEKDAY[np.arange(days) % 7][None, :, None]
    form = (0.5 + np.sin((np.arange(SLOTS) + 1) / 25 * np.pi))[None, None]
    offered = luck.poisson(mean * weekday * form * luck.gamma(wild, 1 / wild, (series, days, 1))).astype(float)
    return Panel(offered, FIRST + np.arange(days + ahead), np.zeros((series, days + ahead), np.int64))


def changed(panel: Panel, offered: Floats) -> Panel:
    return Panel(offered, panel.dates, panel.special)


def week_of(panel: Panel) -> Floats:
    """Return the expected total of the days to come, by series."""
    total: Floats = expected_contacts(panel).sum(axis=(1, 2))
    return total


def test_a_gap_in_history_changes_little_and_is_no_zero() -> None:
    panel = made()
    holed = panel.offered.copy()
    holed[:, 40:47] = np.nan
    assert week_of(changed(panel, holed)) == pytest.approx(week_of(panel), rel=0.05)


def test_a_queue_that_was_closed_for_a_month_comes_back_as_it_was() -> None:
    panel = made()
    closed = panel.offered.copy()
    closed[0, -28:] = np.nan
    assert week_of(changed(panel, closed)) == pytest.approx(week_of(panel), rel=0.15)


def test_all_zeros_stay_zero_with_bands_of_zero() -> None:
    panel = made()
    silent = panel.offered.copy()
    silent[1] = 0
    mean = expected_contacts(changed(panel, silent))
    assert mean[1].max() == 0
    assert np.isfinite(mean).all()
    assert quantiles_of(mean, learn_spread(changed(panel, silent)))[1].max() == 0


def test_one_giant_spike_is_one_day() -> None:
    panel = made()
    spiked = panel.offered.copy()
    spiked[0, 70] *= 20
    assert week_of(changed(panel, spiked))[0] == pytest.approx(week_of(panel)[0], rel=0.6)
    assert week_of(changed(panel, spiked))[1] == pytest.approx(week_of(panel)[1], rel=0.1)  # and not the neighbour's


def test_days_after_closures_that_brought_hardly_anything_never_make_one_of_less_than_nothing() -> None:
    panel = made(ahead=7)
    offered, special = panel.offered.copy(), panel.special.copy()
    for day in (17, 31, 45, 59):  # a closed Thursday, and a Friday that nobody declared
        offered[:, day], offered[:, day + 1] = np.nan, 0.1
        special[:, day], special[:, day + 1] = CLOSED_OR_PARTIAL, AFTER_CLOSURE
    ahead = panel.past
    special[:, ahead : ahead + 3], special[:, ahead + 3] = CLOSED_OR_PARTIAL, AFTER_CLOSURE  # three days on end this time
    found = expected_contacts(Panel(offered, panel.dates, special))
    assert (found >= 0).all()
    assert 0 < found[:, 3].sum() < found[:, 4].sum()


@pytest.mark.parametrize(("days", "usual", "times"), [(84, 0.4, 200), (84, 0.4, 2000), (11, 20.0, 50), (20, 20.0, 50)])
def test_one_giant_spike_is_one_day_of_a_quiet_line_and_of_a_young_one_too(days: int, usual: float, times: int) -> None:
    def come(wild: int) -> QueueForecast:
        luck, told = np.random.default_rng(4), dict[int, tuple[int | None, int | None, int | None]]()
        for day in dates(MONDAY - dt.timedelta(days=days), MONDAY - dt.timedelta(days=1)):
            for start in HOURS.open_starts(day, "Europe/London", 1800):
                n = int(luck.poisson(usual)) + (round(usual * wild) if day == MONDAY - dt.timedelta(days=3) else 0)
                told[start] = (n, n, n * 300_000)
        found = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, HOURS, told), MONDAY, 28)
        assert found is not None
        return found

    spiked, plain = come(times), come(0)
    assert len(spiked.incidents) == 1
    assert not plain.incidents
    without, beside = (sum(float(d.offered.sum()) for d in f.days) for f in (spiked, plain))
    assert without == pytest.approx(beside, rel=0.1)


def test_an_outage_is_left_out_and_named() -> None:
    told = cells(56)
    broken = MONDAY - dt.timedelta(days=10)
    for start in HOURS.open_starts(broken, "Europe/London", 1800):
        told[start] = (1, 1, 200_000)
    forecast = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, HOURS, told), MONDAY, 7)
    assert forecast is not None
    assert forecast.rests_on == "56 days of history, without 2026-03-27 (48 contacts)"
    assert forecast.days[4].offered.sum() == pytest.approx(960, rel=0.1)


def test_a_line_of_two_contacts_a_day_has_them_spread_over_its_day() -> None:
    panel = made(mean=0.1, series=1)
    mean = expected_contacts(panel)
    assert mean.sum() == pytest.approx(0.1 * WEEKDAY.sum() * 26.7, rel=0.4)
    assert (mean > 0).mean() > 0.8


def test_little_history_never_fails() -> None:
    for days in range(1, 30):
        panel = made(days=days, ahead=42)
        mean = expected_contacts(panel)
        wide = quantiles_of(mean, learn_spread(panel))
        assert np.isfinite(mean).all()
        assert np.isfinite(wide).all()
        assert (np.diff(wide, axis=-1) >= 0).all()


def test_what_comes_each_month_is_expected_again() -> None:
    panel = made(days=152, ahead=28, series=1, wild=500.0)
    monthly = panel.offered.copy()
    begun = panel.dates - panel.dates.astype("datetime64[M]").astype("datetime64[D]")
    on_first = begun.astype(int) < 3
    monthly[:, on_first[:152]] *= 1.8
    mean = expected_contacts(changed(panel, monthly)).sum(axis=2)[0]
    place = int(np.flatnonzero(on_first[152:])[0])
    usual = mean[np.arange(28) % 7 == place % 7]
    assert mean[place] > 1.25 * np.median(usual)


def test_the_day_after_a_closure_catches_up_and_teaches_nothing_about_normal_days() -> None:
    panel = made(ahead=7)
    special = panel.special.copy()
    special[:, 84] = CLOSED_OR_PARTIAL
    special[:, 85] = AFTER_CLOSURE
    plain, after = expected_contacts(panel), expected_contacts(Panel(panel.offered, panel.dates, special))
    assert after[0, 1].sum() > 1.1 * plain[0, 1].sum()
    assert after[0, 2:].sum() == pytest.approx(plain[0, 2:].sum())
    offered, past = panel.offered.copy(), panel.special.copy()
    offered[:, 70], past[:, 70] = np.nan, CLOSED_OR_PARTIAL
    offered[:, 71] *= 1.6
    past[:, 71] = AFTER_CLOSURE
    masked = week_of(Panel(offered, panel.dates, past))
    assert masked == pytest.approx(week_of(panel), rel=0.05)


def after_closure(closed: int, seen: int = 0, brought: float = 1.0) -> float:
    """Return by how much the first open day after so many closed ones is expected to differ from a normal one. seen: the closed days
    of an earlier closure, after which the first day brought so many times its normal contacts."""
    panel = made(days=112, ahead=closed + 1, series=3)
    offered, special = panel.offered.copy(), panel.special.copy()
    if seen:
        offered[:, 100 - seen : 100], special[:, 100 - seen : 100] = np.nan, CLOSED_OR_PARTIAL
        offered[:, 100], special[:, 100] = offered[:, 100] * brought, AFTER_CLOSURE
    plain = expected_contacts(Panel(offered, panel.dates, special))
    special[:, 112 : 112 + closed], special[:, -1] = CLOSED_OR_PARTIAL, AFTER_CLOSURE
    found = expected_contacts(Panel(offered, panel.dates, special))
    return float(found[:, -1].sum() / plain[:, -1].sum()) - 1


def test_the_day_after_a_month_of_closure_is_expected_as_one_after_a_day_or_two() -> None:
    assert after_closure(28) == pytest.approx(after_closure(2), abs=0.01)
    assert after_closure(28) < 1.5 * after_closure(1)


def test_what_the_day_after_a_month_of_closure_brought_teaches_as_much_as_the_one_after_a_day() -> None:
    assert after_closure(1, seen=28, brought=1.9) == pytest.approx(after_closure(1, seen=1, brought=1.9), abs=0.12)
    assert after_closure(1, seen=28, brought=1.9) > 1.5 * after_closure(1)


def test_bands_hold_as_often_as_they_say() -> None:
    inside, count = 0, 0
    for seed in range(6):
        whole = made(days=112, ahead=0, series=4, seed=seed)
        panel = Panel(whole.offered[:, :98], whole.dates, whole.special)
        wide = quantiles_of(expected_contacts(panel), learn_spread(panel))
        came = whole.offered[:, 98:]
        inside += int(((came >= wide[..., 1]) & (came <= wide[..., 5])).sum())
        count += came.size
    assert 0.75 <= inside / count <= 0.87


def test_bands_of_a_queue_five_weeks_old_allow_for_how_few_errors_were_seen() -> None:
    luck, days, inside = np.random.default_rng(3), 33, []
    dates = np.datetime64("2026-01-05") + np.arange(days + 1)
    for _ in range(25):
        offered = luck.poisson(60 * luck.gamma(1 / 0.03, 0.03, (1, days + 1, 1)) * np.ones((1, 1, 16))).astype(float)
        panel = Panel(offered[:, :days], dates, np.zeros((1, days + 1), np.int64))
        wide, came = quantiles_of(expected_contacts(panel), learn_spread(panel))[0, 0], offered[0, days]
        inside.append((wide[:, 1] <= came) & (came <= wide[:, 5]))
    assert 0.78 < np.mean(inside) < 0.9  # as if they had been seen for long: 0.73


def test_bands_narrow_from_the_day_on_which_the_first_errors_are_seen() -> None:
    luck = np.random.default_rng(4)
    dates = np.datetime64("2026-01-05") + np.arange(33)
    offered = luck.poisson(20 * luck.gamma(1 / 0.05, 0.05, (6, 32, 1)) * np.ones((1, 1, 48))).astype(float)
    width = []
    for days in (29, 30, 31):
        panel = Panel(offered[:, :days], dates[: days + 1], np.zeros((6, days + 1), np.int64))
        mean = expected_contacts(panel)
        width.append(float(np.median(quantiles_of(mean, learn_spread(panel))[..., 6] / mean)))
    assert max(width) < 3  # by t of one degree of freedom: 14


def test_a_days_total_has_bands_of_its_own_since_its_intervals_err_together() -> None:
    inside, count = 0, 0
    for seed in range(12):
        whole = made(days=112, ahead=0, series=4, seed=seed, wild=40.0)
        panel = Panel(whole.offered[:, :98], whole.dates, whole.special)
        mean, spread = expected_contacts(panel), learn_spread(panel)
        wide, came = day_quantiles_of(mean, spread), whole.offered[:, 98:].sum(axis=2)
        inside += int(((came >= wide[..., 1]) & (came <= wide[..., 5])).sum())
        count += came.size
        alone = np.sqrt(((quantiles_of(mean, spread)[..., 5] - mean) ** 2).sum(axis=2))
        assert (wide[..., 5] - mean.sum(axis=2) > alone).mean() > 0.9  # wider than if they erred each for itself
    assert 0.72 <= inside / count <= 0.9


def test_the_scale_of_errors_is_undone_exactly() -> None:
    counts, phi = np.array([0.0, 0.4, 3.0, 2000.0]), np.array([1e-4, 0.05, 0.3, 2.0])
    assert restored(stabilised(counts, phi), phi) == pytest.approx(counts, abs=1e-9)


HOURS = OpeningHours((Opening(frozenset(range(7)), 0, 24 * 3600),))
MONDAY = dt.date(2026, 4, 6)  # eight days after the clocks went forward


def cells(days: int, zone: str = "Europe/London") -> dict[int, tuple[int | None, int | None, int | None]]:
    luck = np.random.default_rng(4)
    told: dict[int, tuple[int | None, int | None, int | None]] = {}
    for day in dates(MONDAY - dt.timedelta(days=days), MONDAY - dt.timedelta(days=1)):
        for start in HOURS.open_starts(day, zone, 1800):
            offered = int(luck.poisson(20))
            told[start] = (offered, offered, offered * 200_000)
    return told


def test_a_clock_change_in_the_middle_moves_no_hour() -> None:
    forecast = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, HOURS, cells(56)), MONDAY, 7)
    assert forecast is not None
    assert all(len(day.starts) == 48 for day in forecast.days)
    assert min(day.offered.min() for day in forecast.days) > 10


def test_negative_counts_and_gaps_are_not_observed() -> None:
    told = cells(56)
    for n, start in enumerate(list(told)):
        if n % 13 == 0:
            told[start] = (-5, None, None)
    forecast = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, HOURS, told), MONDAY, 7)
    assert forecast is not None
    assert sum(day.offered.sum() for day in forecast.days) == pytest.approx(7 * 48 * 20, rel=0.05)


def test_a_client_s_queues_of_other_zones_and_intervals_are_fitted_together() -> None:
    some = [
        (QueueFacts("a/one", "Europe/London", 1800, HOURS, cells(56)), MONDAY),
        (QueueFacts("a/two", "Asia/Manila", 1800, HOURS, cells(30, "Asia/Manila")), MONDAY),
        (QueueFacts("a/new", "Europe/London", 900, HOURS, {}, 700.0, 180.0), MONDAY),
        (QueueFacts("a/unknown", "Europe/London", 900, HOURS, {}), MONDAY),
    ]
    found = {f.queue: f for f in forecast_client(some, 14)}
    assert list(found) == ["a/one", "a/two", "a/new"]
    assert [f.history_days for f in found.values()] == [56, 30, 0]
    assert sum(d.offered.sum() for d in found["a/new"].days[:7]) == pytest.approx(700)


def test_an_hour_in_which_nothing_ever_came_is_expected_to_stay_so_whatever_was_declared() -> None:
    told = {s: ((0, 0, 0) if s % 86_400 < 4 * 3600 else c) for s, c in cells(56).items()}
    forecast = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, HOURS, told, 9000.0, 240.0), MONDAY, 1)
    assert forecast is not None
    assert forecast.days[0].offered[2:6].max() == 0
    assert forecast.days[0].offered[12:].min() > 10


def test_no_handle_time_told_falls_back_to_what_was_declared() -> None:
    told = {s: (c[0], c[1], 0) for s, c in cells(28).items()}
    forecast = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, HOURS, told, 9000.0, 240.0), MONDAY, 1)
    assert forecast is not None
    assert forecast.days[0].aht == pytest.approx(240)
    assert forecast_queue(QueueFacts("a/b", "Europe/London", 1800, HOURS, told), MONDAY, 1) is None


def test_a_lasting_change_of_level_is_no_incident() -> None:
    panel = made(days=182, series=1)
    moved = panel.offered.copy()
    moved[:, -14:] *= 5
    assert week_of(changed(panel, moved))[0] > 3 * week_of(panel)[0]


def test_the_first_day_of_history_is_no_burst_that_comes_again() -> None:
    for days in (29, 31, 61):
        panel = made(days=days, ahead=35, series=1, wild=500.0)
        total = expected_contacts(panel).sum(axis=2)[0]
        assert (total[:28].reshape(4, 7) / WEEKDAY[(days + np.arange(28)) % 7].reshape(4, 7)).max() < 1.25 * np.median(
            total[:28] / WEEKDAY[(days + np.arange(28)) % 7]
        )


def test_the_end_of_a_night_before_a_closed_day_is_a_normal_one() -> None:
    every, closed = frozenset(range(7)), MONDAY + dt.timedelta(days=2)
    nights = OpeningHours((Opening(every, 16 * 3600, 4 * 3600),), special=((closed, ()),))
    luck, told = np.random.default_rng(4), dict[int, tuple[int | None, int | None, int | None]]()
    for day in dates(MONDAY - dt.timedelta(days=56), MONDAY - dt.timedelta(days=1)):
        for start in nights.open_starts(day, "Europe/London", 1800):
            n = int(luck.poisson(20))
            told[start] = (n, n, n * 300_000)
    found = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, nights, told), MONDAY, 5)
    assert found is not None
    assert [len(d.starts) for d in found.days] == [
        24,
        24,
        8,
        16,
        24,
    ]  # till four on the closed day, from four after noon on the next
    assert found.days[2].offered.sum() == pytest.approx(8 * 20, rel=0.15)
    assert found.days[2].total_quantiles[1] < found.days[2].offered.sum() < found.days[2].total_quantiles[5]


def test_a_part_day_brings_its_share_in_the_hours_that_are_open() -> None:
    short = (Opening(frozenset(range(7)), 8 * 3600, 13 * 3600),)
    part = [MONDAY - dt.timedelta(days=n) for n in (10, 18, 26, 33, 41)] + [MONDAY + dt.timedelta(days=1)]
    hours = OpeningHours((Opening(frozenset(range(7)), 8 * 3600, 18 * 3600),), special=tuple((d, short) for d in part))
    told = {
        s: (20, 20, 4_000_000)
        for day in dates(MONDAY - dt.timedelta(days=56), MONDAY - dt.timedelta(days=1))
        for s in hours.open_starts(day, "Europe/London", 1800)
    }
    forecast = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, hours, told), MONDAY, 3)
    assert forecast is not None
    assert forecast.days[0].offered.sum() == pytest.approx(400, rel=0.05)
    assert forecast.days[1].offered.sum() == pytest.approx(200, rel=0.12)


def test_a_declared_week_is_the_same_around_a_closure() -> None:
    hours = OpeningHours(HOURS.weekly, special=tuple((MONDAY - dt.timedelta(days=n), ()) for n in range(1, 7)))
    forecast = forecast_queue(QueueFacts("a/b", "Europe/London", 1800, hours, {}, 1680.0, 240.0), MONDAY, 7)
    assert forecast is not None
    assert [day.offered.sum() for day in forecast.days] == pytest.approx([240] * 7)


def test_a_past_without_any_noise_does_not_make_bands_of_no_width() -> None:
    panel = made(series=2)
    flat = changed(panel, np.full_like(panel.offered, 30.0))
    mean = expected_contacts(flat)
    wide = quantiles_of(mean, learn_spread(flat))
    assert mean == pytest.approx(30, rel=0.01)
    assert (wide[..., 1] < 24).all()
    assert (wide[..., 5] > 36).all()
