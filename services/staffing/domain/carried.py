"""Load carried over the borders of intervals: contacts that came before are still there, and a ramp is not its mean.

The modified offered load (Jagerman, "Nonstationary blocking in telephone traffic", BSTJ 54, 1975; Green, Kolesar & Whitt, "Coping with
time-varying demand when setting staffing requirements for a service system", POM 16, 2007): what would be in service were there agents
for all, dm/dt = λ(t) − m/AHT. It takes the place of λ·AHT in the formulas, at several parts of an interval; the interval's service is
what its contacts meet, part by part.
"""

import dataclasses
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

PARTS = 4
WHOLE_DAY = 23 * 3600


@dataclasses.dataclass(frozen=True)
class Carried:
    """A day's load as it is carried. arrivals (I,) a second; handle, patience (I,) seconds (inf: nobody leaves); load (I, PARTS) erlangs;
    share (I, PARTS) of the interval's contacts that come in each part, 0 throughout where none do."""

    arrivals: Floats
    handle: Floats
    patience: Floats
    load: Floats
    share: Floats

    @property
    def erlangs(self) -> Floats:
        """Offered load (I,), arrivals × handle time."""
        return self.arrivals * self.handle

    def pick(self, rows: NDArray[np.bool_] | Ints) -> "Carried":
        return Carried(self.arrivals[rows], self.handle[rows], self.patience[rows], self.load[rows], self.share[rows])

    @property
    def mean(self) -> Floats:
        """Return the load (I,) in mean over the interval, erlangs."""
        mean: Floats = self.load.mean(axis=1)
        return mean


@compiled
def _carry(rates: Any, handle: Any, gaps: Any, seconds: Any, begins_with: Any, load: Any) -> Any:
    """Fill load (I, K) from arrivals a second (I, K); gaps (I,): seconds closed before each interval. Return what is left at the end."""
    m, parts = begins_with, rates.shape[1]
    for i in range(len(handle)):
        m *= np.exp(-gaps[i] / handle[i])
        left = np.exp(-seconds / parts / handle[i])
        for k in range(parts):
            a = rates[i, k] * handle[i]
            load[i, k] = a + (m - a) * (1.0 - left) * handle[i] * parts / seconds
            m = a + (m - a) * left
    return m


def _ramps(offered: Floats, gaps: Floats) -> Floats:
    """Return the rate (I, PARTS) in each part as a multiple of the interval's: straight between the middles of neighbours; at an edge of
    opening there is no ramp."""
    before = np.where(gaps > 0, offered, np.concatenate([offered[:1], offered[:-1]]))
    after = np.where(np.append(gaps[1:], 1.0) > 0, offered, np.concatenate([offered[1:], offered[-1:]]))
    at = (np.arange(PARTS) + 0.5) / PARTS - 0.5
    slope = np.where(at < 0, (offered - before)[:, None], (after - offered)[:, None])
    ramps: Floats = np.ones((offered.size, PARTS))
    some = offered > 0
    ramps[some] = 1.0 + (slope * at)[some] / offered[some, None]
    return ramps


def carry(offered: Floats, aht: Floats, starts: Ints, seconds: int, patience: float, linear: bool = False) -> Carried:
    """Return the load of a queue's local day. offered (I,) contacts an interval, AHT (I,) and patience in seconds, starts (I,) ascending.

    A day open at both its midnights begins with what it ends with; any other begins empty. linear: `offered` tells the rate in the middle of an
    interval, not its sum. Raise ValueError for arrays of several lengths.
    """
    if not offered.size == aht.size == starts.size:
        raise ValueError(f"{offered.size} volumes, {aht.size} AHTs, {starts.size} starts; allowed: as many of each")
    gaps = np.diff(starts, prepend=starts[:1] - seconds).astype(float) - seconds
    handle = np.maximum(aht, 1.0)
    ramps = _ramps(offered, np.append([1.0], gaps[1:])) if offered.size else np.ones((0, PARTS))
    rates = offered[:, None] / seconds * (ramps if linear else ramps / ramps.mean(axis=1, keepdims=True))
    load = np.zeros((offered.size, PARTS))
    end = _carry(rates, handle, gaps, float(seconds), 0.0, load)
    if offered.size and starts[-1] + seconds - starts[0] >= WHOLE_DAY:
        _carry(rates, handle, gaps, float(seconds), end, load)
    share = np.where(offered[:, None] > 0, ramps / ramps.sum(axis=1, keepdims=True), 0.0)
    return Carried(offered / seconds, handle, np.full(offered.size, patience), load, share)


def warm_up() -> None:
    """Compile what calls need, or load what was compiled before: a fraction of a second then, several at first."""
    erlang.warm_up()
    for patience in (np.inf, 60.0):
        one = carry(np.array([18.0, 36.0]), np.array([60.0, 60.0]), np.array([0, 1800]), 1800, patience)
        carried_service(one, fewest_carried(erlang.SL_OFFERED, 0.8, one, 20.0, 0.0), 20.0)


def joined(days: Sequence[Carried]) -> Carried:
    """Return days one after the other."""
    fields = [field.name for field in dataclasses.fields(Carried)]
    return Carried(*(np.concatenate([getattr(day, name) for day in days]) for name in fields))


@compiled
def _all_fewest(
    kind: Any, target: Any, load: Any, share: Any, handle: Any, patience: Any, threshold: Any, short: Any, found: Any
) -> Any:
    one, out = np.zeros(NUMBERS), np.zeros(NUMBERS)
    for i in range(len(handle)):
        times = (handle[i], patience[i], threshold, short)
        found[i] = fewest_parts(kind, target, load[i], share[i], times, one, out)


@compiled
def _all_served(agents: Any, load: Any, share: Any, handle: Any, patience: Any, threshold: Any, short: Any, found: Any) -> Any:
    one = np.zeros(NUMBERS)
    for i in range(len(handle)):
        serve_parts(agents[i], load[i], share[i], (handle[i], patience[i], threshold, short), DEEP, one, found[i])


def fewest_carried(kind: int, target: float, load: Carried, threshold: float, short: float) -> Ints:
    """Return the fewest whole agents (I,) that keep a target of a kind (SL_OFFERED … BY_OCCUPANCY) as load is carried."""
    found = np.zeros(load.handle.size, np.int64)
    _all_fewest(kind, float(target), load.load, load.share, load.handle, load.patience, float(threshold), float(short), found)
    return found


def carried_service(load: Carried, agents: Floats | Ints, threshold: float, short: float = 0.0) -> Service:
    """Return the service of real numbers of agents (I,) as load is carried; T and the short threshold in seconds."""
    n, found = np.asarray(agents, float), np.zeros((load.handle.size, NUMBERS))
    _all_served(n, load.load, load.share, load.handle, load.patience, float(threshold), float(short), found)
    nobody = load.arrivals <= 0
    found[nobody, ANSWERED], found[nobody, WITHIN] = 1.0, 1.0
    met = (load.load * load.share).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        occupancy = np.where(n > 0, np.minimum(met * found[:, ANSWERED] / n, 1.0), 0.0)
    return Service(
        waits=found[:, WAITS],
        answered=found[:, ANSWERED],
        abandoned=found[:, ABANDONED],
        within=found[:, WITHIN],
        left_within=found[:, LEFT_WITHIN],
        left_short=found[:, LEFT_SHORT],
        asa=found[:, ASA],
        occupancy=occupancy,
    )
