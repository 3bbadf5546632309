"""A panel: the day-by-slot history of a client's series on one grid of days, with the days to forecast."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

NORMAL, CLOSED_OR_PARTIAL, AFTER_CLOSURE = 0, 1, 2
EPSILON = 1e-9
SPIKE, OUTAGE = 4.0, 0.2
INCIDENT_DAYS, INCIDENT_CONTACTS = 4, 20.0
LEVEL_CHANGE_DAYS = 3
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
    (N, T, S); weeks_ago (T,); incidents (N, T): days left out because they stand out by far."""

    counted: Flags
    counts: Floats
    total: Floats
    weeks_ago: Floats
    incidents: Flags


def _usual(total: Floats, counted: Flags) -> tuple[Floats, Ints]:
    """Return the median of each day (N, W) and its four neighbours on either side, and of how many days it is."""
    around = np.arange(total.shape[1])[:, None] + np.arange(-INCIDENT_DAYS, INCIDENT_DAYS + 1)[None, :]
    inside = (around >= 0) & (around < total.shape[1])
    around = np.where(inside, around, 0)
    seen = counted[:, around] & inside[None]
    ordered = np.sort(np.where(seen, total[:, around], np.inf), axis=2)
    count = seen.sum(axis=2)
    middle = np.take_along_axis(ordered, np.maximum(count - 1, 0)[..., None] // 2, axis=2)[..., 0]
    return np.where(count > 0, middle, 0.0), count


def _in_runs(strange: Flags, counted: Flags) -> Flags:
    """Return which strange days (N, T) stand in a run of so many, days that don't count aside."""
    length, run = np.zeros(strange.shape, np.int64), np.zeros(len(strange), np.int64)
    for day in range(strange.shape[1]):
        run = np.where(strange[:, day], run + 1, np.where(counted[:, day], 0, run))
        length[:, day] = run
    most, held = np.zeros_like(length), np.zeros(len(strange), np.int64)
    for day in range(strange.shape[1] - 1, -1, -1):
        held = np.where(strange[:, day], np.maximum(held, length[:, day]), np.where(counted[:, day], 0, held))
        most[:, day] = held
    return strange & (most >= LEVEL_CHANGE_DAYS)


def _usual_by_weekday(total: Floats, counted: Flags, weekdays: Ints) -> tuple[Floats, Ints]:
    usual, around = np.zeros(counted.shape), np.zeros(counted.shape, np.int64)
    for day in range(7):
        own = np.flatnonzero(weekdays == day)
        if own.size:
            usual[:, own], around[:, own] = _usual(total[:, own], counted[:, own])
    return usual, around


def usual_totals(panel: "Panel", days: "Days") -> Floats:
    """Return what the same weekday's normal days around each past day brought, their median (N, T); 0 where there are none."""
    return _usual_by_weekday(days.total, days.counted, panel.weekdays()[: panel.past])[0]


def find_incidents(total: Floats, counted: Flags, weekdays: Ints) -> Flags:
    """Return the days (N, T) that brought many times, or a small part, of what their weekday's days around them did: spikes and
    outages.

    A campaign of twice or three times is no incident, and three such days on end are a new level. Quiet lines have no outages, and
    spikes beyond many times what is no longer quiet: below, chance does the same. Where a weekday is hardly known yet, weekdays may
    differ as far as a spike: what goes as far beyond that is one, measured against the days around it.
    """
    usual, around = _usual_by_weekday(total, counted, weekdays)
    known = counted & (around >= INCIDENT_DAYS) & (usual > 0)
    spikes = known & (total > SPIKE * np.maximum(usual, INCIDENT_CONTACTS))
    outages = known & (usual >= INCIDENT_CONTACTS) & (total < OUTAGE * usual)
    young = counted & (around < INCIDENT_DAYS)
    rows = np.flatnonzero(young.any(axis=1))
    if rows.size:
        usual, around = _usual(total[rows], counted[rows])
        far = SPIKE**2 * np.maximum(usual, INCIDENT_CONTACTS)
        spikes[rows] |= young[rows] & (around > INCIDENT_DAYS) & (usual > 0) & (total[rows] > far)
    found: Flags = (spikes & ~_in_runs(spikes, counted)) | (outages & ~_in_runs(outages, counted))
    return found


def days_of(panel: Panel) -> Days:
    """Sum up a panel's normal days."""
    past = panel.past
    observed = ~np.isnan(panel.offered)
    counted = (panel.special[:, :past] == NORMAL) & observed.any(axis=2)
    counts = np.where(observed, panel.offered, 0.0)
    told, left_out = counted.copy(), panel.ruled(LEFT_OUT)
    counted &= ~left_out
    incidents = find_incidents(counts.sum(axis=2), counted, panel.weekdays()[:past]) & ~panel.ruled(LEARNED)
    counted &= ~incidents
    incidents |= left_out & told
    counts *= counted[:, :, None]
    ordinals = panel.dates.astype("datetime64[D]").astype(np.int64)
    weeks_ago = (ordinals[past - 1] - ordinals[:past]) / 7.0 if past else np.zeros(0)
    return Days(counted, counts, counts.sum(axis=2), weeks_ago, incidents)
