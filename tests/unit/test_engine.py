"""What the engine makes of panels that are not as they should be, and of what it is built to see."""

import numpy as np
import pytest

from services.forecaster.domain.engine.mean import expected_contacts
from services.forecaster.domain.engine.panel import AFTER_CLOSURE, CLOSED_OR_PARTIAL, Floats, Panel
from services.forecaster.domain.engine.spread import day_quantiles_of, learn_spread, quantiles_of, restored, stabilised

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


def test_a_past_without_any_noise_does_not_make_bands_of_no_width() -> None:
    panel = made(series=2)
    flat = changed(panel, np.full_like(panel.offered, 30.0))
    mean = expected_contacts(flat)
    wide = quantiles_of(mean, learn_spread(flat))
    assert mean == pytest.approx(30, rel=0.01)
    assert (wide[..., 1] < 24).all()
    assert (wide[..., 5] > 36).all()
