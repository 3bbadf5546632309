"""Volume as packed cells with what was known when; contacts as packed rows; period locks and adjustments."""

import collections
import hashlib
import json
from typing import Any

import numpy as np
import sqlalchemy as sa
from alembic import op

from services.forecaster.domain.contacts import FINGERPRINT_BYTES, Stage, pack_rows
from services.forecaster.domain.tally import Tally, pack
from services.forecaster.domain.volume import Entry, minute_of, pack_entries

revision = "0002"
down_revision = "0001"

SPAN = (("queue", sa.Text()), ("starts_at", sa.BigInteger()), ("feed", sa.Text()), ("official", sa.Boolean()))


def _span(*more: tuple[str, Any]) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False, primary_key=True) for name, kind in (*SPAN, *more)]


def upgrade() -> None:
    """Create the new tables, carry over what is known, drop the old ones."""
    cell = op.create_table(
        "volume_cell",
        *_span(("from_report", sa.Boolean()), ("seconds", sa.Integer())),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.Column("chunks", sa.Integer(), server_default="0", nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("marks", sa.LargeBinary(), nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "volume_delta",
        *_span(("seconds", sa.Integer()), ("minute", sa.BigInteger())),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
    chunk = op.create_table(
        "contact_chunk",
        *_span(("seconds", sa.Integer()), ("seq", sa.Integer())),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "period_lock",
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=False),
        sa.Column("locked_at", sa.BigInteger(), nullable=False),
        sa.Column("locked_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("client"),
    )
    op.create_table(
        "volume_adjustment",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("adjustment_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("offered", sa.BigInteger(), nullable=True),
        sa.Column("answered", sa.BigInteger(), nullable=True),
        sa.Column("abandoned", sa.BigInteger(), nullable=True),
        sa.Column("handle_ms", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("adjusted_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("queue", "adjustment_id"),
    )
    seconds = _carry_cells(cell)
    _carry_contacts(chunk, seconds)
    _carry_closed()
    op.drop_table("volume_report")
    op.drop_index("ix_contact_arrived_at", "contact")
    op.drop_table("contact")


def _tally(text: Any) -> Tally:
    body = json.loads(text) if isinstance(text, str) else text
    bins = {k: tuple(body[k]) for k in ("edges", "answered_waits", "abandoned_waits") if k in body}
    return Tally(**{**body, **bins})


def _carry_cells(cell: sa.Table) -> dict[str, int]:
    """Carry over what feeds told of spans; return each queue's interval, where contacts were counted."""
    seconds, rows = {}, []
    for r in op.get_bind().execute(sa.text("SELECT * FROM volume_report")).all():
        known, tally = minute_of(r.known_at), _tally(r.tally)
        entry = Entry(known, r.revision, 0, tally)
        row = {"queue": r.queue, "starts_at": r.starts_at, "feed": r.feed, "official": bool(r.official), "stamp": 0}
        row |= {"from_report": bool(r.from_report), "seconds": r.seconds, "chunks": 0, "marks": None}
        if r.from_report:
            rows.append({**row, "body": pack_entries([entry])})
        else:
            seconds[r.queue] = r.seconds
            rows.append({**row, "chunks": 1, "body": pack([known], tally), "marks": pack_entries([Entry(known, 0, 0, tally)])})
    if rows:
        op.bulk_insert(cell, rows)
    return seconds


def _carry_contacts(chunk: sa.Table, seconds: dict[str, int]) -> None:
    """Carry over identities. Parts of handle time were not kept apart: their sum stands as talk."""
    cells: dict[tuple[str, int, str, bool], list[tuple[int, ...]]] = collections.defaultdict(list)
    for r in op.get_bind().execute(sa.text("SELECT * FROM contact")):
        feed, _, official = r.feed.partition("#")
        start = r.arrived_at - r.arrived_at % seconds[r.queue]
        print_ = int.from_bytes(bytes.fromhex(r.fingerprint)[:FINGERPRINT_BYTES])
        times = (-1 if value is None else value for value in (r.wait_ms, r.handle_ms, None, None))
        cells[r.queue, start, feed, bool(official)].append((print_, r.revision, Stage[r.stage], *times))
    rows = []
    for (queue, start, feed, official), contacts in sorted(cells.items()):
        body = pack_rows(np.array(sorted(contacts), np.int64))
        key = {"queue": queue, "starts_at": start, "feed": feed, "official": official, "seconds": seconds[queue]}
        rows.append({**key, "seq": 0, "body": body})
    if rows:
        op.bulk_insert(chunk, rows)


def _carry_closed() -> None:
    said = op.get_bind().execute(sa.text("SELECT queue, starts_at, revision, tally FROM closed_cell")).all()
    op.drop_table("closed_cell")
    closed = op.create_table(
        "closed_cell",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("queue", "starts_at"),
        sqlite_with_rowid=False,
    )
    rows = [
        {
            "queue": r.queue,
            "starts_at": r.starts_at,
            "revision": r.revision,
            "closed_at": r.starts_at,
            "digest": hashlib.blake2b(pack([], _tally(r.tally)), digest_size=8).digest(),
        }
        for r in said
    ]
    if rows:
        op.bulk_insert(closed, rows)
