"""What callers meet who wait, and leave when their patience ends: Erlang A and C, exact at any size, for real numbers of agents.

C follows from B. A: the offered wait V of a customer of infinite patience has mass at 0 and, beyond, the density
λ·exp(λ/θ·(1 − e^−θv) − nμv), up to one factor (Zeltyn & Mandelbaum, "Call centers with impatient customers", Queueing Systems 51,
2005). With ε = 1/B(n − 1, a) the factor is 1/(ε + λJ), J the density's integral; every number of the trade is an integral beside it.
Where few wait at once, with x = nμ/θ and y = λ/θ, each integral over all waits is a series of positive terms y^k/((x + 1) … (x + k + 1)),
the chain's own states (Palm, "Research on telephone traffic carried by full availability groups", Tele 1, 1957); over waits beyond T it is
the same series at y·e^−θT. Where many do, integrals are taken by Gauss-Legendre panels around the density's peak, of positive terms too.
"""

import math
from typing import Any

import numpy as np

from services.staffing.domain.blocking import DEEP, before, compiled, inverse_b

NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)
# Panels of FOLDS e-foldings, and of SPAN patiences, are exact to the last digits with 16 nodes.
ENOUGH, FOLDS, SPAN = 18.0, 12.0, 8.0
# A series of more terms takes as long as panels do, and may outgrow a double.
TERMS = 500.0
# Where each number lies in what `serve` fills in.
WAITS, ANSWERED, ABANDONED, WITHIN, LEFT_WITHIN, LEFT_SHORT, REACHED, ASA, WAIT_OF_ALL = range(9)
NUMBERS = 9


@compiled
def _density(x: Any, y: Any, waits: Any) -> Any:
    """Return w at a wait of so many patiences, over that at 0."""
    return math.exp(-y * math.expm1(-waits) - x * waits)


@compiled
def _left_within(x: Any, y: Any, waits: Any, left: Any, mass: Any, tiny: Any) -> Any:
    """Return who leaves within so many patiences, of offered; left: who leaves at all."""
    stays = math.exp(-waits)
    rest = y * stays
    at = x + 1.0
    term = 1.0 / at
    total = term
    while term > tiny * total:
        at += 1.0
        term *= rest / at
        total += term
    return max(left - rest * _density(x, y, waits) * ((1.0 + rest * total) / x - total) / mass, 0.0)


@compiled
def _answered_sums(x: Any, y: Any, rest: Any, tiny: Any) -> Any:
    """Return the series of who is answered, at y and at rest ≤ y."""
    at = x + 1.0
    term = later = 1.0 / at
    total = beyond = term
    while term > tiny * total:
        at += 1.0
        part = 1.0 / at
        term *= y * part
        later *= rest * part
        total += term
        beyond += later
    return total, beyond


@compiled
def _all_sums(x: Any, y: Any, rest: Any, tiny: Any) -> Any:
    """Return the series of who is answered, at y and at rest ≤ y, of who leaves (times x), and of the waits of who is answered."""
    at, k = x + 1.0, 1.0
    term = later = each = 1.0 / at
    total, beyond, leaving, waited = term, term, term, term * term
    while term * k > tiny * total:
        at += 1.0
        k += 1.0
        part = 1.0 / at
        term *= y * part
        later *= rest * part
        each += part
        total += term
        beyond += later
        leaving += k * term
        waited += each * term
    return total, beyond, leaving, waited


@compiled
def by_series(empty: Any, x: Any, y: Any, patience: Any, threshold: Any, short: Any, deep: Any, out: Any) -> Any:
    """Fill out (NUMBERS,) by sums over the chain's states; empty: ε. e^−deep are left out, below DEEP ASA too."""
    waits, tiny = threshold / patience, math.exp(-deep)
    stays = math.exp(-waits)
    rest = y * stays
    if deep < DEEP:
        total, beyond = _answered_sums(x, y, rest, tiny)
        waiting = (1.0 + y * total) / x
        leaving, waited = x * (waiting - total), np.nan
    else:
        total, beyond, leaving, waited = _all_sums(x, y, rest, tiny)
        waiting = (1.0 + y * total) / x
    mass = empty + y * waiting
    left, answered = y * leaving / x / mass, (empty + y * total) / mass
    late = y * _density(x, y, waits) / mass
    late_waiting, late_answered = late * (1.0 + rest * beyond) / x, late * stays * beyond
    out[WAITS], out[ANSWERED], out[ABANDONED] = y * waiting / mass, answered, left
    out[WITHIN] = max(answered - late_answered, 0.0)
    out[REACHED] = max(1.0 - late_waiting, 0.0)
    out[LEFT_WITHIN] = max(left - stays * late_waiting + late_answered, 0.0)
    out[LEFT_SHORT] = 0.0
    if short == threshold:
        out[LEFT_SHORT] = out[LEFT_WITHIN]
    elif short > 0:
        out[LEFT_SHORT] = _left_within(x, y, short / patience, left, mass, tiny)
    out[ASA], out[WAIT_OF_ALL] = patience * y * waited / (mass * answered), left * patience


@compiled
def _gap(z: Any) -> Any:
    """Return z − (1 − e^−z) without cancellation."""
    if abs(z) > 0.5:
        return z + math.expm1(-z)
    total, k = 1.0, 16.0
    while k > 2.0:
        total = 1.0 - z / k * total
        k -= 1.0
    return z * z / 2.0 * total


@compiled
def _stretch(p: Any, q: Any, peak: Any, slope: Any, bend: Any, theta: Any, left: Any, right: Any) -> Any:
    """Return the integrals of w, w·e^−θv, w·(1 − e^−θv) and w·v·e^−θv over p to q, w the density over its peak's."""
    v, left_at_peak = p, -math.expm1(-theta * peak)
    all_, stay, leave, waited = 0.0, 0.0, 0.0, 0.0
    while v < q:
        step = left if v < peak else right
        if theta * v < 5.0 * SPAN:
            step = min(step, SPAN / theta)
        end = min(v + step, q)
        if v < peak < end:
            end = peak
        half, middle = (end - v) / 2.0, (end + v) / 2.0
        for i in range(16):
            x = middle + half * NODES[i]
            z = theta * (x - peak)
            gap = _gap(z)
            w = half * WEIGHTS[i] * math.exp(-slope * (x - peak) - bend * gap)
            leaves = left_at_peak + (1.0 - left_at_peak) * (z - gap)  # 1 − e^−θx
            stays = w * (1.0 - leaves)
            all_ += w
            stay += stays
            leave += w * leaves
            waited += x * stays
        v = end
    return all_, stay, leave, waited


@compiled
def by_panels(empty: Any, lam: Any, rate: Any, patience: Any, threshold: Any, short: Any, deep: Any, out: Any) -> Any:
    """Fill out (NUMBERS,) by integrals; empty: ε; arrivals and ends of service a second. e^−deep are left out."""
    theta = 1.0 / patience
    over = (lam - rate) / rate
    peak, rise, slope, base = 0.0, 0.0, rate - lam, lam
    if over > 0:
        peak = math.log1p(over) * patience
        rise = rate * patience * (over - math.log1p(over))
        slope, base = 0.0, rate
    bend = base * patience
    square, linear = theta * (slope + base), 2.0 * slope - deep * theta
    far = (math.sqrt(linear * linear + 8.0 * deep * square) - linear) / (2.0 * square)
    near = min(peak, math.sqrt(2.0 * deep / (base * theta))) if peak > 0 else 0.0
    low, high = peak - near, peak + far
    panels = math.ceil(deep / FOLDS)
    left, right = max(near, 1e-300) / panels, far / panels
    lesser = min(max(min(short, threshold), low), high)
    greater = min(max(max(short, threshold), low), high)
    first = _stretch(low, lesser, peak, slope, bend, theta, left, right)
    second = _stretch(lesser, greater, peak, slope, bend, theta, left, right)
    rest = _stretch(greater, high, peak, slope, bend, theta, left, right)
    both = (first[0] + second[0], first[1] + second[1], first[2] + second[2])
    whole, answered, leaving = both[0] + rest[0], both[1] + rest[1], both[2] + rest[2]
    waited = first[3] + second[3] + rest[3]
    at_once = empty * math.exp(-rise) if rise < 700 else 0.0
    mass = at_once + lam * whole
    out[WAITS], out[ANSWERED], out[ABANDONED] = lam * whole / mass, (at_once + lam * answered) / mass, lam * leaving / mass
    out[ASA], out[WAIT_OF_ALL] = lam * waited / (at_once + lam * answered), out[ABANDONED] * patience
    sooner = both if threshold > short else (first[0], first[1], first[2])
    out[WITHIN] = (at_once + lam * sooner[1]) / mass
    out[REACHED] = (at_once + lam * sooner[0]) / mass
    out[LEFT_WITHIN] = lam * (sooner[2] - math.expm1(-theta * threshold) * (whole - sooner[0])) / mass
    brief = both if short > threshold else (first[0], first[1], first[2])
    out[LEFT_SHORT] = lam * (brief[2] - math.expm1(-theta * short) * (whole - brief[0])) / mass


@compiled
def after(empty: Any, n: Any, a: Any, handle: Any, patience: Any, threshold: Any, short: Any, deep: Any, out: Any) -> Any:
    """Fill out (NUMBERS,) with the service of n > 0 agents, given ε: how likely less than n contacts are in hand, over n − 1 of them.
    Times in seconds; patience finite, a > 0. deep: DEEP, or less where fewer digits do and nobody asks for ASA (e^−deep are left out)."""
    y = a * patience / handle
    x = y * n / a
    if empty == np.inf:
        out[:] = 0.0
        out[ANSWERED], out[WITHIN], out[REACHED] = 1.0, 1.0, 1.0
    elif max(y - x, 0.0) + 9.0 * math.sqrt(y) < TERMS:
        by_series(empty, x, y, patience, threshold, short, deep, out)
    else:
        by_panels(empty, a / handle, n / handle, patience, threshold, short, deep, out)


@compiled
def erlang_a(n: Any, a: Any, handle: Any, patience: Any, threshold: Any, short: Any, deep: Any, out: Any) -> Any:
    """Fill out (NUMBERS,) with the service of n > 0 agents, as `after` does."""
    after(before(n, a, deep), n, a, handle, patience, threshold, short, deep, out)


@compiled
def after_patient(full: Any, n: Any, a: Any, handle: Any, threshold: Any, out: Any) -> Any:
    """Fill out (NUMBERS,) with the service of n > a agents whose callers never leave, given 1/B(n, a) or what stands for it."""
    out[:] = 0.0
    waits = 1.0 / (full * ((n - a) / n) + a / n) if full < np.inf else 0.0
    out[WAITS], out[ANSWERED] = waits, 1.0
    out[WITHIN] = out[REACHED] = 1.0 - waits * math.exp(-(n - a) * threshold / handle)
    out[ASA] = out[WAIT_OF_ALL] = waits * handle / (n - a)


@compiled
def erlang_c(n: Any, a: Any, handle: Any, threshold: Any, out: Any) -> Any:
    """Fill out (NUMBERS,) with the service of n > 0 agents whose callers never leave; nobody is answered where n ≤ a."""
    if n <= a:
        out[:] = 0.0
        out[WAITS], out[ASA], out[WAIT_OF_ALL], out[ANSWERED] = 1.0, np.inf, np.inf, 1.0
        return
    after_patient(inverse_b(n, a), n, a, handle, threshold, out)


@compiled
def serve(n: Any, a: Any, handle: Any, patience: Any, threshold: Any, short: Any, deep: Any, out: Any) -> Any:
    """Fill out (NUMBERS,) with the service of n agents at a load of a erlangs; also of none, and where nothing is offered."""
    if a <= 0:
        out[:] = 0.0
        out[ANSWERED], out[WITHIN], out[REACHED] = 1.0, 1.0, 1.0
        if n <= 0:
            out[ANSWERED], out[WITHIN], out[WAITS], out[ABANDONED], out[REACHED] = 0.0, 0.0, 1.0, 1.0, 0.0
    elif n <= 0:
        out[:] = 0.0
        out[WAITS], out[ABANDONED], out[ASA] = 1.0, 1.0, np.inf
        out[LEFT_WITHIN] = -math.expm1(-threshold / patience)
        out[LEFT_SHORT] = -math.expm1(-short / patience)
        out[WAIT_OF_ALL] = patience
        if patience == np.inf:
            out[ABANDONED] = 0.0
            out[ANSWERED] = 1.0
    elif patience == np.inf:
        erlang_c(n, a, handle, threshold, out)
    else:
        erlang_a(n, a, handle, patience, threshold, short, deep, out)
