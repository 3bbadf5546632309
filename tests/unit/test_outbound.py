"""Outbound: reserved agents by hand, and the contacts that agents dialling one by one reach."""

import numpy as np
import pytest

from services.staffing.domain.outbound import Campaign, reserve, whole_days

DAY = np.repeat([0, 1], 8)
ALL = np.ones(16, bool)


def test_a_level_day_by_hand() -> None:
    # 90 contacts of 300 s, 3 attempts of 20 s each: 32,400 s; at 90 % 36,000 s: 20 agents for 1,800 s, over 8 half-hours.
    campaign = Campaign(90.0, 1 / 3, 300.0, attempt=20.0)
    assert campaign.attempts == pytest.approx(270.0)
    found = reserve(campaign, ALL, DAY, 1800.0)
    assert found.real.tolist() == pytest.approx([2.5] * 16)
    assert found.whole.tolist() == [3, 2, 3, 2, 3, 2, 3, 2] * 2
    assert found.attempts.sum() / 2 == pytest.approx(270.0 * 2)  # half-hours of an hourly rate, two days
    assert found.erlangs.tolist() == pytest.approx([2.25] * 16)


def test_nobody_is_called_outside_hours() -> None:
    calls = (np.arange(16) % 8 >= 2) & (np.arange(16) % 8 < 6)
    found = reserve(Campaign(50.0, 0.4, 240.0, 15.0), calls, DAY, 1800.0)
    for column in (found.real, found.whole, found.attempts):
        assert not column[~calls].any() and column[calls].any()
    with pytest.raises(ValueError, match="day 1 has no interval"):
        reserve(Campaign(50.0, 0.4, 240.0), np.arange(16) < 8, DAY, 1800.0)
    assert not reserve(Campaign(0.0, 0.4, 240.0), np.zeros(16, bool), DAY, 1800.0).real.any()


@pytest.mark.parametrize("seed", range(10))
def test_whole_agents_never_fall_behind_and_gain_less_than_one_interval_a_day(seed: int) -> None:
    real = np.random.default_rng(seed).random(16) * 4
    real[3] = 0.0
    whole = whole_days(real, DAY)
    for d in (0, 1):
        rows = slice(8 * d, 8 * d + 8)
        ahead = np.cumsum(whole[rows]) - np.cumsum(real[rows])
        assert (ahead > -1e-6).all() and (ahead < 1).all()
    assert whole[3] == 0


def reached(campaign: Campaign, seconds: float, days: int, luck: np.random.Generator) -> np.ndarray:
    """Return contacts reached a day in so many worked seconds, dialling one by one."""
    found = np.zeros(days, int)
    for d in range(days):
        left = seconds
        while True:
            left -= campaign.attempt
            if luck.random() < campaign.connect_rate:
                left -= luck.exponential(campaign.handle)
                if left < 0:
                    break
                found[d] += 1
            elif left < 0:
                break
    return found


def test_the_contacts_are_reached_on_as_many_days_as_asked() -> None:
    campaign = Campaign(120.0, 0.25, 200.0, attempt=25.0, confidence=0.95)
    kept = (reached(campaign, campaign.seconds, 1500, np.random.default_rng(1)) >= 120).mean()
    assert 0.93 < kept < 0.98
    half = Campaign(120.0, 0.25, 200.0, attempt=25.0)
    assert 0.4 < (reached(half, half.seconds, 500, np.random.default_rng(2)) >= 120).mean() < 0.6


@pytest.mark.parametrize(
    "bad",
    [
        {"contacts": -1.0},
        {"connect_rate": 0.0},
        {"connect_rate": 1.1},
        {"handle": 0.0},
        {"attempt": -1.0},
        {"occupancy_cap": 1.2},
        {"confidence": 0.3},
    ],
)
def test_a_campaign_that_makes_no_sense_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="allowed"):
        Campaign(**{"contacts": 10.0, "connect_rate": 0.3, "handle": 300.0, **bad})
    with pytest.raises(ValueError, match="seconds 0"):
        reserve(Campaign(1.0, 1.0, 1.0), ALL, DAY, 0.0)
