"""The decision: compare expected agents with required ones over the next hours, and name the lever, the people, the price.

The rule: a queue is short when over the next two hours it lacks three quarters of an agent or more and would miss its
target; first agents are moved from queues that can spare them even if volume comes at its 90 % quantile, then shifts are
extended. A queue is long when until the end of the shifts concerned it could lose an agent even at that quantile; then
time off is offered, if its window to date is safe and every feed of the group is complete. While a window stands above
its promise, overtime waits until service would fall well below the target: a month is not saved by the quarter of an hour.
"""

import dataclasses
import hashlib
import math
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from services.staffing.domain.chatting import ChatLoad
from services.staffing.domain.erlang import Floats, Load
from services.staffing.domain.presence import PlannedShift
from services.staffing.domain.requirement import Goal, predicted_service_level

SLOT = 900
SLOTS = 24
NEAR_SLOTS = 8
SHORT_AGENTS = 0.75
RESERVE_SHARE = 0.05
COOL_DOWN_SECONDS = 3600
# While the window is safe, overtime is only paid for service this far below target.
DEEP_SHORTFALL = 0.12
# Overtime that moves predicted service by less is not asked for.
LEAST_GAIN = 0.005
NAMESPACE = uuid.UUID("6f0f4f0e-3f5c-5d8b-9c55-6d75737465ff")


@dataclasses.dataclass(frozen=True)
class LeverRule:
    """A lever as the book declares it, its price already in the group's currency."""

    kind: str
    lead: int
    notice: int
    shortest: int
    longest: int
    cap: int | None
    hourly_price: Decimal
    acceptance: float


@dataclasses.dataclass(frozen=True)
class QueueOutlook:
    """The next hours of a queue, per slot of 15 minutes (SLOTS,).

    `required` at the forecast's mean, `required_safe` at its 90 % quantile, `expected` agents on queue with what is
    already under way. `window_safe`: attainment to date keeps the target.
    """

    queue: str
    client: str
    load: Load | ChatLoad
    goal: Goal
    required: Floats
    required_safe: Floats
    expected: Floats
    complete: bool
    window_safe: bool
    forecast_version: int
    requirement_version: int
    complete_through: int


@dataclasses.dataclass(frozen=True)
class AgentOutlook:
    """An agent who works in the next hours: shift, where they may go, what an hour costs in the group's currency."""

    shift: PlannedShift
    eligible: tuple[str, ...]
    hourly_pay: Decimal
    overtime_pay: Decimal
    may_leave_early: bool
    offers: int
    earliest_start: int
    latest_end: int

    @property
    def agent(self) -> str:
        return self.shift.agent


@dataclasses.dataclass(frozen=True)
class GroupOutlook:
    """All a decision is made on. `busy`: agents named in decisions under way; `scaled`: queue → (last up, last down)."""

    group: str
    now: int
    queues: Mapping[str, QueueOutlook]
    agents: Sequence[AgentOutlook]
    levers: Mapping[str, LeverRule]
    busy: frozenset[str]
    scaled: Mapping[str, tuple[int, int]]
    schedule_version: int
    presence: str
    floor_watermark: int | None
    absent: int
    currency: str

    @property
    def begin(self) -> int:
        """Start of the slot that now lies in."""
        return self.now - self.now % SLOT


@dataclasses.dataclass(frozen=True)
class Leg:
    """What a queue gains (agents > 0) or gives."""

    queue: str
    agents: int
    before: float | None
    after: float | None
    required: float
    expected: float


@dataclasses.dataclass(frozen=True)
class Named:
    """A candidate: what changes for them, from when until when, and why them."""

    agent: str
    from_queue: str
    to_queue: str
    starts_at: int
    ends_at: int
    why: str


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A decision before it has an id and a life."""

    kind: str
    lever: str | None
    count: int
    legs: tuple[Leg, ...]
    candidates: tuple[Named, ...]
    effective_at: int
    effective_until: int
    cost: Decimal
    reason: str
    reason_code: str


def decision_id(group: str, decide_at: int, trigger: str, ordinal: int) -> str:
    """Return the id: the same group, minute, trigger and place always give the same."""
    return str(uuid.uuid5(NAMESPACE, f"{group}|{decide_at}|{trigger}|{ordinal}"))


def inputs_hash(outlook: GroupOutlook) -> str:
    """Return a hash of everything the decision rests on."""
    digest = hashlib.sha256()
    for name, q in sorted(outlook.queues.items()):
        arrays = (q.load.arrivals, q.load.handle, q.required, q.required_safe, q.expected)
        text = "|".join(",".join(f"{v:.6f}" for v in a) for a in arrays)
        digest.update(f"{name}|{text}|{q.complete}|{q.window_safe}|{q.complete_through}".encode())
    for a in outlook.agents:
        digest.update(f"{a.agent}|{a.shift.starts_at}|{a.shift.ends_at}|{a.shift.segments}|{a.offers}".encode())
    digest.update(f"{outlook.group}|{outlook.now}|{sorted(outlook.busy)}|{outlook.schedule_version}".encode())
    return digest.hexdigest()[:32]


def weighted_service(queue: QueueOutlook, slots: slice, more: float | Floats = 0.0) -> float | None:
    """Return the service level that contacts of some slots can expect with `more` agents; None if none are offered."""
    load = queue.load.pick(np.arange(SLOTS)[slots])
    if load.arrivals.sum() <= 0:
        return None
    level = predicted_service_level(load, np.maximum(queue.expected[slots] + more, 0), queue.goal)
    return float(np.nansum(np.nan_to_num(level) * load.arrivals) / load.arrivals.sum())


def decide(outlook: GroupOutlook) -> list[Proposal]:
    """Return what should be done now, most urgent first; an empty list when all is well."""
    blind = [q for _, q in sorted(outlook.queues.items()) if not q.complete]
    if outlook.schedule_version == 0:
        return [_hold(outlook, "NO_SCHEDULE", f"no schedule is published for {outlook.group}")]
    proposals: list[Proposal] = []
    if blind:
        names = ", ".join(q.queue for q in blind)
        proposals.append(_hold(outlook, "FEED_INCOMPLETE", f"the feed of {names} has not told everything; nobody is sent home"))
    used = set(outlook.busy)
    expected = {name: q.expected.copy() for name, q in outlook.queues.items()}
    short = _short_queues(outlook)
    for name in short:
        proposals += _scale_up(outlook, name, used, expected)
    if not blind and not short:
        for name in sorted(outlook.queues):
            down = _scale_down(outlook, name, used)
            if down is not None:
                proposals.append(down)
    return proposals


def _hold(outlook: GroupOutlook, code: str, reason: str) -> Proposal:
    return Proposal("HOLD", None, 0, (), (), outlook.begin, outlook.begin + SLOT, Decimal(0), reason, code)


def _lack(queue: QueueOutlook, slots: slice, expected: Floats | None = None) -> float:
    """Return agents lacking over some slots, weighted by contacts."""
    weight = queue.load.arrivals[slots]
    if weight.sum() <= 0:
        return 0.0
    have = queue.expected if expected is None else expected
    return float(((queue.required - have)[slots] * weight).sum() / weight.sum())


def _first_slot(outlook: GroupOutlook, lever: LeverRule) -> int:
    """Return the first slot that a lever can change; SLOTS when that lies beyond what is looked at."""
    earliest = outlook.now + max(lever.lead, lever.notice)
    return min(math.ceil((earliest - outlook.begin) / SLOT), SLOTS)


def _short_queues(outlook: GroupOutlook) -> list[str]:
    near, lacks = slice(1, 1 + NEAR_SLOTS), {}
    for name, queue in outlook.queues.items():
        lack = _lack(queue, near)
        level = weighted_service(queue, near)
        if queue.complete and lack >= SHORT_AGENTS and level is not None and level < queue.goal.target:
            lacks[name] = lack / max(float(queue.required[near].mean()), 1.0)
    return sorted(lacks, key=lambda name: (-lacks[name], name))


def _scale_up(outlook: GroupOutlook, name: str, used: set[str], expected: dict[str, Floats]) -> list[Proposal]:
    proposals = []
    for kind, find in (("MOVE", _move), ("OVERTIME", _overtime)):
        lever = outlook.levers.get(kind)
        if lever is None:
            continue
        first = _first_slot(outlook, lever)
        if first >= SLOTS:
            continue
        slots = slice(first, min(first + NEAR_SLOTS, SLOTS))
        need = math.ceil(_lack(outlook.queues[name], slots, expected[name]) - 0.25)
        if need <= 0 or (kind == "OVERTIME" and not _worth_overtime(outlook.queues[name], slots, expected[name])):
            break
        found = find(outlook, name, need, lever, slots, used, expected)
        if found is not None:
            proposals.append(found)
    queue, near = outlook.queues[name], slice(1, 1 + NEAR_SLOTS)
    if not proposals and _worth_overtime(queue, near, queue.expected) and not _cooling(outlook, name, up=False):
        text = f"{name} lacks {_lack(queue, near):.1f} agents, and no lever has anybody left to name whose hours would help"
        return [_hold(outlook, "NO_LEVER", text)]
    return proposals


def _worth_overtime(queue: QueueOutlook, slots: slice, have: Floats) -> bool:
    """Return whether a shortage is worth paying for: the window isn't safe, or service would fall far below target."""
    level = weighted_service(dataclasses.replace(queue, expected=have), slots)
    return not queue.window_safe or (level is not None and level < queue.goal.target - DEEP_SHORTFALL)


def _cooling(outlook: GroupOutlook, name: str, up: bool) -> bool:
    """Return whether the queue was scaled the other way within the cool-down."""
    last_up, last_down = outlook.scaled.get(name, (0, 0))
    return outlook.now - (last_down if up else last_up) < COOL_DOWN_SECONDS


def _at_work(agent: AgentOutlook, queue: str, begin: int, end: int) -> bool:
    """Return whether an agent is on a queue for three quarters of a span."""
    time = sum(max(0, min(s.ends_at, end) - max(s.starts_at, begin)) for s in agent.shift.segments if s.queue == queue)
    return time >= 0.75 * (end - begin) and agent.shift.starts_at <= begin


def _span(outlook: GroupOutlook, slots: slice) -> tuple[int, int]:
    return outlook.begin + slots.start * SLOT, outlook.begin + slots.stop * SLOT


def _leg(outlook: GroupOutlook, name: str, slots: slice, agents: int, change: float | Floats, have: Floats) -> Leg:
    queue = dataclasses.replace(outlook.queues[name], expected=have)
    gap = (queue.required - have)[slots]
    worst = int(np.argmax(gap)) + slots.start
    before, after = weighted_service(queue, slots), weighted_service(queue, slots, change)
    return Leg(name, agents, before, after, float(queue.required[worst]), float(have[worst]))


def _move(
    outlook: GroupOutlook, name: str, need: int, lever: LeverRule, slots: slice, used: set[str], expected: dict[str, Floats]
) -> Proposal | None:
    """Move agents from queues that can spare them even at the 90 % quantile."""
    begin, end = _span(outlook, slots)
    named: list[Named] = []
    given: dict[str, int] = {}
    for donor in sorted(outlook.queues, key=lambda d: (-_spare(outlook, d, slots, expected[d]), d)):
        spare = int(_spare(outlook, donor, slots, expected[donor]))
        if donor == name or spare < 1 or not outlook.queues[donor].complete or _cooling(outlook, donor, up=False):
            continue
        fit = [a for a in outlook.agents if a.agent not in used and name in a.eligible and _at_work(a, donor, begin, end)]
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
    used.update(n.agent for n in named)
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
    begin, end = _span(outlook, slots)
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


def _overtime(
    outlook: GroupOutlook, name: str, need: int, lever: LeverRule, slots: slice, used: set[str], expected: dict[str, Floats]
) -> Proposal | None:
    """Extend shifts that end, or begin, in the shortage; more are asked than needed, as some decline."""
    found = []
    for agent in outlook.agents:
        if agent.agent in used or name not in agent.eligible:
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
    used.update(named.agent for _, named in chosen)
    expected[name] += added
    begin, end = min(n.starts_at for _, n in chosen), max(n.ends_at for _, n in chosen)
    reason = _up_reason(outlook, leg, f"extend {expects} of {asked} shifts asked")
    return Proposal(
        "SCALE_UP", "OVERTIME", asked, (leg,), tuple(n for _, n in chosen), begin, end, cost, reason, "UNDERSTAFFED"
    )


def _scale_down(outlook: GroupOutlook, name: str, used: set[str]) -> Proposal | None:
    """Offer time off until the end of the shift where the queue can spare it, even at the 90 % quantile."""
    lever, queue = outlook.levers.get("VOLUNTARY_TIME_OFF"), outlook.queues[name]
    if lever is None or not queue.window_safe or _cooling(outlook, name, up=False):
        return None
    first = _first_slot(outlook, lever)
    if first >= SLOTS:
        return None
    begin = outlook.begin + first * SLOT
    left = queue.expected - queue.required_safe * (1 + RESERVE_SHARE)
    named: list[tuple[AgentOutlook, Named]] = []
    fit = [a for a in outlook.agents if a.agent not in used and a.may_leave_early and _leaves_from(a, name, begin, lever)]
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
    used.update(n.agent for _, n in named)
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
