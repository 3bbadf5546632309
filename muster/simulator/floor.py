"""The floor, event by event: callers wait or hang up, agents log in late, overrun breaks, finish their contacts, go home.

An agent serves the queue that the schedule names at the moment: calls one at a time, chats several at once (each advances the slower
the more there are), deferred work by deadline, contacts to be called one attempt after the other. Lateness and overruns belong to
the agent and the shift, drawn once, so that the same day can be played again with other shifts.
"""

import dataclasses
import heapq
import math
import zlib
from collections.abc import Iterable, Mapping

import numpy as np

from muster.simulator.arrivals import Caller
from muster.simulator.lines import VOICE, CallList, ContactRecord, Line, Manner, Pile, Room

ARRIVE, HANG_UP, FREE, PLAN, CALL = range(5)


@dataclasses.dataclass(frozen=True)
class Duty:
    """Part of a shift as scheduled: serving a queue, or away for a reason."""

    starts_at: int
    ends_at: int
    queue: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Habits:
    """How agents depart from the plan: mean seconds late at log-in, mean seconds a break is overrun, share of no-shows."""

    late_seconds: float = 150.0
    overrun_seconds: float = 75.0
    no_show_share: float = 0.01


@dataclasses.dataclass
class AgentRecord:
    """An agent as they are now. `queue` is where they take contacts; `since` when the state began; `turn` counts changes of `contacts`,
    which had advanced as told at `seen`."""

    agent: str
    site: str
    duties: list[Duty] = dataclasses.field(default_factory=list)
    queue: str = ""
    state: str = "LOGGED_OUT"
    reason: str = ""
    since: float = 0.0
    contacts: list[ContactRecord] = dataclasses.field(default_factory=list)
    seen: float = 0.0
    turn: int = 0
    plan: int = 0
    on_queue_seconds: float = 0.0


def chance(seed: int, *words: object) -> np.random.Generator:
    """Return a generator that belongs to words: the same words, the same numbers."""
    return np.random.default_rng([seed, zlib.crc32("|".join(map(str, words)).encode())])


class Floor:
    """Plays callers against agents. `advance` moves time; what changed is taken with `take_contacts`."""

    def __init__(
        self,
        callers: Iterable[Caller],
        sites: Mapping[str, str],
        habits: Habits,
        seed: int,
        begin: int,
        manners: Mapping[str, Manner] | None = None,
    ) -> None:
        """Take callers in order of arrival, agents with their sites, and how queues are served: as calls where not said."""
        self.now = float(begin)
        self.agents = {agent: AgentRecord(agent, site, since=float(begin)) for agent, site in sorted(sites.items())}
        self._habits, self._seed = habits, seed
        self._events: list[tuple[float, int, int, object]] = []
        self._order = 0
        self._manners = manners or {}
        self._waiting: dict[str, Line | Pile | CallList] = {}
        self._room: dict[str, Room] = {}
        self._changed: dict[str, ContactRecord] = {}
        self.records: list[ContactRecord] = []
        for caller in callers:
            self._push(caller.arrives, ARRIVE, caller)
        for queue, manner in sorted(self._manners.items()):
            for start, _ in manner.calls.spans if manner.calls else ():
                self._push(start, CALL, queue)

    def _push(self, at: float, kind: int, what: object) -> None:
        self._order += 1
        heapq.heappush(self._events, (at, self._order, kind, what))

    def _manner(self, queue: str) -> Manner:
        return self._manners.get(queue, VOICE)

    def _desk(self, queue: str) -> tuple[Line | Pile | CallList, Room]:
        """Return what waits in a queue, and who has room for it."""
        if queue not in self._room:
            self._waiting[queue] = self._manner(queue).line()
            self._room[queue] = Room(self._manner(queue).at_once)
        return self._waiting[queue], self._room[queue]

    # Plans

    def set_duties(self, agent: str, duties: list[Duty]) -> None:
        """Give an agent the duties of the schedule in force, from now on, bent by their habits."""
        record = self.agents[agent]
        bent = self._bend(agent, duties)
        if bent == record.duties:
            return
        record.duties = bent
        record.plan += 1
        self._push(self.now, PLAN, (agent, record.plan))
        for t in sorted({t for d in bent for t in (d.starts_at, d.ends_at) if t > self.now}):
            self._push(t, PLAN, (agent, record.plan))

    def _bend(self, agent: str, duties: list[Duty]) -> list[Duty]:
        bent: list[Duty] = []
        for duty in duties:
            first = not bent or bent[-1].ends_at < duty.starts_at - 4 * 3600
            start = duty.starts_at
            if first:
                luck = chance(self._seed, agent, duty.starts_at // 86_400, "login")
                if luck.random() < self._habits.no_show_share:
                    return []
                start += int(luck.exponential(self._habits.late_seconds))
            elif not duties[len(bent) - 1].queue and duty.queue:
                luck = chance(self._seed, agent, duties[len(bent) - 1].starts_at, "break")
                start += int(luck.exponential(self._habits.overrun_seconds))
                bent[-1] = dataclasses.replace(bent[-1], ends_at=min(start, duty.ends_at))
            bent.append(dataclasses.replace(duty, starts_at=min(start, duty.ends_at)))
        return bent

    def _follow_plan(self, record: AgentRecord) -> None:
        duty = next((d for d in record.duties if d.starts_at <= self.now < d.ends_at), None)
        queue, reason = (duty.queue, duty.reason) if duty else ("", "")
        if queue == record.queue and queue and record.state != "LOGGED_OUT":
            return
        self._desk(record.queue)[1].drop(record.agent)
        record.queue, record.reason = queue, reason
        if record.contacts:
            self._open_up(record)
        else:
            self._settle(record)

    def _settle(self, record: AgentRecord) -> None:
        """Put an agent without a contact where the plan has them."""
        if record.queue:
            self._set_state(record, "AVAILABLE")
            self._open_up(record)
        else:
            self._set_state(record, "AUX" if record.reason else "LOGGED_OUT")

    def _open_up(self, record: AgentRecord) -> None:
        """Let an agent take from their queue, unless what is in hand is another queue's or all they may have."""
        queue, in_hand = record.queue, record.contacts
        if queue and all(c.caller.queue == queue for c in in_hand) and len(in_hand) < self._manner(queue).at_once:
            self._desk(queue)[1].put(record.agent, len(in_hand))
            self._serve(queue)

    def _set_state(self, record: AgentRecord, state: str) -> None:
        if state != record.state:
            if record.state in ("AVAILABLE", "ON_CONTACT"):
                record.on_queue_seconds += self.now - record.since
            record.state, record.since = state, self.now

    # Contacts

    def _arrive(self, caller: Caller) -> None:
        record = ContactRecord(caller)
        self.records.append(record)
        self._touch(record, bump=False)
        self._desk(caller.queue)[0].add(record)
        if caller.patience < math.inf:
            self._push(self.now + caller.patience, HANG_UP, record)
        self._serve(caller.queue)

    def _touch(self, record: ContactRecord, bump: bool = True) -> None:
        record.revision += bump
        self._changed[record.caller.contact_id] = record

    def _serve(self, queue: str) -> None:
        waiting, room = self._desk(queue)
        while (agent := room.first()) is not None and (contact := waiting.take(self.now)) is not None:
            room.drop(agent)
            self._take(self.agents[agent], contact)

    def _take(self, record: AgentRecord, contact: ContactRecord) -> None:
        """Give an agent a contact, beside those in hand."""
        queue, manner = contact.caller.queue, self._manner(contact.caller.queue)
        self._advance_contacts(record)
        contact.begun, contact.left = self.now, contact.caller.own_seconds
        if manner.calls:
            contact.stage = "TAKEN"
            self.records.append(contact)
        elif manner.deferred:  # its sender hears of it when it is done
            contact.stage = "TAKEN"
        else:
            contact.stage, contact.wait = "ANSWERED", self.now - contact.caller.arrives
            self._touch(contact)
        record.contacts.append(contact)
        self._set_state(record, "ON_CONTACT")
        self._plan_end(record)
        if len(record.contacts) < manner.at_once:
            self._desk(queue)[1].put(record.agent, len(record.contacts))

    def _advance_contacts(self, record: AgentRecord) -> None:
        """Bring what an agent has in hand up to now."""
        if record.contacts:
            passed = (self.now - record.seen) / self._pace(record)
            for contact in record.contacts:
                contact.left = max(contact.left - passed, 0.0)
        record.seen = self.now

    def _pace(self, record: AgentRecord) -> float:
        return self._manner(record.contacts[0].caller.queue).stretch[len(record.contacts) - 1]

    def _plan_end(self, record: AgentRecord) -> None:
        record.turn += 1
        if record.contacts:
            soonest = min(c.left for c in record.contacts)
            self._push(self.now + soonest * self._pace(record), FREE, (record, record.turn))

    def _hang_up(self, contact: ContactRecord) -> None:
        if contact.stage == "OFFERED":
            contact.stage, contact.wait = "ABANDONED", self.now - contact.caller.arrives
            self._touch(contact)

    def _free(self, record: AgentRecord) -> None:
        """End the contact with least left."""
        self._advance_contacts(record)
        contact = min(record.contacts, key=lambda c: c.left)
        record.contacts.remove(contact)
        self._end(contact)
        self._plan_end(record)
        self._desk(record.queue)[1].drop(record.agent)
        if record.contacts:
            self._open_up(record)
        else:
            self._settle(record)

    def _end(self, contact: ContactRecord) -> None:
        contact.took = self.now - contact.begun
        if not contact.caller.reaches:
            contact.stage = "MISSED"
            return
        contact.stage = "WRAPPED"
        if self._manner(contact.caller.queue).deferred:
            contact.wait = self.now - contact.caller.arrives
        self._touch(contact)

    def advance(self, to: int) -> None:
        """Play everything up to an instant."""
        while self._events and self._events[0][0] < to:
            at, _, kind, what = heapq.heappop(self._events)
            self.now = max(at, self.now)
            if kind == ARRIVE and isinstance(what, Caller):
                self._arrive(what)
            elif kind == HANG_UP and isinstance(what, ContactRecord):
                self._hang_up(what)
            elif kind == FREE and isinstance(what, tuple):
                if what[0].turn == what[1]:
                    self._free(what[0])
            elif kind == CALL and isinstance(what, str):
                self._serve(what)
            elif kind == PLAN and isinstance(what, tuple) and self.agents[what[0]].plan == what[1]:
                self._follow_plan(self.agents[what[0]])
        self.now = float(to)

    def take_contacts(self) -> list[ContactRecord]:
        """Return contacts that changed since the last call, in order of first change."""
        changed, self._changed = list(self._changed.values()), {}
        return changed

    def on_queue_seconds(self) -> float:
        """Return agent-seconds spent on queue so far."""
        running = sum(self.now - a.since for a in self.agents.values() if a.state in ("AVAILABLE", "ON_CONTACT"))
        return sum(a.on_queue_seconds for a in self.agents.values()) + running
