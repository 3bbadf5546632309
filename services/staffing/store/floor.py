"""SQL of presence: the schedule in force, the floor, attendance."""

import dataclasses
from collections.abc import Sequence

import sqlalchemy as sa

from muster.kit.sql import upsert
from services.staffing.domain.facts import Attendance, FloorPicture, Manifest, SchedulePart
from services.staffing.domain.presence import Absence, PlannedShift, Segment
from services.staffing.store import tables as t


def save_part(connection: sa.Connection, part: SchedulePart) -> None:
    shifts = [dataclasses.asdict(s) for s in part.shifts]
    row = {"staffing_group": part.group, "version": part.version, "agent": part.agent, "week": part.week}
    upsert(connection, t.schedule_part, [{**row, "shifts": shifts}])


def save_manifest(connection: sa.Connection, m: Manifest) -> None:
    ids = {"decision_ids": list(m.decision_ids), "reason": m.reason}
    key = {"staffing_group": m.group, "version": m.version}
    known = t.schedule_manifest.c
    there = sa.select(known.version).where((known.staffing_group == m.group) & (known.version == m.version))
    if connection.execute(there).first() is None:
        connection.execute(sa.insert(t.schedule_manifest).values(**key, parts=m.parts, **ids, applied=False))


def apply_ready(connection: sa.Connection, group: str) -> list[Manifest]:
    """Apply, in order, every version whose parts have all come; return their manifests."""
    m, p, s = t.schedule_manifest, t.schedule_part, t.shift
    applied = []
    waiting = sa.select(m).where((m.c.staffing_group == group) & m.c.applied.is_(False)).order_by(m.c.version)
    for row in connection.execute(waiting).all():
        mine = (p.c.staffing_group == group) & (p.c.version == row.version)
        parts = connection.execute(sa.select(p).where(mine)).all()
        if len(parts) < row.parts:
            break
        for part in parts:
            older = (s.c.version < row.version) | (s.c.staffing_group != group)
            week = (s.c.agent == part.agent) & (s.c.week == part.week) & older
            connection.execute(sa.delete(s).where(week))
            rows = [
                {"agent": part.agent, "week": part.week, "staffing_group": group, "version": row.version}
                | {name: shift[name] for name in ("starts_at", "ends_at", "site", "segments")}
                for shift in part.shifts
            ]
            upsert(connection, s, rows)
        connection.execute(sa.delete(p).where(mine))
        here = (m.c.staffing_group == group) & (m.c.version == row.version)
        connection.execute(sa.update(m).where(here).values(applied=True))
        applied.append(Manifest(group, row.version, row.parts, tuple(row.decision_ids), row.reason))
    return applied


def applied_version(connection: sa.Connection, group: str) -> int:
    """Return the version of the schedule in force, 0 if none."""
    m = t.schedule_manifest
    where = (m.c.staffing_group == group) & m.c.applied.is_(True)
    return int(connection.execute(sa.select(sa.func.max(m.c.version)).where(where)).scalar() or 0)


def shifts_between(connection: sa.Connection, agents: Sequence[str], begin: int, end: int) -> list[PlannedShift]:
    """Return shifts in force that touch [begin, end), by agent and start."""
    s, wanted, found = t.shift, sorted(agents), list[PlannedShift]()
    for i in range(0, len(wanted), 500):
        where = s.c.agent.in_(wanted[i : i + 500]) & (s.c.ends_at > begin) & (s.c.starts_at < end)
        for r in connection.execute(sa.select(s).where(where).order_by(s.c.agent, s.c.starts_at)):
            found.append(PlannedShift(r.agent, r.site, r.starts_at, r.ends_at, tuple(Segment(**g) for g in r.segments)))
    return found


def decisions_in_shifts(connection: sa.Connection, decision_id: str, agents: Sequence[str]) -> int:
    """Return how many of some agents' shifts in force carry a decision."""
    s = t.shift
    rows = connection.execute(sa.select(s.c.agent, s.c.segments).where(s.c.agent.in_(list(agents))))
    return len({r.agent for r in rows if any(g["decision_id"] == decision_id for g in r.segments)})


def fold_floor(connection: sa.Connection, picture: FloorPicture) -> None:
    """Keep agents' states, the highest `since` winning; a snapshot logs out who is not in it."""
    f = t.floor_agent
    names = [a.agent for a in picture.agents]
    known = {}
    for i in range(0, len(names), 500):
        rows = connection.execute(sa.select(f.c.agent, f.c.since, f.c.observed_at).where(f.c.agent.in_(names[i : i + 500])))
        known.update({r.agent: (r.since, r.observed_at) for r in rows})
    fresh = [a for a in picture.agents if (a.since, picture.observed_at) >= known.get(a.agent, (0, 0))]
    at = {"observed_at": picture.observed_at}
    upsert(connection, f, [{**dataclasses.asdict(a), "queues": list(a.queues), **at} for a in fresh])
    if picture.snapshot_sites:
        gone = f.c.site.in_(picture.snapshot_sites) & (f.c.observed_at < picture.observed_at) & f.c.agent.not_in(names)
        connection.execute(sa.update(f).where(gone).values(state="LOGGED_OUT", queues=[], **at))
    counts = [{"queue": q, "on_queue": on, "logged_in": logged, **at} for q, on, logged in picture.counts]
    upsert(connection, t.floor_queue, counts)


@dataclasses.dataclass(frozen=True)
class Presence:
    """What the floor shows of a queue now: shares of blended agents, and heads logged in."""

    on_queue: float
    logged_in: int
    observed_at: int


ON_QUEUE = ("AVAILABLE", "ON_CONTACT", "HOLD", "AFTER_CALL")


def agents_on_queue(connection: sa.Connection, fresh_since: int) -> dict[str, set[str]]:
    """Return the queues that each agent takes contacts of, from states not older than an instant; none: not on queue."""
    f = t.floor_agent
    rows = connection.execute(sa.select(f.c.agent, f.c.state, f.c.queues).where(f.c.observed_at >= fresh_since))
    return {r.agent: set(r.queues) if r.state in ON_QUEUE else set() for r in rows}


def sites_told(connection: sa.Connection, fresh_since: int) -> set[str]:
    """Return the sites of which the floor has said something since an instant."""
    f = t.floor_agent
    return set(connection.execute(sa.select(f.c.site).where(f.c.observed_at >= fresh_since).distinct()).scalars())


def presence(connection: sa.Connection, fresh_since: int) -> dict[str, Presence]:
    """Return presence by queue from states not older than an instant. An agent on several queues counts as a share each."""
    f, q = t.floor_agent, t.floor_queue
    found: dict[str, Presence] = {}
    for r in connection.execute(sa.select(f).where(f.c.observed_at >= fresh_since).order_by(f.c.agent)):
        for queue in r.queues:
            old = found.get(queue, Presence(0.0, 0, 0))
            on = old.on_queue + (1 / len(r.queues) if r.state in ON_QUEUE else 0.0)
            logged = old.logged_in + (r.state != "LOGGED_OUT")
            found[queue] = Presence(on, logged, max(old.observed_at, r.observed_at))
    for r in connection.execute(sa.select(q).where(q.c.observed_at >= fresh_since)):
        if r.on_queue is not None:
            found[r.queue] = Presence(float(r.on_queue), r.logged_in or r.on_queue, r.observed_at)
    return found


def save_attendance(connection: sa.Connection, fact: Attendance) -> bool:
    """Keep an absence if its revision is higher; return whether it was."""
    a = t.attendance
    known = connection.execute(sa.select(a.c.revision).where(a.c.attendance_id == fact.attendance_id)).scalar()
    if known is not None and known >= fact.revision:
        return False
    upsert(connection, a, [dataclasses.asdict(fact)])
    return True


def absences(connection: sa.Connection, begin: int, end: int) -> dict[str, list[Absence]]:
    """Return absences that touch [begin, end), by agent. One without an end lasts its day; a RETURN ends what came before."""
    a = t.attendance
    rows = connection.execute(
        sa.select(a).where(a.c.retracted.is_(False) & (a.c.starts_at < end)).order_by(a.c.agent, a.c.starts_at)
    ).all()
    found: dict[str, list[Absence]] = {}
    for r in rows:
        mine = found.setdefault(r.agent, [])
        if r.kind == "RETURN":
            mine[:] = [dataclasses.replace(x, ends_at=min(x.ends_at, r.starts_at)) for x in mine]
            continue
        mine.append(Absence(r.agent, r.starts_at, r.ends_at or r.starts_at + 86_400))
    return {agent: kept for agent, spans in found.items() if (kept := [x for x in spans if x.ends_at > begin])}
