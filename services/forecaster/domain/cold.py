"""A queue without history: what its declared profile says, how little that is, and what the first days change of it.

A profile errs in its weekly number and in its shape. How far a shape errs is read from how verticals differ from it in the hours that
are open (domain.verticals), not from any client's data, and a queue differs from its vertical as much again. An even spread besides
knows nothing of quiet hours: each interval may be one, with the share that verticals have of them; a day on which something came says
that it is none, days on which nothing came say that it is (Bayes). In the first two weeks either own days or the profile may be right,
so that their distance widens the band, too.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.stats import nbinom

from muster.domain.paths import QUANTILES
from services.forecaster.domain.verticals import VERTICALS, quiet_share, unknown

Floats = NDArray[np.float64]

# φ of a shape that another queue has; of a weekly number off by a quarter; of a weekday that was not seen yet.
MEASURED_SHAPE, DECLARED_NUMBER, UNSEEN_WEEKDAY = 0.3, 0.25**2, 0.3
LEAST, MOST_QUIET = 1e-4, 0.999


@dataclasses.dataclass(frozen=True)
class Profile:
    """shape (7, S): how contacts spread over a week, None: evenly; words: whose shape it is; measured: whether it is a queue's own."""

    shape: Floats | None = None
    words: str = "spread evenly"
    measured: bool = False

    def dispersion(self, seconds: int, opened: NDArray[np.bool_]) -> float:
        """Return φ of intervals: errors of number and shape multiply. opened (7, S)."""
        shape = np.ones(opened.shape) if self.shape is None else self.shape
        of_shape = MEASURED_SHAPE if self.measured else (1 + unknown(shape, seconds, opened)) ** 2 - 1
        return (1 + of_shape) * (1 + DECLARED_NUMBER) - 1

    def quiet(self, seconds: int, opened: NDArray[np.bool_]) -> float:
        """Return the probability that an open interval is a quiet one of which the profile says nothing."""
        return 1 - (1 - quiet_share(seconds, opened)) ** 2 if self.shape is None else 0.0


def vertical_profile(name: str, seconds: int) -> Profile:
    """Return the declared profile of an industry, by its name in VERTICALS."""
    return Profile(VERTICALS[name].shape(seconds), f"shaped as {name} (declared, not measured)")


def still_quiet(quiet: float, expected: Floats, dispersion: float, offered: Floats, weekdays: NDArray[np.int64]) -> Floats:
    """Return the probability (7, S) that a slot is a quiet one, given past days (T, S; NaN: not observed).

    expected (7, S): contacts declared. A weekday not seen yet may still be quiet as a whole.
    """
    busy = expected.mean(axis=0) / max(1 - quiet, LEAST)
    none = (1 + dispersion * busy) ** (-1 / max(dispersion, LEAST))  # of a negative binomial count
    seen = ~np.isnan(offered)
    came = np.where(seen, offered, 0.0).sum(axis=0) > 0
    if quiet == 0:
        return np.zeros(expected.shape)
    of_slot = np.where(came, 0.0, quiet / (quiet + (1 - quiet) * none ** seen.sum(axis=0)))
    known = np.array([seen[weekdays == day].any() for day in range(7)])
    found: Floats = np.where(known[:, None], of_slot[None, :], np.maximum(of_slot, quiet)[None, :])
    return found


@dataclasses.dataclass(frozen=True)
class Halves:
    """What own days and the declared profile expect of intervals: means (I,) and φ; trust: how far own days are believed, 0 to 1."""

    own: Floats
    own_dispersion: float
    declared: Floats
    declared_dispersion: float
    trust: float

    def mean(self) -> Floats:
        """Return the contacts expected (I,)."""
        return self.trust * self.own + (1 - self.trust) * self.declared

    def dispersion(self) -> Floats:
        """Return φ (I,) of a mixture: either the one is right or the other, so that their distance counts, too."""
        t, mean = self.trust, self.mean()
        squares = t * self.own**2 * (1 + self.own_dispersion) + (1 - t) * self.declared**2 * (1 + self.declared_dispersion)
        found: Floats = np.maximum(squares / np.maximum(mean, LEAST) ** 2 - 1, LEAST)
        return found


def counted_out(mean: Floats, dispersion: Floats, quiet: Floats) -> Floats:
    """Return quantiles (I, 7) of counts of means (I,) and φ (I,): none with a probability quiet (I,), else negative binomial."""
    chance = np.minimum(quiet, MOST_QUIET)
    busy, size = mean / (1 - chance), 1 / np.maximum((1 + dispersion) * (1 - chance) - 1, LEAST)
    level = (np.array(QUANTILES)[None, :] - chance[:, None]) / (1 - chance[:, None])
    found = nbinom.ppf(np.clip(level, 0.0, 1.0), size[:, None], (size / (size + busy))[:, None])
    return np.where((level > 0) & (mean[:, None] > 0), found, 0.0)
