"""SQL of what goes with a forecast: totals of past days, twelve months and incidents, forecasts that others made, and the locked."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from muster.kit.statements import given, upsert
from services.forecaster.domain.accuracy import Score
from services.forecaster.domain.facts import LockedDay, Received
from services.forecaster.store import tables as t

_l = t.locked_day.c
_LOCKED = sa.select(t.locked_day).where((_l.queue == given("of_queue")) & _l.local_date.between(given("first"), given("last")))


def day_totals(connection: sa.Connection, queue: str) -> dict[dt.date, float]:
    """Return what past normal days brought."""
    d = t.day_total
    rows = connection.execute(sa.select(d.c.local_date, d.c.offered).where(d.c.queue == queue))
    return {dt.date.fromisoformat(day): float(offered) for day, offered in rows}


def save_day_totals(connection: sa.Connection, queue: str, seen: Mapping[dt.date, float], since: dt.date | None) -> None:
    """Keep what the days from `since` on brought, in place of what was kept of them."""
    d = t.day_total
    if since is not None:
        connection.execute(sa.delete(d).where((d.c.queue == queue) & (d.c.local_date >= since.isoformat())))
    upsert(connection, d, [{"queue": queue, "local_date": day.isoformat(), "offered": n} for day, n in sorted(seen.items())])


def save_outlook(connection: sa.Connection, queue: str, made_at: int, body: dict[str, Any]) -> None:
    upsert(connection, t.queue_outlook, [{"queue": queue, "made_at": made_at, "body": body}])


def load_outlook(connection: sa.Connection, queue: str) -> tuple[int, dict[str, Any]] | None:
    """Return when a queue's outlook was made, and it; None before the first fit."""
    o = t.queue_outlook
    row = connection.execute(sa.select(o.c.made_at, o.c.body).where(o.c.queue == queue)).first()
    return (int(row[0]), dict(row[1])) if row else None


def save_scores(connection: sa.Connection, queue: str, local_date: str, leads: Mapping[int, Score]) -> None:
    rows = [{"queue": queue, "local_date": local_date, "lead": lead, "body": vars(score)} for lead, score in leads.items()]
    upsert(connection, t.day_score, rows)


def scores_since(connection: sa.Connection, local_date: str) -> dict[tuple[str, int], Score]:
    """Return the scores of the days from one on, summed by queue and lead."""
    d, found = t.day_score, dict[tuple[str, int], Score]()
    for queue, lead, body in connection.execute(sa.select(d.c.queue, d.c.lead, d.c.body).where(d.c.local_date >= local_date)):
        found[queue, lead] = found.get((queue, lead), Score()).add(Score(**body))
    return found


def save_received(connection: sa.Connection, days: list[Received]) -> None:
    """Keep forecasts as received; the same revision again changes nothing but adds intervals that it did not carry before."""
    r = t.received_forecast
    for day in days:
        key = {"queue": day.queue, "local_date": day.local_date, "source": day.source, "revision": day.revision}
        where = sa.and_(*(r.c[name] == value for name, value in key.items()))
        known = connection.execute(sa.select(r.c.received_at, r.c.body, r.c.times).where(where)).first()
        if known is None:
            body = {"starts": day.starts, "offered": day.offered, "aht": day.aht}
            row = {**key, "received_at": day.received_at, "sent_by": day.sent_by, "body": body}
            connection.execute(sa.insert(r).values(row))
        elif set(day.starts) - set(known.body["starts"]):
            times = known.times or [known.received_at] * len(known.body["starts"])
            body, times = _joined(known.body, times, day)
            connection.execute(sa.update(r).where(where).values(body=body, times=times))


def _joined(known: dict[str, Any], times: list[int], day: Received) -> tuple[dict[str, Any], list[int]]:
    """Return a day's intervals with those added that another message of the same revision carries, and when each came."""
    more = {s: n for n, s in enumerate(day.starts) if s not in set(known["starts"])}
    both = bool(known["aht"]) and bool(day.aht)
    rows = list(zip(known["starts"], known["offered"], known["aht"] or known["offered"], times, strict=True))
    rows += [(s, day.offered[n], day.aht[n] if both else 0.0, day.received_at) for s, n in more.items()]
    starts, offered, aht, came = (list(column) for column in zip(*sorted(rows), strict=True))
    return {"starts": starts, "offered": offered, "aht": aht if both else []}, came


def received(connection: sa.Connection, queue: str, local_date: str, source: str, by: int | None = None) -> Received | None:
    """Return the highest revision of a day's forecast, of what was received by an instant: of what came in several messages, those parts."""
    r = t.received_forecast
    where = (r.c.queue == queue) & (r.c.local_date == local_date) & (r.c.source == source)
    for row in connection.execute(sa.select(r).where(where).order_by(r.c.revision.desc())):
        times = row.times or [row.received_at] * len(row.body["starts"])
        kept = [n for n, came in enumerate(times) if by is None or came <= by]
        if kept:
            body = {name: [values[n] for n in kept] if values else [] for name, values in row.body.items()}
            return Received(queue, local_date, source, row.revision, min(times), row.sent_by, **body)
    return None


def locked_days(connection: sa.Connection, queue: str, first: str, last: str) -> dict[str, LockedDay]:
    """Return the forecasts that were locked for days, by local date; of days of which nothing closed under a lock, none."""
    rows = connection.execute(_LOCKED, {"of_queue": queue, "first": first, "last": last})
    return {r.local_date: LockedDay(queue, r.local_date, r.locked_at, since=r.since, **r.body) for r in rows}


def save_locked(connection: sa.Connection, day: LockedDay) -> None:
    body = {"source": day.source, "starts": day.starts, "offered": day.offered}
    key = {"queue": day.queue, "local_date": day.local_date}
    upsert(connection, t.locked_day, [{**key, "locked_at": day.locked_at, "since": day.since, "body": body}])
