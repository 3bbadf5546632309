"""muster forecast | requirement: what is expected and needed, interval by interval."""

import datetime as dt
from typing import Annotated

import typer

from muster.cli.connection import Zone, connect, console, shown, table_of
from muster.v1 import forecaster_service_pb2 as forecasting
from muster.v1 import requirement_pb2
from muster.v1 import staffing_service_pb2 as staffing

forecast = typer.Typer(no_args_is_help=True, help="What is expected.")
requirement = typer.Typer(no_args_is_help=True, help="Who is needed.")

Queue = Annotated[str, typer.Argument(metavar="CLIENT/QUEUE")]
Day = Annotated[str, typer.Option(help="local day, YYYY-MM-DD; default: today")]


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
        table = table_of(title, "interval", "offered", "10 %", "90 %", "AHT s", "10 %", "90 %")
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
        table = table_of(title, *heads)
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
