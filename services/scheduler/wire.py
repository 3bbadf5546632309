"""Protobuf ⇄ the scheduler's domain. What can't be read is refused here, with its reason."""

import dataclasses
from collections.abc import Mapping, Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from muster.kit.codec import decode, encode
from muster.kit.outbox import Outgoing
from muster.v1 import attendance_pb2, book_pb2, decision_pb2, requirement_pb2, schedule_pb2
from services.scheduler.domain.amend import Change
from services.scheduler.domain.shift import Shift
from services.scheduler.domain.version import Version
from services.scheduler.errors import refuse

REQUIREMENT = "muster.requirement.published.v1"
DECISION = "muster.decision.issued.v1"
ATTENDANCE = "muster.attendance.reported.v1"
SCHEDULE = "muster.schedule.published.v1"


@dataclasses.dataclass(frozen=True)
class RequirementDay:
    """A queue's local day: agents to schedule, per interval."""

    queue: str
    local_date: str
    seconds: int
    starts: list[int]
    scheduled: list[float]
    version: int


@dataclasses.dataclass(frozen=True)
class DecisionStep:
    """A step of a decision: what it asks of the schedule once accepted."""

    decision_id: str
    group: str
    revision: int
    accepted: bool
    changes: tuple[Change, ...]
    reason: str


@dataclasses.dataclass(frozen=True)
class Attendance:
    """An absence; `counts` is False once taken back."""

    attendance_id: str
    revision: int
    agent: str
    starts_at: int
    ends_at: int
    counts: bool


def read_requirement(value: bytes | None, headers: Mapping[str, bytes]) -> RequirementDay:
    """Decode muster.requirement.published.v1. Raise Refusal."""
    day = decode(requirement_pb2.RequirementPublished, value, headers).day
    if not day.queue or not day.local_date:
        raise refuse("NO_QUEUE", "queue and local_date must be given")
    if len(day.scheduled_agents) != len(day.starts_at_epoch_seconds):
        raise refuse("INVALID_ARRAYS", f"{len(day.starts_at_epoch_seconds)} intervals, but columns of other lengths")
    starts = list(day.starts_at_epoch_seconds)
    return RequirementDay(day.queue, day.local_date, day.interval_seconds, starts, list(day.scheduled_agents), day.version)


def read_decision(value: bytes | None, headers: Mapping[str, bytes]) -> DecisionStep:
    """Decode muster.decision.issued.v1. Raise Refusal."""
    d = decode(decision_pb2.DecisionIssued, value, headers).decision
    if not d.decision_id or not d.staffing_group:
        raise refuse("NO_QUEUE", "decision_id and staffing_group must be given")
    lever = book_pb2.LeverKind.Name(d.lever).removeprefix("LEVER_KIND_") if d.lever in book_pb2.LeverKind.values() else ""
    changes = tuple(
        Change(d.decision_id, lever, c.agent, c.to_queue, c.starts_at.seconds, c.ends_at.seconds)
        for c in d.candidates
        if c.accepted
    )
    accepted = d.state == decision_pb2.DECISION_STATE_ACCEPTED
    return DecisionStep(d.decision_id, d.staffing_group, d.revision, accepted, changes, d.reason)


def read_attendance(value: bytes | None, headers: Mapping[str, bytes]) -> Attendance:
    """Decode muster.attendance.reported.v1. Raise Refusal."""
    m = decode(attendance_pb2.AttendanceReported, value, headers)
    if not m.attendance_id or not m.agent or m.starts_at.seconds <= 0:
        raise refuse("NO_AGENT", "attendance_id, agent and starts_at must be given")
    until = m.ends_at.seconds if m.HasField("ends_at") else m.starts_at.seconds + 86_400
    if until < m.starts_at.seconds:
        raise refuse("INVALID_SPAN", f"attendance {m.attendance_id} ends at {until}, before it starts at {m.starts_at.seconds}")
    counts = not m.retracted and m.kind != attendance_pb2.ATTENDANCE_KIND_RETURN
    return Attendance(m.attendance_id, m.revision, m.agent, m.starts_at.seconds, until, counts)


def shift_message(shift: Shift) -> schedule_pb2.Shift:
    """Return a shift on the wire."""
    message = schedule_pb2.Shift(
        shift_id=shift.shift_id,
        agent=shift.agent,
        site=shift.site,
        local_date=shift.local_date.isoformat(),
        zone=shift.zone,
        local_start=shift.local_start,
        local_end=shift.local_end,
        starts_at=Timestamp(seconds=shift.begins),
        ends_at=Timestamp(seconds=shift.finishes),
        tzdata_version=shift.tzdata_version,
    )
    for s in shift.segments:
        message.segments.add(
            activity=s.activity,
            queue=s.queue,
            starts_at=Timestamp(seconds=s.starts_at),
            ends_at=Timestamp(seconds=s.ends_at),
            decision_id=s.decision_id,
        )
    return message


def published(version: Version, weeks: Mapping[tuple[str, str], Sequence[Shift]], reason: str) -> list[Outgoing]:
    """Return the messages of a published version: agent-weeks, then the manifest."""
    messages = []
    for (agent, week), shifts in sorted(weeks.items()):
        part = schedule_pb2.AgentWeek(
            staffing_group=version.group,
            version=version.version,
            agent=agent,
            week=week,
            shifts=[shift_message(s) for s in shifts],
        )
        messages.append(schedule_pb2.SchedulePublished(agent_week=part))
    manifest = schedule_pb2.ScheduleManifest(
        staffing_group=version.group,
        version=version.version,
        base_version=version.base,
        agent_week_count=len(weeks),
        starts_at=Timestamp(seconds=version.starts_at),
        ends_at=Timestamp(seconds=version.ends_at),
        decision_ids=version.decision_ids,
        reason=reason,
        published_at=Timestamp(seconds=version.made_at),
        queues=version.queues,
    )
    messages.append(schedule_pb2.SchedulePublished(manifest=manifest))
    return [Outgoing(SCHEDULE, version.group, encode(m)) for m in messages]


def version_message(v: Version) -> schedule_pb2.Schedule:
    """Return a version, without its shifts, on the wire."""
    return schedule_pb2.Schedule(
        name=f"staffingGroups/{v.group}/schedules/{v.version}",
        staffing_group=v.group,
        version=v.version,
        state=schedule_pb2.ScheduleState.Value(f"SCHEDULE_STATE_{v.state}"),
        starts_at=Timestamp(seconds=v.starts_at),
        ends_at=Timestamp(seconds=v.ends_at),
        made_at=Timestamp(seconds=v.made_at),
        reason=v.reason,
        shift_count=v.shift_count,
        agent_count=v.agent_count,
        paid_hours=v.paid_hours,
        uncovered_hours=v.uncovered_hours,
        violation_count=v.violation_count,
        decision_ids=v.decision_ids,
        queues=v.queues,
    )
