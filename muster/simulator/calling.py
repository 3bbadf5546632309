"""A day of outbound, attempt by attempt: agents call one after the other while calls may be made, until enough are reached.

After each attempt an agent rests for as long as keeps the share of time worked at the cap. Whoever leaves at a border of intervals finishes
the attempt in hand and begins no new one.
"""

import dataclasses
import heapq
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)


@dataclasses.dataclass(frozen=True)
class CallDay:
    """A day's calls and who makes them.

    agents (I,) on queue in intervals of `seconds`; calls (I,): whether calls may be made; wanted: contacts to reach; connect_rate: share of
    attempts that reach someone; attempt: seconds before the answer or instead of one; handle: mean seconds of a contact; variation: its
    coefficient of variation (gamma); sigma: of lognormal handle times instead, None: gamma; cap: share of time that may be worked.
    """

    agents: Ints
    calls: NDArray[np.bool_]
    seconds: float
    wanted: int
    connect_rate: float
    attempt: float
    handle: float
    variation: float = 1.0
    sigma: float | None = None
    cap: float = 1.0

    def __post_init__(self) -> None:
        if self.agents.shape != self.calls.shape or self.agents.ndim != 1 or (self.agents < 0).any() or self.wanted < 0:
            raise ValueError(
                f"agents {self.agents.shape}, calls {self.calls.shape}, wanted {self.wanted}; allowed: (I,), 0 or more"
            )
        if not (0 < self.connect_rate <= 1 and 0 < self.cap <= 1 and 0 < self.seconds < np.inf):
            raise ValueError(
                f"connect_rate {self.connect_rate}, cap {self.cap}, seconds {self.seconds}; allowed: above 0, to 1, to 1, finite"
            )
        if not (0 <= self.attempt < np.inf and 0 < self.handle < np.inf and 0 <= self.variation <= 3):
            told = f"attempt {self.attempt}, handle {self.handle}, variation {self.variation}"
            raise ValueError(f"{told}; allowed: 0 or more, above 0, 0 to 3")
        if self.sigma is not None and not 0 <= self.sigma <= 3:
            raise ValueError(f"sigma is {self.sigma}; allowed: 0 to 3, None for gamma handle times")


@dataclasses.dataclass(frozen=True)
class CallsSeen:
    """Arrays (R, I), days first: attempts begun, and contacts reached, by the interval of their answer (the last one's, if later)."""

    attempts: Ints
    reached: Ints


@compiled
def _handle(luck: Any, handle: Any, variation: Any, sigma: Any) -> Any:
    """Return a contact's handle time; sigma below 0: gamma of the variation."""
    if sigma >= 0:
        return handle * np.exp(sigma * luck.standard_normal() - sigma * sigma / 2.0)
    if variation == 0:
        return handle
    shape = 1.0 / (variation * variation)
    return handle / shape * luck.standard_gamma(shape)


@compiled
def _play(
    luck: Any, agents: Any, seconds: Any, wanted: Any, rate: Any, attempt: Any, each: Any, cap: Any, tried: Any, got: Any
) -> Any:
    """Play a day; each (3,): handle, variation, sigma; fill tried and got (I,)."""
    busy = [0.0]
    busy.clear()
    border = on = reached = 0
    while True:
        turn, now = border * seconds, busy[0] if len(busy) > 0 else np.inf
        if turn <= now:
            if border == len(agents):
                break
            now, on = turn, agents[border]
            border += 1
        else:
            heapq.heappop(busy)
        while len(busy) < on and reached < wanted:
            tried[border - 1] += 1
            spent = attempt
            if luck.random() < rate:
                reached += 1
                got[min(int((now + attempt) / seconds), len(agents) - 1)] += 1
                spent += _handle(luck, each[0], each[1], each[2])
            heapq.heappush(busy, now + spent / cap)


def play_calls(day: CallDay, days: int, luck: np.random.Generator) -> CallsSeen:
    """Return what `days` (R) days of calls show."""
    if days < 1:
        raise ValueError(f"days is {days}; allowed: 1 or more")
    tried, got = np.zeros((2, days, day.agents.size), np.int64)
    agents = np.where(day.calls, day.agents, 0).astype(np.int64)
    each = np.array([day.handle, day.variation, -1.0 if day.sigma is None else day.sigma])
    for r in range(days):
        _play(
            luck,
            agents,
            float(day.seconds),
            day.wanted,
            day.connect_rate,
            float(day.attempt),
            each,
            day.cap,
            tried[r],
            got[r],
        )
    return CallsSeen(tried, got)
