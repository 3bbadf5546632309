"""Protobuf → volume as told: contacts, reports, adjustments, progress. What can't be read is refused here, with its reason."""

import hashlib
import math
from collections.abc import Mapping
from itertools import repeat
from operator import add, attrgetter, gt
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from muster.kit.codec import decode, encode
from muster.kit.outbox import Outgoing
from muster.v1 import book_pb2, feed_pb2, volume_pb2
from services.forecaster.domain.contacts import FINGERPRINT_BYTES, Stage
from services.forecaster.domain.facts import Adjustment, ContactRow, Observed, Progress, ReportColumns, ReportFact
from services.forecaster.domain.tally import Tally
from services.forecaster.errors import refuse

OBSERVED = "muster.volume.observed.v1"
PROGRESSED = "muster.feed.progressed.v1"
LONGEST_SECONDS = 30 * 86_400
MOST_SECONDS = 1e12
HIGHEST_REVISION = 2**62


def fingerprint(contact_id: str) -> int:
    """Return the hash a contact is known by, 56 bits; ids themselves are never stored."""
    return int.from_bytes(hashlib.blake2b(contact_id.encode(), digest_size=12).digest()[:FINGERPRINT_BYTES])


def _milliseconds(message: Message, *fields: str) -> int | None:
    """Return the sum of a contact's seconds in milliseconds; None if none of them is given."""
    total = None
    for name in fields:
        if message.HasField(name):
            value = getattr(message, name)
            if not 0 <= value <= LONGEST_SECONDS:
                raise refuse("INVALID_CONTACT", f"{name} is {value}; allowed: 0 to {LONGEST_SECONDS:g} seconds")
            total = (total or 0) + round(value * 1000)
    return total


def _contact(message: volume_pb2.Contact) -> ContactRow:
    contact_id, revision, arrived_at, stage = (
        message.contact_id,
        message.revision,
        message.arrived_at.seconds,
        int(message.stage),
    )
    if not contact_id:
        raise refuse("INVALID_CONTACT", "contact_id is empty")
    if arrived_at <= 0:
        raise refuse("INVALID_CONTACT", f"contact {contact_id!r} has no arrived_at")
    if not 0 <= revision < HIGHEST_REVISION:
        raise refuse("INVALID_CONTACT", f"revision is {revision}; allowed: 0 to {HIGHEST_REVISION - 1}")
    if not Stage.OFFERED <= stage <= Stage.RETRACTED:
        raise refuse("INVALID_CONTACT", f"stage is {stage}; allowed: {', '.join(Stage.__members__)}")
    wait = talk = hold = after = None
    if Stage.ANSWERED <= stage <= Stage.ABANDONED:
        wait = _milliseconds(message, "queue_seconds", "ring_seconds")
        if stage == Stage.WRAPPED:
            talk = _milliseconds(message, "talk_seconds")
            hold = _milliseconds(message, "hold_seconds")
            after = _milliseconds(message, "after_call_seconds")
    told = [-1 if value is None else value for value in (wait, talk, hold, after)]
    return (arrived_at, fingerprint(contact_id), revision, stage, *told)  # type: ignore[return-value]


def _check_span(start: int, seconds: int, revision: int) -> None:
    if start <= 0:
        raise refuse("INVALID_REPORT", "starts_at is missing")
    if not 60 <= seconds <= 86_400 or start % 60:
        raise refuse("INVALID_REPORT", f"interval_seconds is {seconds}, start {start}; allowed: 60 to 86,400 on whole minutes")
    if revision < 0:
        raise refuse("INVALID_REPORT", f"revision is {revision}; allowed: 0 or more")


CHECKED = (
    "offered",
    "answered",
    "abandoned",
    "overflowed",
    "open",
    "handled",
    "handle_ms",
    "answered_wait_ms",
    "abandoned_wait_ms",
)
_checked = attrgetter(*CHECKED)


def _check_counts(tally: Tally) -> Tally:
    if min(filter(None, _checked(tally)), default=0) < 0:
        worst = ", ".join(f"{n} is {v}" for n, v in zip(CHECKED, _checked(tally), strict=True) if v is not None and v < 0)
        raise refuse("INVALID_REPORT", f"{worst}; allowed: 0 or more")
    if tally.offered is None or tally.answered is None or tally.abandoned is None:
        return tally
    parts = [tally.answered, tally.abandoned, tally.overflowed or 0, tally.open or 0]
    if sum(parts) > tally.offered:
        raise refuse("INVALID_REPORT", f"answered + abandoned + overflowed + open = {parts} exceed offered {tally.offered}")
    return tally


def _bins(edges: list[int], within: Mapping[int, int], total: int | None) -> tuple[int, ...] | None:
    """Return counts per bin of cumulative counts by edge (milliseconds); None where they aren't all observed."""
    if total is None or not within or set(within) != set(edges):
        return None
    counts, before = [], 0
    for edge in edges:
        counts.append(within[edge] - before)
        before = within[edge]
    counts.append(total - before)
    if min(counts) < 0:
        raise refuse("INVALID_REPORT", f"counts within thresholds {dict(within)} fall, or exceed the total {total}")
    return tuple(counts)


def _edge(seconds: float) -> int:
    """Return a threshold in milliseconds."""
    if not (math.isfinite(seconds) and 0 <= seconds <= LONGEST_SECONDS):
        raise refuse("INVALID_REPORT", f"threshold_seconds is {seconds}; allowed: 0 to {LONGEST_SECONDS}")
    return round(seconds * 1000)


def _sum(told: Mapping[str, Any], *fields: str) -> int | None:
    """Return the sum of an interval's seconds in milliseconds, of any number of contacts; None if none of them is told."""
    total = None
    for name in fields:
        value = told.get(name)
        if value is not None:
            if not 0 <= value <= MOST_SECONDS:
                raise refuse("INVALID_REPORT", f"{name} is {value}; allowed: 0 to {MOST_SECONDS:g} seconds")
            total = (total or 0) + round(value * 1000)
    return total


def _report(message: volume_pb2.IntervalReport) -> ReportFact:
    _check_span(message.starts_at.seconds, message.interval_seconds, message.revision)
    told: dict[str, Any] = {field.name: value for field, value in message.ListFields()}
    count = told.get
    answered_within = {_edge(w.threshold_seconds): w.count for w in message.answered_within}
    abandoned_within = {_edge(w.threshold_seconds): w.count for w in message.abandoned_within}
    edges = sorted(answered_within or abandoned_within)
    handle = _sum(told, "talk_seconds_sum", "hold_seconds_sum", "after_call_seconds_sum")
    tally = Tally(
        offered=count("offered_count"),
        answered=count("answered_count"),
        abandoned=count("abandoned_count"),
        short_abandoned=count("short_abandoned_count"),
        overflowed=count("overflowed_out_count"),
        open=count("open_count"),
        handled=count("answered_count") if handle is not None else None,
        handle_ms=handle,
        talk_ms=_sum(told, "talk_seconds_sum"),
        hold_ms=_sum(told, "hold_seconds_sum"),
        after_call_ms=_sum(told, "after_call_seconds_sum"),
        answered_wait_ms=_sum(told, "answered_wait_seconds_sum"),
        abandoned_wait_ms=_sum(told, "abandoned_wait_seconds_sum"),
        edges=tuple(edges),
        answered_waits=_bins(edges, answered_within, count("answered_count")),
        abandoned_waits=_bins(edges, abandoned_within, count("abandoned_count")),
    )
    counted = _check_counts(tally)
    return ReportFact(
        message.starts_at.seconds, message.interval_seconds, message.revision, counted, attribution=_attribution(message)
    )


def _columns(message: volume_pb2.IntervalReportColumns) -> ReportColumns:
    size, seconds, revision = len(message.starts_at_epoch_seconds), message.interval_seconds, message.revision
    told = {
        "offered": message.offered_count,
        "answered": message.answered_count,
        "abandoned": message.abandoned_count,
        "handle_ms": message.handle_milliseconds_sum,
        "answered_wait_ms": message.answered_wait_milliseconds_sum,
        "abandoned_wait_ms": message.abandoned_wait_milliseconds_sum,
    }
    known, within = tuple(message.known_at_epoch_seconds), tuple(message.answered_within_count)
    for name, column in (*told.items(), ("known_at", known), ("within", within)):
        if len(column) not in (0, size):
            raise refuse("INVALID_REPORT", f"column {name} has {len(column)} values for {size} intervals")
    if known and min(known) < 0:
        raise refuse("INVALID_REPORT", f"known_at_epoch_seconds holds {min(known)}; allowed: 0 (when it is read) or more")
    columns = {name: list(column) for name, column in told.items() if column}
    if "handle_ms" in columns and "answered" in columns:
        columns["handled"] = columns["answered"]
    edge = (
        _edge(message.threshold_seconds) if message.HasField("threshold_seconds") and within and "answered" in columns else None
    )
    edges, within = ((), ()) if edge is None else ((edge,), within)
    block = ReportColumns(
        list(message.starts_at_epoch_seconds), seconds, revision, columns, edges, within, known, _attribution(message)
    )
    if not _is_plain(block):
        for row in range(size):
            _check_span(block.starts[row], seconds, revision)
            if edge is not None:
                _bins([edge], {edge: within[row]}, columns["answered"][row])
            _check_counts(block.fact(row).tally)
    return block


def _is_plain(block: ReportColumns) -> bool:
    """Return whether nothing in a block can be wrong, looking at columns as a whole."""
    columns, nothing = block.columns, repeat(0)
    offered, answered, abandoned = (columns.get(name) for name in ("offered", "answered", "abandoned"))
    return (
        60 <= block.seconds <= 86_400
        and block.revision >= 0
        and min(block.starts, default=0) > 0
        and not any(start % 60 for start in block.starts)
        and all(min(column) >= 0 for column in (*columns.values(), block.within or (0,)))
        and not (offered and answered and abandoned and any(map(gt, map(add, answered, abandoned), offered)))
        and not any(map(gt, block.within, answered or nothing))
    )


def _attribution(message: volume_pb2.IntervalReport | volume_pb2.IntervalReportColumns) -> int:
    """Return to which interval a report counts a contact; 0 is its arrival's, said or not."""
    value = message.attribution
    if value not in volume_pb2.Attribution.DESCRIPTOR.values_by_number:
        raise refuse("INVALID_REPORT", f"attribution is {value}; allowed: ARRIVAL, OUTCOME, END")
    return 0 if value == volume_pb2.ATTRIBUTION_ARRIVAL else value


def _adjustment(message: volume_pb2.VolumeAdjustment) -> Adjustment:
    start, seconds = message.starts_at.seconds, message.interval_seconds
    if not message.adjustment_id or not message.reason:
        raise refuse("INVALID_ADJUSTMENT", "adjustment_id and reason must both be given")
    if start <= 0 or start % 60 or not 60 <= seconds <= 86_400 or message.revision < 0:
        raise refuse("INVALID_ADJUSTMENT", f"start {start}, interval_seconds {seconds}, revision {message.revision}")

    def count(name: str) -> int | None:
        return int(getattr(message, name)) if message.HasField(name) else None  # type: ignore[arg-type]

    return Adjustment(
        message.adjustment_id,
        message.revision,
        start,
        seconds,
        count("offered_count"),
        count("answered_count"),
        count("abandoned_count"),
        count("handle_milliseconds_sum"),
        message.reason,
        message.adjusted_by,
    )


def adjustment_message(a: Adjustment) -> volume_pb2.VolumeAdjustment:
    """Return an adjustment on the wire."""
    return volume_pb2.VolumeAdjustment(
        adjustment_id=a.adjustment_id,
        revision=a.revision,
        starts_at=Timestamp(seconds=a.starts_at),
        interval_seconds=a.seconds,
        offered_count=a.offered,
        answered_count=a.answered,
        abandoned_count=a.abandoned,
        handle_milliseconds_sum=a.handle_ms,
        reason=a.reason,
        adjusted_by=a.adjusted_by,
    )


def check_observed(message: volume_pb2.VolumeObserved) -> Observed:
    """Return a message's facts. Raise Refusal."""
    queue = message.queue
    client, slash, name = queue.partition("/")
    if not (client and slash and name) or len(queue) > 127:
        raise refuse("NO_QUEUE", f"queue is {queue[:60]!r}; allowed: client/queue")
    contacts = tuple([_contact(c) for c in message.contacts])
    reports = tuple([_report(r) for r in message.reports])
    columns = _columns(message.report_columns) if message.HasField("report_columns") else None
    columns = columns if columns and columns.starts else None
    adjustments = tuple([_adjustment(a) for a in message.adjustments])
    if not contacts and not reports and not adjustments and columns is None:
        raise refuse("NO_CONTENT", "the message carries neither contacts nor reports")
    return Observed(queue, message.feed, message.basis == book_pb2.BASIS_OFFICIAL, contacts, reports, adjustments, columns)


def read_observed(value: bytes | None, headers: Mapping[str, bytes]) -> Observed:
    """Decode muster.volume.observed.v1. Raise Refusal."""
    return check_observed(decode(volume_pb2.VolumeObserved, value, headers))


def read_progress(value: bytes | None, headers: Mapping[str, bytes]) -> Progress:
    """Decode muster.feed.progressed.v1. Raise Refusal."""
    message = decode(feed_pb2.FeedProgressed, value, headers)
    if not message.client or not message.feed or message.complete_through.seconds <= 0:
        raise refuse("INVALID_PROGRESS", "client, feed and complete_through must all be given")
    return Progress(message.client, message.feed, tuple(message.queues), message.complete_through.seconds)


def observed_message(fact: volume_pb2.VolumeObserved) -> Outgoing:
    """Return a fact received over gRPC as the message a client system would have sent."""
    return Outgoing(OBSERVED, fact.queue, encode(fact))
