"""Contacts of a simulated day: over-dispersed arrivals, lognormal handle times, patience that isn't exponential.

All randomness belongs to the contact, so that two floors with different agents meet the very same callers.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Demand:
    """What a queue's callers are like.

    rates: expected contacts per slot of `seconds` from `begin`, (I,); day_spread and slot_spread: standard deviations of
    the factors on the day and on each slot; handle: median seconds and sigma of the lognormal; patience: mean seconds of
    the patient, and the share of those who give up within seconds.
    """

    queue: str
    begin: int
    seconds: int
    rates: Floats
    day_spread: float
    slot_spread: float
    handle_median: float
    handle_sigma: float
    after_call_share: float
    patience_mean: float
    hasty_share: float


@dataclasses.dataclass(frozen=True)
class Caller:
    """One contact to come. Seconds; `arrives` and `due` since 1970, with parts of a second; due inf: it has no deadline.

    Of outbound, an attempt: `dialled` is what it takes before somebody answers, or nobody does (`reaches` false).
    """

    contact_id: str
    queue: str
    arrives: float
    patience: float
    talk: float
    after_call: float
    due: float = math.inf
    dialled: float = 0.0
    reaches: bool = True

    @property
    def own_seconds(self) -> float:
        """What it takes an agent who has nothing else."""
        return self.dialled + (self.talk + self.after_call if self.reaches else 0.0)


def expected_handle(demand: Demand) -> float:
    """Return the mean handle time, seconds, after-call work included."""
    return float(demand.handle_median * np.exp(demand.handle_sigma**2 / 2) * (1 + demand.after_call_share))


def factors(rng: np.random.Generator, spread: float, count: int) -> Floats:
    """Return gamma factors of mean 1 and the given standard deviation."""
    if spread <= 0:
        return np.ones(count)
    shape = 1.0 / spread**2
    return rng.gamma(shape, 1.0 / shape, count)


def draw_counts(demand: Demand, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return contacts per slot: Poisson around rates that a day factor and slot factors disturb."""
    day = factors(rng, demand.day_spread, 1)[0]
    counts: NDArray[np.int64] = rng.poisson(demand.rates * day * factors(rng, demand.slot_spread, demand.rates.size))
    return counts


def draw_talks(demand: Demand, size: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return seconds of talk, and of after-call work, of so many contacts."""
    talk = demand.handle_median * np.exp(demand.handle_sigma * rng.standard_normal(size))
    return talk, talk * demand.after_call_share * rng.uniform(0.5, 1.5, size)


def draw_callers(demand: Demand, rng: np.random.Generator) -> list[Caller]:
    """Return the day's callers in order of arrival."""
    counts = draw_counts(demand, rng)
    slot = np.repeat(np.arange(counts.size), counts)
    arrives = np.sort(demand.begin + (slot + rng.random(slot.size)) * demand.seconds)
    size = arrives.size
    talk, after = draw_talks(demand, size, rng)
    # Some give up within seconds of hearing the queue; the others' patience is Weibull with shape 1.4: it wears thin.
    patient = demand.patience_mean / 0.9114 * rng.weibull(1.4, size)
    hasty = rng.random(size) < demand.hasty_share
    patience = np.where(hasty, rng.uniform(2, 20, size), patient)
    return [
        Caller(
            f"{demand.queue}-{demand.begin}-{n}",
            demand.queue,
            float(arrives[n]),
            float(patience[n]),
            float(talk[n]),
            float(after[n]),
        )
        for n in range(size)
    ]


def merge(days: Sequence[list[Caller]]) -> list[Caller]:
    """Return several queues' callers in order of arrival."""
    return sorted((c for day in days for c in day), key=lambda c: (c.arrives, c.contact_id))
