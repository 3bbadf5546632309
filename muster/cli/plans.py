"""muster forecast | requirement: what is expected and needed, interval by interval."""

import datetime as dt
from typing import Annotated

import typer

from muster.cli.connection import Zone, connect, console, read_instant, shown, table_of
from muster.kit.errors import Refusal
from muster.v1 import forecaster_service_pb2 as forecasting
from muster.v1 import requirement_pb2
from muster.v1 import staffing_service_pb2 as staffing
from muster.v1.forecast_pb2 import ForecastDay

forecast = typer.Typer(no_args_is_help=True, help="What is expected.")
requirement = typer.Typer(no_args_is_help=True, help="Who is needed.")

Queue = Annotated[str, typer.Argument(metavar="CLIENT/QUEUE")]
Day = Annotated[str, typer.Option(help="local day, YYYY-MM-DD; default: today")]


@forecast.command("show")
def forecast_show(
    queue: Queue,
    day: Day = "",
    days: Annotated[int, typer.Option(min=1, max=42)] = 1,
    zone: Zone = "UTC",
    believed_at: Annotated[str, typer.Option("--as-believed-at", help="what had been published by then; default: now")] = "",
) -> None:
    """Show a queue's forecast: contacts and AHT with their bands, and what they rest on."""
    muster, out = connect(), console()
    last = str(dt.date.fromisoformat(day) + dt.timedelta(days=days - 1)) if day else ""
    request = forecasting.ListForecastDaysRequest(queue=queue, first_date=day, last_date=last, page_size=days)
    if believed_at:
        request.as_believed_at.seconds = read_instant(believed_at, zone)
    for d in muster.forecaster.ListForecastDays(request).days:
        low, high = _nearest(list(d.quantile_levels), 0.1), _nearest(list(d.quantile_levels), 0.9)
        width = len(d.quantile_levels)
        title = f"Forecast of {d.queue}, {d.local_date}; rests on {d.rests_on}; version {d.version}"
        if d.HasField("day_factor"):
            title += f"; it now runs at {d.day_factor:.0%} of the morning's forecast"
        plain = list(d.statistical_offered_count)
        table = table_of(
            title, "interval", "offered", "10 %", "90 %", "AHT s", "10 %", "90 %", *(["statistical"] if plain else [])
        )
        for i, start in enumerate(d.starts_at_epoch_seconds):
            table.add_row(
                shown(start, zone),
                f"{d.offered_count[i]:.1f}",
                f"{d.offered_quantiles[i * width + low]:.1f}",
                f"{d.offered_quantiles[i * width + high]:.1f}",
                f"{d.aht_seconds[i]:.0f}",
                f"{d.aht_quantiles[i * width + low]:.0f}",
                f"{d.aht_quantiles[i * width + high]:.0f}",
                *([f"{plain[i]:.1f}"] if plain else []),
            )
        out.print(table)
        total, known = f"{sum(d.offered_count):,.1f}{_band(d, low, high)}", shown(d.data_watermark.seconds, zone)
        out.print(f"day total {total}; data known up to {known}", highlight=False)
        for words in d.overrides:
            out.print(f"override {words}", highlight=False, markup=False)


@forecast.command("explain")
def forecast_explain(queue: Queue, interval: Annotated[str, typer.Argument(metavar="INTERVAL")], zone: Zone = "UTC") -> None:
    """Show what one interval's forecast (YYYY-MM-DDTHH:MM) is made of: each factor with its size, and who changed it."""
    muster, out, start = connect(), console(), read_instant(interval, zone)
    days = [dt.datetime.fromtimestamp(start + shift, dt.UTC).date().isoformat() for shift in (-86_400, 86_400)]
    request = forecasting.ListForecastDaysRequest(queue=queue, first_date=days[0], last_date=days[1])
    found = [d for d in muster.forecaster.ListForecastDays(request).days if start in d.starts_at_epoch_seconds]
    if not found:
        raise Refusal("NO_SUCH_INTERVAL", f"no forecast of {queue} has an interval that starts at {shown(start, zone)}")
    d = found[0]
    place, plain = list(d.starts_at_epoch_seconds).index(start), list(d.statistical_offered_count) or list(d.offered_count)
    table = table_of(f"Forecast of {queue} at {shown(start, zone)}, version {d.version}; rests on {d.rests_on}", "part", "size")
    if d.HasField("parts"):
        p = d.parts
        total = p.level_count * p.weekday_factor * p.month_factor * p.special_factor * p.form_factor
        table.add_row("level: contacts on a mean open day", f"{p.level_count:,.1f}")
        table.add_row("× weekday", f"{p.weekday_factor:.3f}")
        table.add_row("× time of the month", f"{p.month_factor:.3f}")
        table.add_row("× holiday, part day or day after a closure", f"{p.special_factor:.3f}")
        table.add_row("× form of recent days", f"{p.form_factor:.3f}")
        table.add_row("= the day, as fitted", f"{total:,.1f}")
    share = plain[place] / max(sum(plain), 1e-9)
    table.add_row("the interval's share of the intervals told", f"{share:.2%}")
    if d.HasField("day_factor"):
        table.add_row("× today so far, at the first interval after", f"{d.day_factor:.3f}")
    table.add_row("statistical", f"{plain[place]:.2f}")
    table.add_row("final", f"{d.offered_count[place]:.2f}")
    out.print(table)
    for words in d.overrides:
        out.print(f"override {words}", highlight=False, markup=False)


def _band(d: ForecastDay, low: int, high: int) -> str:
    if not d.day_total_quantiles:
        return ""
    return f" (80 %: {d.day_total_quantiles[low]:,.0f} to {d.day_total_quantiles[high]:,.0f})"


def _nearest(levels: list[float], wanted: float) -> int:
    return min(range(len(levels)), key=lambda i: abs(levels[i] - wanted))


@forecast.command("accuracy")
def forecast_accuracy(
    name: Annotated[str, typer.Argument(metavar="CLIENT[/QUEUE]")],
    first: Annotated[str, typer.Option("--from", help="first local day; default: four weeks before the last")] = "",
    last: Annotated[str, typer.Option("--to", help="last local day; default: yesterday")] = "",
) -> None:
    """Show how good forecasts were that stood a day, a week and four weeks before, beside doing nothing and nobody's best."""
    request = forecasting.ListForecastAccuraciesRequest(name=name, first_date=first, last_date=last)
    answer, out = connect().forecaster.ListForecastAccuracies(request), console()
    rows = answer.accuracies
    if not rows:
        out.print("nothing to compare yet: no day is over of which a forecast stood when it began")
        return
    heads = (
        "queue",
        "days before",
        "intervals",
        "WAPE",
        "statistical",
        "week before",
        "Poisson limit",
        "bias",
        "in 80 %",
        "in 95 %",
        "hours wrong",
    )
    table = table_of("How good forecasts were: errors as shares of the contacts that came", *heads)
    for r in rows:
        naive = f"{r.naive_wape:.1%}" if r.HasField("naive_wape") else "–"
        shares = [f"{v:.1%}" for v in (r.wape, r.statistical_wape)]
        rest = [f"{r.poisson_wape:.1%}", f"{r.bias:+.1%}", f"{r.inside_80:.0%}", f"{r.inside_95:.0%}", f"{r.wrong_hours:,.1f}"]
        table.add_row(r.queue or "all", str(r.lead_days), f"{r.interval_count:,}", *shares, naive, *rest)
    out.print(table)
    if answer.values:
        columns = ("queue", "override", "owner", "why", "intervals", "WAPE without", "WAPE with", "hours saved")
        table = table_of("What overrides added, a day before", *columns)
        for v in answer.values:
            wapes = [f"{w:.1%}" for w in (v.statistical_wape, v.wape)]
            table.add_row(v.queue, v.override, v.owner, v.reason, f"{v.interval_count:,}", *wapes, f"{v.saved_hours:+,.1f}")
        out.print(table)


@forecast.command("refresh")
def forecast_refresh(client: Annotated[str, typer.Argument(metavar="CLIENT")]) -> None:
    """Have a client's forecasts made anew, now."""
    answer = connect().forecaster.RefreshForecasts(forecasting.RefreshForecastsRequest(client=client))
    console().print(f"queued: {answer.job}", highlight=False)


@requirement.command("predict")
def requirement_predict(queue: Queue, day: Day = "", zone: Zone = "UTC") -> None:
    """Show what a day's plan would give as the queue moves: backlog carried over, contacts in hand when shifts end."""
    found, out = connect().staffing.PredictService(staffing.PredictServiceRequest(queue=queue, local_date=day)), console()
    title = f"Service of {queue} as it moves; target {found.target:.0%} in {found.threshold_seconds:.0f} s; AHT {found.aht_seconds:.0f} s"
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
    table.add_row("= load, erlangs", f"{e.load_erlangs:.3f}")
    table.add_row("carried over from before, by part, erlangs", " ".join(f"{v:.2f}" for v in e.carried_erlangs))
    table.add_row("formula", e.formula)
    for n in e.needs:
        table.add_row(f"{_promise(n)} asks for", str(n.agents))
    table.add_row("minimum staff", str(e.minimum_agents))
    table.add_row(f"on queue, decided by {driver}", f"{e.on_queue_agents:.0f}")
    table.add_row(
        f"scheduled: / (1 − {e.unplaced_shrinkage:.1%}) that the schedule does not place", f"{e.scheduled_agents:.2f}"
    )
    table.add_row(f"paid: / (1 − {e.placed_shrinkage:.1%}) that it does", f"{e.paid_agents:.2f}")
    out.print(table)
    table = table_of("Agents on queue would give", "agents", *[_promise(n) for n in e.needs], "ASA s", "abandoned", "occupancy")
    for a in e.around:
        values = [f"{v:.1f} s" if n.metric == "ASA" else f"{v:.1%}" for n, v in zip(e.needs, a.values, strict=True)]
        table.add_row(str(a.agents), *values, f"{a.asa_seconds:.1f}", f"{a.abandonment:.1%}", f"{a.occupancy:.1%}")
    out.print(table)


@requirement.command("price")
def requirement_price(
    queue: Queue, day: Day = "", sureness: Annotated[float | None, typer.Option(help="chance, above 0.5 to below 1")] = None
) -> None:
    """Show what being surer costs: a day staffed to its mean forecast, to all that may come, or so that it keeps its target by a chance."""
    request = staffing.PriceRequirementRequest(queue=queue, local_date=day, sureness=sureness)
    found, out = connect().staffing.PriceRequirement(request), console()
    title = f"Agent-hours of {queue}; target {found.target:.0%} in {found.threshold_seconds:.0f} s; chance {found.sureness:.0%}"
    table = table_of(title, "staffed to", "hours on queue", "price", "service expected", "day keeps it", "an interval keeps it")
    for c in found.choices:
        name = f"{c.staff_to} (the contract's)" if c.staff_to == found.staff_to else c.staff_to
        shares = [f"{v:.1%}" for v in (c.expected_service_level, c.day_met, c.intervals_met)]
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
        table = table_of(title, *heads)
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
            )
        out.print(table)
        hours = sum(d.scheduled_agents) * d.interval_seconds / 3600
        out.print(
            f"{hours:,.1f} agent-hours to schedule; shrinkage outside the schedule {d.unplaced_shrinkage:.1%}", highlight=False
        )
