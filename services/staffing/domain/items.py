"""Deferred work item by item, as a floor of people does it: whole items, each by one agent, in trials of what may come.

Who comes later is due no earlier, so the earliest deadline first is the order of coming. Late items are done where no other waits. Whoever
leaves at a border of intervals finishes the item in hand and takes no new one.
"""

import dataclasses
import functools
from typing import Any

import numpy as np

from services.staffing.domain.deferred import Work
from services.staffing.domain.erlang import Floats, Ints, compiled


@compiled
def _play(came: Any, due: Any, effort: Any, cell: Any, ends: Any, agents: Any, seconds: Any, timely: Any) -> Any:
    """Work items (N,), trial after trial, each in order of coming, up to `ends` (R,); timely (R x D,) takes those that are done in time.

    In one piece: a call of its own for an item costs more than the item.
    """
    busy, late, first = np.zeros(agents.max() + 1), np.zeros(len(came), np.int64), 0
    for r in range(len(ends)):
        head = tail = n = 0  # of those that are late, from head to tail; n in hand, whose ends are in order in `busy`
        upcoming, stop, now = first, ends[r], 0.0
        for i in range(len(agents)):
            end, on = (i + 1) * seconds, agents[i]
            now = max(now, i * seconds)
            while on > 0 and now < end:
                done = 0
                while done < n and busy[done] <= now:
                    done += 1
                n -= done
                for j in range(n if done > 0 else 0):
                    busy[j] = busy[j + done]
                if n >= on:
                    now = min(busy[0], end)
                    continue
                k = -1
                while k < 0 and upcoming < stop and came[upcoming] <= now:
                    if due[upcoming] > now:
                        k = upcoming
                    else:
                        late[tail] = upcoming
                        tail += 1
                    upcoming += 1
                if k < 0 and head < tail:
                    k = late[head]
                    head += 1
                if k < 0:
                    now = min(came[upcoming], end) if upcoming < stop else end
                    continue
                finished, j = now + effort[k], n
                timely[cell[k]] += finished <= due[k]
                while j > 0 and busy[j - 1] > finished:
                    busy[j] = busy[j - 1]
                    j -= 1
                busy[j] = finished
                n += 1
        first = stop


@dataclasses.dataclass(frozen=True)
class Items:
    """Items (N,) of R trials, one trial after the other, each in order of coming. came, due: seconds from the first interval's begin;
    effort: seconds that an agent takes; cell: trial x days + the day on which it is due; ends (R,): where each trial's items end."""

    came: Floats
    due: Floats
    effort: Floats
    cell: Ints
    ends: Ints
    days: int
    open: np.ndarray
    seconds: float

    @property
    def trials(self) -> int:
        """R."""
        return self.ends.size

    @functools.cached_property
    def fell_due(self) -> Ints:
        """How many are due on each day (R, D)."""
        return np.bincount(self.cell, minlength=self.trials * self.days).reshape(self.trials, self.days)

    def in_time(self, agents: Ints) -> Ints:
        """Return how many of each day's agents (I,) do in time (R, D)."""
        timely = np.zeros(self.trials * self.days, np.int64)
        staff = np.where(self.open, agents, 0).astype(np.int64)
        _play(self.came, self.due, self.effort, self.cell, self.ends, staff, self.seconds, timely)
        return timely.reshape(self.trials, self.days)


def whole_of(parts: Floats) -> Ints:
    """Return whole numbers (B,) that add up, from the first on, to what the parts do."""
    found: Ints = np.diff(np.floor(np.cumsum(parts) + 0.5), prepend=0.0).astype(np.int64)
    return found


@dataclasses.dataclass(frozen=True)
class Due:
    """By group of work: came (K,) the interval in which its items come, open or not, -1 for backlog; when the first and the last of them are
    due (K,), seconds from the first interval's begin; known (K,): the items are there; day (K,): the day, from 0, on which they are due,
    `days` and above: none that is judged."""

    came: Ints
    first: Floats
    last: Floats
    known: np.ndarray
    day: Ints
    days: int


def draw_items(work: Work, due: Due, trials: int, luck: np.random.Generator) -> Items:
    """Return trials of the work's items: as many as Poisson's law says of what is expected, as many as there are of what is known; each
    group's come evenly by chance within its interval, and take exponential time."""
    order = np.lexsort((work.due, due.came))
    order = order[(due.day[order] < due.days) & (work.count[order] > 0)]
    came, first, last = due.came[order], due.first[order], due.last[order]
    there = np.zeros(order.size, np.int64)
    known = due.known[order]
    there[known] = whole_of(work.count[order][known])
    counts = np.where(known, there, luck.poisson(np.where(known, 0.0, work.count[order]), (trials, order.size)))
    group = np.repeat(np.tile(np.arange(order.size), trials), counts.ravel())
    ends = np.cumsum(counts.sum(axis=1))
    trial = np.repeat(np.arange(trials), np.diff(ends, prepend=0))
    place = trial * max(order.size, 1) + group
    part = np.clip(np.sort(place + luck.random(group.size)) - place, 0.0, 1.0)
    at = np.where(came[group] < 0, 0.0, (came[group] + part) * work.seconds)
    effort = luck.standard_exponential(group.size) * work.handle
    until = first[group] + (last - first)[group] * part
    return Items(at, until, effort, trial * due.days + due.day[order][group], ends, due.days, work.open, float(work.seconds))


def warm_up() -> None:
    """Compile what trials of items need, or load what was compiled before."""
    one = Work(np.array([0]), np.array([2]), np.array([3.0]), np.ones(3, bool), 1800.0, 300.0)
    due = Due(one.came, np.array([3600.0]), np.array([3600.0]), np.zeros(1, bool), np.zeros(1, np.int64), 1)
    draw_items(one, due, 2, np.random.default_rng(0)).in_time(np.ones(3, np.int64))
