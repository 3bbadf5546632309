"""A version of a schedule: draft, then published, then superseded; never changed once made."""

import dataclasses

DRAFT, PUBLISHED, SUPERSEDED = "DRAFT", "PUBLISHED", "SUPERSEDED"


@dataclasses.dataclass(frozen=True)
class Version:
    """What is known of a version beside its shifts. Instants are seconds since 1970."""

    group: str
    version: int
    state: str
    starts_at: int
    ends_at: int
    made_at: int
    reason: str
    queues: tuple[str, ...]
    shift_count: int
    agent_count: int
    paid_hours: float
    uncovered_hours: float
    violation_count: int
    decision_ids: tuple[str, ...] = ()
    base: int = 0
