"""SQL of volume: load the slices that facts touch, save what they became."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from muster.kit.sql import upsert
from services.forecaster.domain.volume import ContactState, Report, Stage, Tally
from services.forecaster.store import tables as t

CHUNK = 500


def tally_body(tally: Tally) -> dict[str, Any]:
    """Return a tally as JSON-able data, what is None left out."""
    return {k: v for k, v in dataclasses.asdict(tally).items() if v is not None and v != ()}


def tally_from(body: Mapping[str, Any]) -> Tally:
    """Return the tally of its data."""
    bins = {k: tuple(body[k]) for k in ("edges", "answered_waits", "abandoned_waits") if k in body}
    return Tally(**{**body, **bins})


def _report_from(row: Any) -> Report:
    return Report(row.feed, row.official, row.from_report, row.starts_at, row.seconds, row.revision, tally_from(row.tally))


def load_contacts(connection: sa.Connection, queue: str, feed: str, prints: Iterable[str]) -> dict[str, ContactState]:
    """Return what is known of contacts, by fingerprint."""
    known, c, wanted = {}, t.contact.c, sorted(set(prints))
    for i in range(0, len(wanted), CHUNK):
        where = (c.queue == queue) & (c.feed == feed) & c.fingerprint.in_(wanted[i : i + CHUNK])
        for r in connection.execute(sa.select(t.contact).where(where)):
            known[r.fingerprint] = ContactState(r.fingerprint, r.revision, r.arrived_at, Stage(r.stage), r.wait_ms, r.handle_ms)
    return known


def save_contacts(connection: sa.Connection, queue: str, feed: str, contacts: Iterable[ContactState]) -> None:
    """Keep contacts' newest states."""
    rows = [{"queue": queue, "feed": feed, **dataclasses.asdict(c), "stage": str(c.stage)} for c in contacts]
    upsert(connection, t.contact, rows)


def load_reports(connection: sa.Connection, queue: str, starts: Iterable[int]) -> list[Report]:
    """Return what any feed says of spans that start at the given instants."""
    found, c, wanted = [], t.report.c, sorted(set(starts))
    for i in range(0, len(wanted), CHUNK):
        where = (c.queue == queue) & c.starts_at.in_(wanted[i : i + CHUNK])
        found += [_report_from(r) for r in connection.execute(sa.select(t.report).where(where))]
    return found


def reports_between(connection: sa.Connection, queue: str, begin: int, end: int) -> list[Report]:
    """Return what any feed says of spans that touch [begin, end); the longest span is a day."""
    c = t.report.c
    where = (c.queue == queue) & (c.starts_at > begin - 86_400) & (c.starts_at < end) & (c.starts_at + c.seconds > begin)
    return [_report_from(r) for r in connection.execute(sa.select(t.report).where(where).order_by(c.starts_at))]


def save_reports(connection: sa.Connection, queue: str, reports: Iterable[Report], known_at: Mapping[int, int]) -> None:
    """Keep what feeds say; `known_at` by start."""
    rows = [
        {
            "queue": queue,
            "starts_at": r.starts_at,
            "feed": r.feed,
            "official": r.official,
            "from_report": r.from_report,
            "seconds": r.seconds,
            "revision": r.revision,
            "known_at": known_at[r.starts_at],
            "tally": tally_body(r.tally),
        }
        for r in reports
    ]
    upsert(connection, t.report, rows)


@dataclasses.dataclass(frozen=True)
class Told:
    """How far a feed has told of a queue. Instants; None: never said. `first_told_at`: since when it speaks at all."""

    complete_through: int | None = None
    newest_fact_at: int | None = None
    first_told_at: int | None = None

    def with_(self, other: "Told") -> "Told":
        """Return both together."""

        def pick(choose: Callable[..., int], name: str) -> int | None:
            values = [v for v in (getattr(self, name), getattr(other, name)) if v]
            return choose(values) if values else None

        return Told(pick(max, "complete_through"), pick(max, "newest_fact_at"), pick(min, "first_told_at"))


def progress_of(connection: sa.Connection, queue: str) -> dict[str, Told]:
    """Return how far each feed has told of a queue."""
    f = t.feed_progress
    rows = connection.execute(sa.select(f).where(f.c.queue == queue))
    return {r.feed: Told(r.complete_through, r.newest_fact_at, r.first_told_at) for r in rows}


def raise_progress(connection: sa.Connection, queue: str, feed: str, told: Told) -> None:
    """Raise what a feed has told of a queue, never lower it. Its first word vouches for nothing before."""
    old = progress_of(connection, queue).get(feed, Told())
    first = told.first_told_at or (None if old.first_told_at else told.complete_through)
    new = old.with_(dataclasses.replace(told, first_told_at=first))
    upsert(connection, t.feed_progress, [{"queue": queue, "feed": feed, **dataclasses.asdict(new)}])


def all_progress(connection: sa.Connection) -> Sequence[sa.Row[Any]]:
    """Return every feed's progress by queue, with what is closed."""
    f, c = t.feed_progress, t.closed
    query = sa.select(f, c.c.through).outerjoin(c, c.c.queue == f.c.queue).order_by(f.c.queue, f.c.feed)
    return connection.execute(query).all()


def closed_through(connection: sa.Connection, queue: str) -> int:
    """Return the instant before which a queue is closed, 0 if never."""
    return int(connection.execute(sa.select(t.closed.c.through).where(t.closed.c.queue == queue)).scalar() or 0)


def save_closed_through(connection: sa.Connection, queue: str, through: int) -> None:
    upsert(connection, t.closed, [{"queue": queue, "through": through}])


def closed_cells(connection: sa.Connection, queue: str, starts: Iterable[int]) -> dict[int, tuple[int, dict[str, Any]]]:
    """Return (revision, what was said) of intervals published as closed, by start."""
    found, c, wanted = {}, t.closed_cell.c, sorted(starts)
    for i in range(0, len(wanted), CHUNK):
        where = (c.queue == queue) & c.starts_at.in_(wanted[i : i + CHUNK])
        for r in connection.execute(sa.select(t.closed_cell).where(where)):
            found[r.starts_at] = (r.revision, r.tally)
    return found


def save_closed_cells(connection: sa.Connection, queue: str, rows: Iterable[tuple[int, int, dict[str, Any]]]) -> None:
    """Keep (start, revision, what was said)."""
    saved = [{"queue": queue, "starts_at": s, "revision": r, "tally": body} for s, r, body in rows]
    upsert(connection, t.closed_cell, saved)


def park(connection: sa.Connection, row: dict[str, Any], limit: int) -> bool:
    """Park a fact about an undeclared queue; False if its client has `limit` parked already."""
    count = sa.select(sa.func.count()).where(t.parked.c.client == row["client"])
    if connection.execute(count).scalar_one() >= limit:
        return False
    connection.execute(sa.insert(t.parked).values(row))
    return True


def unpark(connection: sa.Connection, queue: str) -> list[sa.Row[Any]]:
    """Take the facts parked for a queue, in the order in which they came."""
    p = t.parked
    rows = list(connection.execute(sa.select(p).where(p.c.queue == queue).order_by(p.c.id)))
    connection.execute(sa.delete(p).where(p.c.queue == queue))
    return rows


def parked_count(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(t.parked)).scalar_one())
