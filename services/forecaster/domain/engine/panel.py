"""A panel: the day-by-slot history of a client's series on one grid of days, with the days to forecast."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from services.forecaster.domain.engine.incidents import fill_hours, find_incidents, usual_by_weekday

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

NORMAL, CLOSED_OR_PARTIAL, AFTER_CLOSURE = 0, 1, 2
EPSILON = 1e-9
RULED_NOTHING, LEARNED, LEFT_OUT = 0, 1, 2


@dataclasses.dataclass(frozen=True)
class Panel:
    """N series over T days of history and H days to come, S slots a day.

    offered (N, T, S): contacts, NaN where closed or not observed. dates (T + H,): the grid's days, ascending; days on which
    all are closed may be left out. special (N, T + H): NORMAL, CLOSED_OR_PARTIAL (no normal day) or AFTER_CLOSURE. rulings
    (N, T + H): what people say of days: RULED_NOTHING, LEARNED (no incident, whatever it looks like) or LEFT_OUT.
    """

    offered: Floats
    dates: NDArray[np.datetime64]
    special: Ints
    rulings: Ints | None = None

    def ruled(self, ruling: int) -> Flags:
        """Return of which past days (N, T) people say so."""
        if self.rulings is None:
            return np.zeros(self.offered.shape[:2], dtype=bool)
        said: Flags = self.rulings[:, : self.past] == ruling
        return said

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
        rulings = None if self.rulings is None else self.rulings[:, :end]
        return Panel(self.offered[:, :day], self.dates[:end], self.special[:, :end], rulings)


@dataclasses.dataclass(frozen=True)
class Days:
    """Day totals of a panel. counted (N, T): observed normal days without incidents; total (N, T), 0 elsewhere; counts
    (N, T, S); weeks_ago (T,); incidents (N, T): days left out because they stand out by far; hours (N, T, S): slots of counted days
    that do, whose counts are those that the rest of the day lets expect."""

    counted: Flags
    counts: Floats
    total: Floats
    weeks_ago: Floats
    incidents: Flags
    hours: Flags


def usual_totals(panel: "Panel", days: "Days") -> Floats:
    """Return what the same weekday's normal days around each past day brought, their median (N, T); 0 where there are none."""
    return usual_by_weekday(days.total, days.counted, panel.weekdays()[: panel.past])[0]


def days_of(panel: Panel) -> Days:
    """Sum up a panel's normal days."""
    past = panel.past
    observed = ~np.isnan(panel.offered)
    counted = (panel.special[:, :past] == NORMAL) & observed.any(axis=2)
    counts = np.where(observed, panel.offered, 0.0)
    told, left_out, learned = counted.copy(), panel.ruled(LEFT_OUT), panel.ruled(LEARNED)
    weekdays = panel.weekdays()[:past]
    counted &= ~left_out
    incidents = find_incidents(counts.sum(axis=2), counted, weekdays) & ~learned
    counted &= ~incidents
    counts *= counted[:, :, None]
    hours, mostly = fill_hours(counts, observed & counted[:, :, None], weekdays, learned)
    counted &= ~mostly
    counts *= counted[:, :, None]
    incidents |= mostly | (left_out & told)
    ordinals = panel.dates.astype("datetime64[D]").astype(np.int64)
    weeks_ago = (ordinals[past - 1] - ordinals[:past]) / 7.0 if past else np.zeros(0)
    return Days(counted, counts, counts.sum(axis=2), weeks_ago, incidents, hours)
