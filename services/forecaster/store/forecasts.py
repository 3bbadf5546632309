"""SQL of forecasts: the newest of each day, and every one ever published."""

import sqlalchemy as sa

from muster.kit.sql import upsert
from services.forecaster.domain.facts import PublishedDay, merge_days
from services.forecaster.store import tables as t


def load_day(connection: sa.Connection, queue: str, local_date: str) -> PublishedDay | None:
    """Return a day's newest forecast, None if there is none."""
    d = t.forecast_day
    where = (d.c.queue == queue) & (d.c.local_date == local_date)
    body = connection.execute(sa.select(d.c.body).where(where)).scalar()
    return PublishedDay(**body) if body else None


def load_morning(connection: sa.Connection, queue: str, local_date: str) -> PublishedDay | None:
    """Return the newest forecast of a day that was not an intraday update."""
    d = t.forecast_day
    where = (d.c.queue == queue) & (d.c.local_date == local_date)
    body = connection.execute(sa.select(d.c.morning).where(where)).scalar()
    return PublishedDay(**body) if body else None


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
    v = t.forecast_version
    return int(connection.execute(sa.select(sa.func.max(v.c.version)).where(v.c.queue == queue)).scalar() or 0) + 1


def save_day(connection: sa.Connection, day: PublishedDay, message: bytes) -> None:
    """Keep a published day as published, and merged with what stood before."""
    merged = merge_days(load_day(connection, day.queue, day.local_date), day)
    key = {"queue": day.queue, "local_date": day.local_date}
    d = t.forecast_day
    if day.trigger == "INTRADAY":  # the morning's stays
        changed = sa.update(d).where((d.c.queue == day.queue) & (d.c.local_date == day.local_date)).values(body=vars(merged))
        if connection.execute(changed).rowcount == 0:
            upsert(connection, d, [{**key, "body": vars(merged), "morning": vars(merged)}])
    else:
        upsert(connection, d, [{**key, "body": vars(merged), "morning": vars(merged)}])
    version = {"version": day.version, "made_at": day.made_at, "data_watermark": day.data_watermark, "message": message}
    upsert(connection, t.forecast_version, [{**key, **version}])
