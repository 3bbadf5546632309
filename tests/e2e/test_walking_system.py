"""A volume event goes in, a decision comes out: three real services on a genuine Kafka."""

import asyncio
import json
import pathlib
import urllib.request
from collections.abc import Awaitable, Callable

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from muster.kit.errors import NotNow, Refusal
from muster.kit.rpc import from_rpc_error
from muster.v1 import attendance_pb2, book_pb2, decision_pb2, volume_pb2
from muster.v1 import forecaster_service_pb2 as forecasting
from muster.v1 import scheduler_service_pb2 as scheduling
from muster.v1 import staffing_service_pb2 as staffing
from tests.support.small_world import FRIDAY, HOUR, QUEUES, WEDNESDAY, SmallWorld, book, reports, small_world

VOLUME = "muster.volume.observed.v1"


def play(home: pathlib.Path, bootstrap: str, world: str, story: Callable[[SmallWorld], Awaitable[None]]) -> None:
    async def run() -> None:
        async with small_world(home, bootstrap, world) as small:
            await story(small)

    asyncio.run(run())


def letters(small: SmallWorld) -> dict[str, tuple[dict[str, str], bytes]]:
    """Return the dead letters of volume: key → (headers, original bytes)."""
    consumer = KafkaConsumer(bootstrap_servers=small.bootstrap, enable_auto_commit=False, consumer_timeout_ms=1500)
    tp = TopicPartition(f"{small.world}{VOLUME}.dlq", 0)
    consumer.assign([tp])
    consumer.seek_to_beginning(tp)
    found = {r.key.decode(): ({k: v.decode() for k, v in r.headers}, r.value) for r in consumer}
    consumer.close()
    return found


def cells(small: SmallWorld, queue: str, begin: int, end: int) -> list[volume_pb2.VolumeCell]:
    request = forecasting.ListVolumeCellsRequest(
        queue=queue, starts_at=Timestamp(seconds=begin), ends_at=Timestamp(seconds=end)
    )
    return list(small.muster.forecaster.ListVolumeCells(request).cells)


def decisions(small: SmallWorld) -> list[decision_pb2.Decision]:
    found = small.muster.staffing.ListDecisions(staffing.ListDecisionsRequest(page_size=1000)).decisions
    return sorted(found, key=lambda d: (d.decide_at.seconds, d.decision_id))


def answer_in_part(small: SmallWorld, d: decision_pb2.Decision) -> None:
    """Accept a decision for its first candidate only; the same answer twice is one answer."""
    first = [d.candidates[0].agent]
    request = staffing.RespondToDecisionRequest(
        decision_id=d.decision_id, accept=True, accepted_agents=first, request_id=f"r-{d.decision_id}"
    )
    answered = small.muster.staffing.RespondToDecision(request).decision
    assert answered.state == decision_pb2.DECISION_STATE_ACCEPTED
    assert [c.agent for c in answered.candidates if c.accepted] == first
    again = small.muster.staffing.RespondToDecision(request).decision  # which the scheduler may have carried out meanwhile
    assert again.revision == answered.revision or again.state == decision_pb2.DECISION_STATE_DONE
    assert [c.agent for c in again.candidates if c.accepted] == first


async def half_hour(small: SmallWorld, now: int, offered: int, **changes: int) -> None:
    """Tell the half-hour that ends now, and move to now."""
    for queue in QUEUES:
        await small.volume(reports(queue, now - 1800, now, changes.get(queue.partition("/")[2], offered)))
    await small.complete(now)
    await small.conductor.tick(now)


def test_from_volume_to_an_amended_schedule(tmp_path: pathlib.Path, bootstrap: str, world: str) -> None:
    async def story(small: SmallWorld) -> None:
        await small.start()
        forecast = small.muster.forecaster.ListForecastDays(
            forecasting.ListForecastDaysRequest(queue="acme/help", page_size=42)
        )
        assert len(forecast.days) == 42
        assert forecast.days[1].rests_on.endswith("days of history")
        assert sum(forecast.days[1].offered_count) == pytest.approx(24 * 30, rel=0.1)
        requirement = small.muster.staffing.ListRequirementDays(staffing.ListRequirementDaysRequest(queue="acme/help"))
        noon = requirement.days[1].on_queue_agents_rounded[8]
        assert 5 <= noon <= 8  # 4 Erlangs at 80/20
        assert requirement.days[1].scheduled_agents[8] == pytest.approx(noon / 0.95)
        versions = small.muster.scheduler.ListSchedules(scheduling.ListSchedulesRequest()).schedules
        assert [(v.state, v.violation_count) for v in versions] == [(2, 0)]

        for n in range(1, 9):
            await half_hour(small, WEDNESDAY + 8 * HOUR + n * 1800, 30, help=55)
            for d in decisions(small):
                if d.state == decision_pb2.DECISION_STATE_OPEN:
                    answer_in_part(small, d)
        ups = [d for d in decisions(small) if d.kind == decision_pb2.DECISION_KIND_SCALE_UP]
        assert ups, "nothing was decided in a surge"
        assert all(leg.HasField("service_level_after") for d in ups for leg in d.legs)
        done = [d for d in decisions(small) if d.state == decision_pb2.DECISION_STATE_DONE]
        assert done, [(d.state, d.lever, d.reason, d.state_reason) for d in decisions(small)]
        shifts = small.muster.scheduler.ListShifts(scheduling.ListShiftsRequest(staffing_group="acme/help")).shifts
        carried = {g.decision_id: s.agent for s in shifts for g in s.segments if g.decision_id}
        assert {d.decision_id for d in done} <= set(carried)
        newest = small.muster.scheduler.ListSchedules(scheduling.ListSchedulesRequest()).schedules[0]
        assert newest.decision_ids

        reverted = small.muster.scheduler.RevertSchedule(
            scheduling.RevertScheduleRequest(staffing_group="acme/help", version=1)
        ).schedule
        assert reverted.version == newest.version + 1
        with pytest.raises(grpc.RpcError) as caught:
            small.muster.scheduler.PublishSchedule(scheduling.PublishScheduleRequest(staffing_group="acme/help", version=1))
        assert from_rpc_error(caught.value).reason == "NOT_A_DRAFT"
        assert isinstance(from_rpc_error(caught.value), NotNow)
        assert small.supervisor.restarts == 0

    play(tmp_path, bootstrap, world, story)


def test_a_dead_feed_holds_a_correction_converges_and_rubbish_is_kept(
    tmp_path: pathlib.Path, bootstrap: str, world: str
) -> None:
    async def story(small: SmallWorld) -> None:
        nine = {"startsAt": "2026-03-18T09:00:00Z", "intervalSeconds": 1800, "revision": "9"}
        early = {"queue": "acme/help", "feed": "live", "reports": [{**nine, "offeredCount": "77"}]}
        impossible = {"queue": "acme/help", "reports": [{**nine, "offeredCount": "-1"}]}
        rubbish = [b"\x07\xff", b"{", b"", json.dumps({"queue": "nowhere"}).encode(), json.dumps(impossible).encode()]
        producer = KafkaProducer(bootstrap_servers=bootstrap)
        for value in [json.dumps(early).encode(), *rubbish]:  # any Kafka client will do
            producer.send(world + VOLUME, key=b"acme/help", value=value)
        producer.flush()
        await small.start()
        # What came before the queue was declared was parked, then used; its higher revision stands.
        start = 1_773_824_400
        assert [c.offered_count for c in cells(small, "acme/help", start, start + 1800)] == [77]
        dead = letters(small)
        assert sorted(h["reason"] for h, _ in dead.values()) == [
            "EMPTY",
            "INVALID_REPORT",
            "NOT_JSON",
            "NOT_PROTOBUF",
            "NO_QUEUE",
        ]
        assert {v for _, v in dead.values()} == set(rubbish)

        await half_hour(small, WEDNESDAY + 8 * HOUR + 1800, 30)
        official = volume_pb2.VolumeObserved(queue="acme/help", feed="bill", basis=book_pb2.BASIS_OFFICIAL)
        official.reports.add(
            starts_at=Timestamp(seconds=WEDNESDAY + 8 * HOUR), interval_seconds=1800, revision=1, offered_count=34
        )
        for _ in range(2):
            await small.volume(official)
        for n in (2, 3, 4):
            await small.conductor.tick(WEDNESDAY + 8 * HOUR + n * 1800)  # silence: nobody says what came
        (cell,) = cells(small, "acme/help", WEDNESDAY + 8 * HOUR, WEDNESDAY + 8 * HOUR + 1800)
        assert (cell.offered_count, cell.other_basis_offered_count, cell.basis, cell.revision) == (34, 30, 2, 2)
        kinds = {d.reason_code for d in decisions(small) if d.decide_at.seconds > WEDNESDAY + 9 * HOUR}
        assert kinds == {"FEED_INCOMPLETE"}

    play(tmp_path, bootstrap, world, story)


def test_the_same_facts_decide_the_same(tmp_path: pathlib.Path, bootstrap: str) -> None:
    from muster.kit.topics import apply_topics

    seen: list[list[bytes]] = []
    for run in ("one", "two"):
        world = f"det-{tmp_path.name[-6:].replace('_', '')}{run}."
        apply_topics(bootstrap, world)

        async def story(small: SmallWorld) -> None:
            await small.start()
            sick = attendance_pb2.AttendanceReported(attendance_id="s1", revision=1, agent="a03", site="leeds", kind=1)  # type: ignore[arg-type]
            sick.starts_at.seconds, sick.ends_at.seconds = WEDNESDAY + 9 * HOUR, WEDNESDAY + 18 * HOUR
            await small.send("muster.attendance.reported.v1", "leeds/a03", sick)
            for n in range(1, 6):
                await half_hour(small, WEDNESDAY + 8 * HOUR + n * 1800, 28 + n, help=45 + n)
            days = small.muster.forecaster.ListForecastDays(
                forecasting.ListForecastDaysRequest(queue="acme/help", page_size=7)
            ).days
            plan = small.muster.staffing.ListRequirementDays(
                staffing.ListRequirementDaysRequest(queue="acme/help", page_size=7)
            ).days
            shifts = small.muster.scheduler.ListShifts(scheduling.ListShiftsRequest(staffing_group="acme/help")).shifts
            parts = [*days, *plan, *shifts, *decisions(small)]
            seen.append([p.SerializeToString(deterministic=True) for p in parts])

        play(tmp_path / run, bootstrap, world, story)
    assert len(seen[0]) > 100
    assert seen[0] == seen[1]


def test_metrics_health_and_clear_refusals(tmp_path: pathlib.Path, bootstrap: str, world: str) -> None:
    async def story(small: SmallWorld) -> None:
        await small.start()
        await half_hour(small, WEDNESDAY + 8 * HOUR + 1800, 30)
        series: dict[str, list[float]] = {}
        for address in small.muster.addresses.metrics.values():
            with urllib.request.urlopen(f"http://{address}/metrics") as page:
                for family in text_string_to_metric_families(page.read().decode()):
                    series.setdefault(family.name, []).extend(s.value for s in family.samples)
        for name in (
            "muster_facts_consumed",
            "muster_outbox_depth",
            "muster_feed_newest_fact_age_seconds",
            "muster_forecast_offered",
            "muster_volume_offered",
            "muster_requirement_on_queue_agents",
            "muster_schedule_on_queue_agents",
            "muster_predicted_service_level",
            "muster_contract_attainment",
            "muster_schedule_solve_seconds",
        ):
            assert series.get(name), name
        assert "muster_facts_refused" in series
        assert "muster_decisions" in series
        assert series["muster_volume_offered"] == [30.0, 30.0]
        assert series["muster_contract_attainment"] == pytest.approx([0.8667, 0.8667], abs=0.001)
        assert set(series["muster_outbox_depth"]) == {0.0}
        for address in small.muster.addresses.grpc.values():
            check = health_pb2_grpc.HealthStub(grpc.insecure_channel(address)).Check(health_pb2.HealthCheckRequest())
            assert check.status == health_pb2.HealthCheckResponse.SERVING

        fact = volume_pb2.VolumeObserved(queue="acme/help", feed="live")
        with pytest.raises(grpc.RpcError) as caught:
            small.muster.forecaster.PublishVolume(forecasting.PublishVolumeRequest(facts=[fact]))
        assert from_rpc_error(caught.value).reason == "NO_CONTENT"
        fact.contacts.add(contact_id="c1", revision=1, arrived_at=Timestamp(seconds=WEDNESDAY + 8 * HOUR + 1810), stage=1)
        sent = small.muster.forecaster.PublishVolume(forecasting.PublishVolumeRequest(facts=[fact, fact]))
        assert sent.acknowledged_count == 2
        await small.conductor.tick(WEDNESDAY + 8 * HOUR + 2100)
        (cell,) = cells(small, "acme/help", WEDNESDAY + 8 * HOUR + 1800, WEDNESDAY + 9 * HOUR)
        assert (cell.offered_count, cell.open_count, cell.closed) == (1, 1, False)

        broken = book()
        broken["agents"][0]["site"] = "paris"
        with pytest.raises(grpc.RpcError) as caught:
            small.apply(broken)
        refused = from_rpc_error(caught.value)
        assert isinstance(refused, Refusal)
        assert [v.field for v in refused.violations] == ["agents[0].site"]

        stream = small.muster.staffing.WatchDecisions(staffing.WatchDecisionsRequest(after_position=0), timeout=5)
        positions: list[int] = []
        with pytest.raises(grpc.RpcError):
            positions.extend(step.decision.position for step in stream)
        assert positions == sorted(set(positions))

    play(tmp_path, bootstrap, world, story)
    assert FRIDAY < WEDNESDAY
