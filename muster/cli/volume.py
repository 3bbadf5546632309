"""muster volume: what client systems have told, what was known when, how the bases differ, and what is locked."""

import dataclasses
import datetime as dt
from collections.abc import Iterable
from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from muster.cli.connection import Zone, connect, console, number, read_instant, shown, table_of
from muster.domain.calendar import local_date
from muster.v1 import book_pb2, volume_pb2
from muster.v1 import forecaster_service_pb2 as forecasting

volume = typer.Typer(no_args_is_help=True, help="What client systems have told.")

Queue = Annotated[str, typer.Argument(metavar="CLIENT/QUEUE")]
Since = Annotated[str, typer.Option("--from", help="date or local time; default: 24 hours before --to")]
Until = Annotated[str, typer.Option("--to", help="date or local time; default: now")]


def _cells(queue: str, since: str, until: str, zone: str, then: str = "", basis: int = 0) -> Iterable[volume_pb2.VolumeCell]:
    request = forecasting.ListVolumeCellsRequest(queue=queue, page_size=5000, basis=book_pb2.Basis.ValueType(basis))
    for name, text in (("starts_at", since), ("ends_at", until), ("as_known_at", then)):
        if text:
            getattr(request, name).CopyFrom(Timestamp(seconds=read_instant(text, zone)))
    forecaster = connect().forecaster
    while True:
        answer = forecaster.ListVolumeCells(request)
        yield from answer.cells
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


def _basis(c: volume_pb2.VolumeCell) -> str:
    words = [book_pb2.Basis.Name(c.basis).removeprefix("BASIS_")]
    if c.interpolated:
        words.append("split")
    if c.attribution:
        words.append("by " + volume_pb2.Attribution.Name(c.attribution).removeprefix("ATTRIBUTION_").lower())
    return " ".join(words)


@volume.command("show")
def show(
    queue: Queue,
    since: Since = "",
    until: Until = "",
    zone: Zone = "UTC",
    then: Annotated[str, typer.Option("--as-known-at", help="what was known at this date or local time; default: now")] = "",
) -> None:
    """Show a queue's intervals: what is best known, its basis, and whether it is closed."""
    heads = ["interval", "offered", "answered", "abandoned", "open", "AHT s", "ASA s", "basis", "other basis"]
    heads += ["known since"] if then else ["closed", "revision"]
    table, total = table_of(f"Volume of {queue}" + (f" as known at {then} {zone}" if then else ""), *heads), 0
    for c in _cells(queue, since, until, zone, then):
        total += c.offered_count
        aht = c.handle_milliseconds_sum / 1000 / c.handled_count if c.handled_count else 0
        asa = c.answered_wait_milliseconds_sum / 1000 / c.answered_count if c.answered_count else 0
        last = [shown(c.known_at.seconds, zone)] if then else [_closed(c), str(c.revision or "–")]
        table.add_row(
            shown(c.starts_at.seconds, zone),
            number(c.HasField("offered_count"), c.offered_count),
            number(c.HasField("answered_count"), c.answered_count),
            number(c.HasField("abandoned_count"), c.abandoned_count),
            number(c.HasField("open_count"), c.open_count),
            number(c.handled_count > 0, aht),
            number(c.HasField("answered_wait_milliseconds_sum") and c.answered_count > 0, asa, 1),
            _basis(c),
            number(c.HasField("other_basis_offered_count"), c.other_basis_offered_count),
            *last,
        )
    out = console()
    out.print(table)
    out.print(f"{table.row_count} intervals, {total:,} contacts offered", highlight=False)
    if then:
        out.print(
            "of contacts older than three days only marks are kept: the close, an hour and a day after it, each later change",
            highlight=False,
        )


def _closed(c: volume_pb2.VolumeCell) -> str:
    return "yes" if c.closed else "no, low" if c.censored else "no"


@dataclasses.dataclass
class _Day:
    """One local day as both bases tell it, over the intervals that both tell."""

    intervals: int = 0
    realtime: int = 0
    official: int = 0
    realtime_answered: int = 0
    official_answered: int = 0
    largest: int = 0
    only_one: int = 0


@volume.command("variance")
def variance(queue: Queue, since: Since = "", until: Until = "", zone: Zone = "UTC") -> None:
    """Show day by day how the official reports differ from the live feed."""
    live = {c.starts_at.seconds: c for c in _cells(queue, since, until, zone, basis=book_pb2.BASIS_REALTIME)}
    billed = {c.starts_at.seconds: c for c in _cells(queue, since, until, zone, basis=book_pb2.BASIS_OFFICIAL)}
    days: dict[dt.date, _Day] = {}
    for start in sorted(live.keys() | billed.keys()):
        day = days.setdefault(local_date(start, zone), _Day())
        if start not in live or start not in billed:
            day.only_one += 1
            continue
        a, b = live[start], billed[start]
        day.intervals += 1
        day.realtime += a.offered_count
        day.official += b.offered_count
        day.realtime_answered += a.answered_count
        day.official_answered += b.answered_count
        day.largest = max(day.largest, abs(b.offered_count - a.offered_count))
    heads = ("day", "live offered", "official offered", "difference", "of live", "live answered", "official answered")
    table = table_of(f"Official against live, {queue}", *heads, "largest in an interval", "intervals", "told by one only")
    for date, d in sorted(days.items()):
        change = d.official - d.realtime
        table.add_row(
            f"{date:%a %Y-%m-%d}",
            number(d.intervals > 0, d.realtime),
            number(d.intervals > 0, d.official),
            f"{change:+,}" if d.intervals else "–",
            f"{change / d.realtime:+.1%}" if d.realtime else "–",
            number(d.intervals > 0, d.realtime_answered),
            number(d.intervals > 0, d.official_answered),
            number(d.intervals > 0, d.largest),
            str(d.intervals),
            str(d.only_one),
        )
    console().print(table)


@volume.command("lock")
def lock(
    client: Annotated[str, typer.Argument(metavar="CLIENT")],
    through: Annotated[str, typer.Option(help="date or local time before which everything is locked")],
    zone: Zone = "UTC",
    by: Annotated[str, typer.Option(help="who agreed")] = "",
) -> None:
    """Lock a billed period: later reports of it are refused, corrections are adjustments. A lock never moves back."""
    request = forecasting.LockPeriodRequest(client=client, locked_by=by)
    request.through.seconds = read_instant(through, zone)
    answer = connect().forecaster.LockPeriod(request)
    console().print(f"{client} is locked before {shown(answer.through.seconds, zone)}", highlight=False)


@volume.command("adjustments")
def adjustments(queue: Queue, since: Since = "", until: Until = "", zone: Zone = "UTC") -> None:
    """List the corrections of a queue's locked intervals."""
    request = forecasting.ListVolumeAdjustmentsRequest(queue=queue, page_size=5000)
    for name, text in (("starts_at", since), ("ends_at", until)):
        if text:
            getattr(request, name).CopyFrom(Timestamp(seconds=read_instant(text, zone)))
    table = table_of(
        f"Adjustments of {queue}", "interval", "offered", "answered", "abandoned", "handle s", "why", "agreed by", "id"
    )
    for a in connect().forecaster.ListVolumeAdjustments(request).adjustments:
        table.add_row(
            shown(a.starts_at.seconds, zone),
            f"{a.offered_count:+,}" if a.HasField("offered_count") else "–",
            f"{a.answered_count:+,}" if a.HasField("answered_count") else "–",
            f"{a.abandoned_count:+,}" if a.HasField("abandoned_count") else "–",
            f"{a.handle_milliseconds_sum / 1000:+,.0f}" if a.HasField("handle_milliseconds_sum") else "–",
            a.reason,
            a.adjusted_by,
            a.adjustment_id,
        )
    console().print(table)


@volume.command("feeds")
def feeds(client: Annotated[str, typer.Argument(metavar="[CLIENT]")] = "", zone: Zone = "UTC") -> None:
    """Show how far each feed has told."""
    table = table_of("Feeds", "queue", "feed", "complete through", "newest fact", "closed through")
    for f in connect().forecaster.ListFeedProgress(forecasting.ListFeedProgressRequest(client=client)).feeds:
        times = [
            shown(getattr(f, name).seconds, zone) if f.HasField(name) else "–"
            for name in ("complete_through", "newest_fact_at", "closed_through")
        ]
        table.add_row(f.queue, f.feed, *times)
    console().print(table)
