"""muster import and muster replay: real data in, and stored days lived again."""

import asyncio
import pathlib
import time
from collections.abc import Sequence
from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from kafka import KafkaProducer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from muster.cli.connection import connect, console, read_instant, shown
from muster.client.imports import Interval, Parsed, RefusedRow, parse, read_mapping
from muster.client.publisher import PROGRESS, VOLUME
from muster.client.reports import messages
from muster.client.stubs import Muster
from muster.dev.replay import ReplayOptions, play_again
from muster.kit.errors import Refusal
from muster.v1 import feed_pb2
from muster.v1 import forecaster_service_pb2 as forecasting


def import_file(
    path: Annotated[pathlib.Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE.csv|FILE.parquet")],
    queue: Annotated[str, typer.Option(metavar="CLIENT/QUEUE")],
    map_: Annotated[list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="may be repeated")] = None,
    mapping_file: Annotated[pathlib.Path | None, typer.Option("--mapping", metavar="MAPPING.yaml", exists=True)] = None,
    format_: Annotated[str, typer.Option("--format", help="interval or calls; default: interval")] = "",
    zone: Annotated[str, typer.Option(help="zone of local times; default: UTC")] = "",
    ambiguous: Annotated[str, typer.Option(help="an hour that comes twice: refuse, first or second; default: refuse")] = "",
    interval: Annotated[int, typer.Option(help="length of intervals, seconds; default: 1800")] = 0,
    where: Annotated[list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="only these rows; may be repeated")] = None,
    feed: Annotated[str, typer.Option(help="feed to import as")] = "import",
    revision: Annotated[int, typer.Option(min=0, help="a higher one replaces an earlier import")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would be told, tell nothing")] = False,
) -> None:
    """Import calls or intervals from a CSV or Parquet file. Running it twice changes nothing."""
    out = console()
    chosen = dict(pair.partition("=")[::2] for pair in where or [])
    flags = {"format": format_, "zone": zone, "ambiguous": ambiguous, "interval_seconds": interval, "where": chosen}
    mapping = read_mapping(mapping_file, map_ or [], **flags)
    parsed = parse(path, mapping)
    _show(out, parsed, mapping.zone)
    if not parsed.intervals:
        raise Refusal("NOTHING_TO_IMPORT", f"no row of {path.name} can be taken")
    if dry_run:
        out.print("dry run: nothing was told", style="yellow")
        return
    muster = connect()
    intervals = _unlocked(out, muster, queue, parsed.intervals, mapping.zone)
    _publish(out, muster, queue, feed, intervals, mapping.interval_seconds, revision)
    end = intervals[-1].start + mapping.interval_seconds
    _wait_closed(out, muster, queue, feed, end, mapping.zone)


def _unlocked(out: Console, muster: Muster, queue: str, intervals: list[Interval], zone: str) -> list[Interval]:
    """Return the intervals that lie in no locked period; say how many do. Raise Refusal if all do."""
    client = queue.partition("/")[0]
    through = muster.forecaster.GetPeriodLock(forecasting.GetPeriodLockRequest(client=client)).through.seconds
    left = [i for i in intervals if i.start >= through]
    if len(left) < len(intervals):
        why = f"{len(intervals) - len(left):,} intervals lie before {shown(through, zone)}, before which {client} is locked"
        if not left:
            raise Refusal("PERIOD_LOCKED", f"{why}; correct them by adjustments")
        out.print(f"PERIOD_LOCKED: {why}: they are left out; correct them by adjustments", style="yellow", highlight=False)
    return left


def _show(out: Console, parsed: Parsed, zone: str) -> None:
    table = Table(title="First intervals as read", title_justify="left")
    for head in ("interval", "offered", "answered", "abandoned", "handle s", "waits known"):
        table.add_column(head, justify="right")
    for i in parsed.intervals[:10]:
        handle = f"{i.handle_ms / 1000:.0f}" if i.handle_ms is not None else "–"
        numbers = [str(n) if n is not None else "–" for n in (i.offered, i.answered, i.abandoned)]
        table.add_row(shown(i.start, zone), *numbers, handle, "yes" if i.answered_waits else "no")
    out.print(table)
    offered = sum(i.offered for i in parsed.intervals)
    out.print(
        f"{parsed.rows:,} rows: {parsed.skipped:,} of other queues, {len(parsed.refused):,} refused; "
        f"{len(parsed.intervals):,} intervals, {offered:,} contacts offered",
        highlight=False,
    )
    show_refused(parsed.refused, out)


def show_refused(refused: Sequence[RefusedRow], out: Console) -> None:
    """Print the first rows that can't be taken, and how many more there are."""
    for r in refused[:20]:
        out.print(f"  line {r.line}: {r.reason}: {r.detail}", style="red", highlight=False, markup=False)
    if len(refused) > 20:
        out.print(f"  … and {len(refused) - 20} more", style="red", highlight=False)


def _publish(
    out: Console, muster: Muster, queue: str, feed: str, intervals: list[Interval], seconds: int, revision: int
) -> None:
    at = muster.addresses
    producer = KafkaProducer(bootstrap_servers=at.bootstrap, acks="all", enable_idempotence=True)
    with Progress(TextColumn("telling"), BarColumn(), MofNCompleteColumn(), console=out) as bar:
        task = bar.add_task("telling", total=len(intervals))
        for count, message in messages(queue, feed, intervals, seconds, revision):
            producer.send(at.world + VOLUME, key=queue.encode(), value=message.SerializeToString(deterministic=True))
            bar.advance(task, count)
        end = Timestamp(seconds=intervals[-1].start + seconds)
        client = queue.partition("/")[0]
        told = feed_pb2.FeedProgressed(client=client, feed=feed, queues=[queue], complete_through=end)
        producer.flush()
        producer.send(at.world + PROGRESS, key=f"{client}/{feed}".encode(), value=told.SerializeToString())
        producer.flush()
    producer.close()


def _wait_closed(out: Console, muster: Muster, queue: str, feed: str, end: int, zone: str) -> None:
    """Return once the forecaster has closed the file's last interval; say so if it can't yet."""
    deadline = time.monotonic() + 60
    client = queue.partition("/")[0]
    while time.monotonic() < deadline:
        answer = muster.forecaster.ListFeedProgress(forecasting.ListFeedProgressRequest(client=client))
        closed = max((f.closed_through.seconds for f in answer.feeds if f.queue == queue), default=0)
        told = any(f.queue == queue and f.feed == feed and f.complete_through.seconds >= end for f in answer.feeds)
        if told and closed >= end:
            out.print(f"closed through {shown(closed, zone)}", highlight=False)
            return
        time.sleep(0.3)
    out.print(
        f"told, but {queue} is not closed so far: is it declared, and do its other feeds lag? See muster volume feeds",
        style="yellow",
    )


def replay(
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="first day, UTC")],
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="first day no longer played")],
    speed: Annotated[float, typer.Option(help="at most this many business seconds a second; 0: no limit")] = 0,
    minutes: Annotated[int, typer.Option(min=1, max=60, help="business minutes a tick")] = 15,
    home: Annotated[pathlib.Path, typer.Option(help="folder of the scratch world; made anew")] = pathlib.Path("var/replay"),
    stay: Annotated[bool, typer.Option("--stay", help="keep the scratch world up afterwards, until Ctrl-C")] = False,
) -> None:
    """Live stored days again in a scratch world: forecast, requirement, schedule and decisions as of then."""
    begin, end = read_instant(first, "UTC"), read_instant(last, "UTC")
    if end <= begin:
        raise Refusal("INVALID_DATE", f"--to {last} is not after --from {first}")
    options = ReplayOptions(home, begin, end, minutes * 60, speed, stay)
    asyncio.run(play_again(options, connect(), console()))
