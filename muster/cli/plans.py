"""muster volume | forecast | requirement show: what is known, expected and needed, interval by interval."""

import datetime as dt
from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table

from muster.cli.connection import Zone, connect, console, read_instant, shown
from muster.v1 import book_pb2, requirement_pb2
from muster.v1 import forecaster_service_pb2 as forecasting
from muster.v1 import staffing_service_pb2 as staffing

volume = typer.Typer(no_args_is_help=True, help="What client systems have told.")
forecast = typer.Typer(no_args_is_help=True, help="What is expected.")
requirement = typer.Typer(no_args_is_help=True, help="Who is needed.")

Queue = Annotated[str, typer.Argument(metavar="CLIENT/QUEUE")]
Day = Annotated[str, typer.Option(help="local day, YYYY-MM-DD; default: today")]


def _table(title: str, *heads: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(heads[0])
    for head in heads[1:]:
        table.add_column(head, justify="right")
    return table


def _number(there: bool, value: float, places: int = 0) -> str:
    return f"{value:,.{places}f}" if there else "–"


@volume.command("show")
def volume_show(
    queue: Queue,
    since: Annotated[str, typer.Option("--from", help="date or local time; default: 24 hours before --to")] = "",
    until: Annotated[str, typer.Option("--to", help="date or local time; default: now")] = "",
    zone: Zone = "UTC",
) -> None:
    """Show a queue's intervals: what is best known, its basis, and whether it is closed."""
    muster, out = connect(), console()
    request = forecasting.ListVolumeCellsRequest(queue=queue, page_size=5000)
    if since:
        request.starts_at.CopyFrom(Timestamp(seconds=read_instant(since, zone)))
    if until:
        request.ends_at.CopyFrom(Timestamp(seconds=read_instant(until, zone)))
    heads = (
        "interval",
        "offered",
        "answered",
        "abandoned",
        "open",
        "AHT s",
        "ASA s",
        "basis",
        "other basis",
        "closed",
        "revision",
    )
    table = _table(f"Volume of {queue}", *heads)
    total = 0
    for c in muster.forecaster.ListVolumeCells(request).cells:
        total += c.offered_count
        aht = c.handle_milliseconds_sum / 1000 / c.handled_count if c.handled_count else 0
        asa = c.answered_wait_milliseconds_sum / 1000 / c.answered_count if c.answered_count else 0
        table.add_row(
            shown(c.starts_at.seconds, zone),
            _number(c.HasField("offered_count"), c.offered_count),
            _number(c.HasField("answered_count"), c.answered_count),
            _number(c.HasField("abandoned_count"), c.abandoned_count),
            _number(c.HasField("open_count"), c.open_count),
            _number(c.handled_count > 0, aht),
            _number(c.HasField("answered_wait_milliseconds_sum") and c.answered_count > 0, asa, 1),
            book_pb2.Basis.Name(c.basis).removeprefix("BASIS_") + (" split" if c.interpolated else ""),
            _number(c.HasField("other_basis_offered_count"), c.other_basis_offered_count),
            "yes" if c.closed else "no",
            str(c.revision or "–"),
        )
    out.print(table)
    out.print(f"{table.row_count} intervals, {total:,} contacts offered", highlight=False)


@volume.command("feeds")
def volume_feeds(client: Annotated[str, typer.Argument(metavar="[CLIENT]")] = "", zone: Zone = "UTC") -> None:
    """Show how far each feed has told."""
    table = _table("Feeds", "queue", "feed", "complete through", "newest fact", "closed through")
    for f in connect().forecaster.ListFeedProgress(forecasting.ListFeedProgressRequest(client=client)).feeds:
        times = [
            shown(getattr(f, name).seconds, zone) if f.HasField(name) else "–"
            for name in ("complete_through", "newest_fact_at", "closed_through")
        ]
        table.add_row(f.queue, f.feed, *times)
    console().print(table)


@forecast.command("show")
def forecast_show(
    queue: Queue, day: Day = "", days: Annotated[int, typer.Option(min=1, max=42)] = 1, zone: Zone = "UTC"
) -> None:
    """Show a queue's forecast: contacts and AHT with their bands, and what they rest on."""
    muster, out = connect(), console()
    last = str(dt.date.fromisoformat(day) + dt.timedelta(days=days - 1)) if day else ""
    request = forecasting.ListForecastDaysRequest(queue=queue, first_date=day, last_date=last, page_size=days)
    for d in muster.forecaster.ListForecastDays(request).days:
        low, high = _nearest(list(d.quantile_levels), 0.1), _nearest(list(d.quantile_levels), 0.9)
        width = len(d.quantile_levels)
        title = f"Forecast of {d.queue}, {d.local_date}; rests on {d.rests_on}; version {d.version}"
        if d.HasField("day_factor"):
            title += f"; today runs at {d.day_factor:.0%} of the morning's forecast"
        table = _table(title, "interval", "offered", "10 %", "90 %", "AHT s", "10 %", "90 %")
        for i, start in enumerate(d.starts_at_epoch_seconds):
            table.add_row(
                shown(start, zone),
                f"{d.offered_count[i]:.1f}",
                f"{d.offered_quantiles[i * width + low]:.1f}",
                f"{d.offered_quantiles[i * width + high]:.1f}",
                f"{d.aht_seconds[i]:.0f}",
                f"{d.aht_quantiles[i * width + low]:.0f}",
                f"{d.aht_quantiles[i * width + high]:.0f}",
            )
        out.print(table)
        out.print(
            f"day total {sum(d.offered_count):,.1f}; data known up to {shown(d.data_watermark.seconds, zone)}", highlight=False
        )


def _nearest(levels: list[float], wanted: float) -> int:
    return min(range(len(levels)), key=lambda i: abs(levels[i] - wanted))


@forecast.command("refresh")
def forecast_refresh(client: Annotated[str, typer.Argument(metavar="CLIENT")]) -> None:
    """Have a client's forecasts made anew, now."""
    answer = connect().forecaster.RefreshForecasts(forecasting.RefreshForecastsRequest(client=client))
    console().print(f"queued: {answer.job}", highlight=False)


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
        heads = ("interval", "load erl", "on queue", "scheduled", "paid", "SL", "ASA s", "abandoned", "occupancy", "decided by")
        table = _table(title, *heads)
        for i, start in enumerate(d.starts_at_epoch_seconds):
            level = d.predicted_service_level[i]
            driver = requirement_pb2.RequirementDriver.Name(d.drivers[i]).removeprefix("REQUIREMENT_DRIVER_")
            table.add_row(
                shown(start, zone),
                f"{d.load_erlangs[i]:.2f}",
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


@requirement.command("attainment")
def attainment(client: Annotated[str, typer.Argument(metavar="[CLIENT]")] = "") -> None:
    """Show how contracts' targets stand in their windows."""
    table = _table(
        "Attainment", "contract", "target", "window", "to date", "promise", "good", "of", "intervals", "not observed"
    )
    for a in connect().staffing.ListAttainments(staffing.ListAttainmentsRequest(client=client)).attainments:
        to_date = f"{a.value:.2%}" if a.HasField("value") else "not observed"
        numbers = (
            f"{a.target:g}",
            f"{a.good_count:,}",
            f"{a.base_count:,}",
            str(a.interval_count),
            str(a.unobserved_interval_count),
        )
        table.add_row(a.contract, str(a.target_index), a.window, to_date, *numbers)
    console().print(table)
