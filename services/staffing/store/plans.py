"""SQL of what staffing knows: forecast and requirement days, closed cells, targets."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from muster.kit.sql import upsert
from services.staffing.domain.attainment import CellFacts, TargetRule, contributions
from services.staffing.domain.facts import ClosedCell, ForecastDay, RequirementDay
from services.staffing.store import tables as t

LAST = 2**62


def load_forecast(connection: sa.Connection, queue: str, local_date: str) -> ForecastDay | None:
    f = t.forecast_day
    where = (f.c.queue == queue) & (f.c.local_date == local_date)
    body = connection.execute(sa.select(f.c.body).where(where)).scalar()
    return ForecastDay(**body) if body else None


def save_forecast(connection: sa.Connection, day: ForecastDay) -> None:
    row = {"queue": day.queue, "local_date": day.local_date, "version": day.version, "body": vars(day)}
    upsert(connection, t.forecast_day, [row])


def unanswered_forecasts(connection: sa.Connection, queue: str, from_date: str, all_of_them: bool) -> list[ForecastDay]:
    """Return days whose forecast is newer than their requirement; or all days from a date on."""
    f, r = t.forecast_day, t.requirement_day
    joined = f.outerjoin(r, (r.c.queue == f.c.queue) & (r.c.local_date == f.c.local_date))
    newer = sa.true() if all_of_them else r.c.forecast_version.is_(None) | (r.c.forecast_version < f.c.version)
    where = (f.c.queue == queue) & (f.c.local_date >= from_date) & newer
    query = sa.select(f.c.body).select_from(joined).where(where).order_by(f.c.local_date)
    return [ForecastDay(**body) for body in connection.execute(query).scalars()]


def forget_answers(connection: sa.Connection, queue: str, from_date: str) -> None:
    """Have requirement days from a date on count as answers to no forecast."""
    r = t.requirement_day
    where = (r.c.queue == queue) & (r.c.local_date >= from_date)
    connection.execute(sa.update(r).where(where).values(forecast_version=0))


def save_requirement(connection: sa.Connection, day: RequirementDay) -> None:
    row = {"queue": day.queue, "local_date": day.local_date, "version": day.version, "body": vars(day)}
    upsert(connection, t.requirement_day, [{**row, "forecast_version": day.forecast_version}])


def last_requirement_version(connection: sa.Connection, queue: str) -> int:
    r = t.requirement_day
    return int(connection.execute(sa.select(sa.func.max(r.c.version)).where(r.c.queue == queue)).scalar() or 0)


def list_requirements(
    connection: sa.Connection, queue: str, first: str, last: str, limit: int = 100, offset: int = 0
) -> list[RequirementDay]:
    """Return days in order."""
    r = t.requirement_day
    where = (r.c.queue == queue) & (r.c.local_date >= first) & (r.c.local_date <= last)
    query = sa.select(r.c.body).where(where).order_by(r.c.local_date).limit(limit).offset(offset)
    return [RequirementDay(**body) for body in connection.execute(query).scalars()]


def list_forecasts(connection: sa.Connection, queue: str, first: str, last: str) -> list[ForecastDay]:
    f = t.forecast_day
    where = (f.c.queue == queue) & (f.c.local_date >= first) & (f.c.local_date <= last)
    return [ForecastDay(**b) for b in connection.execute(sa.select(f.c.body).where(where).order_by(f.c.local_date)).scalars()]


def cell_revisions(connection: sa.Connection, queue: str, starts: Sequence[int]) -> dict[int, int]:
    v, found = t.volume_cell, {}
    for i in range(0, len(starts), 500):
        where = (v.c.queue == queue) & v.c.starts_at.in_(starts[i : i + 500])
        found.update({r.starts_at: r.revision for r in connection.execute(sa.select(v.c.starts_at, v.c.revision).where(where))})
    return found


def save_cells(connection: sa.Connection, cells: Iterable[ClosedCell]) -> None:
    rows = []
    for c in cells:
        waits = (c.facts.answered_wait_ms, c.abandoned_wait_ms)
        rows.append(
            {
                "queue": c.queue,
                "starts_at": c.starts_at,
                "revision": c.revision,
                "seconds": c.seconds,
                "offered": c.facts.offered,
                "abandoned": c.facts.abandoned,
                "wait_ms": None if None in waits else sum(w for w in waits if w is not None),
                "complete_through": c.complete_through,
                "body": dataclasses.asdict(c.facts),
            }
        )
    upsert(connection, t.volume_cell, rows)


def open_items(connection: sa.Connection, queue: str, since: int) -> list[tuple[int, int]]:
    """Return (start, items open) of closed intervals from an instant on, in order: as told, else neither answered nor given up."""
    v, found = t.volume_cell, []
    query = sa.select(v.c.starts_at, v.c.offered, v.c.abandoned, v.c.body).where(
        (v.c.queue == queue) & (v.c.starts_at >= since)
    )
    for start, offered, abandoned, body in connection.execute(query.order_by(v.c.starts_at)):
        left = body.get("open")
        if left is None:  # not observed is nothing open, not everything
            left = 0 if None in (offered, body["answered"]) else max(offered - body["answered"] - (abandoned or 0), 0)
        found.append((int(start), int(left)))
    return found


def save_contributions(
    connection: sa.Connection, contract: str, index: int, rule: TargetRule, cells: Sequence[tuple[str, int, CellFacts]]
) -> None:
    """Keep what cells (queue, start, facts) add to a target."""
    rows, found = [], contributions(rule, [(start, facts) for _, start, facts in cells])
    for (queue, start, _), added in zip(cells, found, strict=True):
        good, base, unsure = added if added is not None else (None, None, 0)
        key = {"contract": contract, "target_index": index, "queue": queue, "starts_at": start}
        rows.append({**key, "good": good, "base": base, "unsure": unsure})
    upsert(connection, t.target_cell, rows)


def cells_since(connection: sa.Connection, queue: str, since: int) -> list[tuple[str, int, CellFacts]]:
    """Return closed cells of a queue from an instant on."""
    v = t.volume_cell
    where = (v.c.queue == queue) & (v.c.starts_at >= since)
    query = sa.select(v.c.queue, v.c.starts_at, v.c.body).where(where).order_by(v.c.starts_at)
    return [(r.queue, r.starts_at, CellFacts(**r.body)) for r in connection.execute(query)]


def forget_contributions(connection: sa.Connection, contract: str) -> None:
    connection.execute(sa.delete(t.target_cell).where(t.target_cell.c.contract == contract))


def target_intervals(
    connection: sa.Connection, contract: str, index: int, since: int, until: int = LAST
) -> list[tuple[int, int | None, int | None]]:
    """Return (start, good, base) of a target's intervals between two instants, queues together; None where one was not observed."""
    c = t.target_cell.c
    missing = sa.func.sum(sa.case((c.base.is_(None), 1), else_=0))
    query = sa.select(c.starts_at, sa.func.sum(c.good), sa.func.sum(c.base), missing)
    where = _of_target(contract, index, since, until)
    rows = connection.execute(query.where(where).group_by(c.starts_at).order_by(c.starts_at))
    return [(r[0], None, None) if r[3] else (r[0], int(r[1]), int(r[2])) for r in rows]


def _of_target(contract: str, index: int, since: int, until: int) -> sa.ColumnElement[bool]:
    c = t.target_cell.c
    return (c.contract == contract) & (c.target_index == index) & (c.starts_at >= since) & (c.starts_at < until)


def target_unsure(connection: sa.Connection, contract: str, index: int, since: int, until: int) -> list[tuple[int, int]]:
    """Return (start, how many) of what was done so close to its deadline that nobody can say on which side."""
    c = t.target_cell.c
    where = _of_target(contract, index, since, until) & (c.unsure > 0)
    return [(r.starts_at, r.unsure) for r in connection.execute(sa.select(c.starts_at, c.unsure).where(where))]


def target_cells(
    connection: sa.Connection, contract: str, index: int, span: tuple[int, int], limit: int, offset: int
) -> list[tuple[str, int, int | None, int | None]]:
    """Return (queue, start, good, base) of a target's intervals of a span [begin, end), in order."""
    c = t.target_cell.c
    query = sa.select(c.queue, c.starts_at, c.good, c.base).where(_of_target(contract, index, *span))
    rows = connection.execute(query.order_by(c.starts_at, c.queue).limit(limit).offset(offset))
    return [(r.queue, r.starts_at, r.good, r.base) for r in rows]


def save_window_outlooks(connection: sa.Connection, now: int, found: Sequence[tuple[str, int, dict[str, Any]]]) -> None:
    """Keep where windows will end, in place of what was kept before."""
    w = t.window_outlook
    connection.execute(sa.delete(w))
    rows = [{"contract": name, "target_index": index, "made_at": now, "body": body} for name, index, body in found]
    if rows:
        connection.execute(sa.insert(w), rows)


def window_outlooks(connection: sa.Connection) -> list[sa.Row[Any]]:
    """Return (contract, target_index, made_at, body) as last computed."""
    w = t.window_outlook
    return list(connection.execute(sa.select(w).order_by(w.c.contract, w.c.target_index)))


def complete_through(connection: sa.Connection, queue: str) -> int:
    """Return up to when the queue's feeds had told everything, 0 if never."""
    v = t.volume_cell
    return int(connection.execute(sa.select(sa.func.max(v.c.complete_through)).where(v.c.queue == queue)).scalar() or 0)


def last_cell(connection: sa.Connection, queue: str) -> sa.Row[Any] | None:
    v = t.volume_cell
    return connection.execute(sa.select(v).where(v.c.queue == queue).order_by(v.c.starts_at.desc()).limit(1)).first()


def patience_sums(connection: sa.Connection, queue: str, since: int) -> tuple[int, int]:
    """Return (milliseconds waited by all, abandons) of closed cells from an instant on."""
    v = t.volume_cell
    where = (v.c.queue == queue) & (v.c.starts_at >= since) & v.c.wait_ms.is_not(None)
    row = connection.execute(sa.select(sa.func.sum(v.c.wait_ms), sa.func.sum(v.c.abandoned)).where(where)).one()
    return int(row[0] or 0), int(row[1] or 0)
