"""A day of chats, event by event: agents with several chats at once, each slower the more there are, least-loaded routing.

Who leaves at a border of intervals takes nothing new and finishes the chats in hand. A chat that is not answered by the end of the day has
given up, or is still open where nobody hangs up.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)


@dataclasses.dataclass(frozen=True)
class ChatDay:
    """A day's chats.

    volume (I,): expected chats an interval of `seconds`; agents (I,) on queue; handle (max,): mean seconds of a chat whose agent has
    1 … max; patience: mean seconds, inf: nobody gives up; threshold: T in seconds; sigma: of lognormal handle times, 0: exponential.
    """

    volume: Floats
    agents: Ints
    seconds: float
    handle: Floats
    patience: float
    threshold: float
    sigma: float = 0.0

    def __post_init__(self) -> None:
        if self.volume.shape != self.agents.shape or self.volume.ndim != 1:
            raise ValueError(f"volume has shape {self.volume.shape}, agents {self.agents.shape}; allowed: (I,) both")
        if not (np.isfinite(self.volume).all() and (self.volume >= 0).all() and (self.agents >= 0).all()):
            raise ValueError(f"volume {self.volume}, agents {self.agents}; allowed: finite, 0 or more")
        if not (1 <= self.handle.size <= 20 and np.isfinite(self.handle).all() and (self.handle > 0).all()):
            raise ValueError(f"handle is {self.handle}; allowed: 1 to 20 levels, seconds above 0")
        if not (0 < self.seconds < np.inf and self.patience > 0 and 0 <= self.threshold < np.inf and 0 <= self.sigma <= 3):
            raise ValueError(
                f"seconds {self.seconds}, patience {self.patience}, threshold {self.threshold}, sigma {self.sigma}; "
                "allowed: above 0, above 0, 0 or more, 0 to 3"
            )


@dataclasses.dataclass(frozen=True)
class ChatsSeen:
    """Arrays (R, I), by interval of arrival: offered = answered + abandoned + still_open; `within`: answered within T; `waited`: seconds
    of the answered. Arrays (R,): `chat_seconds` in hand, `busy_seconds` of agents with a chat, `slot_seconds` on queue by max.
    """

    offered: Ints
    within: Ints
    answered: Ints
    abandoned: Ints
    still_open: Ints
    waited: Floats
    chat_seconds: Floats
    busy_seconds: Floats
    slot_seconds: Floats


@compiled
def _work(luck: Any, sigma: Any) -> Any:
    """Return a chat's size, mean 1."""
    if sigma > 0:
        return np.exp(sigma * luck.standard_normal() - sigma * sigma / 2.0)
    return luck.standard_exponential()


@compiled
def _least(count: Any, stays: Any, top: Any, most: Any) -> Any:
    """Return the agent with the fewest chats among those who take any, −1 if all are full."""
    best, fewest = -1, most
    for a in range(top):
        if stays[a] == 1 and count[a] < fewest:
            best, fewest = a, count[a]
            if fewest == 0:
                break
    return best


@compiled
def _bring_up(a: Any, now: Any, count: Any, left: Any, since: Any, handle: Any, spent: Any) -> Any:
    """Bring an agent's chats up to now; spent: chat seconds and busy seconds."""
    if count[a] > 0:
        passed = now - since[a]
        spent[0] += passed * count[a]
        spent[1] += passed
        for c in range(count[a]):
            left[a, c] -= passed / handle[count[a] - 1]
    since[a] = now


@compiled
def _plan_end(a: Any, now: Any, count: Any, left: Any, ends: Any, handle: Any) -> Any:
    """Set when an agent's next chat ends at the rate that they have now."""
    ends[a] = np.inf
    if count[a] > 0:
        ends[a] = now + max(left[a, : count[a]].min(), 0.0) * handle[count[a] - 1]


@compiled
def _end_chat(a: Any, now: Any, count: Any, left: Any, ends: Any, handle: Any) -> Any:
    """Take the chat with nothing left off an agent."""
    done = left[a, : count[a]].argmin()
    left[a, done] = left[a, count[a] - 1]
    count[a] -= 1
    _plan_end(a, now, count, left, ends, handle)


@compiled
def _next_end(ends: Any, top: Any) -> Any:
    """Return whose chat ends next, and when; −1 if there is none."""
    a, at = -1, np.inf
    for p in range(top):
        if ends[p] < at:
            a, at = p, ends[p]
    return a, at


@compiled
def _settle_pool(luck: Any, wanted: Any, stays: Any, count: Any, top: Any) -> Any:
    """Let agents come, or leave by lot, until `wanted` are on queue; return how many places are in use."""
    on = 0
    for a in range(top):
        on += stays[a]
    while on > wanted:
        pick = int(luck.random() * on)
        for a in range(top):
            if stays[a] == 1:
                if pick == 0:
                    stays[a] = 0
                    break
                pick -= 1
        on -= 1
    place = 0
    while on < wanted:
        while place < top and (stays[place] == 1 or count[place] > 0):
            place += 1
        stays[place] = 1
        top = max(top, place + 1)
        on += 1
    return top


@compiled
def _play(
    luck: Any, came: Any, leaves: Any, agents: Any, seconds: Any, handle: Any, within: Any, sigma: Any, out: Any, spent: Any
) -> Any:
    """Play a day: came (N,) in order; leaves (N,): when they give up, unless answered before; fill out (5, I): within, answered,
    abandoned, open, waited, and spent (2,): chat and busy seconds."""
    intervals, most = len(agents), len(handle)
    places = agents.max() + 1 + np.maximum(agents[:-1] - agents[1:], 0).sum()
    count, stays = np.zeros(places, np.int64), np.zeros(places, np.int64)
    left, since, ends = np.zeros((places, most)), np.zeros(places), np.full(places, np.inf)
    first = last = top = border = 0
    while True:
        a, at = _next_end(ends, top)
        comes = came[last] if last < len(came) else np.inf
        turn = border * seconds if border <= intervals else np.inf
        now = min(at, comes, turn)
        if now == np.inf:
            break
        if now == turn:
            top = _settle_pool(luck, agents[border] if border < intervals else 0, stays, count, top)
            border += 1
        elif now == comes:
            last += 1
        else:
            _bring_up(a, now, count, left, since, handle, spent)
            _end_chat(a, now, count, left, ends, handle)
        while first < last:
            a = _least(count, stays, top, most)
            if a < 0:
                break
            i = min(int(came[first] / seconds), intervals - 1)
            wait, first = now - came[first], first + 1
            if leaves[first - 1] <= now:
                out[2, i] += 1
                continue
            _bring_up(a, now, count, left, since, handle, spent)
            left[a, count[a]] = _work(luck, sigma)
            count[a] += 1
            _plan_end(a, now, count, left, ends, handle)
            out[0, i] += wait <= within
            out[1, i] += 1
            out[4, i] += wait
    for k in range(first, last):
        out[2 if leaves[k] < np.inf else 3, min(int(came[k] / seconds), intervals - 1)] += 1


def play_chats(day: ChatDay, days: int, luck: np.random.Generator, paths: Floats | None = None) -> ChatsSeen:
    """Return what `days` days (R) of chats show: Poisson around the day's volume, or around paths (R, I) of what days may bring.

    Chats still in hand at the end of the day are finished.
    """
    if days < 1 or (paths is not None and paths.shape != (days, day.volume.size)):
        told = "none" if paths is None else paths.shape
        raise ValueError(f"days is {days}, paths {told}; allowed: 1 or more, with {(days, day.volume.size)} or none")
    expected = np.broadcast_to(day.volume, (days, day.volume.size)) if paths is None else paths
    offered = luck.poisson(expected).astype(np.int64)
    found, spent = np.zeros((days, 5, day.volume.size)), np.zeros((days, 2))
    agents, handle = day.agents.astype(np.int64), np.ascontiguousarray(day.handle, float)
    for r in range(days):
        slot = np.repeat(np.arange(day.volume.size), offered[r])
        came = np.sort((slot + luck.random(slot.size)) * day.seconds)
        leaves = came + (luck.exponential(day.patience, came.size) if day.patience < np.inf else np.inf)
        _play(luck, came, leaves, agents, day.seconds, handle, day.threshold, day.sigma, found[r], spent[r])
    counts = found[:, :4].astype(np.int64)
    slots = np.full(days, float(agents.sum()) * day.seconds * handle.size)
    return ChatsSeen(
        offered, counts[:, 0], counts[:, 1], counts[:, 2], counts[:, 3], found[:, 4], spent[:, 0], spent[:, 1], slots
    )
