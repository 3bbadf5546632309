"""A panel: the day-by-slot history of a client's series on one grid of days, with the days to forecast."""

import dataclasses
import warnings

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

NORMAL, CLOSED_OR_PARTIAL, AFTER_CLOSURE = 0, 1, 2
EPSILON = 1e-9
SPIKE, OUTAGE = 4.0, 0.2
INCIDENT_DAYS, INCIDENT_CONTACTS = 4, 20.0


@dataclasses.dataclass(frozen=True)
class Panel:
    """N series over T days of history and H days to come, S slots a day.

    offered (N, T, S): contacts, NaN where closed or not observed. dates (T + H,): the grid's days, ascending; days on which
    all are closed may be left out. special (N, T + H): NORMAL, CLOSED_OR_PARTIAL (no normal day) or AFTER_CLOSURE.
    """

    offered: Floats
    dates: NDArray[np.datetime64]
    special: Ints

    @property
    def series(self) -> int:
        return int(self.offered.shape[0])

    @property
    def past(self) -> int:
        """T, the days of history."""
        return int(self.offered.shape[1])

    @property
    def slots(self) -> int:
        return int(self.offered.shape[2])

    @property
    def ahead(self) -> int:
        """H, the days to forecast."""
        return len(self.dates) - self.past

    def weekdays(self) -> Ints:
        """Return each day's weekday, 0 Monday."""
        return (self.dates.astype("datetime64[D]").astype(np.int64) + 3) % 7

    def week(self) -> int:
        """Return how many days of the grid make up a week."""
        return max(len(np.unique(self.weekdays()[-(self.ahead + 14) :])), 1)

    def until(self, day: int, ahead: int) -> "Panel":
        """Return the panel as it was before a day of its history, with so many days to come."""
        end = min(day + ahead, len(self.dates))
        return Panel(self.offered[:, :day], self.dates[:end], self.special[:, :end])

    def of(self, rows: slice) -> "Panel":
        """Return some of the series."""
        return Panel(self.offered[rows], self.dates, self.special[rows])


@dataclasses.dataclass(frozen=True)
class Days:
    """Day totals of a panel. counted (N, T): observed normal days without incidents; total (N, T), 0 elsewhere; counts
    (N, T, S); weeks_ago (T,); incidents (N, T): days left out because they stand out by far."""

    counted: Flags
    counts: Floats
    total: Floats
    weeks_ago: Floats
    incidents: Flags


def find_incidents(total: Floats, counted: Flags, weekdays: Ints) -> Flags:
    """Return the days (N, T) that brought many times, or a small part, of what their weekday's median did: spikes and outages.

    A campaign of twice or three times is no incident. Quiet lines have none: there, chance does the same.
    """
    found = np.zeros(counted.shape, dtype=bool)
    for day in range(7):
        own = np.flatnonzero(weekdays == day)
        if own.size < INCIDENT_DAYS:
            continue
        seen = counted[:, own]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a weekday never seen open: no median, no incident
            usual = np.nanmedian(np.where(seen, total[:, own], np.nan), axis=1)[:, None]
        strange = (total[:, own] > SPIKE * usual) | (total[:, own] < OUTAGE * usual)
        found[:, own] = seen & strange & (usual >= INCIDENT_CONTACTS) & (seen.sum(axis=1) >= INCIDENT_DAYS)[:, None]
    return found


def days_of(panel: Panel) -> Days:
    """Sum up a panel's normal days."""
    past = panel.past
    observed = ~np.isnan(panel.offered)
    counted = (panel.special[:, :past] == NORMAL) & observed.any(axis=2)
    counts = np.where(observed, panel.offered, 0.0)
    incidents = find_incidents(counts.sum(axis=2), counted, panel.weekdays()[:past])
    counted &= ~incidents
    counts *= counted[:, :, None]
    ordinals = panel.dates.astype("datetime64[D]").astype(np.int64)
    weeks_ago = (ordinals[past - 1] - ordinals[:past]) / 7.0 if past else np.zeros(0)
    return Days(counted, counts, counts.sum(axis=2), weeks_ago, incidents)
