"""What volume facts do to a queue's slice: contacts and reports fold in, in any order, once."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from services.forecaster.domain.contacts import COLUMNS, NONE, Rows, fold, minus, newest_of_each, tally_of
from services.forecaster.domain.facts import Adjustment, ContactRow, ReportColumns, ReportFact
from services.forecaster.domain.tally import Tally, add_tallies, empty_tally, is_zero, pack_columns, pack_numbers
from services.forecaster.domain.volume import Entry, add_report, minute_of, pack_entries, unpack_entries

LATENESS_HORIZON_SECONDS = 72 * 3600

# (feed, official, starts_at, seconds)
SpanKey = tuple[str, bool, int, int]


@dataclasses.dataclass
class ContactSpan:
    """One interval as a feed's contacts tell it.

    `contacts` is everything within the horizon, in order of fingerprint; `newest_minute` when the newest of it became known;
    `chunks` in how many pieces it is stored.
    What a batch does is kept apart, for saving: `came` (rows that came to stand) and `added` (by minute).
    """

    edges: tuple[int, ...]
    total: Tally
    newest_minute: int
    contacts: Rows
    chunks: int = 0
    came: list[Rows] = dataclasses.field(default_factory=list)
    added: dict[int, Tally] = dataclasses.field(default_factory=dict)


def new_span(edges: tuple[int, ...]) -> ContactSpan:
    """Return an interval of which no contact is known."""
    return ContactSpan(edges, empty_tally(edges), 0, NONE)


@dataclasses.dataclass
class VolumeSlice:
    """What is known of one queue, as far as a batch touches it. `seconds`: the queue's interval; `edges` of new histograms, and beside
    them `own_edges` of those of some starts.

    `reports`: the restatements of a span, packed.
    """

    queue: str
    seconds: int
    edges: tuple[int, ...]
    contacts: dict[SpanKey, ContactSpan] = dataclasses.field(default_factory=dict)
    reports: dict[SpanKey, bytes] = dataclasses.field(default_factory=dict)
    changed_reports: set[SpanKey] = dataclasses.field(default_factory=set)
    adjustments: dict[str, Adjustment] = dataclasses.field(default_factory=dict)
    own_edges: Mapping[int, tuple[int, ...]] = dataclasses.field(default_factory=dict)

    def edges_at(self, start: int) -> tuple[int, ...]:
        """Return the edges of a new histogram of the span that starts at an instant."""
        own = self.own_edges.get(start)
        return tuple(sorted({*self.edges, *own})) if own else self.edges

    def changed_starts(self) -> set[int]:
        """Return the starts of the spans that the batch changed."""
        return {key[2] for key, span in self.contacts.items() if span.came} | {key[2] for key in self.changed_reports}


def too_old(arrived_at: int, known_at: int) -> bool:
    """Return whether a contact is told later than identities are kept."""
    return arrived_at < known_at - LATENESS_HORIZON_SECONDS


def interval_of(instant: int, seconds: int) -> int:
    """Return the start of the interval in which an instant lies."""
    return instant - instant % seconds


def is_aligned(report: ReportFact, seconds: int) -> bool:
    """Return whether a report divides, or is a multiple of, a queue's interval, and starts on its grid."""
    fits = seconds % report.seconds == 0 or report.seconds % seconds == 0
    return fits and report.starts_at % min(report.seconds, seconds) == 0


def on_contacts(state: VolumeSlice, feed: str, official: bool, rows: Sequence[ContactRow] | Rows, known_at: int) -> VolumeSlice:
    """Fold what one feed told of contacts by an instant into the slice.

    Contacts known by the same minute fold as one. A span's minutes never go back: what is read later is known later.
    """
    told = np.asarray(rows, np.int64)
    starts = told[:, 0] - told[:, 0] % state.seconds
    order = np.argsort(starts, kind="stable")
    told, starts = told[order, 1:], starts[order]
    bounds = [0, *(np.flatnonzero(starts[1:] != starts[:-1]) + 1).tolist(), len(starts)]
    for begin, end in itertools.pairwise(bounds):
        if begin < end:
            key = (feed, official, int(starts[begin]), state.seconds)
            span = state.contacts.get(key) or state.contacts.setdefault(key, new_span(state.edges_at(key[2])))
            _fold_span(span, told[begin:end], minute_of(known_at))
    return state


def _fold_span(span: ContactSpan, told: Rows, minute: int) -> None:
    span.contacts, came, went = fold(span.contacts, newest_of_each(told.reshape(-1, COLUMNS)))
    if not len(came):
        return
    span.newest_minute = max(span.newest_minute, minute)
    added = tally_of(came, span.edges)
    if len(went):
        added = minus(added, tally_of(went, span.edges))
    span.came.append(came)
    span.total = add_tallies([span.total, added])
    before = span.added.get(span.newest_minute)
    if before is not None:
        added = add_tallies([before, added])
    if before is not None or not is_zero(added):
        span.added[span.newest_minute] = added


def on_report(state: VolumeSlice, feed: str, official: bool, fact: ReportFact, known_at: int) -> VolumeSlice:
    """Fold one report into the slice."""
    key = (feed, official, fact.starts_at, fact.seconds)
    known = minute_of(fact.known_at or known_at)
    old = state.reports.get(key, b"")
    entries = pack_entries(add_report(unpack_entries(old), Entry(known, fact.revision, fact.attribution, fact.tally)))
    if entries != old:
        state.reports[key] = entries
        state.changed_reports.add(key)
    return state


def on_columns(state: VolumeSlice, feed: str, official: bool, told: ReportColumns, known_at: int) -> VolumeSlice:
    """Fold many reports into the slice, as `on_report` would one by one."""
    if told.known_at:
        heads = [pack_numbers((minute_of(known or known_at), told.revision, told.attribution)) for known in told.known_at]
    else:
        heads = [pack_numbers((minute_of(known_at), told.revision, told.attribution))] * len(told.starts)
    bodies = pack_columns(heads, told.columns, told.edges, told.within)
    for row, (start, body) in enumerate(zip(told.starts, bodies, strict=True)):
        key = (feed, official, start, told.seconds)
        if key in state.reports:
            on_report(state, feed, official, told.fact(row), known_at)
        else:
            state.reports[key] = body
            state.changed_reports.add(key)
    return state


def on_adjustment(state: VolumeSlice, fact: Adjustment) -> VolumeSlice:
    """Keep one adjustment; the greatest of an id stands."""
    old = state.adjustments.get(fact.adjustment_id)
    if old is None or dataclasses.astuple(fact)[1:] > dataclasses.astuple(old)[1:]:
        state.adjustments[fact.adjustment_id] = fact
    return state


def spans_of(rows: Rows, seconds: int) -> set[int]:
    """Return the starts of the intervals that contacts (arrived_at, …) arrive in."""
    return set(np.unique(rows[:, 0] - rows[:, 0] % seconds).tolist())
