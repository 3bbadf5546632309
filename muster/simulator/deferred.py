"""Deferred work, item by item: the earliest deadline first, late ones last, by agents who finish what they have begun.

Whoever leaves at a border of intervals finishes the item in hand and takes no new one.
"""

import dataclasses
import heapq
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)


@dataclasses.dataclass(frozen=True)
class Mail:
    """Deferred work and who does it. Times in seconds from the first interval's begin.

    intake (I,): expected items an interval of `seconds`; agents (I,); due (I, 2): the deadline of an item that comes at an interval's begin,
    and at its end; day (I,): the day, from 0, that an interval's items count for, −1: none. backlog (B, 2): when each came (0 or less)
    and is due; backlog_day (B,). handle: mean seconds; sigma: of lognormal handle times, 0: exponential; ages (A,): rising edges, seconds,
    of the classes in which the backlog is told, the last open.
    """

    intake: Floats
    agents: Ints
    seconds: float
    due: Floats
    day: Ints
    handle: float
    backlog: Floats
    backlog_day: Ints
    sigma: float = 0.0
    ages: tuple[float, ...] = (0.0, 4 * 3600.0, 24 * 3600.0, 72 * 3600.0)

    def __post_init__(self) -> None:
        size = self.intake.size
        if self.agents.shape != (size,) or self.due.shape != (size, 2) or self.day.shape != (size,):
            raise ValueError(
                f"agents {self.agents.shape}, due {self.due.shape}, day {self.day.shape}; allowed for {size} intervals only"
            )
        if not (np.isfinite(self.intake).all() and (self.intake >= 0).all() and (self.agents >= 0).all()):
            raise ValueError(f"intake {self.intake}, agents {self.agents}; allowed: finite, 0 or more")
        if not (0 < self.seconds < np.inf and 0 < self.handle < np.inf and 0 <= self.sigma <= 3):
            raise ValueError(f"seconds {self.seconds}, handle {self.handle}, sigma {self.sigma}; allowed: above 0, 0 to 3")
        if self.backlog.shape != (self.backlog_day.size, 2) or (self.backlog[:, 0] > 0).any():
            raise ValueError(f"backlog {self.backlog}; allowed: (B, 2), come at 0 or before, with {self.backlog_day.size} days")
        if (np.diff(self.ages) <= 0).any() or self.ages[0] != 0:
            raise ValueError(f"ages are {self.ages}; allowed: from 0, rising")


@dataclasses.dataclass(frozen=True)
class MailSeen:
    """Arrays (R, D), by day: items due, and done in time. Arrays (R,): `came` with the backlog = `done` + `left` at the end.

    backlog (R, I + 1, A): items not begun at each border of intervals, by class of age.
    """

    due: Ints
    on_time: Ints
    came: Ints
    done: Ints
    left: Ints
    backlog: Ints

    @property
    def share(self) -> Floats:
        """Share of items done in time (R, D); NaN where none is due."""
        part: Floats = np.divide(self.on_time, self.due, out=np.full(self.due.shape, np.nan), where=self.due > 0)
        return part


@compiled
def _next(timely: Any, late: Any, now: Any) -> Any:
    """Take the item with the earliest deadline that is not late, the earliest of the late ones if there is none; −1: nothing waits."""
    while len(timely) > 0:
        due, k = heapq.heappop(timely)
        if due > now:
            return k
        heapq.heappush(late, (due, k))
    if len(late) > 0:
        return heapq.heappop(late)[1]
    return -1


@compiled
def _tell(row: Any, waiting: Any, came: Any, ages: Any, now: Any) -> Any:
    """Count who waits into classes of age."""
    for _, k in waiting:
        age = now - came[k]
        place = 0
        while place + 1 < len(ages) and age >= ages[place + 1]:
            place += 1
        row[place] += 1


@compiled
def _play(came: Any, due: Any, work: Any, agents: Any, seconds: Any, ages: Any, ended: Any, backlog: Any) -> Any:
    """Work off items (N,), in order of coming; ended (N,): when each was done, inf: it was not begun."""
    timely, late, busy = [(0.0, 0)], [(0.0, 0)], [0.0]
    timely.clear()
    late.clear()
    busy.clear()
    upcoming = border = on = 0
    while border <= len(agents) or len(busy) > 0:
        turn = border * seconds if border <= len(agents) else np.inf
        comes = came[upcoming] if upcoming < len(came) else np.inf
        now = min(turn, comes, busy[0] if len(busy) > 0 else np.inf)
        if now == comes:
            heapq.heappush(timely, (due[upcoming], upcoming))
            upcoming += 1
        elif now == turn:
            _tell(backlog[border], timely, came, ages, now)
            _tell(backlog[border], late, came, ages, now)
            on = agents[border] if border < len(agents) else 0
            border += 1
        else:
            heapq.heappop(busy)
        while len(busy) < on:
            k = _next(timely, late, now)
            if k < 0:
                break
            ended[k] = now + work[k]
            heapq.heappush(busy, ended[k])


def _draw(mail: Mail, intake: Floats, luck: np.random.Generator) -> tuple[Floats, Floats, Ints, Floats]:
    """Return items in order of coming: when they come, are due, the day they count for, and their handle times."""
    slot = np.repeat(np.arange(mail.intake.size), luck.poisson(intake))
    part = luck.random(slot.size)
    came = np.concatenate([mail.backlog[:, 0], (slot + part) * mail.seconds])
    due = np.concatenate([mail.backlog[:, 1], mail.due[slot, 0] * (1 - part) + mail.due[slot, 1] * part])
    day = np.concatenate([mail.backlog_day, mail.day[slot]]).astype(np.int64)
    if mail.sigma > 0:
        size = np.exp(mail.sigma * luck.standard_normal(came.size) - mail.sigma**2 / 2)
    else:
        size = luck.standard_exponential(came.size)
    order = np.argsort(came, kind="stable")
    return came[order], due[order], day[order], size * mail.handle


def play_mail(mail: Mail, times: int, luck: np.random.Generator, paths: Floats | None = None) -> MailSeen:
    """Return what `times` (R) simulations of the same days show: Poisson around the intake, or around paths (R, I) of what may come.

    Items in hand at the end are finished.
    """
    if times < 1 or (paths is not None and paths.shape != (times, mail.intake.size)):
        told = "none" if paths is None else paths.shape
        raise ValueError(f"times is {times}, paths {told}; allowed: 1 or more, with {(times, mail.intake.size)} or none")
    days = int(max(mail.day.max(initial=0), mail.backlog_day.max(initial=0))) + 1
    totals, sums = np.zeros((2, times, days), np.int64), np.zeros((2, times), np.int64)
    backlog = np.zeros((times, mail.intake.size + 1, len(mail.ages)), np.int64)
    agents, ages = mail.agents.astype(np.int64), np.array(mail.ages)
    for r in range(times):
        came, due, day, work = _draw(mail, mail.intake if paths is None else paths[r], luck)
        ended = np.full(came.size, np.inf)
        _play(came, due, work, agents, float(mail.seconds), ages, ended, backlog[r])
        counted = day >= 0
        totals[0, r] = np.bincount(day[counted], minlength=days)
        totals[1, r] = np.bincount(day[counted & (ended <= due)], minlength=days)
        sums[:, r] = came.size, np.isfinite(ended).sum()
    return MailSeen(totals[0], totals[1], sums[0], sums[1], sums[0] - sums[1], backlog)
