"""A decision's life: issued, answered, carried out, or not. Each step is a new revision."""

import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from services.staffing.domain.group import GroupOutlook, Leg, Named, Proposal, decision_id, inputs_hash

OPEN, ACCEPTED, REJECTED, EXPIRED = "OPEN", "ACCEPTED", "REJECTED", "EXPIRED"
DONE, SUPERSEDED, RECORDED, FAILED = "DONE", "SUPERSEDED", "RECORDED", "FAILED"
UNDER_WAY = (OPEN, ACCEPTED)


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What a decision was made on: versions and event-time watermarks, per queue in the order of `queues`."""

    queues: tuple[str, ...]
    forecast_versions: tuple[int, ...]
    requirement_versions: tuple[int, ...]
    complete_through: tuple[int, ...]
    schedule_version: int
    presence: str
    floor_watermark: int | None
    absent_agents: int
    inputs_hash: str


@dataclasses.dataclass(frozen=True)
class DecisionRecord:
    """A decision and what became of it. `accepted` are the agents who accepted, once answered."""

    decision_id: str
    group: str
    ordinal: int
    clients: tuple[str, ...]
    proposal: Proposal
    currency: str
    decide_at: int
    expires_at: int
    autonomy: str
    evidence: Evidence
    state: str
    state_reason: str = ""
    revision: int = 1
    accepted: tuple[str, ...] | None = None
    schedule_version: int = 0

    def step(self, state: str, reason: str, **changes: Any) -> "DecisionRecord":
        """Return the next step of its life."""
        return dataclasses.replace(self, state=state, state_reason=reason, revision=self.revision + 1, **changes)


def issue(
    outlook: GroupOutlook, proposal: Proposal, ordinal: int, trigger: str, autonomy: str, limit: int | None
) -> DecisionRecord:
    """Give a proposal its id and first state: RECORDED (hold, SHADOW), OPEN (PILOT, or over the limit) or ACCEPTED (LIVE)."""
    queues = [q for _, q in sorted(outlook.queues.items())]
    minute = outlook.now - outlook.now % 60
    evidence = Evidence(
        tuple(q.queue for q in queues),
        tuple(q.forecast_version for q in queues),
        tuple(q.requirement_version for q in queues),
        tuple(q.complete_through for q in queues),
        outlook.schedule_version,
        outlook.presence,
        outlook.floor_watermark,
        outlook.absent,
        inputs_hash(outlook),
    )
    state, reason, accepted = OPEN, "waits for an answer", None
    if proposal.kind == "HOLD" or autonomy == "SHADOW":
        state, reason = RECORDED, "hold" if proposal.kind == "HOLD" else "the lever is in SHADOW for a client"
    elif autonomy == "LIVE" and (limit is None or proposal.count <= limit):
        state, reason, accepted = ACCEPTED, "accepted by policy", tuple(n.agent for n in proposal.candidates)
    elif autonomy == "LIVE":
        reason = f"touches {proposal.count} agents, over the policy's {limit}; waits for an answer"
    return DecisionRecord(
        decision_id=decision_id(outlook.group, minute, trigger, ordinal),
        group=outlook.group,
        ordinal=ordinal,
        clients=tuple(sorted({q.client for q in queues})),
        proposal=proposal,
        currency=outlook.currency,
        decide_at=minute,
        expires_at=proposal.effective_at,
        autonomy=autonomy,
        evidence=evidence,
        state=state,
        state_reason=reason,
        accepted=accepted,
    )


def to_body(record: DecisionRecord) -> dict[str, Any]:
    """Return a record as JSON takes it, which reads dataclasses by itself."""
    return {**vars(record), "proposal": {**vars(record.proposal), "cost": str(record.proposal.cost)}}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def from_body(body: Mapping[str, Any]) -> DecisionRecord:
    """Return the record of its data."""
    p = dict(body["proposal"])
    p["legs"] = tuple(Leg(**leg) for leg in p["legs"])
    p["candidates"] = tuple(Named(**n) for n in p["candidates"])
    p["cost"] = Decimal(p["cost"])
    rest = {**body, "proposal": Proposal(**p), "evidence": Evidence(**_plain(body["evidence"]))}
    return DecisionRecord(**_plain(rest))
