"""An ACD's day, contact by contact, compiled: who takes whom, who waits, who hangs up, who goes home.

A free agent takes from the best of its queues with somebody waiting, a contact goes to the idle group that ranks its queue best (Gans,
Koole & Mandelbaum, "Telephone call centers", M&SOM 5, 2003, section 5). Only who leaves a shrinking pool is drawn here, by the day's seed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np

compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)

# When a pool shrinks: a random part goes, who is busy finishes outside it; or nothing is taken until fewer are busy than are left.
LEAVE, BLOCK = 0, 1
# Whom a free agent takes: the first in its best queue, or who waits longest in any of its queues.
PRIORITY, LONGEST = 0, 1
OFFERED, IN_TIME, ANSWERED, ABANDONED, WAITING, WAITED = range(6)
COUNTS = 6
OUTSIDE = -1
# Sebastiano Vigna's splitmix64.
STEP, MIX1, MIX2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S30, S27, S31, S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


class Contacts(NamedTuple):
    """Arrays (N,): seconds of the day; cell: queue × I + interval of arrival."""

    arrives: Any
    gives_up: Any
    handle: Any
    queue: Any
    cell: Any


class Rules(NamedTuple):
    """agents (G, I); serves (G, Q) queues, best first; asks (Q, G) groups, best first, with their rank; −1: no more."""

    agents: Any
    serves: Any
    asks: Any
    rank: Any
    threshold: Any
    seconds: Any
    discipline: Any
    routing: Any


class _State(NamedTuple):
    """ends, who: heap of contacts in hand; head, tail, later: lists of who waits; idle (G, …): rings of since when; sums (Q × I, COUNTS)."""

    ends: Any
    who: Any
    size: Any
    head: Any
    tail: Any
    later: Any
    idle: Any
    oldest: Any
    free: Any
    busy: Any
    seed: Any
    luck: Any
    sums: Any


@compiled
def _uniform(luck: Any) -> Any:
    luck[0] += STEP
    z = luck[0]
    z = (z ^ (z >> S30)) * MIX1
    z = (z ^ (z >> S27)) * MIX2
    return np.float64((z ^ (z >> S31)) >> S11) / 9007199254740992.0


@compiled
def _push(ends: Any, who: Any, size: Any, end: Any, group: Any) -> Any:
    at = size[0]
    size[0] = at + 1
    while at > 0:
        up = (at - 1) >> 1
        if ends[up] <= end:
            break
        ends[at], who[at] = ends[up], who[up]
        at = up
    ends[at], who[at] = end, group


@compiled
def _replace(ends: Any, who: Any, size: Any, end: Any, group: Any) -> Any:
    """Put another end in the place of the first."""
    at, count = 0, size[0]
    while True:
        down = 2 * at + 1
        if down >= count:
            break
        if down + 1 < count and ends[down + 1] < ends[down]:
            down += 1
        if ends[down] >= end:
            break
        ends[at], who[at] = ends[down], who[down]
        at = down
    ends[at], who[at] = end, group


@compiled
def _pop(ends: Any, who: Any, size: Any) -> Any:
    size[0] -= 1
    if size[0] > 0:
        _replace(ends, who, size, ends[size[0]], who[size[0]])


@compiled
def _answer(contacts: Any, rules: Any, sums: Any, k: Any, now: Any) -> Any:
    cell, wait = contacts.cell[k], now - contacts.arrives[k]
    sums[cell, ANSWERED] += 1.0
    sums[cell, WAITED] += wait
    if wait <= rules.threshold[contacts.queue[k]]:
        sums[cell, IN_TIME] += 1.0


@compiled
def _first(contacts: Any, s: Any, q: Any, now: Any) -> Any:
    """Return who waits first in a queue, −1: nobody. Who has hung up by now is counted."""
    k = s.head[q]
    while k >= 0 and contacts.gives_up[k] <= now:
        s.sums[contacts.cell[k], ABANDONED] += 1.0
        s.sums[contacts.cell[k], WAITED] += contacts.gives_up[k] - contacts.arrives[k]
        k = s.later[k]
    s.head[q] = k
    return k


@compiled
def _take(contacts: Any, rules: Any, s: Any, group: Any, now: Any) -> Any:
    """Return the waiting contact that a free agent of a group takes, −1: nobody waits."""
    best = -1
    for j in range(rules.serves.shape[1]):
        q = rules.serves[group, j]
        if q < 0:
            break
        k = _first(contacts, s, q, now)
        if k >= 0 and (best < 0 or contacts.arrives[k] < contacts.arrives[best]):
            best = k
            if rules.routing == PRIORITY:
                break
    if best >= 0:
        s.head[contacts.queue[best]] = s.later[best]
        _answer(contacts, rules, s.sums, best, now)
    return best


@compiled
def _rest(s: Any, group: Any, now: Any) -> Any:
    ring = s.idle.shape[1]
    s.idle[group, (s.oldest[group] + s.free[group]) % ring] = now
    s.free[group] += 1


@compiled
def _finish(contacts: Any, rules: Any, s: Any, agents: Any) -> Any:
    """End the contact that ends first; its agent takes another, rests or goes."""
    now, group = s.ends[0], s.who[0]
    if group == OUTSIDE:
        _pop(s.ends, s.who, s.size)
        return
    if s.busy[group] > agents[group]:
        s.busy[group] -= 1
        _pop(s.ends, s.who, s.size)
        return
    k = _take(contacts, rules, s, group, now)
    if k >= 0:
        _replace(s.ends, s.who, s.size, now + contacts.handle[k], group)
        return
    s.busy[group] -= 1
    _pop(s.ends, s.who, s.size)
    _rest(s, group, now)


@compiled
def _arrive(contacts: Any, rules: Any, s: Any, k: Any) -> Any:
    """Give a contact to the idle group that ranks its queue best, idle longest among equals; else it waits."""
    q, now, best, grade = contacts.queue[k], contacts.arrives[k], -1, 0
    s.sums[contacts.cell[k], OFFERED] += 1.0
    for j in range(rules.asks.shape[1]):
        group = rules.asks[q, j]
        if group < 0 or (best >= 0 and rules.rank[q, j] > grade):
            break
        if s.free[group] > 0 and (best < 0 or s.idle[group, s.oldest[group]] < s.idle[best, s.oldest[best]]):
            best, grade = group, rules.rank[q, j]
    if best >= 0:
        s.oldest[best] = (s.oldest[best] + 1) % s.idle.shape[1]
        s.free[best] -= 1
        s.busy[best] += 1
        _answer(contacts, rules, s.sums, k, now)
        _push(s.ends, s.who, s.size, now + contacts.handle[k], best)
        return
    s.later[k] = -1
    if _first(contacts, s, q, now) < 0:
        s.head[q] = k
    else:
        s.later[s.tail[q]] = k
    s.tail[q] = k


@compiled
def _part(s: Any, group: Any, gone: Any) -> Any:
    """Send a random part of a group home, every agent alike (selection sampling, Knuth, TAOCP 2, 3.4.2)."""
    left = s.free[group] + s.busy[group]
    for _ in range(s.free[group]):
        if _uniform(s.luck) * left < gone:
            s.free[group] -= 1
            gone -= 1
        left -= 1
    for at in range(s.size[0]):
        if s.who[at] == group:
            if _uniform(s.luck) * left < gone:
                s.who[at] = OUTSIDE
                s.busy[group] -= 1
                gone -= 1
            left -= 1


@compiled
def _resize(contacts: Any, rules: Any, s: Any, group: Any, interval: Any) -> Any:
    """Let a group have the agents of an interval that begins."""
    n, now = rules.agents[group, interval], interval * rules.seconds
    have = s.free[group] + s.busy[group]
    if rules.discipline == LEAVE and have > n:
        s.luck[0] = s.seed[0] + np.uint64(group * rules.agents.shape[1] + interval) * MIX1
        _part(s, group, have - n)
    while s.free[group] > 0 and s.free[group] + s.busy[group] > n:
        s.free[group] -= 1
    while s.free[group] + s.busy[group] < n:
        k = _take(contacts, rules, s, group, now)
        if k >= 0:
            s.busy[group] += 1
            _push(s.ends, s.who, s.size, now + contacts.handle[k], group)
        else:
            _rest(s, group, now)


@compiled
def _play_day(contacts: Any, first: Any, last: Any, rules: Any, s: Any) -> Any:
    """Play contacts first to last − 1 through the day's intervals."""
    s.size[0] = 0
    s.head[:], s.oldest[:], s.free[:], s.busy[:] = -1, 0, 0, 0
    k, interval, border = first, 0, 0.0
    while True:
        end = s.ends[0] if s.size[0] > 0 else np.inf
        came = contacts.arrives[k] if k < last else np.inf
        if border <= end and border <= came:
            if interval == rules.agents.shape[1]:
                break
            for group in range(rules.agents.shape[0]):
                _resize(contacts, rules, s, group, interval)
            interval += 1
            border = interval * rules.seconds
        elif end <= came:
            _finish(contacts, rules, s, rules.agents[:, interval - 1])
        else:
            _arrive(contacts, rules, s, k)
            k += 1
    for q in range(len(s.head)):
        k = _first(contacts, s, q, border)
        while k >= 0:
            left = min(contacts.gives_up[k], border)
            s.sums[contacts.cell[k], ABANDONED if left < border else WAITING] += 1.0
            s.sums[contacts.cell[k], WAITED] += left - contacts.arrives[k]
            k = s.later[k]


@compiled
def play(contacts: Any, days: Any, seeds: Any, rules: Any, sums: Any) -> Any:
    """Fill sums (R, Q × I, COUNTS); days (R + 1,): where each day's contacts begin."""
    groups, queues, most = rules.agents.shape[0], len(rules.threshold), 1
    for group in range(groups):
        most = max(most, rules.agents[group].max())
    longest = 0
    for r in range(len(seeds)):
        longest = max(longest, days[r + 1] - days[r])
    room = longest + 1
    ends, who, size = np.zeros(room), np.zeros(room, np.int64), np.zeros(1, np.int64)
    head, tail = np.zeros(queues, np.int64), np.zeros(queues, np.int64)
    idle, seed, luck = np.zeros((groups, most + 1)), np.zeros(1, np.uint64), np.zeros(1, np.uint64)
    oldest, free, busy = np.zeros(groups, np.int64), np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    later = np.zeros(len(contacts.arrives), np.int64)
    for r in range(len(seeds)):
        seed[0] = seeds[r]
        s = _State(ends, who, size, head, tail, later, idle, oldest, free, busy, seed, luck, sums[r])
        _play_day(contacts, days[r], days[r + 1], rules, s)
