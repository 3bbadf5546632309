"""SQL of volume: load the slices that facts touch, save what they became."""

import collections
import dataclasses
import secrets
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import sqlalchemy as sa

from muster.domain.calendar import DAY
from muster.kit.statements import given, upsert
from services.forecaster.domain.contacts import NONE, PRINT, Rows, pack_rows, unpack_rows
from services.forecaster.domain.facts import Adjustment
from services.forecaster.domain.tally import add_tallies, pack, unpack
from services.forecaster.domain.volume import Entry, Report, Span, compact, pack_entries, unpack_entries
from services.forecaster.handlers.volume import ContactSpan, SpanKey, VolumeSlice
from services.forecaster.store import tables as t

_cell, _delta, _chunk = t.cell.c, t.delta.c, t.chunk.c
_queue, _begin, _end, _starts = given("of_queue"), given("begin"), given("end"), given("starts", many=True)
_told_by_contacts = _cell.starts_at.in_(_starts) & sa.not_(_cell.from_report) & (_cell.seconds == given("of_seconds"))
_CONTACTS = sa.select(_cell.feed, _cell.official, _cell.starts_at, _cell.seconds, _cell.stamp, _cell.chunks, _cell.body).where(
    (_cell.queue == _queue) & _told_by_contacts
)
_DELTAS = sa.select(t.delta).where((_delta.queue == _queue) & _delta.starts_at.in_(_starts) & (_delta.minute >= given("since")))
_touching = (_cell.starts_at > _begin - DAY) & (_cell.starts_at < _end) & (_cell.starts_at + _cell.seconds > _begin)
_SPANS = (
    sa.select(t.cell)
    .where((_cell.queue == _queue) & _touching)
    .order_by(_cell.starts_at, _cell.feed, _cell.official, _cell.from_report, _cell.seconds)
)

CHUNK = 500
MOST_CHUNKS = 16
# An interval of up to so many contacts is one chunk, written whole; larger ones grow by chunks of what came.
WHOLE_ROWS = 4000
HOT_ROWS = 400_000


class HotContacts:
    """Contacts of the intervals touched last, each valid while its cell's stamp is the one it was read or written under."""

    def __init__(self, most_rows: int = HOT_ROWS) -> None:
        self._most, self._count = most_rows, 0
        self._kept: collections.OrderedDict[tuple[Any, ...], tuple[int, Rows]] = collections.OrderedDict()

    def get(self, key: tuple[Any, ...], stamp: int) -> Rows | None:
        """Return the contacts of a cell if they are those of its stamp."""
        kept = self._kept.get(key)
        return kept[1] if kept and kept[0] == stamp else None

    def put(self, key: tuple[Any, ...], stamp: int, rows: Rows) -> None:
        """Keep a cell's contacts; those touched longest ago go first."""
        old = self._kept.pop(key, None)
        self._count += len(rows) - (len(old[1]) if old else 0)
        self._kept[key] = (stamp, rows)
        while self._count > self._most and len(self._kept) > 1:
            self._count -= len(self._kept.popitem(last=False)[1][1])


def _in_parts(wanted: Iterable[int]) -> Iterable[list[int]]:
    ordered = sorted(set(wanted))
    return (ordered[i : i + CHUNK] for i in range(0, len(ordered), CHUNK))


def _starting(column: sa.ColumnElement[int], part: list[int]) -> sa.ColumnElement[bool]:
    """Return the condition that spans start at these instants; of close ones as a range, which may hold a few more."""
    if len(part) > 8 and part[-1] - part[0] <= 3600 * len(part):
        return column.between(part[0], part[-1])
    return column.in_(part)


def _key(row: Any) -> SpanKey:
    return row.feed, row.official, row.starts_at, row.seconds


def _columns(queue: str, key: SpanKey) -> dict[str, Any]:
    feed, official, starts_at, seconds = key
    return {"queue": queue, "feed": feed, "official": official, "starts_at": starts_at, "seconds": seconds}


def _of(table: sa.Table, queue: str, key: SpanKey) -> sa.ColumnElement[bool]:
    return sa.and_(*(table.c[name] == value for name, value in _columns(queue, key).items()))


def load_contacts(connection: sa.Connection, state: VolumeSlice, starts: Iterable[int], hot: HotContacts) -> None:
    """Load the intervals that start at the given instants as contacts told them, with their contacts."""
    for part in _in_parts(starts):
        wanted = {"of_queue": state.queue, "starts": part, "of_seconds": state.seconds}
        for row in connection.execute(_CONTACTS, wanted):
            key = _key(row)
            rows = hot.get((state.queue, *key), row.stamp)
            if rows is None:
                rows = _read_chunks(connection, state.queue, key)
            (minute,), total, _ = unpack(bytes(row.body), 1)
            state.contacts[key] = ContactSpan(total.edges, total, minute, rows, row.chunks)


def _read_chunks(connection: sa.Connection, queue: str, key: SpanKey) -> Rows:
    query = sa.select(t.chunk.c.body).where(_of(t.chunk, queue, key)).order_by(t.chunk.c.seq)
    parts = [unpack_rows(bytes(body)) for (body,) in connection.execute(query)]
    if not parts:
        return NONE
    rows: Rows = np.concatenate(parts)
    rows = rows[np.argsort(rows[:, PRINT], kind="stable")]
    last = np.append(rows[1:, PRINT] != rows[:-1, PRINT], True)
    newest: Rows = rows[last]
    return newest


def save_contacts(connection: sa.Connection, state: VolumeSlice, hot: HotContacts) -> None:
    """Save the intervals that a batch of contacts changed, in the same transaction as everything else it did."""
    changed = {key: span for key, span in state.contacts.items() if span.came}
    if not changed:
        return
    cells, chunks, stamp = [], [], secrets.randbits(62)
    for key, span in sorted(changed.items()):
        columns, count = _columns(state.queue, key), span.chunks
        came = np.concatenate(span.came)
        if count >= MOST_CHUNKS or len(span.contacts) <= WHOLE_ROWS:
            if count > 1:
                connection.execute(sa.delete(t.chunk).where(_of(t.chunk, state.queue, key)))
            came, count = span.contacts, 0
        chunks.append({**columns, "seq": count, "body": pack_rows(came)})
        body = pack([span.newest_minute], span.total)
        cells.append({**columns, "from_report": False, "stamp": stamp, "chunks": count + 1, "body": body})
        hot.put((state.queue, *key), stamp, span.contacts)
    upsert(connection, t.cell, cells)
    upsert(connection, t.chunk, chunks)
    _save_deltas(connection, state.queue, changed)


def _save_deltas(connection: sa.Connection, queue: str, changed: dict[SpanKey, ContactSpan]) -> None:
    before = {}
    since = min((minute for span in changed.values() for minute in span.added), default=0)
    for part in _in_parts(key[2] for key in changed):
        for row in connection.execute(_DELTAS, {"of_queue": queue, "starts": part, "since": since}):
            before[_key(row), row.minute] = bytes(row.body)
    rows = []
    for key, span in sorted(changed.items()):
        for minute, added in sorted(span.added.items()):
            old = before.get((key, minute))
            whole = add_tallies([unpack(old, 0)[1], added]) if old else added
            rows.append({**_columns(queue, key), "minute": minute, "body": pack([], whole)})
    upsert(connection, t.delta, rows)


def load_reports(connection: sa.Connection, state: VolumeSlice, starts: Iterable[int]) -> None:
    """Load what reports told of spans that start at the given instants."""
    c = t.cell.c
    for part in _in_parts(starts):
        query = sa.select(c.feed, c.official, c.starts_at, c.seconds, c.body)
        for row in connection.execute(query.where((c.queue == state.queue) & _starting(c.starts_at, part) & c.from_report)):
            state.reports[_key(row)] = bytes(row.body)


def save_reports(connection: sa.Connection, state: VolumeSlice) -> None:
    """Save the reports that a batch changed."""
    stamp = secrets.randbits(62)
    rows = [
        {
            **_columns(state.queue, key),
            "from_report": True,
            "stamp": stamp,
            "chunks": 0,
            "body": state.reports[key],
        }
        for key in sorted(state.changed_reports)
    ]
    upsert(connection, t.cell, rows)


def _spans(connection: sa.Connection, queue: str, begin: int, end: int) -> Iterable[sa.Row[Any]]:
    """Return the rows of spans that touch [begin, end); the longest span is a day."""
    return connection.execute(_SPANS, {"of_queue": queue, "begin": begin, "end": end})


def _newest(row: Any) -> Report:
    if row.from_report:
        e = unpack_entries(bytes(row.body))[-1]
        return Report(row.feed, row.official, True, row.starts_at, row.seconds, e.revision, e.tally, e.attribution)
    return Report(row.feed, row.official, False, row.starts_at, row.seconds, 0, unpack(bytes(row.body), 1)[1])


def reports_between(connection: sa.Connection, queue: str, begin: int, end: int) -> list[Report]:
    """Return what any feed says of spans that touch [begin, end), as best known."""
    return [_newest(row) for row in _spans(connection, queue, begin, end)]


def spans_between(connection: sa.Connection, queue: str, begin: int, end: int) -> list[Span]:
    """Return the same with all that was told of each span, and when."""
    d, added = t.delta.c, collections.defaultdict(list)
    where = (d.queue == queue) & (d.starts_at > begin - 86_400) & (d.starts_at < end)
    for row in connection.execute(sa.select(t.delta).where(where).order_by(d.minute)):
        added[_key(row)].append(Entry(row.minute, 0, 0, unpack(bytes(row.body), 0)[1]))
    spans = []
    for row in _spans(connection, queue, begin, end):
        key = (row.feed, row.official, row.from_report, row.starts_at, row.seconds)
        if row.from_report:
            entries = unpack_entries(bytes(row.body))
            spans.append(Span(*key, entries[-1], tuple(entries)))
        else:
            (minute,), total, _ = unpack(bytes(row.body), 1)
            marks = unpack_entries(bytes(row.marks or b""))
            spans.append(Span(*key, Entry(minute, 0, 0, total), (*marks, *added[_key(row)])))
    return spans


def compact_spans(connection: sa.Connection, before: int, closed_at: Callable[[str, int, int], int]) -> int:
    """Compact to marks what was told of spans that start before an instant; return how many were.

    closed_at(queue, starts_at, seconds): the minute of the close. Contacts' identities and additions go.
    """
    d, c = t.delta.c, t.cell.c
    old = connection.execute(sa.select(t.delta).where(d.starts_at < before).order_by(d.queue, d.starts_at, d.minute))
    added: dict[tuple[str, SpanKey], list[Entry]] = collections.defaultdict(list)
    for row in old:
        added[row.queue, _key(row)].append(Entry(row.minute, 0, 0, unpack(bytes(row.body), 0)[1]))
    for (queue, key), entries in added.items():
        where = _of(t.cell, queue, key) & sa.not_(c.from_report)
        marks = connection.execute(sa.select(c.marks).where(where)).scalar()
        kept = compact([*unpack_entries(bytes(marks or b"")), *entries], closed_at(queue, key[2], key[3]), adds=True)
        connection.execute(sa.update(t.cell).where(where).values(marks=pack_entries(kept), chunks=0))
    connection.execute(sa.delete(t.delta).where(d.starts_at < before))
    connection.execute(sa.delete(t.chunk).where(t.chunk.c.starts_at < before))
    return len(added)


def compact_reports(connection: sa.Connection, since: int, before: int, closed_at: Callable[[str, int, int], int]) -> None:
    """Compact to marks what reports told of spans that start between two instants; restatements after a day all stay."""
    c = t.cell.c
    for row in connection.execute(
        sa.select(t.cell).where(c.from_report & (c.starts_at >= since) & (c.starts_at < before))
    ).all():
        entries = unpack_entries(bytes(row.body))
        kept = compact(entries, closed_at(row.queue, row.starts_at, row.seconds), adds=False)
        if len(kept) < len(entries):
            where = _of(t.cell, row.queue, _key(row)) & c.from_report
            connection.execute(sa.update(t.cell).where(where).values(body=pack_entries(kept)))


def newest_contact(connection: sa.Connection) -> int:
    """Return the start of the newest interval of which identities are kept, 0 if none."""
    return int(connection.execute(sa.select(sa.func.max(t.chunk.c.starts_at))).scalar() or 0)


def load_adjustments(connection: sa.Connection, state: VolumeSlice, ids: Iterable[str]) -> None:
    """Load what is known of adjustments."""
    where = (t.adjustment.c.queue == state.queue) & t.adjustment.c.adjustment_id.in_(sorted(set(ids)))
    for row in connection.execute(sa.select(t.adjustment).where(where)):
        state.adjustments[row.adjustment_id] = _adjustment(row)


def _adjustment(row: Any) -> Adjustment:
    return Adjustment(**{f.name: getattr(row, f.name) for f in dataclasses.fields(Adjustment)})


def save_adjustments(connection: sa.Connection, state: VolumeSlice) -> None:
    """Save adjustments."""
    upsert(connection, t.adjustment, [{"queue": state.queue, **dataclasses.asdict(a)} for a in state.adjustments.values()])


def adjustments_between(connection: sa.Connection, queue: str, begin: int, end: int) -> list[Adjustment]:
    """Return a queue's adjustments of intervals that start between two instants."""
    a = t.adjustment.c
    where = (a.queue == queue) & (a.starts_at >= begin) & (a.starts_at < end)
    rows = connection.execute(sa.select(t.adjustment).where(where).order_by(a.starts_at, a.adjustment_id))
    return [_adjustment(row) for row in rows]
