"""Levers: who is moved, asked to stay or to come earlier, or offered time off, and what it costs."""

import dataclasses
import math
from decimal import Decimal

import numpy as np

from services.staffing.domain.erlang import Floats
from services.staffing.domain.group import (
    SLOT,
    SLOTS,
    AgentOutlook,
    GroupOutlook,
    Leg,
    LeverRule,
    Named,
    Proposal,
    weighted_service,
)

RESERVE_SHARE = 0.05
# Overtime that moves predicted service by less is not asked for.
LEAST_GAIN = 0.005


@dataclasses.dataclass
class Taken:
    """What proposals made so far have taken of an outlook: agents named, and who is expected on each queue (SLOTS,)."""

    outlook: GroupOutlook
    used: set[str]
    expected: dict[str, Floats]

    @classmethod
    def of(cls, outlook: GroupOutlook) -> "Taken":
        return cls(outlook, set(outlook.busy), {name: q.expected.copy() for name, q in outlook.queues.items()})

    def free(self, agent: AgentOutlook) -> bool:
        """Return whether an agent is named in nothing that is under way or proposed."""
        return agent.agent not in self.used


def _at_work(agent: AgentOutlook, queue: str, begin: int, end: int) -> bool:
    """Return whether an agent is on a queue for three quarters of a span."""
    time = sum(max(0, min(s.ends_at, end) - max(s.starts_at, begin)) for s in agent.shift.segments if s.queue == queue)
    return time >= 0.75 * (end - begin) and agent.shift.starts_at <= begin


def _leg(outlook: GroupOutlook, name: str, slots: slice, agents: int, change: float | Floats, have: Floats) -> Leg:
    queue = dataclasses.replace(outlook.queues[name], expected=have)
    gap = (queue.required - have)[slots]
    worst = int(np.argmax(gap)) + slots.start
    before, after = weighted_service(queue, slots), weighted_service(queue, slots, change)
    return Leg(name, agents, before, after, float(queue.required[worst]), float(have[worst]))


def move(taken: Taken, name: str, need: int, lever: LeverRule, slots: slice) -> Proposal | None:
    """Return a move of agents from queues that can spare them even at the 90 % quantile, None where nobody fits."""
    outlook, expected = taken.outlook, taken.expected
    begin, end = outlook.span(slots)
    named: list[Named] = []
    given: dict[str, int] = {}
    for donor in sorted(outlook.queues, key=lambda d: (-_spare(outlook, d, slots, expected[d]), d)):
        spare = int(_spare(outlook, donor, slots, expected[donor]))
        if donor == name or spare < 1 or not outlook.queues[donor].complete or outlook.cooling(donor, up=False):
            continue
        fit = [a for a in outlook.agents if taken.free(a) and name in a.eligible and _at_work(a, donor, begin, end)]
        fit.sort(key=lambda a: (a.eligible.index(name), a.offers, a.agent))
        limit = min(spare, need - len(named), (lever.cap or need) - len(named))
        for agent in fit[: max(limit, 0)]:
            place = agent.eligible.index(name) + 1
            why = f"on {donor}, which can spare {spare}; {name} is their choice {place}"
            named.append(Named(agent.agent, donor, name, begin, min(end, agent.shift.ends_at), why))
            given[donor] = given.get(donor, 0) + 1
    if not named:
        return None
    legs = [_leg(outlook, name, slots, len(named), float(len(named)), expected[name])]
    legs += [_leg(outlook, d, slots, -n, float(-n), expected[d]) for d, n in sorted(given.items())]
    taken.used.update(n.agent for n in named)
    expected[name][slots] += len(named)
    for donor, n in given.items():
        expected[donor][slots] -= n
    hours = Decimal(sum(n.ends_at - n.starts_at for n in named)) / 3600
    reason = _up_reason(outlook, legs[0], "move from " + ", ".join(sorted(given)))
    return Proposal(
        "SCALE_UP",
        "MOVE",
        len(named),
        tuple(legs),
        tuple(named),
        begin,
        end,
        hours * lever.hourly_price,
        reason,
        "UNDERSTAFFED",
    )


def _spare(outlook: GroupOutlook, name: str, slots: slice, have: Floats) -> float:
    """Return the agents a queue could lose in every slot, even at the 90 % quantile, with a reserve."""
    queue = outlook.queues[name]
    safe = queue.required_safe * (1 + RESERVE_SHARE)
    return float((have - safe)[slots].min())


def _extension(outlook: GroupOutlook, agent: AgentOutlook, name: str, lever: LeverRule, slots: slice) -> Named | None:
    """Return how an agent's shift could be extended into the shortage: after its end, or before its start."""
    begin, end = outlook.span(slots)
    last = agent.shift.segments[-1].queue or next((s.queue for s in reversed(agent.shift.segments) if s.queue), "")
    earliest = outlook.now + max(lever.lead, lever.notice)
    if begin <= agent.shift.ends_at < end and agent.shift.ends_at >= earliest and agent.shift.starts_at <= outlook.now:
        until = min(agent.shift.ends_at + lever.longest, end, agent.latest_end)
        until -= (until - agent.shift.ends_at) % SLOT
        if until - agent.shift.ends_at >= lever.shortest:
            why = f"shift ends {(agent.shift.ends_at - outlook.now) // 60} min from now, rest allows {name}"
            return Named(agent.agent, last, name, agent.shift.ends_at, until, why)
    if begin < agent.shift.starts_at <= end:
        since = max(agent.shift.starts_at - lever.longest, begin, agent.earliest_start, earliest)
        since += (agent.shift.starts_at - since) % SLOT
        if agent.shift.starts_at - since >= lever.shortest:
            why = f"shift starts {(agent.shift.starts_at - outlook.now) // 60} min from now, could come earlier"
            return Named(agent.agent, "", name, since, agent.shift.starts_at, why)
    return None


def overtime(taken: Taken, name: str, need: int, lever: LeverRule, slots: slice) -> Proposal | None:
    """Return shifts to extend that end, or begin, in the shortage, None where none reach it; more are asked than needed, as some decline."""
    outlook, expected, found = taken.outlook, taken.expected, []
    for agent in outlook.agents:
        if not taken.free(agent) or name not in agent.eligible:
            continue
        named = _extension(outlook, agent, name, lever, slots)
        if named is not None:
            found.append((agent, named))
    found.sort(key=lambda f: (f[0].overtime_pay, f[0].offers, -(f[1].ends_at - f[1].starts_at), f[0].agent))
    asked = min(math.ceil(need / lever.acceptance), lever.cap or len(found), len(found))
    if asked <= 0:
        return None
    chosen = found[:asked]
    added = np.zeros(SLOTS)
    cost = Decimal(0)
    for agent, named in chosen:
        low, high = (named.starts_at - outlook.begin) // SLOT, (named.ends_at - outlook.begin) // SLOT
        added[max(low, 0) : max(min(high, SLOTS), 0)] += lever.acceptance
        hours = Decimal(named.ends_at - named.starts_at) / 3600
        cost += hours * (agent.overtime_pay + lever.hourly_price) * Decimal(str(lever.acceptance))
    expects = max(1, round(asked * lever.acceptance))
    leg = _leg(outlook, name, slots, expects, added[slots], expected[name])
    if leg.before is not None and leg.after is not None and leg.after - leg.before < LEAST_GAIN:
        return None  # their hours don't reach the shortage
    taken.used.update(named.agent for _, named in chosen)
    expected[name] += added
    begin, end = min(n.starts_at for _, n in chosen), max(n.ends_at for _, n in chosen)
    reason = _up_reason(outlook, leg, f"extend {expects} of {asked} shifts asked")
    return Proposal(
        "SCALE_UP", "OVERTIME", asked, (leg,), tuple(n for _, n in chosen), begin, end, cost, reason, "UNDERSTAFFED"
    )


def time_off(taken: Taken, name: str) -> Proposal | None:
    """Return an offer of time off until the end of the shift where the queue can spare it, even at the 90 % quantile, or None."""
    outlook = taken.outlook
    lever, queue = outlook.levers.get("VOLUNTARY_TIME_OFF"), outlook.queues[name]
    if lever is None or not queue.window_safe or outlook.cooling(name, up=False):
        return None
    first = outlook.first_slot(lever)
    if first >= SLOTS:
        return None
    begin = outlook.begin + first * SLOT
    left = queue.expected - queue.required_safe * (1 + RESERVE_SHARE)
    named: list[tuple[AgentOutlook, Named]] = []
    fit = [a for a in outlook.agents if taken.free(a) and a.may_leave_early and _leaves_from(a, name, begin, lever)]
    for agent in sorted(fit, key=lambda a: (-a.hourly_pay, a.offers, -a.shift.ends_at, a.agent)):
        stop = math.ceil((agent.shift.ends_at - outlook.begin) / SLOT)
        if stop > SLOTS or (left[first:stop] < 1.0).any() or len(named) >= (lever.cap or SLOTS * 100):
            continue
        left[first:stop] -= lever.acceptance
        why = f"{(agent.shift.ends_at - begin) // 60} min of shift left on {name}, which can spare them until its end"
        named.append((agent, Named(agent.agent, name, "", begin, agent.shift.ends_at, why)))
    if not named:
        return None
    end = max(n.ends_at for _, n in named)
    slots = slice(first, min(math.ceil((end - outlook.begin) / SLOT), SLOTS))
    gone = np.zeros(SLOTS)
    saved = Decimal(0)
    for agent, n in named:
        gone[first : math.ceil((n.ends_at - outlook.begin) / SLOT)] -= lever.acceptance
        saved += Decimal(n.ends_at - n.starts_at) / 3600 * agent.hourly_pay * Decimal(str(lever.acceptance))
    taken.used.update(n.agent for _, n in named)
    leg = _leg(outlook, name, slots, -max(1, round(len(named) * lever.acceptance)), gone[slots], queue.expected)
    if leg.after is not None and leg.after < queue.goal.target:
        return None
    reason = (
        f"{name}: {leg.expected:.1f} agents expected for {leg.required:.1f} required at the tightest; "
        f"service level {_percent(leg.before)} → {_percent(leg.after)}; time off offered to {len(named)}"
    )
    return Proposal(
        "SCALE_DOWN",
        "VOLUNTARY_TIME_OFF",
        len(named),
        (leg,),
        tuple(n for _, n in named),
        begin,
        end,
        -saved,
        reason,
        "OVERSTAFFED",
    )


def _leaves_from(agent: AgentOutlook, queue: str, begin: int, lever: LeverRule) -> bool:
    """Return whether an agent is on the queue at `begin` with a remainder of the shift that the lever allows."""
    rest = agent.shift.ends_at - begin
    here = any(s.queue == queue and s.starts_at <= begin < s.ends_at for s in agent.shift.segments)
    only = all(s.queue in ("", queue) for s in agent.shift.segments if s.ends_at > begin)
    return here and only and lever.shortest <= rest <= lever.longest


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _up_reason(outlook: GroupOutlook, leg: Leg, how: str) -> str:
    return (
        f"{leg.queue}: {leg.expected:.1f} agents expected for {leg.required:.1f} required at the tightest; "
        f"service level {_percent(leg.before)} → {_percent(leg.after)}; {how}"
    )
