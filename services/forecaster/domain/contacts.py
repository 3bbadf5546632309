"""Contacts of one interval as rows of whole numbers, and how messages about them fold in: any order, any repetition.

A contact is the row (fingerprint, revision, stage, wait, talk, hold, after-call work), times in milliseconds, -1 where not told.
The greatest row of a fingerprint stands: the highest revision, and between equal revisions the later stage. So folding is
taking a maximum, which no order and no repetition changes.
"""

import enum

import numpy as np
import numpy.typing as npt

from services.forecaster.domain.tally import Tally

Rows = npt.NDArray[np.int64]

PRINT, REVISION, STAGE, WAIT, TALK, HOLD, AFTER = range(7)
COLUMNS = 7
FINGERPRINT_BYTES = 7
NONE: Rows = np.empty((0, COLUMNS), np.int64)


class Stage(enum.IntEnum):
    """How far a contact has come; of one revision, the later stands."""

    OFFERED = 1
    ANSWERED = 2
    ENDED = 3
    WRAPPED = 4
    ABANDONED = 5
    OVERFLOWED = 6
    RETRACTED = 7


def newest_of_each(rows: Rows) -> Rows:
    """Return the greatest row of each fingerprint, in order of fingerprint."""
    if len(rows) < 2:
        return rows
    rows = rows[np.lexsort(rows.T[::-1])]
    last = np.empty(len(rows), bool)
    last[-1] = True
    np.not_equal(rows[1:, PRINT], rows[:-1, PRINT], out=last[:-1])
    return rows[last]


def fold(known: Rows, told: Rows) -> tuple[Rows, Rows, Rows]:
    """Return (known afterwards, rows that came to stand, rows that stood before them). Both arguments by `newest_of_each`."""
    place = np.searchsorted(known[:, PRINT], told[:, PRINT])
    hit = place < len(known)
    hit[hit] = known[place[hit], PRINT] == told[hit, PRINT]
    fresh, again, at = told[~hit], told[hit], place[hit]
    if not len(again):
        return np.insert(known, place, told, axis=0), told, NONE
    difference = again - known[at]
    first = (difference != 0).argmax(axis=1)
    better = difference[np.arange(len(again)), first] > 0
    came, went = again[better], known[at[better]]
    after = known.copy()
    after[at[better]] = came
    if len(fresh):
        after = np.insert(after, place[~hit], fresh, axis=0)
    return after, np.concatenate((came, fresh)), went


def tally_of(rows: Rows, edges: tuple[int, ...]) -> Tally:
    """Return what contacts add up to; retracted ones never were."""
    rows = rows[rows[:, STAGE] != Stage.RETRACTED]
    stage, wait = rows[:, STAGE], rows[:, WAIT]
    answered, abandoned = (stage >= Stage.ANSWERED) & (stage <= Stage.WRAPPED), stage == Stage.ABANDONED
    parts = rows[:, TALK:]
    handled = (stage == Stage.WRAPPED) & (parts.max(axis=1, initial=-1) >= 0)
    told = np.maximum(parts[handled], 0)
    talk, hold, after = (int(n) for n in told.sum(axis=0))
    answered_wait, abandoned_wait = wait[answered & (wait >= 0)], wait[abandoned & (wait >= 0)]
    return Tally(
        offered=len(rows),
        answered=int(answered.sum()),
        abandoned=int(abandoned.sum()),
        overflowed=int((stage == Stage.OVERFLOWED).sum()),
        open=int((stage == Stage.OFFERED).sum()),
        handled=int(handled.sum()),
        handle_ms=talk + hold + after,
        talk_ms=talk,
        hold_ms=hold,
        after_call_ms=after,
        handle_squares=int(((told.sum(axis=1) // 100) ** 2).sum()),
        answered_wait_ms=int(answered_wait.sum()),
        abandoned_wait_ms=int(abandoned_wait.sum()),
        answered_wait_squares=int(((answered_wait // 100) ** 2).sum()),
        edges=edges,
        answered_waits=_bins(answered_wait, edges),
        abandoned_waits=_bins(abandoned_wait, edges),
    )


def _bins(waits: Rows, edges: tuple[int, ...]) -> tuple[int, ...]:
    counts = np.bincount(np.searchsorted(edges, waits), minlength=len(edges) + 1)
    return tuple(counts.tolist())


def minus(tally: Tally, less: Tally) -> Tally:
    """Return a difference of two tallies of contacts, of the same edges."""
    values = []
    for name in Tally._fields:
        a, b = getattr(tally, name), getattr(less, name)
        if name == "edges" or a is None:
            values.append(a)
        elif isinstance(a, tuple):
            values.append(tuple(x - y for x, y in zip(a, b, strict=True)))
        else:
            values.append(a - b)
    return Tally(*values)


def pack_rows(rows: Rows) -> bytes:
    """Return rows as bytes, each column as narrow as its greatest value allows: about 18 bytes a contact."""
    if not len(rows):
        return b""
    raised = (rows + 1).astype("<u8")
    widths = [-(-int(raised[:, c].max()).bit_length() // 8) for c in range(COLUMNS)]
    columns = [
        np.ascontiguousarray(raised[:, c]).view(np.uint8).reshape(-1, 8)[:, :width].tobytes() for c, width in enumerate(widths)
    ]
    return len(rows).to_bytes(4, "little") + bytes(widths) + b"".join(columns)


def unpack_rows(body: bytes) -> Rows:
    """Return the rows of their bytes."""
    if not body:
        return NONE
    count, widths, at = int.from_bytes(body[:4], "little"), body[4 : 4 + COLUMNS], 4 + COLUMNS
    rows = np.empty((count, COLUMNS), np.int64)
    for c, width in enumerate(widths):
        wide = np.zeros((count, 8), np.uint8)
        wide[:, :width] = np.frombuffer(body, np.uint8, count * width, at).reshape(count, width)
        rows[:, c] = wide.view("<u8").ravel().astype(np.int64) - 1
        at += count * width
    return rows
