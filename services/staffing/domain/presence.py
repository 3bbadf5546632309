"""Who will be on which queue: from the published schedule, less known absences, times how many usually turn up."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from services.staffing.domain.erlang import Floats

# Scheduled agents that the usual share counts as, against what the floor shows now.
PRIOR_AGENTS = 10.0


@dataclasses.dataclass(frozen=True)
class Segment:
    """Part of a shift; queue is empty off queue; decision_id is empty for the plan."""

    activity: str
    queue: str
    starts_at: int
    ends_at: int
    decision_id: str = ""


@dataclasses.dataclass(frozen=True)
class PlannedShift:
    """One agent's published shift."""

    agent: str
    site: str
    starts_at: int
    ends_at: int
    segments: tuple[Segment, ...]


@dataclasses.dataclass(frozen=True)
class Absence:
    """An agent who will not be there as scheduled."""

    agent: str
    starts_at: int
    ends_at: int


def is_absent(absences: Mapping[str, Sequence[Absence]], agent: str, begin: int, end: int) -> bool:
    """Return whether an agent is away during any of [begin, end)."""
    return any(a.starts_at < end and begin < a.ends_at for a in absences.get(agent, ()))


def on_queue(
    shifts: Iterable[PlannedShift],
    absences: Mapping[str, Sequence[Absence]],
    queues: Sequence[str],
    begin: int,
    count: int,
    seconds: int,
) -> dict[str, Floats]:
    """Return scheduled agents on each queue, per slot (count,), absent ones left out; parts of slots count in part."""
    spans: dict[str, list[tuple[int, int]]] = {queue: [] for queue in queues}
    for shift in shifts:
        away = sorted((a for a in absences.get(shift.agent, ()) if a.ends_at > a.starts_at), key=lambda a: a.starts_at)
        for segment in shift.segments:
            if segment.queue in spans:
                spans[segment.queue] += _there(segment, away)
    edges = begin + seconds * np.arange(count + 1)
    agents = {queue: np.zeros(count) for queue in queues}
    for queue, there in spans.items():
        if there:
            starts, ends = np.array(there).T[:, :, None]
            agents[queue] = np.diff(np.clip(edges, starts, ends), axis=1).sum(axis=0) / seconds
    return agents


def _there(segment: Segment, away: Sequence[Absence]) -> list[tuple[int, int]]:
    """Return the spans of a segment in which the agent is there; absences in order of their begin."""
    found, at = [], segment.starts_at
    for absence in away:
        if at < min(absence.starts_at, segment.ends_at):
            found.append((at, min(absence.starts_at, segment.ends_at)))
        at = max(at, absence.ends_at)
    return [*found, (at, segment.ends_at)] if at < segment.ends_at else found


def turnout(observed: float | None, scheduled: float, usual: float) -> float:
    """Return the share of scheduled agents that will be on queue: the usual share (1 − shrinkage), moved by what the
    floor shows now. Without a floor it is the usual share."""
    if observed is None:
        return usual
    return min((PRIOR_AGENTS * usual + observed) / (PRIOR_AGENTS + scheduled), 1.0)
