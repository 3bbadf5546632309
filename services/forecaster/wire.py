"""Protobuf ⇄ the forecaster's domain. What can't be read is refused here, with its reason."""

import hashlib
import math
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from muster.kit.codec import decode, encode
from muster.kit.outbox import Outgoing
from muster.v1 import book_pb2, feed_pb2, forecast_pb2, volume_pb2
from services.forecaster.domain.facts import Observed, Progress, PublishedDay, ReportFact
from services.forecaster.domain.forecast import LEVELS
from services.forecaster.domain.volume import Cell, ContactState, Stage, Tally
from services.forecaster.errors import refuse

OBSERVED = "muster.volume.observed.v1"
PROGRESSED = "muster.feed.progressed.v1"
CLOSED = "muster.volume.closed.v1"
PUBLISHED = "muster.forecast.published.v1"
LONGEST_SECONDS = 30 * 86_400
WAITED = {Stage.ANSWERED, Stage.ENDED, Stage.WRAPPED, Stage.ABANDONED}


def fingerprint(contact_id: str) -> str:
    """Return the hash a contact is known by; ids themselves are never stored."""
    return hashlib.blake2b(contact_id.encode(), digest_size=12).hexdigest()


def _milliseconds(message: Message, *fields: str, most: float = LONGEST_SECONDS, reason: str = "INVALID_CONTACT") -> int | None:
    """Return the sum of seconds fields in milliseconds; None if none of them is given."""
    values = [getattr(message, f) for f in fields if message.HasField(f)]
    for value in values:
        if not (math.isfinite(value) and 0 <= value <= most):
            raise refuse(reason, f"{'/'.join(fields)} is {value}; allowed: 0 to {most:g} seconds")
    return round(sum(values) * 1000) if values else None


def _contact(message: volume_pb2.Contact) -> ContactState:
    if not message.contact_id:
        raise refuse("INVALID_CONTACT", "contact_id is empty")
    if not message.HasField("arrived_at") or message.arrived_at.seconds <= 0:
        raise refuse("INVALID_CONTACT", f"contact {message.contact_id!r} has no arrived_at")
    if message.revision < 0:
        raise refuse("INVALID_CONTACT", f"revision is {message.revision}; allowed: 0 or more")
    names = volume_pb2.Stage.DESCRIPTOR.values_by_number
    if message.stage not in names or message.stage == volume_pb2.STAGE_UNSPECIFIED:
        raise refuse("INVALID_CONTACT", f"stage is {message.stage}; allowed: {', '.join(Stage)}")
    stage = Stage(names[message.stage].name.removeprefix("STAGE_"))
    handle = _milliseconds(message, "talk_seconds", "hold_seconds", "after_call_seconds") if stage == Stage.WRAPPED else None
    wait = _milliseconds(message, "queue_seconds", "ring_seconds") if stage in WAITED else None
    return ContactState(fingerprint(message.contact_id), message.revision, message.arrived_at.seconds, stage, wait, handle)


def _check_span(start: int, seconds: int, revision: int) -> None:
    if start <= 0:
        raise refuse("INVALID_REPORT", "starts_at is missing")
    if not 60 <= seconds <= 86_400 or start % 60:
        raise refuse("INVALID_REPORT", f"interval_seconds is {seconds}, start {start}; allowed: 60 to 86,400 on whole minutes")
    if revision < 0:
        raise refuse("INVALID_REPORT", f"revision is {revision}; allowed: 0 or more")


def _check_counts(tally: Tally) -> Tally:
    for name in ("offered", "answered", "abandoned", "overflowed", "open", "handled", "handle_ms", "answered_wait_ms"):
        value = getattr(tally, name)
        if value is not None and value < 0:
            raise refuse("INVALID_REPORT", f"{name} is {value}; allowed: 0 or more")
    parts = [tally.answered, tally.abandoned, tally.overflowed or 0, tally.open or 0]
    if tally.offered is not None and None not in parts and sum(p for p in parts if p is not None) > tally.offered:
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


def _sum(message: Message, *fields: str) -> int | None:
    """Return an interval's sum in milliseconds: of any number of contacts, so without a contact's limit."""
    return _milliseconds(message, *fields, most=1e12, reason="INVALID_REPORT")


def _report(message: volume_pb2.IntervalReport) -> ReportFact:
    _check_span(message.starts_at.seconds, message.interval_seconds, message.revision)

    def count(name: str) -> int | None:
        return int(getattr(message, name)) if message.HasField(name) else None  # type: ignore[arg-type]

    answered_within = {_edge(w.threshold_seconds): w.count for w in message.answered_within}
    abandoned_within = {_edge(w.threshold_seconds): w.count for w in message.abandoned_within}
    edges = sorted(answered_within or abandoned_within)
    handle = _sum(message, "talk_seconds_sum", "hold_seconds_sum", "after_call_seconds_sum")
    tally = Tally(
        offered=count("offered_count"),
        answered=count("answered_count"),
        abandoned=count("abandoned_count"),
        short_abandoned=count("short_abandoned_count"),
        overflowed=count("overflowed_out_count"),
        open=count("open_count"),
        handled=count("answered_count") if handle is not None else None,
        handle_ms=handle,
        answered_wait_ms=_sum(message, "answered_wait_seconds_sum"),
        abandoned_wait_ms=_sum(message, "abandoned_wait_seconds_sum"),
        edges=tuple(edges),
        answered_waits=_bins(edges, answered_within, count("answered_count")),
        abandoned_waits=_bins(edges, abandoned_within, count("abandoned_count")),
    )
    return ReportFact(message.starts_at.seconds, message.interval_seconds, message.revision, _check_counts(tally))


def _columns(message: volume_pb2.IntervalReportColumns) -> list[ReportFact]:
    size = len(message.starts_at_epoch_seconds)
    names = {
        "offered": message.offered_count,
        "answered": message.answered_count,
        "abandoned": message.abandoned_count,
        "handle_ms": message.handle_milliseconds_sum,
        "answered_wait_ms": message.answered_wait_milliseconds_sum,
        "abandoned_wait_ms": message.abandoned_wait_milliseconds_sum,
    }
    for name, column in (
        *names.items(),
        ("known_at", message.known_at_epoch_seconds),
        ("within", message.answered_within_count),
    ):
        if len(column) not in (0, size):
            raise refuse("INVALID_REPORT", f"column {name} has {len(column)} values for {size} intervals")
    edges = (_edge(message.threshold_seconds),) if message.HasField("threshold_seconds") else ()
    facts = []
    for i, start in enumerate(message.starts_at_epoch_seconds):
        _check_span(start, message.interval_seconds, message.revision)
        values: dict[str, Any] = {name: column[i] if column else None for name, column in names.items()}
        within = {edges[0]: message.answered_within_count[i]} if edges and message.answered_within_count else {}
        tally = Tally(
            **values,
            handled=values["answered"] if values["handle_ms"] is not None else None,
            edges=edges if within else (),
            answered_waits=_bins(list(edges), within, values["answered"]),
        )
        known_at = message.known_at_epoch_seconds[i] if message.known_at_epoch_seconds else None
        facts.append(ReportFact(start, message.interval_seconds, message.revision, _check_counts(tally), known_at))
    return facts


def check_observed(message: volume_pb2.VolumeObserved) -> Observed:
    """Return a message's facts. Raise Refusal."""
    client, slash, name = message.queue.partition("/")
    if not (client and slash and name) or len(message.queue) > 127:
        raise refuse("NO_QUEUE", f"queue is {message.queue[:60]!r}; allowed: client/queue")
    contacts = tuple(_contact(c) for c in message.contacts)
    columns = _columns(message.report_columns) if message.HasField("report_columns") else []
    reports = tuple(_report(r) for r in message.reports) + tuple(columns)
    if not contacts and not reports:
        raise refuse("NO_CONTENT", "the message carries neither contacts nor reports")
    return Observed(message.queue, message.feed, message.basis == book_pb2.BASIS_OFFICIAL, contacts, reports)


def read_observed(value: bytes | None, headers: Mapping[str, bytes]) -> Observed:
    """Decode muster.volume.observed.v1. Raise Refusal."""
    return check_observed(decode(volume_pb2.VolumeObserved, value, headers))


def read_progress(value: bytes | None, headers: Mapping[str, bytes]) -> Progress:
    """Decode muster.feed.progressed.v1. Raise Refusal."""
    message = decode(feed_pb2.FeedProgressed, value, headers)
    if not message.client or not message.feed or message.complete_through.seconds <= 0:
        raise refuse("INVALID_PROGRESS", "client, feed and complete_through must all be given")
    return Progress(message.client, message.feed, tuple(message.queues), message.complete_through.seconds)


def cell_message(
    queue: str, seconds: int, cell: Cell, revision: int, is_closed: bool, complete_through: int
) -> volume_pb2.VolumeCell:
    """Return a cell on the wire."""
    t = cell.tally
    message = volume_pb2.VolumeCell(
        queue=queue,
        starts_at=Timestamp(seconds=cell.starts_at),
        interval_seconds=seconds,
        revision=revision,
        basis=book_pb2.BASIS_OFFICIAL if cell.official else book_pb2.BASIS_REALTIME,
        closed=is_closed,
        offered_count=t.offered,
        answered_count=t.answered,
        abandoned_count=t.abandoned,
        overflowed_out_count=t.overflowed,
        open_count=t.open,
        handled_count=t.handled,
        handle_milliseconds_sum=t.handle_ms,
        answered_wait_milliseconds_sum=t.answered_wait_ms,
        abandoned_wait_milliseconds_sum=t.abandoned_wait_ms,
        short_abandoned_count=t.short_abandoned,
        wait_edges_milliseconds=t.edges,
        answered_waits=t.answered_waits or (),
        abandoned_waits=t.abandoned_waits or (),
        interpolated=cell.interpolated,
        other_basis_offered_count=cell.other_offered,
    )
    if complete_through:
        message.complete_through.seconds = complete_through
    return message


def closed_message(queue: str, seconds: int, cell: Cell, revision: int, complete_through: int) -> Outgoing:
    """Return the message that tells what an interval became."""
    body = volume_pb2.VolumeClosed(cell=cell_message(queue, seconds, cell, revision, True, complete_through))
    return Outgoing(CLOSED, queue, encode(body))


def day_message(day: PublishedDay) -> forecast_pb2.ForecastDay:
    """Return a forecast day on the wire."""
    trigger = forecast_pb2.ForecastTrigger.Value(f"FORECAST_TRIGGER_{day.trigger}")
    return forecast_pb2.ForecastDay(
        queue=day.queue,
        local_date=day.local_date,
        interval_seconds=day.seconds,
        starts_at_epoch_seconds=day.starts,
        version=day.version,
        source=forecast_pb2.FORECAST_SOURCE_ENGINE,
        trigger=trigger,
        offered_count=day.offered,
        aht_seconds=day.aht,
        quantile_levels=LEVELS,
        offered_quantiles=[q for row in day.offered_quantiles for q in row],
        aht_quantiles=[q for row in day.aht_quantiles for q in row],
        rests_on=day.rests_on,
        history_days=day.history_days,
        data_watermark=Timestamp(seconds=day.data_watermark),
        made_at=Timestamp(seconds=day.made_at),
        day_factor=day.day_factor,
    )


def published_message(day: PublishedDay) -> Outgoing:
    """Return the message that publishes a forecast day."""
    return Outgoing(PUBLISHED, day.queue, encode(forecast_pb2.ForecastPublished(day=day_message(day))))


def observed_message(fact: volume_pb2.VolumeObserved) -> Outgoing:
    """Return a fact received over gRPC as the message a client system would have sent."""
    return Outgoing(OBSERVED, fact.queue, encode(fact))
