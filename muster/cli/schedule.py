"""muster schedule: solve, list, show, publish, revert, export."""

import collections
import csv
import datetime as dt
import pathlib
from typing import Annotated

import typer
from google.longrunning import operations_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from icalendar import Calendar, Event
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from muster.cli.connection import connect, console
from muster.client.stubs import Muster
from muster.domain.calendar import parse_date, resolve, zone_of
from muster.kit.errors import NotNow, Refusal
from muster.v1 import schedule_pb2
from muster.v1 import scheduler_service_pb2 as pb

app = typer.Typer(no_args_is_help=True, help="Who works when.")
Group = Annotated[str, typer.Option("--group", help="staffing group, or any of its queues; default: the only one")]
Version = Annotated[int, typer.Option("--version", help="0: the published one")]
STRIP = " ▁▂▃▄▅▆▇█"


@app.command()
def solve(
    weeks: Annotated[int, typer.Option(min=1, max=6)] = 2,
    first_week: Annotated[str, typer.Option(help="a Monday, YYYY-MM-DD; default: the next one")] = "",
    group: Annotated[str, typer.Option("--group", help="staffing group; default: all")] = "",
    publish: Annotated[bool, typer.Option("--publish", help="publish the drafts if the audit finds nothing")] = False,
) -> None:
    """Solve drafts: legal shifts with breaks for every agent. The audit then re-checks every rule."""
    muster, out = connect(), console()
    request = pb.SolveSchedulesRequest(weeks=weeks, first_week=first_week, staffing_group=group)
    operation = muster.scheduler.SolveSchedules(request)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"), console=out
    ) as bar:
        task = bar.add_task("waiting", total=1)
        while not operation.done:
            p = schedule_pb2.SolveProgress()
            operation.metadata.Unpack(p)
            bar.update(task, description=f"{p.staffing_group} {p.doing}", completed=p.done_count, total=p.total_count or 1)
            wait = operations_pb2.WaitOperationRequest(name=operation.name)
            wait.timeout.FromMilliseconds(500)
            operation = muster.operations.WaitOperation(wait)
    if operation.HasField("error"):
        raise NotNow("SOLVE_FAILED", operation.error.message)
    solved = pb.SolveSchedulesResponse()
    operation.response.Unpack(solved)
    for draft in solved.schedules:
        _line(out, draft)
        if publish:
            request_ = pb.PublishScheduleRequest(staffing_group=draft.staffing_group, version=draft.version)
            _line(out, muster.scheduler.PublishSchedule(request_).schedule)
        else:
            out.print(f"  publish it: muster schedule publish {draft.version} --group {draft.staffing_group}", highlight=False)


def _line(out: Console, v: schedule_pb2.Schedule) -> None:
    state = schedule_pb2.ScheduleState.Name(v.state).removeprefix("SCHEDULE_STATE_")
    out.print(
        f"{v.staffing_group} version {v.version} {state}: {v.shift_count:,} shifts of {v.agent_count} agents, {v.paid_hours:,.0f} paid hours, "
        f"{v.uncovered_hours:,.0f} agent-hours uncovered; audit: {v.violation_count} violations",
        highlight=False,
        soft_wrap=True,
    )


@app.command("list")
def list_versions(group: Group = "") -> None:
    """List versions, newest first."""
    table = Table(title="Schedules", title_justify="left")
    for head in ("group", "version", "state", "from", "until", "shifts", "uncovered h", "decisions", "reason"):
        table.add_column(head)
    for v in connect().scheduler.ListSchedules(pb.ListSchedulesRequest(staffing_group=group)).schedules:
        state = schedule_pb2.ScheduleState.Name(v.state).removeprefix("SCHEDULE_STATE_")
        days = [dt.datetime.fromtimestamp(t.seconds, dt.UTC).strftime("%Y-%m-%d") for t in (v.starts_at, v.ends_at)]
        numbers = (str(v.shift_count), f"{v.uncovered_hours:,.0f}", str(len(v.decision_ids)))
        table.add_row(v.staffing_group, str(v.version), state, *days, *numbers, v.reason[:60])
    console().print(table)


def _shifts(
    muster: Muster, group: str, version: int, begin: int | None = None, end: int | None = None
) -> list[schedule_pb2.Shift]:
    request = pb.ListShiftsRequest(staffing_group=group, version=version, page_size=5000)
    if begin is not None:
        request.starts_at.CopyFrom(Timestamp(seconds=begin))
    if end is not None:
        request.ends_at.CopyFrom(Timestamp(seconds=end))
    found: list[schedule_pb2.Shift] = []
    while True:
        answer = muster.scheduler.ListShifts(request)
        found += answer.shifts
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token


@app.command()
def show(
    group: Group = "",
    version: Version = 0,
    week: Annotated[str, typer.Option(help="its Monday, YYYY-MM-DD; default: the first of the version's weeks")] = "",
    agents: Annotated[int, typer.Option(help="most agents to list")] = 40,
) -> None:
    """Show a week: a grid of agents and days, and the coverage of each queue as a strip."""
    muster, out = connect(), console()
    every = _shifts(muster, group, version)
    if not every:
        raise Refusal("NO_SHIFTS", "the version holds no shifts")
    monday = parse_date(week) if week else min(parse_date(s.local_date) for s in every)
    monday -= dt.timedelta(days=monday.weekday())
    days = [monday + dt.timedelta(days=d) for d in range(7)]
    grid: dict[str, dict[str, schedule_pb2.Shift]] = collections.defaultdict(dict)
    for s in every:
        grid[s.agent][s.local_date] = s
    table = Table(title=f"Week of {monday}; times local to each agent's zone", title_justify="left")
    table.add_column("agent")
    table.add_column("zone")
    for day in days:
        table.add_column(day.strftime("%a %d"))
    for agent in sorted(grid)[:agents]:
        zone = next(iter(grid[agent].values())).zone
        table.add_row(agent, zone.rpartition("/")[2], *[_cell(grid[agent].get(day.isoformat())) for day in days])
    out.print(table)
    if len(grid) > agents:
        out.print(f"… and {len(grid) - agents} more agents; --agents {len(grid)} shows all", highlight=False)
    _coverage(muster, out, group, version, days)


def _cell(shift: schedule_pb2.Shift | None) -> str:
    if shift is None:
        return "·"
    mark = "*" if any(g.decision_id for g in shift.segments) else ""
    return f"{shift.local_start[11:]}–{shift.local_end[11:]}{mark}"


def _coverage(muster: Muster, out: Console, group: str, version: int, days: list[dt.date]) -> None:
    """Print, per queue and day, scheduled over required as a strip: one mark an hour of UTC, red where it is short."""
    begin, end = (resolve(dt.datetime.combine(d, dt.time()), "UTC") for d in (days[0], days[-1] + dt.timedelta(days=1)))
    request = pb.GetCoverageRequest(staffing_group=group, version=version)
    request.starts_at.seconds, request.ends_at.seconds = begin, end
    answer = muster.scheduler.GetCoverage(request)
    out.print(
        "Coverage, an hour of UTC a mark; height: agents scheduled; [red]red[/red]: short of the requirement", highlight=False
    )
    per = 3600 // answer.interval_seconds
    for queue in answer.queues:
        top = max(max(queue.scheduled_agents, default=0), max(queue.required_agents, default=0), 1)
        out.print(f"{queue.queue} (highest mark {top:.0f} agents)", highlight=False)
        for n, day in enumerate(days):
            text, short = "", 0.0
            for hour in range(24):
                rows = slice((n * 24 + hour) * per, (n * 24 + hour + 1) * per)
                have, need = sum(queue.scheduled_agents[rows]) / per, sum(queue.required_agents[rows]) / per
                short += max(need - have, 0)
                mark = STRIP[min(round(have / top * 8), 8)]
                text += f"[red]{mark if mark != ' ' else '.'}[/red]" if have < need - 0.5 else mark
            out.print(f"  {day:%a %d}  |{text}|  {short:5.1f} agent-hours short", highlight=False)


@app.command()
def publish(version: int, group: Group = "", reason: str = "") -> None:
    """Put a draft in force. Refused if the audit finds a violation."""
    request = pb.PublishScheduleRequest(staffing_group=group, version=version, reason=reason)
    _line(console(), connect().scheduler.PublishSchedule(request).schedule)


@app.command()
def revert(version: int, group: Group = "", reason: str = "") -> None:
    """Publish the shifts of an earlier version anew, from this week on."""
    request = pb.RevertScheduleRequest(staffing_group=group, version=version, reason=reason)
    _line(console(), connect().scheduler.RevertSchedule(request).schedule)


@app.command()
def export(
    path: Annotated[pathlib.Path, typer.Argument(metavar="FILE.csv|FILE.ics")],
    group: Group = "",
    version: Version = 0,
    agent: Annotated[str, typer.Option(help="only this agent")] = "",
) -> None:
    """Write a schedule as CSV (a row a segment) or iCalendar (an event a shift, with its zone)."""
    shifts = [s for s in _shifts(connect(), group, version) if agent in ("", s.agent)]
    if path.suffix == ".csv":
        _write_csv(path, shifts)
    elif path.suffix == ".ics":
        path.write_bytes(calendar_of(shifts).to_ical())
    else:
        raise Refusal("UNKNOWN_FORMAT", f"{path.name}: allowed: .csv, .ics")
    console().print(f"wrote {len(shifts)} shifts to {path}", highlight=False)


def _write_csv(path: pathlib.Path, shifts: list[schedule_pb2.Shift]) -> None:
    heads = (
        "agent",
        "site",
        "local_date",
        "zone",
        "activity",
        "queue",
        "starts_local",
        "ends_local",
        "starts_utc",
        "ends_utc",
        "decision_id",
    )
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(heads)
        for s in shifts:
            for g in s.segments:
                instants = (g.starts_at.seconds, g.ends_at.seconds)
                local = [dt.datetime.fromtimestamp(t, zone_of(s.zone)).isoformat() for t in instants]
                utc = [dt.datetime.fromtimestamp(t, dt.UTC).isoformat() for t in instants]
                writer.writerow([s.agent, s.site, s.local_date, s.zone, g.activity, g.queue, *local, *utc, g.decision_id])


def calendar_of(shifts: list[schedule_pb2.Shift]) -> Calendar:
    """Return shifts as a calendar: local times with their zone, and a VTIMEZONE for each."""
    calendar = Calendar()
    calendar.add("prodid", "-//Muster//schedule//EN")
    calendar.add("version", "2.0")
    for s in shifts:
        event = Event()
        zone = zone_of(s.zone)
        event.add("uid", f"{s.shift_id}@muster")
        event.add("summary", f"{s.agent}: {', '.join(sorted({g.queue for g in s.segments if g.queue}))}")
        event.add("dtstart", dt.datetime.fromtimestamp(s.starts_at.seconds, zone))
        event.add("dtend", dt.datetime.fromtimestamp(s.ends_at.seconds, zone))
        event.add("dtstamp", dt.datetime.fromtimestamp(s.starts_at.seconds, dt.UTC))
        event.add("location", s.site)
        parts = [
            f"{dt.datetime.fromtimestamp(g.starts_at.seconds, zone):%H:%M}–{dt.datetime.fromtimestamp(g.ends_at.seconds, zone):%H:%M} "
            f"{g.queue or g.activity}"
            for g in s.segments
        ]
        event.add("description", "\n".join(parts))
        calendar.add_component(event)
    calendar.add_missing_timezones()
    return calendar
