"""How a target stands: what each interval adds to its numerator and denominator, from counts and wait histograms."""

import dataclasses
import datetime as dt
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from muster.domain.calendar import local_date
from muster.domain.deadlines import Deadlines


@dataclasses.dataclass(frozen=True)
class CellFacts:
    """What an interval became, as closed. Histograms: counts per bin of edges (milliseconds), last bin open. locked: contacts of the
    forecast that its contract locked; None: none that relieves."""

    offered: int | None
    answered: int | None
    abandoned: int | None
    answered_wait_ms: int | None
    edges: Sequence[int]
    answered_waits: Sequence[int]
    abandoned_waits: Sequence[int]
    open: int | None = None
    locked: float | None = None


@dataclasses.dataclass(frozen=True)
class TargetRule:
    """A target of a contract, as far as counting goes: for deferred work its deadlines, and the length of the queue's intervals."""

    metric: str
    definition: str
    threshold_ms: int
    short_ms: int
    deadlines: Deadlines | None = None
    seconds: int = 1800


class Added(NamedTuple):
    """What an interval adds to a target. unsure: of the base, done so close to the deadline that a histogram can't say on which side;
    they are not in `good`."""

    good: int
    base: int
    unsure: int = 0


def within(edges: Sequence[int], bins: Sequence[int], threshold_ms: int) -> int | None:
    """Return how many waited at most the threshold; None where it is no edge: then it was not observed."""
    if threshold_ms == 0:
        return 0
    if not bins or threshold_ms not in edges:
        return None
    return sum(bins[: list(edges).index(threshold_ms) + 1])


def contribution(rule: TargetRule, cell: CellFacts) -> tuple[int, int] | None:
    """Return what an interval adds to (good, base); None where it was not observed. ASA: milliseconds waited, answered."""
    if cell.offered == 0:
        return (0, 0)
    if rule.metric == "ASA":
        return None if cell.answered_wait_ms is None or cell.answered is None else (cell.answered_wait_ms, cell.answered)
    if rule.metric == "ABANDONMENT":
        return None if cell.abandoned is None or cell.offered is None else (cell.abandoned, cell.offered)
    if rule.metric != "SERVICE_LEVEL":
        return None
    good = within(cell.edges, cell.answered_waits, rule.threshold_ms)
    base = cell.answered if rule.definition == "ANSWERED_OVER_ANSWERED" else cell.offered
    if good is None or base is None:
        return None
    if rule.definition == "ABANDONED_IN_TIME_COUNT":
        left = within(cell.edges, cell.abandoned_waits, rule.threshold_ms)
        return None if left is None else (good + left, base)
    if rule.definition == "LESS_SHORT_ABANDONS":
        short = within(cell.edges, cell.abandoned_waits, rule.short_ms)
        return None if short is None else (good, base - short)
    return good, base


def in_deadline(cell: CellFacts, least_ms: int, most_ms: int) -> Added | None:
    """Return what an interval of deferred work adds; None where it was not observed.

    What waited at most the least that any item of the interval may was done in time, what waited longer than the most was late.
    """
    if cell.offered == 0:
        return Added(0, 0)
    sure, perhaps = (within(cell.edges, cell.answered_waits, ms) for ms in (least_ms, most_ms))
    if cell.offered is None or sure is None or perhaps is None:
        return None
    return Added(sure, cell.offered, perhaps - sure)


def contributions(rule: TargetRule, cells: Sequence[tuple[int, CellFacts]]) -> list[Added | None]:
    """Return what each interval (start, facts) adds to a target; None where it was not observed."""
    if rule.deadlines is None:
        added = (contribution(rule, facts) for _, facts in cells)
        return [None if one is None else Added(*one) for one in added]
    try:
        least, most = rule.deadlines.waits(np.array([start for start, _ in cells], np.int64), rule.seconds)
    except ValueError:  # hours of service that never make it due
        return [None] * len(cells)
    return [
        in_deadline(facts, 1000 * int(low), 1000 * int(high)) for (_, facts), low, high in zip(cells, least, most, strict=True)
    ]


@dataclasses.dataclass(frozen=True)
class Judging:
    """How a target's intervals add up to one value.

    each: what an interval or a day must reach for the SHARE_… aggregations, in the unit of the metric (ASA: seconds).
    exclusions: spans [begin, end) that don't count. rounding_places: of the value, None: not rounded.
    """

    metric: str
    aggregation: str
    each: float
    zone: str
    exclusions: tuple[tuple[int, int], ...] = ()
    rounding_places: int | None = None

    @property
    def scale(self) -> int:
        """Return what divides a quotient of sums: ASA is kept in milliseconds and told in seconds."""
        return 1000 if self.metric == "ASA" else 1

    def excludes(self, starts_at: int) -> bool:
        return any(begin <= starts_at < end for begin, end in self.exclusions)

    def reaches(self, good: int, base: int) -> bool:
        """Return whether one interval or day is good: shares in time from below, waits and abandons from above."""
        value = good / base / self.scale
        return value >= self.each if self.metric in ("SERVICE_LEVEL", "DEADLINE_MET") else value <= self.each


@dataclasses.dataclass(frozen=True)
class Standing:
    """A target's window so far. `value` is None where nothing was observed; good and base are sums over the intervals counted.
    Intervals that are relieved are not among them.

    For deferred work: unsure as in Added, and through: what came from then on isn't all due yet, and isn't counted.
    """

    value: float | None
    good: int
    base: int
    intervals: int
    unobserved: int
    excluded: int
    unsure: int = 0
    through: int | None = None


def stand(judging: Judging, added: Sequence[tuple[int, int | None, int | None]]) -> Standing:
    """Add a window up. added: (start, good, base) per interval, its queues together; None where not observed.

    An interval with nothing offered has no service level: it counts in no mean and no share.
    """
    counted = [(s, g, b) for s, g, b in added if not judging.excludes(s)]
    seen = [(s, g, b) for s, g, b in counted if g is not None and b is not None]
    good, base = sum(g for _, g, _ in seen), sum(b for _, _, b in seen)
    parts = [(g, b) for _, g, b in seen if b]
    if judging.aggregation == "SHARE_OF_DAYS":
        days: dict[dt.date, list[int]] = {}
        for start, g, b in seen:
            sums = days.setdefault(local_date(start, judging.zone), [0, 0])
            sums[0] += g
            sums[1] += b
        parts = [(g, b) for g, b in days.values() if b]
    value = None
    if judging.aggregation == "MEAN_OF_INTERVALS" and parts:
        value = math.fsum(g / b for g, b in parts) / len(parts) / judging.scale
    elif judging.aggregation.startswith("SHARE") and parts:
        value = sum(judging.reaches(g, b) for g, b in parts) / len(parts)
    elif judging.aggregation == "CONTACT_WEIGHTED" and base:
        value = good / base / judging.scale
    if value is not None and judging.rounding_places is not None:
        value = round(value, judging.rounding_places)
    return Standing(value, good, base, len(counted), len(counted) - len(seen), len(added) - len(counted))
