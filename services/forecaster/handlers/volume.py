"""What volume facts do to a queue's slice: contacts and reports fold in, in any order, once."""

import dataclasses
from collections.abc import Iterable, Sequence

from services.forecaster.domain.facts import Observed, ReportFact
from services.forecaster.domain.volume import ContactState, Report, empty_tally, fold_contacts
from services.forecaster.errors import LATENESS_HORIZON_SECONDS

SpanKey = tuple[int, str, bool, bool]


@dataclasses.dataclass
class VolumeSlice:
    """What is known of one queue, as far as a batch touches it.

    contacts by identity (feed and basis) and fingerprint; reports by (start, feed, official, from_report); `edges` of new histograms;
    `seconds` of the queue's interval. `known_at` is when each changed span became known.
    """

    queue: str
    seconds: int
    edges: tuple[int, ...]
    contacts: dict[str, dict[str, ContactState]] = dataclasses.field(default_factory=dict)
    reports: dict[SpanKey, Report] = dataclasses.field(default_factory=dict)
    changed: set[SpanKey] = dataclasses.field(default_factory=set)
    known_at: dict[int, int] = dataclasses.field(default_factory=dict)
    late: int = 0


def touched_starts(observed: Iterable[Observed], seconds: int) -> set[int]:
    """Return the starts of the spans that facts speak of, for loading the slice."""
    starts = set()
    for o in observed:
        starts |= {c.arrived_at - c.arrived_at % seconds for c in o.contacts}
        starts |= {r.starts_at for r in o.reports}
    return starts


def is_aligned(report: ReportFact, seconds: int) -> bool:
    """Return whether a report divides, or is a multiple of, a queue's interval, and starts on its grid."""
    fits = seconds % report.seconds == 0 or report.seconds % seconds == 0
    return fits and report.starts_at % min(report.seconds, seconds) == 0


def on_observed(state: VolumeSlice, observed: Observed, known_at: int) -> VolumeSlice:
    """Fold one message into the slice. Contacts older than the lateness horizon are counted in `late`, not folded."""
    _fold_contacts(state, observed, known_at)
    for fact in observed.reports:
        key = (fact.starts_at, observed.feed, observed.official, True)
        old = state.reports.get(key)
        if old is None or fact.revision > old.revision:
            state.reports[key] = Report(
                observed.feed, observed.official, True, fact.starts_at, fact.seconds, fact.revision, fact.tally
            )
            state.changed.add(key)
            state.known_at[fact.starts_at] = fact.known_at or known_at
    return state


def _fold_contacts(state: VolumeSlice, observed: Observed, known_at: int) -> None:
    on_time = [c for c in observed.contacts if c.arrived_at >= known_at - LATENESS_HORIZON_SECONDS]
    state.late += len(observed.contacts) - len(on_time)
    known = state.contacts.setdefault(observed.identity, {})
    tallies = {}
    for start in _intervals(on_time, known, state.seconds):
        report = state.reports.get((start, observed.feed, observed.official, False))
        tallies[start] = report.tally if report else empty_tally(state.edges)
    for start in fold_contacts(known, tallies, on_time, state.seconds):
        key = (start, observed.feed, observed.official, False)
        revision = state.reports[key].revision + 1 if key in state.reports else 1
        state.reports[key] = Report(observed.feed, observed.official, False, start, state.seconds, revision, tallies[start])
        state.changed.add(key)
        state.known_at[start] = known_at


def _intervals(contacts: Sequence[ContactState], known: dict[str, ContactState], seconds: int) -> set[int]:
    arrivals = [known[c.fingerprint].arrived_at if c.fingerprint in known else c.arrived_at for c in contacts]
    return {a - a % seconds for a in arrivals}
