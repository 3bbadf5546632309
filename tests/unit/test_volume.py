"""Volume facts converge: any order, any repetition, any split into batches gives the same cells, and the same past."""

import dataclasses
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.forecaster.domain.contacts import NONE, Stage, fold, newest_of_each, pack_rows, tally_of, unpack_rows
from services.forecaster.domain.facts import Adjustment, ContactRow, ReportColumns, ReportFact
from services.forecaster.domain.tally import (
    COUNTS,
    FIXED_EDGES,
    NEVER_FROM_CONTACTS,
    Tally,
    add_tallies,
    empty_tally,
    is_zero,
    pack,
    split_tally,
    unpack,
)
from services.forecaster.domain.volume import (
    Entry,
    Report,
    Span,
    add_report,
    closed_through,
    compact,
    merge_reports,
    pack_entries,
    unpack_entries,
)
from services.forecaster.handlers.closing import close_cells
from services.forecaster.handlers.volume import (
    ContactSpan,
    VolumeSlice,
    is_aligned,
    on_adjustment,
    on_columns,
    on_contacts,
    on_report,
)
from services.forecaster.store.closing import digest

T0 = 1_774_400_400


def row(
    n: int, revision: int, stage: Stage, arrived: int = T0, wait: int = -1, talk: int = -1, hold: int = -1, after: int = -1
) -> ContactRow:
    return (arrived, n, revision, stage, wait, talk, hold, after)


@st.composite
def lives(draw: st.DrawFn) -> list[ContactRow]:
    """Draw the messages of a few contacts: each a life of one to four messages, revisions sometimes equal."""
    messages = []
    for n in range(draw(st.integers(1, 8))):
        arrived = T0 + draw(st.integers(0, 7199))
        for revision in range(draw(st.integers(1, 4))):
            stage = draw(st.sampled_from(list(Stage)))
            times = [draw(st.integers(-1, 900_000)) for _ in range(4)]
            messages.append(row(n, draw(st.integers(0, revision)), stage, arrived, *times))
    return messages


def batches(told: list[tuple[ContactRow, int]], luck: random.Random) -> list[list[tuple[ContactRow, int]]]:
    cuts = sorted(luck.randint(0, len(told)) for _ in range(luck.randint(0, 4)))
    return [told[a:b] for a, b in zip([0, *cuts], [*cuts, len(told)], strict=True)]


def told_in_batches(told: list[tuple[ContactRow, int]], luck: random.Random) -> VolumeSlice:
    """Fold batch by batch as the edge does: within a batch, by the minute in which facts became known."""
    state = VolumeSlice("acme/help", 1800, FIXED_EDGES)
    for batch in batches(told, luck):
        for known_at in sorted({k for _, k in batch}):
            on_contacts(state, "live", False, [c for c, k in batch if k == known_at], known_at)
    return state


def fold_all(contacts: list[ContactRow]) -> dict[int, Tally]:
    state = told_in_batches([(c, T0) for c in contacts], random.Random(1))
    return {key[2]: span.total for key, span in state.contacts.items() if not is_zero(span.total)}


@given(lives(), st.randoms(use_true_random=False))
def test_any_order_repetition_and_split_gives_the_same_cells(contacts: list[ContactRow], luck: random.Random) -> None:
    shuffled = contacts + luck.sample(contacts, luck.randint(0, len(contacts)))
    luck.shuffle(shuffled)
    state = told_in_batches([(c, T0) for c in shuffled], luck)
    assert {key[2]: span.total for key, span in state.contacts.items() if not is_zero(span.total)} == fold_all(contacts)


def past(state: VolumeSlice, minute: int) -> dict[int, Tally]:
    """Return what was known by a minute, by start, as the store reads it."""
    found = {}
    for (feed, official, start, seconds), span in state.contacts.items():
        entries = tuple(Entry(known, 0, 0, added) for known, added in span.added.items())
        known = Span(feed, official, False, start, seconds, Entry(0, 0, 0, span.total), entries).known_by(minute)
        if known is not None and not is_zero(known[0].tally):
            found[start] = known[0].tally
    return found


@given(lives(), lives(), st.randoms(use_true_random=False))
def test_the_past_is_what_the_facts_known_by_then_add_up_to(
    early: list[ContactRow], late: list[ContactRow], luck: random.Random
) -> None:
    """Two histories that agree on what was known by T agree on "as known at T", whatever came after and in which order."""
    then, after = T0 + 600, T0 + 4000
    told = [(c, then) for c in early]
    luck.shuffle(told)
    state = told_in_batches(told + [(c, after) for c in late], luck)
    assert past(state, then // 60) == fold_all(early)
    assert past(state, then // 60 - 1) == {}
    assert past(state, after // 60 + 1) == fold_all(early + late)


@given(lives())
def test_offered_is_the_sum_of_its_parts(contacts: list[ContactRow]) -> None:
    for t in fold_all(contacts).values():
        assert t.offered == (t.answered or 0) + (t.abandoned or 0) + (t.overflowed or 0) + (t.open or 0)
        assert t.handle_ms == (t.talk_ms or 0) + (t.hold_ms or 0) + (t.after_call_ms or 0)
        assert (t.handled or 0) <= (t.answered or 0)


def test_histograms_hold_every_wait_that_was_told() -> None:
    waits = [0, 5000, 5001, 20_000, 3_600_001]
    (tally,) = fold_all([row(n, 1, Stage.ANSWERED, wait=w) for n, w in enumerate(waits)]).values()
    assert tally.answered_waits is not None
    assert (sum(tally.answered_waits), tally.answered_waits[0], tally.answered_waits[-1]) == (5, 2, 1)
    assert tally.answered_wait_squares == sum((w // 100) ** 2 for w in waits)


def test_a_retracted_contact_never_was() -> None:
    assert fold_all([row(1, 2, Stage.RETRACTED), row(1, 1, Stage.OFFERED)]) == {}


def test_between_equal_revisions_the_later_stage_stands() -> None:
    life = [row(1, 0, Stage.WRAPPED, wait=5000, talk=60_000), row(1, 0, Stage.OFFERED)]
    (tally,) = fold_all(life).values()
    assert (tally.open, tally.handled, tally.handle_ms) == (0, 1, 60_000)


def test_an_unfinished_contact_counts_as_offered_and_has_no_handle_time() -> None:
    (tally,) = fold_all([row(1, 1, Stage.ANSWERED, wait=5000)]).values()
    assert (tally.offered, tally.answered, tally.handled, tally.handle_ms) == (1, 1, 0, 0)


@given(lives())
def test_packed_contacts_are_the_same_contacts(contacts: list[ContactRow]) -> None:
    rows = newest_of_each(np.array(contacts, np.int64)[:, 1:])
    assert np.array_equal(unpack_rows(pack_rows(rows)), rows)
    assert np.array_equal(unpack_rows(b""), NONE)


def test_a_million_contacts_take_twenty_megabytes() -> None:
    luck = np.random.default_rng(7)
    size = 20_000
    times = [luck.integers(0, 120_000, size), luck.integers(0, 1_200_000, size), luck.integers(0, 60_000, size)]
    rows = np.column_stack([luck.integers(0, 2**56 - 1, size), np.full(size, 3), np.full(size, 4), *times, times[2]])
    assert len(pack_rows(rows)) / size <= 20


@given(lives(), lives())
def test_folding_says_what_came_and_what_went(first: list[ContactRow], second: list[ContactRow]) -> None:
    known = newest_of_each(np.array(first, np.int64)[:, 1:])
    after, came, went = fold(known, newest_of_each(np.array(second, np.int64)[:, 1:]))
    total = add_tallies([tally_of(known, FIXED_EDGES), tally_of(came, FIXED_EDGES)])
    assert total == add_tallies([tally_of(after, FIXED_EDGES), tally_of(went, FIXED_EDGES)])
    assert np.array_equal(after, newest_of_each(after))


numbers = st.none() | st.integers(-(10**15), 10**15)


@st.composite
def tallies(draw: st.DrawFn) -> Tally:
    edges = draw(st.sampled_from([(), FIXED_EDGES, (*FIXED_EDGES[:2], 12_500, *FIXED_EDGES[2:]), (20_000,)]))
    bins = st.none() | st.lists(st.integers(-100, 10_000), min_size=len(edges) + 1, max_size=len(edges) + 1).map(tuple)
    counts = {name: draw(numbers) for name in COUNTS}
    return Tally(**counts, edges=tuple(sorted(edges)), answered_waits=draw(bins), abandoned_waits=draw(bins))


@given(st.lists(tallies(), min_size=1, max_size=4), st.integers(0, 2**62))
def test_packed_entries_are_the_same_entries(content: list[Tally], revision: int) -> None:
    entries = [Entry(n * 1000, revision, n % 4, tally) for n, tally in enumerate(content)]
    assert unpack_entries(pack_entries(entries)) == entries
    assert unpack(pack([], content[0]), 0)[1] == content[0]


def report(
    offered: int, *, feed: str = "live", official: bool = False, from_report: bool = True, start: int = T0, seconds: int = 1800
) -> Report:
    tally = empty_tally(FIXED_EDGES)._replace(offered=offered)
    return Report(feed, official, from_report, start, seconds, 1, tally)


def test_official_wins_and_the_other_basis_is_shown() -> None:
    cell = merge_reports([report(10), report(12, feed="billing", official=True)], T0, 1800)
    assert cell is not None
    assert (cell.official, cell.tally.offered, cell.other_offered) == (True, 12, 10)


def test_feeds_of_one_basis_add_and_a_report_replaces_its_feeds_contacts() -> None:
    told = [report(10), report(7, from_report=False), report(5, feed="second")]
    cell = merge_reports(told, T0, 1800)
    assert cell is not None
    assert cell.tally.offered == 15


def test_a_coarse_report_is_split_only_when_read_and_says_so() -> None:
    hour = report(11, seconds=3600)
    cells = [merge_reports([hour], T0 + n * 1800, 1800) for n in (0, 1)]
    assert [c.tally.offered for c in cells if c] == [5, 6]
    assert all(c.interpolated for c in cells if c)


@given(st.integers(0, 10_000), st.integers(1, 8))
def test_split_parts_add_up(offered: int, parts: int) -> None:
    assert sum(t.offered or 0 for t in split_tally(Tally(offered=offered), parts)) == offered


def test_what_one_feed_did_not_observe_the_sum_did_not() -> None:
    total = add_tallies([Tally(offered=3, answered=2), Tally(offered=4)])
    assert (total.offered, total.answered) == (7, None)


def test_every_count_of_an_empty_interval_is_a_known_zero() -> None:
    tally = empty_tally(FIXED_EDGES)
    assert all(getattr(tally, c) == 0 for c in COUNTS if c != NEVER_FROM_CONTACTS)


restatements = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 50)), min_size=1, max_size=10)


@given(restatements, st.randoms(use_true_random=False))
def test_reports_converge_in_any_order_for_every_instant(told: list[tuple[int, int, int]], luck: random.Random) -> None:
    """told: (revision, known minute, offered). What stood at T is the greatest report known by T, in whichever order told."""

    def entries(order: list[tuple[int, int, int]]) -> list[Entry]:
        found: list[Entry] = []
        for revision, known, offered in order:
            found = add_report(found, Entry(known, revision, 0, Tally(offered=offered)))
        return found

    shuffled = told + luck.sample(told, luck.randint(0, len(told)))
    luck.shuffle(shuffled)
    assert entries(shuffled) == entries(told)
    for minute in range(7):
        by_then = [Tally(offered=o) for r, k, o in told if k <= minute]
        span = Span("live", False, True, T0, 1800, entries(told)[-1], tuple(entries(told)))
        known = span.known_by(minute)
        assert (known is None) == (not by_then)
        if known is not None:
            best = max(r for r, k, _ in told if k <= minute)
            assert known[0].revision == best


def test_a_lower_revision_of_a_report_changes_nothing() -> None:
    state = VolumeSlice("acme/help", 1800, FIXED_EDGES)
    for revision, offered in ((2, 20), (1, 10)):
        on_report(state, "live", False, ReportFact(T0, 1800, revision, Tally(offered=offered)), T0)
    (entries,) = map(unpack_entries, state.reports.values())
    assert entries[-1].tally.offered == 20


def test_marks_keep_the_close_the_hour_the_day_and_each_later_restatement() -> None:
    closed = 1_000_000
    minutes = [closed - 20, closed - 1, closed + 30, closed + 61, closed + 1440, closed + 2000, closed + 3000]
    added = [Entry(m, 0, 0, Tally(offered=1)) for m in minutes]
    marks = compact(added, closed, adds=True)
    assert [(m.known - closed, m.tally.offered) for m in marks] == [(0, 2), (60, 1), (1440, 2), (2000, 1), (3000, 1)]
    restated = [Entry(m, n, 0, Tally(offered=n)) for n, m in enumerate(minutes)]
    marks = compact(restated, closed, adds=False)
    assert [(m.known - closed, m.tally.offered) for m in marks] == [(0, 1), (60, 2), (1440, 4), (2000, 5), (3000, 6)]
    assert compact(marks, closed, adds=False) == marks


@given(st.lists(st.tuples(*[st.integers(0, 500)] * 4), min_size=1, max_size=6), st.booleans(), st.booleans(), st.integers(0, 3))
def test_columns_fold_as_their_rows_do(rows: list[tuple[int, ...]], edged: bool, dated: bool, revision: int) -> None:
    columns = {name: [r[n] for r in rows] for n, name in enumerate(("offered", "answered", "handle_ms"))}
    columns["answered"] = [r[1] + r[3] for r in rows]
    starts = [T0 + r[0] % 3 * 1800 for r in rows]
    edges, within = ((20_000,), tuple(r[3] for r in rows)) if edged else ((), ())
    known = tuple(T0 + r[2] if r[2] % 3 else 0 for r in rows) if dated else ()
    told = ReportColumns(starts, 1800, revision, columns, edges, within, known)
    whole, single = (VolumeSlice("acme/help", 1800, FIXED_EDGES) for _ in range(2))
    on_columns(whole, "live", False, told, T0 + 60)
    for row in range(len(rows)):
        on_report(single, "live", False, told.fact(row), T0 + 60)
    assert (whole.reports, whole.changed_reports) == (single.reports, single.changed_reports)


def test_a_report_must_divide_or_make_up_the_queues_intervals() -> None:
    assert is_aligned(ReportFact(T0, 900, 1, Tally()), 1800)
    assert is_aligned(ReportFact(T0 - T0 % 3600, 3600, 1, Tally()), 1800)
    assert not is_aligned(ReportFact(T0, 1200, 1, Tally()), 1800)
    assert not is_aligned(ReportFact(T0 + 60, 1800, 1, Tally()), 1800)


def test_a_queue_is_closed_only_as_far_as_its_slowest_feed() -> None:
    assert closed_through([(T0, None), (T0 - 900, None)], T0 + 9999) == T0 - 900
    assert closed_through([(None, None)], T0) == 0
    assert closed_through([(None, 600)], T0) == T0 - 600


def test_a_complete_interval_without_facts_is_a_known_zero_and_is_said_once() -> None:
    (closed,) = close_cells([], [T0], 1800, {}, digest)
    assert (closed.cell.tally.offered, closed.revision) == (0, 1)
    said = {T0: (1, closed.digest)}
    assert close_cells([], [T0], 1800, said, digest) == []
    (again,) = close_cells([report(3)], [T0], 1800, said, digest)
    assert again.revision == 2


def test_a_feed_that_says_complete_is_never_closed_by_grace() -> None:
    assert closed_through([(T0, 600)], T0 + 99_999) == T0


def test_spans_of_several_lengths_from_one_feed_never_add() -> None:
    fine = [report(10, seconds=900), report(12, start=T0 + 900, seconds=900)]
    coarse = dataclasses.replace(report(23), revision=2)
    cell = merge_reports([fine[1], coarse], T0, 1800)
    assert cell is not None
    assert cell.tally.offered == 23
    cell = merge_reports([*fine, report(30)], T0, 1800)  # equal revisions: the finest
    assert cell is not None
    assert cell.tally.offered == 22


def test_an_official_contact_does_not_take_from_the_live_one() -> None:
    state = VolumeSlice("acme/help", 1800, FIXED_EDGES)
    on_contacts(state, "live", False, [row(1, 1, Stage.OFFERED)], T0)
    on_contacts(state, "live", True, [row(1, 2, Stage.ANSWERED, wait=900)], T0)
    spans: dict[bool, ContactSpan] = {key[1]: span for key, span in state.contacts.items()}
    assert (spans[False].total.offered, spans[False].total.open) == (1, 1)
    assert (spans[True].total.offered, spans[True].total.answered, spans[True].total.open) == (1, 1, 0)


def test_a_span_keeps_the_edges_it_began_with() -> None:
    """A contract's new threshold is an edge from its declaration on; before, it was not observed."""
    edges = tuple(sorted((*FIXED_EDGES, 12_000)))
    state = VolumeSlice("acme/help", 1800, FIXED_EDGES)
    on_contacts(state, "live", False, [row(1, 1, Stage.ANSWERED, wait=900)], T0)
    state.edges = edges
    on_contacts(state, "live", False, [row(2, 1, Stage.ANSWERED, wait=900), row(3, 1, Stage.OFFERED, T0 + 1800)], T0)
    assert [state.contacts["live", False, T0 + n, 1800].total.edges for n in (0, 1800)] == [FIXED_EDGES, edges]


def test_an_interval_of_deferred_work_has_edges_of_its_own_deadlines() -> None:
    state = VolumeSlice("acme/mail", 1800, FIXED_EDGES, own_edges={T0: (14_400_000, 16_200_000)})
    on_contacts(state, "live", False, [row(1, 1, Stage.WRAPPED, wait=15_000_000), row(2, 1, Stage.OFFERED, T0 + 1800)], T0)
    first, second = (state.contacts["live", False, T0 + n, 1800].total for n in (0, 1800))
    assert first.edges == (*FIXED_EDGES, 14_400_000, 16_200_000)
    assert first.answered_waits is not None
    assert first.answered_waits[-3:] == (0, 1, 0)
    assert second.edges == FIXED_EDGES


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_highest_revision_of_an_adjustment_stands(order: tuple[int, int]) -> None:
    state = VolumeSlice("acme/help", 1800, FIXED_EDGES)
    told = [Adjustment("a1", n, T0, 1800, n, None, None, None, "billing found two", "acme") for n in (0, 1)]
    for n in order:
        on_adjustment(state, told[n])
    assert state.adjustments["a1"].offered == 1
