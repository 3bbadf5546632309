"""The end card: the same day with and without the decisions, in the contract's own definition, with its costs."""

import dataclasses
from collections.abc import Iterable, Mapping
from decimal import Decimal

from rich.console import Console
from rich.table import Table

from muster.dev.floor_feed import Roster
from muster.dev.world import CLIENTS, QUEUES, SITES
from muster.simulator.floor import ContactRecord

# Clients whose contract divides by answered contacts; the others' divide by offered ones.
OVER_ANSWERED = ("lumen",)
TO_POUNDS = {"GBP": Decimal(1), "USD": Decimal("0.79"), "PHP": Decimal("0.0138")}
OVERTIME = Decimal("1.5")


@dataclasses.dataclass(frozen=True)
class Counted:
    """Numerator and denominator of a service level."""

    good: int = 0
    base: int = 0

    @property
    def level(self) -> float | None:
        return self.good / self.base if self.base else None

    def __add__(self, other: "Counted") -> "Counted":
        return Counted(self.good + other.good, self.base + other.base)


@dataclasses.dataclass(frozen=True)
class Hours:
    """Paid hours of a client's agents: planned ones that were worked, overtime, time off given; cost in pounds."""

    normal: Decimal = Decimal(0)
    overtime: Decimal = Decimal(0)
    time_off: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)

    @property
    def paid(self) -> Decimal:
        return self.normal + self.overtime

    def __add__(self, other: "Hours") -> "Hours":
        return Hours(
            self.normal + other.normal,
            self.overtime + other.overtime,
            self.time_off + other.time_off,
            self.cost + other.cost,
        )


@dataclasses.dataclass(frozen=True)
class DayResult:
    """A played day, by client."""

    service: Mapping[str, Counted]
    month: Mapping[str, Counted]
    hours: Mapping[str, Hours]


def count_service(records: Iterable[ContactRecord]) -> dict[str, Counted]:
    """Return each client's service of the day in its contract's own definition."""
    threshold = {q.name: q.threshold for q in QUEUES}
    totals = dict.fromkeys(CLIENTS, Counted())
    for r in records:
        client = r.caller.queue.partition("/")[0]
        answered = r.stage in ("ANSWERED", "WRAPPED")
        in_time = answered and r.wait is not None and r.wait <= threshold[r.caller.queue]
        totals[client] += Counted(int(in_time), int(answered or client not in OVER_ANSWERED))
    return totals


def count_hours(
    roster: Roster, sites: Mapping[str, str], clients: Mapping[str, str], away: set[str], begin: int, end: int
) -> dict[str, Hours]:
    """Return each client's paid hours between two instants; agents away are not paid."""
    totals = dict.fromkeys(CLIENTS, Hours())
    for agent, site in sites.items():
        if agent in away:
            continue
        pay = Decimal(SITES[site][3].split()[0]) * TO_POUNDS[SITES[site][2]]
        for shift in roster.shifts(agent, begin, end):
            zone_start, zone_end = _plan(shift.segments)
            for g in shift.segments:
                seconds = min(g.ends_at.seconds, end) - max(g.starts_at.seconds, begin)
                if seconds <= 0 or g.activity == "lunch":
                    continue
                hours = Decimal(seconds) / 3600
                extra = bool(g.decision_id) and (g.ends_at.seconds <= zone_start or g.starts_at.seconds >= zone_end)
                if g.activity == "voluntary-time-off":
                    totals[clients[agent]] += Hours(time_off=hours)
                elif extra:
                    totals[clients[agent]] += Hours(overtime=hours, cost=hours * pay * OVERTIME)
                else:
                    totals[clients[agent]] += Hours(normal=hours, cost=hours * pay)
    return totals


def _plan(segments: Iterable[object]) -> tuple[int, int]:
    """Return the instants of a shift without its overtime: pieces added by a decision at either end, next to the plan."""
    parts = list(segments)
    while len(parts) > 1 and _added(parts[0], parts[1]):
        parts.pop(0)
    while len(parts) > 1 and _added(parts[-1], parts[-2]):
        parts.pop()
    return parts[0].starts_at.seconds, parts[-1].ends_at.seconds  # type: ignore[attr-defined]


def _added(edge: object, neighbour: object) -> bool:
    """Return whether an edge piece is overtime: serving by a decision of its own, not a moved part of the plan."""
    mine, other = edge.decision_id, neighbour.decision_id  # type: ignore[attr-defined]
    return bool(mine) and bool(edge.queue) and mine != other  # type: ignore[attr-defined]


def _share(counted: Counted) -> str:
    return "–" if counted.level is None else f"{counted.level:6.1%}"


def render(with_decisions: DayResult, without: DayResult, targets: Mapping[str, float], seed: int) -> Table:
    """Return the end card as a table. Totals are sums of the rows above them."""
    table = Table(title=f"The same day with and without Muster's decisions (seed {seed})", title_justify="left")
    table.add_column("client")
    for head in ("target", "day without", "day with", "month without", "month with"):
        table.add_column(head, justify="right")
    for head in ("paid h without", "with", "overtime h", "time off h", "cost £ without", "with"):
        table.add_column(head, justify="right")
    total_a, total_b = Hours(), Hours()
    for client in CLIENTS:
        a, b = without.hours[client], with_decisions.hours[client]
        total_a, total_b = total_a + a, total_b + b
        table.add_row(
            client,
            f"{targets[client]:.0%}",
            _share(without.service[client]),
            _share(with_decisions.service[client]),
            _share(without.month[client]),
            _share(with_decisions.month[client]),
            *_hours(a, b),
        )
    table.add_section()
    table.add_row("total", "", "", "", "", "", *_hours(total_a, total_b))
    return table


def _hours(a: Hours, b: Hours) -> list[str]:
    numbers = (a.paid, b.paid, b.overtime, b.time_off)
    return [*[f"{n:,.2f}" for n in numbers], f"{a.cost:,.2f}", f"{b.cost:,.2f}"]


def verdict(with_decisions: DayResult, without: DayResult, targets: Mapping[str, float]) -> list[str]:
    """Return a line a client: what became of its contract and its cost, and why where either is worse."""
    lines = []
    for client in CLIENTS:
        a, b = without.service[client].level, with_decisions.service[client].level
        if a is None or b is None:
            lines.append(f"{client}: nothing offered in the hours played")
            continue
        month = with_decisions.month[client].level or 0.0
        cost = with_decisions.hours[client].cost - without.hours[client].cost
        kept = "keeps" if month >= targets[client] else "misses"
        why = ""
        if b < a:
            hours = with_decisions.hours[client].time_off
            gave = f"{hours:.1f} h of time off were given while the month was safe"
            why = f"; {gave if hours else 'agents moved between its queues, and this day it did not pay'}"
        if cost > 0:
            why += f"; overtime of {with_decisions.hours[client].overtime:.1f} h was paid where service would have fallen far below target"
        signed = f"{'+' if cost > 0 else '-' if cost < 0 else '±'}£{abs(cost):,.2f}"
        lines.append(f"{client}: day {a:.1%} → {b:.1%}, month {month:.1%} {kept} its {targets[client]:.0%}; cost {signed}{why}")
    return lines


def show(console: Console, table: Table, lines: Iterable[str]) -> None:
    """Print the end card."""
    console.print(table)
    for line in lines:
        console.print("  " + line, highlight=False)
