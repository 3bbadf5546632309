"""A chat queue's load, and the agents it needs: chats in hand as they are carried, agents with several at once (`chat`).

A chat's number takes milliseconds, so each is kept: arrivals are rounded up by at most half a per cent, and intervals that are alike then
ask once.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.staffing.domain.carried import PARTS, Carried, joined
from services.staffing.domain.chat import Chats, chat_service, fewest_chat_agents
from services.staffing.domain.erlang import SL_OFFERED, Floats, Ints, Service

GRAIN = 0.005
NUMBERS = [field.name for field in dataclasses.fields(Service)]


@dataclasses.dataclass(frozen=True)
class ChatLoad:
    """carried: chats in hand were there agents for all, at the AHT of a full agent; levels (I, max): AHT of an agent with 1 … max, seconds."""

    carried: Carried
    levels: Floats

    @property
    def arrivals(self) -> Floats:
        """Chats a second (I,)."""
        return self.carried.arrivals

    @property
    def handle(self) -> Floats:
        """AHT (I,) of an agent who has all they can, seconds."""
        return self.carried.handle

    @property
    def erlangs(self) -> Floats:
        """Chats in hand (I,), offered: arrivals × AHT of a full agent."""
        return self.carried.erlangs

    @property
    def mean(self) -> Floats:
        """Chats in hand (I,) in mean over the interval, as carried."""
        return self.carried.mean

    def pick(self, rows: NDArray[np.bool_] | Ints) -> "ChatLoad":
        return ChatLoad(self.carried.pick(rows), self.levels[rows])

    def asked(self) -> list[tuple[float, tuple[float, ...], float]]:
        """Return what each interval asks: chats a second that keep as many in hand, AHTs, patience."""
        c = self.carried
        rates = np.where(c.arrivals > 0, c.mean / c.handle, 0.0)
        levels = np.maximum(np.round(self.levels, 6), 1.0)
        return [(_up(float(r)), tuple(row.tolist()), float(p)) for r, row, p in zip(rates, levels, c.patience, strict=True)]


def steady_chats(arrivals: Floats, levels: Floats, patience: float) -> ChatLoad:
    """Return a load as if it came for ever: chats a second (I,), AHTs (max,) of an agent with 1 … max, patience in seconds."""
    size = arrivals.size
    handle = np.full(size, levels[-1])
    parts = np.tile((arrivals * handle)[:, None], PARTS)
    alone = Carried.told(arrivals, handle, np.full(size, patience), parts, np.full(parts.shape, 1.0 / PARTS))
    return ChatLoad(alone, np.tile(levels, (size, 1)))


def joined_chats(days: Sequence[ChatLoad]) -> ChatLoad:
    """Return days one after the other."""
    return ChatLoad(joined([day.carried for day in days]), np.concatenate([day.levels for day in days]))


def _up(rate: float) -> float:
    return math.exp(math.ceil(math.log(rate) / GRAIN - 1e-9) * GRAIN) if rate > 0 else 0.0


def _one(rate: float, levels: tuple[float, ...], patience: float) -> Chats:
    return Chats(np.array([rate]), np.array(levels), patience)


@functools.lru_cache(maxsize=50_000)
def _fewest(
    kind: int, target: float, rate: float, levels: tuple[float, ...], patience: float, threshold: float, short: float
) -> int:
    return int(fewest_chat_agents(kind, target, _one(rate, levels, patience), threshold, short)[0])


@functools.lru_cache(maxsize=50_000)
def _given(
    agents: int, rate: float, levels: tuple[float, ...], patience: float, threshold: float, short: float
) -> tuple[float, ...]:
    found = chat_service(_one(rate, levels, patience), np.array([agents]), threshold, short)
    return tuple(float(getattr(found, name)[0]) for name in NUMBERS)


def fewest_for_chats(kind: int, target: float, load: ChatLoad, threshold: float, short: float) -> Ints:
    """Return the fewest whole agents (I,) that keep a target of a kind (SL_OFFERED … BY_OCCUPANCY); 0 where nothing is offered."""
    return np.array([_fewest(kind, target, *key, threshold, short) if key[0] > 0 else 0 for key in load.asked()], np.int64)


def chats_given(load: ChatLoad, agents: Floats | Ints, threshold: float, short: float = 0.0) -> Service:
    """Return the service of real numbers of agents (I,), straight between whole ones; T and the short threshold in seconds."""
    rows = []
    for n, key in zip(np.asarray(agents, float), load.asked(), strict=True):
        low = int(n)
        row = np.array(_given(low, *key, threshold, short))
        if n > low:
            above = np.array(_given(low + 1, *key, threshold, short))
            row = row + (n - low) * (above - row) if np.isfinite(row).all() else above
        rows.append(row)
    columns = np.array(rows).reshape(-1, len(NUMBERS))
    return Service(*(columns[:, n].copy() for n in range(len(NUMBERS))))


def warm_up() -> None:
    """Compile what chats need, or load what was compiled before."""
    for patience in (math.inf, 60.0):
        one = steady_chats(np.array([0.02]), np.array([60.0, 80.0]), patience)
        chats_given(one, fewest_for_chats(SL_OFFERED, 0.8, one, 20.0, 0.0), 20.0)
