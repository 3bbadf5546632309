"""Contacts as they wait, and agents as they have room: in line, by deadline or to be called, one at a time or several."""

import collections
import dataclasses
import heapq
import itertools

from muster.simulator.arrivals import Caller


@dataclasses.dataclass(frozen=True)
class Calls:
    """Contacts to be called: attempts in order, how many are to be reached, and when calls may be made, spans [begin, end)."""

    attempts: tuple[Caller, ...]
    wanted: int
    spans: tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True)
class Manner:
    """How a queue's contacts are served.

    stretch: how many times its own handle time a contact takes whose agent has 1, 2, … of them, as many as an agent may have.
    deferred: they wait on a pile, by deadline. calls: agents call them. Both are told once they are done.
    """

    stretch: tuple[float, ...] = (1.0,)
    deferred: bool = False
    calls: Calls | None = None

    def __post_init__(self) -> None:
        if not self.stretch or self.stretch[0] != 1.0 or any(b < a for a, b in itertools.pairwise(self.stretch)):
            raise ValueError(f"stretch is {self.stretch}; allowed: from 1.0 on, not falling")

    @property
    def at_once(self) -> int:
        """Contacts that an agent may have."""
        return len(self.stretch)

    def line(self) -> "Line | Pile | CallList":
        """Return what contacts wait in, empty."""
        if self.calls:
            return CallList(self.calls)
        return Pile() if self.deferred else Line()


VOICE = Manner()


@dataclasses.dataclass
class ContactRecord:
    """A contact as it has gone so far. Seconds; `left` of its own handle time, `took`: in hand, once it is over."""

    caller: Caller
    revision: int = 1
    stage: str = "OFFERED"
    wait: float | None = None
    begun: float = 0.0
    left: float = 0.0
    took: float | None = None

    @property
    def in_time(self) -> bool:
        """Whether it is done, and was by its deadline; no deadline is never missed."""
        done = self.stage == "WRAPPED" and self.wait is not None
        return done and self.caller.arrives + (self.wait or 0.0) <= self.caller.due


class Line:
    """Who waits in line: first come, first served; who has hung up is passed over."""

    def __init__(self) -> None:
        self._waiting: collections.deque[ContactRecord] = collections.deque()

    def add(self, contact: ContactRecord) -> None:
        self._waiting.append(contact)

    def take(self, now: float) -> ContactRecord | None:
        """Take the next; None: nobody waits."""
        while self._waiting:
            contact = self._waiting.popleft()
            if contact.stage == "OFFERED":
                return contact
        return None


class Pile:
    """Work with a deadline: the earliest that can still be kept first, then what is late, longest late first."""

    def __init__(self) -> None:
        self._timely: list[tuple[float, int, ContactRecord]] = []
        self._late: list[tuple[float, int, ContactRecord]] = []
        self._count = itertools.count()

    def add(self, contact: ContactRecord) -> None:
        heapq.heappush(self._timely, (contact.caller.due, next(self._count), contact))

    def take(self, now: float) -> ContactRecord | None:
        """Take the next; None: nothing waits."""
        while self._timely and self._timely[0][0] <= now:
            heapq.heappush(self._late, heapq.heappop(self._timely))
        pile = self._timely or self._late
        return heapq.heappop(pile)[2] if pile else None


class CallList:
    """Contacts to be called: there is a next while calls may be made, until as many as wanted are, or will be, reached."""

    def __init__(self, calls: Calls) -> None:
        self._calls, self._attempts, self._reached = calls, iter(calls.attempts), 0

    def add(self, contact: ContactRecord) -> None:
        raise ValueError(f"{contact.caller.contact_id} came to {contact.caller.queue}; allowed: contacts that are called")

    def take(self, now: float) -> ContactRecord | None:
        """Take the next attempt, which begins now; None: no call may be made, or none is left to make."""
        if self._reached >= self._calls.wanted or not any(begin <= now < end for begin, end in self._calls.spans):
            return None
        attempt = next(self._attempts, None)
        if attempt is None:
            return None
        self._reached += attempt.reaches
        return ContactRecord(dataclasses.replace(attempt, arrives=now))


class Room:
    """Agents of a queue who can take a contact: who has the fewest in hand first, and of equals who has waited longest."""

    def __init__(self, at_once: int) -> None:
        self._levels: list[dict[str, None]] = [{} for _ in range(at_once)]

    def put(self, agent: str, in_hand: int) -> None:
        self._levels[in_hand][agent] = None

    def drop(self, agent: str) -> None:
        for level in self._levels:
            level.pop(agent, None)

    def first(self) -> str | None:
        """Return who takes the next contact, None if nobody can."""
        return next((next(iter(level)) for level in self._levels if level), None)
