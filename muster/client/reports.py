"""Intervals → the messages that report them, packed in columns where that can be."""

from collections.abc import Iterator

from muster.client.imports import WAIT_EDGES, Interval
from muster.v1 import volume_pb2


def report(interval: Interval, seconds: int, revision: int) -> volume_pb2.IntervalReport:
    """Return an interval as a report."""
    message = volume_pb2.IntervalReport(
        interval_seconds=seconds,
        revision=revision,
        offered_count=interval.offered,
        answered_count=interval.answered,
        abandoned_count=interval.abandoned,
    )
    message.starts_at.seconds = interval.start
    for name, value in (
        ("talk_seconds_sum", interval.handle_ms),
        ("answered_wait_seconds_sum", interval.answered_wait_ms),
        ("abandoned_wait_seconds_sum", interval.abandoned_wait_ms),
    ):
        if value is not None:
            setattr(message, name, value / 1000)
    for field, bins in (("answered_within", interval.answered_waits), ("abandoned_within", interval.abandoned_waits)):
        total = 0
        for edge, count in zip(WAIT_EDGES, bins or (), strict=False):
            total += count
            getattr(message, field).add(threshold_seconds=edge, count=total)
    return message


def messages(
    queue: str, feed: str, intervals: list[Interval], seconds: int, revision: int
) -> Iterator[tuple[int, volume_pb2.VolumeObserved]]:
    """Yield (how many intervals, message), packed in columns where no waits are known."""
    plain = all(i.answered_waits is None for i in intervals)
    size = 1000 if plain else 250
    for first in range(0, len(intervals), size):
        chunk = intervals[first : first + size]
        message = volume_pb2.VolumeObserved(queue=queue, feed=feed, basis=1)  # type: ignore[arg-type]
        if plain and _same_columns(chunk):
            _columns(message.report_columns, chunk, seconds, revision)
        else:
            message.reports.extend(report(i, seconds, revision) for i in chunk)
        yield len(chunk), message


def _same_columns(chunk: list[Interval]) -> bool:
    """Return whether each column is known for all intervals or for none."""
    names = ("answered", "abandoned", "handle_ms", "known_at")
    return all(len({getattr(i, name) is None for i in chunk}) == 1 for name in names)


def _columns(message: volume_pb2.IntervalReportColumns, chunk: list[Interval], seconds: int, revision: int) -> None:
    message.interval_seconds, message.revision = seconds, revision
    for field, name in (
        ("starts_at_epoch_seconds", "start"),
        ("offered_count", "offered"),
        ("answered_count", "answered"),
        ("abandoned_count", "abandoned"),
        ("handle_milliseconds_sum", "handle_ms"),
        ("known_at_epoch_seconds", "known_at"),
    ):
        values = [getattr(i, name) for i in chunk]
        if None not in values:
            getattr(message, field).extend(values)
        elif name == "known_at":  # not told: as soon as the interval was over
            getattr(message, field).extend([i.start + seconds for i in chunk])
