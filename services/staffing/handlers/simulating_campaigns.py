"""A day of a campaign played: attempt by attempt, beside what the reserved hours are planned to reach."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from muster.simulator.calling import CallDay, play_calls
from muster.simulator.pools import NORMAL_95
from services.staffing.domain.erlang import Floats, Ints
from services.staffing.domain.outbound import Campaign
from services.staffing.handlers.calling import CallingDay
from services.staffing.handlers.simulating import CAMPAIGN, Asked, Calls, Simulation
from services.staffing.handlers.spreading import luck_of


def rest_of(day: CallingDay, campaign: Campaign, now: int) -> tuple[list[int], Campaign]:
    """Return what is left of a day: starts of its intervals, of today those from now on where it is known what has been reached, and
    the contacts still to reach; 0 where no call may be made any more."""
    begin = now - now % day.forecast.seconds if day.reached is not None else -math.inf
    starts = [s for s in day.starts if s >= begin]
    left = max(campaign.contacts - (day.reached or 0), 0.0) if any(s in day.calls for s in starts) else 0.0
    return starts, dataclasses.replace(campaign, contacts=left)


def planned(agents: Ints, calls: np.ndarray, seconds: float, campaign: Campaign) -> Floats:
    """Return the contacts (I,) that agents (I,) reach: their time over what a contact takes, and, who begins to call, the head start of a
    contact that counts when it is answered and not when it is done (Cox, Renewal Theory, 1962: t / μ + (σ² − μ²) / 2μ²)."""
    on = np.where(calls, agents, 0)
    spread = campaign.deviation**2 / campaign.contacts / campaign.each**2 if campaign.contacts > 0 else 0.0
    ahead = campaign.handle / campaign.each + (spread - 1.0) / 2.0
    found = on * campaign.occupancy_cap * seconds / campaign.each + np.maximum(np.diff(on, prepend=0), 0) * ahead
    return np.diff(np.minimum(np.cumsum(found), campaign.contacts), prepend=0.0)


def simulate_campaign(day: CallingDay, campaign: Campaign, staff: Mapping[int, float], asked: Asked, now: int) -> Simulation:
    """Play what is left of a day with staff, agents by start of interval. The same question always has the same answer. Raise ValueError
    where nothing is left to reach."""
    starts, rest = rest_of(day, campaign, now)
    wanted = math.ceil(rest.contacts - 1e-9)
    if not wanted:
        raise ValueError(
            f"{rest.contacts:g} contacts are left to reach; allowed: a day with calling hours and contacts to come"
        )
    seconds, size = float(day.forecast.seconds), len(starts)
    agents = np.array([round(staff.get(s, 0.0)) for s in starts], np.int64)
    calls = np.array([s in day.calls for s in starts], bool)
    sizes = (campaign.connect_rate, campaign.attempt, campaign.handle, campaign.variation)
    dialled = CallDay(agents, calls, seconds, wanted, *sizes, asked.sigma, campaign.occupancy_cap)
    seen = play_calls(dialled, asked.days, luck_of(day.forecast.queue, day.forecast.local_date, "simulation"))
    by_then = np.cumsum(seen.reached, axis=1) / wanted
    half = NORMAL_95 * by_then.std(axis=0, ddof=1) / math.sqrt(asked.days)
    expected = planned(agents, calls, seconds, rest)
    hours = float(np.where(calls, agents, 0).sum()) * seconds * campaign.occupancy_cap
    return Simulation(
        starts,
        agents.tolist(),
        expected.tolist(),
        [None] * size,
        (np.cumsum(expected) / wanted).tolist(),
        by_then.mean(axis=0).tolist(),
        half.tolist(),
        float(by_then[:, -1].mean()),
        float(half[-1]),
        float((by_then[:, -1] >= 1.0).mean()),
        int(seen.reached.sum()),
        CAMPAIGN,
        float(expected.sum() / wanted),
        calls=Calls(
            wanted,
            expected.tolist(),
            seen.reached.mean(axis=0).tolist(),
            float(seen.attempts.sum(axis=1).mean()),
            rest.chance(hours),
        ),
    )
