"""Contacts converge: any order, any repetition, any split into batches gives the same cells, and the same past."""

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.forecaster.domain.contacts import NONE, Stage, fold, newest_of_each, pack_rows, tally_of, unpack_rows
from services.forecaster.domain.facts import ContactRow
from services.forecaster.domain.tally import (
    COUNTS,
    FIXED_EDGES,
    NEVER_FROM_CONTACTS,
    Tally,
    add_tallies,
    empty_tally,
    is_zero,
    pack,
    unpack,
)
from services.forecaster.domain.volume import (
    Entry,
    Span,
    pack_entries,
    unpack_entries,
)
from services.forecaster.handlers.volume import (
    ContactSpan,
    VolumeSlice,
    on_contacts,
)

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


def test_every_count_of_an_empty_interval_is_a_known_zero() -> None:
    tally = empty_tally(FIXED_EDGES)
    assert all(getattr(tally, c) == 0 for c in COUNTS if c != NEVER_FROM_CONTACTS)


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
