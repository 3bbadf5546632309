"""What an accepted decision does to a shift: extend it, end it early, or serve another queue for a while."""

import dataclasses
import itertools
from collections.abc import Sequence

from services.scheduler.domain.shift import TIME_OFF, Segment, Shift


@dataclasses.dataclass(frozen=True)
class Change:
    """One candidate's part of a decision. lever: OVERTIME, VOLUNTARY_TIME_OFF or MOVE."""

    decision_id: str
    lever: str
    agent: str
    to_queue: str
    starts_at: int
    ends_at: int


def find_shift(shifts: Sequence[Shift], change: Change) -> Shift | None:
    """Return the shift that a change speaks of: the one it lies in, or touches for overtime."""
    for s in shifts:
        if change.lever == "OVERTIME":
            if change.starts_at == s.finishes or change.ends_at == s.begins:
                return s
        elif s.begins < change.ends_at and change.starts_at < s.finishes:
            return s
    return None


def amend(shift: Shift, change: Change, on_queue: str) -> Shift:
    """Return the shift as changed. `on_queue` is the activity code of serving."""
    if change.lever == "OVERTIME":
        extra = Segment(on_queue, change.to_queue, change.starts_at, change.ends_at, change.decision_id)
        after = change.starts_at == shift.finishes
        segments = (*shift.segments, extra) if after else (extra, *shift.segments)
        return dataclasses.replace(shift, segments=segments)
    parts: list[Segment] = []
    for s in shift.segments:
        parts += _split(s, change)
    if change.lever == "MOVE":
        inside = [_moved(s, change) if _inside(s, change) and s.queue else s for s in parts]
        return dataclasses.replace(shift, segments=tuple(inside))
    kept = [s for s in parts if not _inside(s, change)]
    off = Segment(TIME_OFF, "", change.starts_at, shift.finishes, change.decision_id)
    return dataclasses.replace(shift, segments=(*kept, off))


def _inside(segment: Segment, change: Change) -> bool:
    return change.starts_at <= segment.starts_at and segment.ends_at <= change.ends_at


def _moved(segment: Segment, change: Change) -> Segment:
    return dataclasses.replace(segment, queue=change.to_queue, decision_id=change.decision_id)


def _split(segment: Segment, change: Change) -> list[Segment]:
    """Return a segment cut where the change begins and ends."""
    cuts = [t for t in (change.starts_at, change.ends_at) if segment.starts_at < t < segment.ends_at]
    edges = [segment.starts_at, *cuts, segment.ends_at]
    return [dataclasses.replace(segment, starts_at=a, ends_at=b) for a, b in itertools.pairwise(edges) if a < b]
