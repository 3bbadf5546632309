"""What the scheduler refuses, by reason. The tree is that of muster.kit.errors.

Refusal
├── EMPTY, NOT_JSON, NOT_PROTOBUF           the bytes say nothing
├── NO_QUEUE, NO_AGENT, INVALID_ARRAYS      a fact about nothing; columns of different lengths
├── INVALID_SPAN                            an absence that ends before it starts
├── INVALID_BOOK                            ApplyBook: one violation per fault
└── INVALID_WEEKS, INVALID_DATE             SolveSchedules: weeks 1 to 6, a Monday
NotFound
└── NO_SUCH_GROUP, NO_SUCH_SCHEDULE, NO_SUCH_OPERATION
NotNow
├── NO_REQUIREMENT                          nothing to solve for yet
├── AUDIT_FAILED                            the audit found violations; they are listed
├── NOT_A_DRAFT                             the version is, or was, in force already
└── STALE_BASE                              weeks of the draft were published anew since it was made
"""

from muster.kit.errors import Refusal


def refuse(reason: str, message: str) -> Refusal:
    """Return a refusal of one fact."""
    return Refusal(reason, message)
