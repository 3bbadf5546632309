"""Erlang B, exact at any size, for real numbers of lines: the share of contacts that find every line busy.

1/B(n) = 1 + n/a · 1/B(n − 1), begun so far below that what it is begun with has died away (each step shrinks an error by n/a), or at
the fraction of n, where 1/B(f, a) = e^a a^−f Γ(f + 1, a) (Jagers & van Doorn, "On the continued Erlang loss function", OR Letters 5,
1986).
"""

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)

# e^−DEEP is nothing beside 1.
DEEP = 42.0
HUGE = 1e300


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
def inverse_b(n: Any, a: Any, deep: Any = DEEP) -> Any:
    """Return 1/B(n, a) for real n ≥ 0 and a > 0, infinite beyond 1e300; e^−deep of what it is begun with is left."""
    whole = math.floor(n)
    f = n - whole
    top = min(n, a)
    back = math.sqrt(2.0 * deep * a) + 2.0
    if top < a:
        back = min(back, deep / math.log(a / top) + 2.0) if top > 0 else 0.0
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
    per = 1.0 / a
    while j + 3.0 <= n + 0.5:  # four steps at once, all but one product of them beside the chain
        s, t, u, v = j * per, (j + 1.0) * per, (j + 2.0) * per, (j + 3.0) * per
        x = (1.0 + v * (1.0 + u * (1.0 + t))) + s * t * (u * v) * x
        if x > HUGE:
            return np.inf
        j += 4.0
    while j <= n + 0.5:
        x = 1.0 + j * per * x
        if x > HUGE:
            return np.inf
        j += 1.0
    return x


@compiled
def before(n: Any, a: Any, deep: Any = DEEP) -> Any:
    """Return ε = 1/B(n − 1, a), continued to n > 0."""
    return inverse_b(n - 1.0, a, deep) if n >= 1.0 else (inverse_b(n, a) - 1.0) * a / n


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
