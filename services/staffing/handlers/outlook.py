"""The next six hours of a staffing group, put together from requirement, schedule, floor and decisions under way."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from services.staffing.domain.carried import PARTS, Carried
from services.staffing.domain.chatting import ChatLoad
from services.staffing.domain.erlang import Floats, Load
from services.staffing.domain.facts import ForecastDay, RequirementDay
from services.staffing.domain.group import SLOT, SLOTS
from services.staffing.domain.presence import Absence, PlannedShift, is_absent
from services.staffing.domain.record import ACCEPTED, DecisionRecord
from services.staffing.handlers.requiring import QueueRules


def slots(starts: Sequence[int], values: Sequence[float], seconds: int, begin: int) -> Floats:
    """Return an interval series on the grid of quarter-hours from `begin`; 0 where the queue is closed."""
    by_start = dict(zip(starts, values, strict=True))
    out = np.zeros(SLOTS)
    for slot in range(SLOTS):
        instant = begin + slot * SLOT
        out[slot] = by_start.get(instant - instant % seconds, 0.0)
    return out


@dataclasses.dataclass(frozen=True)
class Series:
    """What the next slots ask of a queue."""

    load: Load | ChatLoad
    required: Floats
    required_safe: Floats


def series(forecasts: Iterable[ForecastDay], requirements: Iterable[RequirementDay], begin: int, rules: QueueRules) -> Series:
    """Return load and requirement per slot from the days that hold them."""
    offered, aht = np.zeros(SLOTS), np.zeros(SLOTS)
    required, safe, carried = np.zeros(SLOTS), np.zeros(SLOTS), np.zeros(SLOTS)
    for f in forecasts:
        offered += slots(f.starts, [v / f.seconds for v in f.offered], f.seconds, begin)
        aht += slots(f.starts, f.aht, f.seconds, begin)
    for r in requirements:
        required += slots(r.starts, r.on_queue, r.seconds, begin)
        safe += slots(r.starts, r.on_queue_safe, r.seconds, begin)
        carried += slots(r.starts, r.carried or r.load, r.seconds, begin)
    handle = np.where(aht > 0, aht, 300.0)
    # What is offered and not yet answered by a requirement has its own load.
    patience = np.full(SLOTS, rules.patience)
    if not rules.in_line:  # nobody waits in line: the hours to come are short of nothing but their plan
        return Series(Load(np.zeros(SLOTS), handle, patience), required, safe)
    if rules.at_once > 1:
        levels = rules.levels(handle)
        chats = np.where(carried > 0, carried, offered * levels[:, -1])
        parts = np.tile(chats[:, None], PARTS)
        return Series(
            ChatLoad(Carried.told(offered, levels[:, -1], patience, parts, parts * 0 + 1 / PARTS), levels), required, safe
        )
    load = Load(offered, handle, patience, np.where(carried > 0, carried, offered * handle))
    return Series(load, required, safe)


def under_way(
    expected: dict[str, Floats], records: Iterable[DecisionRecord], acceptance: Mapping[str, float], begin: int
) -> None:
    """Add to `expected`, in place, what decisions under way will change: accepted ones in full, open ones by their odds."""
    for record in records:
        lever = record.proposal.lever or ""
        for n in record.proposal.candidates:
            if record.state == ACCEPTED and n.agent not in (record.accepted or ()):
                continue
            odds = 1.0 if record.state == ACCEPTED else acceptance.get(lever, 1.0)
            first = max((n.starts_at - begin) // SLOT, 0)
            last = max(min(-((begin - n.ends_at) // SLOT), SLOTS), 0)
            if n.to_queue in expected:
                expected[n.to_queue][first:last] += odds
            if n.from_queue in expected and lever != "OVERTIME":
                expected[n.from_queue][first:last] -= odds
    for queue in expected:
        expected[queue] = np.maximum(expected[queue], 0.0)


def scheduled_now(
    shifts: Iterable[PlannedShift], absences: Mapping[str, Sequence[Absence]], queues: Iterable[str], now: int
) -> dict[str, int]:
    """Return agents scheduled on each queue at an instant, absent ones left out."""
    counts = dict.fromkeys(queues, 0)
    for shift in shifts:
        if is_absent(absences, shift.agent, now, now + 1):
            continue
        for s in shift.segments:
            if s.queue in counts and s.starts_at <= now < s.ends_at:
                counts[s.queue] += 1
    return counts


SETTLED_SECONDS = 600


def settled(
    shifts: Iterable[PlannedShift], absences: Mapping[str, Sequence[Absence]], queues: Iterable[str], now: int
) -> dict[str, list[str]]:
    """Return agents who should have been on each queue for ten minutes: those just due may still be logging in."""
    found: dict[str, list[str]] = {queue: [] for queue in queues}
    for shift in shifts:
        if is_absent(absences, shift.agent, now, now + 1):
            continue
        for s in shift.segments:
            if s.queue in found and s.starts_at <= now - SETTLED_SECONDS and now < s.ends_at:
                found[s.queue].append(shift.agent)
    return found


def bounds(shifts: Sequence[PlannedShift], shift: PlannedShift, rest: int, longest: int) -> tuple[int, int]:
    """Return how early a shift could start and how late it could end: rest to its neighbours, longest day."""
    before = [s.ends_at for s in shifts if s.ends_at <= shift.starts_at]
    after = [s.starts_at for s in shifts if s.starts_at >= shift.ends_at]
    earliest = max([shift.ends_at - longest, *[b + rest for b in before]])
    latest = min([shift.starts_at + longest, *[a - rest for a in after]])
    return earliest, latest


def last_scaled(records: Iterable[DecisionRecord]) -> dict[str, tuple[int, int]]:
    """Return when each queue was last scaled up and down by decisions that stand."""
    scaled: dict[str, tuple[int, int]] = {}
    for record in records:
        if record.state in ("RECORDED", "REJECTED", "EXPIRED", "FAILED", "SUPERSEDED"):
            continue
        for leg in record.proposal.legs:
            up, down = scaled.get(leg.queue, (0, 0))
            scaled[leg.queue] = (record.decide_at, down) if leg.agents > 0 else (up, record.decide_at)
    return scaled
