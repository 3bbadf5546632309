"""How days leave their morning's forecast: learnt from how past days went against the forecasts that were made for them, and pooled over
the client's queues.
"""

import dataclasses

import numpy as np
from scipy.optimize import nnls

from services.forecaster.domain.engine.intraday import CLIP, FAR, NOISE, PRIOR_DAYS, Drift, states_before
from services.forecaster.domain.engine.panel import EPSILON, Floats

KEPT = (0.5, 0.7, 0.8, 0.87, 0.92, 0.96, 0.98)
LONGEST_LAG = 24
PRIOR_SURGES, LEAST_NOISE = 2.0, 1e-4


def learn_drift(mean: Floats, actual: Floats) -> Drift:
    """Learn the parts from past days (O, N, S) of forecasts made on the eve and of what came (NaN: not observed).

    By moments: the covariance of relative errors some intervals apart is day + fading · kept^lag; what is left at lag 0, less
    Poisson's share, is noise, of all slots and of each. What the filter then says before each slot of these days is held against
    what their rest brought, by regression: a morning that says little of its day is believed little, and none is believed more than wholly.
    Few days are pulled to the usual.
    """
    usual = Drift()
    days, slots = len(mean), mean.shape[-1] if len(mean) else 0
    seen = ~np.isnan(actual) & (mean > EPSILON)
    if days == 0 or slots < 4 or not seen.any():
        return usual
    m = np.where(seen, mean, 0.0)
    most = CLIP * np.sqrt(m + 0.05 * m**2)
    weight = 1 / (1 + NOISE * m)
    error, due = np.clip(np.where(seen, actual - m, 0.0), -most, most) * weight, m * weight
    lags = np.arange(min(slots - 1, LONGEST_LAG) + 1)
    over = np.array([(error[..., : slots - lag] * error[..., lag:]).sum() for lag in lags])
    under = np.array([(due[..., : slots - lag] * due[..., lag:]).sum() for lag in lags])
    covariance = over / np.maximum(under, EPSILON)
    root = np.sqrt(under[1:])
    fits = []
    for kept in KEPT:
        both, miss = nnls(np.stack([np.ones(len(lags) - 1), kept ** lags[1:]], 1) * root[:, None], covariance[1:] * root)
        fits.append((miss, kept, *both))
    _, kept, day, fading = min(fits)
    beyond = error**2 - weight**2 * m - (day + fading) * due**2
    noise = max(float(beyond.sum() / max(under[0], EPSILON)), LEAST_NOISE)
    worth = PRIOR_DAYS * under[0] / days / slots
    noises = np.maximum((beyond.sum(axis=(0, 1)) + worth * noise) / ((due**2).sum(axis=(0, 1)) + worth), LEAST_NOISE)
    believed = days / (days + PRIOR_DAYS)

    def pulled(own: float, prior: float) -> float:
        return float(believed * own + (1 - believed) * prior)

    noises = believed * noises + (1 - believed) * usual.noise
    found = Drift(
        pulled(day, usual.day),
        pulled(fading, usual.fading),
        kept,
        pulled(noise, usual.noise),
        noises=tuple(noises.tolist()),
        trust=(1.0,) * slots,
    )
    said = _what_was_said(np.where(seen, mean, 0.0), np.where(seen, actual, np.nan), found)
    trust = said.right(PRIOR_DAYS / days)
    surged = (said.surges * said.right_of_surges() + PRIOR_SURGES) / (said.surges + PRIOR_SURGES)
    return dataclasses.replace(found, surged=surged, trust=tuple(trust.tolist()))


@dataclasses.dataclass(frozen=True)
class _Said:
    """Sums for the regression of what the rest of past days brought on what was said of it: of their products, and of the squares of what
    was said; before each slot (S,) of days that had not surged, and of those that had together, which are so many; due (S,): the squares
    that the variances known let expect."""

    products: Floats
    squares: Floats
    due: Floats
    of_surges: tuple[float, float]
    surges: int

    def right(self, prior: float) -> Floats:
        """Return the share of what was said that came (S,), 0 to 1, as if all had of `prior` times as much as was to be said: where days
        hardly ever left their forecast, nothing speaks against it."""
        more = prior * self.due + EPSILON
        share: Floats = np.clip((self.products + more) / (self.squares + more), 0.0, 1.0)
        return share

    def right_of_surges(self) -> float:
        return float(np.clip(self.of_surges[0] / max(self.of_surges[1], EPSILON), 0.0, 1.0))


def _what_was_said(mean: Floats, actual: Floats, drift: Drift) -> _Said:
    """Return what was said of past days (O, N, S). Each day counts by how well its rest can be foretold; what lies beyond two standard
    deviations of days is cut, of days that surged only beyond as many contacts in each slot left as had been seen too many in one."""
    slots = mean.shape[-1]
    mean, actual = mean.reshape(-1, slots), actual.reshape(-1, slots)
    states = states_before(mean, actual, drift, drift.rows(slots)[0])
    off, known = np.where(np.isnan(actual), 0.0, actual - mean), np.where(np.isnan(actual), 0.0, mean)
    rest, brought, faded = np.zeros(len(mean)), np.zeros(len(mean)), np.zeros(len(mean))
    products, squares, due = np.zeros((2, slots)), np.zeros((2, slots)), np.zeros(slots)
    above, below = (np.maximum.accumulate(np.maximum(side, 0.0), axis=1) for side in (off, -off))
    for slot in range(slots - 1, 0, -1):
        rest, brought, faded = rest + known[:, slot], brought + off[:, slot], known[:, slot] + drift.kept * faded
        said = states.day[:, slot] * rest + states.fading[:, slot] * faded
        most, surged = FAR * np.sqrt(drift.day + drift.fading) * rest, states.surged[:, slot]
        low, high = (np.where(surged, np.maximum(most, (slots - slot) * side[:, slot - 1]), most) for side in (below, above))
        said, came = (np.clip(part, -low, high) for part in (said, brought))
        weight = 1 / np.maximum(rest + NOISE * rest**2, EPSILON)
        for kind, some in enumerate((~surged, surged)):
            products[kind, slot] = (weight * said * came)[some].sum()
            squares[kind, slot] = (weight * said**2)[some].sum()
        explained = np.maximum(drift.day + drift.fading - states.spread[:, slot], 0.0)
        due[slot] = (weight * explained * rest**2).sum()
    of_surges = float(products[1].sum()), float(squares[1].sum())
    return _Said(products[0], squares[0], due, of_surges, int(states.surged.any(axis=1).sum()))
