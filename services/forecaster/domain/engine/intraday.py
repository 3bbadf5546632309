"""Today, as it turns out: what closed intervals say of the rest of the day.

The share by which a day runs above its morning forecast is a level that holds all day plus a drift that fades, seen through the
noise of counts; a Kalman filter (1960) follows both, and what it expects of the rest is its prediction. How large each part
is, is learnt from how past days went against the forecasts that were made for them, and pooled over the client's queues.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
from scipy.optimize import nnls

from services.forecaster.domain.engine.panel import EPSILON, Flags, Floats, Ints

compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)
KEPT = (0.5, 0.7, 0.8, 0.87, 0.92, 0.96, 0.98)
LONGEST_LAG = 24
NOISE = 0.03
CLIP, SURPRISE, FAR = 4.0, 3.0, 2.0
SURGE = 0.5
PRIOR_DAYS, PRIOR_SURGES = 10.0, 2.0
LEAST_FACTOR, LEAST_NOISE = 0.1, 1e-4


@dataclasses.dataclass(frozen=True)
class Drift:
    """Variances of relative errors: of the day as a whole, of what fades, of noise beyond Poisson's; `kept`: the share of what
    fades that is left an interval later. surged: what share of a correction is believed once a day surged. noises (S,): noise slot by
    slot, since the edges of a day are their own; trust (S,): what share is believed before each slot of any other day. Where they are
    empty, noise is one and all is believed."""

    day: float = 0.01
    fading: float = 0.005
    kept: float = 0.87
    noise: float = 0.02
    surged: float = 1.0
    noises: tuple[float, ...] = ()
    trust: tuple[float, ...] = ()

    def at(self, slots: Ints) -> "Drift":
        """Return it for some of the day's slots."""
        if not self.noises:
            return self
        noises, trust = (tuple(np.array(row)[slots].tolist()) for row in (self.noises, self.trust))
        return dataclasses.replace(self, noises=noises, trust=trust)

    def flat(self) -> tuple[float, ...]:
        """Return it as numbers: the five, then noises, then trust."""
        slot_by_slot = (round(value, 5) for value in (*self.noises, *self.trust))
        return (self.day, self.fading, self.kept, self.noise, self.surged, *slot_by_slot)

    @classmethod
    def of_flat(cls, values: Sequence[float]) -> "Drift":
        """Return what `flat` gave, or the four that earlier versions stored."""
        half = (len(values) + 5) // 2
        return cls(*values[:5], noises=tuple(values[5:half]), trust=tuple(values[half:]))  # type: ignore[misc, arg-type]

    def rows(self, slots: int) -> tuple[Floats, Floats]:
        """Return noises and trust as arrays (S,); as where none are known, if they are of another day's slots."""
        if not len(self.noises) == len(self.trust) == slots:
            return np.full(slots, self.noise), np.ones(slots)
        return np.array(self.noises), np.array(self.trust)


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


def rest_of_day(mean: Floats, actual: Floats, drift: Drift) -> tuple[Floats, Floats]:
    """Return by what factor each slot of the day will differ from its morning forecast (N, S), and by what its spread narrows.

    mean (N, S): the morning's; actual (N, S): NaN where nothing is observed, or not yet: that says nothing. Slots are taken in
    order; a factor is a prediction from the slots observed before it, or from all of them where none comes after. What lies
    beyond three standard errors is cut to that, unless the slot before did too: then the day has left what was known of it. Then no
    slot to come is moved by more than two standard deviations of days, unless as many contacts were seen too many (or too few) in one;
    and a surge moves none by more contacts than were seen so, or than it would without the surge:
    ten calls more in the night don't make ten times the day.
    """
    noises, trust = drift.rows(mean.shape[1])
    calm, states = (states_before(mean, actual, drift, noises, surges) for surges in (False, True))
    factor, narrowed = np.ones(mean.shape), np.ones(mean.shape)
    said = calm.day + calm.fading, states.day + states.fading, states.spread, states.surged
    _believe(mean, actual, said, (drift.day + drift.fading, drift.surged), noises, trust, factor, narrowed)
    return factor, narrowed


@dataclasses.dataclass(frozen=True)
class _States:
    """What is known before each slot (R, S): by how much the day is off, and what fades, as shares; the variance of both; whether it
    surged."""

    day: Floats
    fading: Floats
    spread: Floats
    surged: Flags


def states_before(mean: Floats, actual: Floats, drift: Drift, noises: Floats, surges: bool = True) -> _States:
    """Return the states; surges: whether a day may leave what was known of it."""
    day, fading, spread = (np.zeros(mean.shape) for _ in range(3))
    found = _States(day, fading, spread, np.zeros(mean.shape, dtype=np.bool_))
    _follow(
        mean, actual, (drift.day, drift.fading, drift.kept), noises, found.day, found.fading, found.spread, found.surged, surges
    )
    return found


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


def warm_up() -> None:
    """Compile, or load what was compiled before."""
    rest_of_day(np.ones((1, 1)), np.ones((1, 1)), Drift())


@compiled
def _follow(
    mean: Floats,
    actual: Floats,
    drift: tuple[float, float, float],
    noises: Floats,
    day_at: Floats,
    fading_at: Floats,
    spread_at: Floats,
    surged_at: Flags,
    surges: bool,
) -> None:
    """Fill in the states (R, S) before each slot; drift: variances of the day and of what fades, and what is kept."""
    on_day, on_fading, kept = drift
    for n in range(mean.shape[0]):
        day = fading = shared = surprised = 0.0
        day_var, fading_var, surged = on_day, on_fading, False
        for slot in range(mean.shape[1]):
            if slot:
                fading, shared = fading * kept, shared * kept
                fading_var = fading_var * kept**2 + on_fading * (1 - kept**2)
            m = max(mean[n, slot], EPSILON)
            noise = 1 / m + noises[slot]
            spread = day_var + fading_var + 2 * shared
            day_at[n, slot], fading_at[n, slot], spread_at[n, slot], surged_at[n, slot] = day, fading, spread, surged
            if np.isnan(actual[n, slot]) or mean[n, slot] <= EPSILON:
                continue
            limit = SURPRISE * np.sqrt(spread + noise)
            off = actual[n, slot] / m - 1 - day - fading
            surprise = np.sign(off) if abs(off) > limit else 0.0
            if surges and surprise != 0 and surprise == surprised:  # one is chance; two on end the same way are a surge
                surged = True
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


@compiled
def _believe(
    mean: Floats,
    actual: Floats,
    said: tuple[Floats, Floats, Floats, Flags],
    drift: tuple[float, float],
    noises: Floats,
    trust: Floats,
    factor: Floats,
    narrowed: Floats,
) -> None:
    """Fill in factors and by what spreads narrow (R, S); said: by what share each slot is off, without and with surges, the variance of
    that, and whether the day surged; drift: the variance of shares of all days, and what of a surge is believed."""
    calm, states, spread, surged = said
    variance, of_surges = drift
    slots, usual = mean.shape[1], FAR * np.sqrt(variance)
    for n in range(mean.shape[0]):
        last, above, below = -1, 0.0, 0.0
        for slot in range(slots):
            if not np.isnan(actual[n, slot]):
                last = slot
        for slot in range(slots):
            m = max(mean[n, slot], EPSILON)
            believed, low, high = trust[min(slot, last + 1, slots - 1)], below / m, above / m
            move = min(max(believed * calm[n, slot], -max(usual, low)), max(usual, high))
            if surged[n, slot]:
                believed = of_surges
                move = min(max(believed * states[n, slot], min(move, -low)), max(move, high))
            factor[n, slot] = max(1 + move, LEAST_FACTOR)
            noise = 1 / m + noises[slot]
            left = (spread[n, slot] + noise) / (variance + noise)
            narrowed[n, slot] = np.sqrt(1 - believed**2 * (1 - left) if left < 1 else left)
            off = actual[n, slot] - mean[n, slot]
            if not np.isnan(off):
                above, below = max(above, off), max(below, -off)
