"""Erlang B, C and A, exact at any size, for real numbers of agents: the service that n agents give, in any of the trade's definitions.

B: 1/B(n) = 1 + n/a · 1/B(n − 1), begun so far below that what it is begun with has died away (each step shrinks an error by n/a), or at
the fraction of n, where 1/B(f, a) = e^a a^−f Γ(f + 1, a) (Jagers & van Doorn, "On the continued Erlang loss function", OR Letters 5,
1986). C follows from B. A: the offered wait V of a customer of infinite patience has mass at 0 and, beyond, the density
λ·exp(λ/θ·(1 − e^−θx) − nμx), up to one factor (Zeltyn & Mandelbaum, "Call centers with impatient customers", Queueing Systems 51,
2005). With ε = 1/B(n − 1, a) the factor is 1/(ε + λJ), J the density's integral; every number of the trade is an integral beside it
over terms that are all positive, so nothing cancels. They are taken by Gauss-Legendre panels around the density's peak.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)

NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)
# e^−DEEP is nothing beside 1; panels of FOLDS e-foldings are exact to the last digits with 16 nodes.
DEEP, ENOUGH, FOLDS = 42.0, 25.0, 8.0
HUGE = 1e300
MOST = 2**40
# Where each number lies in what `erlang_a` and `erlang_c` return.
WAITS, ANSWERED, ABANDONED, WITHIN, LEFT_WITHIN, LEFT_SHORT, REACHED, ASA, WAIT_OF_ALL = range(9)
NUMBERS = 9


@compiled
def _fraction(f: Any, a: Any) -> Any:
    """Return 1/B(f, a) for 0 < f < 1: e^a a^−f Γ(f + 1, a), by its continued fraction, by its series for small a."""
    s = f + 1.0
    if a < 1.5:
        term = 1.0 / s
        total = term
        k = 1.0
        while term > 1e-18 * total:
            term *= a / (s + k)
            total += term
            k += 1.0
        return math.exp(a) * (math.gamma(s) * a**-f - a * math.exp(-a) * total)
    b = a + 1.0 - s
    c, d = 1e300, 1.0 / b
    h = d
    for i in range(1, 500):
        an = -i * (i - s)
        b += 2.0
        d = 1.0 / (an * d + b)
        c = b + an / c
        step = d * c
        h *= step
        if abs(step - 1.0) < 1e-16:
            break
    return a * h


@compiled
def inverse_b(n: Any, a: Any) -> Any:
    """Return 1/B(n, a) for real n ≥ 0 and a > 0, infinite beyond 1e300."""
    whole = math.floor(n)
    f = n - whole
    top = min(n, a)
    back = math.sqrt(2.0 * DEEP * a) + 2.0
    if top < a:
        back = min(back, DEEP / math.log(a / top) + 2.0) if top > 0 else 0.0
    begin = math.floor(top - back)
    x = 1.0
    at = 0.0
    if begin > 0:
        at = begin + f
        x = a / (a - at + 1.0)
    elif f > 0:
        x = _fraction(f, a)
        at = f
    j = at + 1.0
    while j <= n + 0.5:
        x = 1.0 + j / a * x
        if x > HUGE:
            return np.inf
        j += 1.0
    return x


@compiled
def _before(n: Any, a: Any) -> Any:
    """Return ε = 1/B(n − 1, a), continued to n > 0."""
    return inverse_b(n - 1.0, a) if n >= 1.0 else (inverse_b(n, a) - 1.0) * a / n


@compiled
def _gap(z: Any) -> Any:
    """Return z − (1 − e^−z) without cancellation."""
    if abs(z) > 0.3:
        return z + math.expm1(-z)
    term = z * z / 2.0
    total = term
    k = 3.0
    while abs(term) > 1e-18 * abs(total):
        term *= -z / k
        total += term
        k += 1.0
    return total


@compiled
def _stretch(p: Any, q: Any, peak: Any, slope: Any, bend: Any, theta: Any, left: Any, right: Any, sums: Any) -> Any:
    """Add to sums the integrals of w, w·e^−θv, w·(1 − e^−θv) and w·v·e^−θv over p to q, w the density over its peak's."""
    v, left_at_peak = p, -math.expm1(-theta * peak)
    while v < q:
        step = left if v < peak else right
        if theta * v < 5.0 * FOLDS:
            step = min(step, FOLDS / theta)
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
            stays = 1.0 - leaves
            sums[0] += w
            sums[1] += w * stays
            sums[2] += w * leaves
            sums[3] += w * x * stays
        v = end


@compiled
def erlang_a(n: Any, a: Any, handle: Any, patience: Any, threshold: Any, short: Any, deep: Any, out: Any) -> Any:
    """Fill out (NUMBERS,) with the service of n > 0 agents; times in seconds, patience finite, a > 0. deep: DEEP, or less where fewer
    digits do (e^−deep are left out)."""
    lam, rate, theta = a / handle, n / handle, 1.0 / patience
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
    panels = math.ceil(deep / FOLDS - 0.5)
    left, right = max(near, 1e-300) / panels, far / panels
    sums, inner, brief = np.zeros(4), np.zeros(4), np.zeros(4)
    cut = min(max(threshold, low), high)
    first = min(max(short, low), cut)
    _stretch(low, first, peak, slope, bend, theta, left, right, brief)
    inner[:] = brief
    _stretch(first, cut, peak, slope, bend, theta, left, right, inner)
    sums[:] = inner
    _stretch(cut, high, peak, slope, bend, theta, left, right, sums)
    empty = _before(n, a)
    mass0 = empty * math.exp(-rise) if rise < 700 else 0.0
    if mass0 == np.inf:
        out[WAITS], out[ANSWERED], out[ABANDONED], out[WITHIN] = 0.0, 1.0, 0.0, 1.0
        out[LEFT_WITHIN], out[LEFT_SHORT], out[REACHED], out[ASA], out[WAIT_OF_ALL] = 0.0, 0.0, 1.0, 0.0, 0.0
        return
    mass = mass0 + lam * sums[0]
    answered = (mass0 + lam * sums[1]) / mass
    out[WAITS] = lam * sums[0] / mass
    out[ANSWERED] = answered
    out[ABANDONED] = lam * sums[2] / mass
    out[WITHIN] = (mass0 + lam * inner[1]) / mass
    beyond = lam * (sums[0] - inner[0]) / mass
    out[LEFT_WITHIN] = lam * inner[2] / mass - math.expm1(-theta * threshold) * beyond
    out[LEFT_SHORT] = lam * brief[2] / mass - math.expm1(-theta * short) * lam * (sums[0] - brief[0]) / mass
    out[REACHED] = (mass0 + lam * inner[0]) / mass
    out[ASA] = lam * sums[3] / mass / answered
    out[WAIT_OF_ALL] = out[ABANDONED] * patience


@compiled
def erlang_c(n: Any, a: Any, handle: Any, threshold: Any, out: Any) -> Any:
    """Fill out (NUMBERS,) with the service of n > 0 agents whose callers never leave; nobody is answered where n ≤ a."""
    if n <= a:
        out[:] = 0.0
        out[WAITS], out[ASA], out[WAIT_OF_ALL], out[ANSWERED] = 1.0, np.inf, np.inf, 1.0
        return
    x = inverse_b(n, a)
    free = (n - a) / n
    waits = 1.0 / (x * free + a / n) if x < np.inf else 0.0
    out[WAITS], out[ANSWERED], out[ABANDONED] = waits, 1.0, 0.0
    out[WITHIN] = 1.0 - waits * math.exp(-(n - a) * threshold / handle)
    out[LEFT_WITHIN], out[LEFT_SHORT], out[REACHED] = 0.0, 0.0, out[WITHIN]
    out[ASA] = waits * handle / (n - a)
    out[WAIT_OF_ALL] = out[ASA]


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


@compiled
def _serve_all(agents: Any, erlangs: Any, handle: Any, patience: Any, threshold: Any, short: Any, found: Any) -> Any:
    for i in range(len(agents)):
        serve(agents[i], erlangs[i], handle[i], patience[i], threshold, short, DEEP, found[i])


# Targets: metric and what is divided by what.
SL_OFFERED, SL_ANSWERED, SL_EXCLUDED, SL_ALL, SL_VIRTUAL, BY_ASA, BY_ABANDONED, BY_WAITS, BY_OCCUPANCY = range(9)


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
def _short_by(kind: Any, target: Any, n: Any, a: Any, handle: Any, patience: Any, threshold: Any, short: Any, out: Any) -> Any:
    """Return by how much n agents miss a target; 0 or less: they keep it."""
    serve(n, a, handle, patience, threshold, short, ENOUGH, out)
    value = measure(kind, out, n, a)
    return target - value if kind <= SL_VIRTUAL else value - target


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
    """Return the fewest whole agents that keep a target: every number is monotone in agents. 0 where nothing is offered.

    A bracket around a guess, then false position, halved where it does not shrink: few looks, and the last two tell n from n − 1.
    """
    if a <= 0:
        return 0
    if patience == np.inf:
        return _fewest_patient(kind, target, a, handle, threshold, out)
    low, missed = 0, 1.0
    n = math.floor(a + 0.2 * math.sqrt(a)) + 1
    by = _short_by(kind, target, float(n), a, handle, patience, threshold, short, out)
    step = max(int(0.5 * math.sqrt(a)), 1)
    high, spare = n, by
    if by > 0:
        low, missed = n, by
        while True:
            high = low + step
            spare = _short_by(kind, target, float(high), a, handle, patience, threshold, short, out)
            if spare <= 0:
                break
            if high > MOST:
                return MOST
            low, missed, step = high, spare, step * 2
    else:
        while high > 0:
            n = max(high - step, 0)
            by = _short_by(kind, target, float(n), a, handle, patience, threshold, short, out)
            if by > 0:
                low, missed = n, by
                break
            high, spare, step = n, by, step * 2
            if high == 0:
                return 0
    turn = 0
    while high - low > 1:
        n = (low + high) // 2
        if turn % 3 < 2 and np.isfinite(missed - spare):
            n = low + math.ceil((high - low) * missed / (missed - spare)) - turn % 2  # whole: from this side, then the other
            n = min(max(n, low + 1), high - 1)
        by = _short_by(kind, target, float(n), a, handle, patience, threshold, short, out)
        if by > 0:
            low, missed = n, by
        else:
            high, spare = n, by
        turn += 1
    return high


@compiled
def _fewest_all(
    kind: Any, target: Any, erlangs: Any, handle: Any, patience: Any, threshold: Any, short: Any, found: Any
) -> Any:
    out = np.zeros(NUMBERS)
    for i in range(len(erlangs)):
        found[i] = fewest(kind, target, erlangs[i], handle[i], patience[i], threshold, short, out)


@compiled
def fewest_lines(target: Any, a: Any) -> Any:
    """Return the fewest lines whose blocking, Erlang B, is at most the target."""
    if a <= 0:
        return 0
    n = max(math.floor(a * (1.0 - target) - 6.0 * math.sqrt(a)) - 1.0, 0.0)
    x = inverse_b(n, a)
    while n > 0 and 1.0 / x <= target:
        n -= 1.0
        x = inverse_b(n, a)
    while 1.0 / x > target:
        n += 1.0
        x = 1.0 + n / a * x
    return int(n)


@dataclasses.dataclass(frozen=True)
class Load:
    """Arrays (I,): arrivals per second, mean handle time in seconds, mean patience in seconds (inf: nobody leaves); carried: the load in
    erlangs where it is not what is offered in the interval (None: it is)."""

    arrivals: Floats
    handle: Floats
    patience: Floats
    carried: Floats | None = None

    @property
    def erlangs(self) -> Floats:
        """Load as carried, else offered: arrivals × handle time."""
        return self.arrivals * self.handle if self.carried is None else self.carried

    def pick(self, rows: NDArray[np.bool_] | Ints) -> "Load":
        carried = None if self.carried is None else self.carried[rows]
        return Load(self.arrivals[rows], self.handle[rows], self.patience[rows], carried)


@dataclasses.dataclass(frozen=True)
class Service:
    """Arrays (I,), 0–1 but for asa in seconds: what n agents give. `waits` P(V > 0); `abandoned` of offered;
    `within` answered within T, of offered; `left_within` abandoned within T, of offered; `left_short` within the short threshold.
    """

    waits: Floats
    answered: Floats
    abandoned: Floats
    within: Floats
    left_within: Floats
    left_short: Floats
    asa: Floats
    occupancy: Floats


def _rows(load: Load) -> tuple[Floats, Floats, Floats]:
    return load.erlangs, np.ascontiguousarray(load.handle, float), np.ascontiguousarray(load.patience, float)


def service(load: Load, agents: Floats | Ints, threshold: float, short: float = 0.0) -> Service:
    """Return the service of real numbers of agents (I,); T and the short threshold in seconds. No agents: nobody is answered."""
    found, n = np.zeros((load.arrivals.size, NUMBERS)), np.asarray(agents, float)
    erlangs, handle, patience = _rows(load)
    _serve_all(n, erlangs, handle, patience, float(threshold), float(short), found)
    answered = found[:, ANSWERED]
    with np.errstate(divide="ignore", invalid="ignore"):
        occupancy = np.where(n > 0, np.minimum(erlangs * answered / n, 1.0), 0.0)
    return Service(
        waits=found[:, WAITS],
        answered=answered,
        abandoned=found[:, ABANDONED],
        within=found[:, WITHIN],
        left_within=found[:, LEFT_WITHIN],
        left_short=found[:, LEFT_SHORT],
        asa=found[:, ASA],
        occupancy=occupancy,
    )


def fewest_agents_for(kind: int, target: float, load: Load, threshold: float, short: float) -> Ints:
    """Return the fewest whole agents (I,) that keep a target of a kind (SL_OFFERED … BY_OCCUPANCY)."""
    erlangs, handle, patience = _rows(load)
    found = np.zeros(erlangs.size, np.int64)
    _fewest_all(kind, float(target), erlangs, handle, patience, float(threshold), float(short), found)
    return found


def warm_up() -> None:
    """Compile, or load what was compiled before: a fraction of a second then, several at first."""
    for patience in (np.inf, 60.0):
        one = Load(np.array([0.01]), np.array([60.0]), np.array([patience]))
        service(one, fewest_agents_for(SL_OFFERED, 0.8, one, 20.0, 0.0), 20.0)
