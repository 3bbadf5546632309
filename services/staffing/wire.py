"""Protobuf ⇄ staffing's domain. What can't be read is refused here, with its reason."""

from collections.abc import Mapping

from google.protobuf.timestamp_pb2 import Timestamp
from google.type import money_pb2

from muster.domain.money import Money
from muster.domain.quantities import whole_agents
from muster.kit.codec import decode, encode
from muster.kit.outbox import Outgoing
from muster.v1 import attendance_pb2, book_pb2, decision_pb2, floor_pb2, forecast_pb2, requirement_pb2, schedule_pb2, volume_pb2
from services.staffing.domain.attainment import CellFacts
from services.staffing.domain.facts import (
    AgentState,
    Attendance,
    ClosedCell,
    FloorPicture,
    ForecastDay,
    Manifest,
    RequirementDay,
    SchedulePart,
)
from services.staffing.domain.presence import PlannedShift, Segment
from services.staffing.domain.record import DecisionRecord, Evidence
from services.staffing.errors import refuse

FORECAST = "muster.forecast.published.v1"
CLOSED = "muster.volume.closed.v1"
REQUIREMENT = "muster.requirement.published.v1"
SCHEDULE = "muster.schedule.published.v1"
FLOOR = "muster.floor.observed.v1"
ATTENDANCE = "muster.attendance.reported.v1"
DECISION = "muster.decision.issued.v1"
HIGH = 0.9


def read_forecast(value: bytes | None, headers: Mapping[str, bytes]) -> ForecastDay:
    """Decode muster.forecast.published.v1. Raise Refusal."""
    day = decode(forecast_pb2.ForecastPublished, value, headers).day
    size, levels = len(day.starts_at_epoch_seconds), list(day.quantile_levels)
    if not day.queue or not day.local_date:
        raise refuse("NO_QUEUE", "queue and local_date must be given")
    width = len(levels)
    if len(day.offered_count) != size or len(day.aht_seconds) != size or len(day.offered_quantiles) != size * width:
        raise refuse("INVALID_ARRAYS", f"{size} intervals, but columns of other lengths")
    place = min(range(width), key=lambda i: abs(levels[i] - HIGH)) if width else 0
    high = [day.offered_quantiles[i * width + place] for i in range(size)] if width else list(day.offered_count)
    return ForecastDay(
        day.queue,
        day.local_date,
        day.interval_seconds,
        list(day.starts_at_epoch_seconds),
        [day.version] * size,
        list(day.offered_count),
        high,
        list(day.aht_seconds),
        day.data_watermark.seconds,
        day.version,
        day.trigger != forecast_pb2.FORECAST_TRIGGER_INTRADAY,
        list(day.day_total_quantiles),
        day.between_days_correlation,
    )


def read_closed(value: bytes | None, headers: Mapping[str, bytes]) -> ClosedCell:
    """Decode muster.volume.closed.v1. Raise Refusal."""
    message = decode(volume_pb2.VolumeClosed, value, headers)
    cell = message.cell
    if not cell.queue or cell.starts_at.seconds <= 0:
        raise refuse("NO_QUEUE", "queue and starts_at must be given")

    def count(name: str) -> int | None:
        return int(getattr(cell, name)) if cell.HasField(name) else None  # type: ignore[arg-type]

    facts = CellFacts(
        count("offered_count"),
        count("answered_count"),
        count("abandoned_count"),
        count("answered_wait_milliseconds_sum"),
        tuple(cell.wait_edges_milliseconds),
        tuple(cell.answered_waits),
        tuple(cell.abandoned_waits),
        count("open_count"),
        message.locked_count if message.HasField("locked_count") else None,
    )
    return ClosedCell(
        cell.queue,
        cell.starts_at.seconds,
        cell.interval_seconds,
        cell.revision,
        cell.complete_through.seconds,
        facts,
        count("abandoned_wait_milliseconds_sum"),
    )


def read_schedule(value: bytes | None, headers: Mapping[str, bytes]) -> SchedulePart | Manifest:
    """Decode muster.schedule.published.v1. Raise Refusal."""
    message = decode(schedule_pb2.SchedulePublished, value, headers)
    if message.WhichOneof("part") == "manifest":
        m = message.manifest
        return Manifest(m.staffing_group, m.version, m.agent_week_count, tuple(m.decision_ids), m.reason)
    week = message.agent_week
    if not week.agent or not week.staffing_group:
        raise refuse("NO_AGENT", "staffing_group and agent must be given")
    return SchedulePart(week.staffing_group, week.version, week.agent, week.week, tuple(_shift(s) for s in week.shifts))


def _shift(s: schedule_pb2.Shift) -> PlannedShift:
    segments = tuple(Segment(g.activity, g.queue, g.starts_at.seconds, g.ends_at.seconds, g.decision_id) for g in s.segments)
    return PlannedShift(s.agent, s.site, s.starts_at.seconds, s.ends_at.seconds, segments)


def read_floor(value: bytes | None, headers: Mapping[str, bytes]) -> FloorPicture:
    """Decode muster.floor.observed.v1. Raise Refusal."""
    message = decode(floor_pb2.FloorObserved, value, headers)
    if message.observed_at.seconds <= 0:
        raise refuse("NO_INSTANT", "observed_at must be given")
    agents = []
    for a in message.agents:
        if not a.agent or a.since.seconds <= 0:
            raise refuse("NO_AGENT", f"agent and since must be given, got {a.agent!r}")
        if a.state not in floor_pb2.AgentState.values() or not a.state:
            raise refuse("INVALID_STATE", f"state of {a.agent} is {a.state}")
        state = floor_pb2.AgentState.Name(a.state).removeprefix("AGENT_STATE_")
        agents.append(AgentState(a.agent, a.site, state, tuple(a.queues), a.since.seconds))
    counts = []
    for q in message.queues:
        on_queue = q.on_queue_agents if q.HasField("on_queue_agents") else None
        counts.append((q.queue, on_queue, q.logged_in_agents if q.HasField("logged_in_agents") else None))
    sites = tuple(message.snapshot_sites) if message.snapshot_id else ()
    return FloorPicture(tuple(agents), tuple(counts), sites, message.observed_at.seconds)


def read_attendance(value: bytes | None, headers: Mapping[str, bytes]) -> Attendance:
    """Decode muster.attendance.reported.v1. Raise Refusal."""
    m = decode(attendance_pb2.AttendanceReported, value, headers)
    if not m.attendance_id or not m.agent:
        raise refuse("NO_AGENT", "attendance_id and agent must be given")
    if m.starts_at.seconds <= 0:
        raise refuse("NO_INSTANT", f"attendance {m.attendance_id} has no starts_at")
    if m.kind not in attendance_pb2.AttendanceKind.values() or not m.kind:
        raise refuse("INVALID_STATE", f"kind of {m.attendance_id} is {m.kind}")
    kind = attendance_pb2.AttendanceKind.Name(m.kind).removeprefix("ATTENDANCE_KIND_")
    until = m.ends_at.seconds if m.HasField("ends_at") else None
    if until is not None and until < m.starts_at.seconds:
        raise refuse("INVALID_SPAN", f"attendance {m.attendance_id} ends at {until}, before it starts at {m.starts_at.seconds}")
    return Attendance(m.attendance_id, m.revision, m.agent, kind, m.starts_at.seconds, until, m.retracted)


def requirement_message(day: RequirementDay) -> requirement_pb2.RequirementDay:
    """Return a requirement day on the wire."""
    drivers = [requirement_pb2.RequirementDriver.Value(f"REQUIREMENT_DRIVER_{d}") for d in day.drivers]
    return requirement_pb2.RequirementDay(
        queue=day.queue,
        local_date=day.local_date,
        interval_seconds=day.seconds,
        starts_at_epoch_seconds=day.starts,
        version=day.version,
        forecast_version=day.forecast_version,
        load_erlangs=day.load,
        on_queue_agents=day.on_queue,
        scheduled_agents=day.scheduled,
        paid_agents=day.paid,
        on_queue_agents_rounded=[whole_agents(a) for a in day.on_queue],
        scheduled_agents_rounded=[whole_agents(a) for a in day.scheduled],
        paid_agents_rounded=[whole_agents(a) for a in day.paid],
        predicted_service_level=[-1.0 if s is None else s for s in day.service_level],
        predicted_asa_seconds=day.asa,
        predicted_abandonment=day.abandonment,
        predicted_occupancy=day.occupancy,
        drivers=drivers,
        formula=day.formula,
        unplaced_shrinkage=day.unplaced_shrinkage,
        made_at=Timestamp(seconds=day.made_at),
        data_watermark=Timestamp(seconds=day.watermark),
        carried_erlangs=day.carried,
        blended_agents=day.blended,
    )


def requirement_published(day: RequirementDay) -> Outgoing:
    """Return the message that publishes a requirement day."""
    return Outgoing(REQUIREMENT, day.queue, encode(requirement_pb2.RequirementPublished(day=requirement_message(day))))


def decision_message(record: DecisionRecord, position: int = 0) -> decision_pb2.Decision:
    """Return a decision on the wire."""
    p = record.proposal
    units, nanos = Money(p.cost, record.currency).to_units()
    lever = book_pb2.LeverKind.Value(f"LEVER_KIND_{p.lever}") if p.lever else book_pb2.LEVER_KIND_UNSPECIFIED
    message = decision_pb2.Decision(
        name=f"staffingGroups/{record.group}/decisions/{record.decision_id}",
        decision_id=record.decision_id,
        staffing_group=record.group,
        kind=decision_pb2.DecisionKind.Value(f"DECISION_KIND_{p.kind}"),
        lever=lever,
        agent_count=p.count,
        decide_at=Timestamp(seconds=record.decide_at),
        effective_at=Timestamp(seconds=p.effective_at),
        effective_until=Timestamp(seconds=p.effective_until),
        expires_at=Timestamp(seconds=record.expires_at),
        cost=money_pb2.Money(currency_code=record.currency, units=units, nanos=nanos),
        reason=p.reason,
        reason_code=p.reason_code,
        autonomy=book_pb2.AutonomyLevel.Value(f"AUTONOMY_LEVEL_{record.autonomy}"),
        state=decision_pb2.DecisionState.Value(f"DECISION_STATE_{record.state}"),
        state_reason=record.state_reason,
        revision=record.revision,
        position=position,
        schedule_version=record.schedule_version,
        clients=record.clients,
    )
    for leg in p.legs:
        message.legs.add(
            queue=leg.queue,
            agents=leg.agents,
            service_level_before=leg.before,
            service_level_after=leg.after,
            required_agents=leg.required,
            expected_agents=leg.expected,
        )
    for n in p.candidates:
        message.candidates.add(
            agent=n.agent,
            from_queue=n.from_queue,
            to_queue=n.to_queue,
            starts_at=Timestamp(seconds=n.starts_at),
            ends_at=Timestamp(seconds=n.ends_at),
            why=n.why,
            accepted=None if record.accepted is None else n.agent in record.accepted,
        )
    _fill_evidence(message.evidence, record.evidence)
    return message


def _fill_evidence(evidence: decision_pb2.Evidence, e: Evidence) -> None:
    evidence.forecast_versions.extend(e.forecast_versions)
    evidence.requirement_versions.extend(e.requirement_versions)
    evidence.schedule_version = e.schedule_version
    evidence.queues.extend(e.queues)
    evidence.complete_through.extend(Timestamp(seconds=t) for t in e.complete_through)
    evidence.presence = e.presence
    evidence.absent_agents = e.absent_agents
    evidence.inputs_hash = e.inputs_hash
    if e.floor_watermark:
        evidence.floor_watermark.seconds = e.floor_watermark


def decision_issued(record: DecisionRecord) -> Outgoing:
    """Return the message of one step of a decision's life."""
    return Outgoing(DECISION, record.group, encode(decision_pb2.DecisionIssued(decision=decision_message(record))))


def read_issued(value: bytes, position: int) -> decision_pb2.Decision:
    """Return the decision of a published step, with its position."""
    decision = decision_pb2.DecisionIssued.FromString(value).decision
    decision.position = position
    return decision
