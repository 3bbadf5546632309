"""What arrives about volume, read and checked."""

import dataclasses
import itertools
from typing import Any, NamedTuple

import numpy as np

from muster.domain.calendar import local_date
from services.forecaster.domain.engine.workload import product_band
from services.forecaster.domain.tally import Tally

# Of a day whose intervals tell how long they are: gaps between them, and the share of these that are alike.
FEWEST_GAPS, ALIKE = 3, 0.75

# A contact as told: (arrived_at, *the columns of domain.contacts).
ContactRow = tuple[int, int, int, int, int, int, int, int]


class ReportFact(NamedTuple):
    """One interval report: absolute sums; the highest revision of a span wins."""

    starts_at: int
    seconds: int
    revision: int
    tally: Tally
    known_at: int | None = None
    attribution: int = 0


class ReportColumns(NamedTuple):
    """Many interval reports of one revision that observe the same counts, checked, column by column.

    columns: by the name of a tally's count, all of the length of `starts`; within: answered within the one edge, if there is one.
    """

    starts: list[int]
    seconds: int
    revision: int
    columns: dict[str, list[int]]
    edges: tuple[int, ...] = ()
    within: tuple[int, ...] = ()
    known_at: tuple[int, ...] = ()
    attribution: int = 0

    def fact(self, row: int) -> ReportFact:
        """Return one of them."""
        counts: dict[str, Any] = {name: column[row] for name, column in self.columns.items()}
        if self.edges:
            counts |= {"edges": self.edges, "answered_waits": (self.within[row], counts["answered"] - self.within[row])}
        known = self.known_at[row] if self.known_at else None
        return ReportFact(self.starts[row], self.seconds, self.revision, Tally(**counts), known, self.attribution)


@dataclasses.dataclass(frozen=True, slots=True)
class Adjustment:
    """A correction of a locked interval: what to add to its counts, why, and by whom."""

    adjustment_id: str
    revision: int
    starts_at: int
    seconds: int
    offered: int | None
    answered: int | None
    abandoned: int | None
    handle_ms: int | None
    reason: str
    adjusted_by: str


class Observed(NamedTuple):
    """One message of volume."""

    queue: str
    feed: str
    official: bool
    contacts: tuple[ContactRow, ...] = ()
    reports: tuple[ReportFact, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    columns: ReportColumns | None = None

    @property
    def client(self) -> str:
        return self.queue.partition("/")[0]

    def starts(self) -> list[int]:
        """Return the instants it speaks of, at least one."""
        starts = [c[0] for c in self.contacts] + [r.starts_at for r in self.reports] + [a.starts_at for a in self.adjustments]
        return starts + self.columns.starts if self.columns else starts

    def row_by_row(self) -> "Observed":
        """Return the same with reports one by one."""
        if self.columns is None:
            return self
        rows = tuple(map(self.columns.fact, range(len(self.columns.starts))))
        return self._replace(reports=self.reports + rows, columns=None)


@dataclasses.dataclass(frozen=True)
class Progress:
    """Everything that arrived at the queues before `complete_through` has been told by the feed."""

    client: str
    feed: str
    queues: tuple[str, ...]
    complete_through: int


@dataclasses.dataclass(frozen=True)
class PublishedDay:
    """One local day of a queue's forecast as published, or merged with what was published before.

    Lists have one value an interval; quantiles are lists of seven. `versions` says which version each interval is of;
    `statistical` what was expected before overrides, empty where none touches the day; `parts` the factors of its total;
    workload_quantiles and work_total_quantiles: of contacts × AHT, hours of handling; drift: how such a day leaves its morning's
    forecast, as `Drift.flat` has it; lasting: what share of that later days keep.
    """

    queue: str
    local_date: str
    seconds: int
    starts: list[int]
    versions: list[int]
    offered: list[float]
    aht: list[float]
    offered_quantiles: list[list[float]]
    aht_quantiles: list[list[float]]
    trigger: str
    rests_on: str
    history_days: int
    dispersion: float
    data_watermark: int
    made_at: int
    version: int
    day_factor: float | None = None
    drift: tuple[float, ...] = ()
    parts: tuple[float, ...] = ()
    total_quantiles: list[float] = dataclasses.field(default_factory=list)
    statistical: list[float] = dataclasses.field(default_factory=list)
    statistical_aht: list[float] = dataclasses.field(default_factory=list)
    overrides: list[str] = dataclasses.field(default_factory=list)
    between_days: float = 0.0
    workload_quantiles: list[list[float]] = dataclasses.field(default_factory=list)
    work_total_quantiles: list[float] = dataclasses.field(default_factory=list)
    lasting: tuple[float, ...] = ()

    def workload_band(self) -> list[list[float]]:
        """Return quantiles of workload, hours; of a day of an earlier version, as if volume and AHT had nothing to do with each other."""
        if self.workload_quantiles or not self.starts:
            return self.workload_quantiles
        columns = (self.offered, self.offered_quantiles, self.aht, self.aht_quantiles)
        return [[round(q, 6) for q in row] for row in product_band(*(np.array(c) for c in columns)).tolist()]

    def before_overrides(self) -> tuple[list[float], list[float]]:
        """Return offered contacts and AHT as the statistics had them."""
        return self.statistical or self.offered, self.statistical_aht or self.aht


def merge_days(old: PublishedDay | None, new: PublishedDay) -> PublishedDay:
    """Return the day with the intervals that `new` carries replaced. Versions are per interval; a lower one never wins."""
    if old is None or new.trigger != "INTRADAY":
        return new
    columns = ("versions", "offered", "aht", "offered_quantiles", "aht_quantiles", "workload_quantiles")
    rows: dict[int, list[Any]] = {}
    for day in (old, new):
        values = [*(getattr(day, c) for c in columns[:-1]), day.workload_band(), *day.before_overrides()]
        for start, *row in zip(day.starts, *values, strict=True):
            if start not in rows or rows[start][0] < row[0]:
                rows[start] = row
    starts = sorted(rows)
    names = (*columns, "statistical", "statistical_aht") if old.statistical or new.statistical else columns
    merged: dict[str, Any] = {c: [rows[s][n] for s in starts] for n, c in enumerate(names)}
    words = list(dict.fromkeys([*old.overrides, *new.overrides]))
    return dataclasses.replace(new, starts=starts, overrides=words, **merged)


class Said(NamedTuple):
    """A forecast that others made, as it arrives: CLIENT or AGREED, over any intervals in order of time; aht may be empty."""

    queue: str
    source: str
    revision: int
    sent_by: str
    starts: list[int]
    offered: list[float]
    aht: list[float]

    def days(self, zone: str, received_at: int) -> list["Received"]:
        """Return it local day by local day."""
        places: dict[str, list[int]] = {}
        for place, start in enumerate(self.starts):
            places.setdefault(local_date(start, zone).isoformat(), []).append(place)
        found = []
        for day, of_day in sorted(places.items()):
            starts, offered = [self.starts[p] for p in of_day], [self.offered[p] for p in of_day]
            aht = [self.aht[p] for p in of_day] if self.aht else []
            found.append(Received(self.queue, day, self.source, self.revision, received_at, self.sent_by, starts, offered, aht))
        return found


@dataclasses.dataclass(frozen=True)
class Received:
    """A local day of a forecast that others made: CLIENT or AGREED. Lists have one value an interval; aht may be empty."""

    queue: str
    local_date: str
    source: str
    revision: int
    received_at: int
    sent_by: str
    starts: list[int]
    offered: list[float]
    aht: list[float]

    def spacing(self) -> int | None:
        """Return how far apart its intervals start, seconds: the least gap, if three in four are as long (breaks are longer); None: too
        few intervals to tell, or spaced in no one way."""
        gaps = [later - start for start, later in itertools.pairwise(self.starts)]
        least = min(gaps, default=0)
        return least if len(gaps) >= FEWEST_GAPS and gaps.count(least) >= ALIKE * len(gaps) else None


@dataclasses.dataclass(frozen=True)
class LockedDay:
    """The forecast of a local day that stood at its lock: ENGINE, CLIENT or AGREED; empty: none did. Lists have one value an interval.

    locked_at: the instant; since: the first interval that closed under a lock that may relieve the target, what started before it closed
    without one; None: none has.
    """

    queue: str
    local_date: str
    locked_at: int
    source: str = ""
    starts: list[int] = dataclasses.field(default_factory=list)
    offered: list[float] = dataclasses.field(default_factory=list)
    since: int | None = None

    def holds(self, start: int) -> bool:
        """Return whether an interval closed under the lock."""
        return self.since is not None and start >= self.since

    def count(self, start: int) -> float | None:
        """Return the contacts locked for an interval; None: the forecast says nothing of it."""
        return self.offered[self.starts.index(start)] if start in self.starts else None
