"""What is known of a queue's interval: counts, sums and wait histograms, and how facts add up to them.

All sums are integers (milliseconds), so that the order of facts never shows. Not observed is None, never 0.
"""

import bisect
import dataclasses
import enum
from collections.abc import Iterable, Sequence
from typing import Any

# Upper edges of wait histograms, milliseconds; one more bin holds what waited longer.
FIXED_EDGES = tuple(s * 1000 for s in (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 3600))


class Stage(enum.StrEnum):
    """How far a contact has come."""

    OFFERED = "OFFERED"
    ANSWERED = "ANSWERED"
    ENDED = "ENDED"
    WRAPPED = "WRAPPED"
    ABANDONED = "ABANDONED"
    OVERFLOWED = "OVERFLOWED"
    RETRACTED = "RETRACTED"


ANSWERED_STAGES = frozenset({Stage.ANSWERED, Stage.ENDED, Stage.WRAPPED})


@dataclasses.dataclass(frozen=True)
class ContactState:
    """A contact's full state so far. `wait_ms` and `handle_ms` are None while not known."""

    fingerprint: str
    revision: int
    arrived_at: int
    stage: Stage
    wait_ms: int | None = None
    handle_ms: int | None = None


@dataclasses.dataclass(frozen=True)
class Tally:
    """Counts and sums of an interval. Histograms are counts per bin of `edges`, last bin open.

    offered = answered + abandoned + overflowed + open, where all are observed.
    """

    offered: int | None = None
    answered: int | None = None
    abandoned: int | None = None
    short_abandoned: int | None = None
    overflowed: int | None = None
    open: int | None = None
    handled: int | None = None
    handle_ms: int | None = None
    answered_wait_ms: int | None = None
    abandoned_wait_ms: int | None = None
    edges: tuple[int, ...] = ()
    answered_waits: tuple[int, ...] | None = None
    abandoned_waits: tuple[int, ...] | None = None


COUNTS = (
    "offered",
    "answered",
    "abandoned",
    "short_abandoned",
    "overflowed",
    "open",
    "handled",
    "handle_ms",
    "answered_wait_ms",
    "abandoned_wait_ms",
)


def empty_tally(edges: Sequence[int]) -> Tally:
    """Return an interval in which nothing has been offered, everything observed."""
    bins = (0,) * (len(edges) + 1)
    zeros: dict[str, Any] = dict.fromkeys((c for c in COUNTS if c != "short_abandoned"), 0)
    return Tally(**zeros, edges=tuple(edges), answered_waits=bins, abandoned_waits=bins)


def _bump(bins: tuple[int, ...] | None, edges: tuple[int, ...], wait_ms: int | None, sign: int) -> tuple[int, ...] | None:
    if bins is None or wait_ms is None:
        return bins
    place = bisect.bisect_left(edges, wait_ms)
    return (*bins[:place], bins[place] + sign, *bins[place + 1 :])


def _plus(value: int | None, more: int) -> int | None:
    return None if value is None else value + more


def add_contact(tally: Tally, contact: ContactState, sign: int) -> Tally:
    """Add (sign 1) or take away (sign -1) one contact's state."""
    if contact.stage == Stage.RETRACTED:
        return tally
    answered = contact.stage in ANSWERED_STAGES
    abandoned = contact.stage == Stage.ABANDONED
    handled = contact.stage == Stage.WRAPPED and contact.handle_ms is not None
    wait = contact.wait_ms or 0
    return dataclasses.replace(
        tally,
        offered=_plus(tally.offered, sign),
        answered=_plus(tally.answered, sign * answered),
        abandoned=_plus(tally.abandoned, sign * abandoned),
        overflowed=_plus(tally.overflowed, sign * (contact.stage == Stage.OVERFLOWED)),
        open=_plus(tally.open, sign * (contact.stage == Stage.OFFERED)),
        handled=_plus(tally.handled, sign * handled),
        handle_ms=_plus(tally.handle_ms, sign * (contact.handle_ms or 0) * handled),
        answered_wait_ms=_plus(tally.answered_wait_ms, sign * wait * answered),
        abandoned_wait_ms=_plus(tally.abandoned_wait_ms, sign * wait * abandoned),
        answered_waits=_bump(tally.answered_waits, tally.edges, contact.wait_ms if answered else None, sign),
        abandoned_waits=_bump(tally.abandoned_waits, tally.edges, contact.wait_ms if abandoned else None, sign),
    )


def fold_contacts(
    known: dict[str, ContactState], tallies: dict[int, Tally], contacts: Iterable[ContactState], seconds: int
) -> set[int]:
    """Fold contacts into what is known, in place; return the starts of the intervals that changed.

    The highest revision of a contact wins, in any order, and a repeated one changes nothing. A contact counts in the
    interval of the arrival that its first revision told; `tallies` holds every interval that contacts arrive in.
    """
    touched = set()
    for contact in contacts:
        old = known.get(contact.fingerprint)
        if old is not None and old.revision >= contact.revision:
            continue
        if old is not None:
            contact = dataclasses.replace(contact, arrived_at=old.arrived_at)
        start = contact.arrived_at - contact.arrived_at % seconds
        if old is not None:
            tallies[start] = add_contact(tallies[start], old, -1)
        tallies[start] = add_contact(tallies[start], contact, 1)
        known[contact.fingerprint] = contact
        touched.add(start)
    return touched


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

    return dataclasses.replace(
        tally, edges=edges, answered_waits=regroup(tally.answered_waits), abandoned_waits=regroup(tally.abandoned_waits)
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


@dataclasses.dataclass(frozen=True)
class Report:
    """What one feed says of one span: from contacts, or a report with a revision."""

    feed: str
    official: bool
    from_report: bool
    starts_at: int
    seconds: int
    revision: int
    tally: Tally


@dataclasses.dataclass(frozen=True)
class Cell:
    """What a queue's interval holds, as best known."""

    starts_at: int
    official: bool
    tally: Tally
    interpolated: bool
    other_offered: int | None


def _per_feed(reports: Iterable[Report], start: int, seconds: int) -> dict[tuple[bool, str], list[tuple[Tally, bool]]]:
    """Gather what each feed says of an interval. Its reports replace its contacts; where it reported the time in spans of
    several lengths, those of the highest revision stand, the finest if equal: never both."""
    said: dict[tuple[bool, str], dict[tuple[bool, int], list[tuple[int, Tally, bool]]]] = {}
    for r in reports:
        kind = (r.from_report, r.seconds)
        if r.seconds <= seconds:
            if start <= r.starts_at < start + seconds:
                said.setdefault((r.official, r.feed), {}).setdefault(kind, []).append((r.revision, r.tally, False))
        elif r.starts_at <= start < r.starts_at + r.seconds:
            place = (start - r.starts_at) // seconds
            part = (r.revision, split_tally(r.tally, r.seconds // seconds)[place], True)
            said.setdefault((r.official, r.feed), {}).setdefault(kind, []).append(part)
    chosen = {}
    for key, kinds in said.items():
        best = max(kinds, key=lambda kind: (kind[0], max(revision for revision, _, _ in kinds[kind]), -kind[1]))
        chosen[key] = [(tally, split) for _, tally, split in kinds[best]]
    return chosen


def merge_reports(reports: Iterable[Report], start: int, seconds: int) -> Cell | None:
    """Return the interval as best known: feeds of one basis add, OFFICIAL wins over REALTIME. None: nothing told."""
    told = _per_feed(reports, start, seconds)
    sums = {}
    for official in (True, False):
        parts = [part for (is_official, _), parts in sorted(told.items()) if is_official == official for part in parts]
        if parts:
            sums[official] = (add_tallies([tally for tally, _ in parts]), any(split for _, split in parts))
    if not sums:
        return None
    best = True in sums
    tally, interpolated = sums[best]
    other = sums[False][0].offered if best and False in sums else None
    return Cell(start, best, tally, interpolated, other)


def merge_range(reports: Iterable[Report], starts: Iterable[int], seconds: int) -> dict[int, Cell]:
    """Return the intervals of which anything was told, by start."""
    by_start: dict[int, list[Report]] = {}
    for r in reports:
        first = r.starts_at - r.starts_at % seconds
        for start in range(first, max(r.starts_at + r.seconds, first + 1), seconds):
            by_start.setdefault(start, []).append(r)
    cells = {start: merge_reports(by_start[start], start, seconds) for start in starts if start in by_start}
    return {start: cell for start, cell in cells.items() if cell is not None}


def closed_through(progress: Sequence[tuple[int | None, int | None]], now: int) -> int:
    """Return the instant before which every feed has told everything.

    progress: per feed (complete_through, grace_seconds). A feed that never says is taken to be complete its grace after
    the fact; one without grace only when it says so.
    """
    through = []
    for complete, grace in progress:
        through.append(complete if complete is not None else now - grace if grace is not None else 0)
    return min(through, default=0)
