"""Volume facts converge: any order, any repetition, the same cells."""

import dataclasses
import random

from hypothesis import given
from hypothesis import strategies as st

from services.forecaster.domain.facts import Observed, ReportFact
from services.forecaster.domain.volume import (
    COUNTS,
    FIXED_EDGES,
    ContactState,
    Report,
    Stage,
    Tally,
    add_tallies,
    closed_through,
    empty_tally,
    merge_reports,
    split_tally,
)
from services.forecaster.handlers.closing import close_cells
from services.forecaster.handlers.volume import VolumeSlice, is_aligned, on_observed

T0 = 1_774_400_400


@st.composite
def lives(draw: st.DrawFn) -> list[ContactState]:
    """Draw the messages of a few contacts: each a life of one to four revisions."""
    messages = []
    for n in range(draw(st.integers(1, 8))):
        arrived = T0 + draw(st.integers(0, 7199))
        for revision in range(draw(st.integers(1, 4))):
            stage = draw(st.sampled_from(list(Stage)))
            wait, handle = draw(st.integers(0, 400_000)), draw(st.integers(0, 900_000))
            handled = handle if stage == Stage.WRAPPED else None
            messages.append(ContactState(f"c{n}", revision, arrived, stage, wait, handled))
    return messages


def fold(contacts: list[ContactState]) -> dict[int, Tally]:
    state = VolumeSlice("acme/help", 1800, FIXED_EDGES)
    for contact in contacts:
        on_observed(state, Observed("acme/help", "live", False, (contact,), ()), T0)
    return {start: r.tally for (start, _, _, _), r in state.reports.items() if r.tally != empty_tally(FIXED_EDGES)}


@given(lives(), st.randoms(use_true_random=False))
def test_any_order_and_repetition_gives_the_same_cells(contacts: list[ContactState], luck: random.Random) -> None:
    shuffled = contacts + luck.sample(contacts, luck.randint(0, len(contacts)))
    luck.shuffle(shuffled)
    assert fold(shuffled) == fold(contacts)


@given(lives())
def test_offered_is_the_sum_of_its_parts(contacts: list[ContactState]) -> None:
    for t in fold(contacts).values():
        assert t.offered == (t.answered or 0) + (t.abandoned or 0) + (t.overflowed or 0) + (t.open or 0)
        assert sum(t.answered_waits or ()) == t.answered
        assert sum(t.abandoned_waits or ()) == t.abandoned


def test_a_retracted_contact_never_was() -> None:
    life = [ContactState("c", 1, T0, Stage.OFFERED), ContactState("c", 2, T0, Stage.RETRACTED)]
    assert fold(life) == {}


def test_an_unfinished_contact_counts_as_offered_and_has_no_handle_time() -> None:
    (tally,) = fold([ContactState("c", 1, T0, Stage.ANSWERED, 5000)]).values()
    assert (tally.offered, tally.answered, tally.handled, tally.handle_ms) == (1, 1, 0, 0)


def report(
    offered: int, *, feed: str = "live", official: bool = False, from_report: bool = True, start: int = T0, seconds: int = 1800
) -> Report:
    return Report(
        feed, official, from_report, start, seconds, 1, dataclasses.replace(empty_tally(FIXED_EDGES), offered=offered)
    )


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
    assert all(getattr(tally, c) == 0 for c in COUNTS if c != "short_abandoned")


def test_a_lower_revision_of_a_report_changes_nothing() -> None:
    state = VolumeSlice("acme/help", 1800, FIXED_EDGES)
    for revision, offered in ((2, 20), (1, 10)):
        fact = ReportFact(T0, 1800, revision, Tally(offered=offered))
        on_observed(state, Observed("acme/help", "live", False, (), (fact,)), T0)
    assert next(iter(state.reports.values())).tally.offered == 20


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
    (closed,) = close_cells([], [T0], 1800, {}, dataclasses.asdict)
    assert (closed.cell.tally.offered, closed.revision) == (0, 1)
    said = {T0: (1, dataclasses.asdict(closed.cell.tally))}
    assert close_cells([], [T0], 1800, said, dataclasses.asdict) == []
    (again,) = close_cells([report(3)], [T0], 1800, said, dataclasses.asdict)
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
    on_observed(state, Observed("acme/help", "live", False, (ContactState("c", 1, T0, Stage.OFFERED),), ()), T0)
    on_observed(state, Observed("acme/help", "live", True, (ContactState("c", 2, T0, Stage.ANSWERED, 900),), ()), T0)
    tallies = {official: r.tally for (_, _, official, _), r in state.reports.items()}
    assert (tallies[False].offered, tallies[False].open) == (1, 1)
    assert (tallies[True].offered, tallies[True].answered, tallies[True].open) == (1, 1, 0)
