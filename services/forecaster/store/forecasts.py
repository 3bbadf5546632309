"""SQL of forecasts: the newest of each day, and every one ever published."""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import orjson
import sqlalchemy as sa

from muster.kit.statements import Prepared, given, upsert
from services.forecaster.domain.facts import PublishedDay, merge_days
from services.forecaster.store import tables as t

_d, _v = t.forecast_day.c, t.forecast_version.c
_of_day = (_d.queue == given("of_queue")) & (_d.local_date == given("day"))
_DAY = Prepared(sa.select(_d.body).where(_of_day))
_MORNING = Prepared(sa.select(sa.cast(_d.morning, sa.Text)).where(_of_day))
_next = t.forecast_day.alias().c
_MOVED_NEXT = sa.select(_next.moved).where((_next.queue == given("of_queue")) & (_next.local_date == given("tomorrow")))
_TODAY = Prepared(sa.select(sa.cast(_d.morning, sa.Text), _d.moved, _MOVED_NEXT.scalar_subquery()).where(_of_day))
_MOVE = Prepared(sa.update(t.forecast_day).where(_of_day).values(moved=sa.bindparam("factor", type_=sa.Float)))
_UPDATE = Prepared(sa.update(t.forecast_day).where(_of_day).values(body=sa.bindparam("updated", type_=sa.JSON)))
_LAST_VERSION = Prepared(sa.select(sa.func.max(_v.version)).where(_v.queue == given("of_queue")))


def load_day(connection: sa.Connection, queue: str, local_date: str) -> PublishedDay | None:
    """Return a day's newest forecast, None if there is none."""
    body = _DAY.value(connection, of_queue=queue, day=local_date)
    return PublishedDay(**body) if body else None


def load_morning(connection: sa.Connection, queue: str, local_date: str) -> PublishedDay | None:
    """Return the newest forecast of a day that was not an intraday update."""
    text = _MORNING.value(connection, of_queue=queue, day=local_date)
    return _morning(text) if text and text != "null" else None


class Stood(NamedTuple):
    """What stands of today: the newest forecast that was not an intraday update, the factor by which the day on which it was fitted has
    moved it, and the one by which today has moved tomorrow; None: by none."""

    morning: PublishedDay
    moved: float | None
    moved_tomorrow: float | None


def load_today(connection: sa.Connection, queue: str, today: str, tomorrow: str) -> Stood | None:
    """Return what stands of today."""
    found = _TODAY.rows(connection, of_queue=queue, day=today, tomorrow=tomorrow)
    if not found or not found[0][0] or found[0][0] == "null":
        return None
    text, *factors = found[0]
    return Stood(_morning(text), *(None if factor is None else float(factor) for factor in factors))


def keep_moved(connection: sa.Connection, queue: str, factors: Mapping[str, float]) -> None:
    """Keep by what factor days, by local date, are moved."""
    for day, factor in factors.items():
        _MOVE.change(connection, of_queue=queue, day=day, factor=factor)


@functools.lru_cache(maxsize=200)  # 100 kB each; read at each close of its day, and changed by nobody
def _morning(text: str) -> PublishedDay:
    return PublishedDay(**orjson.loads(text))


def list_days(connection: sa.Connection, queue: str, first: str, last: str, limit: int, offset: int) -> list[PublishedDay]:
    """Return days in order."""
    d = t.forecast_day
    where = (d.c.queue == queue) & (d.c.local_date >= first) & (d.c.local_date <= last)
    query = sa.select(d.c.body).where(where).order_by(d.c.local_date).limit(limit).offset(offset)
    return [PublishedDay(**body) for body in connection.execute(query).scalars()]


def published_by(connection: sa.Connection, queue: str, local_date: str, then: int) -> list[bytes]:
    """Return what had been published of a day by an instant, oldest first."""
    v = t.forecast_version
    where = (v.c.queue == queue) & (v.c.local_date == local_date) & (v.c.made_at <= then)
    return [bytes(m) for m in connection.execute(sa.select(v.c.message).where(where).order_by(v.c.version)).scalars()]


def newest_by(connection: sa.Connection, queue: str, local_date: str, then: int) -> bytes | None:
    """Return what stood of a day to come at an instant, None if nothing did."""
    v = t.forecast_version
    where = (v.c.queue == queue) & (v.c.local_date == local_date) & (v.c.made_at <= then)
    body = connection.execute(sa.select(v.c.message).where(where).order_by(v.c.version.desc()).limit(1)).scalar()
    return bytes(body) if body else None


def next_version(connection: sa.Connection, queue: str) -> int:
    """Return the version that the queue's next publication gets."""
    return int(_LAST_VERSION.value(connection, of_queue=queue) or 0) + 1


def save_day(connection: sa.Connection, day: PublishedDay, message: bytes) -> None:
    """Keep a published day as published, and merged with what stood before."""
    merged = merge_days(load_day(connection, day.queue, day.local_date), day)
    key = {"queue": day.queue, "local_date": day.local_date}
    d = t.forecast_day
    if day.trigger == "INTRADAY":  # the morning's stays
        if _UPDATE.change(connection, of_queue=day.queue, day=day.local_date, updated=vars(merged)) == 0:
            upsert(connection, d, [{**key, "body": vars(merged), "morning": vars(merged)}])
    else:
        upsert(connection, d, [{**key, "body": vars(merged), "morning": vars(merged), "moved": None}])
    version = {"version": day.version, "made_at": day.made_at, "data_watermark": day.data_watermark, "message": message}
    upsert(connection, t.forecast_version, [{**key, **version}])
