"""What is known of a queue's interval: what each feed told of it, when, and how feeds' words merge into one cell."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from services.forecaster.domain.tally import Tally, add_tallies, is_zero, pack, split_tally, unpack

MINUTE = 60
HOUR_MINUTES, DAY_MINUTES = 60, 1440


class Entry(NamedTuple):
    """What one feed told, and the minute (since 1970) by which it was known.

    Of contacts: an addition to what was known before. Of reports: the sums as of a revision. `attribution` is the number of the
    wire's Attribution, 0 where contacts are counted.
    """

    known: int
    revision: int
    attribution: int
    tally: Tally


def minute_of(known_at: int) -> int:
    """Return the minute by which an instant had passed: nothing is said to be known before it was."""
    return -(-known_at // MINUTE)


def rank(entry: Entry) -> tuple[int, bytes]:
    """Return what decides between two reports of a span: the revision, and between equal ones the content, in any order."""
    return entry.revision, pack([entry.attribution], entry.tally)


def add_report(entries: Sequence[Entry], told: Entry) -> list[Entry]:
    """Return the restatements of a span by when they became known, each above the one before it.

    A function of the set of reports told: their order and repetition don't matter. The last one stands.
    """
    if not entries or (told.known > entries[-1].known and told.revision > entries[-1].revision):
        return [*entries, told]
    rising: list[Entry] = []
    for entry in sorted((*entries, told), key=lambda e: (e.known, rank(e))):
        if rising and rank(entry) <= rank(rising[-1]):
            continue
        if rising and rising[-1].known == entry.known:
            rising.pop()
        rising.append(entry)
    return rising


def pack_entries(entries: Iterable[Entry]) -> bytes:
    """Return entries as bytes, one after the other."""
    return b"".join(pack([e.known, e.revision, e.attribution], e.tally) for e in entries)


def unpack_entries(body: bytes) -> list[Entry]:
    """Return the entries of their bytes."""
    entries, at = [], 0
    while at < len(body):
        (known, revision, attribution), tally, at = unpack(body, 3, at)
        entries.append(Entry(known, revision, attribution, tally))
    return entries


def compact(entries: Sequence[Entry], closed: int, adds: bool) -> list[Entry]:
    """Return marks: what was known at the close (a minute), an hour and a day after it, and at each later restatement."""
    bounds = (closed, closed + HOUR_MINUTES, closed + DAY_MINUTES)
    groups: dict[int, list[Entry]] = {}
    for entry in sorted(entries, key=lambda e: e.known):
        groups.setdefault(next((b for b in bounds if entry.known <= b), entry.known), []).append(entry)
    marks = []
    for known, group in groups.items():
        tally = add_tallies([e.tally for e in group]) if adds else group[-1].tally
        if not adds or not is_zero(tally):
            marks.append(Entry(known, group[-1].revision, group[-1].attribution, tally))
    return marks


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What one feed says of one span: from contacts, or a report with a revision."""

    feed: str
    official: bool
    from_report: bool
    starts_at: int
    seconds: int
    revision: int
    tally: Tally
    attribution: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """One feed's span with all it told of it: `newest` is what stands, `entries` how it came to (of contacts: additions)."""

    feed: str
    official: bool
    from_report: bool
    starts_at: int
    seconds: int
    newest: Entry
    entries: tuple[Entry, ...]

    def report(self) -> Report:
        """Return what stands."""
        return self._as(self.newest)

    def _as(self, e: Entry) -> Report:
        return Report(
            self.feed, self.official, self.from_report, self.starts_at, self.seconds, e.revision, e.tally, e.attribution
        )

    def known_by(self, minute: int) -> tuple[Report, int] | None:
        """Return what stood at the end of a minute and since which minute it had; None: nothing was known."""
        before = [e for e in self.entries if e.known <= minute]
        if not before:
            return None
        last = max(before, key=lambda e: e.known)
        if self.from_report:
            return self._as(last), last.known
        return self._as(last._replace(tally=add_tallies([e.tally for e in before]))), last.known


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """What a queue's interval holds, as best known. `other_offered`: by the basis that lost; `attribution`: other than arrival."""

    starts_at: int
    official: bool
    tally: Tally
    interpolated: bool
    other_offered: int | None
    attribution: int = 0


def _per_feed(reports: Iterable[Report], start: int, seconds: int) -> dict[tuple[bool, str], list[Report]]:
    """Gather what each feed says of an interval. Its reports replace its contacts; where it reported the time in spans of
    several lengths, those of the highest revision stand, the finest if equal: never both."""
    said: dict[tuple[bool, str], dict[tuple[bool, int], list[Report]]] = {}
    for r in reports:
        fine = r.seconds <= seconds
        if start <= r.starts_at < start + seconds if fine else r.starts_at <= start < r.starts_at + r.seconds:
            if not fine:
                part = split_tally(r.tally, r.seconds // seconds)[(start - r.starts_at) // seconds]
                r = dataclasses.replace(r, tally=part)
            said.setdefault((r.official, r.feed), {}).setdefault((r.from_report, r.seconds), []).append(r)
    chosen = {}
    for key, kinds in said.items():
        best = max(kinds, key=lambda kind: (kind[0], max(r.revision for r in kinds[kind]), -kind[1]))
        chosen[key] = kinds[best]
    return chosen


def merge_reports(reports: Iterable[Report], start: int, seconds: int) -> Cell | None:
    """Return the interval as best known: feeds of one basis add, OFFICIAL wins over REALTIME. None: nothing told."""
    told = _per_feed(reports, start, seconds)
    by_basis: dict[bool, list[Report]] = {}
    for (official, _), parts in sorted(told.items()):
        by_basis.setdefault(official, []).extend(parts)
    if not by_basis:
        return None
    best = True in by_basis
    parts = by_basis[best]
    other = add_tallies([r.tally for r in by_basis[False]]).offered if best and False in by_basis else None
    split = any(r.seconds > seconds for r in parts)
    tally = add_tallies([r.tally for r in parts])
    return Cell(start, best, tally, split, other, max(r.attribution for r in parts))


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
