"""muster requirement: who is needed, why, what it would give, and what being surer costs."""

import datetime as dt
import time
from typing import Annotated

import typer

from muster.cli.connection import Zone, connect, console, read_instant, shown, table_of
from muster.cli.deferred import around_deferred, rows_of_deferred
from muster.cli.plans import Day, Queue
from muster.cli.pooling import show_intervals, show_ways, way_of
from muster.cli.simulation import show_simulation
from muster.kit.errors import Refusal
from muster.v1 import requirement_pb2
from muster.v1 import staffing_service_pb2 as staffing

PATIENCE_SECONDS, POLL_SECONDS = 900.0, 0.3

requirement = typer.Typer(no_args_is_help=True, help="Who is needed.")


@requirement.command("predict")
def requirement_predict(queue: Queue, day: Day = "", zone: Zone = "UTC") -> None:
    """Show what a day's plan would give as the queue moves: backlog carried over, contacts in hand when shifts end."""
    found, out = connect().staffing.PredictService(staffing.PredictServiceRequest(queue=queue, local_date=day)), console()
    target = f"target {found.target:.0%} in {found.threshold_seconds:.0f} s, of the offered"
    title = f"Service of {queue} as it moves; {target}; AHT {found.aht_seconds:.0f} s"
    heads = ("interval", "required", "by formula", "as it moves", "if pools block", "fewest", "scheduled", "would give")
    table, planned = table_of(title, *heads), len(found.scheduled_agents) > 0
    for i, start in enumerate(found.starts_at_epoch_seconds):
        formula = found.formula_service_level[i]
        table.add_row(
            shown(start, zone),
            f"{found.required_agents[i]:.0f}",
            f"{formula:.1%}" if formula >= 0 else "–",
            f"{found.service_level[i]:.1%}",
            f"{found.blocked_service_level[i]:.1%}",
            f"{found.fewest_agents[i]:.0f}",
            f"{found.scheduled_agents[i]:.1f}" if planned else "–",
            f"{found.scheduled_service_level[i]:.1%}" if planned else "–",
        )
    out.print(table)
    hours = (found.starts_at_epoch_seconds[1] - found.starts_at_epoch_seconds[0]) / 3600 if len(table.rows) > 1 else 0.0
    required, fewest = sum(found.required_agents) * hours, sum(found.fewest_agents) * hours
    out.print(f"{required:,.1f} agent-hours by the formula, {fewest:,.1f} keep the target as the queue moves", highlight=False)


@requirement.command("explain")
def requirement_explain(queue: Queue, interval: Annotated[str, typer.Argument(metavar="INTERVAL")], zone: Zone = "UTC") -> None:
    """Show why one interval (YYYY-MM-DDTHH:MM) needs the agents it does, and what one more or fewer would do."""
    out, start = console(), read_instant(interval, zone)
    request = staffing.ExplainRequirementRequest(queue=queue)
    request.starts_at.seconds = start
    e = connect().staffing.ExplainRequirement(request)
    driver = requirement_pb2.RequirementDriver.Name(e.driver).removeprefix("REQUIREMENT_DRIVER_")
    table = table_of(f"Requirement of {queue} at {shown(start, zone)}; forecast version {e.forecast_version}", "step", "number")
    table.add_row("contacts expected", f"{e.offered_count:.2f}")
    table.add_row("× AHT, seconds", f"{e.aht_seconds:.1f}")
    table.add_row("load of the level plan, erlangs" if e.HasField("deferred") else "= load, erlangs", f"{e.load_erlangs:.3f}")
    if e.HasField("deferred"):
        rows_of_deferred(table, e.deferred, zone)
    elif e.HasField("campaign"):
        c = e.campaign
        table.add_row("the day's contacts, attempts for them", f"{c.daily_contacts:g}, {c.attempts:,.0f}")
        sure = f"hours that reach them with a chance of {c.confidence:.0%}"
        table.add_row(f"{sure}, / {c.occupancy_cap:.0%} worked", f"{c.agent_seconds / 3600 / c.occupancy_cap:.2f}")
        table.add_row("level over intervals in which calls may be made", str(c.calling_intervals))
    else:
        table.add_row("carried over from before, by part, erlangs", " ".join(f"{v:.2f}" for v in e.carried_erlangs))
    table.add_row("formula", e.formula)
    if e.HasField("patience_low_seconds"):
        band = f"{e.patience_low_seconds:.0f} to {e.patience_high_seconds:.0f} s"
        table.add_row(f"patience by {e.abandoned_count} abandons seen, in 80 of 100 cases", band)
    if e.HasField("agents_at_low_patience"):
        table.add_row(
            "on queue if they are as impatient, as patient as that",
            f"{e.agents_at_low_patience:.0f}, {e.agents_at_high_patience:.0f}",
        )
    for n in e.needs if not e.HasField("deferred") else ():
        table.add_row(f"{_promise(n)} asks for", str(n.agents))
    table.add_row("minimum staff", str(e.minimum_agents))
    table.add_row(f"on queue, decided by {driver}", f"{e.on_queue_agents:.0f}")
    unplaced = f"÷ (1 − {e.unplaced_shrinkage:.1%}), the shrinkage that no schedule places"
    table.add_row(f"scheduled: on queue {unplaced}", f"{e.scheduled_agents:.2f}")
    placed = f"÷ (1 − {e.placed_shrinkage:.1%}), the shrinkage that schedules place"
    table.add_row(f"paid: scheduled {placed}", f"{e.paid_agents:.2f}")
    out.print(table)
    if e.HasField("deferred"):
        out.print(around_deferred(e))
    if e.HasField("deferred") or not e.around:
        return
    table = table_of("Agents on queue would give", "agents", *[_promise(n) for n in e.needs], "ASA s", "abandoned", "occupancy")
    for a in e.around:
        values = [f"{v:.1f} s" if n.metric == "ASA" else f"{v:.1%}" for n, v in zip(e.needs, a.values, strict=True)]
        table.add_row(str(a.agents), *values, f"{a.asa_seconds:.1f}", f"{a.abandonment:.1%}", f"{a.occupancy:.1%}")
    out.print(table)


@requirement.command("simulate")
def requirement_simulate(
    queue: Queue,
    day: Day = "",
    days: Annotated[int, typer.Option(help="how often the day is played, 2 to 5000")] = 200,
    block: Annotated[
        bool, typer.Option("--block", help="of calls: a pool that shrinks takes nothing until fewer are busy than are left")
    ] = False,
    sigma: Annotated[
        float | None, typer.Option("--handle-sigma", help="of lognormal handle times; default: exponential")
    ] = None,
    uncertain: Annotated[bool, typer.Option("--uncertain", help="draw each day's volume from the forecast's band")] = False,
    scheduled: Annotated[
        bool, typer.Option("--scheduled", help="play the published schedule instead of the requirement")
    ] = False,
    zone: Zone = "UTC",
) -> None:
    """Play a day's plan contact by contact, and show predicted beside simulated service, each channel's in its own measure."""
    request = staffing.SimulatePlanRequest(queue=queue, local_date=day, days=days, uncertain=uncertain, scheduled=scheduled)
    request.discipline = "BLOCK" if block else "LEAVE"
    if sigma is not None:
        request.handle_sigma = sigma
    show_simulation(connect().staffing.SimulatePlan(request), queue, "schedule" if scheduled else "requirement", days, zone)


@requirement.command("pool")
def requirement_pool(
    queues: Annotated[list[str], typer.Argument(metavar="CLIENT/QUEUE CLIENT/QUEUE …")],
    day: Annotated[str, typer.Option(help="local day of the first, YYYY-MM-DD; default: today")] = "",
    intervals: Annotated[bool, typer.Option("--intervals", help="show the agents of each group in each interval")] = False,
    way: Annotated[str, typer.Option(help="whose intervals: DEDICATED, CHAINED, POOLED or BOOK; default: the cheapest")] = "",
    zone: Zone = "UTC",
) -> None:
    """Show what walls between queues cost: a day's hours with agents of one queue, of two, of all, and as the book has them."""
    muster, out = connect(), console()
    job = muster.staffing.StartPooling(staffing.StartPoolingRequest(queues=queues, local_date=day)).job
    deadline = time.monotonic() + PATIENCE_SECONDS
    with out.status("playing days"):
        while not (found := muster.staffing.GetPooling(staffing.GetPoolingRequest(job=job))).done:
            if time.monotonic() > deadline:
                raise Refusal("STILL_RUNNING", f"{job} is not done after {PATIENCE_SECONDS:.0f} s; see the log")
            time.sleep(POLL_SECONDS)
    show_ways(found, queues, out)
    if intervals or way:
        show_intervals(found, way_of(found, way), zone, out)


@requirement.command("blend")
def requirement_blend(queue: Queue, day: Day = "", zone: Zone = "UTC") -> None:
    """Show what idle time of calls does of a queue's deferred work, and how many agents to keep idle for the calls."""
    found, out = connect().staffing.ExplainBlend(staffing.ExplainBlendRequest(queue=queue, local_date=day)), console()
    heads = ("interval", "on queue", "keep idle", "idle agents at work", "SL then", "SL without")
    for calls in found.calls:
        able = f"{calls.able_share:.0%} of its agents may serve {queue}"
        table = table_of(f"Idle time of {calls.queue} for {queue}, AHT {found.aht_seconds:.0f} s; {able}", *heads)
        for i, start in enumerate(calls.starts_at_epoch_seconds):
            table.add_row(
                shown(start, zone),
                f"{calls.on_queue_agents[i]:.0f}",
                str(calls.keep_idle_agents[i]),
                f"{calls.idle_agents[i]:.2f}",
                f"{calls.service_level[i]:.1%}",
                f"{calls.plain_service_level[i]:.1%}",
            )
        out.print(table)
        if not calls.able_share:
            out.print(f"none of its agents has the skills of {queue}: declare them with muster apply", highlight=False)
    saved = f"{found.agent_hours:,.1f} agent-hours on queue beside it, {found.plain_agent_hours:,.1f} without"
    out.print(f"{queue}: {saved}", highlight=False)


@requirement.command("price")
def requirement_price(
    queue: Queue, day: Day = "", sureness: Annotated[float | None, typer.Option(help="chance, above 0.5 to below 1")] = None
) -> None:
    """Show what being surer costs: a day staffed to its mean forecast, to all that may come, or so that it keeps its target by a chance."""
    request = staffing.PriceRequirementRequest(queue=queue, local_date=day, sureness=sureness)
    found, out = connect().staffing.PriceRequirement(request), console()
    promise = f"in time, due {found.due_rule}" if found.due_rule else f"in {found.threshold_seconds:.0f} s"
    title = f"Agent-hours of {queue}; target {found.target:.0%} {promise}; chance {found.sureness:.0%}"
    table = table_of(title, "staffed to", "hours on queue", "price", "service expected", "day keeps it", "an interval keeps it")
    for c in found.choices:
        name = f"{c.staff_to} (the contract's)" if c.staff_to == found.staff_to else c.staff_to
        shares = [f"{v:.1%}" if v >= 0 else "–" for v in (c.expected_service_level, c.day_met, c.intervals_met)]
        table.add_row(name, f"{c.agent_hours:,.1f}", f"{c.price:+.1%}", *shares)
    out.print(table)
    out.print("the published requirement is staffed to what the contract's staff_to says", highlight=False)


def _promise(n: staffing.RequirementNeed) -> str:
    if n.metric == "SERVICE_LEVEL":
        return f"SL {n.target:.0%} in {n.threshold_seconds:.0f} s ({n.definition.lower().replace('_', ' ')})"
    return f"{n.metric} {n.target:.0f} s" if n.metric == "ASA" else f"{n.metric} {n.target:.0%}"


@requirement.command("show")
def requirement_show(
    queue: Queue, day: Day = "", days: Annotated[int, typer.Option(min=1, max=42)] = 1, zone: Zone = "UTC"
) -> None:
    """Show a queue's requirement: load, agents on queue, scheduled and paid, what decided, and the service predicted."""
    muster, out = connect(), console()
    last = str(dt.date.fromisoformat(day) + dt.timedelta(days=days - 1)) if day else ""
    request = staffing.ListRequirementDaysRequest(queue=queue, first_date=day, last_date=last, page_size=days)
    for d in muster.staffing.ListRequirementDays(request).days:
        title = f"Requirement of {d.queue}, {d.local_date}; {d.formula}; version {d.version} for forecast {d.forecast_version}"
        heads = (
            "interval",
            "load erl",
            "carried",
            "on queue",
            "scheduled",
            "paid",
            "SL",
            "ASA s",
            "abandoned",
            "occupancy",
            "decided by",
        )
        table = table_of(title, *heads, *["idle of calls"] if d.blended_agents else [])
        for i, start in enumerate(d.starts_at_epoch_seconds):
            level = d.predicted_service_level[i]
            driver = requirement_pb2.RequirementDriver.Name(d.drivers[i]).removeprefix("REQUIREMENT_DRIVER_")
            table.add_row(
                shown(start, zone),
                f"{d.load_erlangs[i]:.2f}",
                f"{d.carried_erlangs[i]:.2f}" if d.carried_erlangs else "–",
                f"{d.on_queue_agents[i]:.0f}",
                f"{d.scheduled_agents[i]:.2f}",
                f"{d.paid_agents[i]:.2f}",
                f"{level:.1%}" if level >= 0 else "–",
                f"{d.predicted_asa_seconds[i]:.1f}",
                f"{d.predicted_abandonment[i]:.1%}",
                f"{d.predicted_occupancy[i]:.1%}",
                driver,
                *[f"{d.blended_agents[i]:.2f}"] if d.blended_agents else [],
            )
        out.print(table)
        hours = sum(d.scheduled_agents) * d.interval_seconds / 3600
        out.print(
            f"{hours:,.1f} agent-hours to schedule; shrinkage outside the schedule {d.unplaced_shrinkage:.1%}", highlight=False
        )
