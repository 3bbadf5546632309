"""The decision: compare expected agents with required ones over the next hours, and name the lever, the people, the price.

The rule: a queue is short when over the next two hours it lacks three quarters of an agent or more and would miss its
target; first agents are moved from queues that can spare them even if volume comes at its 90 % quantile, then shifts are
extended. A queue is long when until the end of the shifts concerned it could lose an agent even at that quantile; then
time off is offered, if its window to date is safe and every feed of the group is complete. While a window stands above
its promise, overtime waits until service would fall well below the target: a month is not saved by the quarter of an hour.
"""

import dataclasses
import math
from decimal import Decimal

from services.staffing.domain.erlang import Floats
from services.staffing.domain.group import SLOT, SLOTS, GroupOutlook, Proposal, QueueOutlook, weighted_service
from services.staffing.domain.levers import Taken, move, overtime, time_off

NEAR_SLOTS = 8
SHORT_AGENTS = 0.75
# While the window is safe, overtime is only paid for service this far below target.
DEEP_SHORTFALL = 0.12


def decide(outlook: GroupOutlook) -> list[Proposal]:
    """Return what should be done now, most urgent first; an empty list when all is well."""
    blind = [q for _, q in sorted(outlook.queues.items()) if not q.complete]
    if outlook.schedule_version == 0:
        return [_hold(outlook, "NO_SCHEDULE", f"no schedule is published for {outlook.group}")]
    proposals: list[Proposal] = []
    if blind:
        names = ", ".join(q.queue for q in blind)
        proposals.append(_hold(outlook, "FEED_INCOMPLETE", f"the feed of {names} has not told everything; nobody is sent home"))
    taken = Taken.of(outlook)
    short = _short_queues(outlook)
    for name in short:
        proposals += _scale_up(taken, name)
    if not blind and not short:
        for name in sorted(outlook.queues):
            down = time_off(taken, name)
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


def _short_queues(outlook: GroupOutlook) -> list[str]:
    near, lacks = slice(1, 1 + NEAR_SLOTS), {}
    for name, queue in outlook.queues.items():
        lack = _lack(queue, near)
        level = weighted_service(queue, near)
        if queue.complete and lack >= SHORT_AGENTS and level is not None and level < queue.goal.target:
            lacks[name] = lack / max(float(queue.required[near].mean()), 1.0)
    return sorted(lacks, key=lambda name: (-lacks[name], name))


def _scale_up(taken: Taken, name: str) -> list[Proposal]:
    outlook, proposals = taken.outlook, []
    for kind, find in (("MOVE", move), ("OVERTIME", overtime)):
        lever = outlook.levers.get(kind)
        if lever is None:
            continue
        first = outlook.first_slot(lever)
        if first >= SLOTS:
            continue
        slots = slice(first, min(first + NEAR_SLOTS, SLOTS))
        need = math.ceil(_lack(outlook.queues[name], slots, taken.expected[name]) - 0.25)
        if need <= 0 or (kind == "OVERTIME" and not _worth_overtime(outlook.queues[name], slots, taken.expected[name])):
            break
        found = find(taken, name, need, lever, slots)
        if found is not None:
            proposals.append(found)
    queue, near = outlook.queues[name], slice(1, 1 + NEAR_SLOTS)
    if not proposals and _worth_overtime(queue, near, queue.expected) and not outlook.cooling(name, up=False):
        text = f"{name} lacks {_lack(queue, near):.1f} agents, and no lever has anybody left to name whose hours would help"
        return [_hold(outlook, "NO_LEVER", text)]
    return proposals


def _worth_overtime(queue: QueueOutlook, slots: slice, have: Floats) -> bool:
    """Return whether a shortage is worth paying for: the window isn't safe, or service would fall far below target."""
    level = weighted_service(dataclasses.replace(queue, expected=have), slots)
    return not queue.window_safe or (level is not None and level < queue.goal.target - DEEP_SHORTFALL)
