"""How fast volume is taken in: CPU-seconds a contact, as ratios to plain aiokafka `getmany` of the same contacts sent one a message.

python -m bench.ingest [CONTACTS | memory]: starts a genuine broker; every line comes from the same run, the sides taking turns.
"""

import asyncio
import json
import pathlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from muster.book.check import parse_book
from muster.book.copy import BookCopy, BookOwner
from muster.book.types import KINDS
from muster.dev.broker import Broker, free_port
from muster.kit.clock import SystemClock
from muster.kit.codec import encode
from muster.kit.due import DueWork
from muster.kit.loop import BatchLoop, Inlet
from muster.kit.outbox import Letter, Outbox
from muster.kit.positions import Positions
from muster.kit.sql import Database, migrate, sqlite_engine
from muster.kit.topics import describe_sources
from muster.v1 import volume_pb2
from services.forecaster.scan import warm_up
from services.forecaster.store.tables import metadata
from services.forecaster.streams import Streams

QUEUES = [f"acme/queue-{n:02d}" for n in range(8)]
PARTITIONS = 4
ROUNDS = 3
COLUMNS_TIMES = 10  # reports go by so fast that they need more to be timed
HOURS = 2


def resident() -> int:
    """Return the process's resident memory, megabytes (Linux)."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(next(row for row in status.splitlines() if row.startswith("VmRSS")).split()[1]) // 1024


def contacts(count: int, now: int, prefix: str = "") -> list[tuple[str, volume_pb2.Contact]]:
    """Return the messages of contacts in the order in which they'd come: two of each, over two hours."""
    luck = random.Random(1)
    told = []
    for n in range(count // 2):
        arrived = now - HOURS * 3600 + (HOURS * 3600 * n) // (count // 2)
        queue, wait = QUEUES[luck.randrange(len(QUEUES))], luck.randrange(60_000) / 1000
        offered = volume_pb2.Contact(contact_id=f"{prefix}{queue}-{n}", revision=1, stage=volume_pb2.STAGE_OFFERED)
        wrapped = volume_pb2.Contact(contact_id=f"{prefix}{queue}-{n}", revision=2, stage=volume_pb2.STAGE_WRAPPED)
        wrapped.queue_seconds, wrapped.talk_seconds, wrapped.after_call_seconds = wait, luck.randrange(600), 30
        for contact, at in ((offered, arrived), (wrapped, arrived + 400)):
            contact.arrived_at.seconds = arrived
            told.append((at, queue, contact))
    return [(queue, contact) for _, queue, contact in sorted(told, key=lambda t: t[0])]


def one_a_message(told: Iterable[tuple[str, volume_pb2.Contact]]) -> Iterable[volume_pb2.VolumeObserved]:
    for queue, contact in told:
        yield volume_pb2.VolumeObserved(queue=queue, feed="live", contacts=[contact])


def many_a_message(told: Iterable[tuple[str, volume_pb2.Contact]], size: int = 500) -> Iterable[volume_pb2.VolumeObserved]:
    by_queue: dict[str, list[volume_pb2.Contact]] = {}
    for queue, contact in told:
        waiting = by_queue.setdefault(queue, [])
        waiting.append(contact)
        if len(waiting) == size:
            yield volume_pb2.VolumeObserved(queue=queue, feed="live", contacts=by_queue.pop(queue))
    for queue, waiting in by_queue.items():
        yield volume_pb2.VolumeObserved(queue=queue, feed="live", contacts=waiting)


def columns(count: int, now: int, each: int = 40) -> Iterable[volume_pb2.VolumeObserved]:
    """Return as many contacts as reports: `each` of them an interval, a day of one queue a message."""
    day, done, n, luck = 48, 0, 0, random.Random(3)
    while done < count:
        begin = now - now % 1800 - (1 + n // len(QUEUES)) * 86_400
        yield volume_pb2.VolumeObserved(
            queue=QUEUES[n % len(QUEUES)],
            feed="live",
            report_columns=volume_pb2.IntervalReportColumns(
                starts_at_epoch_seconds=[begin + i * 1800 for i in range(day)],
                interval_seconds=1800,
                revision=1,
                offered_count=[each] * day,
                answered_count=[each - 2] * day,
                abandoned_count=[2] * day,
                handle_milliseconds_sum=[luck.randrange(each * 200_000, each * 300_000) for _ in range(day)],
                threshold_seconds=20,
                answered_within_count=[luck.randrange(each - 10, each - 2) for _ in range(day)],
            ),
        )
        done += day * each
        n += 1


def create(bootstrap: str, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs={"message.timestamp.type": "LogAppendTime"})])
    admin.close()


def fill(bootstrap: str, topic: str, messages: Iterable[volume_pb2.VolumeObserved]) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=20, batch_size=262_144)
    for m in messages:
        producer.send(topic, key=m.queue.encode(), value=encode(m))
    producer.flush()
    producer.close()


async def bare(bootstrap: str, topic: str) -> float:
    """Return the CPU-seconds of plain getmany to the end of a topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    tps = [TopicPartition(topic, p) for p in range(PARTITIONS)]
    consumer.assign(tps)
    left = sum((await consumer.end_offsets(tps)).values())
    began = time.process_time()
    while left:
        for records in (await consumer.getmany(timeout_ms=1000, max_records=10_000)).values():
            left -= len(records)
    spent = time.process_time() - began
    await consumer.stop()
    return spent


def open_database(home: pathlib.Path) -> Database:
    engine = sqlite_engine(home / "forecaster.sqlite", "FULL")
    migrate(engine, pathlib.Path("services/forecaster/store/migrations"))
    return Database(engine)


def declare(database: Database, book: BookCopy) -> None:
    hours = [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "opens": "00:00", "closes": "24:00"}]
    shape = {"channel": "VOICE", "interval_seconds": 1800, "service_hours": hours, "required_skills": ["help"]}
    target = {"metric": "SERVICE_LEVEL", "threshold_seconds": 20, "target": 0.8, "window": {"kind": "MONTH"}}
    contract = {"name": "acme/voice", "queues": QUEUES, "targets": [target]}
    client = {"name": "acme", "zone": "UTC", "currency": "GBP", "feeds": [{"name": "live"}]}
    declared = parse_book({"clients": [client], "queues": [{"name": q, **shape} for q in QUEUES], "contracts": [contract]})
    database.run_here(lambda c: BookOwner(book, KINDS).apply(c, declared, False, 1))


async def nothing_refused(letters: Mapping[str, Sequence[Letter]]) -> None:
    raise AssertionError(f"refused: {letters}")


async def hot(bootstrap: str, topic: str, total: int, seen: list[int] | None = None) -> tuple[float, int]:
    """Return the CPU-seconds of the product's loop to the end of a topic, everything durable; and the bytes of identities.

    seen: takes the resident memory, megabytes, each tenth of the way.
    """
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(pathlib.Path(folder))
        clock, book = SystemClock(), BookCopy(metadata)
        declare(database, book)
        positions, outbox = Positions(metadata), Outbox(metadata, clock)
        streams = Streams(book, DueWork(database, metadata, clock, runs_itself=False), clock)
        inlet = next(i for i in streams.inlets() if i.topic == "muster.volume.observed.v1")
        sources = describe_sources(bootstrap, [topic])
        starts = {(topic, p): 0 for p in range(PARTITIONS)}
        database.run_here(lambda c: positions.adopt(c, sources, starts))

        def consumer() -> AIOKafkaConsumer:
            return AIOKafkaConsumer(
                bootstrap_servers=bootstrap, group_id=f"bench-{time.monotonic_ns()}", auto_offset_reset="none",
                enable_auto_commit=False, fetch_max_wait_ms=30,
            )  # fmt: skip

        moved = Inlet(topic, inlet.decode, inlet.handle, inlet.scan)
        warm_up()
        loop = BatchLoop(database, positions, outbox, clock, [moved], consumer, "", 10_000, 10**9, nothing_refused)
        await loop.start()
        while not loop.expected:
            await asyncio.sleep(0.001)
        began = time.process_time()
        while loop.consumed[topic] < total:
            await asyncio.sleep(0.01)
            if seen is not None and loop.consumed[topic] >= total * (len(seen) + 1) // 10:
                seen.append(resident())
        spent = time.process_time() - began
        assert not loop.refused, loop.refused
        await loop.stop()
        size = database.run_here(lambda c: c.exec_driver_sql("SELECT sum(length(body)) FROM contact_chunk").scalar()) or 0
        database.close()
        return spent, int(size)


async def run(count: int) -> None:
    now = int(time.time())
    told = contacts(count, now)
    mixed = list(told)
    random.Random(2).shuffle(mixed)
    with tempfile.TemporaryDirectory() as folder, Broker(pathlib.Path(folder), free_port()) as broker:
        sides = {
            "one a message, in order": list(one_a_message(told)),
            "one a message, shuffled over two hours": list(one_a_message(mixed)),
            "500 a message": list(many_a_message(told)),
            "reports as packed columns, 40 contacts an interval": list(columns(count * COLUMNS_TIMES, now)),
        }
        names = {side: f"bench.{n}" for n, side in enumerate(sides)}
        for side, messages in sides.items():
            create(broker.bootstrap, names[side])
            fill(broker.bootstrap, names[side], messages)
        base: list[float] = []
        spent: dict[str, list[float]] = {side: [] for side in sides}
        size = 0
        for _ in range(ROUNDS):
            base.append(await bare(broker.bootstrap, names["one a message, in order"]))
            for side, messages in sides.items():
                seconds, kept = await hot(broker.bootstrap, names[side], len(messages))
                spent[side].append(seconds / (COLUMNS_TIMES if "columns" in side else 1))
                size = max(size, kept)
    bare_rate = count / statistics.median(base)
    print(
        f"plain getmany: {bare_rate / 1000:,.0f} thousand contacts a CPU-second ({count:,} contacts, median of {ROUNDS} rounds)"
    )
    for side, seconds in spent.items():
        ratio = statistics.median(b / s for b, s in zip(base, seconds, strict=True))
        print(f"{side}: {count / statistics.median(seconds) / 1000:,.0f} thousand a CPU-second, {ratio:.2f} of plain getmany")
    print(f"identities: {size / (count / 2):.1f} bytes a contact")
    print(json.dumps({"base": base, **spent}))


async def memory(parts: int = 20, each: int = 100_000) -> None:
    """Print the resident memory while two million contacts that arrived over two hours are taken in."""
    now, total = int(time.time()), 0
    with tempfile.TemporaryDirectory() as folder, Broker(pathlib.Path(folder), free_port()) as broker:
        create(broker.bootstrap, "bench.memory")
        for n in range(parts):
            messages = list(many_a_message(contacts(2 * each, now, f"{n}-")))
            fill(broker.bootstrap, "bench.memory", messages)
            total += len(messages)
        del messages
        seen: list[int] = []
        _, size = await hot(broker.bootstrap, "bench.memory", total, seen)
        print(
            f"{parts * each:,} contacts, resident megabytes at each tenth: {seen}; identities {size / parts / each:.1f} bytes each"
        )


if __name__ == "__main__":
    if sys.argv[1:] == ["memory"]:
        asyncio.run(memory())
    else:
        asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000))
