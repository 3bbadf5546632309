"""Outbound as reserved load: the agents that a campaign's contacts take within calling hours, level in each day.

A contact takes a geometric number of attempts, each `attempt` seconds of an agent, and then its handle time; what many contacts of a day
take together is normal (Cox, "Renewal Theory", 1962).
"""

import dataclasses
import math

import numpy as np
from scipy.stats import norm

from services.staffing.domain.erlang import Floats, Ints


@dataclasses.dataclass(frozen=True)
class Campaign:
    """What a day of a campaign is to bring.

    contacts: reached a day; connect_rate: share of attempts that reach someone; handle: AHT of a contact in seconds, variation: its
    coefficient of variation; attempt: seconds that an attempt takes its agent before the answer or instead of one; occupancy_cap: share
    of reserved time that may be worked; confidence: chance, of a day, that the contacts are reached in it.
    """

    contacts: float
    connect_rate: float
    handle: float
    attempt: float = 0.0
    variation: float = 1.0
    occupancy_cap: float = 0.9
    confidence: float = 0.5

    def __post_init__(self) -> None:
        if not (0 <= self.contacts < math.inf and 0 < self.connect_rate <= 1 and 0 < self.occupancy_cap <= 1):
            raise ValueError(
                f"contacts {self.contacts}, connect_rate {self.connect_rate}, occupancy_cap {self.occupancy_cap}; "
                "allowed: 0 or more, above 0 to 1, above 0 to 1"
            )
        if not (0 < self.handle < math.inf and 0 <= self.attempt < math.inf and 0 <= self.variation <= 3):
            raise ValueError(
                f"handle {self.handle}, attempt {self.attempt}, variation {self.variation}; allowed: above 0, 0 or more, 0 to 3"
            )
        if not 0.5 <= self.confidence < 1:
            raise ValueError(f"confidence is {self.confidence}; allowed: 0.5 to below 1")

    @property
    def attempts(self) -> float:
        """Expected attempts a day."""
        return self.contacts / self.connect_rate

    @property
    def each(self) -> float:
        """Agent seconds that a contact takes in mean, the attempts for it included."""
        return self.handle + self.attempt / self.connect_rate

    @property
    def deviation(self) -> float:
        """Standard deviation of the agent seconds that a day's contacts take."""
        spread = (self.variation * self.handle) ** 2 + self.attempt**2 * (1 - self.connect_rate) / self.connect_rate**2
        return math.sqrt(self.contacts * spread)

    @property
    def seconds(self) -> float:
        """Agent seconds a day that reach the contacts with the wanted chance, before the occupancy cap."""
        return self.contacts * self.each + float(norm.ppf(self.confidence)) * self.deviation

    def chance(self, seconds: float) -> float:
        """Return the chance that so many agent seconds of work reach the contacts."""
        spare = seconds - self.contacts * self.each
        return float(norm.cdf(spare / self.deviation)) if self.deviation > 0 else float(spare >= 0)


@dataclasses.dataclass(frozen=True)
class Reserved:
    """Arrays (I,): attempts an hour, Erlangs worked, agents reserved as real numbers and whole."""

    attempts: Floats
    erlangs: Floats
    real: Floats
    whole: Ints


def whole_days(real: Floats, day: Ints) -> Ints:
    """Return whole agents (I,) that at no time of a day fall behind real ones; what rounding up gains is carried over in the day."""
    whole = np.zeros(real.size, np.int64)
    for d in np.unique(day):
        rows = np.flatnonzero((day == d) & (real > 0))
        whole[rows] = np.diff(np.ceil(np.cumsum(real[rows]) - 1e-9), prepend=0.0)
    return whole


def reserve(campaign: Campaign, calls: np.ndarray, day: Ints, seconds: float) -> Reserved:
    """Return the agents that a campaign needs in intervals of `seconds`, level within each day; calls (I,) bool, day (I,) the day of each.

    Raise ValueError for a day without an interval to call in.
    """
    if calls.shape != day.shape or not seconds > 0:
        raise ValueError(f"calls {calls.shape}, day {day.shape}, seconds {seconds}; allowed: (I,) both, above 0")
    need, real = campaign.seconds / campaign.occupancy_cap / seconds, np.zeros(day.size)
    for d in np.unique(day):
        rows = np.flatnonzero((day == d) & calls)
        if not rows.size and need > 0:
            raise ValueError(f"day {d} has no interval to call in; allowed: service hours and windows that meet")
        real[rows] = need / max(rows.size, 1)
    worked = real * campaign.occupancy_cap
    return Reserved(worked * 3600 / campaign.each / campaign.connect_rate, worked, real, whole_days(real, day))
