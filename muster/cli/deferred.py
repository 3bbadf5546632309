"""Why deferred work needs the agents it does, as rows of a table."""

from rich.table import Table

from muster.cli.connection import shown, table_of
from muster.v1 import staffing_service_pb2 as staffing


def rows_of_deferred(table: Table, d: staffing.DeferredNeed, zone: str) -> None:
    """Add the steps from items to whole agents."""
    table.add_row("items that can be begun from this interval on", f"{d.came_count:.2f}")
    table.add_row("items that must be done by its end", f"{d.due_count:.2f}")
    table.add_row(f"items open at the plan's begin, {shown(d.plan_begins_at.seconds, zone)}", f"{d.open_count:.2f}")
    table.add_row("idle agents of calls who do items besides, in mean", f"{d.idle_agents:.2f}")
    table.add_row("whole agents for what is expected", str(d.level_agents))
    table.add_row(f"with the margin for chance, {d.margin:.2f} standard deviations", str(d.margin_agents))
    table.add_row(f"less those whom {d.trial_count} trials of each day can do without", str(d.away_agents))
    table.add_row("days of the trials that keep the target", _share(d.days_kept if d.HasField("days_kept") else -1.0))
    table.add_row("done in time of what falls due on the day", _share(d.day_share if d.HasField("day_share") else -1.0))
    if d.HasField("published_agents"):
        table.add_row("on queue as last published", f"{d.published_agents:.0f}")


def around_deferred(e: staffing.ExplainRequirementResponse) -> Table:
    """Return what one agent less or more in the interval does to the day, and to all of the plan."""
    done = f"done in time, target {e.needs[0].target:.0%}"
    table = table_of(
        "Agents on queue in this interval would give", "agents", f"of the day's {done}", "of all", "days kept", "occupancy"
    )
    for a in e.around:
        table.add_row(
            str(a.agents),
            _share(a.values[0], 2),
            _share(a.plan_share if a.HasField("plan_share") else -1.0, 2),
            _share(a.days_kept if a.HasField("days_kept") else -1.0),
            f"{a.occupancy:.1%}",
        )
    return table


def _share(value: float, places: int = 1) -> str:
    return f"{value:.{places}%}" if value >= 0 else "–"
