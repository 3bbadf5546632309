"""A day's queue as it really moves: the chance of each number in the system, carried from interval to interval.

The forward equations of M(t)/M/n(t)+M (e.g. Green, Kolesar & Whitt, "Coping with time-varying demand when setting staffing
requirements for a service system", POM 16, 2007), stepped by Crank-Nicolson: exact but for handle times taken as exponential. The rate
runs linearly between mid-points of intervals. A contact's service is that of the number it finds: it is served within T as a pure death
process of those ahead, who are served or hang up, reaches it first.

When a pool shrinks, `LEAVE`: a random part of the pool goes, and who is busy finishes outside the pool; `BLOCK`: nobody is served until
fewer are busy than the pool has now.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np

from services.staffing.domain.erlang import SL_OFFERED, Floats, Ints, Load, fewest_agents_for

compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)

LEAVE, BLOCK = 0, 1
STEP_SECONDS = 20.0


@compiled
def served_in_time(n: Any, handle: Any, theta: Any, threshold: Any, size: Any) -> Any:
    """Return the chance (size,) to be served within T by who finds k waiting and all n busy, k = 0 …"""
    chance, at, rate = np.zeros(size), np.zeros(size + 1), n / handle
    if n <= 0:
        return chance
    if threshold <= 0:
        return chance
    top = min(size, int(rate * threshold + 12.0 * np.sqrt(rate * threshold) + 30.0))
    steps = int(threshold * (rate + top * theta) * 0.7) + 8
    h = threshold / steps
    k1, k2, k3, k4, y = np.zeros(top + 1), np.zeros(top + 1), np.zeros(top + 1), np.zeros(top + 1), np.zeros(top + 1)
    at[0] = 1.0
    for _ in range(steps):
        for stage in range(4):
            for j in range(top + 1):
                if stage == 0:
                    y[j] = at[j]
                elif stage == 1:
                    y[j] = at[j] + h / 2 * k1[j]
                elif stage == 2:
                    y[j] = at[j] + h / 2 * k2[j]
                else:
                    y[j] = at[j] + h * k3[j]
            k = k1 if stage == 0 else k2 if stage == 1 else k3 if stage == 2 else k4
            k[0] = 0.0
            for j in range(1, top + 1):
                k[j] = (rate + (j - 1) * theta) * (y[j - 1] - y[j]) - theta * y[j]
        for j in range(1, top + 1):
            at[j] += h / 6 * (k1[j] + 2 * k2[j] + 2 * k3[j] + k4[j])
    for j in range(top):
        chance[j] = max(at[j + 1], 0.0)
    return chance


@compiled
def shrink(p: Any, before: Any, after: Any) -> Any:
    """Return the chances (N,) of numbers in the system after some of `before` agents left with their contacts."""
    gone = before - after
    if gone <= 0:
        return p.copy()
    out = np.zeros_like(p)
    for x in range(len(p)):
        if p[x] <= 0:
            continue
        busy = min(x, before)
        if busy == before:
            out[x - gone] += p[x]
            continue
        # Of `busy` among `before`, those among the `gone`: hypergeometric, from the fewest there can be.
        # From the likeliest number on both ways, so that no weight grows beyond 1.
        low, high = max(0, busy + gone - before), min(busy, gone)
        likely = min(max(((busy + 1) * (gone + 1)) // (before + 2), low), high)
        weights = np.zeros(high - low + 1)
        weights[likely - low] = 1.0
        for k in range(likely, high):
            weights[k + 1 - low] = weights[k - low] * (busy - k) * (gone - k) / ((k + 1.0) * (before - busy - gone + k + 1.0))
        for k in range(likely, low, -1):
            weights[k - 1 - low] = weights[k - low] * k * (before - busy - gone + k) / ((busy - k + 1.0) * (gone - k + 1.0))
        total = weights.sum()
        for k in range(low, high + 1):
            out[x - k] += p[x] * weights[k - low] / total
    return out


@compiled
def run(p: Any, n: Any, crowd: Any, rates: Any, seconds: Any, handle: Any, theta: Any, chance: Any, late: Any) -> Any:
    """Carry p (N,) over an interval and return (answered within T, offered); p is changed.

    rates (M,): arrivals a second in the middle of each of M steps; chance (N,): to be served within T by who finds k waiting; crowd: how
    many are still busy at the beginning, where more than n (BLOCK); late (N,): the chance within what is left of T, by steps of a tenth.
    """
    size, steps = len(p), len(rates)
    dt, mu = seconds / steps, 1.0 / handle
    lower, main, upper, right = np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size)
    good = offered = 0.0
    for m in range(steps):
        lam = rates[m]
        busy = max(float(n), crowd * np.exp(-mu * (m + 0.5) * dt))
        held = max(np.log(crowd / max(n, 0.5)) * handle - (m + 0.5) * dt, 0.0) if crowd > n else 0.0
        half = dt / 2.0
        for x in range(size):
            down = mu * min(float(x), busy) + theta * max(x - busy, 0.0)
            up = lam if x < size - 1 else 0.0
            main[x] = 1.0 + half * (up + down)
            right[x] = p[x] * (1.0 - half * (up + down))
            if x > 0:
                right[x] += half * lam * p[x - 1]
                lower[x] = -half * lam
            if x < size - 1:
                after = mu * min(x + 1.0, busy) + theta * max(x + 1.0 - busy, 0.0)
                right[x] += half * after * p[x + 1]
                upper[x] = -half * after
        seen = 0.5 * p
        for x in range(1, size):
            w = lower[x] / main[x - 1]
            main[x] -= w * upper[x - 1]
            right[x] -= w * right[x - 1]
        p[size - 1] = right[size - 1] / main[size - 1]
        for x in range(size - 2, -1, -1):
            p[x] = (right[x] - upper[x] * p[x + 1]) / main[x]
        seen += 0.5 * p
        within = 0.0
        row = min(int(held * late[0, 0]), len(late) - 2) + 1
        for x in range(size):
            if x < n:
                within += seen[x]
            elif held <= 0:
                within += seen[x] * chance[x - n]
            else:
                within += seen[x] * late[row, x - n]
        good += lam * within
        offered += lam
    return good * dt, offered * dt


@dataclasses.dataclass(frozen=True)
class Day:
    """A day's queue: volume (K,) expected contacts an interval; seconds of an interval; AHT and patience in seconds (inf: nobody hangs
    up); T in seconds."""

    volume: Floats
    seconds: float
    handle: float
    patience: float
    threshold: float
    linear: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.volume).all() and (self.volume >= 0).all()):
            raise ValueError(f"volume is {self.volume}; allowed: finite, 0 or more")
        if not (0 < self.seconds < np.inf and 0 < self.handle < np.inf and self.patience > 0 and 0 <= self.threshold < np.inf):
            told = f"seconds {self.seconds}, handle {self.handle}, patience {self.patience}, threshold {self.threshold}"
            raise ValueError(f"{told}; allowed: above 0, patience may be inf, threshold 0 or more")

    @property
    def theta(self) -> float:
        return 0.0 if np.isinf(self.patience) else 1.0 / self.patience

    def rates(self, interval: int) -> Floats:
        """Return arrivals a second in the steps of an interval: they run linearly between mid-points; unless `linear` the interval's sum is
        as told, and beside one without contacts there is no ramp."""
        steps = max(int(self.seconds / STEP_SECONDS), 4)
        place = (np.arange(steps) + 0.5) / steps
        if self.linear:
            told_at: Floats = np.interp(place + interval, np.arange(self.volume.size) + 0.5, self.volume) / self.seconds
            return told_at
        here = self.volume[interval]
        before = self.volume[interval - 1] if interval > 0 else 0.0
        after = self.volume[interval + 1] if interval + 1 < self.volume.size else 0.0
        rate: Floats = np.interp(place, (-0.5, 0.5, 1.5), (before or here, here, after or here)) / self.seconds
        told, sum_ = here / self.seconds, float(rate.mean())
        return rate * (told / sum_) if sum_ > 0 else rate


TENTHS = 10


class _Chances:
    """Chances to be served within T, by number of agents, kept."""

    def __init__(self, day: Day, size: int) -> None:
        self._day, self._size = day, size
        self._whole: dict[int, Floats] = {}
        self._late: dict[int, Floats] = {}

    def whole(self, n: int) -> Floats:
        if n not in self._whole:
            d = self._day
            self._whole[n] = served_in_time(n, d.handle, d.theta, d.threshold, self._size)
        return self._whole[n]

    def late(self, n: int) -> Floats:
        """Return chances (TENTHS + 2, N) when the first so many tenths of T pass unserved, the last row 0; [0, 0] tells a row a second."""
        if n not in self._late:
            d, table = self._day, np.zeros((TENTHS + 2, self._size))
            for tenth in range(TENTHS):
                left = d.threshold * (1 - (tenth + 0.5) / TENTHS)
                stay = np.exp(-d.theta * (d.threshold - left))
                table[tenth + 1] = stay * served_in_time(n, d.handle, d.theta, left, self._size)
            table[0, 0] = TENTHS / max(d.threshold, 1e-9)
            self._late[n] = table
        return self._late[n]


@dataclasses.dataclass
class Moving:
    """A day's queue under one discipline, as it stands at the beginning of an interval. crowd: how many are still busy where they are more
    than the agents there were (BLOCK), else 0: contacts longer than an interval block the next one too."""

    day: Day
    discipline: int
    chances: _Chances
    p: Floats
    agents: int = 0
    crowd: float = 0.0

    @classmethod
    def begin(cls, day: Day, discipline: int, most: int) -> "Moving":
        """Begin the day empty. most: agents that there may be at once."""
        load = day.volume.max(initial=0.0) * day.handle / day.seconds
        size = int(max(most, load) + 10 * np.sqrt(load) + 0.5 * load + 60)
        p = np.zeros(size)
        p[0] = 1.0
        return cls(day, discipline, _Chances(day, size), p)

    def try_out(self, interval: int, n: int) -> tuple[float, Floats, float]:
        """Return the service level of an interval with n agents (1 where nothing is offered), and how it leaves the queue and the crowd."""
        day, crowd = self.day, 0.0
        if self.discipline == LEAVE:
            p = shrink(self.p, self.agents, n)
        else:
            p, before = self.p.copy(), max(float(self.agents), self.crowd)
            crowd = float(min(before, (p * np.minimum(np.arange(p.size), before)).sum())) if n < before else 0.0
        late = self.chances.late(n) if crowd > n else np.zeros((2, 1))
        whole = self.chances.whole(n)
        good, offered = run(p, n, crowd, day.rates(interval), day.seconds, day.handle, day.theta, whole, late)
        left = crowd * math.exp(-day.seconds / day.handle)
        return (good / offered if offered > 0 else 1.0), p, left if left > n else 0.0

    def go(self, n: int, p: Floats, crowd: float) -> None:
        """Go on to the next interval, as `try_out` found it left."""
        self.p, self.agents, self.crowd = p, n, crowd


def predict_day(day: Day, required: Sequence[int], discipline: int) -> list[float]:
    """Return the service level (answered within T / offered) of each interval with these agents."""
    moving, levels = Moving.begin(day, discipline, max(required, default=0)), []
    for interval, n in enumerate(required):
        level, p, crowd = moving.try_out(interval, int(n))
        moving.go(int(n), p, crowd)
        levels.append(float(min(max(level, 0.0), 1.0)))
    return levels


def fewest_day(day: Day, target: float, block_slack: float = 0.008) -> Ints:
    """Return agents (K,): in each interval the fewest that keep the target as the queue comes in from the interval before, when leavers
    finish; and come within `block_slack` of it when pools block."""
    load = Load(day.volume / day.seconds, np.full(day.volume.size, day.handle), np.full(day.volume.size, day.patience))
    still = fewest_agents_for(SL_OFFERED, target, load, day.threshold, 0.0)
    most = int(still.max(initial=0) * 1.3 + 20)
    both = [(Moving.begin(day, LEAVE, most), target), (Moving.begin(day, BLOCK, most), target - block_slack)]
    found = np.zeros(day.volume.size, np.int64)

    def keeps(interval: int, n: int) -> bool:
        return all(m.try_out(interval, n)[0] >= wanted for m, wanted in both)

    for interval in range(day.volume.size):
        n = int(still[interval])
        if keeps(interval, n):
            while n > 0 and keeps(interval, n - 1):
                n -= 1
        else:
            while n < most and not keeps(interval, n + 1):
                n += 1
            n = min(n + 1, most)
        found[interval] = n
        for m, _ in both:
            _, p, crowd = m.try_out(interval, n)
            m.go(n, p, crowd)
    return found
