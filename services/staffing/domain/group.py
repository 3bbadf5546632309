"""What a decision is made on, and what it says: the next hours of a group's queues, agents and levers; legs, candidates, price."""

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
COOL_DOWN_SECONDS = 3600
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

    def first_slot(self, lever: LeverRule) -> int:
        """Return the first slot that a lever can change; SLOTS when that lies beyond what is looked at."""
        earliest = self.now + max(lever.lead, lever.notice)
        return min(math.ceil((earliest - self.begin) / SLOT), SLOTS)

    def cooling(self, name: str, up: bool) -> bool:
        """Return whether a queue was scaled the other way within the cool-down."""
        last_up, last_down = self.scaled.get(name, (0, 0))
        return self.now - (last_down if up else last_up) < COOL_DOWN_SECONDS

    def span(self, slots: slice) -> tuple[int, int]:
        """Return the instants at which slots begin and end."""
        return self.begin + slots.start * SLOT, self.begin + slots.stop * SLOT


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
