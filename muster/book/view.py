"""The book as it is on a day: rows that hold then, who may serve what, and the staffing groups that follow.

A staffing group is a connected component of queues that share eligible agents; its id is its smallest queue name.
"""

import bisect
import collections
import dataclasses
import datetime as dt
import functools
from collections.abc import Iterable, Mapping
from typing import TypeVar

from muster.book.demand import Client, Event, Hours, Override, Queue
from muster.book.fields import DatedRow
from muster.book.supply import Activity, Agent, Site, WorkPattern
from muster.book.terms import Contract, CurrencyRate, Lever, Shrinkage, Target
from muster.book.words import Channel, LeverKind, TargetMetric
from muster.domain.calendar import WEEKDAYS, Opening, OpeningHours, parse_date, time_of_day
from muster.domain.deadlines import Deadlines
from muster.domain.due_rule import DueRule, parse_due

R = TypeVar("R", bound=DatedRow)


@dataclasses.dataclass(frozen=True)
class StaffingGroup:
    """Queues that share eligible agents, and those agents. Both sorted."""

    name: str
    queues: tuple[str, ...]
    agents: tuple[str, ...]


def _openings(hours: Iterable[Hours]) -> tuple[Opening, ...]:
    return tuple(
        Opening(frozenset(WEEKDAYS.index(d) for d in h.days), time_of_day(h.opens), time_of_day(h.closes)) for h in hours
    )


@functools.lru_cache(2048)
def opening_hours(queue: Queue) -> OpeningHours:
    """Return when a queue's contacts are answered, holidays included."""
    holidays = queue.holidays
    special = tuple((parse_date(d.date), _openings(d.hours)) for d in holidays.dates) if holidays else ()
    return OpeningHours(_openings(queue.service_hours), tuple(holidays.countries) if holidays else (), special)


def due_rule(target: Target) -> DueRule:
    """Return when a target DEADLINE_MET says that an item is due."""
    if target.threshold_business:
        return parse_due(target.threshold_business)
    return DueRule(elapsed=max(round(target.threshold_seconds or 0.0), 1))


@functools.lru_cache(2048)
def intake_hours(queue: Queue) -> OpeningHours:
    """Return when a queue's contacts come: intake hours, on holidays too; without them the hours in which they are answered."""
    deferred = queue.channel in (Channel.EMAIL, Channel.BACK_OFFICE)
    return OpeningHours(_openings(queue.intake_hours)) if queue.intake_hours and deferred else opening_hours(queue)


def calling_starts(queue: Queue, day: dt.date, zone: str) -> list[int]:
    """Return the intervals of a day in which outbound contacts may be called: of service, within the campaign's calling hours."""
    starts = opening_hours(queue).open_starts(day, zone, queue.interval_seconds)
    if queue.campaign is None or not queue.campaign.calling_hours:
        return starts
    windows = OpeningHours(_openings(queue.campaign.calling_hours))
    around = (day - dt.timedelta(days=1), day)
    allowed = {s for one in around for s in windows.open_starts(one, zone, queue.interval_seconds)}
    return [s for s in starts if s in allowed]


def _holding(rows: Mapping[tuple[str, str], DatedRow], kind: type[R], day: str) -> dict[str, R]:
    held: dict[str, R] = {}
    for (_, _), row in sorted(rows.items(), key=lambda item: item[0]):
        if isinstance(row, kind) and row.valid_from <= day and (not row.valid_until or day < row.valid_until):
            held[row.name] = row
    return held


class BookDay:
    """What the book says on one day. Rows by name."""

    def __init__(self, rows: Mapping[str, Mapping[tuple[str, str], DatedRow]], day: dt.date) -> None:
        text = day.isoformat()
        self.day = day
        self.since = ""
        self.clients = _holding(rows.get("clients", {}), Client, text)
        self.queues = _holding(rows.get("queues", {}), Queue, text)
        self.contracts = _holding(rows.get("contracts", {}), Contract, text)
        self.shrinkage = _holding(rows.get("shrinkage", {}), Shrinkage, text)
        self.levers = _holding(rows.get("levers", {}), Lever, text)
        self.currency_rates = _holding(rows.get("currency_rates", {}), CurrencyRate, text)
        self.overrides = _holding(rows.get("overrides", {}), Override, text)
        self.events = _holding(rows.get("events", {}), Event, text)
        self.sites = _holding(rows.get("sites", {}), Site, text)
        self.work_patterns = _holding(rows.get("work_patterns", {}), WorkPattern, text)
        self.activities = _holding(rows.get("activities", {}), Activity, text)
        self.agents = _holding(rows.get("agents", {}), Agent, text)

    def zone_of(self, queue: Queue) -> str:
        """Return the zone a queue's demand lives in; UTC while its client isn't known yet."""
        client = self.clients.get(queue.client)
        return queue.zone or (client.zone if client else "UTC")

    def contract_of(self, queue: str) -> Contract | None:
        """Return the contract that covers a queue."""
        return self._contracts.get(queue)

    @functools.cached_property
    def _contracts(self) -> dict[str, Contract]:
        """The contract that covers each queue: the first by name."""
        return {queue: c for _, c in sorted(self.contracts.items(), reverse=True) for queue in c.queues}

    def deadlines(self, queue: Queue, target: Target) -> Deadlines | None:
        """Return by which deadlines a target judges a queue; None: by none."""
        if target.metric != TargetMetric.DEADLINE_MET or (target.queues and queue.name not in target.queues):
            return None
        return Deadlines(due_rule(target), opening_hours(queue), self.zone_of(queue))

    def minimum_staff(self, queue: str) -> int:
        """Return the fewest agents on a queue, whatever the load."""
        contract = self.contract_of(queue)
        return max((m.agents for m in contract.minimum_staff if m.queue == queue), default=0) if contract else 0

    def lever(self, kind: LeverKind) -> Lever | None:
        """Return the lever of a kind, if one is declared."""
        return next((lever for _, lever in sorted(self.levers.items()) if lever.kind == kind), None)

    def employed(self, agent: Agent) -> bool:
        """Return whether an agent is employed on the day."""
        text = self.day.isoformat()
        return agent.hired_on <= text and (not agent.leaves_on or text < agent.leaves_on)

    def is_whole(self, agent: Agent) -> bool:
        """Return whether what the agent's row refers to holds on the day too."""
        return agent.site in self.sites and agent.work_pattern in self.work_patterns

    def may_serve(self, agent: Agent, queue: Queue) -> bool:
        """Return whether an agent may serve a queue: skills, client, site and restrictions."""
        text = self.day.isoformat()
        skills = {s.skill for s in agent.skills if not s.certified_until or text < s.certified_until}
        site = self.sites.get(agent.site)
        if site is None or not set(queue.required_skills) <= skills:
            return False
        if agent.eligible_clients and queue.client not in agent.eligible_clients:
            return False
        if site.clients and queue.client not in site.clients:
            return False
        rule = queue.site_restrictions
        if rule is None:
            return True
        return (
            (not rule.countries or site.country in rule.countries)
            and set(rule.clearances) <= set(site.clearances)
            and not (rule.home_based is False and agent.home_based)
        )

    @staticmethod
    def choice(agent: Agent, queue: Queue) -> int:
        """Return which choice a queue is of an agent who may serve it, 1 the first: the priority of the skill that is ranked last."""
        priority = {s.skill: s.priority for s in agent.skills}
        return max(priority[s] for s in queue.required_skills)

    @functools.cached_property
    def eligible(self) -> dict[str, tuple[str, ...]]:
        """Queues that each employed agent may serve, first choice first: by priority of the skills, then by name."""
        served = {}
        for name, agent in sorted(self.agents.items()):
            if not self.employed(agent) or not self.is_whole(agent):
                continue
            queues = [q for q in self.queues.values() if self.may_serve(agent, q)]
            queues.sort(key=lambda q: (self.choice(agent, q), q.name))
            served[name] = tuple(q.name for q in queues)
        return served

    @functools.cached_property
    def groups(self) -> dict[str, StaffingGroup]:
        """Staffing groups by name. A queue that nobody may serve is a group of its own."""
        parent = {queue: queue for queue in self.queues}

        def root(queue: str) -> str:
            while parent[queue] != queue:
                queue = parent[queue]
            return queue

        for queues in self.eligible.values():
            for queue in queues[1:]:
                a, b = sorted((root(queues[0]), root(queue)))
                parent[b] = a
        members: dict[str, list[str]] = collections.defaultdict(list)
        for queue in sorted(self.queues):
            members[root(queue)].append(queue)
        agents: dict[str, list[str]] = collections.defaultdict(list)
        for agent, queues in self.eligible.items():
            if queues:
                agents[root(queues[0])].append(agent)
        return {name: StaffingGroup(name, tuple(q), tuple(agents[name])) for name, q in members.items()}

    def group_of(self, queue: str) -> StaffingGroup | None:
        """Return the staffing group of a queue."""
        return self._groups.get(queue)

    @functools.cached_property
    def _groups(self) -> dict[str, StaffingGroup]:
        return {queue: group for group in self.groups.values() for queue in group.queues}

    @functools.cached_property
    def servers(self) -> dict[str, tuple[str, ...]]:
        """Agents who may serve each queue."""
        found: dict[str, list[str]] = {}
        for agent, queues in self.eligible.items():
            for queue in queues:
                found.setdefault(queue, []).append(agent)
        return {queue: tuple(agents) for queue, agents in found.items()}

    def able(self, queue: str, other: str) -> float:
        """Return the share of a queue's agents who may serve another too; 0 where it has none."""
        agents, both = self.servers.get(queue, ()), set(self.servers.get(other, ()))
        return sum(agent in both for agent in agents) / len(agents) if agents else 0.0


class BookView:
    """All rows of the book, dated; `at(day)` is what holds then."""

    def __init__(self, rows: Mapping[str, Mapping[tuple[str, str], DatedRow]]) -> None:
        """Take rows by kind and (name, valid_from)."""
        self._rows = rows
        self._days: dict[dt.date, BookDay] = {}

    def at(self, day: dt.date) -> BookDay:
        """Return what holds on a day."""
        if day not in self._days:
            before = bisect.bisect_right(self._changes, day.isoformat())
            newest = self._changes[before - 1] if before else ""
            same = next((b for b in self._days.values() if b.since == newest), None)
            if same is None:
                same = BookDay(self._rows, day)
                same.since = newest
            self._days[day] = same
        return self._days[day]

    @functools.cached_property
    def _changes(self) -> list[str]:
        """The days on which something begins or ceases to hold, in order."""
        changes = {r.valid_from for kind in self._rows.values() for r in kind.values()}
        changes |= {r.valid_until for kind in self._rows.values() for r in kind.values() if r.valid_until}
        agents = self._rows.get("agents", {}).values()
        changes |= {d for a in agents if isinstance(a, Agent) for d in (a.hired_on, a.leaves_on) if d}
        changes |= {s.certified_until for a in agents if isinstance(a, Agent) for s in a.skills if s.certified_until}
        return sorted(c for c in changes if c)

    def queue_names(self) -> list[str]:
        """Return the names of all queues, whenever they hold."""
        return sorted({name for name, _ in self._rows.get("queues", {})})
