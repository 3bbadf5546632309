"""The compiled reader and the careful one read the same from the same bytes."""

import pathlib
import random
import time
from typing import Any

import numpy as np
import sqlalchemy as sa
from google.protobuf.json_format import MessageToJson

from muster.book.check import parse_book
from muster.book.copy import BookCopy, BookOwner
from muster.book.types import KINDS as KINDS_OF_THE_BOOK
from muster.kit.clock import SystemClock
from muster.kit.due import DueWork
from muster.kit.errors import Refusal
from muster.kit.loop import Fact
from muster.kit.sql import Database, migrate
from muster.v1 import book_pb2, volume_pb2
from services.forecaster.scan import scan_contacts
from services.forecaster.store import closing, volume
from services.forecaster.store.tables import metadata
from services.forecaster.streams import Streams
from services.forecaster.volume_wire import read_observed
from tests.support.ledger import messages, write_ledger
from tests.support.rubbish import KINDS
from tests.support.small_world import book as small_book

NOW = int(time.time())


def careful(values: list[bytes]) -> tuple[dict[int, Any], set[int]]:
    """Return rows by (queue, feed, basis), and the places whose contacts are all good and on time."""
    rows, good = dict[int, Any](), set[int]()
    for n, value in enumerate(values):
        try:
            o = read_observed(value, {})
        except Refusal:
            continue
        if o.contacts and not o.reports and not o.adjustments and all(c[0] >= NOW - 72 * 3600 for c in o.contacts):
            rows[n] = ((o.queue, o.feed, o.official), [list(c) for c in o.contacts])
            good.add(n)
    return rows, good


def compare(values: list[bytes]) -> set[int]:
    """Check that what was scanned is what the careful reader reads; return the places taken."""
    rows, good = careful(values)
    facts, left = scan_contacts(values, np.full(len(values), NOW), lambda n: Fact(None, 0, b"", str(n)))
    taken = set(range(len(values))) - set(left)
    assert taken <= good, sorted(taken - good)[:5]
    told: dict[Any, list[Any]] = {}
    for n in sorted(taken):
        told.setdefault(rows[n][0], []).extend(rows[n][1])
    seen = {(f.message.queue, f.message.feed, f.message.official): f.message.rows.tolist() for f in facts}
    assert {k: sorted(v) for k, v in seen.items()} == {k: sorted(v) for k, v in told.items()}
    assert {f.origin for fact in facts for f in fact.message.again()} == {str(n) for n in taken}
    return taken


def test_ordinary_messages_are_taken_and_read_the_same() -> None:
    luck = random.Random(3)
    values = [m.SerializeToString() for m in messages(write_ledger(luck, ["acme/help", "acme/sales"], 2000, NOW), luck)]
    assert len(compare(values)) == len(values)


def test_every_field_is_read_the_same() -> None:
    contact = volume_pb2.Contact(
        contact_id="x" * 128,
        revision=2**40,
        stage=volume_pb2.STAGE_WRAPPED,
        origin=volume_pb2.ORIGIN_TRANSFER,
        ivr_seconds=1,
        queue_seconds=0.0005,
        ring_seconds=2.5,
        talk_seconds=0.0,
        hold_seconds=1e6,
        after_call_seconds=3.0015,
        parent_contact_id="p",
    )
    contact.arrived_at.seconds, contact.arrived_at.nanos = NOW - 5, 999
    whole = volume_pb2.VolumeObserved(queue="a/b/c", feed="", basis=book_pb2.BASIS_OFFICIAL, contacts=[contact, contact])
    assert compare([whole.SerializeToString()]) == {0}


def test_rubbish_is_left_to_the_careful_reader() -> None:
    luck = random.Random(4)
    assert compare([make(luck, NOW) for make, _ in KINDS.values()]) == set()


def test_mutated_messages_are_never_read_otherwise() -> None:
    luck = random.Random(5)
    seeds = [m.SerializeToString() for m in messages(write_ledger(luck, ["acme/help", "acme/sales"], 60, NOW), luck)]
    seeds = [s for s in seeds if len(s) < 400]
    values = []
    for _ in range(4000):
        value = bytearray(luck.choice(seeds))
        for _ in range(luck.randint(1, 2)):
            at = luck.randrange(len(value))
            if luck.random() < 0.7:
                value[at] = luck.randrange(256)
            elif luck.random() < 0.5:
                del value[at : at + luck.randint(1, 3)]
            else:
                value[at:at] = value[at : at + luck.randint(1, 12)]
        values.append(bytes(value))
    assert len(compare(values)) > 300


def test_what_is_scanned_and_what_is_read_one_by_one_fold_together(engine: sa.Engine) -> None:
    """A batch as the loop hands it on: contacts read together, beside JSON, reports and letters of a locked period."""
    migrate(engine, pathlib.Path("services/forecaster/store/migrations"))
    book, clock = BookCopy(metadata), SystemClock()
    streams = Streams(book, DueWork(Database(engine), metadata, clock, runs_itself=False), clock)
    with engine.begin() as connection:
        BookOwner(book, tuple(KINDS_OF_THE_BOOK)).apply(connection, parse_book(small_book()), False, 1)
    luck = random.Random(6)
    ledger = write_ledger(luck, ["acme/help"], 300, NOW)
    told = list(messages(ledger, luck))
    values = [m.SerializeToString() for m in told[::2]]
    facts, left = scan_contacts(values, np.full(len(values), NOW), lambda n: Fact(read_observed(values[n], {}), NOW, b"", ""))
    assert not left
    facts += [Fact(read_observed(MessageToJson(m).encode(), {}), NOW, b"", "") for m in told[1::2]]
    with engine.begin() as connection:
        assert streams.on_volume(connection, facts).refused == []
        found = {r.starts_at: r.tally for r in volume.reports_between(connection, "acme/help", NOW - 72 * 3600, NOW)}
        for (_, start), expected in ledger.expected().items():
            tally = found[start]
            assert (tally.offered, tally.answered, tally.handle_ms) == (expected.offered, expected.answered, expected.handle_ms)
        closing.lock_period(connection, "acme", NOW, NOW, "finance")
        handled = streams.on_volume(connection, facts)
        assert {refusal.reason for _, refusal in handled.refused} == {"PERIOD_LOCKED"}
        assert len(handled.refused) == len(told)


def test_what_may_count_of_a_refused_message_counts_and_the_rest_leaves_no_trace(engine: sa.Engine) -> None:
    """One contact on time, one far too late, one in a locked period: the first counts, and nothing is known before it."""
    migrate(engine, pathlib.Path("services/forecaster/store/migrations"))
    book, clock = BookCopy(metadata), SystemClock()
    streams = Streams(book, DueWork(Database(engine), metadata, clock, runs_itself=False), clock)

    def told(*ages: int) -> Fact:
        contacts = []
        for age in ages:
            contact = volume_pb2.Contact(contact_id=f"c{age}", stage=volume_pb2.STAGE_OFFERED)
            contact.arrived_at.seconds = NOW - age
            contacts.append(contact)
        whole = volume_pb2.VolumeObserved(queue="acme/help", feed="live", contacts=contacts)
        return Fact(read_observed(whole.SerializeToString(), {}), NOW, b"", "")

    with engine.begin() as connection:
        BookOwner(book, tuple(KINDS_OF_THE_BOOK)).apply(connection, parse_book(small_book()), False, 1)
        reasons = [r.reason for _, r in streams.on_volume(connection, [told(60, 9_000_000)]).refused]
        assert reasons == ["VOLUME_TOO_LATE"]
        assert closing.progress_of(connection, "acme/help")["live"].first_told_at == NOW - 60
        closing.lock_period(connection, "acme", NOW - 3600, NOW, "finance")
        reasons = [r.reason for _, r in streams.on_volume(connection, [told(90, 7200)]).refused]
        assert reasons == ["PERIOD_LOCKED"]
        assert sum(r.tally.offered or 0 for r in volume.reports_between(connection, "acme/help", NOW - 86_400, NOW)) == 2
