"""Counts, sums and wait histograms of an interval, and how they add up.

All sums are integers, so that the order of facts never shows. Not observed is None, never 0.
"""

import bisect
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

# Upper edges of wait histograms, milliseconds; one more bin holds what waited longer.
FIXED_EDGES = tuple(s * 1000 for s in (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 3600))


class Tally(NamedTuple):
    """Counts and sums of an interval. Histograms are counts per bin of `edges`, last bin open.

    offered = answered + abandoned + overflowed + open, where all are observed. Times are milliseconds; squares are of tenths
    of a second, summed.
    """

    offered: int | None = None
    answered: int | None = None
    abandoned: int | None = None
    short_abandoned: int | None = None
    overflowed: int | None = None
    open: int | None = None
    handled: int | None = None
    handle_ms: int | None = None
    talk_ms: int | None = None
    hold_ms: int | None = None
    after_call_ms: int | None = None
    handle_squares: int | None = None
    answered_wait_ms: int | None = None
    abandoned_wait_ms: int | None = None
    answered_wait_squares: int | None = None
    edges: tuple[int, ...] = ()
    answered_waits: tuple[int, ...] | None = None
    abandoned_waits: tuple[int, ...] | None = None

    @property
    def unfinished(self) -> int:
        """Return contacts answered and not wrapped up; 0 where that is not observed."""
        return max(self.answered - self.handled, 0) if self.answered is not None and self.handled is not None else 0


COUNTS = Tally._fields[: Tally._fields.index("edges")]
NEVER_FROM_CONTACTS = "short_abandoned"
FIXED = frozenset(FIXED_EDGES)


def empty_tally(edges: Sequence[int]) -> Tally:
    """Return an interval in which nothing has been offered, everything observed."""
    bins = (0,) * (len(edges) + 1)
    zeros: dict[str, Any] = dict.fromkeys((c for c in COUNTS if c != NEVER_FROM_CONTACTS), 0)
    return Tally(**zeros, edges=tuple(edges), answered_waits=bins, abandoned_waits=bins)


def is_zero(tally: Tally) -> bool:
    """Return whether nothing is counted and nothing is summed."""
    return (
        not any(getattr(tally, c) for c in COUNTS)
        and not any(tally.answered_waits or ())
        and not any(tally.abandoned_waits or ())
    )


def coarsen(tally: Tally, edges: tuple[int, ...]) -> Tally:
    """Return the tally with fewer edges, all of which it has."""
    if tally.edges == edges:
        return tally

    def regroup(bins: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if bins is None:
            return None
        merged = [0] * (len(edges) + 1)
        for edge, count in zip((*tally.edges, None), bins, strict=True):
            merged[len(edges) if edge is None else bisect.bisect_left(edges, edge)] += count
        return tuple(merged)

    return tally._replace(
        edges=edges, answered_waits=regroup(tally.answered_waits), abandoned_waits=regroup(tally.abandoned_waits)
    )


def add_tallies(tallies: Sequence[Tally]) -> Tally:
    """Return the sum; what one of them did not observe, the sum has not observed."""
    if len(tallies) == 1:
        return tallies[0]
    shared = set(tallies[0].edges).intersection(*(t.edges for t in tallies))
    parts = [coarsen(t, tuple(sorted(shared))) for t in tallies]

    def total(values: list[int | None]) -> int | None:
        return None if any(v is None for v in values) else sum(v for v in values if v is not None)

    def bins(values: list[tuple[int, ...] | None]) -> tuple[int, ...] | None:
        return None if any(v is None for v in values) else tuple(map(sum, zip(*[v for v in values if v], strict=True)))

    counts: dict[str, Any] = {name: total([getattr(t, name) for t in parts]) for name in COUNTS}
    return Tally(
        **counts,
        edges=parts[0].edges,
        answered_waits=bins([t.answered_waits for t in parts]),
        abandoned_waits=bins([t.abandoned_waits for t in parts]),
    )


def split_tally(tally: Tally, parts: int) -> list[Tally]:
    """Return a coarse report's counts spread evenly over `parts` intervals; they add up to it. Waits aren't split."""

    def share(value: int | None, place: int) -> int | None:
        return None if value is None else value * (place + 1) // parts - value * place // parts

    columns: list[dict[str, Any]] = [{name: share(getattr(tally, name), place) for name in COUNTS} for place in range(parts)]
    return [Tally(**counts) for counts in columns]


BITS = tuple(1 << place for place in range(64))


@functools.lru_cache(maxsize=1 << 16)
def _varint(value: int) -> bytes:
    """Return a number of 0 or more, 7 bits a byte, the lowest first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


@functools.lru_cache(maxsize=1 << 16)
def _signed(value: int) -> bytes:
    """Return a number with its sign in the lowest bit."""
    return _varint(value << 1 if value > 0 else (-value << 1) - 1)


def _sparse(values: Sequence[int]) -> list[bytes]:
    """Return a bitmap of what isn't zero, then those values."""
    bits, told = 0, [b""]
    for value, bit in zip(values, BITS, strict=False):
        if value:
            bits |= bit
            told.append(_signed(value))
    told[0] = _varint(bits)
    return told


@functools.lru_cache(maxsize=1 << 12)
def _edges(edges: tuple[int, ...]) -> bytes:
    fixed = len(edges) >= len(FIXED_EDGES) and FIXED.issubset(edges)
    own = [e for e in edges if e not in FIXED] if fixed else edges
    return b"".join([_varint(len(own) << 1 | fixed), *map(_varint, own)])


def pack(numbers: Sequence[int], tally: Tally) -> bytes:
    """Return numbers (0 or more) and a tally as bytes: a bitmap of what is observed, one of what isn't zero, then varints."""
    hist = (tally.answered_waits, tally.abandoned_waits)
    observed = nonzero = 0
    told = []
    for value, bit in zip(tally[: len(COUNTS)], BITS, strict=False):
        if value is not None:
            observed |= bit
            if value:
                nonzero |= bit
                told.append(_signed(value))
    for bins, bit in zip(hist, BITS[len(COUNTS) :], strict=False):
        if bins is not None:
            observed |= bit
    parts = [*map(_varint, numbers), _varint(observed), _varint(nonzero), *told, _edges(tally.edges)]
    for bins in hist:
        if bins is not None:
            parts += _sparse(bins)
    return b"".join(parts)


def pack_numbers(numbers: Sequence[int]) -> bytes:
    """Return numbers of 0 or more as `pack` begins."""
    return b"".join(map(_varint, numbers))


def pack_columns(
    heads: Sequence[bytes], columns: Mapping[str, Sequence[int]], edges: tuple[int, ...], within: Sequence[int]
) -> list[bytes]:
    """Return, row by row, what `pack` makes of tallies that observe the same counts: a head already packed, then the tally.

    columns: by the name of a count, 0 or more. within: where one edge is given, how many of the answered waited no longer.
    """
    places = sorted((COUNTS.index(name), name) for name in columns)
    observed = sum(BITS[place] for place, _ in places) | (BITS[len(COUNTS)] if edges else 0)
    mask, tail, bits = _varint(observed), _edges(edges), [BITS[place] for place, _ in places]
    over = [a - w for a, w in zip(columns["answered"], within, strict=True)] if edges else []
    bodies = []
    for row, (head, *values) in enumerate(zip(heads, *(columns[name] for _, name in places), strict=True)):
        nonzero, told = 0, []
        for value, bit in zip(values, bits, strict=False):
            if value:
                nonzero |= bit
                told.append(_signed(value))
        waits = _sparse((within[row], over[row])) if edges else ()
        bodies.append(b"".join((head, mask, _varint(nonzero), *told, tail, *waits)))
    return bodies


class _Reader:
    def __init__(self, body: bytes, at: int) -> None:
        self.body, self.at = body, at

    def varint(self) -> int:
        value, shift, body, at = 0, 0, self.body, self.at
        while True:
            byte = body[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                self.at = at
                return value
            shift += 7

    def signed(self) -> int:
        value = self.varint()
        return value >> 1 if not value & 1 else -((value + 1) >> 1)

    def sparse(self, size: int) -> list[int]:
        bits = self.varint()
        return [self.signed() if bits >> i & 1 else 0 for i in range(size)]


def unpack(body: bytes, count: int, at: int = 0) -> tuple[list[int], Tally, int]:
    """Return the numbers, the tally, and where in the bytes they end."""
    r = _Reader(body, at)
    numbers = [r.varint() for _ in range(count)]
    observed = r.varint()
    values = r.sparse(len(COUNTS))
    head = r.varint()
    own = tuple(r.varint() for _ in range(head >> 1))
    edges = tuple(sorted((*FIXED_EDGES, *own))) if head & 1 else own
    hist = [tuple(r.sparse(len(edges) + 1)) if observed >> (len(COUNTS) + i) & 1 else None for i in (0, 1)]
    fields: list[Any] = [*(v if observed >> i & 1 else None for i, v in enumerate(values)), edges, *hist]
    return numbers, Tally(*fields), r.at
