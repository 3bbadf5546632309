"""From a campaign to the requirement of its days: contacts to reach, level through the hours in which calls may be made.

What today has already reached is taken off today's rest; what a day does not reach is not made up on the next.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from services.staffing.domain.erlang import Floats
from services.staffing.domain.facts import ForecastDay, RequirementDay
from services.staffing.domain.outbound import Campaign, Reserved, reserve
from services.staffing.domain.requirement import Rules
from services.staffing.handlers.explaining import Explanation
from services.staffing.handlers.requiring import QueueRules

SURE = 0.9


@dataclasses.dataclass(frozen=True)
class CallingDay:
    """A day of a campaign: starts of its intervals of service, those in which calls may be made, and contacts reached so far on it
    (None: not observed); most: agents there are for it."""

    forecast: ForecastDay
    starts: Sequence[int]
    calls: frozenset[int]
    reached: int | None = None
    most: int | None = None


def reserve_day(day: CallingDay, campaign: Campaign, begin: int) -> Reserved:
    """Return the agents reserved in the day's intervals from `begin` on, where what has been reached is known, else in all of them."""
    starts = np.array(day.starts, np.int64)
    calls = np.array([s in day.calls for s in day.starts], bool)
    contacts = campaign.contacts
    if day.reached is not None:
        calls &= starts >= begin
        contacts = max(contacts - day.reached, 0.0)
    rest = dataclasses.replace(campaign, contacts=contacts if calls.any() else 0.0)
    found = reserve(rest, calls, np.zeros(starts.size, np.int64), float(day.forecast.seconds))
    if day.most is None or not found.whole.size or found.whole.max() <= day.most:
        return found
    part = np.minimum(day.most / np.maximum(found.real, 1e-9), 1.0)  # what they can't reach is not reached
    return Reserved(found.attempts * part, found.erlangs * part, found.real * part, np.minimum(found.whole, day.most))


def on_campaign(
    day: CallingDay, campaign: Campaign, rules: Rules, version: int, now: int, before: RequirementDay | None = None
) -> RequirementDay:
    """Return a day's requirement: agents reserved, at least the minimum staff. Intervals that are over stay as `before` had them."""
    seconds, forecast = day.forecast.seconds, day.forecast
    begin = now - now % seconds
    found = reserve_day(day, campaign, begin)
    sure = reserve_day(day, dataclasses.replace(campaign, confidence=max(campaign.confidence, SURE)), begin)
    agents, safe = np.maximum(found.whole, rules.minimum), np.maximum(np.maximum(sure.whole, found.whole), rules.minimum)
    scheduled = agents / (1.0 - rules.unplaced_shrinkage)
    size = len(day.starts)
    # Whole agents are now above the level plan, now below it, and work as much of their time in either: what the day asks of them.
    calls = (found.erlangs > 0) & (agents > 0)
    worked = min(float(found.erlangs.sum() / agents[calls].sum()), 1.0) if calls.any() else 0.0
    new = RequirementDay(
        queue=forecast.queue,
        local_date=forecast.local_date,
        seconds=seconds,
        starts=list(day.starts),
        version=version,
        forecast_version=forecast.version,
        load=_plain(found.erlangs),
        carried=_plain(found.erlangs),
        on_queue=_plain(agents),
        on_queue_safe=_plain(safe),
        scheduled=_plain(scheduled),
        paid=_plain(scheduled / (1.0 - rules.placed_shrinkage)),
        service_level=[None] * size,
        asa=[0.0] * size,
        abandonment=[0.0] * size,
        occupancy=_plain(np.where(calls, worked, 0.0)),
        drivers=["CAMPAIGN" if n > rules.minimum else "MINIMUM_STAFF" if rules.minimum else "CLOSED" for n in found.whole],
        formula=describe(campaign),
        unplaced_shrinkage=round(rules.unplaced_shrinkage, 9),
        made_at=now,
        watermark=forecast.watermark,
    )
    return new if before is None or day.reached is None else new.behind(before, begin)


def explain_campaign(day: CallingDay, start: int, rules: QueueRules, now: int) -> Explanation:
    """Return why the interval that starts at `start` needs what it does: what its share of the campaign takes."""
    campaign = rules.campaign
    if campaign is None or start not in day.starts:
        raise ValueError(f"{start} is no interval of a campaign; allowed: {len(day.starts)} of {day.forecast.local_date}")
    place, whole, begin = list(day.starts).index(start), rules.rules, now - now % day.forecast.seconds
    day = day if start >= begin else dataclasses.replace(day, reached=None)  # what is over was planned with the whole day
    found, reserved = on_campaign(day, campaign, whole, 0, now), reserve_day(day, campaign, begin)
    contacts = float(reserved.attempts[place]) * campaign.connect_rate * day.forecast.seconds / 3600
    return Explanation(
        contacts,
        campaign.each,
        found.load[place],
        (),
        (),
        (),
        whole.minimum,
        found.drivers[place],
        found.on_queue[place],
        found.scheduled[place],
        found.paid[place],
        (),
    )


def describe(campaign: Campaign) -> str:
    """Return in few words what agents are reserved for."""
    reached = f"{100 * campaign.connect_rate:g} % of attempts reach someone"
    return (
        f"reserved for {campaign.contacts:g} contacts a day, {reached}, {100 * campaign.occupancy_cap:g} % of the time worked"
    )


def _plain(values: Floats) -> list[float]:
    """Keep nine decimals: what the last bits hold is arithmetic."""
    return [float(v) for v in np.round(np.asarray(values, float), 9)]
