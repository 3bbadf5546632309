"""What the forecaster refuses, by reason. The tree is that of muster.kit.errors.

Refusal
├── EMPTY, NOT_JSON, NOT_PROTOBUF    the bytes say nothing
├── NO_QUEUE, NO_CONTENT             a message about no queue, or with no facts
├── INVALID_CONTACT, INVALID_REPORT,
│   INVALID_ADJUSTMENT               a field has no value or an impossible one
├── MISALIGNED_INTERVAL              a report does not divide or make up the queue's intervals, or a
│                                    received forecast is of others or longer ones
├── VOLUME_TOO_LATE                  a contact older than the lateness horizon
├── PERIOD_LOCKED                    a fact of a period that is locked; a correction is an adjustment
├── QUEUE_LIMIT                      1,000 facts of undeclared queues are parked already
├── INVALID_PROGRESS                 progress without client, feed or instant
├── INVALID_FORECAST                 a received forecast with impossible values, lengths or source
└── UNKNOWN_QUEUE                    a received forecast of a queue that is not declared
"""

from muster.kit.errors import Refusal

PARKED_LIMIT = 1000


def refuse(reason: str, message: str) -> Refusal:
    """Return a refusal of one fact."""
    return Refusal(reason, message)
