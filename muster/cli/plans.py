"""muster forecast: what is expected, interval by interval."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer
from rich.table import Table

from muster.cli.connection import Zone, connect, console, read_instant, shown, table_of
from muster.kit.errors import Refusal
from muster.v1 import forecast_pb2
from muster.v1 import forecaster_service_pb2 as forecasting

forecast = typer.Typer(no_args_is_help=True, help="What is expected.")

Queue = Annotated[str, typer.Argument(metavar="CLIENT/QUEUE")]
BANDS = ("offered", "10 %", "90 %", "AHT s", "10 %", "90 %", "workload h", "10 %", "90 %")
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
        if d.HasField("day_factor") and _is_to_come(d):
            title += (
                f"; moved to {d.day_factor:.0%} of its forecast as contacts ran up to {shown(d.data_watermark.seconds, zone)}"
            )
        elif d.HasField("day_factor"):
            title += f"; it now runs at {d.day_factor:.0%} of the morning's forecast"
        plain, plain_aht = list(d.statistical_offered_count), list(d.statistical_aht_seconds)
        beside = [("statistical", plain, 1)] if plain else []
        beside += [("its AHT", plain_aht, 0)] if plain_aht and plain_aht != list(d.aht_seconds) else []
        table = table_of(title, "interval", *BANDS, *(head for head, _, _ in beside))
        hours = [n * h / 3600 for n, h in zip(d.offered_count, d.aht_seconds, strict=True)]
        for i, start in enumerate(d.starts_at_epoch_seconds):
            work = [f"{d.workload_quantiles[i * width + n]:.2f}" if d.workload_quantiles else "–" for n in (low, high)]
            table.add_row(
                shown(start, zone),
                f"{d.offered_count[i]:.1f}",
                f"{d.offered_quantiles[i * width + low]:.1f}",
                f"{d.offered_quantiles[i * width + high]:.1f}",
                f"{d.aht_seconds[i]:.0f}",
                f"{d.aht_quantiles[i * width + low]:.0f}",
                f"{d.aht_quantiles[i * width + high]:.0f}",
                f"{hours[i]:.2f}",
                *work,
                *(f"{values[i]:.{places}f}" for _, values, places in beside),
            )
        out.print(table)
        total, known = (
            f"{sum(d.offered_count):,.1f}{_band(d.day_total_quantiles, low, high)}",
            shown(d.data_watermark.seconds, zone),
        )
        work_total = f"{sum(hours):,.1f} hours of handling{_band(d.day_workload_quantiles, low, high)}"
        out.print(f"day total {total}, {work_total}; data known up to {known}", highlight=False)
        for words in d.overrides:
            out.print(f"override {words}", highlight=False, markup=False)


@forecast.command("explain")
def forecast_explain(queue: Queue, interval: Annotated[str, typer.Argument(metavar="INTERVAL")], zone: Zone = "UTC") -> None:
    """Show what one interval's forecast (YYYY-MM-DDTHH:MM) is made of: each factor with its size, and who changed it."""
    muster, out, start = connect(), console(), read_instant(interval, zone)
    days = [dt.datetime.fromtimestamp(start + shift, dt.UTC).date().isoformat() for shift in (-86_400, 86_400)]
    request = forecasting.ListForecastDaysRequest(queue=queue, first_date=days[0], last_date=days[1])
    found = [d for d in muster.forecaster.ListForecastDays(request).days if start in d.starts_at_epoch_seconds]
    request.as_fitted = True
    fits = [d for d in muster.forecaster.ListForecastDays(request).days if start in d.starts_at_epoch_seconds]
    if not found or not fits:
        raise Refusal("NO_SUCH_INTERVAL", f"no forecast of {queue} has an interval that starts at {shown(start, zone)}")
    d, fitted = found[0], fits[0]
    plain, plain_aht = _statistical(d, start)
    final, aht = (values[list(d.starts_at_epoch_seconds).index(start)] for values in (d.offered_count, d.aht_seconds))
    whole = sum(fitted.statistical_offered_count or fitted.offered_count)
    as_fitted = _statistical(fitted, start)[0]
    table = table_of(f"Forecast of {queue} at {shown(start, zone)}, version {d.version}; rests on {d.rests_on}", "part", "size")
    if d.HasField("parts"):
        _add_parts(table, d.parts)
    table.add_row("the interval's share of the day", f"{as_fitted / max(whole, 1e-9):.2%}")
    table.add_row("= the interval, as fitted", f"{as_fitted:.2f}")
    if d.HasField("day_factor"):
        ran = f"× as contacts ran up to {shown(d.data_watermark.seconds, zone)}"
        so_far = ran if _is_to_come(d) else "× today so far"
        table.add_row(so_far, f"{plain / as_fitted if as_fitted > 0 else 1.0:.3f}")
    table.add_row("statistical", f"{plain:.2f}")
    table.add_row("overrides", f"{final - plain:+.2f}")
    table.add_row("final", f"{final:.2f}")
    table.add_row("AHT s, statistical", f"{plain_aht:.0f}")
    table.add_row("AHT s, final", f"{aht:.0f}")
    out.print(table)
    touched = final != plain or aht != plain_aht
    for words in d.overrides:
        out.print(f"override {words}" if touched else f"elsewhere on the day: override {words}", highlight=False, markup=False)


def _statistical(d: forecast_pb2.ForecastDay, start: int) -> tuple[float, float]:
    """Return an interval's contacts and AHT before overrides."""
    place = list(d.starts_at_epoch_seconds).index(start)
    offered, aht = d.statistical_offered_count or d.offered_count, d.statistical_aht_seconds or d.aht_seconds
    return offered[place], aht[place]


def _is_to_come(d: forecast_pb2.ForecastDay) -> bool:
    """Return whether a day had not begun when it was forecast: what faded at its midnight is no part of one that had."""
    return bool(d.starts_at_epoch_seconds) and d.data_watermark.seconds < d.starts_at_epoch_seconds[0]


def _add_parts(table: Table, p: forecast_pb2.ForecastParts) -> None:
    """Add a row a factor of the day's total."""
    trend = p.trend_factor if p.HasField("trend_factor") else 1.0
    total = p.level_count * p.weekday_factor * p.month_factor * p.special_factor * p.form_factor * trend
    table.add_row("level: contacts on a mean open day", f"{p.level_count:,.1f}")
    table.add_row("× weekday", f"{p.weekday_factor:.3f}")
    table.add_row("× calendar (time of the month)", f"{p.month_factor:.3f}")
    table.add_row("× holiday, part day or day after a closure", f"{p.special_factor:.3f}")
    table.add_row("× form of recent days", f"{p.form_factor:.3f}")
    table.add_row("× growth up to the day", f"{trend:.3f}")
    table.add_row("= the day, as fitted", f"{total:,.1f}")


def _band(quantiles: Sequence[float], low: int, high: int) -> str:
    return f" (80 %: {quantiles[low]:,.0f} to {quantiles[high]:,.0f})" if quantiles else ""


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
    )
    table = table_of("How good forecasts were: errors as shares of the contacts that came", *heads)
    for r in rows:
        naive = f"{r.naive_wape:.1%}" if r.HasField("naive_wape") else "–"
        shares = [f"{v:.1%}" for v in (r.wape, r.statistical_wape)]
        rest = [f"{r.poisson_wape:.1%}", f"{r.bias:+.1%}", f"{r.inside_80:.0%}", f"{r.inside_95:.0%}"]
        table.add_row(r.queue or "all", str(r.lead_days), f"{r.interval_count:,}", *shares, naive, *rest)
    out.print(table)
    out.print(_in_hours(rows))
    if answer.values:
        columns = ("queue", "override", "of", "owner", "why", "intervals", "WAPE without", "WAPE with", "hours saved")
        table = table_of("What overrides added, a day before", *columns)
        for v in answer.values:
            wapes = [f"{w:.1%}" for w in (v.statistical_wape, v.wape)]
            table.add_row(
                v.queue, v.override, v.measure, v.owner, v.reason, f"{v.interval_count:,}", *wapes, f"{v.saved_hours:+,.1f}"
            )
        out.print(table)


def _in_hours(rows: Iterable[forecasting.ForecastAccuracy]) -> Table:
    """Return what errors of workload cost a week, in staffed hours."""
    heads = (
        "queue",
        "days before",
        "over",
        "under",
        "hours wrong",
        "statistical",
        "week before",
        "added by engine",
        "by people",
    )
    table = table_of("Staffed hours a week that errors of workload stand for (over: not needed, under: missing)", *heads)
    for r in rows:
        wrong, plain = r.over_hours_per_week + r.under_hours_per_week, r.statistical_hours_per_week
        naive = r.naive_hours_per_week if r.HasField("naive_hours_per_week") else None
        sides = [f"{v:,.1f}" for v in (r.over_hours_per_week, r.under_hours_per_week, wrong, plain)]
        beside = ["–", "–"] if naive is None else [f"{naive:,.1f}", f"{naive - plain:+,.1f}"]
        table.add_row(r.queue or "all", str(r.lead_days), *sides, *beside, f"{plain - wrong:+,.1f}")
    return table


@forecast.command("refresh")
def forecast_refresh(client: Annotated[str, typer.Argument(metavar="CLIENT")]) -> None:
    """Have a client's forecasts made anew, now."""
    answer = connect().forecaster.RefreshForecasts(forecasting.RefreshForecastsRequest(client=client))
    console().print(f"queued: {answer.job}", highlight=False)
