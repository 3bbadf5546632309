"""The fewest agents that keep a target, found exactly: every number of the trade is monotone in agents but one.

Of parts together, answered in time over answered is not: who is answered when agents are few are those of the quiet part. There it is
the fewest such that more keep it, too.

The load is told by parts that share the contacts, one where it does not change. A guess from the fluid limit (Whitt, "Fluid models for
multiserver queues with abandonments", OR 54, 2006), then false position on a scale on which service is nearly straight in agents,
halved where it does not shrink. Looks leave out what cannot matter, and look again with every digit where a target is near.
"""

import math
from typing import Any

import numpy as np

from services.staffing.domain.blocking import DEEP, compiled, inverse_b
from services.staffing.domain.flow import flow
from services.staffing.domain.waiting import (
    ABANDONED,
    ANSWERED,
    ASA,
    ENOUGH,
    LEFT_SHORT,
    LEFT_WITHIN,
    NUMBERS,
    REACHED,
    WAITS,
    WITHIN,
    serve,
)

# Targets: metric and what is divided by what.
SL_OFFERED, SL_ANSWERED, SL_EXCLUDED, SL_ALL, SL_VIRTUAL, BY_ASA, BY_ABANDONED, BY_WAITS, BY_OCCUPANCY = range(9)
MOST = 2**40
# Nearer to a target than this a look is taken again with every digit: far above what a look leaves out.
NEAR = 1e-6
# A load that is as told: nothing moves.
STILL = (0.0, 0.0, 0.0)
# What rounding may take from a number near 1.
ROUNDING = 1e-14


@compiled
def measure(kind: Any, out: Any, n: Any, a: Any) -> Any:
    """Return the number that a target of a kind is about, of a service as filled in."""
    if kind == SL_OFFERED:
        return out[WITHIN]
    if kind == SL_ANSWERED:
        return out[WITHIN] / out[ANSWERED] if out[ANSWERED] > 0 else 0.0
    if kind == SL_EXCLUDED:
        return min(out[WITHIN] / (1.0 - out[LEFT_SHORT]), 1.0) if out[LEFT_SHORT] < 1 else 0.0
    if kind == SL_ALL:
        return out[WITHIN] + out[LEFT_WITHIN]
    if kind == SL_VIRTUAL:
        return out[REACHED]
    if kind == BY_ASA:
        return out[ASA]
    if kind == BY_ABANDONED:
        return out[ABANDONED]
    if kind == BY_WAITS:
        return out[WAITS]
    if n <= 0:
        return np.inf if a > 0 else 0.0
    return min(a * out[ANSWERED] / n, 1.0)


@compiled
def serve_parts(n: Any, load: Any, share: Any, moves: Any, times: Any, deep: Any, one: Any, out: Any) -> Any:
    """Fill out (NUMBERS,) with what contacts meet, and return what there is at the end; load (K,) erlangs, share (K,) of the contacts;
    moves: what there is at the beginning, erlangs offered in mean, and a part's seconds, 0 where load is as told whatever n; times: AHT,
    patience, T and the short threshold, seconds; `one` is scratch. ASA is weighted by who is answered."""
    handle, patience, threshold, short = times
    here, offered, seconds = moves
    if len(load) == 1 and share[0] == 1.0:
        serve(n, load[0], handle, patience, threshold, short, deep, out)
        return here
    out[:] = 0.0
    for k in range(len(load)):
        met = load[k]
        if seconds > 0:
            met, here = flow(n, here, offered * len(load) * share[k], handle, patience, seconds)
        if share[k] <= 0:
            continue
        serve(n, met, handle, patience, threshold, short, deep, one)
        for j in range(NUMBERS):
            if j != ASA:
                out[j] += share[k] * one[j]
        if one[ANSWERED] > 0:
            out[ASA] += share[k] * one[ANSWERED] * one[ASA]
    if out[ANSWERED] > 0:
        out[ASA] /= out[ANSWERED]
    elif out[WAITS] > 0:
        out[ASA] = np.inf
    return here


@compiled
def _scaled(kind: Any, value: Any) -> Any:
    """Return a number on a scale on which it is nearly straight in agents, the greater the worse."""
    if kind == BY_ASA:
        return math.log(min(max(value, 1e-300), 1e300))
    part = min(max(value, 1e-300), 1.0 - 1e-16)
    odds = math.log(part / (1.0 - part))
    return -odds if kind <= SL_VIRTUAL else odds


@compiled
def _spread(a: Any, handle: Any, patience: Any) -> Any:
    """Return about how many agents move the scale by one: by √a where patience is long, by √(a·AHT/patience) where it decides."""
    return math.sqrt(a * (0.25 + 0.2 * min(handle / patience, 4.0)))


@compiled
def _guess(kind: Any, target: Any, a: Any, handle: Any, patience: Any, threshold: Any) -> Any:
    """Return about how many agents keep a target where they are many: those of the fluid limit, and some for luck."""
    if kind <= SL_VIRTUAL:
        share = math.exp(-threshold / patience)
        if kind == SL_OFFERED:
            share = max(share, target)
        return a * share - _spread(a, handle, patience) * _scaled(kind, target)
    if kind == BY_ASA:
        return a * math.exp(-target / patience)
    if kind == BY_ABANDONED:
        return a * (1.0 - target)
    if kind == BY_WAITS:
        return a - _spread(a, handle, patience) * _scaled(kind, target)
    return a / target


@compiled
def _search(
    kind: Any, target: Any, load: Any, share: Any, moves: Any, times: Any, low: Any, first: Any, one: Any, out: Any
) -> Any:
    """Return the fewest agents, more than `low`, that keep a target, looked for from `first` on, and what they leave at the end."""
    mean = 0.0
    for k in range(len(load)):
        mean += share[k] * load[k]
    goal, spread = _scaled(kind, target), _spread(mean, times[0], times[1])
    high, missed, spare = MOST, -1.0, 0.0
    n, step, turn, before, was, ends, left = first, 0, 0, first, 0.0, 0.0, moves[0]
    while high - low > 1:
        by = 0.0
        for deep in (DEEP if kind == BY_ASA else ENOUGH, DEEP):
            ends = serve_parts(float(n), load, share, moves, times, deep, one, out)
            value = measure(kind, out, float(n), mean)
            by = target - value if kind <= SL_VIRTUAL else value - target
            if abs(by) > NEAR * (1.0 + target):
                break
        apart = _scaled(kind, value) - goal
        if by > ROUNDING:
            low, missed = n, max(apart, 0.0)
        else:
            high, spare, left = n, min(apart, 0.0), ends
        turn += 1
        if missed >= 0 and high < MOST:
            before, n = n, (low + high) // 2
            if turn % 4 > 0 and missed > spare:
                n = low + math.ceil((high - low) * missed / (missed - spare))
        else:
            if turn > 1 and (was - apart) * (n - before) > 0:
                spread = (n - before) / (was - apart)
            step = max(math.floor(min(abs(apart) * spread, MOST / 4.0)) + (by > ROUNDING), 2 * step if turn > 2 else 1)
            before, n = n, n + step if by > ROUNDING else n - step
        n, was = min(max(n, low + 1), high - 1), apart
    return high, left


@compiled
def _fewest_patient(kind: Any, target: Any, a: Any, handle: Any, threshold: Any, out: Any) -> Any:
    """Return the fewest agents that keep a target where nobody hangs up: one recursion, from the first n above the load on."""
    n = math.floor(a) + 1.0
    x, out[:] = inverse_b(n, a), 0.0
    out[ANSWERED] = 1.0
    while n < MOST:
        waits = 1.0 / (x * (n - a) / n + a / n) if x < np.inf else 0.0
        out[WAITS] = waits
        if kind <= SL_VIRTUAL:
            out[WITHIN] = 1.0 - waits * math.exp(-(n - a) * threshold / handle)
            out[REACHED] = out[WITHIN]
            if measure(kind, out, n, a) >= target:
                return int(n)
        else:
            out[ASA] = waits * handle / (n - a)
            if measure(kind, out, n, a) <= target:
                return int(n)
        n += 1.0
        x = 1.0 + n / a * x
    return MOST


@compiled
def fewest(kind: Any, target: Any, a: Any, handle: Any, patience: Any, threshold: Any, short: Any, out: Any) -> Any:
    """Return the fewest whole agents that keep a target. 0 where nothing is offered."""
    if a <= 0:
        return 0
    if patience == np.inf:
        return _fewest_patient(kind, target, a, handle, threshold, out)
    first = int(min(max(_guess(kind, target, a, handle, patience, threshold), 1.0), MOST / 2.0))
    alone = np.array([a, 1.0])
    times = (handle, patience, threshold, short)
    return _search(kind, target, alone[:1], alone[1:], STILL, times, -1, first, out, out)[0]


@compiled
def _fewest_answered(target: Any, load: Any, share: Any, moves: Any, times: Any, most: Any, one: Any, out: Any) -> Any:
    """Return the fewest agents from which on answered in time over answered of all parts keeps a target, looked for downwards from those
    that keep it at a load of `most`, which no part meets: they keep it in every part; and what they leave at the end."""
    handle, patience, threshold, short = times
    n = fewest(SL_ANSWERED, target, most, handle, patience, threshold, short, out)
    left = serve_parts(float(n), load, share, moves, times, DEEP, one, out)
    while n > 0:
        ends = serve_parts(float(n - 1), load, share, moves, times, DEEP, one, out)
        if measure(SL_ANSWERED, out, 0.0, 0.0) < target - ROUNDING:
            break
        n, left = n - 1, ends
    return n, left


@compiled
def fewest_parts(kind: Any, target: Any, load: Any, share: Any, moves: Any, times: Any, luck: Any, one: Any, out: Any) -> Any:
    """Return the fewest agents whose service of all parts together keeps a target, what they leave at the end, and luck (), by how many √load
    they are off the guess: it begins the search for the next interval."""
    handle, patience, threshold, short = times
    mean, least, most = 0.0, np.inf, 0.0
    for k in range(len(load)):
        if share[k] > 0:
            mean += share[k] * load[k]
            least, most = min(least, load[k]), max(most, load[k])
            if moves[2] > 0:
                most = max(most, moves[0], moves[1] * len(load) * share[k])
    if least == np.inf:
        return 0, serve_parts(0.0, load, share, moves, times, ENOUGH, one, out), luck
    low, guess = -1, _guess(kind, target, mean, handle, patience, threshold)
    if patience == np.inf:
        # Who never leaves is answered some day, however few there are: not below what is in hand at each part.
        low = math.floor(least) if moves[2] > 0 else fewest(kind, target, least, handle, patience, threshold, short, out) - 1
    elif kind == SL_ANSWERED:
        found, left = _fewest_answered(target, load, share, moves, times, most, one, out)
        return found, left, luck
    first = int(min(max(guess + luck * math.sqrt(mean) + 0.5, low + 1.0, 1.0), MOST / 2.0))
    found, left = _search(kind, target, load, share, moves, times, low, first, one, out)
    return found, left, (found - 0.5 - guess) / math.sqrt(mean)
