"""Erlang A and C for whole arrays: the service that n agents give, in any of the trade's definitions.

The offered wait V of a customer of infinite patience has mass at 0 and, beyond, the density
λ·exp(λ/θ·(1 − e^{−θx}) − nμx), up to one factor (Zeltyn & Mandelbaum, "Call centers with impatient customers", Queueing
Systems 51, 2005); θ → 0 is Erlang C. With ε = 1/B(n − 1, a), Erlang B's inverse, the factor is 1/(ε + λJ), J the integral.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaln

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_HUGE = 1e280


@dataclasses.dataclass(frozen=True)
class Load:
    """Arrays (I,): arrivals per second, mean handle time in seconds, mean patience in seconds (inf: nobody leaves)."""

    arrivals: Floats
    handle: Floats
    patience: Floats

    @property
    def erlangs(self) -> Floats:
        """Offered load, arrivals × handle time."""
        return self.arrivals * self.handle

    def pick(self, rows: NDArray[np.bool_] | Ints) -> "Load":
        return Load(self.arrivals[rows], self.handle[rows], self.patience[rows])


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


def erlang_b_inverse(erlangs: Floats, largest: int) -> Floats:
    """Return 1/B(k, a) for k = 0 … largest: shape (largest + 1, I). Recursion 1/B(k) = 1 + k/a·1/B(k − 1)."""
    table = np.empty((largest + 1, erlangs.size))
    table[0] = 1.0
    a = np.maximum(erlangs, 1e-12)
    for k in range(1, largest + 1):
        table[k] = np.minimum(1.0 + k / a * table[k - 1], _HUGE)
    return table


def _integral(load: Load, agents: Floats) -> Floats:
    """Return J = ∫ exp(λ/θ(1 − e^{−θx}) − nμx) dx over x > 0. For θ = 0 it is 1/(nμ − λ), infinite when unstable."""
    rate = agents / load.handle
    total = np.full(load.arrivals.shape, np.inf)
    patient = ~np.isfinite(load.patience)
    stable = patient & (rate > load.arrivals)
    total[stable] = 1.0 / (rate[stable] - load.arrivals[stable])
    rows = np.flatnonzero(~patient)
    if rows.size:
        s, y = rate[rows] * load.patience[rows], load.arrivals[rows] * load.patience[rows]
        total[rows] = load.patience[rows] * np.where(y < s + 50, _series(s, y), _closed(s, y))
    return total


def _series(s: Floats, y: Floats) -> Floats:
    """Return Σ y^k / (s(s+1)…(s+k)): all terms positive, nothing cancels."""
    term = 1.0 / s
    total = term.copy()
    small = np.minimum(y, s + 50)
    for k in range(1, 5000):
        term = term * small / (s + k)
        total += term
        if not (term > 1e-16 * total).any():
            break
    return total


def _closed(s: Floats, y: Floats) -> Floats:
    """Return e^y·y^{−s}·γ(s, y), by logarithms; capped, since beyond it nobody is served in time anyway."""
    with np.errstate(divide="ignore", over="ignore"):
        log = y - s * np.log(y) + gammaln(s) + np.log(gammainc(s, y))
    value: Floats = np.exp(np.minimum(log, 600.0))
    return value


def service(load: Load, agents: Ints, inverse_b: Floats, threshold: float, short: float = 0.0) -> Service:
    """Return the service of `agents` (I,), given 1/B(n − 1, a) (I,). No agents: nobody is answered."""
    n = np.maximum(agents, 1).astype(float)
    theta = np.where(np.isfinite(load.patience), 1.0 / load.patience, 0.0)
    j = _integral(load, n)
    mass = inverse_b + load.arrivals * np.where(np.isfinite(j), j, 1e300)
    waits = 1.0 - inverse_b / mass
    rate = n / load.handle
    late = np.where(np.isfinite(j), np.maximum(rate * j - 1.0, 0.0), 1e300)
    answered = np.where(theta > 0, (inverse_b + late) / mass, 1.0)
    within, left_within = _until(load, rate, theta, mass, inverse_b, threshold)
    _, left_short = _until(load, rate, theta, mass, inverse_b, short)
    asa = _mean_wait(load, rate, theta, mass, waits, answered)
    none = agents <= 0
    zero = np.zeros_like(waits)
    answered = np.where(none, zero, np.clip(answered, 0.0, 1.0))
    return Service(
        waits=np.where(none, 1.0, waits),
        answered=answered,
        abandoned=1.0 - answered,
        within=np.where(none, zero, within),
        left_within=np.where(none, 1.0 - np.exp(-theta * threshold), left_within),
        left_short=np.where(none, 1.0 - np.exp(-theta * short), left_short),
        asa=np.where(none, np.inf, asa),
        occupancy=np.where(none, zero, np.minimum(load.arrivals * answered / rate, 1.0)),
    )


def _density(load: Load, rate: Floats, theta: Floats, x: Floats) -> Floats:
    """Return λ·exp(λ/θ(1 − e^{−θx}) − nμx) at x (I, K)."""
    safe = np.where(theta > 0, theta, 1.0)[:, None]
    grown = np.where(theta[:, None] > 0, -np.expm1(-safe * x) / safe, x)
    exponent = np.minimum(load.arrivals[:, None] * grown - rate[:, None] * x, 600.0)
    density: Floats = load.arrivals[:, None] * np.exp(exponent)
    return density


def _until(load: Load, rate: Floats, theta: Floats, mass: Floats, inverse_b: Floats, t: float) -> tuple[Floats, Floats]:
    """Return P(answered within t) and P(abandoned within t), of offered."""
    if t <= 0:
        return inverse_b / mass, np.zeros_like(mass)
    x = np.broadcast_to((_NODES + 1) * t / 2, (mass.size, _NODES.size))
    density = _density(load, rate, theta, x) * (_WEIGHTS * t / 2)[None, :]
    stays = np.exp(-theta[:, None] * x)
    within = (inverse_b + (density * stays).sum(axis=1)) / mass
    reached = (inverse_b + density.sum(axis=1)) / mass
    left = (density * (1 - stays)).sum(axis=1) / mass + (1 - np.exp(-theta * t)) * np.maximum(1 - reached, 0.0)
    return np.clip(within, 0.0, 1.0), np.clip(left, 0.0, 1.0)


def _mean_wait(load: Load, rate: Floats, theta: Floats, mass: Floats, waits: Floats, answered: Floats) -> Floats:
    """Return the mean wait of the answered. Erlang C: P(wait)/(nμ − λ); Erlang A: by quadrature over the density."""
    slack = rate - load.arrivals
    patient = theta == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = np.where(slack > 0, waits / slack, np.inf)
    far = np.where(slack > 0, 40.0 / np.maximum(slack, 1e-9), np.inf)
    end = np.minimum(far, np.where(patient, 1.0, 20.0 / np.where(patient, 1.0, theta) + 400.0))
    total = np.zeros_like(mass)
    pieces = 8
    for piece in range(pieces):
        low, width = end * (piece / pieces) ** 2, end * ((piece + 1) ** 2 - piece**2) / pieces**2
        x = low[:, None] + (_NODES + 1)[None, :] * width[:, None] / 2
        inner = x * np.exp(-theta[:, None] * x) * _density(load, rate, theta, x)
        total += (inner * _WEIGHTS[None, :]).sum(axis=1) * width / 2
    return np.where(patient, plain, total / mass / np.maximum(answered, 1e-12))
