"""Kafka edge of staffing: facts → SQL, and the work they make due. No arithmetic here."""

import collections
import dataclasses
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from muster.book.copy import BookCopy
from muster.book.view import BookDay
from muster.domain.calendar import local_date
from muster.domain.tolerance import Tolerance
from muster.kit.clock import Clock
from muster.kit.due import DueWork
from muster.kit.loop import Fact, Handled, Inlet
from muster.kit.outbox import Outbox, Outgoing
from services.staffing import wire
from services.staffing.domain.attainment import CellFacts, TargetRule
from services.staffing.domain.facts import ClosedCell, ForecastDay, Manifest, merge_forecast
from services.staffing.domain.record import ACCEPTED, DONE, FAILED, DecisionRecord
from services.staffing.store import decisions, floor, plans


@dataclasses.dataclass
class Streams:
    """What arrives at staffing. on_told: what is done when a queue closed an interval, or has a new requirement."""

    book: BookCopy
    due: DueWork
    clock: Clock
    outbox: Outbox
    on_told: Callable[[sa.Connection, str], None] = lambda connection, queue: None

    def inlets(self) -> list[Inlet]:
        return [
            Inlet(wire.FORECAST, wire.read_forecast, self.on_forecast),
            Inlet(wire.CLOSED, wire.read_closed, self.on_closed),
            Inlet(wire.SCHEDULE, wire.read_schedule, self.on_schedule),
            Inlet(wire.FLOOR, wire.read_floor, self.on_floor),
            Inlet(wire.ATTENDANCE, wire.read_attendance, self.on_attendance),
        ]

    def book_today(self, connection: sa.Connection) -> BookDay:
        """Return the book as it holds on the UTC day of now."""
        return self.book.view(connection).at(local_date(self.clock.now(), "UTC"))

    def on_forecast(self, connection: sa.Connection, facts: Sequence[Fact]) -> Handled:
        """Keep forecasts, merged interval by interval, and have the requirement follow."""
        days: dict[tuple[str, str], ForecastDay] = {}
        for fact in facts:
            new: ForecastDay = fact.message
            key = (new.queue, new.local_date)
            days[key] = merge_forecast(days.get(key) or plans.load_forecast(connection, *key), new)
        for day in days.values():
            plans.save_forecast(connection, day)
        for queue in sorted({queue for queue, _ in days}):
            self.due.plan(connection, "require", queue, self.clock.now())
        return Handled()

    def on_closed(self, connection: sa.Connection, facts: Sequence[Fact]) -> Handled:
        """Keep what intervals became, the highest revision, and what each adds to the contract's targets."""
        newest: dict[str, dict[int, ClosedCell]] = collections.defaultdict(dict)
        for fact in facts:
            cell: ClosedCell = fact.message
            old = newest[cell.queue].get(cell.starts_at)
            if old is None or old.revision < cell.revision:
                newest[cell.queue][cell.starts_at] = cell
        for queue, cells in sorted(newest.items()):
            known = plans.cell_revisions(connection, queue, sorted(cells))
            fresh = [c for start, c in sorted(cells.items()) if known.get(start, 0) < c.revision]
            rules = self.rules_of(self.book_today(connection), queue)
            plans.save_cells(connection, fresh, max((rule.short_ms for _, _, rule in rules), default=0))
            added = [(queue, c.starts_at, c.facts) for c in fresh]
            relieved = self.relieved(connection, added)
            for contract, index, rule in rules:
                plans.save_contributions(connection, contract, index, rule, added, relieved)
            if fresh:
                self.on_told(connection, queue)
        return Handled()

    def relieved(self, connection: sa.Connection, cells: Sequence[tuple[str, int, CellFacts]]) -> set[int]:
        """Return the starts of those of a queue's cells (queue, start, facts) whose target is relieved: more came than the contract of their
        own local day tolerates over what it locked."""
        held = [(q, start, f.offered, f.locked) for q, start, f in cells if f.locked is not None and f.offered is not None]
        view, today, found = self.book.view(connection), self.book_today(connection), set()
        for queue, start, came, locked in held:
            row = today.queues.get(queue)
            contract = view.at(local_date(start, today.zone_of(row) if row else "UTC")).contract_of(queue)
            lock = contract.lock if contract else None
            if lock and Tolerance(lock.tolerance_up, lock.tolerance_down, lock.relieves).relieved(came, locked) == "TARGET":
                found.add(start)
        return found

    @staticmethod
    def rules_of(book: BookDay, queue: str) -> list[tuple[str, int, TargetRule]]:
        """Return the targets that cover a queue: contract, index, what is counted."""
        contract, row = book.contract_of(queue), book.queues.get(queue)
        found = []
        for index, t in enumerate(contract.targets if contract else ()):
            if row is not None and (not t.queues or queue in t.queues):
                definition = str(t.definition or "ANSWERED_OVER_OFFERED")
                threshold, short = t.threshold_seconds or 0, t.short_abandon_seconds or 0
                deadlines, told = book.deadlines(row, t), (round(threshold * 1000), round(short * 1000))
                rule = TargetRule(str(t.metric), definition, *told, deadlines, row.interval_seconds)
                found.append((contract.name if contract else "", index, rule))
        return found

    def on_schedule(self, connection: sa.Connection, facts: Sequence[Fact]) -> Handled:
        """Keep parts of schedule versions; apply those that are whole; close decisions they carry out."""
        groups = set()
        for fact in facts:
            part = fact.message
            groups.add(part.group)
            if isinstance(part, Manifest):
                floor.save_manifest(connection, part)
            else:
                floor.save_part(connection, part)
        handled = Handled()
        for group in sorted(groups):
            for manifest in floor.apply_ready(connection, group):
                handled.messages += self._carried_out(connection, manifest)
        return handled

    def _carried_out(self, connection: sa.Connection, manifest: Manifest) -> list[Outgoing]:
        messages = []
        for decision_id in manifest.decision_ids:
            if not decisions.exists(connection, decision_id):
                continue
            record = decisions.load(connection, decision_id)
            if record.state == ACCEPTED:
                messages.append(self.keep(connection, self._outcome(connection, record, manifest)))
        return messages

    def _outcome(self, connection: sa.Connection, record: DecisionRecord, manifest: Manifest) -> DecisionRecord:
        accepted = record.accepted or ()
        done = floor.decisions_in_shifts(connection, record.decision_id, accepted)
        if done == 0:
            return record.step(FAILED, manifest.reason or "no shift could be amended", schedule_version=manifest.version)
        reason = f"carried out for {done} of {len(accepted)} by schedule version {manifest.version}"
        return record.step(DONE, reason, schedule_version=manifest.version)

    def keep(self, connection: sa.Connection, record: DecisionRecord) -> Outgoing:
        """Keep a step of a decision's life, and return the message that says it."""
        decisions.save(connection, record)
        return wire.decision_issued(record)

    def on_floor(self, connection: sa.Connection, facts: Sequence[Fact]) -> Handled:
        """Keep what the floor shows, picture by picture."""
        for fact in sorted(facts, key=lambda f: f.message.observed_at):
            floor.fold_floor(connection, fact.message)
        return Handled()

    def on_attendance(self, connection: sa.Connection, facts: Sequence[Fact]) -> Handled:
        """Keep absences, and have the groups that they touch decided anew."""
        agents = {f.message.agent for f in facts if floor.save_attendance(connection, f.message)}
        for group in self.book_today(connection).groups.values():
            if agents & set(group.agents):
                self.due.plan(connection, "decide", group.name, self.clock.now())
        return Handled()
