"""The same facts give the same answers, byte for byte: killed and restarted in the middle, and with other batch sizes."""

import asyncio
import collections
import pathlib
import random
import uuid

from kafka import KafkaConsumer, TopicPartition

from muster.kit.topics import apply_topics
from tests.e2e.test_kills import SEED, tell_and_kill
from tests.support.small_world import small_world

ANSWERS = (
    "muster.forecast.published.v1",
    "muster.requirement.published.v1",
    "muster.schedule.published.v1",
    "muster.decision.issued.v1",
)
TICKS = 12


def answers(bootstrap: str, world: str) -> dict[tuple[str, bytes], list[bytes]]:
    """Return what was published, by topic and key; what a relay sent twice because it was killed counts once."""
    found: dict[tuple[str, bytes], list[bytes]] = collections.defaultdict(list)
    for topic in ANSWERS:
        consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        tps = [TopicPartition(world + topic, p) for p in consumer.partitions_for_topic(world + topic) or ()]
        consumer.assign(tps)
        consumer.seek_to_beginning(*tps)
        ends = consumer.end_offsets(tps)
        while any(consumer.position(tp) < ends[tp] for tp in tps):
            for records in consumer.poll(1000).values():
                for record in records:
                    values = found[topic, record.key]
                    if record.value not in values:
                        values.append(record.value)
        consumer.close()
    return dict(found)


def replay(home: pathlib.Path, bootstrap: str, victims: list[str], **environment: str) -> dict[tuple[str, bytes], list[bytes]]:
    world = f"t{uuid.uuid4().hex[:8]}."
    apply_topics(bootstrap, world)

    async def run() -> None:
        async with small_world(home, bootstrap, world, **environment) as small:
            await small.start()
            await tell_and_kill(small, random.Random(SEED), victims, TICKS, random.Random(1))

    asyncio.run(run())
    return answers(bootstrap, world)


def test_a_killed_replay_and_other_batches_give_the_same_bytes(tmp_path: pathlib.Path, bootstrap: str) -> None:
    plain = replay(tmp_path / "plain", bootstrap, [])
    killed = ["forecaster", "staffing", "scheduler", "forecaster", "staffing", "scheduler"]
    other = replay(tmp_path / "other", bootstrap, killed, MUSTER_BATCH_RECORDS="7")
    assert plain.keys() == other.keys()
    assert {topic for topic, _ in plain} == set(ANSWERS)
    different = [key for key in plain if plain[key] != other[key]]
    assert not different, [(key, len(plain[key]), len(other[key])) for key in different[:5]]
    print(f"{sum(map(len, plain.values())):,} answers of {len(plain)} keys: byte-identical (seed {SEED})")
