"""The demo's BPO: three clients in three zones, queues of calls, chats and mail, three sites, their agents, and what callers are like."""

import dataclasses
import datetime as dt
import functools
import math
from typing import Any

import numpy as np

from muster.book.demand import Queue
from muster.book.view import opening_hours
from muster.domain.calendar import day_bounds, to_local
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
    if not world.deadline:
        return None
    row = Queue.model_validate(next(q for q in _queues() if q["name"] == queue))
    return Deadlines(parse_due(world.deadline), opening_hours(row), world.zone)


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


def _hours(opens: int, closes: int) -> Any:
    return "24/7" if closes - opens == 24 else [{"days": ALL_DAYS, "opens": f"{opens:02d}:00", "closes": f"{closes:02d}:00"}]


def _clients() -> list[dict[str, Any]]:
    levels = [("MOVE", "LIVE"), ("OVERTIME", "PILOT"), ("VOLUNTARY_TIME_OFF", "PILOT")]
    return [
        {
            "name": name,
            "display_name": name.title(),
            "zone": zone,
            "currency": currency,
            "autonomy": [{"lever": lever, "level": level} for lever, level in levels],
            "feeds": [
                {"name": "telephony", "basis": "REALTIME", "reports": "LIVE"},
                {"name": "billing-report", "basis": "OFFICIAL", "reports": "END"},
            ],
        }
        for name, (zone, currency) in CLIENTS.items()
    ]


def _serving(q: QueueWorld) -> dict[str, Any]:
    """Return what only queues of a channel have."""
    if q.channel == "CHAT":
        levels = [round(alone_seconds(q) * s) for s in q.stretch]
        return {"concurrency": {"max": len(levels), "aht_seconds_by_level": levels}, "patience": {"source": "ESTIMATED"}}
    if q.campaign:
        own = q.campaign
        hours = _hours(own.opens, own.closes)
        campaign = {"daily_contacts": own.daily, "connect_rate": own.connect_rate, "attempt_seconds": own.attempt}
        return {"campaign": {**campaign, "aht_seconds": round(alone_seconds(q)), "confidence": 0.9, "calling_hours": hours}}
    return {"intake_hours": "24/7"} if q.deadline else {"patience": {"source": "ESTIMATED"}}


def _cold_start(q: QueueWorld) -> dict[str, Any]:
    return {"weekly_offered_count": round(q.peak * (q.closes - q.opens) * 2 * 5), "aht_seconds": q.handle_median}


def _queues() -> list[dict[str, Any]]:
    return [
        {
            "name": q.name,
            "channel": q.channel,
            "interval_seconds": INTERVAL,
            "service_hours": _hours(q.opens, q.closes),
            "required_skills": [q.skill],
            **_serving(q),
            **({} if q.campaign else {"cold_start": _cold_start(q)}),
        }
        for q in QUEUES
    ]


def _targets(q: QueueWorld) -> list[dict[str, Any]]:
    month = {"aggregation": "CONTACT_WEIGHTED", "window": {"kind": "MONTH"}, "target": q.target}
    if q.deadline:
        return [{"metric": "DEADLINE_MET", "threshold_business": q.deadline, **month}]
    cap = {"metric": "OCCUPANCY_CAP", "target": 0.9, "window": {"kind": "DAY"}}
    if q.campaign:
        return [cap]
    over = "ANSWERED" if q.client in OVER_ANSWERED else "OFFERED"
    level = {"metric": "SERVICE_LEVEL", "definition": f"ANSWERED_OVER_{over}", "threshold_seconds": q.threshold, **month}
    return [level, cap]


def _contracts() -> list[dict[str, Any]]:
    contracts = []
    for name in CONTRACTS:
        mine = queues_of(name)
        contract: dict[str, Any] = {"name": name, "queues": [q.name for q in mine], "targets": _targets(mine[0])}
        if name == "northwind/voice":
            contract["minimum_staff"] = [{"queue": q.name, "agents": 2} for q in mine]
        contracts.append(contract)
    return contracts


def _patterns() -> list[dict[str, Any]]:
    lunch = {"activity": "lunch", "seconds": 1800, "earliest_seconds": 10800, "latest_seconds": 19800}
    first = {"activity": "break", "seconds": 900, "earliest_seconds": 4500, "latest_seconds": 9900}
    second = {"activity": "break", "seconds": 900, "earliest_seconds": 21600, "latest_seconds": 27900}
    full = {
        "shift_seconds": [30600],
        "start_swing_seconds": 7200,
        "minimum_weekly_hours": 40,
        "maximum_weekly_hours": 40,
        "minimum_days": 5,
        "maximum_days": 5,
        "rest_hours": 11,
        "weekly_rest_hours": 35,
        "maximum_consecutive_days": 6,
        "breaks": [first, lunch, second],
    }
    part = {
        **full,
        "shift_seconds": [18000],
        "minimum_weekly_hours": 20,
        "maximum_weekly_hours": 25,
        "minimum_days": 4,
        "breaks": [{"activity": "break", "seconds": 900, "earliest_seconds": 5400, "latest_seconds": 12600}],
    }
    days = [{"starts": "06:00", "ends": "14:00"}]
    return [
        {"name": "round-the-clock", **full, "maximum_consecutive_nights": 5},
        {"name": "part-time", **part},
        {"name": "leeds-days", **full, "start_windows": [{"starts": "08:00", "ends": "11:30"}]},
        {"name": "manila-nights", **full, "start_windows": [{"starts": "14:00", "ends": "23:30"}]},
        {"name": "new-york-days", **full, "start_windows": [{"starts": "07:00", "ends": "11:30"}]},
        {
            "name": "manila-on-new-york",
            **full,
            "anchor_zone": "CLIENT",
            "zone": "America/New_York",
            "start_windows": [{"starts": "07:30", "ends": "11:30"}],
        },
        {"name": "manila-days", **full, "start_windows": days},
        {"name": "manila-part-time", **part, "start_windows": [{"starts": "07:00", "ends": "17:00"}]},
    ]


def _agents() -> list[dict[str, Any]]:
    agents, number = [], 0
    for site, pattern, contract, count in TEAMS:
        client, skills = contract.partition("/")[0], [q.skill for q in queues_of(contract)]
        for n in range(count):
            number += 1
            # Of ten agents six can serve both of two queues, three of them the second one first; four serve one only.
            first, both = skills[n % len(skills)], len(skills) > 1 and n % 10 < 6
            known = [{"skill": first, "priority": 1}]
            if both:
                known.append({"skill": skills[1 - n % 2], "priority": 2})
            agents.append(
                {
                    "name": f"a{number:03d}",
                    "site": site,
                    "team": f"{client}-{site}",
                    "work_pattern": pattern,
                    "skills": known,
                    "eligible_clients": [client],
                }
            )
    return agents


def book_data() -> dict[str, Any]:
    """Return the demo's book as the data of its YAML."""
    sites = [
        {
            "name": name,
            "zone": zone,
            "country": country,
            "currency": currency,
            "hourly_pay": pay,
            "pay_rules": [{"kind": "OVERTIME_DAILY", "after_hours": 8, "multiplier": 1.5}],
        }
        for name, (zone, country, currency, pay) in SITES.items()
    ]
    return {
        "clients": _clients(),
        "queues": _queues(),
        "contracts": _contracts(),
        "shrinkage": [
            {"name": "sick", "kind": "sick", "share": 0.02, "planned": False, "placed_by_scheduler": False},
            {"name": "late", "kind": "late", "share": 0.02, "planned": False, "placed_by_scheduler": False},
            {"name": "breaks", "kind": "break", "share": 0.0625, "planned": True, "placed_by_scheduler": True},
        ],
        "levers": [
            {"name": "move", "kind": "MOVE", "lead_seconds": 300, "minimum_duration_seconds": 1800},
            {
                "name": "extend",
                "kind": "OVERTIME",
                "lead_seconds": 900,
                "notice_seconds": 900,
                "minimum_duration_seconds": 1800,
                "maximum_duration_seconds": 7200,
                "cap_agents": 8,
                "consent": ["AGENT"],
                "expected_acceptance": 0.5,
            },
            {
                "name": "go-home",
                "kind": "VOLUNTARY_TIME_OFF",
                "lead_seconds": 900,
                "minimum_duration_seconds": 3600,
                "maximum_duration_seconds": 14400,
                "cap_agents": 6,
                "consent": ["AGENT"],
                "expected_acceptance": 0.6,
            },
        ],
        "currency_rates": [
            {"name": "USD/GBP", "rate": 0.79},
            {"name": "PHP/GBP", "rate": 0.0138},
            {"name": "PHP/USD", "rate": 0.0175},
        ],
        "sites": sites,
        "work_patterns": _patterns(),
        "activities": [
            {"name": "phone", "paid": True, "on_queue": True, "billable": True, "floor_states": ["AVAILABLE", "ON_CONTACT"]},
            {"name": "break", "paid": True, "shrinkage_kind": "break", "movable": True},
            {"name": "lunch", "paid": False, "movable": True},
            {"name": "voluntary-time-off", "paid": False},
        ],
        "agents": _agents(),
    }
