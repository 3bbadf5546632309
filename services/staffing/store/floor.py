"""SQL of presence: the schedule in force, the floor, attendance."""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import orjson
import sqlalchemy as sa

from muster.domain.calendar import DAY
from muster.kit.statements import Prepared, given, upsert
from services.staffing.domain.facts import Attendance, FloorPicture, Manifest, SchedulePart
from services.staffing.domain.presence import Absence, PlannedShift, Segment
from services.staffing.store import tables as t

AGENTS_AT_ONCE = 500

_s, _f, _q, _a = t.shift.c, t.floor_agent.c, t.floor_queue.c, t.attendance.c
_agents, _fresh = given("agents", many=True), given("fresh_since")
_begin, _end = given("begin"), given("end")
_touching = _s.agent.in_(_agents) & (_s.ends_at > _begin) & (_s.starts_at < _end)
_SHIFTS = Prepared(
    sa.select(_s.agent, _s.site, _s.starts_at, _s.ends_at, sa.cast(_s.segments, sa.Text))
    .where(_touching)
    .order_by(_s.agent, _s.starts_at)
)
_seen = _f.agent.in_(_agents) & (_f.observed_at >= _fresh)
_AGENTS = Prepared(sa.select(_f.agent, _f.state, _f.queues, _f.observed_at).where(_seen).order_by(_f.agent))
_matters = (_a.kind == "RETURN") | (sa.func.coalesce(_a.ends_at, _a.starts_at + DAY) > _begin)
_absent = _a.agent.in_(_agents) & _a.retracted.is_(False) & (_a.starts_at < _end) & _matters
_ABSENCES = Prepared(sa.select(_a.agent, _a.kind, _a.starts_at, _a.ends_at).where(_absent).order_by(_a.agent, _a.starts_at))
_SITES = Prepared(sa.select(_f.site).where(_f.observed_at >= _fresh).distinct())
_m = t.schedule_manifest.c
_APPLIED = Prepared(sa.select(sa.func.max(_m.version)).where((_m.staffing_group == given("of_group")) & _m.applied.is_(True)))
_QUEUES = Prepared(sa.select(_q.queue, _q.on_queue, _q.logged_in, _q.observed_at).where(_q.observed_at >= _fresh))


def _in_parts(names: Iterable[str]) -> Iterable[list[str]]:
    ordered = sorted(names)
    return (ordered[i : i + AGENTS_AT_ONCE] for i in range(0, len(ordered), AGENTS_AT_ONCE))


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
    return int(_APPLIED.value(connection, of_group=group) or 0)


def shifts_between(connection: sa.Connection, agents: Sequence[str], begin: int, end: int) -> list[PlannedShift]:
    """Return shifts in force that touch [begin, end), by agent and start."""
    parts = (_SHIFTS.rows(connection, agents=part, begin=begin, end=end) for part in _in_parts(agents))
    return [_shift(*row) for rows in parts for row in rows]


@functools.lru_cache(maxsize=50_000)  # a shift is read at each decision of its day
def _shift(agent: str, site: str, starts_at: int, ends_at: int, segments: str) -> PlannedShift:
    return PlannedShift(agent, site, starts_at, ends_at, tuple(Segment(**g) for g in orjson.loads(segments)))


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
    for part in _in_parts(names):
        rows = connection.execute(sa.select(f.c.agent, f.c.since, f.c.observed_at).where(f.c.agent.in_(part)))
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


class Seen(NamedTuple):
    """What the floor shows of an agent, and when it was so."""

    agent: str
    state: str
    queues: list[str]
    observed_at: int


def states_of(connection: sa.Connection, agents: Iterable[str], fresh_since: int) -> list[Seen]:
    """Return what the floor shows of agents, states not older than an instant, by agent."""
    parts = (_AGENTS.rows(connection, agents=part, fresh_since=fresh_since) for part in _in_parts(agents))
    return [Seen(*row) for rows in parts for row in rows]


def on_queues(states: Iterable[Seen]) -> dict[str, set[str]]:
    """Return the queues that each agent takes contacts of; none: not on queue."""
    return {r.agent: set(r.queues) if r.state in ON_QUEUE else set() for r in states}


def sites_told(connection: sa.Connection, fresh_since: int) -> set[str]:
    """Return the sites of which the floor has said something since an instant."""
    return set(_SITES.column(connection, fresh_since=fresh_since))


def presence(connection: sa.Connection, states: Iterable[Seen], fresh_since: int) -> dict[str, Presence]:
    """Return presence by queue: of agents in these states, each a share on each of its queues; or as counted since an instant."""
    found: dict[str, Presence] = {}
    for r in states:
        for queue in r.queues:
            old = found.get(queue, Presence(0.0, 0, 0))
            on = old.on_queue + (1 / len(r.queues) if r.state in ON_QUEUE else 0.0)
            logged = old.logged_in + (r.state != "LOGGED_OUT")
            found[queue] = Presence(on, logged, max(old.observed_at, r.observed_at))
    for queue, on_queue, logged_in, observed_at in _QUEUES.rows(connection, fresh_since=fresh_since):
        if on_queue is not None:
            found[queue] = Presence(float(on_queue), logged_in or on_queue, observed_at)
    return found


def save_attendance(connection: sa.Connection, fact: Attendance) -> bool:
    """Keep an absence if its revision is higher; return whether it was."""
    a = t.attendance
    known = connection.execute(sa.select(a.c.revision).where(a.c.attendance_id == fact.attendance_id)).scalar()
    if known is not None and known >= fact.revision:
        return False
    upsert(connection, a, [dataclasses.asdict(fact)])
    return True


def forget_absences(connection: sa.Connection, before: int) -> None:
    """Delete absences that ended before an instant. A return is kept for as long as the absence that it ended early."""
    a, other = t.attendance, t.attendance.alias()
    lasts = (other.c.agent == a.c.agent) & (other.c.starts_at <= a.c.starts_at) & (other.c.ends_at >= before)
    over = sa.func.coalesce(a.c.ends_at, a.c.starts_at + DAY) < before
    needed = (a.c.kind == "RETURN") & sa.exists(sa.select(other.c.agent).where(lasts))
    connection.execute(sa.delete(a).where(over & sa.not_(needed)))


def absences(connection: sa.Connection, agents: Iterable[str], begin: int, end: int) -> dict[str, list[Absence]]:
    """Return agents' absences that touch [begin, end). One without an end lasts its day; a RETURN ends what came before."""
    found: dict[str, list[Absence]] = {}
    parts = (_ABSENCES.rows(connection, agents=part, begin=begin, end=end) for part in _in_parts(agents))
    for agent, kind, starts_at, ends_at in (row for rows in parts for row in rows):
        mine = found.setdefault(agent, [])
        if kind == "RETURN":
            mine[:] = [dataclasses.replace(x, ends_at=min(x.ends_at, starts_at)) for x in mine]
            continue
        mine.append(Absence(agent, starts_at, ends_at or starts_at + DAY))
    return {agent: kept for agent, spans in found.items() if (kept := [x for x in spans if x.ends_at > begin])}
