"""Eight weeks of history of the demo's queues, as interval reports packed in columns, and what the month holds so far."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from muster.dev.world import INTERVAL, QueueWorld, demand
from muster.domain.calendar import DAY
from muster.simulator.arrivals import draw_counts, expected_handle
from muster.simulator.floor import chance
from muster.v1 import volume_pb2

ANSWERED_SHARE = 0.968
WITHIN_SHARE = 0.855


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
        callers = demand(queue, day, min(day + DAY, end))
        counts = draw_counts(callers, rng)
        for slot, offered in enumerate(int(c) for c in counts):
            if callers.rates[slot] <= 0:
                continue
            answered = int(rng.binomial(offered, ANSWERED_SHARE))
            within = int(rng.binomial(answered, WITHIN_SHARE))
            noise = 1 + 0.5 / np.sqrt(max(answered, 1)) * rng.standard_normal()
            handle = answered * expected_handle(callers) * max(noise, 0.3)
            left = offered - answered
            yield PastInterval(
                day + slot * INTERVAL,
                offered,
                answered,
                left,
                within,
                int(handle * 1000),
                int(within * 2500 + (answered - within) * 48_000),
                int(left * rng.uniform(30, 80) * 1000),
            )


def message(queue: QueueWorld, intervals: list[PastInterval], feed: str) -> volume_pb2.VolumeObserved:
    """Return past intervals as one message of packed columns."""
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
        threshold_seconds=queue.threshold,
        answered_within_count=[i.within for i in intervals],
    )
    return volume_pb2.VolumeObserved(queue=queue.name, feed=feed, report_columns=columns)


def in_month(queue: QueueWorld, intervals: list[PastInterval], month_begin: int) -> tuple[int, int]:
    """Return (good, base) of the month so far, in the contract's own definition."""
    month = [i for i in intervals if i.start >= month_begin]
    base = sum(i.answered if queue.client == "lumen" else i.offered for i in month)
    return sum(i.within for i in month), base
