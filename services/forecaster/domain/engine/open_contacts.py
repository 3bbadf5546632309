"""Contacts that are answered and not wrapped up yet: the long ones, mostly, so that AHT without them is too low.

Each is counted with the handle time it will have had, given that it lasts already: the mean of a lognormal beyond its age (handle times
are lognormal about: Brown et al., 2005, sec. 4.3), of the queue's usual mean and variation; the first step of EM for censored data
(Dempster, Laird & Rubin, 1977). What lasts far beyond any contact is one whose end was never told, and says nothing.
"""

import math

from scipy.stats import norm

# Of contacts that are wrapped up at all, fewer than this are so late.
LOST = 0.001


def expected_if_open(age: float, mean: float, variation: float) -> float | None:
    """Return seconds that a contact lasts in the end which has lasted for `age`; mean: of all, seconds; variation: the squared coefficient
    of variation. None where it must have been lost."""
    if age <= 0:
        return mean
    sigma = math.sqrt(math.log1p(variation))
    place = (math.log(age / mean) + sigma**2 / 2) / sigma
    beyond = float(norm.sf(place))
    if beyond < LOST:
        return None
    return mean * float(norm.sf(place - sigma)) / beyond
