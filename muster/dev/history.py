"""Eight weeks of history of the demo's queues, as interval reports packed in columns, and what the month holds so far.

Mail of the last evening and night before a day still lies open when it begins: it is no history, the floor has it.
"""

import dataclasses
import datetime as dt
from collections.abc import Iterator

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from muster.dev.world import INTERVAL, OVER_ANSWERED, QueueWorld, alone_seconds, deadlines, demand
from muster.domain.calendar import DAY
from muster.simulator.arrivals import draw_counts
from muster.simulator.floor import chance
from muster.v1 import volume_pb2

ANSWERED_SHARE = 0.968
WITHIN_SHARE = 0.855
MAIL_IN_TIME_SHARE, MAIL_WAIT_SECONDS = 0.93, 7200
# Mail is done an hour and a half of service after it comes, and service ends at eight in the evening.
OVERNIGHT_SECONDS = 11 * INTERVAL


@dataclasses.dataclass(frozen=True)
class PastInterval:
    """One past interval. Milliseconds."""

    start: int
    offered: int
    answered: int
    abandoned: int
    within: int
    handle_ms: int
    answered_wait_ms: int
    abandoned_wait_ms: int


def past(queue: QueueWorld, begin: int, end: int, seed: int) -> Iterator[PastInterval]:
    """Yield a queue's past intervals between two instants, day by day."""
    for day in range(begin, end, DAY):
        rng = chance(seed, queue.name, day, "history")
        callers, handle_mean = demand(queue, day, min(day + DAY, end)), _handle(queue)
        counts, most = draw_counts(callers, rng), queue.campaign.daily if queue.campaign else None
        for slot, offered in enumerate(int(c) for c in counts):
            if callers.rates[slot] <= 0:
                continue
            if most is not None:  # a campaign's day is over when its contacts are reached
                offered = min(offered, most)
                most -= offered
            answered = offered if queue.deadline or queue.campaign else int(rng.binomial(offered, ANSWERED_SHARE))
            within = int(rng.binomial(answered, MAIL_IN_TIME_SHARE if queue.deadline else WITHIN_SHARE))
            noise = 1 + 0.5 / np.sqrt(max(answered, 1)) * rng.standard_normal()
            handle = answered * handle_mean * max(noise, 0.3)
            left = offered - answered
            yield PastInterval(
                day + slot * INTERVAL,
                offered,
                answered,
                left,
                within,
                int(handle * 1000),
                _waits(queue, answered, within),
                int(left * rng.uniform(30, 80) * 1000),
            )


def _handle(queue: QueueWorld) -> float:
    """Return the AHT that a queue has had: chats go two at a time."""
    return alone_seconds(queue) * queue.stretch[min(1, len(queue.stretch) - 1)]


def _waits(queue: QueueWorld, answered: int, within: int) -> int:
    if queue.campaign:
        return 0
    if queue.deadline:
        return answered * MAIL_WAIT_SECONDS * 1000
    return int(within * 2500 + (answered - within) * 48_000)


def message(queue: QueueWorld, intervals: list[PastInterval], feed: str) -> volume_pb2.VolumeObserved:
    """Return past intervals as one message: of packed columns, or, of mail, of reports, whose deadlines differ."""
    told = volume_pb2.VolumeObserved(queue=queue.name, feed=feed)
    if queue.deadline:
        told.reports.extend(_mail_reports(queue, intervals))
    else:
        told.report_columns.CopyFrom(_columns(queue, intervals))
    return told


def _mail_reports(queue: QueueWorld, intervals: list[PastInterval]) -> Iterator[volume_pb2.IntervalReport]:
    """Yield reports that say how much was done within the least, and the most, that what came may wait."""
    kept = deadlines(queue.name)
    assert kept
    least, most = kept.waits(np.array([i.start for i in intervals], np.int64), INTERVAL)
    for i, *edges in zip(intervals, least, most, strict=True):
        report = volume_pb2.IntervalReport(
            starts_at=Timestamp(seconds=i.start),
            interval_seconds=INTERVAL,
            revision=1,
            offered_count=i.offered,
            answered_count=i.answered,
            abandoned_count=i.abandoned,
            talk_seconds_sum=i.handle_ms / 1000,
            answered_wait_seconds_sum=i.answered_wait_ms / 1000,
        )
        for edge in sorted({int(e) for e in edges}):
            report.answered_within.add(threshold_seconds=edge, count=i.within)
        yield report


def _columns(queue: QueueWorld, intervals: list[PastInterval]) -> volume_pb2.IntervalReportColumns:
    columns = volume_pb2.IntervalReportColumns(
        starts_at_epoch_seconds=[i.start for i in intervals],
        interval_seconds=INTERVAL,
        revision=1,
        offered_count=[i.offered for i in intervals],
        answered_count=[i.answered for i in intervals],
        abandoned_count=[i.abandoned for i in intervals],
        handle_milliseconds_sum=[i.handle_ms for i in intervals],
        answered_wait_milliseconds_sum=[i.answered_wait_ms for i in intervals],
        abandoned_wait_milliseconds_sum=[i.abandoned_wait_ms for i in intervals],
    )
    if not queue.campaign:  # nobody called waits
        columns.threshold_seconds = queue.threshold
        columns.answered_within_count.extend(i.within for i in intervals)
    return columns


def in_month(queue: QueueWorld, intervals: list[PastInterval], begin: int) -> tuple[int, int]:
    """Return (good, base) of the month so far, in the contract's own definition."""
    month = [i for i in intervals if i.start >= begin]
    if queue.campaign:
        days = len({i.start // DAY for i in month})
        return sum(i.answered for i in month), queue.campaign.daily * days
    base = sum(i.answered if queue.client in OVER_ANSWERED else i.offered for i in month)
    return sum(i.within for i in month), base


def month_begin(instant: int) -> int:
    """Return the first instant of the month that an instant lies in, in UTC."""
    first = dt.datetime.fromtimestamp(instant, dt.UTC).replace(day=1, hour=0, minute=0)
    return int(first.timestamp())
