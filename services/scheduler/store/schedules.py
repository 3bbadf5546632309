"""SQL of schedules: versions, agent-weeks, requirements and absences."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from muster.kit.errors import NotFound
from muster.kit.statements import upsert
from services.scheduler.domain.shift import Shift, from_body, to_body
from services.scheduler.domain.version import DRAFT, PUBLISHED, SUPERSEDED, Version
from services.scheduler.store import tables as t
from services.scheduler.wire import Attendance, DecisionStep, RequirementDay

Weeks = Mapping[tuple[str, str], Sequence[Shift]]


def _version(row: Any) -> Version:
    body = {k: tuple(v) if isinstance(v, list) else v for k, v in row.body.items()}
    return Version(**{**body, "state": row.state})


def save_requirement(connection: sa.Connection, day: RequirementDay) -> None:
    """Keep a day's requirement if its version is higher."""
    r = t.requirement_day
    where = (r.c.queue == day.queue) & (r.c.local_date == day.local_date)
    known = connection.execute(sa.select(r.c.version).where(where)).scalar()
    if known is None or known < day.version:
        upsert(connection, r, [dataclasses.asdict(day)])


def requirements(connection: sa.Connection, queue: str, first: str, last: str) -> list[RequirementDay]:
    """Return a queue's days in order."""
    r = t.requirement_day
    where = (r.c.queue == queue) & (r.c.local_date >= first) & (r.c.local_date <= last)
    rows = connection.execute(sa.select(r).where(where).order_by(r.c.local_date))
    return [RequirementDay(x.queue, x.local_date, x.seconds, x.starts, x.scheduled, x.version) for x in rows]


def save_attendance(connection: sa.Connection, fact: Attendance) -> None:
    a = t.attendance
    known = connection.execute(sa.select(a.c.revision).where(a.c.attendance_id == fact.attendance_id)).scalar()
    if known is None or known < fact.revision:
        upsert(connection, a, [dataclasses.asdict(fact)])


def absences(connection: sa.Connection, begin: int, end: int) -> dict[str, list[tuple[int, int]]]:
    """Return reported absences that touch [begin, end), by agent."""
    a = t.attendance
    where = a.c.counts.is_(True) & (a.c.starts_at < end) & (a.c.ends_at > begin)
    found: dict[str, list[tuple[int, int]]] = {}
    for r in connection.execute(sa.select(a).where(where).order_by(a.c.agent, a.c.starts_at)):
        found.setdefault(r.agent, []).append((r.starts_at, r.ends_at))
    return found


def next_version(connection: sa.Connection, group: str) -> int:
    s = t.schedule
    return int(connection.execute(sa.select(sa.func.max(s.c.version)).where(s.c.staffing_group == group)).scalar() or 0) + 1


def save_version(connection: sa.Connection, version: Version, weeks: Weeks | None = None) -> None:
    """Keep a version, and the agent-weeks that it holds."""
    key = {"staffing_group": version.group, "version": version.version}
    upsert(connection, t.schedule, [{**key, "state": version.state, "body": dataclasses.asdict(version)}])
    rows = [
        {**key, "agent": agent, "week": week, "shifts": [to_body(s) for s in shifts]}
        for (agent, week), shifts in sorted((weeks or {}).items())
    ]
    upsert(connection, t.agent_week, rows)


def load_version(connection: sa.Connection, group: str, version: int) -> Version:
    """Return a version; 0 is the newest in force. Raise NotFound."""
    s = t.schedule
    query = sa.select(s).where(s.c.staffing_group == group)
    query = query.where(s.c.version == version) if version else query.where(s.c.state == PUBLISHED)
    row = connection.execute(query.order_by(s.c.version.desc()).limit(1)).first()
    if row is None:
        what = f"version {version} of" if version else "published schedule of"
        raise NotFound("NO_SUCH_SCHEDULE", f"no {what} staffing group {group!r}; see muster schedule list")
    return _version(row)


def list_versions(connection: sa.Connection, group: str, limit: int, offset: int) -> list[Version]:
    """Return versions, newest first."""
    s = t.schedule
    query = sa.select(s).order_by(s.c.staffing_group, s.c.version.desc()).limit(limit).offset(offset)
    if group:
        query = query.where(s.c.staffing_group == group)
    return [_version(r) for r in connection.execute(query)]


def published_version(connection: sa.Connection, group: str) -> int:
    """Return the newest version in force, 0 if none."""
    s = t.schedule
    where = (s.c.staffing_group == group) & (s.c.state == PUBLISHED)
    return int(connection.execute(sa.select(sa.func.max(s.c.version)).where(where)).scalar() or 0)


def supersede(connection: sa.Connection, group: str, by: int) -> None:
    """Say that versions in force before `by` no longer are the newest."""
    s = t.schedule
    where = (s.c.staffing_group == group) & (s.c.state == PUBLISHED) & (s.c.version != by)
    connection.execute(sa.update(s).where(where).values(state=SUPERSEDED))


def weeks_of(
    connection: sa.Connection, version: Version, agents: Iterable[str] | None = None
) -> dict[tuple[str, str], list[Shift]]:
    """Return the agent-weeks that a draft holds, or those in force as of a published version; of some agents, or of all."""
    w, s = t.agent_week, t.schedule
    mine = sa.true() if agents is None else w.c.agent.in_(sorted(agents))
    if version.state == DRAFT:
        where = (w.c.staffing_group == version.group) & (w.c.version == version.version)
        rows = connection.execute(sa.select(w).where(where & mine)).all()
    else:
        joined = w.join(s, (s.c.staffing_group == w.c.staffing_group) & (s.c.version == w.c.version))
        where = (w.c.staffing_group == version.group) & (w.c.version <= version.version) & (s.c.state != DRAFT)
        rows = connection.execute(sa.select(w).select_from(joined).where(where & mine).order_by(w.c.version)).all()
    newest = {(r.agent, r.week): r.shifts for r in rows}
    return {key: [from_body(b) for b in shifts] for key, shifts in sorted(newest.items())}


def newer_weeks(connection: sa.Connection, group: str, version: int, weeks: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return which agent-weeks a later published version holds."""
    w, s = t.agent_week, t.schedule
    joined = w.join(s, (s.c.staffing_group == w.c.staffing_group) & (s.c.version == w.c.version))
    where = (w.c.staffing_group == group) & (w.c.version > version) & (s.c.state != DRAFT)
    later = {(r.agent, r.week) for r in connection.execute(sa.select(w.c.agent, w.c.week).select_from(joined).where(where))}
    return sorted(later & set(weeks))


def weeks_in_force(connection: sa.Connection, group: str, agents: Iterable[str]) -> dict[tuple[str, str], list[Shift]]:
    """Return agent-weeks in force of some agents."""
    number = published_version(connection, group)
    if not number:
        return {}
    return weeks_of(connection, load_version(connection, group, number), agents)


def see_decision(connection: sa.Connection, step: DecisionStep) -> bool:
    """Take note of a step; return whether it is an acceptance that has not been carried out yet."""
    d = t.decision_seen
    row = connection.execute(sa.select(d).where(d.c.decision_id == step.decision_id)).first()
    if row is not None and (row.revision >= step.revision or row.carried_out):
        return False
    upsert(connection, d, [{"decision_id": step.decision_id, "revision": step.revision, "carried_out": step.accepted}])
    return step.accepted


def delete_version(connection: sa.Connection, version: Version) -> None:
    """Delete a draft."""
    for table in (t.agent_week, t.schedule):
        where = (table.c.staffing_group == version.group) & (table.c.version == version.version)
        connection.execute(sa.delete(table).where(where))
