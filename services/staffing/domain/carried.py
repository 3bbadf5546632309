"""Load carried over the borders of intervals: contacts that came before are still there, and a ramp is not its mean.

The modified offered load (Jagerman, "Nonstationary blocking in telephone traffic", BSTJ 54, 1975; Green, Kolesar & Whitt, "Coping with
time-varying demand when setting staffing requirements for a service system", POM 16, 2007): what would be in service were there agents
for all, dm/dt = λ(t) − m/AHT. What n agents make of it (`flow`) takes the place of λ·AHT in the formulas, at several parts of an interval;
the interval's service is what its contacts meet, part by part, and what then still waits begins the next one.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.staffing.domain import erlang
from services.staffing.domain.erlang import (
    ABANDONED,
    ANSWERED,
    ASA,
    DEEP,
    LEFT_SHORT,
    LEFT_WITHIN,
    NUMBERS,
    WAITS,
    WITHIN,
    Floats,
    Ints,
    Service,
    compiled,
)
from services.staffing.domain.fewest import fewest_parts, serve_parts
from services.staffing.domain.flow import flow

PARTS = 4


@dataclasses.dataclass(frozen=True)
class Carried:
    """A day's load as it is carried. arrivals (I,) a second; handle, patience (I,) seconds (inf: nobody leaves); load (I, PARTS) erlangs;
    share (I, PARTS) of the interval's contacts that come in each part, 0 throughout where none do; begins (I,) erlangs at its beginning;
    seconds (I,) of a part, 0 where contacts meet the load as told whatever the agents; follows (I,): whether what waits at the end of the row
    before waits here."""

    arrivals: Floats
    handle: Floats
    patience: Floats
    load: Floats
    share: Floats
    begins: Floats
    seconds: Floats
    follows: NDArray[np.bool_]

    @classmethod
    def told(cls, arrivals: Floats, handle: Floats, patience: Floats, load: Floats, share: Floats) -> "Carried":
        """Return a load that contacts meet as told, whatever the agents."""
        none = np.zeros(len(handle))
        return cls(arrivals, handle, patience, load, share, none, none, none > 0)

    @property
    def erlangs(self) -> Floats:
        """Offered load (I,), arrivals × handle time."""
        return self.arrivals * self.handle

    def pick(self, rows: NDArray[np.bool_] | Ints) -> "Carried":
        """Return some rows, each by itself: nobody waits from the one before."""
        told = {name: getattr(self, name)[rows] for name in FIELDS}
        return Carried(**{**told, "follows": np.zeros(len(told["handle"]), bool)})

    @property
    def mean(self) -> Floats:
        """Return the load (I,) in mean over the interval, erlangs."""
        mean: Floats = np.add.reduce(self.load, axis=1) / PARTS
        return mean


FIELDS = tuple(field.name for field in dataclasses.fields(Carried))


@compiled
def _carry(
    offered: Any,
    handle: Any,
    starts: Any,
    seconds: Any,
    linear: Any,
    begins_with: Any,
    load: Any,
    share: Any,
    arrivals: Any,
    begins: Any,
) -> Any:
    """Fill load and share (I, K), arrivals a second and begins (I,); return what is left at the end.

    The rate runs straight between the middles of neighbours; at an edge of opening there is no ramp. Unless linear an interval's sum is
    as told.
    """
    size, parts = load.shape
    m, part = begins_with, seconds / parts
    ramp = np.ones(parts)
    for i in range(size):
        here = offered[i]
        gap = starts[i] - starts[i - 1] - seconds if i > 0 else 0.0
        before = offered[i - 1] if i > 0 and gap <= 0 else here
        after = offered[i + 1] if i + 1 < size and starts[i + 1] - starts[i] <= seconds else here
        total = 0.0
        for k in range(parts):
            at = (k + 0.5) / parts - 0.5
            ramp[k] = 1.0 + at * (here - before if at < 0 else after - here) / here if here > 0 else 1.0
            total += ramp[k]
        rate = here / seconds * handle[i] * (1.0 if linear else parts / total)
        left = math.exp(-part / handle[i])
        if gap > 0:
            m *= math.exp(-gap / handle[i])
        begins[i], arrivals[i] = m, rate / handle[i] * total / parts
        for k in range(parts):
            a = rate * ramp[k]
            load[i, k] = a + (m - a) * (1.0 - left) * handle[i] / part
            m = a + (m - a) * left
            share[i, k] = ramp[k] / total if here > 0 else 0.0
    return m


def carry(
    offered: Floats, aht: Floats, starts: Ints, seconds: int, patience: float, linear: bool = False, around: bool = False
) -> Carried:
    """Return the load of a queue's local day. offered (I,) contacts an interval, AHT (I,) and patience in seconds, starts (I,) ascending.

    around: the day is open at both its midnights, and begins with what it ends with; any other begins empty. linear: `offered` tells the
    rate in the middle of an interval, not its sum. An AHT below a second is one. Raise ValueError for arrays of several lengths, and for what
    is no number of contacts or seconds.
    """
    if not offered.size == aht.size == starts.size:
        raise ValueError(f"{offered.size} volumes, {aht.size} AHTs, {starts.size} starts; allowed: as many of each")
    told = np.concatenate([offered, aht])
    if not ((told >= 0) & (told < np.inf)).all() or not patience > 0:
        raise ValueError(f"offered {offered}, AHT {aht}, patience {patience}; allowed: finite, 0 or more; above 0, may be inf")
    volume, handle = np.asarray(offered, float), np.maximum(aht, 1.0)
    size = volume.size
    load, share, rate, begins = np.zeros((size, PARTS)), np.zeros((size, PARTS)), np.zeros(size), np.zeros(size)
    end = _carry(volume, handle, starts, float(seconds), linear, 0.0, load, share, rate, begins)
    if size and around:
        _carry(volume, handle, starts, float(seconds), linear, end, load, share, rate, begins)
    follows = np.diff(starts, prepend=starts[:1] - seconds - 1) <= seconds
    return Carried(rate, handle, np.full(size, patience), load, share, begins, np.full(size, seconds / PARTS), follows)


def warm_up() -> None:
    """Compile what calls need, or load what was compiled before: a fraction of a second then, several at first."""
    erlang.warm_up()
    for patience in (np.inf, 60.0):
        one = carry(np.array([18.0, 36.0]), np.array([60.0, 60.0]), np.array([0, 1800]), 1800, patience)
        agents = fewest_carried(erlang.SL_OFFERED, 0.8, one, 20.0, 0.0)
        carried_service(one, agents, 20.0)
        met_by(one, agents)


def joined(days: Sequence[Carried]) -> Carried:
    """Return days one after the other."""
    if len(days) == 1:
        return days[0]
    return Carried(*(np.concatenate([getattr(day, name) for day in days]) for name in FIELDS))


@compiled
def _at_first(begins: Any, follows: Any, here: Any) -> Any:
    """Return what there is at the beginning of an interval; here: at the end of the one before. There is never less than with agents for all."""
    return max(begins, here) if follows else begins


@compiled
def _all_fewest(kind: Any, target: Any, load: Any, day: Any, threshold: Any, short: Any, found: Any) -> Any:
    share, arrivals, handle, patience, begins, seconds, follows = day
    one, out, luck, here = np.zeros(NUMBERS), np.zeros(NUMBERS), 0.0, 0.0
    for i in range(len(handle)):
        times = (handle[i], patience[i], threshold, short)
        here = _at_first(begins[i], follows[i] and patience[i] >= handle[i], here)
        moves = (here, arrivals[i] * handle[i], seconds[i])
        found[i], here, luck = fewest_parts(kind, target, load[i], share[i], moves, times, luck, one, out)


@compiled
def _all_served(agents: Any, load: Any, day: Any, threshold: Any, short: Any, found: Any) -> Any:
    """Fill found (NUMBERS + 1, I), the last row with occupancy."""
    share, arrivals, handle, patience, begins, seconds, follows = day
    one, out, here = np.zeros(NUMBERS), np.zeros(NUMBERS), 0.0
    for i in range(len(handle)):
        here = _at_first(begins[i], follows[i] and patience[i] >= handle[i], here)
        moves, times = (here, arrivals[i] * handle[i], seconds[i]), (handle[i], patience[i], threshold, short)
        here = serve_parts(agents[i], load[i], share[i], moves, times, DEEP, one, out)
        met = offered = 0.0
        for k in range(load.shape[1]):
            met += load[i, k] * share[i, k]
            offered += share[i, k]
        if offered <= 0:
            out[ANSWERED] = out[WITHIN] = 1.0
        found[:NUMBERS, i] = out
        found[NUMBERS, i] = min(met * out[ANSWERED] / agents[i], 1.0) if agents[i] > 0 else 0.0


@compiled
def _all_met(agents: Any, day: Any, met: Any) -> Any:
    """Turn met (I, K) from loads as carried into those that contacts meet."""
    share, arrivals, handle, patience, begins, seconds, follows = day
    here = 0.0
    for i in range(len(handle)):
        here = _at_first(begins[i], follows[i] and patience[i] >= handle[i], here)
        for k in range(share.shape[1]):
            if seconds[i] > 0:
                offered = arrivals[i] * handle[i] * share.shape[1] * share[i, k]
                met[i, k], here = flow(agents[i], here, offered, handle[i], patience[i], seconds[i])


def _moves(load: Carried) -> tuple[Any, ...]:
    return load.share, load.arrivals, load.handle, load.patience, load.begins, load.seconds, load.follows


def fewest_carried(kind: int, target: float, load: Carried, threshold: float, short: float) -> Ints:
    """Return the fewest whole agents (I,) that keep a target of a kind (SL_OFFERED … BY_OCCUPANCY) as load is carried, after the fewest in
    the intervals before."""
    found = np.zeros(load.handle.size, np.int64)
    _all_fewest(kind, float(target), load.load, _moves(load), float(threshold), float(short), found)
    return found


def met_by(load: Carried, agents: Floats | Ints) -> Carried:
    """Return the load that contacts meet with agents (I,) throughout: told, so that the formulas need not know them."""
    met = load.load.copy()
    _all_met(np.asarray(agents, float), _moves(load), met)
    return Carried.told(load.arrivals, load.handle, load.patience, met, load.share)


def carried_service(load: Carried, agents: Floats | Ints, threshold: float, short: float = 0.0) -> Service:
    """Return the service of real numbers of agents (I,) as load is carried; T and the short threshold in seconds."""
    n, found = np.asarray(agents, float), np.zeros((NUMBERS + 1, load.handle.size))
    _all_served(n, load.load, _moves(load), float(threshold), float(short), found)
    return Service(
        waits=found[WAITS],
        answered=found[ANSWERED],
        abandoned=found[ABANDONED],
        within=found[WITHIN],
        left_within=found[LEFT_WITHIN],
        left_short=found[LEFT_SHORT],
        asa=found[ASA],
        occupancy=found[NUMBERS],
    )
