"""The end card: the same day with and without the decisions, each contract in its own measure, with its costs."""

import dataclasses
from collections.abc import Iterable, Mapping
from decimal import Decimal

from rich.console import Console
from rich.table import Table

from muster.dev.floor_feed import Roster
from muster.dev.world import CONTRACTS, OVER_ANSWERED, QUEUES, SITES, queues_of
from muster.simulator.lines import ContactRecord

TO_POUNDS = {"GBP": Decimal(1), "USD": Decimal("0.79"), "PHP": Decimal("0.0138")}
OVERTIME = Decimal("1.5")


@dataclasses.dataclass(frozen=True)
class Counted:
    """Numerator and denominator of a share."""

    good: int = 0
    base: int = 0

    @property
    def level(self) -> float | None:
        return self.good / self.base if self.base else None

    def __add__(self, other: "Counted") -> "Counted":
        return Counted(self.good + other.good, self.base + other.base)


@dataclasses.dataclass(frozen=True)
class Hours:
    """Paid hours of a contract's agents: planned ones that were worked, overtime, time off given; cost in pounds."""

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
    """A played day, by contract."""

    service: Mapping[str, Counted]
    month: Mapping[str, Counted]
    hours: Mapping[str, Hours]


def count_service(records: Iterable[ContactRecord], end: int) -> dict[str, Counted]:
    """Return each contract's service up to an instant in its own measure. Mail that is due later is not counted yet; of a campaign it is
    the share of the day's contacts that were reached."""
    queues = {q.name: q for q in QUEUES}
    totals = dict.fromkeys(CONTRACTS, Counted())
    for queue in QUEUES:
        totals[queue.contract] += Counted(0, queue.campaign.daily if queue.campaign else 0)
    for r in records:
        queue = queues[r.caller.queue]
        if queue.campaign:
            counted = Counted(int(r.stage == "WRAPPED"))
        elif queue.deadline:
            counted = Counted(int(r.in_time), 1) if r.caller.due <= end else Counted()
        else:
            answered = r.stage in ("ANSWERED", "WRAPPED")
            in_time = answered and r.wait is not None and r.wait <= queue.threshold
            counted = Counted(int(in_time), int(answered or queue.client not in OVER_ANSWERED))
        totals[queue.contract] += counted
    return totals


def count_hours(
    roster: Roster, sites: Mapping[str, str], contracts: Mapping[str, str], away: set[str], begin: int, end: int
) -> dict[str, Hours]:
    """Return each contract's paid hours between two instants; agents away are not paid."""
    totals = dict.fromkeys(CONTRACTS, Hours())
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
                    totals[contracts[agent]] += Hours(time_off=hours)
                elif extra:
                    totals[contracts[agent]] += Hours(overtime=hours, cost=hours * pay * OVERTIME)
                else:
                    totals[contracts[agent]] += Hours(normal=hours, cost=hours * pay)
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


def render(with_decisions: DayResult, without: DayResult, seed: int) -> Table:
    """Return the end card as a table. Totals are sums of the rows above them."""
    table = Table(title=f"The same day with and without Muster's decisions (seed {seed})", title_justify="left")
    table.add_column("contract", no_wrap=True)
    table.add_column("promise", no_wrap=True)
    for head in ("day without", "day with", "month without", "month with"):
        table.add_column(head, justify="right")
    for head in ("paid h without", "with", "overtime h", "time off h", "cost £ without", "with"):
        table.add_column(head, justify="right")
    total_a, total_b = Hours(), Hours()
    for contract in CONTRACTS:
        a, b = without.hours[contract], with_decisions.hours[contract]
        total_a, total_b = total_a + a, total_b + b
        table.add_row(
            contract,
            queues_of(contract)[0].measure,
            _share(without.service[contract]),
            _share(with_decisions.service[contract]),
            _share(without.month[contract]),
            _share(with_decisions.month[contract]),
            *_hours(a, b),
        )
    table.add_section()
    table.add_row("total", "", "", "", "", "", *_hours(total_a, total_b))
    return table


def _hours(a: Hours, b: Hours) -> list[str]:
    numbers = (a.paid, b.paid, b.overtime, b.time_off)
    return [*[f"{n:,.2f}" for n in numbers], f"{a.cost:,.2f}", f"{b.cost:,.2f}"]


def verdict(with_decisions: DayResult, without: DayResult) -> list[str]:
    """Return a line a contract: what became of it and its cost, and why where either is worse."""
    lines = []
    for contract in CONTRACTS:
        a, b = without.service[contract].level, with_decisions.service[contract].level
        if a is None or b is None:
            lines.append(f"{contract}: nothing to count in the hours played")
            continue
        month, target = with_decisions.month[contract].level or 0.0, queues_of(contract)[0].target
        cost = with_decisions.hours[contract].cost - without.hours[contract].cost
        kept = "keeps" if month >= target else "misses"
        why = ""
        if b < a:
            hours = with_decisions.hours[contract].time_off
            gave = f"{hours:.1f} h of time off were given while the month was safe"
            why = f"; {gave if hours else 'agents moved between its queues, and this day it did not pay'}"
        if cost > 0:
            why += f"; overtime of {with_decisions.hours[contract].overtime:.1f} h was paid where service would have fallen far below target"
        signed = f"{'+' if cost > 0 else '-' if cost < 0 else '±'}£{abs(cost):,.2f}"
        lines.append(f"{contract}: day {a:.1%} → {b:.1%}, month {month:.1%} {kept} its {target:.0%}; cost {signed}{why}")
    return lines


def show(console: Console, table: Table, lines: Iterable[str]) -> None:
    """Print the end card."""
    console.print(table)
    for line in lines:
        console.print("  " + line, highlight=False)
