"""The hot path's reader: contacts of many protobuf messages at once, compiled.

It takes what is plainly right and leaves everything else (JSON, reports, anything odd or wrong) to `wire`, which says what is
wrong with it. Both read the same from the same bytes: a test holds one against the other.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from muster.kit.loop import Fact
from services.forecaster.blake import fingerprint_of
from services.forecaster.domain.contacts import Stage
from services.forecaster.domain.volume import minute_of
from services.forecaster.handlers.volume import LATENESS_HORIZON_SECONDS

Ints = npt.NDArray[np.int64]

# Of a message: where its queue and feed lie, what tells them apart, its basis, its first row and how many; -1 rows: left to wire.
QUEUE_AT, QUEUE_SIZE, FEED_AT, FEED_SIZE, KEY, BASIS, FIRST_ROW, ROWS = range(8)
ROW = 8
SMALLEST_CONTACT = 12
LONGEST_ID, LONGEST_QUEUE = 128, 127
LONGEST_SECONDS = 30.0 * 86_400
HIGHEST = 2**62
ANSWERED, WRAPPED, ABANDONED, RETRACTED = (int(s) for s in (Stage.ANSWERED, Stage.WRAPPED, Stage.ABANDONED, Stage.RETRACTED))

compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)


@compiled
def _varint(buffer: Any, at: Any, end: Any) -> Any:
    """Return (value, where it ends); where is -1 if it is cut off, or greater than a contact may hold."""
    value: Any = np.int64(0)
    shift = 0
    while at < end and shift < 63:
        byte = np.int64(buffer[at])
        at += 1
        value |= (byte & np.int64(127)) << np.int64(shift)
        if byte < 128:
            return (value, at) if value < HIGHEST else (value, -1)
        shift += 7
    return value, -1


@compiled
def _plain(buffer: Any, at: Any, size: Any) -> Any:
    """Return whether bytes are ASCII."""
    for i in range(at, at + size):  # noqa: SIM110
        if buffer[i] > 127:
            return False
    return True


@compiled
def _milliseconds(value: Any) -> Any:
    """Return seconds as milliseconds, -1 for what is impossible."""
    if not (value >= 0.0 and value <= LONGEST_SECONDS):
        return np.int64(-1)
    return np.int64(np.rint(value * 1000.0))


@compiled
def _contact(buffer: Any, doubles: Any, at: Any, end: Any, row: Any, v: Any, m: Any, parts: Any) -> Any:
    """Read one contact into a row; False where anything is odd."""
    seen: Any = 0
    field: Any = 0
    id_at, id_size, arrived, revision, stage = 0, 0, np.int64(0), np.int64(0), np.int64(0)
    while at < end:
        tag = np.int64(buffer[at])
        at += 1
        field, kind = tag >> 3, tag & 7
        if tag > 127 or field < 1 or field > 12 or (seen >> field) & 1:
            return False
        seen |= 1 << field
        if kind == 0 and (field == 2 or field == 4 or field == 5):
            value, at = _varint(buffer, at, end)
            if at < 0:
                return False
            if field == 2:
                revision = value
            elif field == 4:
                stage = value
            elif value > 6:
                return False
        elif kind == 1 and field >= 6 and field <= 11:
            if at + 8 > end:
                return False
            bits = np.uint64(0)
            for i in range(8):
                bits |= np.uint64(buffer[at + i]) << np.uint64(8 * i)
            doubles[0] = bits
            parts[field] = doubles.view(np.float64)[0]
            at += 8
        elif kind == 2 and (field == 1 or field == 3 or field == 12):
            size, at = _varint(buffer, at, end)
            if at < 0 or at + size > end:
                return False
            if field == 3:
                inner, stop = at, at + size
                if inner < stop and buffer[inner] == 8:
                    arrived, inner = _varint(buffer, inner + 1, stop)
                    if inner < 0:
                        return False
                if inner < stop and buffer[inner] == 16:
                    _, inner = _varint(buffer, inner + 1, stop)
                    if inner < 0:
                        return False
                if inner != stop:
                    return False
            else:
                if not _plain(buffer, at, size):
                    return False
                if field == 1:
                    id_at, id_size = at, size
            at += size
        else:
            return False
    if id_size < 1 or id_size > LONGEST_ID or arrived <= 0 or stage < 1 or stage > RETRACTED:
        return False
    row[0], row[1], row[2], row[3] = arrived, fingerprint_of(buffer, id_at, id_size, v, m), revision, stage
    for i in range(4, 8):
        row[i] = -1
    if stage >= ANSWERED and stage <= ABANDONED:
        for field in range(7, 9):
            if (seen >> field) & 1:
                spent = _milliseconds(parts[field])
                if spent < 0:
                    return False
                row[4] = spent if row[4] < 0 else row[4] + spent
    if stage == WRAPPED:
        for field in range(9, 12):
            if (seen >> field) & 1:
                spent = _milliseconds(parts[field])
                if spent < 0:
                    return False
                row[field - 4] = spent
    return True


@compiled
def _message(buffer: Any, at: Any, end: Any, oldest: Any, told: Any, rows: Any, first: Any, scratch: Any) -> Any:
    """Read one message; return how many rows it has, -1 where anything is odd."""
    v, m, doubles, parts = scratch
    count, seen = 0, 0
    told[QUEUE_SIZE], told[FEED_SIZE], told[BASIS], told[FEED_AT] = 0, 0, 0, 0
    while at < end:
        tag = buffer[at]
        at += 1
        if tag == 24:  # basis
            value, at = _varint(buffer, at, end)
            if at < 0 or value > 2 or seen & 4:
                return -1
            seen |= 4
            told[BASIS] = value
            continue
        if tag != 10 and tag != 18 and tag != 34:
            return -1
        size, at = _varint(buffer, at, end)
        if at < 0 or at + size > end:
            return -1
        if tag == 34:
            if not _contact(buffer, doubles, at, at + size, rows[first + count], v, m, parts):
                return -1
            if rows[first + count, 0] < oldest:
                return -1
            count += 1
        else:
            which = 1 if tag == 10 else 2
            if seen & which or not _plain(buffer, at, size):
                return -1
            seen |= which
            told[QUEUE_AT if which == 1 else FEED_AT] = at
            told[QUEUE_SIZE if which == 1 else FEED_SIZE] = size
        at += size
    if count == 0 or told[QUEUE_SIZE] > LONGEST_QUEUE or not _named(buffer, told[QUEUE_AT], told[QUEUE_SIZE]):
        return -1
    key = np.uint64(0xCBF29CE484222325)
    for place, length in ((told[QUEUE_AT], told[QUEUE_SIZE]), (told[FEED_AT], told[FEED_SIZE])):
        for i in range(place, place + length):
            key = (key ^ np.uint64(buffer[i])) * np.uint64(0x100000001B3)
        key = (key ^ np.uint64(256 + length)) * np.uint64(0x100000001B3)
    told[KEY] = np.int64(((key ^ np.uint64(told[BASIS])) * np.uint64(0x100000001B3)) >> np.uint64(1))
    return count


@compiled
def _named(buffer: Any, at: Any, size: Any) -> Any:
    """Return whether bytes read client/queue, neither of them empty."""
    for i in range(1, size - 1):
        if buffer[at + i] == 47:
            return buffer[at] != 47
    return False


@compiled
def _scan(buffer: Any, offsets: Any, oldest: Any, told: Any, rows: Any) -> Any:
    """Read messages; told (messages, 8) and rows (contacts, 8) are filled; return how many rows there are."""
    scratch = (np.zeros(16, np.uint64), np.zeros(16, np.uint64), np.zeros(1, np.uint64), np.zeros(16, np.float64))
    first = 0
    for n in range(len(told)):
        count = _message(buffer, offsets[n], offsets[n + 1], oldest[n], told[n], rows, first, scratch)
        told[n, FIRST_ROW], told[n, ROWS] = first, count
        if count > 0:
            first += count
    return first


class Contacts(NamedTuple):
    """Contacts that many messages of one feed told of one queue by the same minute: rows of (arrived_at, *domain.contacts).

    `again` reads the messages one by one, for those who must treat each on its own.
    """

    queue: str
    feed: str
    official: bool
    rows: Ints
    again: Callable[[], list[Fact]]


def scan_contacts(values: Sequence[bytes], known_at: Ints, fact_of: Callable[[int], Fact]) -> tuple[list[Fact], list[int]]:
    """Return facts whose messages are Contacts, and the places of values that were not taken.

    known_at: seconds since 1970 of each value. fact_of(place) reads one value by itself.
    """
    sizes = np.fromiter(map(len, values), np.int64, len(values))
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
    buffer = np.frombuffer(b"".join(values), np.uint8)
    told = np.empty((len(values), 8), np.int64)
    rows = np.empty((len(buffer) // SMALLEST_CONTACT + 1, ROW), np.int64)
    _scan(buffer, offsets, known_at - LATENESS_HORIZON_SECONDS, told, rows)
    taken = np.flatnonzero(told[:, ROWS] > 0)
    left = np.flatnonzero(told[:, ROWS] <= 0).tolist()
    if not len(taken):
        return [], left
    minutes = -(-known_at[taken] // 60)
    order = np.lexsort((minutes, told[taken, KEY]))
    taken, minutes = taken[order], minutes[order]
    keys = told[taken, KEY]
    bounds = np.flatnonzero((keys[1:] != keys[:-1]) | (minutes[1:] != minutes[:-1])) + 1
    facts = []
    for places in np.split(taken, bounds):
        t = told[places[0]]
        counts = told[places, ROWS]
        # Each message's rows follow each other: from its first on, as many as it has.
        starts = np.repeat(told[places, FIRST_ROW] - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
        mine = rows[starts + np.arange(int(counts.sum()))]
        queue, feed = (bytes(buffer[t[a] : t[a] + t[n]]).decode() for a, n in ((QUEUE_AT, QUEUE_SIZE), (FEED_AT, FEED_SIZE)))
        newest = int(known_at[places].max())

        def again(places: Ints = places) -> list[Fact]:
            return [fact_of(int(place)) for place in places]

        facts.append(Fact(Contacts(queue, feed, bool(t[BASIS] == 2), mine, again), newest, b"", ""))
    return facts, left


def warm_up() -> None:
    """Compile, or load what was compiled before: a fraction of a second then, several at first."""
    scan_contacts([b""], np.zeros(1, np.int64), lambda place: Fact(None, 0, b"", ""))
    assert minute_of(60) == 1
