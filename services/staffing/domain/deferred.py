"""Deferred work: the fewest agents that have each item done by its deadline, level through the hours of service.

Items are worked off by earliest deadline (Jackson, 1955; in a fluid nothing keeps more deadlines). The cumulated work of any plan that
keeps them lies between what is due and what has come; of those with the fewest hours the levelest, for every convex cost at once, is the
string pulled taut between the two (Veinott, "Least d-majorized network flows", Management Science 17, 1971). What idle time of other work
can take in time is a matching of items to moments, largest when the earliest due goes first (Glover, "Maximum matching in a convex
bipartite graph", Naval Research Logistics 14, 1967).
"""

import dataclasses
import math
from typing import Any

import numpy as np

from muster.domain.calendar import OpeningHours, dates, local_date, merge_spans
from muster.domain.deadlines import deadlines_of
from muster.domain.due_rule import DueRule
from services.staffing.domain.erlang import Floats, Ints, compiled


@dataclasses.dataclass(frozen=True)
class Cohort:
    """Items of one age in the backlog: when they came and are due, seconds since 1970, and how many."""

    arrived: int
    due: int
    count: float

    def __post_init__(self) -> None:
        if not 0 <= self.count < math.inf or self.due < self.arrived:
            raise ValueError(f"{self}; allowed: a count of 0 or more, due not before it arrived")


@dataclasses.dataclass(frozen=True)
class Work:
    """Items by group: `came` (K,) the interval in which they come, −1 for backlog; `due` (K,) the border of intervals by which they must
    be done, interval i lying between borders i and i + 1; `count` (K,) expected items; `open` (I,) whether there is service; `seconds` of
    an interval; `handle`: AHT in seconds. What comes later is due no earlier: the level plan is exact for no other order.
    """

    came: Ints
    due: Ints
    count: Floats
    open: np.ndarray
    seconds: float
    handle: float

    def __post_init__(self) -> None:
        if not self.came.shape == self.due.shape == self.count.shape:
            raise ValueError(f"came {self.came.shape}, due {self.due.shape}, count {self.count.shape}; allowed: (K,) each")
        if not (np.isfinite(self.count).all() and (self.count >= 0).all() and self.seconds > 0 and 0 < self.handle < np.inf):
            raise ValueError(f"count {self.count}, seconds {self.seconds}, handle {self.handle}; allowed: 0 or more, above 0")
        if (self.came < -1).any() or (self.came >= self.open.size).any():
            raise ValueError(f"came is {self.came}; allowed: -1 (backlog) to {self.open.size - 1}")
        if (np.diff(self.due[np.lexsort((self.due, self.came))]) < 0).any():
            raise ValueError(f"due is {self.due}; allowed: not earlier for what comes later than for what came before")

    @property
    def agent_items(self) -> float:
        """Items that an agent does in an interval."""
        return self.seconds / self.handle


@dataclasses.dataclass(frozen=True)
class Desk:
    """Whose work it is: service hours and their zone, when items are due, seconds of an interval, AHT in seconds."""

    hours: OpeningHours
    zone: str
    rule: DueRule
    seconds: int
    handle: float


def work_of(desk: Desk, begin: int, intake: Floats, backlog: tuple[Cohort, ...] = ()) -> Work:
    """Return the work of intervals from `begin` on, intake (I,) items each; an interval's items are due when its first one is.

    Overdue backlog is due at the first border; backlog due after the first of the intake is taken to be due with it.
    """
    seconds, zone = desk.seconds, desk.zone
    starts = np.arange(begin, begin + seconds * intake.size, seconds)
    due = (deadlines_of(starts, desk.rule, desk.hours, zone) - begin) // seconds
    old = np.array([(c.due - begin) // seconds for c in backlog], np.int64)
    came = np.concatenate([np.arange(intake.size), np.full(len(backlog), -1)])
    days = dates(local_date(begin, zone), local_date(int(starts[-1]), zone))
    spans = np.array(merge_spans([span for day in days for span in desk.hours.spans(day, zone)]), np.int64).reshape(-1, 2)
    at = np.searchsorted(spans[:, 0], starts, "right") - 1
    ends = np.append(spans[:, 1], 0)[at]  # before the first span: -1, the 0 at the end
    count = np.concatenate([intake, [c.count for c in backlog]])
    due = np.concatenate([due, np.clip(old, 0, max(due[0], 0))])
    return Work(came, due, count.astype(float), starts + seconds <= ends, float(seconds), desk.handle)


@compiled
def _pull(low: Any, high: Any, path: Any) -> Any:
    """Pull the string path (J + 1,) taut from low[0] to low[J]: where the funnel closes it bends at the side that it comes up against."""
    at, last = 0, len(low) - 1
    while at < last:
        rise, fall, lowest, highest, to, slope = -np.inf, np.inf, at, at, last, np.nan
        for j in range(at + 1, last + 1):
            up, down = (low[j] - path[at]) / (j - at), (high[j] - path[at]) / (j - at)
            if up > fall + 1e-12 * (1.0 + abs(fall)):
                to, slope = highest, fall
                break
            if down < rise - 1e-12 * (1.0 + abs(rise)):
                to, slope = lowest, rise
                break
            if up > rise:
                rise, lowest = up, j
            if down < fall:
                fall, highest = down, j
        if np.isnan(slope):
            slope = rise
        for j in range(at + 1, to + 1):
            path[j] = path[at] + slope * (j - at)
        at = to


@compiled
def _whole(path: Any, high: Any, items: Any, whole: Any) -> Any:
    """Fill whole (J,) with the fewest agents that never fall behind the path; nothing is done before it has come."""
    done = 0.0
    for j in range(len(whole)):
        whole[j] = max(math.ceil((path[j + 1] - done) / items - 1e-9), 0)
        done = min(done + whole[j] * items, high[j + 1])


def taut_string(low: Floats, high: Floats) -> Floats:
    """Return the shortest path (J + 1,) from low[0] to low[J] with low ≤ path ≤ high at each step. Raise ValueError if there is none."""
    if low.shape != high.shape or (low > high + 1e-9 * (1 + abs(high))).any():
        raise ValueError(f"low {low} is not below high {high} everywhere; allowed: low ≤ high, (J + 1,) both")
    path = np.full(low.size, low[0], float)
    _pull(np.minimum(low, high).astype(float), np.append(high[:-1], low[-1]).astype(float), path)
    return path


def level_agents(work: Work, scale: float = 1.0) -> tuple[Floats, Ints]:
    """Return the agents (I,) that have all done in time with the fewest hours, levelest: as real numbers, and whole.

    For `scale` times the items. Whole ones are the fewest that never fall behind the string: what rounding gains is carried over. Items
    that no open interval lies before are done in the first one after.
    """
    opens, size = np.flatnonzero(work.open), work.open.size
    # Cumulated by the end of each open interval: what has come, and what is due before the next one opens.
    here = np.where(work.due <= size, work.count * scale, 0.0)
    came = np.searchsorted(opens, work.came)
    last = np.maximum(np.searchsorted(np.append(opens[1:], size), work.due), came)
    high, low = (np.append(0.0, np.cumsum(np.bincount(at, here, opens.size + 1)[: opens.size])) for at in (came, last))
    real, whole, some = np.zeros(size), np.zeros(size, np.int64), np.zeros(opens.size, np.int64)
    path = taut_string(low, high)
    real[opens] = np.diff(path) / work.agent_items
    _whole(path, high, work.agent_items, some)
    whole[opens] = some
    return real, whole


@compiled
def _work_off(came: Any, due: Any, left: Any, room: Any, on_time: Any) -> Any:
    """Work groups (K,), in order of due, then of coming, off in room (I,) while they are in time, for each of several trials: left (R, K)
    is what there is, on_time (R, K) takes what is done."""
    for r in range(len(left)):
        first = 0
        for i in range(len(room)):
            free, k = room[i], first
            while free > 0 and k < len(due) and came[k] <= i:
                if due[k] > i:
                    done = min(left[r, k] - on_time[r, k], free)
                    free -= done
                    on_time[r, k] += done
                if k == first and (due[k] <= i or on_time[r, k] >= left[r, k]):
                    first += 1
                k += 1


def done_in_time(work: Work, items: Floats, agents: Floats | Ints) -> Floats:
    """Return what agents (I,) do in time of the items (R, K) that there are of each group in R trials, the earliest due first."""
    order, done = np.lexsort((work.came, work.due)), np.zeros(items.shape)
    room = np.where(work.open, agents, 0.0) * work.agent_items
    _work_off(work.came[order], work.due[order], np.ascontiguousarray(items[:, order]), room, done)
    return np.asarray(done[:, np.argsort(order)], float)


@dataclasses.dataclass(frozen=True)
class Blend:
    """Items (K,) that slack takes in time, the share of all due that is, and the agents (I,) that the rest needs, real and whole."""

    taken: Floats
    share: float
    real: Floats
    whole: Ints


def blend(work: Work, slack: Floats, scale: float = 1.0) -> Blend:
    """Return what slack (I,), in agents, takes of `scale` times the work before it is due, and the fewest agents for the rest."""
    asked = np.where(work.due <= work.open.size, work.count * scale, 0.0)
    taken = done_in_time(work, asked[None, :], slack)[0]
    real, whole = level_agents(dataclasses.replace(work, count=np.maximum(asked - taken, 0.0)))
    return Blend(taken, float(taken.sum() / asked.sum()) if asked.sum() > 0 else 1.0, real, whole)


def warm_up() -> None:
    """Compile what deferred work needs, or load what was compiled before."""
    one = Work(np.array([0, -1]), np.array([2, 1]), np.array([1.0, 1.0]), np.ones(3, bool), 1800.0, 300.0)
    blend(one, np.zeros(3))
