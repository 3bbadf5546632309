"""Today, as it turns out: what closed intervals say of the rest of the day.

The share by which a day runs above its morning forecast is a level that holds all day plus a drift that fades, seen through the
noise of counts; a Kalman filter (1960) follows both, and what it expects of the rest is its prediction. How large each part is, is
learnt (`drift`).
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np

from services.forecaster.domain.engine.panel import EPSILON, Flags, Floats, Ints

compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)
NOISE = 0.03
CLIP, SURPRISE, FAR = 4.0, 3.0, 2.0
SURGE = 0.5
PRIOR_DAYS = 10.0
LEAST_FACTOR = 0.1


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


def after_midnight(mean: Floats, actual: Floats, drift: Drift, steps: Floats | None, passed: Floats) -> Floats:
    """Return by what factor intervals of the next days (N, I) differ from their forecast, so many intervals after the end of days (N, S): what
    faded there goes on fading.

    passed (I,). No faster than it usually does: what lasts is the next fit's to know, which saw the whole day. No more than two standard
    deviations of days, and no surge of their last hour: see `rest_of_day`.
    """
    most = FAR * np.sqrt(drift.day + drift.fading)
    left = np.clip(states_through(mean, actual, drift, False, steps).fading[:, -1], -most, most)
    factors: Floats = np.maximum(1 + left[:, None] * min(drift.kept, Drift.kept) ** passed, LEAST_FACTOR)
    return factors


def rest_of_day(mean: Floats, actual: Floats, drift: Drift, steps: Floats | None = None) -> tuple[Floats, Floats]:
    """Return by what factor each slot of the day will differ from its morning forecast (N, S), and by what its spread narrows.

    mean (N, S): the morning's; actual (N, S): NaN where nothing is observed, or not yet: that says nothing. Slots are taken in
    order; a factor is a prediction from the slots observed before it, or from all of them where none comes after. What lies
    beyond three standard errors is cut to that, unless the slot before did too: then the day has left what was known of it. Then no
    slot to come is moved by more than two standard deviations of days, unless as many contacts were seen too many (or too few) in one;
    and a surge moves none by more contacts than were seen so, or than it would without the surge:
    ten calls more in the night don't make ten times the day. steps: see `states_before`.
    """
    noises, trust = drift.rows(mean.shape[1])
    calm, states = (states_before(mean, actual, drift, noises, surges, steps) for surges in (False, True))
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


def states_through(
    mean: Floats,
    actual: Floats,
    drift: Drift,
    surges: bool,
    steps: Floats | None = None,
) -> _States:
    """Return the states of days (R, S) before each slot, and after the last (R, S + 1); see `states_before`."""
    noises, _ = drift.rows(mean.shape[1])
    longer = np.pad(mean, ((0, 0), (0, 1))), np.pad(actual, ((0, 0), (0, 1)), constant_values=np.nan)
    further = None if steps is None else np.append(steps, 1.0)
    return states_before(*longer, drift, np.append(noises, noises[-1]), surges, further)


def states_before(
    mean: Floats,
    actual: Floats,
    drift: Drift,
    noises: Floats,
    surges: bool = True,
    steps: Floats | None = None,
) -> _States:
    """Return the states. surges: whether a day may leave what was known of it;
    steps (S,): how many intervals after the one before each slot begins, 1 but for the first after a break: what fades, fades in it, too."""
    day, fading, spread = (np.zeros(mean.shape) for _ in range(3))
    found = _States(day, fading, spread, np.zeros(mean.shape, dtype=np.bool_))
    _follow(
        mean,
        actual,
        (drift.day, drift.fading, drift.kept),
        noises,
        np.ones(mean.shape[1]) if steps is None else steps,
        found.day,
        found.fading,
        found.spread,
        found.surged,
        surges,
    )
    return found


def warm_up() -> None:
    """Compile, or load what was compiled before."""
    rest_of_day(np.ones((1, 1)), np.ones((1, 1)), Drift())


@compiled
def _follow(
    mean: Floats,
    actual: Floats,
    drift: tuple[float, float, float],
    noises: Floats,
    steps: Floats,
    day_at: Floats,
    fading_at: Floats,
    spread_at: Floats,
    surged_at: Flags,
    surges: bool,
) -> None:
    """Fill in the states (R, S) before each slot; drift: variances of the day and of what fades, and what is kept; steps (S,):
    intervals since the slot before."""
    on_day, on_fading, kept = drift
    for n in range(mean.shape[0]):
        day = fading = shared = surprised = 0.0
        day_var, fading_var, surged = on_day, on_fading, False
        for slot in range(mean.shape[1]):
            if slot:
                left = kept ** steps[slot]
                fading, shared = fading * left, shared * left
                fading_var = fading_var * left**2 + on_fading * (1 - left**2)
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
