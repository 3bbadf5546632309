"""What the forecaster's SQL keeps of volume, on SQLite and PostgreSQL: the same whatever the batches, and small."""

import functools
import pathlib
import random
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from muster.kit.sql import Database, migrate
from services.forecaster.domain.contacts import Stage
from services.forecaster.domain.facts import ContactRow, ReportFact
from services.forecaster.domain.tally import FIXED_EDGES, Tally
from services.forecaster.domain.volume import MINUTE, Report, add_report, minute_of
from services.forecaster.handlers.volume import VolumeSlice, on_contacts, on_report
from services.forecaster.store import closing, tables, volume

QUEUE = "acme/help"
T0 = 1_774_400_400
HOUR = 3600


@pytest.fixture
def database(engine: sa.Engine) -> Database:
    migrate(engine, pathlib.Path("services/forecaster/store/migrations"))
    return Database(engine)


def tell(database: Database, told: list[tuple[ContactRow, int]], hot: volume.HotContacts) -> None:
    """Take one batch of (contact, known at) as the edge does."""

    def work(connection: sa.Connection) -> None:
        state = VolumeSlice(QUEUE, 1800, FIXED_EDGES)
        volume.load_contacts(connection, state, {c[0] - c[0] % 1800 for c, _ in told}, hot)
        for known_at in sorted({k for _, k in told}):
            on_contacts(state, "live", False, [c for c, k in told if k == known_at], known_at)
        volume.save_contacts(connection, state, hot)

    database.run_here(work)


def lives(luck: random.Random, contacts: int, seconds: int) -> list[tuple[ContactRow, int]]:
    """Return three messages of each contact, with when each became known."""
    told = list[tuple[ContactRow, int]]()
    for n in range(contacts):
        arrived, wait, talk = T0 + luck.randrange(seconds), luck.randrange(90_000), luck.randrange(600_000)
        for revision, stage in enumerate((Stage.OFFERED, Stage.ANSWERED, Stage.WRAPPED), start=1):
            row = (arrived, n * 7919, revision, stage, wait if revision > 1 else -1)
            told.append(((*row, talk, 0, 30_000) if revision == 3 else (*row, -1, -1, -1), arrived + 60 * revision))
    return told


def read(database: Database, begin: int = T0, end: int = T0 + 2 * HOUR) -> list[Report]:
    return database.read_here(lambda c: volume.reports_between(c, QUEUE, begin, end))


def test_batches_repetition_and_what_is_hot_change_nothing(database: Database) -> None:
    luck = random.Random(5)
    told = lives(luck, 400, 2 * HOUR)
    in_order = sorted(told, key=lambda t: t[1])
    hot = volume.HotContacts(most_rows=120)  # far fewer than there are: cells go cold and are read again
    for first in range(0, len(in_order), 37):
        batch = in_order[first : first + 37] + luck.sample(in_order[: first + 37], 5)
        newest = max(k for _, k in batch)
        tell(database, [(c, max(k, newest)) for c, k in batch], hot)
    once = read(database)
    assert sum(r.tally.offered or 0 for r in once) == sum(r.tally.handled or 0 for r in once) == 400
    for _ in range(20):  # more than one chunk a cell may have
        tell(database, [(c, newest) for c, k in luck.sample(told, 30)], volume.HotContacts())
    assert read(database) == once


def test_another_process_is_seen_through_the_stamp(database: Database) -> None:
    """Two writers with memories of their own: each reads again what the other changed."""
    ours, theirs = volume.HotContacts(), volume.HotContacts()
    row = (T0 + 5, 1, 1, Stage.OFFERED, -1, -1, -1, -1)
    tell(database, [(row, T0)], ours)
    tell(database, [((T0 + 5, 1, 2, Stage.ABANDONED, 900, -1, -1, -1), T0)], theirs)
    tell(database, [((T0 + 6, 2, 1, Stage.OFFERED, -1, -1, -1, -1), T0), (row, T0)], ours)
    (report,) = read(database)
    assert (report.tally.offered, report.tally.open, report.tally.abandoned) == (2, 1, 1)


def test_a_batch_rolled_back_leaves_no_memory_behind(database: Database) -> None:
    hot = volume.HotContacts()
    tell(database, [((T0 + 5, 1, 1, Stage.OFFERED, -1, -1, -1, -1), T0)], hot)

    def fail(connection: sa.Connection) -> None:
        state = VolumeSlice(QUEUE, 1800, FIXED_EDGES)
        volume.load_contacts(connection, state, {T0}, hot)
        on_contacts(state, "live", False, [(T0 + 6, 2, 1, Stage.OFFERED, -1, -1, -1, -1)], T0)
        volume.save_contacts(connection, state, hot)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        database.run_here(fail)
    tell(database, [((T0 + 6, 2, 1, Stage.OFFERED, -1, -1, -1, -1), T0)], hot)
    assert read(database)[0].tally.offered == 2


def as_known(database: Database, minute: int) -> list[tuple[int | None, int | None]]:
    spans = database.read_here(lambda c: volume.spans_between(c, QUEUE, T0, T0 + 2 * HOUR))
    found = [span.known_by(minute) for span in spans]
    return [(f[0].tally.offered, f[0].tally.handled) for f in found if f]


def test_the_past_is_exact_until_the_horizon_and_a_mark_after(database: Database) -> None:
    told = lives(random.Random(9), 50, 1800)
    tell(database, told, volume.HotContacts())
    by_hand = {}
    for minute in (T0 // 60 + 5, T0 // 60 + 20, T0 // 60 + 40):
        known = {c[1]: c for c, k in told if minute_of(k) <= minute}
        by_hand[minute] = [(len(known), sum(c[3] == Stage.WRAPPED for c in known.values()))]
        assert as_known(database, minute) == by_hand[minute]

    closed = T0 // MINUTE + 33
    before = read(database)
    database.run_here(lambda c: volume.compact_spans(c, T0 + HOUR, lambda queue, start, seconds: closed))
    assert read(database) == before
    assert as_known(database, closed - 1) == []  # the first mark is the close
    known = {c[1]: c for c, k in told if minute_of(k) <= closed}
    assert as_known(database, closed) == [(len(known), sum(c[3] == Stage.WRAPPED for c in known.values()))]
    assert as_known(database, closed + 60) == [(50, 50)]
    assert [count(database, t) for t in (tables.delta, tables.chunk)] == [0, 0]


def count(database: Database, table: sa.Table) -> int:
    return database.read_here(lambda c: int(c.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()))


def test_reports_keep_each_restatement(database: Database) -> None:
    def work(revision: int, known_at: int, connection: sa.Connection) -> None:
        state = VolumeSlice(QUEUE, 1800, FIXED_EDGES)
        volume.load_reports(connection, state, [T0])
        on_report(state, "billing", True, ReportFact(T0, 1800, revision, Tally(offered=revision * 10), known_at, 2), known_at)
        volume.save_reports(connection, state)

    for revision, known_at in ((1, T0 + 2000), (3, T0 + 90_000), (2, T0 + 50_000), (1, T0 + 99_000)):
        database.run_here(functools.partial(work, revision, known_at))
    (report,) = read(database)
    assert (report.tally.offered, report.revision, report.attribution, report.official) == (30, 3, 2, True)
    assert as_known(database, minute_of(T0 + 60_000)) == [(20, None)]


def test_a_year_of_intervals_takes_at_most_250_bytes_each(tmp_path: pathlib.Path) -> None:
    """Busy half-hours with two bases, compacted, as the SQLite file has them."""
    from muster.kit.sql import sqlite_engine

    engine = sqlite_engine(tmp_path / "size.sqlite", "OFF")
    migrate(engine, pathlib.Path("services/forecaster/store/migrations"))
    luck, cells = np.random.default_rng(3), 4000
    queues = [f"northwind/queue-{n:03d}" for n in range(10)]

    def work(connection: sa.Connection) -> None:
        for queue in queues:
            state, said = VolumeSlice(queue, 1800, FIXED_EDGES), []
            for n in range(cells // len(queues)):
                start, size = T0 + n * 1800, int(luck.integers(20, 120))
                times = luck.integers(0, 300_000, (size, 4))
                rows: list[Any] = [
                    (start + int(i) % 1800, int(i), 3, int(luck.choice([Stage.WRAPPED, Stage.ABANDONED])), *map(int, times[i]))
                    for i in range(size)
                ]
                on_contacts(state, "live", False, rows[: size // 2], start + 900)
                on_contacts(state, "live", False, rows[size // 2 :], start + 1900)
                on_contacts(state, "live", False, rows[:2], start + 5000)
                said.append((start, closing.Said(2, b"12345678", start + 2400, size)))
            volume.save_contacts(connection, state, volume.HotContacts())
            closing.save_closed_cells(connection, queue, said)
        volume.compact_spans(connection, T0 + 366 * 86_400, lambda queue, start, seconds: start // 60 + 40)

    with engine.begin() as connection:
        work(connection)
    with engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("VACUUM")
        measured = "SELECT sum(pgsize) FROM dbstat WHERE name IN ('volume_cell', 'closed_cell')"
        size = float(connection.exec_driver_sql(measured).scalar_one()) / cells
    print(f"{size:.0f} bytes an interval")
    assert size <= 250


def test_a_restatement_known_earlier_but_read_later_stands_in_its_place() -> None:
    from services.forecaster.domain.volume import Entry

    told = [Entry(30, 3, 0, Tally(offered=3)), Entry(10, 1, 0, Tally(offered=1)), Entry(20, 2, 0, Tally(offered=2))]
    found: list[Entry] = []
    for entry in told:
        found = add_report(found, entry)
    assert [e.revision for e in found] == [1, 2, 3]
