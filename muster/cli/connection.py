"""How the command reaches a running Muster, and how it prints instants."""

import datetime as dt
import os
import sys
from collections.abc import Collection
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from muster.cli.fitting import FittingTable
from muster.client.stubs import Muster, find_addresses
from muster.domain.calendar import parse_date, resolve, zone_of
from muster.kit.errors import Refusal

Zone = Annotated[str, typer.Option(help="zone in which times are read and shown")]


def console() -> Console:
    """Return the console; wide where it is no terminal, so that files and pipes aren't folded."""
    return Console() if sys.stdout.isatty() else Console(width=160)


def connect() -> Muster:
    """Return stubs of the running Muster. Raise NotRunning."""
    return Muster(find_addresses(), os.environ.get("MUSTER_TOKEN"))


def shown(instant: int, zone: str) -> str:
    """Return an instant in a zone, minutes and zone's abbreviation."""
    return dt.datetime.fromtimestamp(instant, zone_of(zone)).strftime("%a %Y-%m-%d %H:%M %Z")


def read_instant(text: str, zone: str) -> int:
    """Return the instant of a date or local time. Raise Refusal."""
    try:
        if len(text) == 10:
            return resolve(dt.datetime.combine(parse_date(text), dt.time()), zone)
        found = dt.datetime.fromisoformat(text)
        return int(found.timestamp()) if found.tzinfo else resolve(found, zone)
    except ValueError as error:
        raise Refusal("INVALID_DATE", f"{text!r}: {error}; write 2026-03-25 or 2026-03-25T14:30") from error


def table_of(title: str, *heads: str, words: Collection[str] = ()) -> Table:
    """Return an empty table; all columns but the first hold numbers, unless their heads are among `words`."""
    table = FittingTable(title=title, title_justify="left")
    table.add_column(heads[0])
    for head in heads[1:]:
        table.add_column(head, justify="left" if head in words else "right")
    return table


def number(there: bool, value: float, places: int = 0) -> str:
    """Return a number, or a dash for what was not observed."""
    return f"{value:,.{places}f}" if there else "–"
