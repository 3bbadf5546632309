"""Whether queues and promises go with their channels: chats, mail and back office, campaigns, and work that blends into calls."""

import collections
import itertools
from collections.abc import Iterable

from muster.book.terms import Target
from muster.book.types import Book
from muster.book.words import Channel, TargetMetric
from muster.domain.due_rule import parse_due
from muster.kit.errors import Violation

SHORTEST_DEADLINE = 60
DEFERRED = (Channel.EMAIL, Channel.BACK_OFFICE)


def channel_faults(book: Book) -> Iterable[Violation]:
    """Give what does not go with a queue's channel."""
    for check in (_not_served, _chats, _deadlines, _campaigns, _blends):
        yield from check(book)


def known(allowed: Iterable[str]) -> str:
    """Return in words which names may be referred to."""
    names = sorted(allowed)
    return f"declared: {', '.join(names[:20])}{' …' if len(names) > 20 else ''}" if names else "none is declared"


def _chats(book: Book) -> Iterable[Violation]:
    """What a row declared before chats were served stays readable: this is asked of what is applied."""
    for i, queue in enumerate(book.queues):
        if queue.concurrency is None:
            continue
        levels, at = queue.concurrency.aht_seconds_by_level, f"queues[{i}].concurrency"
        if queue.concurrency.max > 1 and queue.channel != Channel.CHAT:
            yield Violation(f"{at}.max", f"is {queue.concurrency.max}; goes with channel CHAT, not {queue.channel}")
        if levels and len(levels) != queue.concurrency.max:
            why = f"has {len(levels)} levels; allowed: max, {queue.concurrency.max}, or none"
            yield Violation(f"{at}.aht_seconds_by_level", why)
        for count, (fewer, more) in enumerate(itertools.pairwise(levels), start=1):
            if not 0 < fewer <= more or more / (count + 1) > fewer / count:
                why = "allowed: above 0, a chat beside others no faster, and more of them together no slower"
                yield Violation(f"{at}.aht_seconds_by_level", f"is {fewer:g}, {more:g} for {count}, {count + 1}; {why}")


def _deadlines(book: Book) -> Iterable[Violation]:
    """Deadlines that can be read, one for each queue of mail or back office, and no promise of another kind that nobody would keep."""
    deferred = {queue.name for queue in book.queues if queue.channel in DEFERRED}
    for i, contract in enumerate(book.contracts):
        promised = collections.Counter[str]()
        for j, target in enumerate(contract.targets):
            at, covered = f"contracts[{i}].targets[{j}]", target.queues or contract.queues
            if target.metric != TargetMetric.DEADLINE_MET:
                if target.threshold_business:
                    yield Violation(f"{at}.threshold_business", f"goes with DEADLINE_MET, not {target.metric}")
                continue
            promised.update(covered)
            yield from _deadline(at, target)
        for name in sorted(deferred & set(contract.queues)):
            if promised[name] != 1:
                why = f"promise {promised[name]} deadlines for {name}; allowed: one target DEADLINE_MET for mail or back office"
                yield Violation(f"contracts[{i}].targets", why)


def _deadline(at: str, target: Target) -> Iterable[Violation]:
    if bool(target.threshold_business) == (target.threshold_seconds is not None):
        said = f"threshold_business {target.threshold_business!r}, threshold_seconds {target.threshold_seconds}"
        yield Violation(f"{at}.metric", f"{said}; DEADLINE_MET needs one of them: 8h or end_of_day+1@15:00, or seconds")
    elif target.threshold_business:
        try:
            parse_due(target.threshold_business)
        except ValueError as error:
            yield Violation(f"{at}.threshold_business", str(error))
    elif (target.threshold_seconds or 0) < SHORTEST_DEADLINE:
        yield Violation(f"{at}.threshold_seconds", f"is {target.threshold_seconds:g}; allowed: {SHORTEST_DEADLINE} or more")


def _campaigns(book: Book) -> Iterable[Violation]:
    """Outbound has a campaign, and nobody who waits; how much of reserved time may be worked is its contract's cap."""
    outbound = {queue.name for queue in book.queues if queue.channel == Channel.OUTBOUND}
    for i, queue in enumerate(book.queues):
        if (queue.name in outbound) != (queue.campaign is not None):
            said = "has no campaign" if queue.campaign is None else f"goes with channel OUTBOUND, not {queue.channel}"
            yield Violation(f"queues[{i}].campaign", f"{said}; allowed: one for each queue of channel OUTBOUND, and only there")
    for i, contract in enumerate(book.contracts):
        for j, target in enumerate(contract.targets):
            wrong = sorted(outbound & set(target.queues or contract.queues))
            if wrong and target.metric != TargetMetric.OCCUPANCY_CAP:
                why = f"is {target.metric}, which nobody called waits for ({', '.join(wrong)}); allowed for OUTBOUND: OCCUPANCY_CAP"
                yield Violation(f"contracts[{i}].targets[{j}].metric", why)


def _blends(book: Book) -> Iterable[Violation]:
    """Deferred work blends into calls of its own client, of intervals as long; idle time is given once."""
    taken: dict[str, str] = {}
    for i, queue in enumerate(book.queues):
        if queue.blend is None:
            continue
        if queue.channel not in DEFERRED:
            yield Violation(f"queues[{i}].blend", f"goes with EMAIL and BACK_OFFICE, not {queue.channel}")
        for j, name in enumerate(queue.blend.queues):
            at, calls = f"queues[{i}].blend.queues[{j}]", [q for q in book.queues if q.name == name]
            lengths = {q.interval_seconds for q in calls} - {queue.interval_seconds}
            if not calls or any(q.channel != Channel.VOICE or q.client != queue.client for q in calls):
                voices = (q.name for q in book.queues if q.channel == Channel.VOICE and q.client == queue.client)
                yield Violation(at, f"is {name!r}; allowed: queues of calls of {queue.client}, {known(voices)}")
            elif lengths:
                why = f"has intervals of {min(lengths)} s, {queue.name} of {queue.interval_seconds}; allowed: the same"
                yield Violation(at, f"{name} {why}")
            if name in queue.blend.queues[:j]:
                yield Violation(at, f"is {name!r} again; allowed: each once")
            if taken.setdefault(name, queue.name) != queue.name:
                yield Violation(at, f"is {name!r}, whose idle time {taken[name]} takes; allowed: in one blend")


def _not_served(book: Book) -> Iterable[Violation]:
    deferred = {queue.name for queue in book.queues if queue.channel in DEFERRED}
    for i, queue in enumerate(book.queues):
        if queue.intake_hours and queue.name not in deferred:
            yield Violation(f"queues[{i}].intake_hours", f"goes with EMAIL and BACK_OFFICE, not {queue.channel}")
    for i, contract in enumerate(book.contracts):
        for j, target in enumerate(contract.targets):
            covered = target.queues or contract.queues
            wrong = [q for q in covered if (q in deferred) != (target.metric == TargetMetric.DEADLINE_MET)]
            if wrong:
                what = "waits for mail or back office" if wrong[0] in deferred else "a deadline for contacts that wait in line"
                why = f"is {target.metric}, {what} ({', '.join(wrong)}); allowed: DEADLINE_MET for EMAIL and BACK_OFFICE, and only there"
                yield Violation(f"contracts[{i}].targets[{j}].metric", why)
