"""The load that the formulas must be given for what n agents make of it: who hangs up is not there any more, who waits is there longer.

The pointwise stationary fluid flow approximation (Wang, Tipper & Banerjee, "A simple approximation for modeling nonstationary queues",
INFOCOM 1996): dL/dt = λ − μa, where L(a) is how many are in the system in mean at a load of a. With agents for all L is a, and a is the load
as it is carried. L comes from the diffusion limit (Garnett, Mandelbaum & Reiman, "Designing a call center with impatient customers", MSOM 4,
2002; without abandonment Halfin & Whitt's), as it only says how fast a load moves; L′ is the variance of that number over a.

Callers who hang up sooner than a contact takes: on the way up load beyond n comes sooner than with agents for all, on the way down those
beyond n are in service, left over from more agents, and go as contacts end. Callers who wait longer: a queue that has built up is carried on.
"""

import math
from typing import Any

import numpy as np

from services.staffing.domain.blocking import compiled

LOOKS = 40
# A step of so much of what is left is the last: the next would be of its square (Newton).
SETTLED = 0.03
# Beyond so many standard deviations there is nothing.
FAR = 25.0


@compiled
def _mills(z: Any) -> Any:
    """Return (1 − Φ(z))/φ(z), z above −FAR."""
    if z < 6.0:
        return math.sqrt(math.pi / 2.0) * math.exp(z * z / 2.0) * math.erfc(z / math.sqrt(2.0))
    found = z
    for k in range(12, 0, -1):
        found = z + k / found
    return 1.0 / found


@compiled
def in_system(n: Any, a: Any, ratio: Any) -> Any:
    """Return how many are in the system in mean at a load of a > 0, and its derivative by a; ratio: patience over AHT, inf with n > a."""
    beta = (n - a) / math.sqrt(a)
    if beta > FAR:
        return a, 1.0
    below = _mills(-beta)
    if ratio == np.inf:
        above, first, second = 1.0 / beta, 1.0 / beta**2, 2.0 / beta**3
    else:
        root = math.sqrt(ratio)
        z = beta * root
        if min(z, beta) < -FAR:
            return n + (a - n) * ratio, ratio
        mills = _mills(z)
        above, first = root * mills, ratio * (1.0 - z * mills)
        second = ratio * root * ((1.0 + z * z) * mills - z if z < 300.0 else 2.0 / z**3)
    mean = (first - 1.0 - beta * below) / (below + above)
    square = (second + below * (1.0 + beta * beta) + beta) / (below + above)
    return n + math.sqrt(a) * mean, square - mean * mean


@compiled
def _in_mean(y: Any) -> Any:
    """Return how much of a distance is left in mean over a time of y, where it goes by e^−t."""
    return -math.expm1(-y) / y if y > 1e-9 else 1.0 - y / 2.0


@compiled
def _hasty(n: Any, here: Any, offered: Any, ratio: Any, y: Any) -> Any:
    """Return the load that contacts meet in mean over a time of y, and that at its end."""
    met = offered + (here - offered) * _in_mean(y)
    if here < offered:
        y /= in_system(n, met, ratio)[1]
        met = offered + (here - offered) * _in_mean(y)
    return met, offered + (here - offered) * math.exp(-y)


@compiled
def _patient(n: Any, here: Any, offered: Any, ratio: Any, y: Any) -> Any:
    """Return the load that contacts meet in mean over a time of y, and how many are in the system at its end."""
    low, high, still = 0.0, max(offered, here), 1.0 / _in_mean(y) - 1.0
    met = (here + still * offered) / (1.0 + still)
    if ratio == np.inf:  # the queue grows beyond all bounds at n
        high = min(high, n)
        met = min(met, n - n / (max(here - n, 0.0) + math.sqrt(n) + 1.0))
    for _ in range(LOOKS):
        if met <= 0:
            break
        number, slope = in_system(n, met, ratio)
        over = number + still * met - here - still * offered
        if over > 0:
            high = met
        else:
            low = met
        by = over / (slope + still)
        if abs(by) <= SETTLED * min(met, abs(n - met)):
            met -= by
            break
        met = met - by if low < met - by < high else (low + high) / 2.0
    return met, max(here + (offered - met) * y, 0.0)


@compiled
def flow(n: Any, here: Any, offered: Any, handle: Any, patience: Any, seconds: Any) -> Any:
    """Return the load that says what contacts meet, and what there is at the end.

    here: what there is at the beginning, as a load where patience is shorter than AHT, else contacts in the system; offered: erlangs that
    come; AHT, patience and time in seconds.
    """
    y, ratio = seconds / handle, patience / handle
    if n <= 0:  # who is in hand is served out; who comes to nobody waits
        left, comes = offered + (here - offered) * math.exp(-y), offered * y * _in_mean(y / ratio)
        return offered, left if ratio < 1.0 or offered <= 0 else here * math.exp(-y / ratio) + comes
    if ratio < 1.0:
        return _hasty(n, here, offered, ratio, y)
    return _patient(n, here, offered, ratio, y)
