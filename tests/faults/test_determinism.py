"""kill -9 of each service in mid-stream, against a ledger that they never see: lost 0, double 0, and the same answers, byte for
byte, as a replay without kills and with other batch sizes."""

import asyncio
import collections
import os
import pathlib
import random
import signal
import uuid

from google.protobuf.timestamp_pb2 import Timestamp
from kafka import KafkaConsumer, TopicPartition

from muster.kit.topics import apply_topics
from muster.v1 import decision_pb2, schedule_pb2, volume_pb2
from muster.v1 import forecaster_service_pb2 as forecasting
from muster.v1 import scheduler_service_pb2 as scheduling
from muster.v1 import staffing_service_pb2 as staffing
from tests.e2e.test_walking_system import cells, decisions
from tests.support.small_world import HOUR, QUEUES, WEDNESDAY, SmallWorld, small_world

ANSWERS = (
    "muster.forecast.published.v1",
    "muster.requirement.published.v1",
    "muster.schedule.published.v1",
    "muster.decision.issued.v1",
)
TICKS = 18
SEED = 20260325
TICK = 300
CONTACTS_A_TICK = 60
STAGES = (volume_pb2.STAGE_OFFERED, volume_pb2.STAGE_ANSWERED, volume_pb2.STAGE_WRAPPED)


def lives(luck: random.Random, queue: str, begin: int, tick: int) -> list[volume_pb2.Contact]:
    """Return every message of one tick's contacts: three revisions each, 5 % sent twice, shuffled."""
    messages = []
    for n in range(CONTACTS_A_TICK):
        arrived = Timestamp(seconds=begin + luck.randrange(TICK))
        for revision, stage in enumerate(STAGES, start=1):
            contact = volume_pb2.Contact(contact_id=f"{queue}-{tick}-{n}", revision=revision, arrived_at=arrived, stage=stage)
            if stage == volume_pb2.STAGE_WRAPPED:
                contact.talk_seconds = 200
            if stage != volume_pb2.STAGE_OFFERED:
                contact.queue_seconds = 5
            messages += [contact] * (2 if luck.random() < 0.05 else 1)
    luck.shuffle(messages)
    return messages


async def tell_and_kill(
    small: SmallWorld, luck: random.Random, victims: list[str], ticks: int, moment: random.Random
) -> dict[tuple[str, int], int]:
    """Tell contacts tick by tick while services are killed; return the ledger: (queue, interval) → contacts.

    `luck` draws what is told, `moment` when in a tick a service is killed.
    """
    ledger: dict[tuple[str, int], int] = collections.Counter()
    begin = WEDNESDAY + 8 * HOUR
    for tick in range(ticks):
        now = begin + (tick + 1) * TICK
        for queue in QUEUES:
            told = lives(luck, queue, now - TICK, tick)
            for first in range(0, len(told), 20):
                message = volume_pb2.VolumeObserved(queue=queue, feed="live", contacts=told[first : first + 20])
                await small.volume(message)
            for contact in {c.contact_id: c for c in told}.values():
                ledger[queue, contact.arrived_at.seconds - contact.arrived_at.seconds % 1800] += 1
        await small.complete(now)
        moving = asyncio.create_task(small.conductor.tick(now))
        if victims and tick % 2 == 1:
            await asyncio.sleep(moment.uniform(0.0, 0.25))
            os.kill(small.supervisor.processes[victims.pop(0)].pid, signal.SIGKILL)
        await moving
    return ledger


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
    """Play two hours of a Wednesday, compare every interval with the ledger, and return the answers."""
    world, wanted = f"t{uuid.uuid4().hex[:8]}.", len(victims)
    apply_topics(bootstrap, world)

    async def run() -> None:
        async with small_world(home, bootstrap, world, **environment) as small:
            await small.start()
            ledger = await tell_and_kill(small, random.Random(SEED), victims, TICKS, random.Random(1))
            assert small.supervisor.restarts == wanted
            small.muster = type(small.muster)(small.supervisor.wait())
            for queue in QUEUES:
                found = {c.starts_at.seconds: c for c in cells(small, queue, WEDNESDAY + 8 * HOUR, WEDNESDAY + 11 * HOUR)}
                for (name, start), count in ledger.items():
                    if name == queue:
                        cell = found[start]
                        told = (cell.offered_count, cell.answered_count, cell.handled_count, cell.handle_milliseconds_sum)
                        assert told == (count, count, count, count * 200_000), (queue, start, SEED)
                        assert cell.closed
            assert_flow_is_whole(small, ledger)

    asyncio.run(run())
    return answers(bootstrap, world)


def test_a_killed_replay_and_other_batches_give_the_same_bytes(tmp_path: pathlib.Path, bootstrap: str) -> None:
    plain = replay(tmp_path / "plain", bootstrap, [])
    killed = ["forecaster", "staffing", "scheduler"] * 3
    other = replay(tmp_path / "other", bootstrap, killed, MUSTER_BATCH_RECORDS="7")
    assert plain.keys() == other.keys()
    assert {topic for topic, _ in plain} == set(ANSWERS)
    different = [key for key in plain if plain[key] != other[key]]
    assert not different, [(key, len(plain[key]), len(other[key])) for key in different[:5]]
    print(f"{sum(map(len, plain.values())):,} answers of {len(plain)} keys: byte-identical (seed {SEED})")


def assert_flow_is_whole(small: SmallWorld, ledger: dict[tuple[str, int], int]) -> None:
    """Each closed interval reached staffing once, each requirement follows a forecast, each decision stands once."""
    attainment = small.muster.staffing.ListAttainments(staffing.ListAttainmentsRequest()).attainments[0]
    history = sum(24 * 30 for _ in range(24)) * len(QUEUES)  # 1 to 24 March, 24 half-hours of 30 contacts
    assert attainment.base_count == history + sum(ledger.values())
    for queue in QUEUES:
        forecast = small.muster.forecaster.ListForecastDays(forecasting.ListForecastDaysRequest(queue=queue)).days[0]
        requirement = small.muster.staffing.ListRequirementDays(staffing.ListRequirementDaysRequest(queue=queue)).days[0]
        assert requirement.forecast_version == forecast.version
    ids = [d.decision_id for d in decisions(small)]
    assert len(ids) == len(set(ids))
    shifts = small.muster.scheduler.ListShifts(scheduling.ListShiftsRequest(staffing_group="acme/help")).shifts
    check_amendments(decisions(small), list(shifts))


def check_amendments(made: list[decision_pb2.Decision], shifts: list[schedule_pb2.Shift]) -> None:
    """Each decision that is done is in the schedule for its agents, and once."""
    for d in made:
        if d.state == decision_pb2.DECISION_STATE_DONE:
            agents = [s.agent for s in shifts if any(g.decision_id == d.decision_id for g in s.segments)]
            assert agents, d.decision_id
            assert len(agents) == len(set(agents))
            assert set(agents) <= {c.agent for c in d.candidates if c.accepted}
