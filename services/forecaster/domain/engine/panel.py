"""A panel: the day-by-slot history of a client's series on one grid of days, with the days to forecast."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

NORMAL, CLOSED_OR_PARTIAL, AFTER_CLOSURE = 0, 1, 2
EPSILON = 1e-9


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
    """Day totals of a panel. counted (N, T): observed normal days; total (N, T), 0 elsewhere; counts (N, T, S); weeks_ago (T,)."""

    counted: Flags
    counts: Floats
    total: Floats
    weeks_ago: Floats


def days_of(panel: Panel) -> Days:
    """Sum up a panel's normal days."""
    past = panel.past
    observed = ~np.isnan(panel.offered)
    counted = (panel.special[:, :past] == NORMAL) & observed.any(axis=2)
    counts = np.where(observed, panel.offered, 0.0) * counted[:, :, None]
    ordinals = panel.dates.astype("datetime64[D]").astype(np.int64)
    weeks_ago = (ordinals[past - 1] - ordinals[:past]) / 7.0 if past else np.zeros(0)
    return Days(counted, counts, counts.sum(axis=2), weeks_ago)
