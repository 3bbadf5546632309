"""Whether a whole book holds together: names that refer, days that don't overlap, what isn't served yet.

Each violation names a field by its path, like `queues[3].required_skills`, and says what is allowed.
"""

import collections
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from muster.book.channels import channel_faults, known
from muster.book.fields import DatedRow
from muster.book.terms import Target
from muster.book.types import KINDS, Book
from muster.book.words import TargetMetric
from muster.domain.calendar import to_local
from muster.kit.errors import Refusal, Violation

Refer = Callable[[str, str, str], Iterable[Violation]]


def path_text(location: Sequence[int | str]) -> str:
    """Return ('queues', 3, 'zone') as queues[3].zone."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def parse_book(data: Mapping[str, Any]) -> Book:
    """Build the book from plain data. Raise Refusal with a violation per faulty field."""
    try:
        return Book.model_validate(data)
    except ValidationError as error:
        violations = tuple(Violation(path_text(e["loc"]), _describe(e)) for e in error.errors(include_url=False))
        raise Refusal("INVALID_BOOK", f"{len(violations)} faults in the book", violations) from error


def _describe(error: Any) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"is {error['input']!r}; no such field"
    if kind == "missing":
        return "is missing"
    text = str(error["msg"]).removeprefix("Value error, ")
    if kind == "string_pattern_mismatch":
        text = f"allowed: {error['ctx']['pattern']}"
    shown = error["input"]
    if isinstance(shown, dict) or str(shown) in text:
        return text
    return f"is {shown!r}; {text}"


def check_book(book: Book) -> None:
    """Raise Refusal with every violation that a row alone can't see."""
    found = [*_doubles(book), *_references(book), *channel_faults(book), *_contracts(book), *_patterns(book), *_grids(book)]
    if found:
        raise Refusal("INVALID_BOOK", f"{len(found)} faults in the book", tuple(found))


def _rows(book: Book) -> Iterable[tuple[str, int, DatedRow]]:
    for kind in KINDS:
        for place, row in enumerate(getattr(book, kind)):
            yield kind, place, row


def _doubles(book: Book) -> Iterable[Violation]:
    """Rows of one name must differ in valid_from, and must not be true on the same day."""
    by_name: dict[tuple[str, str], list[tuple[str, str, int]]] = collections.defaultdict(list)
    for kind, place, row in _rows(book):
        by_name[kind, row.name].append((row.valid_from, row.valid_until or "9999-12-31", place))
    for (kind, name), spans in by_name.items():
        spans.sort()
        for (_, until, _), (begins, _, place) in itertools.pairwise(spans):
            if begins < until:
                yield Violation(f"{kind}[{place}].name", f"{name!r} is already declared for that day; give both rows dates")


def _references(book: Book) -> Iterable[Violation]:
    names = {kind: {row.name for row in getattr(book, kind)} for kind in KINDS}

    def refer(path: str, value: str, kind: str) -> Iterable[Violation]:
        if value and value not in names[kind]:
            yield Violation(path, f"is {value!r}, not among {kind}; {known(names[kind])}")

    yield from _demand_refers(book, refer)
    yield from _supply_refers(book, refer)


def _demand_refers(book: Book, refer: Refer) -> Iterable[Violation]:

    for i, queue in enumerate(book.queues):
        yield from refer(f"queues[{i}].name", queue.client, "clients")
    for i, contract in enumerate(book.contracts):
        for j, name in enumerate(contract.queues):
            yield from refer(f"contracts[{i}].queues[{j}]", name, "queues")
        for j, target in enumerate(contract.targets):
            for k, name in enumerate(target.queues):
                if name not in contract.queues:
                    yield Violation(
                        f"contracts[{i}].targets[{j}].queues[{k}]", f"is {name!r}, not a queue of the contract {contract.name}"
                    )
        for j, minimum in enumerate(contract.minimum_staff):
            yield from refer(f"contracts[{i}].minimum_staff[{j}].queue", minimum.queue, "queues")
    for i, shrinkage in enumerate(book.shrinkage):
        yield from refer(f"shrinkage[{i}].site", shrinkage.site, "sites")
        yield from refer(f"shrinkage[{i}].queue", shrinkage.queue, "queues")
    for i, override in enumerate(book.overrides):
        yield from refer(f"overrides[{i}].queue", override.queue, "queues")
        client = override.name.partition("/")[0]
        if override.queue.partition("/")[0] != client:
            yield Violation(
                f"overrides[{i}].queue", f"is {override.queue!r}; allowed: queues of the override's client {client}/…"
            )
    for i, queue in enumerate(book.queues):
        shape = queue.cold_start.shape if queue.cold_start else ""
        if shape == queue.name:
            yield Violation(f"queues[{i}].cold_start.shape", f"is {shape!r}, the queue itself; allowed: another queue")
        yield from refer(f"queues[{i}].cold_start.shape", shape, "queues")
    for i, event in enumerate(book.events):
        client = event.name.partition("/")[0]
        yield from refer(f"events[{i}].name", client, "clients")
        for j, name in enumerate(event.queues):
            yield from refer(f"events[{i}].queues[{j}]", name, "queues")
            if name.partition("/")[0] != client:
                allowed = f"queues of the event's client {client}/…"
                yield Violation(f"events[{i}].queues[{j}]", f"is {name!r}; allowed: {allowed}")


def _supply_refers(book: Book, refer: Refer) -> Iterable[Violation]:
    for i, site in enumerate(book.sites):
        for j, name in enumerate(site.clients):
            yield from refer(f"sites[{i}].clients[{j}]", name, "clients")
    for i, pattern in enumerate(book.work_patterns):
        for j, pause in enumerate(pattern.breaks):
            yield from refer(f"work_patterns[{i}].breaks[{j}].activity", pause.activity, "activities")
    for i, agent in enumerate(book.agents):
        yield from refer(f"agents[{i}].site", agent.site, "sites")
        yield from refer(f"agents[{i}].work_pattern", agent.work_pattern, "work_patterns")
        for j, name in enumerate(agent.eligible_clients):
            yield from refer(f"agents[{i}].eligible_clients[{j}]", name, "clients")


def _grids(book: Book) -> Iterable[Violation]:
    """A queue's local intervals must be intervals of UTC too: zones at :45 take 15 minutes only."""
    zones = {client.name: client.zone for client in book.clients}
    for i, queue in enumerate(book.queues):
        zone = queue.zone or zones.get(queue.client, "UTC")
        offsets = [to_local(instant, zone).utcoffset() for instant in (1_767_225_600, 1_782_864_000)]
        if any(offset is not None and offset.total_seconds() % queue.interval_seconds for offset in offsets):
            why = f"is {queue.interval_seconds}, but {zone} does not differ from UTC by a multiple of it; allowed: 900"
            yield Violation(f"queues[{i}].interval_seconds", why)


def _contracts(book: Book) -> Iterable[Violation]:
    """A queue belongs to one contract of its own client at a time."""
    owner: dict[tuple[str, str], str] = {}
    for i, contract in enumerate(book.contracts):
        client = contract.name.partition("/")[0]
        for j, queue in enumerate(contract.queues):
            where = f"contracts[{i}].queues[{j}]"
            if queue.partition("/")[0] != client:
                yield Violation(where, f"is {queue!r}; allowed: queues of the contract's client {client}/…")
            other = owner.setdefault((queue, contract.valid_from), contract.name)
            if other != contract.name:
                yield Violation(where, f"is {queue!r}, already in contract {other}")
        for j, target in enumerate(contract.targets):
            yield from _shares(f"contracts[{i}].targets[{j}]", target)
            if target.metric == TargetMetric.SERVICE_LEVEL and target.target >= 1:
                yield Violation(
                    f"contracts[{i}].targets[{j}].target", "is 1, which no number of agents keeps; allowed: below 1"
                )
    covered = {queue for contract in book.contracts for queue in contract.queues}
    for i, fiscal in enumerate(row.fiscal_calendar for row in book.clients):
        if fiscal and fiscal.kind == "FOUR_FOUR_FIVE" and not fiscal.year_start:
            yield Violation(f"clients[{i}].fiscal_calendar.year_start", "is missing; FOUR_FOUR_FIVE counts its weeks from it")
    for i, row in enumerate(book.queues):
        if row.name not in covered:
            yield Violation(f"queues[{i}].name", f"{row.name!r} is in no contract, so nothing says what it must reach")


def _shares(at: str, target: Target) -> Iterable[Violation]:
    """A share of intervals or days is of those that reach something of the metric's own."""
    metric, each = target.metric, target.each_target
    if target.shares and metric in (TargetMetric.ASA, TargetMetric.ABANDONMENT) and (each is None or target.target > 1):
        unit = "seconds" if metric == TargetMetric.ASA else "a share of the offered"
        why = f"is {target.target:g} of {target.aggregation}; allowed: a share, and each_target in {unit}"
        yield Violation(f"{at}.target", why)
    if each is not None and metric != TargetMetric.ASA and (each > 1 or (each == 1 and metric == TargetMetric.SERVICE_LEVEL)):
        yield Violation(f"{at}.each_target", f"is {each:g} of {metric}; allowed: a share, below 1 for SERVICE_LEVEL")


def _patterns(book: Book) -> Iterable[Violation]:
    """A work pattern's days and hours can both be kept, and there is an activity to serve contacts with."""
    paid = {a.name: a.paid for a in book.activities}
    for i, pattern in enumerate(book.work_patterns):
        unpaid = sum(b.seconds for b in pattern.breaks if not paid.get(b.activity, True))
        shortest = (min(pattern.shift_seconds) - unpaid) / 3600
        longest = (max(pattern.shift_seconds) - unpaid) / 3600
        if pattern.minimum_days * shortest > pattern.maximum_weekly_hours + 1e-9:
            why = f"{pattern.minimum_days} days of {shortest:g} paid hours exceed maximum_weekly_hours {pattern.maximum_weekly_hours:g}"
            yield Violation(f"work_patterns[{i}].minimum_days", why)
        if pattern.maximum_days * longest < pattern.minimum_weekly_hours - 1e-9:
            why = f"{pattern.maximum_days} days of {longest:g} paid hours don't reach {pattern.minimum_weekly_hours:g}"
            yield Violation(f"work_patterns[{i}].minimum_weekly_hours", why)
    if book.agents and not any(a.on_queue for a in book.activities):
        yield Violation("activities", "none has on_queue: true, so agents have nothing to serve contacts with")
