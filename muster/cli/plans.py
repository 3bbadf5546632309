"""muster forecast: what is expected, interval by interval."""

import datetime as dt
from typing import Annotated

import typer

from muster.cli.connection import Zone, connect, console, read_instant, shown, table_of
from muster.kit.errors import Refusal
from muster.v1 import forecaster_service_pb2 as forecasting
from muster.v1.forecast_pb2 import ForecastDay

forecast = typer.Typer(no_args_is_help=True, help="What is expected.")

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
        table.add_row("× calendar (time of the month)", f"{p.month_factor:.3f}")
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
