"""The book of the demo's BPO."""

from typing import Any

from muster.dev.world import (
    ALL_DAYS,
    CLIENTS,
    CONTRACTS,
    INTERVAL,
    OVER_ANSWERED,
    QUEUES,
    SITES,
    TEAMS,
    QueueWorld,
    alone_seconds,
    queues_of,
)


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
