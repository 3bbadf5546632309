"""A ledger of contacts: what is told, re-sent, shuffled, late, revised and retracted, and what must come of it.

The code under test never sees it; it counts with plain dictionaries, and shares nothing with Muster but the wire's types.
"""

import collections
import dataclasses
import random
from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from muster.v1 import volume_pb2

HOUR = 3600
INTERVAL = 1800
RESENT, LATE, RETRACTED = 0.05, 0.03, 0.02
EDGES = [s * 1000 for s in (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 3600)]


@dataclasses.dataclass
class Expected:
    """What a queue's interval must hold."""

    offered: int = 0
    answered: int = 0
    abandoned: int = 0
    handled: int = 0
    handle_ms: int = 0
    wait_ms: int = 0
    within_20: int = 0


@dataclasses.dataclass
class Ledger:
    """Every message there is to tell, in the order of telling, and its queue."""

    told: list[tuple[str, volume_pb2.Contact]]
    contacts: int

    def expected(self) -> dict[tuple[str, int], Expected]:
        """Return what must be known of each (queue, interval): of each contact the highest revision, and nothing else."""
        newest: dict[tuple[str, str], volume_pb2.Contact] = {}
        for queue, contact in self.told:
            old = newest.get((queue, contact.contact_id))
            if old is None or old.revision < contact.revision:
                newest[queue, contact.contact_id] = contact
        cells: dict[tuple[str, int], Expected] = collections.defaultdict(Expected)
        for (queue, _), c in newest.items():
            cell = cells[queue, c.arrived_at.seconds // INTERVAL * INTERVAL]
            if c.stage == volume_pb2.STAGE_RETRACTED:
                continue
            wait = round(c.queue_seconds * 1000)
            cell.offered += 1
            cell.abandoned += c.stage == volume_pb2.STAGE_ABANDONED
            if c.stage == volume_pb2.STAGE_WRAPPED:
                cell.answered += 1
                cell.handled += 1
                cell.handle_ms += round(c.talk_seconds * 1000) + round(c.after_call_seconds * 1000)
                cell.wait_ms += wait
                cell.within_20 += wait <= 20_000
        return dict(cells)


def write_ledger(luck: random.Random, queues: Iterable[str], contacts: int, now: int) -> Ledger:
    """Return a ledger of contacts that arrived in the two hours before `now`, some of them up to 70 hours before.

    Each is told in two to four revisions, 5 % of the messages twice, all shuffled; some are retracted in the end.
    """
    told: list[tuple[str, volume_pb2.Contact]] = []
    names = list(queues)
    for n in range(contacts):
        queue = names[n % len(names)]
        span = 70 * HOUR if luck.random() < LATE else 2 * HOUR
        arrived = Timestamp(seconds=now - 1 - luck.randrange(span))
        wait = luck.randrange(90_000) / 1000
        stages = [volume_pb2.STAGE_OFFERED]
        if luck.random() < 0.1:
            stages.append(volume_pb2.STAGE_ABANDONED)
        else:
            stages += [volume_pb2.STAGE_ANSWERED, volume_pb2.STAGE_WRAPPED]
        if luck.random() < RETRACTED:
            stages.append(volume_pb2.STAGE_RETRACTED)
        for revision, stage in enumerate(stages, start=1):
            contact = volume_pb2.Contact(contact_id=f"{queue}-{n}", revision=revision, arrived_at=arrived, stage=stage)
            if stage != volume_pb2.STAGE_OFFERED:
                contact.queue_seconds = wait
            if stage == volume_pb2.STAGE_WRAPPED:
                contact.talk_seconds, contact.after_call_seconds = luck.randrange(900_000) / 1000, 30
            told.append((queue, contact))
            if luck.random() < RESENT:
                told.append((queue, contact))
    luck.shuffle(told)
    return Ledger(told, contacts)


def messages(ledger: Ledger, luck: random.Random, feed: str = "live") -> Iterable[volume_pb2.VolumeObserved]:
    """Return the ledger's messages: some of one contact, some of many."""
    waiting: dict[str, list[volume_pb2.Contact]] = collections.defaultdict(list)
    sizes: dict[str, int] = {}
    for queue, contact in ledger.told:
        waiting[queue].append(contact)
        size = sizes.setdefault(queue, luck.choice((1, 1, 5, 20, 50)))
        if len(waiting[queue]) >= size:
            yield volume_pb2.VolumeObserved(queue=queue, feed=feed, contacts=waiting.pop(queue))
            del sizes[queue]
    for queue, contacts in waiting.items():
        yield volume_pb2.VolumeObserved(queue=queue, feed=feed, contacts=contacts)
