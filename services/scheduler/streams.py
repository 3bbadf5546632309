"""Kafka edge of the scheduler: requirements and absences are kept, accepted decisions amend the schedule."""

import dataclasses
from collections.abc import Sequence

import sqlalchemy as sa

from muster.kit.loop import Fact, Handled, Inlet
from services.scheduler import wire
from services.scheduler.publishing import Publishing
from services.scheduler.store import schedules


@dataclasses.dataclass
class Streams:
    """What arrives at the scheduler."""

    publishing: Publishing

    def inlets(self) -> list[Inlet]:
        return [
            Inlet(wire.REQUIREMENT, wire.read_requirement, self.on_requirement),
            Inlet(wire.DECISION, wire.read_decision, self.on_decision),
            Inlet(wire.ATTENDANCE, wire.read_attendance, self.on_attendance),
        ]

    def on_requirement(self, connection: sa.Connection, facts: Sequence[Fact]) -> Handled:
        newest = {}
        for fact in facts:
            day: wire.RequirementDay = fact.message
            newest[day.queue, day.local_date] = day
        for _, day in sorted(newest.items()):
            schedules.save_requirement(connection, day)
        return Handled()

    def on_decision(self, connection: sa.Connection, facts: Sequence[Fact]) -> Handled:
        """Carry out accepted decisions, each once, in the order of their ids within the batch's order."""
        handled = Handled()
        for fact in facts:
            step: wire.DecisionStep = fact.message
            if schedules.see_decision(connection, step):
                handled.messages += self.publishing.carry_out(connection, step)
        return handled

    def on_attendance(self, connection: sa.Connection, facts: Sequence[Fact]) -> Handled:
        for fact in facts:
            schedules.save_attendance(connection, fact.message)
        return Handled()
