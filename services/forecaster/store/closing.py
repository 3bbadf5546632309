"""SQL of closing: how far feeds have told, what is locked, what was said of each interval, and what waits for its queue."""

import dataclasses
import hashlib
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from muster.kit.statements import Prepared, given, upsert
from services.forecaster.domain.tally import Tally, pack
from services.forecaster.domain.volume import minute_of
from services.forecaster.store import tables as t

_queue = given("of_queue")
_p = t.feed_progress.c
_PROGRESS = Prepared(sa.select(_p.feed, _p.complete_through, _p.newest_fact_at, _p.first_told_at).where(_p.queue == _queue))
_CLOSED = Prepared(sa.select(t.closed.c.through).where(t.closed.c.queue == _queue))
_LOCKED = Prepared(sa.select(t.period_lock.c.through).where(t.period_lock.c.client == given("of_client")))
_said = (t.closed_cell.c.queue == _queue) & t.closed_cell.c.starts_at.between(given("first"), given("last"))
_SAID = Prepared(
    sa.select(*(t.closed_cell.c[n] for n in ("starts_at", "revision", "digest", "closed_at", "offered"))).where(_said)
)

CHUNK = 500


def locked_through(connection: sa.Connection, client: str) -> int:
    """Return the instant before which a client's volume is locked, 0 if never."""
    return int(_LOCKED.value(connection, of_client=client) or 0)


def lock_period(connection: sa.Connection, client: str, through: int, now: int, who: str) -> None:
    """Lock a client's volume before an instant."""
    upsert(connection, t.period_lock, [{"client": client, "through": through, "locked_at": now, "locked_by": who}])


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
    return {feed: Told(*told) for feed, *told in _PROGRESS.rows(connection, of_queue=queue)}


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
    return int(_CLOSED.value(connection, of_queue=queue) or 0)


def save_closed_through(connection: sa.Connection, queue: str, through: int) -> None:
    upsert(connection, t.closed, [{"queue": queue, "through": through}])


@dataclasses.dataclass(frozen=True)
class Said:
    """What was published of a closed interval: revision, a digest of the content, when first, how many were offered."""

    revision: int
    digest: bytes
    closed_at: int
    offered: int | None


def digest(tally: Tally, locked: float | None = None) -> bytes:
    """Return what tells one content of an interval from another. locked: contacts that were locked for it."""
    held = b"" if locked is None else struct.pack(">d", locked)
    return hashlib.blake2b(pack([], tally) + held, digest_size=8).digest()


def closed_cells(connection: sa.Connection, queue: str, starts: Iterable[int]) -> dict[int, Said]:
    """Return what was published of closed intervals, by start."""
    wanted = set(starts)
    ends = {"first": min(wanted, default=0), "last": max(wanted, default=-1)}
    rows = _SAID.rows(connection, of_queue=queue, **ends)
    return {start: Said(revision, bytes(digest), at, n) for start, revision, digest, at, n in rows if start in wanted}


def save_closed_cells(connection: sa.Connection, queue: str, rows: Iterable[tuple[int, Said]]) -> None:
    """Keep what was published."""
    saved = [{"queue": queue, "starts_at": s, **vars(said)} for s, said in rows]
    upsert(connection, t.closed_cell, saved)


def closing_minutes(connection: sa.Connection, begin: int, end: int) -> Callable[[str, int, int], int]:
    """Return a function (queue, starts_at, seconds) → the minute in which the interval was first closed, else its end."""
    c = t.closed_cell.c
    query = sa.select(c.queue, c.starts_at, c.closed_at).where((c.starts_at >= begin) & (c.starts_at < end))
    closed = {(r.queue, r.starts_at): r.closed_at for r in connection.execute(query)}
    return lambda queue, start, seconds: minute_of(closed.get((queue, start), start + seconds))


def parked_of(connection: sa.Connection, client: str) -> int:
    """Return how many facts about undeclared queues of a client are parked."""
    count = sa.select(sa.func.count()).where(t.parked.c.client == client)
    return int(connection.execute(count).scalar_one())


def park(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    """Park facts about an undeclared queue."""
    if rows:
        connection.execute(sa.insert(t.parked), rows)


def unpark(connection: sa.Connection, queue: str) -> list[sa.Row[Any]]:
    """Take the facts parked for a queue, in the order in which they came."""
    p = t.parked
    rows = list(connection.execute(sa.select(p).where(p.c.queue == queue).order_by(p.c.id)))
    connection.execute(sa.delete(p).where(p.c.queue == queue))
    return rows


def parked_count(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(t.parked)).scalar_one())
