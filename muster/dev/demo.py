"""A BPO's day: history and schedule before it, five minutes of floor and facts at a time, answers to decisions, the day's result."""

import dataclasses
import pathlib
import time

import grpc
from aiokafka import AIOKafkaConsumer, TopicPartition
from google.longrunning import operations_pb2
from google.protobuf.message import Message

from muster.book.check import check_book, parse_book
from muster.book.wire import book_to_message
from muster.client.stubs import Addresses, Muster
from muster.dev import end_card, history
from muster.dev.conductor import Conductor
from muster.dev.floor_feed import FEED, Roster, picture, progress_message, sick_message, volume_messages
from muster.dev.live import Screen
from muster.dev.scenario import Scenario, make_scenario
from muster.dev.world import CLIENTS, CONTRACTS, DEMO_DAY, HISTORY_DAYS, QUEUES, SITES, agents_contracts
from muster.dev.world_book import book_data
from muster.domain.calendar import DAY, monday_of
from muster.kit.codec import encode
from muster.kit.topics import all_topics
from muster.simulator.floor import Floor, chance
from muster.simulator.lines import ContactRecord
from muster.v1 import book_pb2, decision_pb2, schedule_pb2, staffing_service_pb2
from muster.v1 import scheduler_service_pb2 as scheduling

WORLD = "demo."
TICK_SECONDS = 300
RESEND_SHARE = 0.05
SCHEDULE = "muster.schedule.published.v1"


@dataclasses.dataclass(frozen=True)
class Options:
    """How the demo is run. hours: how much of the day; linger: stay up afterwards until Ctrl-C."""

    home: pathlib.Path
    seed: int = 1
    hours: int = 24
    linger: bool = False


class Demo:
    """One run."""

    def __init__(self, options: Options, addresses: Addresses, screen: Screen) -> None:
        self._options, self._screen = options, screen
        self._muster = Muster(addresses)
        self._addresses = addresses
        self._conductor = Conductor(addresses.bootstrap, addresses.world)
        self._scenario: Scenario = make_scenario(options.seed)
        self._sites = {a["name"]: a["site"] for a in book_data()["agents"]}
        self._contracts = agents_contracts()
        self._roster = Roster()
        self._plan = Roster()
        self._away: dict[str, tuple[int, int]] = {}
        self._month: dict[str, end_card.Counted] = {}
        self._held_back: list[tuple[str, str, Message]] = []
        self._last_sent: list[tuple[str, str, Message]] = []
        self._seen_position = 0
        self.decisions: list[decision_pb2.Decision] = []
        self.began = time.monotonic()
        self.first_decision_seconds: float | None = None

    async def run(self) -> tuple[end_card.DayResult, end_card.DayResult]:
        """Play the day; return it with and without the decisions."""
        s = self._scenario
        async with self._conductor:
            await self._open_schedule_reader()
            self._apply_book()
            await self._past()
            floor = self._new_floor(self._roster)
            end = s.begin + self._options.hours * 3600
            for now in range(s.begin + TICK_SECONDS, end + 1, TICK_SECONDS):
                await self._five_minutes(floor, now)
            await self._reader.stop()
        baseline = self._new_floor(self._plan)
        self._stay_home(baseline)
        baseline.advance(end)
        return self._result(floor, self._roster, end), self._result(baseline, self._plan, end)

    # Before the day

    def _apply_book(self) -> None:
        book = parse_book(book_data())
        check_book(book)
        request = book_pb2.ApplyBookRequest(book=book_to_message(book))
        answers = [owner.ApplyBook(request) for owner in (self._muster.staffing, self._muster.scheduler)]
        rows = sum(len(answer.differences) for answer in answers)
        self._screen.say(f"book applied: {rows} rows; declared, not used yet: {', '.join(answers[0].declared_unused)}")

    async def _past(self) -> None:
        """Tell the history, solve and publish the schedule on the Friday before, then come to the day."""
        s = self._scenario
        friday = s.begin - (DEMO_DAY.weekday() + 3) * DAY
        await self._tell_history(s.begin - HISTORY_DAYS * DAY, friday)
        await self._conductor.tick(friday)
        self._screen.say("forecasts and requirements are published for six weeks")
        self._solve()
        await self._tell_history(friday, s.begin)
        await self._conductor.tick(s.begin)
        await self._read_schedule(None)
        self._plan = self._roster.copy()

    async def _tell_history(self, begin: int, end: int) -> None:
        month = history.month_begin(self._scenario.begin)
        told = 0
        for queue in QUEUES:
            through = end - history.OVERNIGHT_SECONDS if queue.deadline and end == self._scenario.begin else end
            intervals = list(history.past(queue, begin, through, self._options.seed))
            told += len(intervals)
            good, base = history.in_month(queue, intervals, month)
            mine = self._month.get(queue.contract, end_card.Counted())
            self._month[queue.contract] = mine + end_card.Counted(good, base)
            for first in range(0, len(intervals), 1000):
                message = history.message(queue, intervals[first : first + 1000], FEED)
                await self._send("muster.volume.observed.v1", queue.name, message)
        for volume in volume_messages(ContactRecord(c) for c in self._scenario.overnight() if c.arrives < end):
            await self._send("muster.volume.observed.v1", volume.queue, volume)
        for client in CLIENTS:
            await self._send("muster.feed.progressed.v1", f"{client}/{FEED}", progress_message(client, end))
        self._screen.say(f"history told: {told:,} intervals of {len(QUEUES)} queues")

    def _solve(self) -> None:
        monday = monday_of(DEMO_DAY)
        began = time.monotonic()
        request = scheduling.SolveSchedulesRequest(weeks=2, first_week=monday.isoformat(), request_id=f"demo-{monday}")
        operation: operations_pb2.Operation = self._muster.scheduler.SolveSchedules(request)
        while not operation.done:
            progress = schedule_pb2.SolveProgress()
            operation.metadata.Unpack(progress)
            self._screen.progress(progress)
            operation = self._muster.operations.WaitOperation(_wait(operation.name))
        if operation.HasField("error"):
            raise RuntimeError(operation.error.message)
        solved = scheduling.SolveSchedulesResponse()
        operation.response.Unpack(solved)
        for draft in solved.schedules:
            request_ = scheduling.PublishScheduleRequest(staffing_group=draft.staffing_group, version=draft.version)
            self._muster.scheduler.PublishSchedule(request_)
            self._screen.say(
                f"schedule of {draft.staffing_group}: {draft.shift_count:,} shifts of {draft.agent_count} agents, "
                f"{draft.paid_hours:,.0f} paid hours, {draft.uncovered_hours:,.0f} agent-hours uncovered, "
                f"audit: {draft.violation_count} violations; published"
            )
        self._screen.say(f"two weeks solved in {time.monotonic() - began:.1f} s")

    # The floor

    def _new_floor(self, roster: Roster) -> Floor:
        s = self._scenario
        floor = Floor(s.callers(), self._sites, s.habits, s.seed, s.begin, s.manners())
        for agent in floor.agents:
            floor.set_duties(agent, roster.duties(agent, s.begin, s.end + DAY))
        return floor

    def _stay_home(self, floor: Floor) -> None:
        s = self._scenario
        for agent, (begin, end) in self._away.items():
            duties = self._plan.duties(agent, s.begin, s.end + DAY)
            floor.set_duties(agent, [d for d in duties if d.ends_at <= begin or d.starts_at >= end])

    async def _five_minutes(self, floor: Floor, now: int) -> None:
        """Play five minutes of the floor, tell Muster, and do what its decisions say."""
        floor.advance(now)
        await self._tell(floor, now)
        await self._events(floor, now)
        await self._conductor.tick(now)
        await self._read_schedule(floor)
        self._answer()
        self._screen.frame(now, self._muster)

    async def _send(self, topic: str, key: str, message: Message) -> None:
        await self._conductor.send(topic, key, encode(message))

    async def _tell(self, floor: Floor, now: int) -> None:
        s = self._scenario
        facts: list[tuple[str, str, Message]] = []
        for volume in volume_messages(floor.take_contacts()):
            facts.append(("muster.volume.observed.v1", volume.queue, volume))
        luck = chance(s.seed, now, "resend")
        again = [f for f in self._last_sent if luck.random() < RESEND_SHARE]  # a feed that sends some things twice
        self._last_sent = facts
        for client in CLIENTS:
            facts.append(("muster.feed.progressed.v1", f"{client}/{FEED}", progress_message(client, now)))
        dead = s.dead[0] < now <= s.dead[1]
        if now - TICK_SECONDS == s.dead[1]:
            self._screen.say(f"the feed of {s.dead_client} is back, and tells what it had held back", now)
            facts = self._held_back + facts
        for topic, key, message in [*again, *facts]:
            if dead and key.startswith(s.dead_client + "/"):
                self._held_back.append((topic, key, message))
            else:
                await self._send(topic, key, message)
        for site in SITES:
            await self._send("muster.floor.observed.v1", site, picture(floor, site, now))

    async def _events(self, floor: Floor, now: int) -> None:
        s = self._scenario
        if now - TICK_SECONDS == s.shock[0]:
            self._screen.say(f"a shock begins: {s.shock_queue} × {s.shock[2]} for three hours", now)
        if now - TICK_SECONDS == s.dead[0]:
            self._screen.say(f"the feed of {s.dead_client} dies", now)
        if now == s.sick_reported_at:
            self._away = s.sick(self._roster)
            for agent, (begin, end) in sorted(self._away.items()):
                site = self._sites[agent]
                message = sick_message(agent, site, begin, end, now)
                await self._send("muster.attendance.reported.v1", f"{site}/{agent}", message)
                duties = self._roster.duties(agent, s.begin, s.end + DAY)
                floor.set_duties(agent, [d for d in duties if d.ends_at <= begin or d.starts_at >= end])
            self._screen.say(f"{len(self._away)} agents of {s.sick_client} call in sick", now)
        if now == s.correction_at:
            mine = [r for r in floor.records if r.caller.queue == s.corrected_queue]
            there = [r for r in mine if s.corrected_start <= int(r.caller.arrives) < s.corrected_start + 1800]
            answered = sum(r.stage in ("ANSWERED", "WRAPPED") for r in there)
            await self._send("muster.volume.observed.v1", s.corrected_queue, s.correction(len(there), answered))
            self._screen.say(
                f"an official report corrects a morning interval of {s.corrected_queue}: {len(there)} → {len(there) + 9}", now
            )

    async def _open_schedule_reader(self) -> None:
        count = all_topics()[SCHEDULE].partitions
        self._tps = [TopicPartition(self._addresses.world + SCHEDULE, p) for p in range(count)]
        self._reader = AIOKafkaConsumer(
            bootstrap_servers=self._addresses.bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=20,
        )
        await self._reader.start()
        self._reader.assign(self._tps)
        await self._reader.seek_to_beginning(*self._tps)

    async def _read_schedule(self, floor: Floor | None) -> None:
        """Take what the scheduler has published, and have the floor follow it."""
        ends = await self._reader.end_offsets(self._tps)
        changed: set[str] = set()
        while any([await self._reader.position(tp) < ends[tp] for tp in self._tps]):
            for records in (await self._reader.getmany(timeout_ms=100)).values():
                for record in records:
                    changed |= self._roster.take(schedule_pb2.SchedulePublished.FromString(record.value))
        s = self._scenario
        for agent in sorted(changed) if floor else ():
            duties = self._roster.duties(agent, s.begin, s.end + DAY)
            begin, end = self._away.get(agent, (s.end + DAY, s.end + DAY))
            assert floor
            floor.set_duties(agent, [d for d in duties if d.ends_at <= begin or d.starts_at >= end])

    def _answer(self) -> None:
        """Show new decisions, and answer those that wait, partly."""
        request = staffing_service_pb2.ListDecisionsRequest(page_size=60)
        recent = list(self._muster.staffing.ListDecisions(request).decisions)
        known = {d.decision_id for d in self.decisions}
        for decision in sorted(recent, key=lambda d: (d.decide_at.seconds, d.staffing_group, d.reason_code)):
            if decision.decision_id not in known:
                if self.first_decision_seconds is None:
                    self.first_decision_seconds = time.monotonic() - self.began
                self.decisions.append(decision)
                self._screen.decision(decision)
            if decision.state == decision_pb2.DECISION_STATE_OPEN:
                self._respond(decision)

    def _respond(self, decision: decision_pb2.Decision) -> None:
        lever = book_pb2.LeverKind.Name(decision.lever)
        takers = [c.agent for c in decision.candidates if self._scenario.accepts(decision, lever, c.agent)]
        request = staffing_service_pb2.RespondToDecisionRequest(
            decision_id=decision.decision_id,
            accept=bool(takers),
            accepted_agents=takers,
            reason=f"{len(takers)} of {len(decision.candidates)} agents said yes",
            request_id=f"demo-{decision.decision_id}",
        )
        try:
            self._muster.staffing.RespondToDecision(request)
        except grpc.RpcError as error:  # the offer ran out while the floor was asked
            self._screen.say(f"answer came too late: {error.details()}")

    # After the day

    def _result(self, floor: Floor, roster: Roster, end: int) -> end_card.DayResult:
        s = self._scenario
        service = end_card.count_service(floor.records, end)
        month = {contract: self._month[contract] + service[contract] for contract in CONTRACTS}
        hours = end_card.count_hours(roster, self._sites, self._contracts, set(self._away), s.begin, end)
        return end_card.DayResult(service, month, hours)


def _wait(name: str) -> operations_pb2.WaitOperationRequest:
    request = operations_pb2.WaitOperationRequest(name=name)
    request.timeout.seconds = 1
    return request
