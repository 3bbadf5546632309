"""The demo's BPO: three clients in three zones, queues of calls, chats and mail, three sites, their agents, and what callers are like."""

import dataclasses
import datetime as dt
import functools
import math

import numpy as np

from muster.domain.calendar import Opening, OpeningHours, day_bounds, to_local
from muster.domain.deadlines import Deadlines, deadline_of
from muster.domain.due_rule import parse_due
from muster.simulator.arrivals import Demand, expected_handle

DEMO_DAY = dt.date(2026, 3, 25)
HISTORY_DAYS = 56
INTERVAL = 1800
ALL_DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAY_FACTOR = (1.12, 1.06, 1.0, 0.98, 1.02, 0.84, 0.72)


@dataclasses.dataclass(frozen=True)
class CampaignWorld:
    """What a queue of outbound is to reach a day, the share of attempts that reach someone, their seconds, and the hours of calls."""

    daily: int
    connect_rate: float
    attempt: float
    opens: int
    closes: int


@dataclasses.dataclass(frozen=True)
class QueueWorld:
    """A queue as the world has it: hours, the peak of contacts per half-hour, and its callers.

    stretch: of the handle time of a chat whose agent has 1, 2, … of them; deadline: of mail, as contracts say it; mail comes at all hours.
    """

    name: str
    zone: str
    opens: int
    closes: int
    peak: float
    night: float
    handle_median: float
    threshold: int
    target: float
    patience: float
    channel: str = "VOICE"
    stretch: tuple[float, ...] = (1.0,)
    deadline: str = ""
    campaign: CampaignWorld | None = None

    @property
    def client(self) -> str:
        return self.name.partition("/")[0]

    @property
    def contract(self) -> str:
        return f"{self.client}/voice" if self.channel == "VOICE" else self.name

    @property
    def skill(self) -> str:
        return self.name.replace("/", "-")

    @property
    def measure(self) -> str:
        """Return what the contract promises, in few words."""
        share = round(100 * self.target)
        if self.campaign:
            return f"{self.campaign.daily} a day"
        if self.deadline:
            return f"{share} % in {self.deadline}"
        return f"{share}/{self.threshold}{' answered' if self.client in OVER_ANSWERED else ''}"

    def due(self, instant: float) -> float:
        """Return when what comes at an instant is due; inf: it has no deadline."""
        found = deadlines(self.name)
        return deadline_of(int(instant), found.rule, found.hours, found.zone) if found else math.inf

    def shape(self, hour: float) -> float:
        """Return contacts per half-hour as a share of the peak, by local hour: two humps and a quiet night."""
        if not self.deadline and not self.opens <= hour < self.closes:
            return 0.0
        humps = np.exp(-(((hour - 10.5) / 2.6) ** 2)) + 0.85 * np.exp(-(((hour - 15.5) / 3.0) ** 2))
        return float(max(self.night, min(1.0, humps + 0.12)))

    def rate(self, instant: int) -> float:
        """Return expected contacts of the half-hour that starts at an instant."""
        local = to_local(instant, self.zone)
        if self.campaign:
            own = self.campaign
            return own.daily * INTERVAL / 3600 / (own.closes - own.opens) if own.opens <= local.hour < own.closes else 0.0
        return self.peak * self.shape(local.hour + local.minute / 60) * WEEKDAY_FACTOR[local.weekday()]


QUEUES = (
    QueueWorld("northwind/billing", "Europe/London", 0, 24, 44, 0.16, 270, 20, 0.80, 170),
    QueueWorld("northwind/support", "Europe/London", 0, 24, 66, 0.18, 290, 20, 0.80, 190),
    QueueWorld("harbor/orders", "America/New_York", 8, 20, 96, 0.30, 245, 30, 0.80, 160),
    QueueWorld("harbor/service", "America/New_York", 8, 20, 72, 0.30, 330, 30, 0.80, 180),
    QueueWorld("lumen/care", "Asia/Manila", 7, 22, 84, 0.28, 280, 30, 0.75, 200),
    QueueWorld("lumen/tech", "Asia/Manila", 7, 22, 50, 0.28, 390, 30, 0.75, 220),
    QueueWorld("harbor/chat", "America/New_York", 8, 20, 42, 0.30, 260, 60, 0.80, 240, "CHAT", (1.0, 1.3, 1.6)),
    QueueWorld("northwind/mail", "Europe/London", 8, 20, 12, 0.16, 330, 0, 0.90, math.inf, "EMAIL", deadline="4h"),
    QueueWorld(
        "lumen/renewals",
        "Asia/Manila",
        9,
        21,
        0,
        0,
        180,
        0,
        0.95,
        math.inf,
        "OUTBOUND",
        campaign=CampaignWorld(150, 0.3, 25, 10, 18),
    ),
)
CONTRACTS = tuple(dict.fromkeys(q.contract for q in QUEUES))
# Clients whose contract divides by answered contacts; the others' divide by offered ones.
OVER_ANSWERED = ("lumen",)
CLIENTS = {"northwind": ("Europe/London", "GBP"), "harbor": ("America/New_York", "USD"), "lumen": ("Asia/Manila", "PHP")}
SITES = {
    "leeds": ("Europe/London", "GB", "GBP", "12.80 GBP"),
    "albany": ("America/New_York", "US", "USD", "18.50 USD"),
    "cebu": ("Asia/Manila", "PH", "PHP", "210 PHP"),
}
# site, work pattern, contract, how many
TEAMS = (
    ("leeds", "round-the-clock", "northwind/voice", 66),
    ("leeds", "part-time", "northwind/voice", 14),
    ("cebu", "manila-nights", "northwind/voice", 22),
    ("albany", "new-york-days", "harbor/voice", 60),
    ("cebu", "manila-on-new-york", "harbor/voice", 38),
    ("cebu", "manila-days", "lumen/voice", 84),
    ("cebu", "manila-part-time", "lumen/voice", 16),
    ("albany", "new-york-days", "harbor/chat", 12),
    ("leeds", "leeds-days", "northwind/mail", 7),
    ("cebu", "manila-days", "lumen/renewals", 4),
)


@functools.cache
def deadlines(queue: str) -> Deadlines | None:
    """Return by which deadlines a queue's work is due; None: it waits in line."""
    world = next(q for q in QUEUES if q.name == queue)
    hours = OpeningHours((Opening(frozenset(range(7)), world.opens * 3600, world.closes * 3600),))
    return Deadlines(parse_due(world.deadline), hours, world.zone) if world.deadline else None


def queues_of(contract: str) -> tuple[QueueWorld, ...]:
    """Return the queues that a contract covers."""
    return tuple(q for q in QUEUES if q.contract == contract)


def agents_contracts() -> dict[str, str]:
    """Return the contract that each agent works for."""
    names = (contract for _, _, contract, count in TEAMS for _ in range(count))
    return {f"a{number:03d}": contract for number, contract in enumerate(names, start=1)}


def demand(queue: QueueWorld, begin: int, end: int, shock: tuple[int, int, float] | None = None) -> Demand:
    """Return a queue's callers between two instants; shock: (from, until, factor)."""
    starts = np.arange(begin, end, INTERVAL)
    rates = np.array([queue.rate(int(s)) for s in starts])
    if shock:
        rates = np.where((starts >= shock[0]) & (starts < shock[1]), rates * shock[2], rates)
    hasty = 0.0 if queue.deadline else 0.04
    return Demand(queue.name, begin, INTERVAL, rates, 0.05, 0.12, queue.handle_median, 0.55, 0.12, queue.patience, hasty)


def alone_seconds(queue: QueueWorld) -> float:
    """Return a queue's AHT where an agent has one contact at a time, seconds."""
    return expected_handle(demand(queue, 0, INTERVAL))


def demo_bounds(day: dt.date = DEMO_DAY) -> tuple[int, int]:
    """Return the instants between which the demo's day is played: a day of UTC."""
    return day_bounds(day, "UTC")
