"""How a target stands: what each interval adds to its numerator and denominator, from counts and wait histograms."""

import dataclasses
import datetime as dt
from collections.abc import Sequence

from muster.domain.calendar import WEEKDAYS, local_date, resolve


@dataclasses.dataclass(frozen=True)
class CellFacts:
    """What an interval became, as closed. Histograms: counts per bin of edges (milliseconds), last bin open."""

    offered: int | None
    answered: int | None
    abandoned: int | None
    answered_wait_ms: int | None
    edges: Sequence[int]
    answered_waits: Sequence[int]
    abandoned_waits: Sequence[int]


@dataclasses.dataclass(frozen=True)
class TargetRule:
    """A target of a contract, as far as counting goes."""

    metric: str
    definition: str
    threshold_ms: int
    short_ms: int


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


def window_start(kind: str, week_start: str, zone: str, now: int) -> int:
    """Return the first instant of the window that `now` lies in: DAY, WEEK, MONTH (FISCAL is read as MONTH for now)."""
    day = local_date(now, zone)
    if kind == "WEEK":
        first = WEEKDAYS.index(week_start or "mon")
        day -= dt.timedelta(days=(day.weekday() - first) % 7)
    elif kind != "DAY":
        day = day.replace(day=1)
    return resolve(dt.datetime.combine(day, dt.time()), zone)
