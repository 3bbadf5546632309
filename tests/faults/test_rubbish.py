"""Rubbish among good facts: each letter in the dead-letter topic with reason, origin and original bytes; nothing crashes."""

import asyncio
import contextlib
import os
import pathlib
import random
import time
import urllib.request
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from kafka import KafkaConsumer, TopicPartition

from services.forecaster.volume_wire import read_observed, read_progress
from services.scheduler.wire import read_attendance, read_decision, read_requirement
from services.staffing.wire import read_closed, read_floor, read_forecast, read_schedule
from tests.support.fault_checks import check_volume
from tests.support.fault_world import SINGLE, FaultWorld, fault_world
from tests.support.ledger import HOUR, INTERVAL, messages, write_ledger
from tests.support.rubbish import KINDS
from tests.support.small_world import QUEUES

FULL = bool(os.environ.get("MUSTER_TEST_FAULTS"))
RUBBISH, GOOD = (25_000, 100_000) if FULL else (1_000, 4_000)
INPUTS = 100_000 if FULL else 5_000
VOLUME = "muster.volume.observed.v1"
SEED = 20261127


def cpu_seconds(world: FaultWorld) -> float:
    fields = pathlib.Path(f"/proc/{world.supervisor.processes['forecaster'].pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Spent:
    """CPU-seconds of the forecaster since now, less what it spends on nothing in as long a time."""

    def __init__(self, world: FaultWorld) -> None:
        self._world = world
        before = cpu_seconds(world)
        time.sleep(3)
        self._idle = (cpu_seconds(world) - before) / 3
        self._began, self._since = cpu_seconds(world), time.monotonic()

    def seconds(self) -> float:
        return cpu_seconds(self._world) - self._began - self._idle * (time.monotonic() - self._since)


def consumed(world: FaultWorld) -> int:
    """Return how many messages of volume the forecaster took since it started."""
    with contextlib.closing(world.muster()) as muster:
        page = urllib.request.urlopen(f"http://{muster.addresses.metrics['forecaster']}/metrics", timeout=10).read().decode()
    line = next((row for row in page.splitlines() if row.startswith(f'muster_facts_consumed_total{{topic="{VOLUME}"}}')), " 0")
    return int(float(line.split()[-1]))


async def send_all(bootstrap: str, pairs: Sequence[tuple[bytes, bytes]]) -> list[int]:
    """Send (key, value) to the volume topic as fast as can be, so that a queue of work stands; return the offset of each."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=900_000) as producer:
        offsets, rest = list[int](), list(pairs)
        while rest:
            batch, taken = producer.create_batch(), 0
            while taken < len(rest) and batch.append(timestamp=None, key=rest[taken][0], value=rest[taken][1]):
                taken += 1
            placed = await (await producer.send_batch(batch, VOLUME, partition=0))
            offsets += range(placed.offset, placed.offset + taken)
            del rest[:taken]
        return offsets


def letters(bootstrap: str) -> dict[str, Any]:
    """Return dead letters by origin."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    tp = TopicPartition(VOLUME + ".dlq", 0)
    consumer.assign([tp])
    consumer.seek_to_beginning(tp)
    end, found = consumer.end_offsets([tp])[tp], {}
    while consumer.position(tp) < end:
        for record in [r for rs in consumer.poll(1000).values() for r in rs]:
            assert record.key.decode() not in found, "a letter came twice"
            found[record.key.decode()] = record
    consumer.close()
    return found


def test_rubbish_is_kept_with_its_reason_and_good_facts_go_on(tmp_path: pathlib.Path) -> None:
    assert len(KINDS) >= 25
    luck, now = random.Random(SEED), int(time.time())
    ledger = write_ledger(luck, QUEUES, GOOD // 3, now)
    good = [(m.queue.encode(), m.SerializeToString()) for m in messages(ledger, luck)]
    while len(good) < GOOD:  # single messages are re-sent until there are as many as asked for
        good += [(m.queue.encode(), m.SerializeToString()) for m in messages(ledger, luck)]
    names = list(KINDS)
    bad: list[tuple[str, bytes]] = [
        (name, KINDS[name][0](luck, now)) for n in range(RUBBISH) for name in [names[n % len(names)]]
    ]
    with fault_world(tmp_path, "sqlite", SINGLE) as world:
        for _ in range(2):  # first with contacts that are new, then, to compare, sent once more
            began, read = Spent(world), consumed(world)
            asyncio.run(send_all(world.broker.bootstrap, good))
            world.settle(lambda read=read: "" if consumed(world) == read + len(good) else "not everything is read")  # type: ignore[misc]
            clean = began.seconds() / len(good)
        check_volume(world, ledger, now - 71 * HOUR, now + INTERVAL)
        mixed: list[tuple[str, bytes, bytes]] = [("", key, value) for key, value in good]
        mixed += [(name, b"acme/help", value) for name, value in bad]
        luck.shuffle(mixed)
        began = Spent(world)
        offsets = asyncio.run(send_all(world.broker.bootstrap, [(key, value) for _, key, value in mixed]))
        told = {f"{VOLUME}/0/{at}": (name, value) for at, (name, _, value) in zip(offsets, mixed, strict=True) if name}
        world.settle(lambda: "" if len(letters(world.broker.bootstrap)) == RUBBISH else "not every letter is there")
        dirty = began.seconds() / (len(good) + RUBBISH)
        check_volume(world, ledger, now - 71 * HOUR, now + INTERVAL)
        assert world.supervisor.restarts == 0
        found = letters(world.broker.bootstrap)
    assert found.keys() == told.keys()
    for origin, (name, value) in told.items():
        headers = {k: v.decode() for k, v in found[origin].headers}
        assert headers["reason"] in KINDS[name][1].split(), (name, headers)
        assert headers["origin"] == origin
        assert headers["key"] == "acme/help"
        assert headers["detail"]
        assert found[origin].value == value
    print(
        f"{RUBBISH:,} of {len(KINDS)} kinds among {len(good):,} good messages: each kept with its reason, 0 crashes;"
        f" the forecaster's CPU {clean * 1e6:.0f} µs a message for the good alone, {dirty * 1e6:.0f} µs with the rubbish:"
        f" {clean / dirty:.2f} of the clean rate"
    )


DECODERS = (
    read_observed,
    read_progress,
    read_requirement,
    read_decision,
    read_attendance,
    read_forecast,
    read_closed,
    read_floor,
    read_schedule,
)


def test_mutated_messages_are_read_or_refused() -> None:
    """Bytes of real messages, flipped, cut, doubled and joined: a decoder answers or refuses, and nothing else."""
    from muster.kit.errors import Refusal

    luck, now = random.Random(SEED), int(time.time())
    seeds = [m.SerializeToString() for m in messages(write_ledger(luck, QUEUES, 50, now), luck)]
    seeds += [make(luck, now) for make, _ in KINDS.values()]
    refused = 0
    for n in range(INPUTS):
        value = bytearray(luck.choice(seeds))
        for _ in range(luck.randint(1, 2)):
            at = luck.randrange(len(value) + 1)
            how = luck.choice((0, 0, 0, 0, 1, 2, 3))
            if how == 0 and value:
                value[at % len(value)] = luck.randrange(256)
            elif how == 1:
                del value[at:]
            elif how == 2:
                value[at:at] = value[: luck.randrange(20)]
            else:
                value += luck.choice(seeds)[:200]
        try:
            (read_observed if n % 2 else DECODERS[n // 2 % len(DECODERS)])(bytes(value), {})
        except Refusal:
            refused += 1
    assert 0 < refused < INPUTS
    print(f"{INPUTS:,} mutated inputs: {refused:,} refused, 0 crashes")
