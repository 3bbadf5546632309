"""What can go wrong in any service.

MusterError            has a stable `reason`, the same in gRPC, logs and the dead-letter topic
├── Refusal            a message or request that can't be taken; carries violations
├── NotFound           what was asked for does not exist
├── NotNow             the state does not allow it; asking again later may help
├── SourceReplaced     a topic or cluster is not the one whose positions we hold
├── SourceOutOfRange   our position lies before what the broker still keeps
└── NotReady           a dependency is missing; the service stays up and says so
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Violation:
    """One fault of one field: where, and what is allowed."""

    field: str
    description: str


class MusterError(Exception):
    """An error a person can act on: what happened, why, what to do. `reason` never changes between versions."""

    def __init__(self, reason: str, message: str, violations: tuple[Violation, ...] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.violations = violations

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class Refusal(MusterError):
    """A message or request that can't be taken, now or later."""


class NotFound(MusterError):
    """What was asked for does not exist."""


class NotNow(MusterError):
    """The state of things does not allow it."""


class SourceReplaced(MusterError):
    """The topic was recreated, or the cluster is another: positions mean nothing there."""


class SourceOutOfRange(MusterError):
    """Messages between our position and the oldest kept one are gone."""


class NotReady(MusterError):
    """A dependency is missing."""
