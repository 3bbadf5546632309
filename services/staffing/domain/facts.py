"""What arrives at staffing, read and checked."""

import dataclasses
from typing import Any

from services.staffing.domain.attainment import CellFacts
from services.staffing.domain.presence import PlannedShift


@dataclasses.dataclass(frozen=True)
class ForecastDay:
    """A queue's local day of forecast. Lists have one value an interval; `high` is the 90 % quantile of offered.

    total: the seven quantiles of the day's total, none: not said; between_days: the correlation of days' errors, 0 to 1.
    """

    queue: str
    local_date: str
    seconds: int
    starts: list[int]
    versions: list[int]
    offered: list[float]
    high: list[float]
    aht: list[float]
    watermark: int
    version: int
    whole: bool
    total: list[float] = dataclasses.field(default_factory=list)
    between_days: float = 0.0


def merge_forecast(old: ForecastDay | None, new: ForecastDay) -> ForecastDay:
    """Return the newer of two days; an intraday one (not whole) only replaces the intervals that it carries."""
    if old is None or (new.whole and new.version >= old.version):
        return new
    if new.whole:
        return old
    columns = ("starts", "versions", "offered", "high", "aht")
    rows = {row[0]: row for row in zip(*(getattr(old, c) for c in columns), strict=True)}
    for row in zip(*(getattr(new, c) for c in columns), strict=True):
        if row[0] not in rows or rows[row[0]][1] < row[1]:
            rows[row[0]] = row
    merged: dict[str, Any] = {
        c: list(v) for c, v in zip(columns, zip(*(rows[s] for s in sorted(rows)), strict=True), strict=False)
    }
    return dataclasses.replace(
        new,
        watermark=max(old.watermark, new.watermark),
        version=max(old.version, new.version),
        total=new.total or old.total,
        **merged,
    )


COLUMNS = (
    "starts",
    "load",
    "carried",
    "on_queue",
    "on_queue_safe",
    "scheduled",
    "paid",
    "service_level",
    "asa",
    "abandonment",
    "occupancy",
    "drivers",
    "blended",
)


@dataclasses.dataclass(frozen=True)
class RequirementDay:
    """A queue's local day of requirement. Lists have one value an interval; `load` is offered, `carried` is in service (none: not
    kept); `blended`: of deferred work, idle agents of calls that do it beside those on queue (none: no blend)."""

    queue: str
    local_date: str
    seconds: int
    starts: list[int]
    version: int
    forecast_version: int
    load: list[float]
    on_queue: list[float]
    on_queue_safe: list[float]
    scheduled: list[float]
    paid: list[float]
    service_level: list[float | None]
    asa: list[float]
    abandonment: list[float]
    occupancy: list[float]
    drivers: list[str]
    formula: str
    unplaced_shrinkage: float
    made_at: int
    watermark: int
    carried: list[float] = dataclasses.field(default_factory=list)
    blended: list[float] = dataclasses.field(default_factory=list)

    @property
    def idle(self) -> list[float]:
        """Idle agents of calls who help, 0 without a blend."""
        return self.blended or [0.0] * len(self.starts)

    def behind(self, before: "RequirementDay", begin: int) -> "RequirementDay":
        """Return the day with the intervals before an instant as an earlier version had them."""
        before, new = (dataclasses.replace(day, carried=day.carried or day.load, blended=day.idle) for day in (before, self))
        over = [i for i, start in enumerate(before.starts) if start < begin]
        rest = [i for i, start in enumerate(self.starts) if start >= begin]
        parts: dict[str, Any] = {c: [getattr(before, c)[i] for i in over] + [getattr(new, c)[i] for i in rest] for c in COLUMNS}
        if not any(parts["blended"]):
            parts["blended"] = []
        return dataclasses.replace(self, **parts)


@dataclasses.dataclass(frozen=True)
class ClosedCell:
    """An interval as closed."""

    queue: str
    starts_at: int
    seconds: int
    revision: int
    complete_through: int
    facts: CellFacts
    abandoned_wait_ms: int | None


@dataclasses.dataclass(frozen=True)
class SchedulePart:
    """Shifts of an agent's week in a version."""

    group: str
    version: int
    agent: str
    week: str
    shifts: tuple[PlannedShift, ...]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a version consists of, and the decisions it carries out."""

    group: str
    version: int
    parts: int
    decision_ids: tuple[str, ...]
    reason: str


@dataclasses.dataclass(frozen=True)
class AgentState:
    """What the floor shows of an agent."""

    agent: str
    site: str
    state: str
    queues: tuple[str, ...]
    since: int


@dataclasses.dataclass(frozen=True)
class FloorPicture:
    """A message from the floor. `snapshot_sites`: sites whose agents not in it are logged out."""

    agents: tuple[AgentState, ...]
    counts: tuple[tuple[str, int | None, int | None], ...]
    snapshot_sites: tuple[str, ...]
    observed_at: int


@dataclasses.dataclass(frozen=True)
class Attendance:
    """An absence as reported; the highest revision wins."""

    attendance_id: str
    revision: int
    agent: str
    kind: str
    starts_at: int
    ends_at: int | None
    retracted: bool
