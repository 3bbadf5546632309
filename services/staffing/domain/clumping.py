"""How much a day's contacts share their luck: they meet the same queue, and go well or badly together.

How much more their sum varies than independent contacts would is the asymptotic variance of the M/M/n+M chain by its Poisson equation
(Whitt, "Asymptotic formulas for Markov processes with applications to simulation", OR 40, 1992).
"""

import math
from typing import Any

import numpy as np

from services.staffing.domain.erlang import Floats, Ints, Load, compiled
from services.staffing.domain.requirement import Goal

MOST_STATES = 400_000
IN_TIME, LEAVING, WAITING = range(3)
MARKS = {"ABANDONMENT": LEAVING, "ASA": WAITING}


@compiled
def _in_time(mean: Any, variance: Any, threshold: Any) -> Any:
    """Return P(W ≤ T) of a sum of exponential stages, taken as gamma of that mean and variance (Wilson & Hilferty, 1931)."""
    shape = mean * mean / variance
    z = ((threshold / mean) ** (1.0 / 3.0) - 1.0 + 1.0 / (9.0 * shape)) * 3.0 * math.sqrt(shape)
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


@compiled
def _clump(mark: Any, n: Any, a: Any, handle: Any, patience: Any, threshold: Any, seconds: Any) -> Any:
    """Return the variance of a sum of marks over independent contacts', in spans of `seconds` (inf: long ones); 1 or more."""
    rate, theta = n / handle, 1.0 / patience
    if a <= 0 or n <= 0 or (theta <= 0 and n <= a):
        return 1.0
    size = int(2.0 * max(n, a) + 60.0 * math.sqrt(max(n, a)) + 200.0)
    if a > n:
        crowd = n + (a - n) / (theta * handle)
        size = min(int(crowd + 12.0 * math.sqrt(crowd / min(theta * handle, 1.0)) + 200.0) + size, MOST_STATES)
    p, good, square = np.zeros(size), np.zeros(size), np.zeros(size)
    # From the likeliest number on: beyond n it is where who comes is who is ended or leaves.
    first = last = int(min(n + (a - n) / (theta * handle), size - 2.0)) if a > n else int(a)
    p[first] = 1.0
    while last < size - 1 and (p[last] > 1e-13 or last < n):
        last += 1
        p[last] = p[last - 1] * a / (min(float(last), n) + max(last - n, 0.0) * theta * handle)
    while first > 0 and p[first] > 1e-13:
        first -= 1
        p[first] = p[first + 1] * (min(first + 1.0, n) + max(first + 1.0 - n, 0.0) * theta * handle) / a
    p /= p.sum()
    mean = spread = 0.0
    for i in range(min(first, int(n)), last + 1):
        answered = 1.0
        if i >= n:
            stage = 1.0 / (rate + (i - n + 1.0) * theta)
            mean, spread, answered = mean + stage, spread + stage * stage, rate * stage
        if mark == IN_TIME:
            good[i] = 1.0 if i < n else answered * _in_time(mean, spread / 4.0, threshold)
        elif mark == LEAVING:
            good[i] = 1.0 - answered
        else:
            good[i] = answered * mean
        square[i] = answered * (spread + mean * mean) if mark == WAITING else good[i]
    middle = (p * good).sum()
    alone, between = (p * square).sum() - middle * middle, (p * (good - middle) ** 2).sum()
    if alone <= 1e-12 or between <= 1e-12:
        return 1.0
    together = below = 0.0
    for i in range(first, last + 1):
        below += p[i] * (good[i] - middle)
        if p[i] > 1e-14:
            together += 2.0 * (below * below / p[i] - (good[i] - middle) * below)
    extra = max(together, 0.0) / alone
    lasts = extra * alone / (2.0 * between) * handle / a
    if seconds < np.inf and lasts > 0:
        extra *= 1.0 - lasts / seconds * -math.expm1(-seconds / lasts)
    return 1.0 + extra


@compiled
def _clump_all(mark: Any, agents: Any, erlangs: Any, handle: Any, patience: Any, threshold: Any, seconds: Any) -> Any:
    found = np.ones(len(agents))
    for i in range(len(agents)):
        found[i] = _clump(mark, agents[i], erlangs[i], handle[i], patience[i], threshold, seconds)
    return found


def clumping(load: Load, agents: Floats | Ints, goal: Goal, seconds: float = math.inf) -> Floats:
    """Return how much more a sum over contacts varies than independent contacts' (I,), 1 or more, in spans of `seconds` (inf: long ones).
    Waits are given half their deviation, as who waits together shares what is ended: within 7 % of played queues."""
    mark = MARKS.get(goal.metric, IN_TIME)
    n, patience = np.ceil(np.asarray(agents, float)), np.asarray(load.patience, float)
    found: Floats = _clump_all(mark, n, load.erlangs, load.handle, patience, max(goal.threshold, 1e-9), float(seconds))
    return found
