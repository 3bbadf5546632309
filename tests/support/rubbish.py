"""Kinds of messages that can't be used, each with the reasons that may be given for it."""

import json
import random
from collections.abc import Callable
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from muster.v1 import volume_pb2

Bad = Callable[[random.Random, int], bytes]


def _contact(now: int, **changes: Any) -> volume_pb2.Contact:
    told: dict[str, Any] = {
        "contact_id": "c",
        "revision": 1,
        "stage": volume_pb2.STAGE_OFFERED,
        "arrived_at": Timestamp(seconds=now - 60),
    }
    return volume_pb2.Contact(**{**told, **changes})


def _with(contact: volume_pb2.Contact, queue: str = "acme/help") -> bytes:
    return volume_pb2.VolumeObserved(queue=queue, feed="live", contacts=[contact]).SerializeToString()


def _report(now: int, **changes: Any) -> bytes:
    told: dict[str, Any] = {
        "starts_at": Timestamp(seconds=now - now % 1800 - 3600),
        "interval_seconds": 1800,
        "offered_count": 5,
    }
    report = volume_pb2.IntervalReport(**{**told, **changes})
    return volume_pb2.VolumeObserved(queue="acme/help", feed="live", reports=[report]).SerializeToString()


def _columns(now: int, **changes: Any) -> bytes:
    start = now - now % 1800 - 3600
    told: dict[str, Any] = {"starts_at_epoch_seconds": [start, start + 1800], "interval_seconds": 1800, "offered_count": [1, 2]}
    columns = volume_pb2.IntervalReportColumns(**{**told, **changes})
    return volume_pb2.VolumeObserved(queue="acme/help", feed="live", report_columns=columns).SerializeToString()


def _json(now: int, **changes: object) -> bytes:
    contact = {"contactId": "c", "revision": 1, "stage": "STAGE_OFFERED", "arrivedAt": "2026-01-01T00:00:00Z", **changes}
    return json.dumps({"queue": "acme/help", "feed": "live", "contacts": [contact]}).encode()


def _infinite(now: int) -> bytes:
    return _with(_contact(now, stage=volume_pb2.STAGE_ANSWERED, queue_seconds=float("inf")))


def _nan(now: int) -> bytes:
    return _with(_contact(now, stage=volume_pb2.STAGE_ANSWERED, queue_seconds=float("nan")))


KINDS: dict[str, tuple[Bad, str]] = {
    "nothing": (lambda luck, now: b"", "EMPTY"),
    "noise": (lambda luck, now: b"\x07" + luck.randbytes(40), "NOT_PROTOBUF"),
    "text": (lambda luck, now: b"contacts: 3", "NOT_PROTOBUF"),
    "cut protobuf": (lambda luck, now: _with(_contact(now))[:-3], "NOT_PROTOBUF"),
    "an endless length": (lambda luck, now: b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "NOT_PROTOBUF"),
    "not UTF-8 in a name": (lambda luck, now: b"\x0a\x04\xff\xfe/a", "NOT_PROTOBUF"),
    "open JSON": (lambda luck, now: b'{"queue": "acme/help", ', "NOT_JSON"),
    "JSON list": (lambda luck, now: b"[1, 2, 3]", "NOT_JSON"),
    "JSON not UTF-8": (lambda luck, now: b'{"queue": "\xff"}', "NOT_JSON"),
    "JSON deep": (lambda luck, now: b'{"contacts":' * 2000, "NOT_JSON NOT_PROTOBUF"),
    "JSON wrong type": (lambda luck, now: _json(now, revision="many"), "NOT_JSON"),
    "JSON half a character": (lambda luck, now: _json(now, revision="\ud800 1"), "NOT_JSON"),
    "JSON no such date": (lambda luck, now: _json(now, arrivedAt="2026-02-30T00:00:00Z"), "NOT_JSON"),
    "JSON unknown stage": (lambda luck, now: _json(now, stage="STAGE_GONE"), "INVALID_CONTACT NOT_JSON"),
    "no queue": (lambda luck, now: _with(_contact(now), ""), "NO_QUEUE"),
    "queue without client": (lambda luck, now: _with(_contact(now), "help"), "NO_QUEUE"),
    "endless queue": (lambda luck, now: _with(_contact(now), "acme/" + "q" * 500), "NO_QUEUE"),
    "no content": (lambda luck, now: volume_pb2.VolumeObserved(queue="acme/help").SerializeToString(), "NO_CONTENT"),
    "no contact id": (lambda luck, now: _with(_contact(now, contact_id="")), "INVALID_CONTACT"),
    "no arrival": (
        lambda luck, now: _with(volume_pb2.Contact(contact_id="c", stage=volume_pb2.STAGE_OFFERED)),
        "INVALID_CONTACT",
    ),
    "negative revision": (lambda luck, now: _with(_contact(now, revision=-1)), "INVALID_CONTACT"),
    "endless revision": (lambda luck, now: _with(_contact(now, revision=2**63 - 1)), "INVALID_CONTACT"),
    "no stage": (lambda luck, now: _with(_contact(now, stage=0)), "INVALID_CONTACT"),
    "unknown stage": (lambda luck, now: _with(_contact(now, stage=99)), "INVALID_CONTACT"),  # an open enum takes it
    "negative wait": (
        lambda luck, now: _with(_contact(now, stage=volume_pb2.STAGE_ANSWERED, queue_seconds=-1)),
        "INVALID_CONTACT",
    ),
    "wait that is no number": (lambda luck, now: _nan(now), "INVALID_CONTACT"),
    "endless wait": (lambda luck, now: _infinite(now), "INVALID_CONTACT"),
    "too late": (lambda luck, now: _with(_contact(now, arrived_at=Timestamp(seconds=now - 90 * 3600))), "VOLUME_TOO_LATE"),
    "report off the grid": (
        lambda luck, now: _report(now, starts_at=Timestamp(seconds=now - now % 1800 - 3540)),
        "MISALIGNED_INTERVAL",
    ),
    "report of no length": (lambda luck, now: _report(now, interval_seconds=0), "INVALID_REPORT"),
    "report of negative count": (lambda luck, now: _report(now, offered_count=-5), "INVALID_REPORT"),
    "report whose parts exceed it": (lambda luck, now: _report(now, answered_count=4, abandoned_count=4), "INVALID_REPORT"),
    "columns of two lengths": (lambda luck, now: _columns(now, offered_count=[1]), "INVALID_REPORT"),
    "columns of negative counts": (lambda luck, now: _columns(now, offered_count=[1, -2]), "INVALID_REPORT"),
    "columns known before 1970": (lambda luck, now: _columns(now, known_at_epoch_seconds=[-60, 0]), "INVALID_REPORT"),
    "adjustment without a reason": (
        lambda luck, now: volume_pb2.VolumeObserved(
            queue="acme/help", adjustments=[volume_pb2.VolumeAdjustment(adjustment_id="a")]
        ).SerializeToString(),
        "INVALID_ADJUSTMENT",
    ),
}
