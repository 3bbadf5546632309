"""SQL of what staffing knows: forecast and requirement days, closed cells, targets."""

import functools
from collections.abc import Container, Iterable, Sequence
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from muster.kit.statements import Prepared, given, upsert
from services.staffing.domain.attainment import CellFacts, TargetRule, contributions
from services.staffing.domain.facts import ClosedCell, ForecastDay, RequirementDay
from services.staffing.domain.patience import waiting
from services.staffing.store import tables as t

LAST = 2**62

# Statements on the way to a decision.
_f, _r, _v, _c = t.forecast_day.c, t.requirement_day.c, t.volume_cell.c, t.target_cell.c
_queue, _day, _since = given("of_queue"), given("day"), given("since")
_first, _last = given("first"), given("last")
_forecast_text, _requirement_text = sa.cast(_f.body, sa.Text), sa.cast(_r.body, sa.Text)
_FORECAST = Prepared(sa.select(_forecast_text).where((_f.queue == _queue) & (_f.local_date == _day)))
_FORECASTS = Prepared(
    sa.select(_forecast_text).where((_f.queue == _queue) & _f.local_date.between(_first, _last)).order_by(_f.local_date)
)
_from_day = (
    sa.select(_forecast_text)
    .outerjoin_from(t.forecast_day, t.requirement_day, (_r.queue == _f.queue) & (_r.local_date == _f.local_date))
    .where((_f.queue == _queue) & (_f.local_date >= _day))
    .order_by(_f.local_date)
)
_ALL_FROM = Prepared(_from_day)
_UNANSWERED = Prepared(_from_day.where(_r.forecast_version.is_(None) | (_r.forecast_version < _f.version)))
_LAST_VERSION = Prepared(sa.select(sa.func.max(_r.version)).where(_r.queue == _queue))
_REQUIREMENTS = Prepared(
    sa.select(_requirement_text)
    .where((_r.queue == _queue) & _r.local_date.between(_first, _last))
    .order_by(_r.local_date)
    .limit(given("most"))
    .offset(given("after"))
)
_of_target = (_c.contract == given("of_contract")) & (_c.target_index == given("index"))
_TARGET = _of_target & (_c.starts_at >= _since) & (_c.starts_at < given("until"))
_counts = _TARGET & _c.relieved.is_(False)
_missing = sa.func.sum(sa.case((_c.base.is_(None), 1), else_=0))
_every_interval = sa.select(_c.starts_at, sa.func.sum(_c.good), sa.func.sum(_c.base), _missing)
_every_interval = _every_interval.group_by(_c.starts_at).order_by(_c.starts_at)
_TARGET_INTERVALS, _WITH_RELIEVED = Prepared(_every_interval.where(_counts)), Prepared(_every_interval.where(_TARGET))
_RELIEVED = Prepared(sa.select(_c.starts_at).where(_TARGET & _c.relieved.is_(True)))
_UNSURE = Prepared(sa.select(_c.starts_at, _c.unsure).where(_counts & (_c.unsure > 0)))
_TARGET_CELLS = Prepared(
    sa.select(_c.queue, _c.starts_at, _c.good, _c.base, _c.relieved, _v.offered, _v.locked)
    .outerjoin_from(t.target_cell, t.volume_cell, (_v.queue == _c.queue) & (_v.starts_at == _c.starts_at))
    .where(_TARGET)
    .order_by(_c.starts_at, _c.queue)
    .limit(given("most"))
    .offset(given("after"))
)
_QUEUE_CELLS = Prepared(sa.select(_c.starts_at, _c.good, _c.base).where(_counts & (_c.queue == _queue)).order_by(_c.starts_at))
_REVISIONS = Prepared(sa.select(_v.starts_at, _v.revision).where((_v.queue == _queue) & _v.starts_at.between(_first, _last)))
_COMPLETE = Prepared(sa.select(sa.func.max(_v.complete_through)).where(_v.queue == _queue))
_waited = (_v.queue == _queue) & (_v.starts_at >= _since) & _v.wait_ms.is_not(None)
_WAITED = Prepared(sa.select(sa.func.sum(_v.wait_ms), sa.func.sum(_v.abandoned - _v.short_abandoned)).where(_waited))


@functools.lru_cache(maxsize=100)  # on the way to a decision a day is read three times; nobody changes what was read
def _forecast(text: str) -> ForecastDay:
    return ForecastDay(**orjson.loads(text))


@functools.lru_cache(maxsize=100)
def _requirement(text: str) -> RequirementDay:
    return RequirementDay(**orjson.loads(text))


def load_forecast(connection: sa.Connection, queue: str, local_date: str) -> ForecastDay | None:
    text = _FORECAST.value(connection, of_queue=queue, day=local_date)
    return _forecast(text) if text else None


def save_forecast(connection: sa.Connection, day: ForecastDay) -> None:
    row = {"queue": day.queue, "local_date": day.local_date, "version": day.version, "body": vars(day)}
    upsert(connection, t.forecast_day, [row])


def unanswered_forecasts(connection: sa.Connection, queue: str, from_date: str, all_of_them: bool) -> list[ForecastDay]:
    """Return days whose forecast is newer than their requirement; or all days from a date on."""
    query = _ALL_FROM if all_of_them else _UNANSWERED
    return [_forecast(text) for text in query.column(connection, of_queue=queue, day=from_date)]


def forget_answers(connection: sa.Connection, queue: str, from_date: str) -> None:
    """Have requirement days from a date on count as answers to no forecast."""
    r = t.requirement_day
    where = (r.c.queue == queue) & (r.c.local_date >= from_date)
    connection.execute(sa.update(r).where(where).values(forecast_version=0))


def save_requirement(connection: sa.Connection, day: RequirementDay) -> None:
    row = {"queue": day.queue, "local_date": day.local_date, "version": day.version, "body": vars(day)}
    upsert(connection, t.requirement_day, [{**row, "forecast_version": day.forecast_version}])


def last_requirement_version(connection: sa.Connection, queue: str) -> int:
    return int(_LAST_VERSION.value(connection, of_queue=queue) or 0)


def list_requirements(
    connection: sa.Connection, queue: str, first: str, last: str, limit: int = 100, offset: int = 0
) -> list[RequirementDay]:
    """Return days in order."""
    found = _REQUIREMENTS.column(connection, of_queue=queue, first=first, last=last, most=limit, after=offset)
    return [_requirement(text) for text in found]


def list_forecasts(connection: sa.Connection, queue: str, first: str, last: str) -> list[ForecastDay]:
    return [_forecast(text) for text in _FORECASTS.column(connection, of_queue=queue, first=first, last=last)]


def cell_revisions(connection: sa.Connection, queue: str, starts: Sequence[int]) -> dict[int, int]:
    """Return the revision kept of each of some intervals (in order), by start."""
    found = _REVISIONS.rows(connection, of_queue=queue, first=starts[0], last=starts[-1])
    known: dict[int, int] = dict(found)  # type: ignore[arg-type]
    return {start: known[start] for start in starts if start in known}


def save_cells(connection: sa.Connection, cells: Iterable[ClosedCell], short_ms: int = 0) -> None:
    """Keep cells. short_ms: who gave up no later is a short abandon, as far as the histogram has that edge."""
    rows = []
    for c in cells:
        short_abandoned, waited_ms = waiting(c, short_ms)
        rows.append(
            {
                "queue": c.queue,
                "starts_at": c.starts_at,
                "revision": c.revision,
                "seconds": c.seconds,
                "offered": c.facts.offered,
                "abandoned": c.facts.abandoned,
                "short_abandoned": short_abandoned,
                "wait_ms": waited_ms,
                "locked": c.facts.locked,
                "complete_through": c.complete_through,
                "body": {k: v for k, v in vars(c.facts).items() if k != "locked"},  # what versions before can read
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
    connection: sa.Connection,
    contract: str,
    index: int,
    rule: TargetRule,
    cells: Sequence[tuple[str, int, CellFacts]],
    relieved: Container[int] = (),
) -> None:
    """Keep what cells (queue, start, facts) add to a target. relieved: starts that the contract's lock leaves out."""
    rows, found = [], contributions(rule, [(start, facts) for _, start, facts in cells])
    for (queue, start, _), added in zip(cells, found, strict=True):
        good, base, unsure = added if added is not None else (None, None, 0)
        key = {"contract": contract, "target_index": index, "queue": queue, "starts_at": start}
        rows.append({**key, "good": good, "base": base, "unsure": unsure, "relieved": start in relieved})
    upsert(connection, t.target_cell, rows)


def cells_since(connection: sa.Connection, queue: str, since: int) -> list[tuple[str, int, CellFacts]]:
    """Return closed cells of a queue from an instant on."""
    v = t.volume_cell
    where = (v.c.queue == queue) & (v.c.starts_at >= since)
    query = sa.select(v.c.queue, v.c.starts_at, v.c.locked, v.c.body).where(where).order_by(v.c.starts_at)
    return [(r.queue, r.starts_at, CellFacts(**r.body, locked=r.locked)) for r in connection.execute(query)]


def forget_contributions(connection: sa.Connection, contract: str) -> None:
    connection.execute(sa.delete(t.target_cell).where(t.target_cell.c.contract == contract))


def target_intervals(
    connection: sa.Connection, contract: str, index: int, since: int, until: int = LAST, with_relieved: bool = False
) -> list[tuple[int, int | None, int | None]]:
    """Return (start, good, base) of a target's intervals between two instants, queues together; None where one was not observed. What is
    relieved is left out unless it is asked for."""
    query = _WITH_RELIEVED if with_relieved else _TARGET_INTERVALS
    rows = query.rows(connection, **_span(contract, index, since, until))
    return [(r[0], None, None) if r[3] else (r[0], int(r[1]), int(r[2])) for r in rows]


def _span(contract: str, index: int, since: int, until: int) -> dict[str, Any]:
    return {"of_contract": contract, "index": index, "since": since, "until": until}


def relieved_starts(connection: sa.Connection, contract: str, index: int, since: int, until: int = LAST) -> list[int]:
    """Return the starts of a target's intervals that are relieved, one for each queue."""
    return _RELIEVED.column(connection, **_span(contract, index, since, until))


def target_unsure(connection: sa.Connection, contract: str, index: int, since: int, until: int) -> list[tuple[int, int]]:
    """Return (start, how many) of what was done so close to its deadline that nobody can say on which side."""
    return [(start, unsure) for start, unsure in _UNSURE.rows(connection, **_span(contract, index, since, until))]


class TargetCell(NamedTuple):
    """What an interval of a queue adds to a target, None: not observed; whether it is relieved, what came, and what was locked."""

    queue: str
    starts_at: int
    good: int | None
    base: int | None
    relieved: bool
    offered: int | None
    locked: float | None


def target_cells(
    connection: sa.Connection, contract: str, index: int, span: tuple[int, int], limit: int, offset: int
) -> list[TargetCell]:
    """Return a target's intervals of a span [begin, end), in order."""
    wanted = {**_span(contract, index, *span), "most": limit, "after": offset}
    return [TargetCell(*row) for row in _TARGET_CELLS.rows(connection, **wanted)]


def queue_cells(
    connection: sa.Connection, contract: str, index: int, queue: str, since: int
) -> list[tuple[int, int | None, int | None]]:
    """Return (start, good, base) of a queue's intervals of a target from an instant on, in order; without what is relieved."""
    wanted = {**_span(contract, index, since, LAST), "of_queue": queue}
    return [(start, good, base) for start, good, base in _QUEUE_CELLS.rows(connection, **wanted)]


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
    return int(_COMPLETE.value(connection, of_queue=queue) or 0)


def last_cell(connection: sa.Connection, queue: str) -> sa.Row[Any] | None:
    v = t.volume_cell
    return connection.execute(sa.select(v).where(v.c.queue == queue).order_by(v.c.starts_at.desc()).limit(1)).first()


def patience_sums(connection: sa.Connection, queue: str, since: int) -> tuple[int, int]:
    """Return (milliseconds that tell of patience, abandons that were not short) of closed cells from an instant on."""
    row = _WAITED.rows(connection, of_queue=queue, since=since)[0]
    return int(row[0] or 0), max(int(row[1] or 0), 0)
