"""How ways to share agents between queues are shown: what each costs, its groups, and one way's agents interval by interval."""

from collections.abc import Sequence

from rich.console import Console

from muster.cli.connection import shown, table_of
from muster.kit.errors import Refusal
from muster.v1 import staffing_service_pb2 as staffing


def way_of(found: staffing.GetPoolingResponse, name: str) -> staffing.PoolWay:
    """Return a way by name, the cheapest where none is named. Raise Refusal."""
    if not name:
        return min(found.ways, key=lambda way: way.agent_hours)
    told = next((way for way in found.ways if way.name == name.upper()), None)
    if told is None:
        unserved = f"; BOOK: nobody in the book may serve {', '.join(found.unserved_queues)}" if found.unserved_queues else ""
        raise Refusal("NO_SUCH_WAY", f"no way {name!r}; allowed: {', '.join(way.name for way in found.ways)}{unserved}")
    return told


def show_ways(found: staffing.GetPoolingResponse, queues: Sequence[str], out: Console) -> None:
    """Print what each way costs, and its groups."""
    walls = next(way.agent_hours for way in found.ways if way.name == "DEDICATED")
    title = "Hours on queue, and the share of days that each queue keeps its target"
    table = table_of(title, "skills", "hours", "saves", *queues)
    for way in found.ways:
        saved = f"{1 - way.agent_hours / walls:+.1%}" if walls > 0 else "–"
        table.add_row(way.name, f"{way.agent_hours:,.1f}", saved, *[f"{share:.1%}" for share in way.days_met])
    out.print(table)
    for way in found.ways:
        groups = "; ".join(f"{' + '.join(g.queues)}: {_hours(g)}" for g in way.groups)
        out.print(f"{way.name}: {groups}", highlight=False)
    if found.unserved_queues:
        out.print(f"no way BOOK: nobody in the book may serve {', '.join(found.unserved_queues)}", highlight=False)


def _hours(group: staffing.PoolGroup) -> str:
    if not group.book_agents:
        return f"{group.agent_hours:,.1f} h"
    return f"{group.agent_hours:,.1f} h, at most {max(group.agents, default=0)} at once, {group.book_agents} in the book"


def show_intervals(found: staffing.GetPoolingResponse, way: staffing.PoolWay, zone: str, out: Console) -> None:
    """Print the agents of each group of a way in each interval; nobody is counted twice, so that they add up."""
    heads = [" + ".join(group.queues) for group in way.groups]
    table = table_of(f"{way.name}: agents on queue", "interval", *heads, "all")
    for i, start in enumerate(found.starts_at_epoch_seconds):
        agents = [group.agents[i] for group in way.groups]
        table.add_row(shown(start, zone), *map(str, agents), str(sum(agents)))
    table.add_section()
    table.add_row("hours", *[f"{group.agent_hours:,.1f}" for group in way.groups], f"{way.agent_hours:,.1f}")
    out.print(table)
