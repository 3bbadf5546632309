"""Files of forecasts → what is expected of each interval. Unlike what came, what is expected need not be whole, and has an AHT of its own."""

import dataclasses
import math
import pathlib
from collections.abc import Mapping
from typing import Any

from muster.client.imports import BadRow, FileMapping, RefusedRow, read_instant, read_rows, read_seconds


@dataclasses.dataclass(frozen=True)
class PlannedInterval:
    """What a file expects of one interval; aht_seconds: None where it says none."""

    start: int
    offered: float
    aht_seconds: float | None


@dataclasses.dataclass(frozen=True)
class Planned:
    """A file, read: intervals in order of time, and refused rows."""

    intervals: list[PlannedInterval]
    refused: list[RefusedRow]


def read_planned(path: pathlib.Path, mapping: FileMapping) -> Planned:
    """Read a file of a forecast. Raise Refusal where it can't be read at all."""
    found: dict[int, PlannedInterval] = {}
    refused = []
    for n, row in enumerate(read_rows(path, mapping.columns.values())):
        try:
            planned = _planned({field: row[column] for field, column in mapping.columns.items()}, mapping)
            if planned.start in found:
                raise BadRow("DOUBLE_INTERVAL", f"{row[mapping.columns['start']]} comes twice")
            found[planned.start] = planned
        except BadRow as bad:
            refused.append(RefusedRow(n + 2, bad.reason, bad.detail))
    return Planned([found[start] for start in sorted(found)], refused)


def _planned(row: Mapping[str, Any], mapping: FileMapping) -> PlannedInterval:
    start = read_instant(row["start"], mapping)
    if start % mapping.interval_seconds:
        raise BadRow("MISALIGNED_INTERVAL", f"{row['start']} does not start an interval of {mapping.interval_seconds} s")
    try:
        offered = float(row["offered"])
    except (TypeError, ValueError) as error:
        raise BadRow("NO_NUMBER", f"offered is {row['offered']!r}") from error
    if not math.isfinite(offered) or offered < 0:
        raise BadRow("NO_NUMBER", f"offered is {row['offered']!r}; allowed: numbers from 0")
    return PlannedInterval(start, offered, read_seconds(row.get("aht_seconds"), "aht_seconds") or None)
