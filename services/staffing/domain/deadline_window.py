"""Where a promise of deadlines will end: what was counted, and what the plan does in time of what is open and of what comes on each path.

Items count by the interval in which they came, as `attainment` counts them, also those that are due after the window. The work is a fluid,
earliest deadline first (`deferred`), of items that come by chance and take exponential time.
"""

import dataclasses
import datetime as dt
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import ndtr

from muster.domain.calendar import local_date
from services.staffing.domain.deferred import Work, done_in_time
from services.staffing.domain.erlang import Floats, Ints
from services.staffing.domain.window import Counted, HourMore, Pledge, WindowOutlook, conclude, fold

HOUR = 3600


@dataclasses.dataclass(frozen=True)
class DeskAhead:
    """A queue's deferred work ahead on P paths, by group (K) of `work`.

    begin: the first interval's start; starts (K,): instants at which groups came; counts (K,): whether a group counts in the window; items
    (P, K): still to do; effort (P, K): how much work they are, in mean items; done (K,): items that were done in time already, and told
    (K,): more that count, done or missed; agents (I,) on queue.
    """

    queue: str
    begin: int
    work: Work
    starts: Ints
    counts: np.ndarray
    items: Floats
    effort: Floats
    done: Floats
    told: Floats
    agents: Floats

    def __post_init__(self) -> None:
        size = self.work.count.size
        if {a.shape for a in (self.starts, self.counts, self.done, self.told)} != {(size,)}:
            raise ValueError(f"{self.queue}: starts {self.starts.shape}, done {self.done.shape}; allowed: ({size},) each")
        if self.items.shape != self.effort.shape or self.items.shape[1:] != (size,) or not len(self.items):
            raise ValueError(f"{self.queue}: items {self.items.shape}, effort {self.effort.shape}; allowed: (P, {size}) both")
        if self.agents.shape != self.work.open.shape or not (self.agents >= 0).all():
            raise ValueError(f"{self.queue}: agents {self.agents}; allowed: {self.work.open.size} numbers, 0 or more")

    def good(self, agents: Floats) -> Floats:
        """Return the items (P, K) that are done in time with agents (I,)."""
        part = np.divide(
            done_in_time(self.work, self.effort, agents), self.effort, out=np.zeros_like(self.effort), where=self.effort > 0
        )
        found: Floats = self.done + self.items * np.minimum(part, 1.0)
        return found

    @property
    def base(self) -> Floats:
        """Return the items (P, K) that count."""
        found: Floats = self.told + self.done + self.items
        return found


def _added(desks: Sequence[DeskAhead], parts: Sequence[Floats], starts: Ints) -> Floats:
    """Return what counts of each desk's groups (P, K), by the interval in which they came (P, T)."""
    found = np.zeros((len(parts[0]), starts.size))
    for desk, part in zip(desks, parts, strict=True):
        found[:, np.searchsorted(starts, desk.starts[desk.counts])] += part[:, desk.counts]
    return found


def _beside(counted: Counted, starts: Ints) -> tuple[Floats, Counted]:
    """Return what was counted in intervals of which something is open in another queue: good and base (2, T) at starts (T,); and the rest."""
    at, found, rest = {int(start): n for n, start in enumerate(starts)}, np.zeros((2, starts.size)), []
    for start, good, base in counted:
        if start not in at:
            rest.append((start, good, base))
        elif good is not None and base is not None:
            found[:, at[start]] += good, base
    return found, rest


def _hours(desk: DeskAhead, zone: str, until: int) -> Iterator[tuple[dt.date, int]]:
    """Give the days of service ahead, and on each the first interval of three hours: the day's first, middle and last."""
    starts = desk.begin + int(desk.work.seconds) * np.flatnonzero(desk.work.open)
    days: dict[dt.date, list[int]] = {}
    for start in starts[starts < until].tolist():
        days.setdefault(local_date(start, zone), []).append(start)
    last = max(round(HOUR / desk.work.seconds), 1)
    for date, own in days.items():
        for at in sorted({0, max(len(own) - last, 0) // 2, max(len(own) - last, 0)}):
            yield date, own[at]


def look_ahead_to_deadlines(pledge: Pledge, counted: Counted, desks: Sequence[DeskAhead], until: int) -> WindowOutlook:
    """Return how a window of deadlines will end. counted: (start, good, base) of queues' intervals of which nothing is open any more, None
    where not observed; until: the window's end. Raise ValueError where desks have other numbers of paths, or none."""
    if len({len(desk.items) for desk in desks}) != 1:
        raise ValueError(
            f"numbers of paths are {[len(d.items) for d in desks]}; allowed: one or more desks, the same everywhere"
        )
    starts = np.unique(np.concatenate([desk.starts[desk.counts] for desk in desks]))
    parts = [desk.good(desk.agents) for desk in desks]
    (done, of_them), counted = _beside(counted, starts)
    good, base = done + _added(desks, parts, starts), of_them + _added(desks, [desk.base for desk in desks], starts)

    def hours_more(margin: Floats, sums: Floats) -> Iterator[HourMore]:
        width = max(1.06 * float(margin.std()) * margin.size**-0.2, 1e-9)
        old, of = fold(pledge, counted, starts, good, base)
        best: dict[dt.date, HourMore] = {}
        for n, desk in enumerate(desks):
            for date, start in _hours(desk, pledge.judging.zone, until):
                more, at = desk.agents.copy(), (start - desk.begin) // int(desk.work.seconds)
                rows = np.flatnonzero(desk.work.open[at:])[: max(round(HOUR / desk.work.seconds), 1)] + at
                more[rows] += HOUR / desk.work.seconds / max(rows.size, 1)
                new = done + _added(desks, [*parts[:n], desk.good(more), *parts[n + 1 :]], starts)
                shift = np.divide(fold(pledge, counted, starts, new, base)[0] - old, of, out=np.zeros_like(old), where=of > 0)
                turned = ndtr((margin + shift) / width) - ndtr(margin / width)
                if pledge.shares:
                    turned = ((margin + shift >= -1e-12) & (margin < -1e-12)).astype(float)
                told = HourMore(date, ((desk.queue, start),), float(turned.mean()), float(shift.mean()))
                if date not in best or told.value > best[date].value:
                    best[date] = told
        yield from (best[date] for date in sorted(best))

    return conclude(pledge, counted, starts, (good, base), hours_more)
