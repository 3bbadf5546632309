"""Chats: agents with several contacts at once, each slower the more there are; the service that n agents give, and the fewest.

An agent with k chats finishes k / AHT(k) of them a second, at most `max` at once, and a new chat goes to who has the fewest (limited
processor sharing: Luo & Zhang, "Staffing and control of instant messaging contact centers", Operations Research 61, 2013; Tezcan & Zhang,
"Routing and staffing in customer service chat systems with impatient customers", Operations Research 62, 2014). Once every slot is taken it
is Erlang A of n·max lines; below, a birth-death chain in the number of chats. Even spreading flatters it: a departure leaves some agent
with fewer than the others, and who has fewer works off less. So each number of chats has the mean rate over the spreads that it is found
in, from the chain of spreads over three levels that follow each other, solved level by level (Neuts, Matrix-geometric solutions, 1981).
"""

import dataclasses
import math
from typing import Any

import numpy as np

from services.staffing.domain import erlang
from services.staffing.domain.erlang import Floats, Ints, Service, compiled

# Beyond so many agents the spread is that of so many at the same load each.
AGENTS_SPREAD = 80
IN_HAND, BUSY = erlang.NUMBERS, erlang.NUMBERS + 1


@compiled
def even_rates(n: Any, rate: Any) -> Any:
    """Return chats finished a second (n·max + 1,) with 0 … chats spread evenly; rate (max + 1,): of an agent with 0 … max."""
    most = len(rate) - 1
    out = np.zeros(n * most + 1)
    for x in range(n * most + 1):
        q, s = x // n, x % n
        out[x] = (n - s) * rate[q] + (s * rate[q + 1] if s > 0 else 0.0)
    return out


@compiled
def _range(x: Any, n: Any, most: Any, wide: Any) -> Any:
    """Return the spreads of x chats, first and last: −u agents two above the floor of x / n, or u one below it."""
    q, s = x // n, x % n
    low = -min(s // 2, wide) if q + 2 <= most else 0
    high = min((n - s) // 2, wide) if 1 <= q < most else 0
    return low, high


@compiled
def _levels(x: Any, u: Any, n: Any) -> Any:
    """Return a spread's lowest level, and how many agents are on it, one and two above."""
    q, s = x // n, x % n
    if u <= 0:
        return q, n - s - u, s + 2 * u, -u
    return q - 1, u, n - s - 2 * u, s + u


@compiled
def _place(m: Any, a: Any, b: Any, c: Any, n: Any, most: Any, wide: Any) -> Any:
    """Return the row, from 0, of the spread of a, b, c agents on levels m, m + 1, m + 2; the widest kept where it is wider."""
    x = m * n + b + 2 * c
    if a == 0:
        m, a, b, c = m + 1, b, c, 0
    low, high = _range(x, n, most, wide)
    return min(max(-c if m == x // n else a, low), high) - low


@compiled
def _departures(x: Any, n: Any, rate: Any, wide: Any, down: Any) -> Any:
    """Fill down (2·wide + 1,)² with the rates from the spreads of x chats to those of x − 1; a row's sum is the rate of all."""
    most = len(rate) - 1
    low, high = _range(x, n, most, wide)
    down[:] = 0.0
    for i in range(high - low + 1):
        m, a, b, c = _levels(x, low + i, n)
        for level in range(3):
            agents = a if level == 0 else b if level == 1 else c
            if agents == 0 or m + level == 0:
                continue
            to_m, to_a, to_b, to_c = m, a, b + 1, c - 1
            if level == 0 and c == 0:
                to_m, to_a, to_b, to_c = m - 1, 1, a - 1, b
            elif level < 2 and b > 0:  # a fourth level is not kept: the lowest one's chat is then taken from above
                to_a, to_b, to_c = a + 1, b - 1, c
            down[i, _place(to_m, to_a, to_b, to_c, n, most, wide)] += agents * rate[m + level]


@compiled
def spread_rates(n: Any, lam: Any, rate: Any) -> Any:
    """Return chats finished a second (n·max + 1,) with 0 … chats as least-loaded routing spreads them at `lam` new ones a second."""
    most, wide = len(rate) - 1, int(2.0 * math.sqrt(n)) + 2
    full, size = n * most, 2 * wide + 1
    out = even_rates(n, rate)
    if most == 1 or n == 1:
        return out
    below, down = np.zeros((full, size, size)), np.zeros((size, size))
    for x in range(full):
        low, high = _range(x, n, most, wide)
        k = high - low + 1
        flow, leave = np.zeros((k, k)), np.zeros((k, size))  # transposed
        for i in range(k):
            flow[i, i] = -lam
            for j in range(size):
                flow[i, i] -= down[i, j]
        before, end = _range(x - 1, n, most, wide) if x > 0 else (0, -1)
        for i in range(end - before + 1):
            m, a, b, c = _levels(x - 1, before + i, n)
            to = _place(m, a - 1, b + 1, c, n, most, wide)
            for j in range(k):
                flow[to, j] += lam * below[x - 1, j, i]
        _departures(x + 1, n, rate, wide, down)
        for i in range(k):
            for j in range(size):
                leave[i, j] = -down[j, i]
        below[x, :, :k] = np.linalg.solve(flow, leave).T
    p, lower = np.zeros(size), np.zeros(size)
    p[0] = 1.0
    for x in range(full - 1, 0, -1):
        _departures(x, n, rate, wide, down)
        total = out[x] = 0.0
        for i in range(size):
            lower[i] = 0.0
            for j in range(size):
                lower[i] += p[j] * below[x, j, i]
            total += lower[i]
        for i in range(size):
            p[i] = lower[i] / total
            for j in range(size):
                out[x] += p[i] * down[i, j]
    return out


@compiled
def _below(n: Any, lam: Any, total: Any) -> Any:
    """Return, of fewer chats than slots: their weight over that of one slot free, and the mean chats in hand and agents busy."""
    weight, scale = 1.0, 1.0
    top = len(total) - 2
    all_, chats, busy = 1.0, float(top), float(min(top, n))
    for x in range(top, 0, -1):
        weight *= total[x] / lam
        all_ += weight
        chats += weight * (x - 1.0)
        busy += weight * min(x - 1.0, float(n))
        if weight > 1e150:
            weight, all_, chats, busy, scale = weight * 1e-150, all_ * 1e-150, chats * 1e-150, busy * 1e-150, np.inf
        if weight < 1e-18 * all_ and total[x] < lam:
            break
    return all_ * scale, chats / all_, busy / all_


def _rates(n: int, lam: float, rate: Floats) -> Floats:
    """Return chats finished a second (n·max + 1,) as they are spread."""
    if n <= AGENTS_SPREAD:
        few: Floats = spread_rates(n, lam, rate)
        return few
    fewer = spread_rates(AGENTS_SPREAD, lam * AGENTS_SPREAD / n, rate)
    at = np.arange(n * (len(rate) - 1) + 1) * (AGENTS_SPREAD / n)
    many: Floats = np.interp(at, np.arange(len(fewer)), fewer) * (n / AGENTS_SPREAD)
    return many


def _serve(n: int, lam: float, chats: "Chats", threshold: float, short: float, even: bool = False) -> Floats:
    """Return what n agents give at lam > 0 chats a second (NUMBERS + 2,)."""
    out, rate, patience = np.zeros(erlang.NUMBERS + 2), chats.rate, float(chats.patience)
    slots, handle = n * chats.handle.size, float(chats.handle[-1])
    if n == 0:
        out[erlang.WAITS], out[erlang.ASA], out[erlang.WAIT_OF_ALL] = 1.0, np.inf, patience
        out[erlang.LEFT_WITHIN], out[erlang.LEFT_SHORT] = -np.expm1(-threshold / patience), -np.expm1(-short / patience)
        out[erlang.ANSWERED if patience == np.inf else erlang.ABANDONED] = 1.0
        return out
    if patience == np.inf:
        erlang.erlang_c(float(slots), lam * handle, handle, float(threshold), out)
    else:
        erlang.erlang_a(float(slots), lam * handle, handle, patience, float(threshold), float(short), erlang.DEEP, out)
    weight, in_hand, busy = _below(n, lam, even_rates(n, rate) if even else _rates(n, lam, rate))
    waits = out[erlang.WAITS]
    if 0 < waits < 1:
        odds = waits / (1.0 - waits) * erlang.inverse_b(slots - 1.0, lam * handle) / weight
        fewer = odds / (1.0 + odds) / waits
        waited = out[erlang.ASA] * out[erlang.ANSWERED] * fewer
        out[[erlang.WITHIN, erlang.REACHED]] = 1.0 - fewer * (1.0 - out[[erlang.WITHIN, erlang.REACHED]])
        out[[erlang.WAITS, erlang.ABANDONED, erlang.LEFT_WITHIN, erlang.LEFT_SHORT, erlang.WAIT_OF_ALL]] *= fewer
        out[erlang.ANSWERED] = 1.0 - out[erlang.ABANDONED]
        out[erlang.ASA] = waited / out[erlang.ANSWERED]
    out[IN_HAND] = in_hand + out[erlang.WAITS] * (slots - in_hand)
    out[BUSY] = busy + out[erlang.WAITS] * (n - busy)
    return out


def _keeps(kind: int, target: float, n: int, lam: float, chats: "Chats", limits: tuple[float, float], even: bool) -> bool:
    """Return whether n agents keep a target. limits: T and the short threshold."""
    out = _serve(n, lam, chats, *limits, even)
    value = float(erlang.measure(kind, out, float(n), lam))
    if kind == erlang.BY_OCCUPANCY:
        value = out[IN_HAND] / (n * chats.handle.size) if n > 0 else np.inf
    return value >= target if kind <= erlang.SL_VIRTUAL else value <= target


def _fewest(kind: int, target: float, lam: float, chats: "Chats", limits: tuple[float, float]) -> int:
    """Return the fewest agents: by halves with chats spread evenly, which is never worse, and from there on as they are spread."""
    low = int(lam * chats.handle[-1] / chats.handle.size) if chats.patience == np.inf else -1
    high = low + 1
    while not _keeps(kind, target, high, lam, chats, limits, True):
        low, high = high, 2 * high + 1
    while high - low > 1:
        n = (low + high) // 2
        if _keeps(kind, target, n, lam, chats, limits, True):
            high = n
        else:
            low = n
    while not _keeps(kind, target, high, lam, chats, limits, False):
        high += 1
    return high


@dataclasses.dataclass(frozen=True)
class Chats:
    """A queue's chats. arrivals (I,) a second; handle (max,): mean seconds of a chat whose agent has 1 … max; patience: mean
    seconds, inf: nobody gives up."""

    arrivals: Floats
    handle: Floats
    patience: float

    def __post_init__(self) -> None:
        if self.arrivals.ndim != 1 or not (np.isfinite(self.arrivals).all() and (self.arrivals >= 0).all()):
            raise ValueError(f"arrivals are {self.arrivals}; allowed: (I,), finite, 0 or more")
        if not (1 <= self.handle.size <= 20 and (self.handle > 0).all() and np.isfinite(self.handle).all()):
            raise ValueError(f"AHT by level is {self.handle}; allowed: 1 to 20 levels, seconds above 0")
        if not self.patience > 0:
            raise ValueError(f"patience is {self.patience}; allowed: seconds above 0, or inf")
        if (np.diff(self.handle) < 0).any():
            raise ValueError(f"AHT by level is {self.handle}; allowed: not falling, a chat beside others is no faster")
        if (np.diff(self.rate) < -1e-12).any():
            raise ValueError(f"AHT by level is {self.handle}; allowed: k / AHT(k) not falling, or lower the most chats at once")

    @property
    def rate(self) -> Floats:
        """Chats that an agent with 0 … max finishes a second (max + 1,)."""
        return np.concatenate([[0.0], np.arange(1.0, self.handle.size + 1) / self.handle])


@dataclasses.dataclass(frozen=True)
class ChatService(Service):
    """As for calls; occupancy is the share of slots used. Arrays (I,): `concurrency` chats of an agent who has any, `handle` seconds of
    a chat; NaN where there are none."""

    concurrency: Floats
    handle: Floats


def handle_by_level(aht: float, most: int, by_level: tuple[float, ...]) -> Floats:
    """Return the AHT (max,), seconds, with 1 … max chats at once; the forecast's at each level where the book names none."""
    if by_level and len(by_level) != most:
        raise ValueError(f"aht_seconds_by_level has {len(by_level)} levels; allowed: max, {most}, or none")
    return np.array(by_level or (aht,) * most, float)


def chat_service(chats: Chats, agents: Ints, threshold: float, short: float = 0.0) -> ChatService:
    """Return the service of whole agents (I,); T and the short threshold in seconds. Nothing offered: all is answered, none wait."""
    found = np.zeros((chats.arrivals.size, erlang.NUMBERS + 2))
    found[:, [erlang.ANSWERED, erlang.WITHIN, erlang.REACHED]] = 1.0
    for i in np.flatnonzero(chats.arrivals > 0):
        found[i] = _serve(int(agents[i]), float(chats.arrivals[i]), chats, threshold, short)
    columns = {name: found[:, at] for name, at in _COLUMNS.items()}
    with np.errstate(divide="ignore", invalid="ignore"):
        used = np.where(agents > 0, found[:, IN_HAND] / (agents * float(chats.handle.size)), 0.0)
        concurrency = found[:, IN_HAND] / found[:, BUSY]
        handle = found[:, IN_HAND] / (chats.arrivals * found[:, erlang.ANSWERED])
    return ChatService(**columns, occupancy=used, concurrency=concurrency, handle=handle)


_COLUMNS = {
    "waits": erlang.WAITS,
    "answered": erlang.ANSWERED,
    "abandoned": erlang.ABANDONED,
    "within": erlang.WITHIN,
    "left_within": erlang.LEFT_WITHIN,
    "left_short": erlang.LEFT_SHORT,
    "asa": erlang.ASA,
}


def fewest_chat_agents(kind: int, target: float, chats: Chats, threshold: float, short: float = 0.0) -> Ints:
    """Return the fewest whole agents (I,) that keep a target of a kind (SL_OFFERED … BY_OCCUPANCY); 0 where nothing is offered."""
    if not target > 0 or (target > 1 and kind != erlang.BY_ASA):
        raise ValueError(f"target is {target}; allowed: above 0, to 1 but for seconds of ASA")
    kept = (threshold, short)
    return np.array([_fewest(kind, target, float(lam), chats, kept) if lam > 0 else 0 for lam in chats.arrivals], np.int64)


def carried(arrivals: Floats, handle: Floats, seconds: float) -> Floats:
    """Return arrivals (I,) a second whose load is what is really in hand: a chat of long AHT runs on into the next interval.

    The mean in an interval of the load of endlessly many agents, the first empty, over the AHT (Jennings, Mandelbaum, Massey & Whitt,
    "Server staffing to meet time-varying demand", Management Science 42, 1996).
    """
    found, load = np.zeros(arrivals.size), 0.0
    for i, (lam, s) in enumerate(zip(arrivals, handle, strict=True)):
        stays = np.exp(-seconds / s)
        found[i] = lam + (load / s - lam) * s / seconds * (1.0 - stays)
        load = lam * s + (load - lam * s) * stays
    return found
