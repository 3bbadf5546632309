"""Reports of an interval: merged, split and restated; adjustments; and when an interval is closed."""

import dataclasses
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.forecaster.domain.facts import Adjustment, ReportColumns, ReportFact
from services.forecaster.domain.tally import (
    FIXED_EDGES,
    Tally,
    add_tallies,
    empty_tally,
    split_tally,
)
from services.forecaster.domain.volume import (
    Entry,
    Report,
    Span,
    add_report,
    closed_through,
    compact,
    merge_reports,
    unpack_entries,
)
from services.forecaster.handlers.closing import close_cells
from services.forecaster.handlers.volume import (
    VolumeSlice,
    is_aligned,
    on_adjustment,
    on_columns,
    on_report,
)
from services.forecaster.store.closing import digest

T0 = 1_774_400_400


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


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_highest_revision_of_an_adjustment_stands(order: tuple[int, int]) -> None:
    state = VolumeSlice("acme/help", 1800, FIXED_EDGES)
    told = [Adjustment("a1", n, T0, 1800, n, None, None, None, "billing found two", "acme") for n in (0, 1)]
    for n in order:
        on_adjustment(state, told[n])
    assert state.adjustments["a1"].offered == 1
