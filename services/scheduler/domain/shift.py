"""A shift: its local intent, its zone, its resolved instants, and what the time is used for."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from muster.domain.calendar import TZDATA_VERSION, monday_of, parse_date, to_local

MINUTE_FORMAT = "%Y-%m-%dT%H:%M"
TIME_OFF = "voluntary-time-off"


@dataclasses.dataclass(frozen=True)
class Segment:
    """Part of a shift on one activity; `queue` on queue only; `decision_id` where a decision made it so."""

    activity: str
    queue: str
    starts_at: int
    ends_at: int
    decision_id: str = ""

    @property
    def seconds(self) -> int:
        return self.ends_at - self.starts_at


@dataclasses.dataclass(frozen=True)
class Shift:
    """One agent's shift. The local intent and `starts_at`, `ends_at` are the plan; overtime lies outside of it."""

    agent: str
    site: str
    zone: str
    local_start: str
    local_end: str
    starts_at: int
    ends_at: int
    segments: tuple[Segment, ...]
    tzdata_version: str = TZDATA_VERSION

    @property
    def local_date(self) -> dt.date:
        """Local date of the planned start."""
        return parse_date(self.local_start[:10])

    @property
    def week(self) -> str:
        """Monday of the planned start's week."""
        return monday_of(self.local_date).isoformat()

    @property
    def shift_id(self) -> str:
        return f"{self.agent}/{self.local_start}"

    @property
    def begins(self) -> int:
        """Instant at which it begins, overtime included."""
        return self.segments[0].starts_at

    @property
    def finishes(self) -> int:
        """Instant at which it finishes, overtime included."""
        return self.segments[-1].ends_at

    def worked(self) -> tuple[int, int]:
        """Return the instants between which the agent is there, overtime included, time off left out."""
        there = [s for s in self.segments if s.activity != TIME_OFF]
        return (there[0].starts_at, there[-1].ends_at) if there else (self.starts_at, self.starts_at)

    def is_overtime(self, segment: Segment) -> bool:
        """Return whether a segment lies outside the plan."""
        return segment.ends_at <= self.starts_at or segment.starts_at >= self.ends_at


def new_shift(agent: str, site: str, zone: str, start: int, end: int, segments: Iterable[Segment]) -> Shift:
    """Return a planned shift of resolved instants; the local intent is read off the zone."""
    local_start, local_end = (to_local(t, zone).strftime(MINUTE_FORMAT) for t in (start, end))
    return Shift(agent, site, zone, local_start, local_end, start, end, tuple(segments))


def to_body(shift: Shift) -> dict[str, Any]:
    """Return a shift as JSON-able data."""
    return dataclasses.asdict(shift)


def from_body(body: Mapping[str, Any]) -> Shift:
    """Return the shift of its data."""
    return Shift(**{**body, "segments": tuple(Segment(**s) for s in body["segments"])})


def by_week(shifts: Iterable[Shift]) -> dict[tuple[str, str], list[Shift]]:
    """Return shifts by (agent, week), in order of time."""
    weeks: dict[tuple[str, str], list[Shift]] = {}
    for shift in sorted(shifts, key=lambda s: (s.agent, s.starts_at)):
        weeks.setdefault((shift.agent, shift.week), []).append(shift)
    return weeks
