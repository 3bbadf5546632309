"""Decisions as they are made, answered and closed."""

import dataclasses
import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa

from muster.book.view import BookDay
from muster.book.words import AutonomyLevel, Direction
from muster.domain.calendar import DAY, local_date
from muster.kit.clock import Clock
from muster.kit.due import DueWork
from muster.kit.errors import NotNow
from muster.kit.logs import get_log
from muster.kit.outbox import Outbox
from services.staffing.domain.decision import decide
from services.staffing.domain.group import SLOT, Proposal
from services.staffing.domain.record import (
    ACCEPTED,
    EXPIRED,
    OPEN,
    REJECTED,
    SUPERSEDED,
    DecisionRecord,
    issue,
)
from services.staffing.errors import refuse
from services.staffing.outlooks import Outlooks
from services.staffing.settings import StaffingSettings
from services.staffing.store import decisions
from services.staffing.streams import Streams

LEVEL_ORDER = (AutonomyLevel.SHADOW, AutonomyLevel.PILOT, AutonomyLevel.LIVE)


@dataclasses.dataclass
class Deciding:
    """Makes decisions, and takes answers."""

    settings: StaffingSettings
    streams: Streams
    due: DueWork
    outbox: Outbox
    clock: Clock
    outlooks: Outlooks

    def __post_init__(self) -> None:
        self.streams.on_told = self.on_told

    def regroup(self, connection: sa.Connection, key: str, due_at: int) -> None:
        """Supersede what groups that are no more have under way, and have every group decided."""
        groups = self.streams.book_today(connection).groups
        messages = []
        for record in decisions.under_way(connection):
            if record.group not in groups:
                messages.append(self.streams.keep(connection, record.step(SUPERSEDED, "the book merged or split the group")))
        self.outbox.write(connection, messages)
        for name in groups:
            self._plan_decide(connection, name)

    def new_day(self, connection: sa.Connection, key: str, due_at: int) -> None:
        """At midnight UTC rows of the book begin and end to be true: have what they touch computed anew."""
        now = self.clock.now()
        view, today = self.streams.book.view(connection), local_date(now, "UTC")
        if view.at(today) is not view.at(today - dt.timedelta(days=1)):
            self.due.plan(connection, "regroup", "", now)
            for queue in view.queue_names():
                self.due.plan(connection, "require_all", queue, now)
        self.due.plan(connection, "new_day", "", (now // DAY + 1) * DAY)

    @property
    def _delay(self) -> int:
        # In lock-step everything that was known by the quarter of an hour has come: nothing to wait for.
        return 0 if self.settings.clock == "CONDUCTED" else self.settings.decide_delay_seconds

    def _plan_decide(self, connection: sa.Connection, group: str) -> None:
        """Have a group decided when its feeds have told everything up to the next quarter of an hour, or when it's late."""
        now = self.clock.now()
        at = (now - self._delay) // SLOT * SLOT + SLOT + self._delay
        if self.due.is_planned(connection, "decide_slot", group, now // SLOT * SLOT + SLOT + self._delay):
            return  # this quarter of an hour was decided
        self.due.plan(connection, "decide_slot", group, at)
        if self._delay:
            self.due.plan(connection, "decide_if_told", group, now // SLOT * SLOT + SLOT)

    def on_told(self, connection: sa.Connection, queue: str) -> None:
        """Look whether the group of a queue whose requirement is new, or that closed an interval, can be decided before it is late.

        Topics are read in any order: either may be what was waited for."""
        group = self.streams.book_today(connection).group_of(queue)
        if group and self._delay:
            self.due.plan(connection, "decide_if_told", group.name, self.clock.now())

    def decide_if_told(self, connection: sa.Connection, name: str, due_at: int) -> None:
        """Decide for a group whose every queue is told up to the quarter of an hour, unless that was done."""
        book, begin = self.streams.book_today(connection), self.clock.now() // SLOT * SLOT
        group = book.groups.get(name)
        if group is None or not all(self.outlooks.is_told(connection, book, book.queues[q], begin) for q in group.queues):
            return
        if self.due.cancel(connection, "decide_slot", name, begin + self._delay):
            self.due.plan(connection, "decide_slot", name, begin + SLOT + self._delay)
            self.due.plan(connection, "decide_if_told", name, begin + SLOT)
            self.decide(connection, name, due_at)

    def decide_slot(self, connection: sa.Connection, name: str, due_at: int) -> None:
        """Decide for a group whatever its feeds have told by now, and plan its next quarter of an hour."""
        if name in self.streams.book_today(connection).groups:
            self._plan_decide(connection, name)
            self.decide(connection, name, due_at)

    def expire(self, connection: sa.Connection, decision_id: str, due_at: int) -> None:
        """Close a decision that nobody answered in time."""
        record = decisions.load(connection, decision_id)
        if record.state == OPEN:
            self.outbox.write(connection, [self.streams.keep(connection, record.step(EXPIRED, "nobody answered in time"))])

    def decide(self, connection: sa.Connection, name: str, due_at: int) -> None:
        """Decide for a group on what is known now."""
        self.due.cancel(connection, "decide", name, self.clock.now())
        book = self.streams.book_today(connection)
        group = book.groups.get(name)
        if group is None:
            return
        outlook = self.outlooks.assemble(connection, book, group)
        if not any(q.required.any() or q.load.arrivals.any() for q in outlook.queues.values()):
            return
        recent = decisions.since(connection, name, outlook.now - 2 * SLOT - 60)
        proposals = [p for p in decide(outlook) if not _repeats(recent, p)]
        records = []
        minute = outlook.now - outlook.now % 60
        taken = sum(r.decide_at == minute for r in recent)
        for ordinal, proposal in enumerate(proposals, start=taken):
            level, limit = self._autonomy(book, proposal)
            record = issue(outlook, proposal, ordinal, "INTERVAL", level, limit)
            if decisions.exists(connection, record.decision_id):
                continue
            records.append(record)
            if record.state == OPEN:
                self.due.plan(connection, "expire", record.decision_id, record.expires_at)
        self.outbox.write(connection, [self.streams.keep(connection, r) for r in records])
        for r in records:
            p = r.proposal
            get_log().info(
                "decision_issued", group=name, kind=p.kind, lever=p.lever, count=p.count, state=r.state, reason=p.reason
            )

    def _autonomy(self, book: BookDay, proposal: Proposal) -> tuple[str, int | None]:
        """Return the lowest freedom, and lowest limit, that the clients concerned give the lever."""
        direction = Direction.UP if proposal.kind == "SCALE_UP" else Direction.DOWN
        levels, limits = [], []
        for client in sorted({leg.queue.partition("/")[0] for leg in proposal.legs}):
            row = book.clients.get(client)
            said = [a for a in (row.autonomy if row else ()) if a.lever == proposal.lever and a.direction in (None, direction)]
            levels.append(said[0].level if said else AutonomyLevel.SHADOW)
            limits += [a.limit_agents for a in said if a.limit_agents]
        return str(min(levels, key=LEVEL_ORDER.index, default=AutonomyLevel.SHADOW)), min(limits, default=None)

    def respond(
        self, connection: sa.Connection, decision_id: str, accept: bool, agents: Sequence[str], reason: str, request_id: str
    ) -> DecisionRecord:
        """Take an answer. Raise NotFound, NotNow(NOT_OPEN), Refusal(NOT_A_CANDIDATE)."""
        if request_id and (known := decisions.answered(connection, request_id)):
            return decisions.load(connection, known)
        record = decisions.load(connection, decision_id)
        if record.state != OPEN:
            raise NotNow("NOT_OPEN", f"decision {decision_id} is {record.state} ({record.state_reason})")
        if self.clock.now() >= record.expires_at:
            raise NotNow("NOT_OPEN", f"decision {decision_id} could be answered until {record.expires_at}")
        named = [n.agent for n in record.proposal.candidates]
        if strange := sorted(set(agents) - set(named)):
            raise refuse("NOT_A_CANDIDATE", f"{', '.join(strange)} not named in the decision; allowed: {', '.join(named)}")
        if accept:
            accepted = tuple(a for a in named if a in set(agents)) if agents else tuple(named)
            record = record.step(ACCEPTED, reason or f"{len(accepted)} of {len(named)} accepted", accepted=accepted)
        else:
            record = record.step(REJECTED, reason or "rejected", accepted=())
        self.outbox.write(connection, [self.streams.keep(connection, record)])
        if request_id:
            decisions.remember_answer(connection, request_id, decision_id)
        return record


def _repeats(recent: Sequence[DecisionRecord], proposal: Proposal) -> bool:
    """Return whether a hold says what the group's last decisions of its quarter of an hour said already."""
    if proposal.kind != "HOLD":
        return False
    holds = [r.proposal for r in recent if r.proposal.kind == "HOLD" and r.proposal.reason_code == proposal.reason_code]
    return any(_subject(hold) == _subject(proposal) for hold in holds)


def _subject(proposal: Proposal) -> str:
    """Return what a hold is about: its text without numbers."""
    return "".join(c for c in proposal.reason if not c.isdigit() and c != ".")
