"""muster forecast incidents | outlook | import | compare and muster backtest: what goes with a forecast, and how it is tested."""

import pathlib
import time
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from muster.cli.connection import Zone, connect, console, shown, table_of
from muster.cli.files import show_refused
from muster.cli.picture import forecast_picture
from muster.client.imports import FileMapping, parse, read_mapping
from muster.client.planned import read_planned
from muster.domain.calendar import to_local
from muster.kit.errors import Refusal
from muster.v1 import forecast_pb2
from muster.v1 import forecaster_service_pb2 as forecasting

Queue = Annotated[str, typer.Argument(metavar="CLIENT/QUEUE")]
Columns = Annotated[list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="may be repeated")]
FileZone = Annotated[str, typer.Option(help="zone of a file's local times; default: UTC")]
Length = Annotated[int, typer.Option(help="length of a file's intervals, seconds; default: 1800")]
SENT_TOGETHER = 2000
POLL_SECONDS, PATIENCE_SECONDS = 0.3, 600.0


def incidents(queue: Queue) -> None:
    """Show the past days and hours that nothing is learnt from, and why; an event of the book makes one count, or leaves another out."""
    rows = connect().forecaster.ListForecastIncidents(forecasting.ListForecastIncidentsRequest(queue=queue)).incidents
    if not rows:
        console().print("none: every known day counts, or no forecast was made yet")
        return
    heads = ("day", "hours", "came", "usual", "kind", "why")
    table = table_of(f"Days and hours of {queue} that nothing is learnt from", *heads, words=("hours", "kind", "why"))
    for r in rows:
        table.add_row(r.local_date, r.hours or "all", f"{r.offered_count:,.0f}", f"{r.usual_count:,.0f}", r.kind, r.reason)
    console().print(table)


def outlook(queue: Queue, by: Annotated[str, typer.Option(help="month, week or day")] = "month") -> None:
    """Show the next twelve months: contacts with their band, and hours of handling."""
    request = forecasting.ListForecastPeriodsRequest(queue=queue, period=by.upper())
    answer, out = connect().forecaster.ListForecastPeriods(request), console()
    if not answer.periods:
        out.print("no forecast was made yet; see muster forecast refresh")
        return
    levels = list(answer.quantile_levels)
    low, high = levels.index(0.1), levels.index(0.9)
    years = answer.season_years
    season = (
        f"season as {years} earlier year{'s' * (years > 1)} went" if years else "no year is known yet: no season, wide bands"
    )
    table = table_of(f"Outlook of {queue}; {season}", "from", "to", "contacts", "10 %", "90 %", "workload h")
    for p in answer.periods:
        wide = [f"{p.offered_quantiles[n]:,.0f}" for n in (low, high)]
        table.add_row(p.first_date, p.last_date, f"{p.offered_count:,.0f}", *wide, f"{p.workload_hours:,.0f}")
    out.print(table)


def import_forecast(
    path: Annotated[pathlib.Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE.csv|FILE.parquet")],
    queue: Annotated[str, typer.Option(metavar="CLIENT/QUEUE")],
    source: Annotated[str, typer.Option(help="client or agreed")] = "client",
    map_: Columns = None,
    zone: FileZone = "",
    interval: Length = 0,
    revision: Annotated[int, typer.Option(min=0, help="a higher one replaces an earlier one, day by day")] = 1,
    sent_by: Annotated[str, typer.Option(help="who answers for it")] = "",
) -> None:
    """Import a client's forecast, or an agreed one. Fields: start, offered, aht_seconds. Running it twice changes nothing."""
    if source.upper() not in ("CLIENT", "AGREED"):
        raise Refusal("INVALID_FORECAST", f"--source is {source!r}; allowed: client, agreed")
    mapping = read_mapping(None, map_ or [], zone=zone, interval_seconds=interval)
    planned, out = read_planned(path, mapping), console()
    show_refused(planned.refused, out)
    if not planned.intervals:
        raise Refusal("NOTHING_TO_IMPORT", f"no row of {path.name} can be taken")
    without = sum(i.aht_seconds is None for i in planned.intervals)
    if "aht_seconds" in mapping.columns and without:
        out.print(f"no AHT is told: {without:,} intervals have none", style="yellow", highlight=False)
    kind = forecast_pb2.ForecastSource.Value(f"FORECAST_SOURCE_{source.upper()}")
    request = forecasting.PublishForecastsRequest()
    for n in range(0, len(planned.intervals), SENT_TOGETHER):
        message = request.forecasts.add(queue=queue, source=kind, revision=revision, sent_by=sent_by)
        for i in planned.intervals[n : n + SENT_TOGETHER]:
            message.starts_at_epoch_seconds.append(i.start)
            message.offered_count.append(i.offered)
            if not without and i.aht_seconds is not None:
                message.aht_seconds.append(i.aht_seconds)
    connect().forecaster.PublishForecasts(request)
    days = sorted({to_local(i.start, mapping.zone).date().isoformat() for i in planned.intervals})
    told = f"{len(planned.intervals):,} intervals of {days[0]} to {days[-1]}, {len(planned.refused):,} rows refused"
    out.print(f"told as {source.upper()}: {told}; see muster forecast compare {queue}", highlight=False)


def compare(
    queue: Queue,
    first: Annotated[str, typer.Option("--from", help="first local day; default: today")] = "",
    last: Annotated[str, typer.Option("--to", help="last local day; default: two weeks on")] = "",
    zone: Zone = "UTC",
) -> None:
    """Show our, the client's and the agreed forecast by day, which is locked, and whether what came is tolerated."""
    request = forecasting.ListForecastComparisonsRequest(queue=queue, first_date=first, last_date=last)
    days, out = connect().forecaster.ListForecastComparisons(request).days, console()
    heads = (
        "day",
        "engine",
        "client",
        "agreed",
        "locked",
        "whose, since",
        "came so far",
        "off locked",
        "intervals outside",
        "relieves",
    )
    table = table_of(f"Forecasts of {queue}, contacts", *heads, words=("whose, since", "relieves"))
    for d in days:
        sides = [_sum(values) for values in (d.engine_count, d.client_count, d.agreed_count)]
        both = [(c, f) for c, f in zip(d.offered_count, d.locked_count, strict=False) if c >= 0 and f >= 0]
        came = [c for c in d.offered_count if c >= 0]
        off, mark = "–", ""
        if both and sum(f for _, f in both) > 0:
            off = f"{sum(c for c, _ in both) / sum(f for _, f in both) - 1:+.1%}"
            mark = " OUTSIDE" if d.day_outside else ""
        whose = "not agreed"
        if d.HasField("locked_at"):
            name = forecast_pb2.ForecastSource.Name(d.locked_source).removeprefix("FORECAST_SOURCE_")
            since = shown(d.locked_at.seconds, zone)
            whose = f"{name}, {since}" if d.locked_source else f"open until {since}"
        outside = f"{sum(d.outside)} of {len(both)}" if both else "–"
        told = f"{sum(came):,.0f}" if came else "–"
        table.add_row(d.local_date, *sides, _sum(d.locked_count), whose, told, off + mark, outside, _relieved(d))
    out.print(table)
    limits = [d for d in days if d.HasField("tolerance_up") or d.HasField("tolerance_down")]
    if limits:
        up, down = limits[0].tolerance_up, limits[0].tolerance_down
        out.print(f"tolerated by the contract: {up:+.0%} and {-down:+.0%} of what is locked", highlight=False)


def _relieved(d: forecasting.ForecastComparison) -> str:
    """Return what a day and its intervals are relieved of, in words: "TARGET: day, 4 intervals"."""
    parts = []
    for word in ("COMMITMENT", "TARGET"):
        count = sum(each == word for each in d.relieved)
        spans = ["day"] * (d.day_relieved == word) + [f"{count} interval{'s' * (count > 1)}"] * (count > 0)
        parts += [f"{word}: {', '.join(spans)}"] if spans else []
    return "; ".join(parts) or "–"


def _sum(values: Iterable[float]) -> str:
    known = [v for v in values if v >= 0]
    return f"{sum(known):,.0f}" if known else "–"


def _tell_file(request: forecasting.StartBacktestRequest, path: pathlib.Path, mapping: FileMapping, out: Console) -> None:
    """Fill a request with a file's intervals. Raise Refusal(NOTHING_TO_IMPORT)."""
    parsed = parse(path, mapping)
    if parsed.refused:
        first = parsed.refused[0].detail
        out.print(f"{len(parsed.refused):,} rows refused, the first: {first}", style="yellow", highlight=False)
    if not parsed.intervals:
        raise Refusal("NOTHING_TO_IMPORT", f"no row of {path.name} can be taken")
    request.queue = path.stem
    request.cells.zone, request.cells.interval_seconds = mapping.zone, mapping.interval_seconds
    request.cells.starts_at_epoch_seconds.extend(i.start for i in parsed.intervals)
    request.cells.offered_count.extend(i.offered for i in parsed.intervals)


def _backtested(answer: forecasting.GetBacktestResponse, title: str) -> Table:
    """Return a table of how good past forecasts would have been."""
    heads = ("days ahead", "intervals", "WAPE", "eight-week mean", "week before", "Poisson limit", "bias", "in 80 %", "in 95 %")
    table = table_of(f"{title}; errors as shares of what came", *heads)
    for row in answer.rows:
        a, first, last = row.accuracy, row.first_lead_days, row.last_lead_days
        usual = f"{row.eight_week_wape:.1%}" if row.HasField("eight_week_wape") else "–"
        naive = f"{a.naive_wape:.1%}" if a.HasField("naive_wape") else "–"
        rest = [f"{a.poisson_wape:.1%}", f"{a.bias:+.1%}", f"{a.inside_80:.0%}", f"{a.inside_95:.0%}"]
        table.add_row(
            f"{first}" if first == last else f"{first}–{last}", f"{a.interval_count:,}", f"{a.wape:.1%}", usual, naive, *rest
        )
    return table


def backtest(
    target: Annotated[str, typer.Argument(metavar="CLIENT/QUEUE|FILE.csv|FILE.parquet")],
    weeks: Annotated[int, typer.Option(min=1, max=26, help="weeks over which past forecasts are made again")] = 8,
    map_: Columns = None,
    zone: FileZone = "",
    interval: Length = 0,
    where: Annotated[list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="only these rows of a file")] = None,
    picture: Annotated[
        pathlib.Path | None, typer.Option(metavar="FILE.svg", help="draw the last days against what came")
    ] = None,
) -> None:
    """Make past forecasts again, of stored volume or of a file, with what was known then; show how good they would have been."""
    muster, out, path = connect(), console(), pathlib.Path(target)
    request = forecasting.StartBacktestRequest(queue=target, weeks=weeks)
    if path.suffix in (".csv", ".parquet"):
        chosen = dict(pair.partition("=")[::2] for pair in where or [])
        _tell_file(request, path, read_mapping(None, map_ or [], zone=zone, interval_seconds=interval, where=chosen), out)
    job = muster.forecaster.StartBacktest(request).job
    deadline = time.monotonic() + PATIENCE_SECONDS
    with out.status("forecasting again at past origins"):
        while not (answer := muster.forecaster.GetBacktest(forecasting.GetBacktestRequest(job=job))).done:
            if time.monotonic() > deadline:
                raise Refusal(
                    "STILL_RUNNING", f"{job} is not done after {PATIENCE_SECONDS:.0f} s; are fits waiting? see the log"
                )
            time.sleep(POLL_SECONDS)
    out.print(_backtested(answer, f"Backtest of {target}: {answer.origin_count} origins in {weeks} weeks"))
    if picture is not None:
        starts = [to_local(s, zone or "UTC") for s in answer.starts_at_epoch_seconds]
        sides = (answer.offered_count, answer.expected_count, answer.low_count, answer.high_count)
        picture.write_text(forecast_picture(f"{target}, a day ahead, {zone or 'UTC'}", starts, *(list(s) for s in sides)))
        out.print(f"drawn: {picture}", highlight=False)
