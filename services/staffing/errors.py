"""What staffing refuses, by reason. The tree is that of muster.kit.errors.

Refusal
├── EMPTY, NOT_JSON, NOT_PROTOBUF     the bytes say nothing
├── NO_QUEUE, NO_AGENT, NO_INSTANT    a fact about nobody, nothing, or no time
├── INVALID_STATE, INVALID_ARRAYS     an impossible value; columns of different lengths
├── INVALID_SPAN                      an absence that ends before it starts
├── INVALID_BOOK                      ApplyBook: one violation per fault
├── INVALID_DATE, INVALID_PAGE        a request that makes no sense
└── NOT_A_CANDIDATE                   RespondToDecision names an agent that the decision doesn't
NotFound
└── NO_SUCH_QUEUE, NO_SUCH_DECISION
NotNow
├── NOT_OPEN                          the decision has been answered, carried out or has expired
└── CURSOR_TOO_OLD                    WatchDecisions: the position lies before what is kept
"""

from muster.kit.errors import Refusal


def refuse(reason: str, message: str) -> Refusal:
    """Return a refusal of one fact."""
    return Refusal(reason, message)
