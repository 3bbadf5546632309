"""A service's copy of the book in its own SQL: every generation of every row, the newest in force; and the owner's changes."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from muster.book.check import check_book
from muster.book.fields import DatedRow
from muster.book.types import Book, topic_of
from muster.book.view import BookView
from muster.book.wire import body_of, row_from_body, row_from_message, row_to_message
from muster.kit.codec import decode, encode
from muster.kit.errors import MusterError
from muster.kit.logs import get_log
from muster.kit.outbox import Outgoing
from muster.kit.state_topics import StateRecord
from muster.kit.statements import upsert
from muster.v1 import book_pb2

Key = tuple[str, str, str]


def add_book_tables(metadata: sa.MetaData) -> None:
    """Declare the table of the book's rows: what was true when, and what was known when."""
    sa.Table(
        "book_row",
        metadata,
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("valid_from", sa.Text, primary_key=True),
        sa.Column("generation", sa.BigInteger, primary_key=True),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
        sa.Column("body", sa.JSON, nullable=False),
    )


@dataclasses.dataclass(frozen=True)
class Difference:
    """One row that applying a book changes (ADD, CHANGE, DELETE) or leaves only for want of --prune (KEEP)."""

    kind: str
    name: str
    valid_from: str
    change: str
    fields: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Stored:
    """The newest generation of a row."""

    generation: int
    deleted_at: int | None
    body: dict[str, Any]


class BookCopy:
    """The book of one service."""

    def __init__(self, metadata: sa.MetaData) -> None:
        self._table = metadata.tables["book_row"]
        self._count = sa.select(sa.func.count()).select_from(self._table)
        self._cached: tuple[int, BookView] | None = None
        self._seen: tuple[sa.RootTransaction, BookView] | None = None
        self._changing: sa.RootTransaction | None = None
        self.on_change: Callable[[sa.Connection, set[Key]], None] = lambda connection, changed: None

    def keep(self, connection: sa.Connection, records: Sequence[StateRecord]) -> None:
        """Take messages of state topics; a message that isn't a valid row is left out, and said so."""
        newest: dict[Key, book_pb2.BookRow] = {}
        for record in records:
            if record.value is None:
                continue
            try:
                message = decode(book_pb2.BookRow, record.value, {})
                row_from_message(message)
            except (MusterError, ValueError, KeyError) as error:
                get_log().error(
                    "book_row_ignored", topic=record.topic, why=str(error), then="declare it again with muster apply"
                )
                continue
            key = (message.kind, message.name, message.valid_from)
            if key not in newest or newest[key].generation < message.generation:
                newest[key] = message
        stored = self._stored(connection) if newest else {}
        changed = {key for key, m in newest.items() if key not in stored or stored[key].generation < m.generation}
        upsert(connection, self._table, [self._row(newest[key]) for key in sorted(changed)])
        if changed:
            self._seen, self._changing = None, connection.get_transaction()
            self.on_change(connection, changed)

    def _row(self, message: book_pb2.BookRow) -> dict[str, Any]:
        return {
            "kind": message.kind,
            "name": message.name,
            "valid_from": message.valid_from,
            "generation": message.generation,
            "recorded_at": message.recorded_at.seconds,
            "deleted_at": message.delete_time.seconds if message.HasField("delete_time") else None,
            "body": body_of(row_from_message(message)),
        }

    def _stored(self, connection: sa.Connection) -> dict[Key, Stored]:
        t = self._table
        query = sa.select(t.c.kind, t.c.name, t.c.valid_from, t.c.generation, t.c.deleted_at, t.c.body)
        return {
            (r.kind, r.name, r.valid_from): Stored(r.generation, r.deleted_at, r.body)
            for r in connection.execute(query.order_by(t.c.generation))
        }

    def view(self, connection: sa.Connection) -> BookView:
        """Return the book as it stands; within a transaction it is looked at once, unless the transaction changes it. What that
        makes of it is kept for it alone: it may be rolled back."""
        within, seen = connection.get_transaction(), self._seen
        if within is not None and seen is not None and seen[0] is within:
            return seen[1]
        version = connection.execute(self._count).scalar_one()
        cached = self._cached
        if cached is None or cached[0] != version:
            rows: dict[str, dict[tuple[str, str], DatedRow]] = {}
            for (kind, name, valid_from), stored in self._stored(connection).items():
                if stored.deleted_at is None:
                    rows.setdefault(kind, {})[name, valid_from] = row_from_body(kind, stored.body)
            cached = (version, BookView(rows))
            if within is None or within is not self._changing:
                self._cached = cached
        self._seen = (within, cached[1]) if within is not None else None
        return cached[1]

    def messages(self, connection: sa.Connection, kinds: Iterable[str], limit: int, offset: int) -> list[book_pb2.BookRow]:
        """Return rows of some kinds as they stand, by kind and key."""
        t = self._table
        newest = sa.select(t.c.kind, t.c.name, t.c.valid_from, sa.func.max(t.c.generation).label("generation"))
        last = newest.where(t.c.kind.in_(list(kinds))).group_by(t.c.kind, t.c.name, t.c.valid_from).subquery()
        same = sa.and_(*[t.c[n] == last.c[n] for n in ("kind", "name", "valid_from", "generation")])
        query = sa.select(t).join(last, same).where(t.c.deleted_at.is_(None)).order_by(t.c.kind, t.c.name, t.c.valid_from)
        return [
            row_to_message(r.kind, row_from_body(r.kind, r.body), r.generation, r.recorded_at, None)
            for r in connection.execute(query.limit(limit).offset(offset))
        ]


class BookOwner:
    """Changes the kinds that a service owns, and tells everyone on their state topics."""

    def __init__(self, copy: BookCopy, kinds: tuple[str, ...]) -> None:
        self._copy, self._kinds = copy, kinds

    def compare(self, connection: sa.Connection, book: Book, prune: bool) -> tuple[list[Difference], int]:
        """Return what applying the book would change, and how many rows stand as declared."""
        stored = {k: s for k, s in self._copy._stored(connection).items() if k[0] in self._kinds and s.deleted_at is None}
        wanted = {(kind, r.name, r.valid_from): r for kind in self._kinds for r in getattr(book, kind)}
        differences = []
        for key, row in sorted(wanted.items()):
            if key not in stored:
                differences.append(Difference(*key, "ADD"))
            elif fields := _fields(stored[key].body, body_of(row)):
                differences.append(Difference(*key, "CHANGE", fields))
        unchanged = len(wanted) - len(differences)
        gone = [Difference(*key, "DELETE" if prune else "KEEP") for key in sorted(stored.keys() - wanted.keys())]
        return differences + gone, unchanged

    def apply(
        self, connection: sa.Connection, book: Book, prune: bool, now: int
    ) -> tuple[list[Difference], int, list[Outgoing]]:
        """Make the owned kinds so; return what changed and the messages that say it. Raise Refusal; then nothing changed."""
        check_book(book)
        differences, unchanged = self.compare(connection, book, prune)
        stored = self._copy._stored(connection)
        wanted = {(kind, r.name, r.valid_from): r for kind in self._kinds for r in getattr(book, kind)}
        messages, records = [], []
        for d in differences:
            if d.change == "KEEP":
                continue
            key = (d.kind, d.name, d.valid_from)
            generation = stored[key].generation + 1 if key in stored else 1
            row = wanted[key] if key in wanted else row_from_body(d.kind, stored[key].body)
            message = row_to_message(d.kind, row, generation, now, now if d.change == "DELETE" else None)
            topic, value = topic_of(d.kind), encode(message)
            messages.append(Outgoing(topic, d.name + (f"@{d.valid_from}" if d.valid_from else ""), value))
            records.append(StateRecord(topic, value))
        self._copy.keep(connection, records)
        return differences, unchanged, messages


def _fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    names = sorted(n for n in old.keys() | new.keys() if old.get(n) != new.get(n))
    return tuple(f"{n}: {_short(old.get(n))} → {_short(new.get(n))}" for n in names)


def _short(value: Any) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
