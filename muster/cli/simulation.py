"""How a played day is shown: predicted beside simulated, each channel's in its own measure."""

from rich.table import Table

from muster.cli.connection import console, shown, table_of
from muster.v1 import staffing_service_pb2 as staffing

# Items in mean that an interval must have of an age for it to be shown.
HOUR, SEEN = 3600, 0.05


def show_simulation(found: staffing.SimulatePlanResponse, queue: str, what: str, days: int, zone: str) -> None:
    """Print a day of calls, chats, deferred work or a campaign."""
    played = f"{queue}'s {what}, played {days} times"
    show = {"DEADLINE_MET": _deferred, "CAMPAIGN": _campaign}.get(found.measure, _in_line)
    out = console()
    table, below = show(found, played, zone)
    out.print(table)
    for line in below:
        out.print(line, highlight=False)


def _share(value: float) -> str:
    return f"{value:.1%}" if value >= 0 else "–"


def _level(found: staffing.SimulatePlanResponse, i: int) -> tuple[str, str]:
    """Return a simulated level and its half-width."""
    level = found.simulated_service_level[i]
    return _share(level), f"{found.half_width[i]:.1%}" if level >= 0 else "–"


def _day(found: staffing.SimulatePlanResponse) -> str:
    predicted = f" (predicted {found.day_predicted:.1%})" if found.HasField("day_predicted") else ""
    return f"{found.day_service_level:.1%} ± {found.day_half_width:.1%}{predicted}"


def _in_line(found: staffing.SimulatePlanResponse, played: str, zone: str) -> tuple[Table, list[str]]:
    """Calls and chats: the share answered within the threshold."""
    chats = found.chats_at_once > 1
    title = f"{played}; target {found.target:.0%} in {found.threshold_seconds:.0f} s"
    title += f"; {found.chats_at_once} chats at once" if chats else ""
    table = table_of(
        title, "interval", "offered", "agents", "predicted", "by formula" if chats else "as it moves", "simulated", "± 95 %"
    )
    for i, start in enumerate(found.starts_at_epoch_seconds):
        table.add_row(
            shown(start, zone),
            f"{found.offered_count[i]:.1f}",
            str(found.agents[i]),
            _share(found.predicted_service_level[i]),
            _share(found.moving_service_level[i]),
            *_level(found, i),
        )
    below = [f"the day {_day(found)}; {found.days_met:.0%} of days keep the target; {found.contact_count:,} contacts"]
    if chats:
        below.append(f"an agent who has any chats has {found.concurrency:.2f} in mean")
    return table, below


def _deferred(found: staffing.SimulatePlanResponse, played: str, zone: str) -> tuple[Table, list[str]]:
    """Mail and back office: of what falls due, the share done in time; and what is left at an interval's end, by age."""
    waits, classes = found.backlog, len(found.backlog.age_seconds)
    rows = [list(waits.aged_count[i : i + classes]) for i in range(0, len(waits.aged_count), classes)]
    ages = [n for n in range(1, classes) if any(sum(row[n:]) >= SEEN for row in rows)]
    heads = ("interval", "comes", "agents", "due", "predicted", "in time", "± 95 %", "left, predicted", "left", "± 95 %")
    older = [f"over {waits.age_seconds[n] / HOUR:g} h" for n in ages]
    table = table_of(f"{played}; target {found.target:.0%} in time, due {found.due_rule}", *heads, *older)
    for i, start in enumerate(found.starts_at_epoch_seconds):
        table.add_row(
            shown(start, zone),
            f"{found.offered_count[i]:.1f}",
            str(found.agents[i]),
            f"{waits.due_count[i]:.1f}" if waits.due_count[i] > 0 else "–",
            _share(found.moving_service_level[i]),
            *_level(found, i),
            f"{waits.predicted_count[i]:.1f}",
            f"{waits.simulated_count[i]:.1f}",
            f"{waits.half_width[i]:.1f}",
            *[f"{sum(rows[i][n:]):.1f}" for n in ages],
        )
    due = f"{sum(waits.due_count):,.1f} items fall due on the day"
    below = [
        f"{due}, in time {_day(found)}; {found.days_met:.0%} of days keep the target; {found.contact_count:,} items played"
    ]
    published = next((level for level in found.predicted_service_level if level >= 0), None)
    if published is not None:
        below.append(f"the requirement was published for {published:.1%} of the day")
    if waits.overdue_count:
        below.append(f"{waits.overdue_count:,} items are overdue already; they are done last, and judged no more")
    return table, below


def _campaign(found: staffing.SimulatePlanResponse, played: str, zone: str) -> tuple[Table, list[str]]:
    """Outbound: contacts reached, and the share of the day's reached by then."""
    calls = found.campaign
    table = table_of(
        f"{played}; {calls.wanted_count:,} contacts to reach",
        "interval",
        "agents",
        "reached, planned",
        "simulated",
        "by then, planned",
        "simulated",
        "± 95 %",
    )
    for i, start in enumerate(found.starts_at_epoch_seconds):
        planned, answered = calls.predicted_count[i], calls.reached_count[i]
        table.add_row(
            shown(start, zone),
            str(found.agents[i]),
            f"{planned:.1f}",
            f"{answered:.1f}",
            _share(found.moving_service_level[i]),
            *_level(found, i),
        )
    reached = f"{sum(calls.reached_count):,.1f} of {calls.wanted_count:,} contacts reached by {calls.attempts:,.0f} attempts"
    chance = f"planned for these agents: on {calls.met_predicted:.0%}, the book asks for {calls.confidence:.0%}"
    return table, [f"{reached}, {_day(found)}", f"all are reached on {found.days_met:.0%} of days ({chance})"]
