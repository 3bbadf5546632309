"""Deferred work in the idle time of calls: which items an idle agent may be given, and how many get done.

An item is begun only while more than so many agents are idle, and is not broken off (Bhulai & Koole, "A queueing model for call blending
in call centers", IEEE Trans. Automatic Control 48, 2003): the optimal rule where items take as long as calls. With work always at hand
the agents who are busy never number less than n − `keep`, so Erlang's chain is cut off below: 1/B is begun there, 1 at n − keep. Where items
take longer than calls the agents' mean pace takes the place of the calls': calls fare a little better than said, and some per cent fewer
items get done. Shorter ones are taken to last the geometric mean of both where the calls' service is told, as agents with calls are busy
longer.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from services.staffing.domain.blocking import HUGE
from services.staffing.domain.carried import PARTS, Carried
from services.staffing.domain.erlang import ANSWERED, ASA, DEEP, NUMBERS, WAITS, Floats, Ints, compiled
from services.staffing.domain.fewest import SL_VIRTUAL, measure
from services.staffing.domain.waiting import after, after_patient

# The agents' mean pace is a fixed point: of items that take far longer than calls it takes many rounds.
ROUNDS, SETTLED = 500, 1e-9


@dataclasses.dataclass(frozen=True)
class Idle:
    """Arrays (I,): agents to keep idle for calls, agents who work items off in mean, and the number that calls then meet."""

    keep: Ints
    agents: Floats
    value: Floats


@dataclasses.dataclass(frozen=True)
class IdleDay:
    """A local day of calls whose agents' idle time does deferred work; one value an interval. able: the share of them who may do it; keep:
    idle agents to keep for calls; agents: those who work items off, in mean, safe: with calls at their 90 % quantile; level, plain: the
    calls' service level with the work and without it."""

    queue: str
    able: float
    starts: tuple[int, ...]
    on_queue: tuple[float, ...]
    keep: tuple[int, ...]
    agents: tuple[float, ...]
    safe: tuple[float, ...]
    level: tuple[float, ...]
    plain: tuple[float, ...]


@compiled
def _cut_off(n: Any, keep: Any, a: Any) -> Any:
    """Return how likely less than n contacts are in hand, over n − 1 of them, and the mean of those in hand then, never less than
    n − keep; keep from 1 to n."""
    likely, in_hand = 1.0, n - keep
    j = n - keep + 1.0
    while j < n - 0.5:
        likely = min(1.0 + j / a * likely, HUGE)
        in_hand += (j - in_hand) / likely
        j += 1.0
    return likely, in_hand


@compiled
def _shared(n: Any, keep: Any, load: Any, times: Any, item: Any, out: Any) -> Any:
    """Fill out (NUMBERS,) with what calls meet whose agents do items of so many seconds between them, and return the agents who do, and those
    who are busy at all."""
    handle, patience, threshold, short = times
    rate, pace, items, busy = load / handle, handle, 0.0, 0.0
    for _ in range(ROUNDS):
        a = rate * pace
        likely, in_hand = _cut_off(n, keep, a) if keep > 0 else (0.0, n)
        if patience < np.inf:
            after(likely, n, a, pace, patience, threshold, short, DEEP, out)
        elif n > a:
            after_patient(1.0 + n / a * likely, n, a, pace, threshold, out)
        else:
            out[:] = 0.0
            out[WAITS], out[ASA], out[ANSWERED] = 1.0, np.inf, 1.0
        busy = n * out[WAITS] + in_hand * (1.0 - out[WAITS])
        calls = min(load * out[ANSWERED], busy)
        items = busy - calls
        if busy <= 0:
            break
        was, pace = pace, busy / (calls / handle + items / item)
        if abs(pace - was) <= SETTLED * was:
            break
    return items, busy


@compiled
def _all_shared(kind: Any, n: Any, keep: Any, load: Any, share: Any, times: Any, item: Any, one: Any, out: Any) -> Any:
    """Return the number that a target is about, of all parts together, the agents who do items in mean, and the share of time worked."""
    items, worked, total = 0.0, 0.0, 0.0
    out[:] = 0.0
    for k in range(len(load)):
        if load[k] <= 0:
            items += n - keep
            worked += n - keep
            continue
        some, busy = _shared(n, keep, load[k], times, item, one)
        items += some
        worked += busy
        if share[k] <= 0:
            continue
        for j in range(NUMBERS):
            if j != ASA:
                out[j] += share[k] * one[j]
        out[ASA] += share[k] * one[ANSWERED] * one[ASA]
        total += share[k]
    items, worked = items / len(load), worked / (len(load) * n)
    if total <= 0:
        return 1.0 if kind <= SL_VIRTUAL else 0.0, items, worked
    out[ASA] /= max(out[ANSWERED], 1e-12)
    return measure(kind, out, n, 0.0), items, worked


@compiled
def _least_kept(
    kind: Any,
    floor: Any,
    agents: Any,
    least: Any,
    most: Any,
    load: Any,
    share: Any,
    handle: Any,
    patience: Any,
    threshold: Any,
    short: Any,
    other: Any,
    keep: Any,
    idle: Any,
    value: Any,
) -> Any:
    one, out = np.zeros(NUMBERS), np.zeros(NUMBERS)
    for i in range(len(agents)):
        n, times = agents[i], (handle[i], patience[i], threshold, short)
        slow = other if other >= handle[i] else math.sqrt(other * handle[i])
        low, high = min(least[i], int(n)) - 1, int(n)  # with all kept idle nothing is done
        while high - low > 1:
            middle = (low + high) // 2
            reached, _, worked = _all_shared(kind, n, float(middle), load[i], share[i], times, slow, one, out)
            good = reached >= floor[i] if kind <= SL_VIRTUAL else reached <= floor[i]
            if good and worked <= most:
                high = middle
            else:
                low = middle
        keep[i] = high
        if n > 0:
            value[i], idle[i], _ = _all_shared(kind, n, float(high), load[i], share[i], times, slow, one, out)
            if slow != other:
                _, idle[i], _ = _all_shared(kind, n, float(high), load[i], share[i], times, other, one, out)


def idle_time(
    kind: int,
    floor: Floats,
    agents: Floats,
    load: Carried,
    times: tuple[float, float, float],
    most: float = 1.0,
    least: Ints | None = None,
) -> Idle:
    """Return what agents (I,) of calls, whole, can do of deferred work while they are idle, in Erlangs, so that a number of a kind
    (SL_OFFERED … BY_OCCUPANCY) stays at its floor (I,) or better, and at most the share `most` of their time is worked.

    times: T, the short threshold, and the AHT of an item, seconds; least (I,): agents to keep idle at least. Raise ValueError for agents
    that are not whole, or no AHT.
    """
    threshold, short, other = times
    if not 0 < other < np.inf or (agents != np.floor(agents)).any() or (agents < 0).any():
        raise ValueError(f"agents {agents}, AHT {other}; allowed: whole, 0 or more, and above 0")
    keep, idle, value = np.zeros(agents.size, np.int64), np.zeros(agents.size), np.zeros(agents.size)
    at_least = np.zeros(agents.size, np.int64) if least is None else least
    _least_kept(
        kind,
        floor,
        agents,
        at_least,
        most,
        load.load,
        load.share,
        load.handle,
        load.patience,
        threshold,
        short,
        other,
        keep,
        idle,
        value,
    )
    return Idle(keep, idle, value)


def warm_up() -> None:
    """Compile what blends need, or load what was compiled before."""
    for patience in (np.inf, 60.0):
        rate, handle, leaves = (np.array([v]) for v in (0.01, 60.0, patience))
        one = Carried.told(rate, handle, leaves, np.full((1, PARTS), 0.6), np.full((1, PARTS), 1 / PARTS))
        idle_time(0, np.array([0.5]), np.array([3.0]), one, (20.0, 0.0, 60.0))
