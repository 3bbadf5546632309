"""kill -9 of each service in mid-stream, against a ledger that the services never see: lost 0, double 0."""

import asyncio
import collections
import os
import pathlib
import random
import signal

from google.protobuf.timestamp_pb2 import Timestamp

from muster.v1 import decision_pb2, schedule_pb2, volume_pb2
from muster.v1 import forecaster_service_pb2 as forecasting
from muster.v1 import scheduler_service_pb2 as scheduling
from muster.v1 import staffing_service_pb2 as staffing
from tests.e2e.test_walking_system import cells, decisions
from tests.support.small_world import HOUR, QUEUES, WEDNESDAY, SmallWorld, small_world

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


def test_kills_lose_nothing_and_double_nothing(tmp_path: pathlib.Path, bootstrap: str, world: str) -> None:
    async def run() -> None:
        luck = random.Random(SEED)
        async with small_world(tmp_path, bootstrap, world) as small:
            await small.start()
            victims = ["forecaster", "staffing", "scheduler"] * 3
            ledger = await tell_and_kill(small, luck, victims, 24, luck)
            assert not victims
            assert small.supervisor.restarts == 9
            small.muster = type(small.muster)(small.supervisor.wait())
            end = WEDNESDAY + 10 * HOUR
            for queue in QUEUES:
                found = {c.starts_at.seconds: c for c in cells(small, queue, WEDNESDAY + 8 * HOUR, end)}
                for (name, start), count in ledger.items():
                    if name == queue:
                        cell = found[start]
                        told = (cell.offered_count, cell.answered_count, cell.handled_count, cell.handle_milliseconds_sum)
                        assert told == (count, count, count, count * 200_000), (queue, start, SEED)
                        assert cell.closed
            assert_flow_is_whole(small, ledger)

    asyncio.run(run())


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
