"""Where a contract's window will end: what was counted, and what the plan makes of the days ahead on every path of the forecast.

Each path draws its contacts: Poisson around what is expected, and of them as many good ones as a beta-binomial gives, as wide as contacts
of one queue clump (`uncertainty.clumping`; Skellam, 1948); waits add up to a gamma. The draws are then added up as `attainment.stand` does.
"""

import dataclasses
import datetime as dt
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.special import ndtr

from muster.domain.calendar import local_date
from services.staffing.domain.attainment import Judging
from services.staffing.domain.erlang import Floats, Ints
from services.staffing.domain.queue_days import QueueDay, days_give
from services.staffing.domain.requirement import Goal
from services.staffing.domain.uncertainty import Outcome, chance_kept

METRICS, DEADLINE_MET = ("SERVICE_LEVEL", "ASA", "ABANDONMENT"), "DEADLINE_MET"
AGGREGATIONS = ("CONTACT_WEIGHTED", "MEAN_OF_INTERVALS", "SHARE_OF_INTERVALS", "SHARE_OF_DAYS")
Counted = Sequence[tuple[int, int | None, int | None]]


@dataclasses.dataclass(frozen=True)
class Pledge:
    """A contract's target over a window. goal: metric and thresholds; judging: how it adds up; target: of the window's value, in seconds for
    ASA, a share of intervals or days for the SHARE_… aggregations."""

    goal: Goal
    judging: Judging
    target: float

    def __post_init__(self) -> None:
        metric, aggregation = self.judging.metric, self.judging.aggregation
        if metric != self.goal.metric or metric not in (*METRICS, DEADLINE_MET) or aggregation not in AGGREGATIONS:
            told, metrics = f"metric {self.goal.metric} judged as {metric}, {aggregation}", (*METRICS, DEADLINE_MET)
            raise ValueError(f"{told}; allowed: one of {', '.join(metrics)}, by one of {', '.join(AGGREGATIONS)}")
        most = math.inf if metric == "ASA" and not self.shares else 1.0
        if not 0 <= self.target <= most or math.isinf(self.target):
            raise ValueError(f"the target is {self.target}; allowed: 0 to {most}")

    @property
    def shares(self) -> bool:
        """Return whether what is counted is intervals or days that reach something."""
        return self.judging.aggregation.startswith("SHARE")

    @property
    def long(self) -> bool:
        """Return whether whole days or more are judged, so that the luck of a day adds up."""
        return self.judging.aggregation in ("CONTACT_WEIGHTED", "SHARE_OF_DAYS")

    @property
    def rising(self) -> bool:
        """Return whether more is better."""
        return self.shares or self.goal.metric in ("SERVICE_LEVEL", DEADLINE_MET)

    @property
    def each(self) -> Goal:
        """Return the goal that a single interval, or the sum, is held against."""
        return dataclasses.replace(self.goal, target=self.judging.each if self.shares else self.target)


@dataclasses.dataclass(frozen=True)
class Budget:
    """What may still miss. In contacts (seconds waited for ASA), in intervals or in days, as the aggregation counts.

    allowed: by the window's end at expected volume; used: so far; passed: share of the window's expected base that is behind. burn: share
    of the budget used over `passed`, 1.0: just as fast as time; NaN at the window's beginning or where nothing may miss.
    """

    allowed: float
    used: float
    passed: float

    @property
    def left(self) -> float:
        return self.allowed - self.used

    @property
    def burn(self) -> float:
        return self.used / self.allowed / self.passed if self.allowed > 0 and self.passed > 0 else math.nan


@dataclasses.dataclass(frozen=True)
class HourMore:
    """What one more agent-hour on a day does, where it gains most (to a third). placed: queue and start of interval; chance: added
    to P(window met); value: added to the expected final value (below 0 for waits and abandons: better)."""

    date: dt.date
    placed: tuple[tuple[str, int], ...]
    chance: float
    value: float


@dataclasses.dataclass(frozen=True)
class WindowOutlook:
    """P(window met), the final value's mean and 10–90 % band, NaN where nothing is ever offered; the budget; one hour more on each day."""

    met: float
    expected: float
    band: tuple[float, float]
    budget: Budget
    hours_more: tuple[HourMore, ...]


def draw(of: Outcome, goal: Goal, luck: np.random.Generator) -> tuple[Floats, Floats]:
    """Return (good, base), each (P, I): counts drawn around what paths expect; good in seconds for ASA."""
    base = luck.poisson(of.base).astype(float)
    each = np.divide(of.good, of.base, out=np.zeros_like(of.good), where=of.base > 0)
    spread = np.divide(of.variance, of.base, out=np.zeros_like(of.good), where=of.base > 0)
    if goal.metric == "ASA":
        some = (each > 1e-12) & (spread > 1e-12) & (base > 0)
        shape = np.where(some, base * each**2 / np.where(some, spread, 1.0), 1.0)
        waited: Floats = np.where(some, luck.gamma(shape) * base * each / shape, base * each)
        return waited, base
    p = np.clip(each, 0.0, 1.0)
    alone = np.maximum(p * (1.0 - p), 1e-12)
    together = np.clip((spread / alone - 1.0) / np.maximum(base - 1.0, 1.0), 0.0, 0.999)
    some = (together > 1e-9) & (p > 1e-9) & (p < 1.0 - 1e-9)
    weight = np.where(some, (1.0 - together) / np.where(some, together, 1.0), 1.0)
    a, b = np.where(some, p * weight, 1.0), np.where(some, (1.0 - p) * weight, 1.0)
    chance = np.where(some, luck.beta(np.maximum(a, 1e-6), np.maximum(b, 1e-6)), p)
    return luck.binomial(base.astype(np.int64), chance).astype(float), base


def _parts(pledge: Pledge, good: Floats, base: Floats) -> tuple[Floats, Floats]:
    """Return (P,) sums over intervals or days (P, N) with anything offered: of values or of those that reach, and how many."""
    some = base > 0
    value = np.divide(good, base, out=np.zeros_like(good), where=some)
    if pledge.shares:
        value = pledge.each.met(value).astype(float)
    return np.where(some, value, 0.0).sum(axis=1), some.sum(axis=1).astype(float)


def fold(pledge: Pledge, counted: Counted, starts: Ints, good: Floats, base: Floats) -> tuple[Floats, Floats]:
    """Return (P,) what the window's value divides by what: counted intervals and paths (P, T) at starts (T,) together, as `stand` adds."""
    judging = pledge.judging
    seen = [(s, g, b) for s, g, b in counted if g is not None and b is not None and not judging.excludes(s)]
    keep = np.array([not judging.excludes(int(s)) for s in starts], bool)
    starts, good, base = starts[keep], good[:, keep], base[:, keep]
    past_good = np.array([[g / judging.scale for _, g, _ in seen]], float)
    past_base = np.array([[b for _, _, b in seen]], float)
    if judging.aggregation == "CONTACT_WEIGHTED":
        return past_good.sum() + good.sum(axis=1), past_base.sum() + base.sum(axis=1)
    if judging.aggregation == "SHARE_OF_DAYS":
        dates = [local_date(s, judging.zone) for s, _, _ in seen] + [local_date(int(s), judging.zone) for s in starts]
        every = sorted(set(dates))
        of_day = np.equal.outer(np.array([every.index(d) for d in dates], int), np.arange(len(every))).astype(float)
        past = len(seen)
        days = [p @ of_day[:past] + a @ of_day[past:] for p, a in ((past_good, good), (past_base, base))]
        return _parts(pledge, days[0], days[1])
    done, found = _parts(pledge, past_good, past_base), _parts(pledge, good, base)
    return done[0] + found[0], done[1] + found[1]


@dataclasses.dataclass(frozen=True)
class _Ahead:
    """The days ahead, queues together: instants and dates (T,); good, base, spare and variance (4, P, T), what is excluded 0; what was
    counted before on the same date of the first three (3, T); each queue's columns."""

    starts: Ints
    dates: Ints
    sums: Floats
    begun: Floats
    columns: tuple[Ints, ...]


def _ahead(
    pledge: Pledge, counted: Counted, days: Sequence[QueueDay], outcomes: Sequence[Outcome], luck: np.random.Generator
) -> _Ahead:
    starts, judging = np.unique(np.concatenate([d.starts for d in days])), pledge.judging
    sums, begun = np.zeros((4, len(outcomes[0].good), starts.size)), np.zeros((3, starts.size))
    columns = tuple(np.searchsorted(starts, d.starts) for d in days)
    for at, of in zip(columns, outcomes, strict=True):
        good, base = draw(of, pledge.goal, luck)
        for row, what in enumerate((good, base, of.spare(pledge.each), of.variance)):
            sums[row][:, at] += what
    sums[:, :, [judging.excludes(int(s)) for s in starts]] = 0.0
    dates = np.array([local_date(int(s), judging.zone).toordinal() for s in starts])
    for start, g, b in counted:
        if g is not None and b is not None and not judging.excludes(start):
            one = Outcome(np.array(g / judging.scale), np.array(float(b)), np.zeros(()))
            of_day = np.array([one.good, one.base, one.spare(pledge.each)])[:, None]
            begun += of_day * (dates == local_date(start, judging.zone).toordinal())
    return _Ahead(starts, dates, sums, begun, columns)


def _gain(pledge: Pledge, ahead: _Ahead, at: Ints, now: Outcome, more: Outcome) -> Floats:
    """Return (P, I) what one more agent in an interval adds to what the window's value counts, better being more. Of intervals and days only
    those drawn as missed can gain."""
    extra: Floats = more.spare(pledge.each) - now.spare(pledge.each)
    sums: Floats = ahead.sums[:, :, at]
    if pledge.judging.aggregation == "CONTACT_WEIGHTED":
        return extra
    if pledge.judging.aggregation == "MEAN_OF_INTERVALS":
        return np.asarray(extra * (sums[1] > 0) / np.maximum(sums[1], 1.0))
    if pledge.judging.aggregation == "SHARE_OF_DAYS":
        near = np.isin(ahead.dates, ahead.dates[at])
        sums = ahead.sums[:, :, near] @ np.equal.outer(ahead.dates[near], ahead.dates[at]).astype(float)
        sums[:3] += ahead.begun[:, None, at]
    good, base, spare, variance = sums
    wider = np.maximum(variance + more.variance - now.variance, 0.0)
    before, after = chance_kept(spare, variance), chance_kept(spare + extra, wider)
    gained = (after - before) / np.maximum(1.0 - before, 1e-9)
    missed = (base > 0) & ~pledge.each.met(good / np.maximum(base, 1e-9))
    found: Floats = np.where(missed, np.clip(gained, 0.0, 1.0), 0.0)
    return found


def _hours_more(
    pledge: Pledge, days: Sequence[QueueDay], outcomes: Sequence[Outcome], ahead: _Ahead, margin: Floats, base: Floats
) -> Iterator[HourMore]:
    """Give what an hour more does on each day; margin (P,): by how much the value is better than the target; base (P,).

    A share turns on paths that lack one interval or day; a sum by a kernel over paths (Silverman's width).
    """
    width = max(1.06 * float(margin.std()) * margin.size**-0.2, 1e-9)
    found: dict[dt.date, list[tuple[float, str, int, float, Floats]]] = {}
    for day, now, more, at in zip(days, outcomes, days_give(pledge.each, days, pledge.long, 1.0), ahead.columns, strict=True):
        gains = _gain(pledge, ahead, at, now, more) / np.maximum(base, 1e-9)[:, None]
        for i, start in enumerate(map(int, day.starts)):
            if not pledge.judging.excludes(start):
                slot = (float(gains[:, i].mean()), day.queue, start, day.load.seconds / 3600.0, gains[:, i])
                found.setdefault(local_date(start, pledge.judging.zone), []).append(slot)
    for date, slots in sorted(found.items()):
        slots.sort(key=lambda s: -s[0] / s[3])
        shift, left, placed = np.zeros(margin.size), 1.0, []
        for _, queue, start, hours, gain in slots:
            part = min(1.0, left / hours)
            if part <= 1e-9:
                break
            shift, left = shift + part * gain, left - part * hours
            placed.append((queue, start))
        turned = ndtr((margin + shift) / width) - ndtr(margin / width)
        if pledge.shares:
            turned = np.minimum(shift * base, 1.0) * ((margin < 0) & (margin + 1.0 / np.maximum(base, 1.0) >= -1e-12))
        yield HourMore(date, tuple(placed), float(turned.mean()), float(shift.mean()) * (1.0 if pledge.rising else -1.0))


def _budget(pledge: Pledge, counted: Counted, starts: Ints, base: Floats) -> Budget:
    """Return the budget; a day that is still running, with starts (T,) ahead, counts as ahead in SHARE_OF_DAYS."""
    if pledge.judging.aggregation == "SHARE_OF_DAYS":
        open_ = {local_date(int(s), pledge.judging.zone) for s in starts}
        counted = [c for c in counted if local_date(c[0], pledge.judging.zone) not in open_]
    none = np.zeros((1, 0))
    good_so_far, base_so_far = (float(x[0]) for x in fold(pledge, counted, starts[:0], none, none))
    whole = float(base.mean())
    passed = base_so_far / whole if whole > 0 else 0.0
    if pledge.rising:
        return Budget((1.0 - pledge.target) * whole, base_so_far - good_so_far, passed)
    return Budget(pledge.target * whole, good_so_far, passed)


def look_ahead(
    pledge: Pledge, counted: Counted, days: Sequence[QueueDay], luck: np.random.Generator, hours_more: bool = True
) -> WindowOutlook:
    """Return how a window will end. counted: (start, good, base) per interval, its queues together, None where not observed, as `stand` takes
    it; days: every queue's days ahead, joint over all: one path is the same row everywhere; hours_more: without it, at half the cost, none are
    told. Raise ValueError where paths differ in number.
    """
    if not days or len({len(d.load.paths) for d in days}) != 1:
        raise ValueError(
            f"numbers of paths are {[len(d.load.paths) for d in days]}; allowed: one or more days, the same number everywhere"
        )
    outcomes = days_give(pledge.each, days, pledge.long)
    ahead = _ahead(pledge, counted, days, outcomes, luck)

    def gained(margin: Floats, base: Floats) -> Iterator[HourMore]:
        return _hours_more(pledge, days, outcomes, ahead, margin, base) if hours_more else iter(())

    return conclude(pledge, counted, ahead.starts, (ahead.sums[0], ahead.sums[1]), gained)


def conclude(
    pledge: Pledge,
    counted: Counted,
    starts: Ints,
    sums: tuple[Floats, Floats],
    hours_more: Callable[[Floats, Floats], Iterator[HourMore]],
) -> WindowOutlook:
    """Return how a window ends whose days ahead bring sums, good and base (P, T) each, at starts (T,). hours_more: what one hour more does,
    by how much each path's value is better than the target (P,), and its base (P,)."""
    good, base = fold(pledge, counted, starts, *sums)
    value = np.divide(good, base, out=np.full_like(good, np.nan), where=base > 0)
    if pledge.judging.rounding_places is not None:
        value = np.round(value, pledge.judging.rounding_places)
    budget, some = _budget(pledge, counted, starts, base), np.isfinite(value)
    if not some.any():
        return WindowOutlook(math.nan, math.nan, (math.nan, math.nan), budget, ())
    margin = np.where(some, value - pledge.target if pledge.rising else pledge.target - value, 0.0)
    low, high = np.quantile(value[some], (0.1, 0.9))
    more = tuple(hours_more(margin, base))
    return WindowOutlook(float((margin[some] >= 0).mean()), float(value[some].mean()), (float(low), float(high)), budget, more)
