"""Today, as it turns out: what closed intervals say of the rest of the day.

The share by which a day runs above its morning forecast is a level that holds all day plus a drift that fades, seen through the
noise of counts; a Kalman filter (1960) follows both, and what it expects of the rest is its prediction. How large each part
is, is learnt from how past days went against the forecasts that were made for them, and pooled over the client's queues.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from scipy.optimize import nnls

from services.forecaster.domain.engine.panel import EPSILON, Floats

compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)
KEPT = (0.5, 0.7, 0.8, 0.87, 0.92, 0.96, 0.98)
LONGEST_LAG = 24
NOISE = 0.03
CLIP, SURPRISE = 4.0, 3.0
SURGE = 0.5
PRIOR_DAYS = 10.0
LEAST_FACTOR = 0.1


@dataclasses.dataclass(frozen=True)
class Drift:
    """Variances of relative errors: of the day as a whole, of what fades, of noise beyond Poisson's; `kept`: the share of what
    fades that is left an interval later."""

    day: float = 0.01
    fading: float = 0.005
    kept: float = 0.87
    noise: float = 0.02


def learn_drift(mean: Floats, actual: Floats) -> Drift:
    """Learn the parts from past days (O, N, S) of forecasts made on the eve and of what came (NaN: not observed).

    By moments: the covariance of relative errors some intervals apart is day + fading · kept^lag; what is left at lag 0, less
    Poisson's share, is noise. Few days are pulled to the usual.
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
        parts, miss = nnls(np.stack([np.ones(len(lags) - 1), kept ** lags[1:]], 1) * root[:, None], covariance[1:] * root)
        fits.append((miss, kept, *parts))
    _, kept, day, fading = min(fits)
    poisson = (weight**2 * m).sum() / max(under[0], EPSILON)
    noise = max(float(covariance[0] - poisson - day - fading), 1e-4)
    trust = days / (days + PRIOR_DAYS)

    def pulled(own: float, prior: float) -> float:
        return float(trust * own + (1 - trust) * prior)

    return Drift(pulled(day, usual.day), pulled(fading, usual.fading), kept, pulled(noise, usual.noise))


def rest_of_day(mean: Floats, actual: Floats, drift: Drift) -> tuple[Floats, Floats]:
    """Return by what factor each slot of the day will differ from its morning forecast (N, S), and by what its spread narrows.

    mean (N, S): the morning's; actual (N, S): NaN where nothing is observed, or not yet: that says nothing. Slots are taken in
    order; a factor is a prediction from the slots observed before it, or from all of them where none comes after. What lies
    beyond three standard errors is cut to that, unless the slot before did too: then the day has left what was known of it.
    """
    factor, narrowed = np.ones(mean.shape), np.ones(mean.shape)
    _follow(mean, actual, drift.day, drift.fading, drift.kept, drift.noise, factor, narrowed)
    return factor, narrowed


def warm_up() -> None:
    """Compile, or load what was compiled before."""
    rest_of_day(np.ones((1, 1)), np.ones((1, 1)), Drift())


@compiled
def _follow(
    mean: Floats, actual: Floats, on_day: float, on_fading: float, kept: float, more: float, factor: Floats, narrowed: Floats
) -> None:
    """Fill in what `rest_of_day` returns; the variances and what is kept as `Drift` has them, `more` is its noise."""
    for n in range(mean.shape[0]):
        last = -1
        for slot in range(mean.shape[1]):
            if not np.isnan(actual[n, slot]):
                last = slot
        day = fading = shared = surprised = 0.0
        day_var, fading_var = on_day, on_fading
        for slot in range(mean.shape[1]):
            if slot:
                fading, shared = fading * kept, shared * kept
                fading_var = fading_var * kept**2 + on_fading * (1 - kept**2)
            m = max(mean[n, slot], EPSILON)
            noise = 1 / m + more
            spread = day_var + fading_var + 2 * shared
            factor[n, slot] = max(1 + day + fading, LEAST_FACTOR)
            narrowed[n, slot] = np.sqrt((spread + noise) / (on_day + on_fading + noise))
            if slot > last or np.isnan(actual[n, slot]) or mean[n, slot] <= EPSILON:
                continue
            limit = SURPRISE * np.sqrt(spread + noise)
            off = actual[n, slot] / m - 1 - day - fading
            surprise = np.sign(off) if abs(off) > limit else 0.0
            if surprise != 0 and surprise == surprised:  # one is chance; two on end the same way are a surge
                fading_var += SURGE * off**2
                spread = day_var + fading_var + 2 * shared
            else:
                off = min(max(off, -limit), limit)
            surprised = surprise
            gain = 1 / (spread + noise)
            of_day, of_fading = day_var + shared, fading_var + shared
            day, fading = day + gain * of_day * off, fading + gain * of_fading * off
            day_var, fading_var = day_var - gain * of_day**2, fading_var - gain * of_fading**2
            shared -= gain * of_day * of_fading
