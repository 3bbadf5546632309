"""Files of calls or intervals → interval reports. Every row is taken or refused with its line and a reason.

A mapping says which column holds what. Interval files: start, offered, and what else is known. Call files: arrival, wait,
talk, after-call work, and whether the caller hung up; they are added up per interval, waits as histograms.
"""

import bisect
import dataclasses
import datetime as dt
import math
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import yaml
from pydantic import BaseModel, ConfigDict, Field

from muster.domain.calendar import zone_of
from muster.kit.errors import Refusal

# Upper edges of waits that call files are counted by, seconds.
WAIT_EDGES = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 3600)
LONGEST_CALL_SECONDS = 86_400
INTERVAL_FIELDS = ("start", "offered", "answered", "abandoned", "aht_seconds", "known_at")
CALL_FIELDS = ("arrival", "answered_at", "wait_seconds", "talk_seconds", "after_call_seconds", "abandoned")


class FileMapping(BaseModel):
    """Which column holds what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["interval", "calls"] = "interval"
    columns: dict[str, str]
    zone: str = "UTC"
    ambiguous: Literal["refuse", "first", "second"] = "refuse"
    interval_seconds: int = Field(1800, ge=60, le=86_400)
    where: dict[str, str] = Field(default_factory=dict)
    abandoned_values: tuple[str, ...] = ("True", "true", "1", "HANG", "ABANDONED")


@dataclasses.dataclass(frozen=True)
class RefusedRow:
    """A row that can't be taken: its line in the file (the first row of data is 2), reason and detail."""

    line: int
    reason: str
    detail: str


@dataclasses.dataclass
class Interval:
    """What a file says of one interval. Sums in milliseconds; waits as counts per bin of WAIT_EDGES, the last one open."""

    start: int
    offered: int = 0
    answered: int | None = None
    abandoned: int | None = None
    handle_ms: int | None = None
    answered_wait_ms: int | None = None
    abandoned_wait_ms: int | None = None
    answered_waits: list[int] | None = None
    abandoned_waits: list[int] | None = None
    known_at: int | None = None


@dataclasses.dataclass
class Parsed:
    """A file, read: intervals in order of time, refused rows, and how many rows there were."""

    intervals: list[Interval]
    refused: list[RefusedRow]
    rows: int
    skipped: int


def read_mapping(path: pathlib.Path | None, given: Iterable[str], **flags: Any) -> FileMapping:
    """Return the mapping of a YAML file and of flags like `offered=calls`; flags win. Raise Refusal."""
    data: dict[str, Any] = yaml.safe_load(path.read_text()) if path else {}
    columns = dict(data.get("columns", {}))
    for pair in given:
        field, equals, column = pair.partition("=")
        if not equals:
            raise Refusal("INVALID_MAPPING", f"--map {pair!r}: write field=column, like offered=calls")
        columns[field] = column
    data = {**data, **{k: v for k, v in flags.items() if v not in (None, "", {}, 0)}, "columns": columns}
    try:
        mapping = FileMapping.model_validate(data)
        zone_of(mapping.zone)
    except ValueError as error:
        raise Refusal("INVALID_MAPPING", str(error)) from error
    known = INTERVAL_FIELDS if mapping.format == "interval" else CALL_FIELDS
    if strange := sorted(set(columns) - set(known)):
        raise Refusal(
            "INVALID_MAPPING", f"{', '.join(strange)}: no such field of {mapping.format} files; allowed: {', '.join(known)}"
        )
    needed = ("start", "offered") if mapping.format == "interval" else ("arrival",)
    if mapping.format == "calls" and not {"abandoned", "answered_at"} & set(columns):
        raise Refusal("INVALID_MAPPING", "nothing says who hung up; give --map abandoned=COLUMN or --map answered_at=COLUMN")
    if missing := [f for f in needed if f not in columns]:
        raise Refusal("INVALID_MAPPING", f"missing: {', '.join(missing)}; give --map {missing[0]}=COLUMN")
    return mapping


def read_rows(path: pathlib.Path, columns: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield a CSV or Parquet file's rows, only the columns asked for. Raise Refusal where one is missing."""
    if path.suffix == ".parquet":
        table = pyarrow.parquet.read_table(path)
    elif path.suffix == ".csv":
        as_text = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
        table = pyarrow.csv.read_csv(path, convert_options=as_text)
    else:
        raise Refusal("UNKNOWN_FORMAT", f"{path.name}: allowed: .csv, .parquet")
    wanted = sorted(set(columns))
    if missing := [c for c in wanted if c not in table.column_names]:
        raise Refusal("NO_SUCH_COLUMN", f"{', '.join(missing)} not in {path.name}; there are: {', '.join(table.column_names)}")
    for batch in table.select(wanted).to_batches(max_chunksize=10_000):
        yield from _plain_rows(batch)


def _plain_rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    names = batch.schema.names
    columns = []
    for name in names:
        column = batch.column(name)
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
        columns.append(column.to_pylist())
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


class BadRow(Exception):
    """A row that can't be taken: reason and detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def read_instant(value: Any, mapping: FileMapping) -> int:
    """Return the instant of a timestamp, local in the mapping's zone unless it has its own."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise BadRow("NO_TIME", f"{value!r} is not a time like 2026-03-25 14:30") from error
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time())
    if not isinstance(value, dt.datetime):
        raise BadRow("NO_TIME", f"{value!r} is not a time")
    if value.tzinfo is not None:
        return int(value.timestamp())
    zone = zone_of(mapping.zone)
    first, second = (value.replace(tzinfo=zone, fold=f) for f in (0, 1))
    if first.utcoffset() != second.utcoffset():
        if first.astimezone(dt.UTC).astimezone(zone).replace(tzinfo=None) != value:
            raise BadRow("NONEXISTENT_TIME", f"{value} is skipped by the clock change in {mapping.zone}")
        if mapping.ambiguous == "refuse":
            raise BadRow("AMBIGUOUS_TIME", f"{value} comes twice in {mapping.zone}; say --ambiguous first or second")
        return int((first if mapping.ambiguous == "first" else second).timestamp())
    return int(first.timestamp())


def _count(value: Any, name: str) -> int | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise BadRow("NO_NUMBER", f"{name} is {value!r}") from error
    if not math.isfinite(number) or number < 0 or number != int(number):
        raise BadRow("NO_COUNT", f"{name} is {value!r}; allowed: whole numbers from 0")
    return int(number)


def read_seconds(value: Any, name: str) -> float | None:
    """Return seconds, None where there are none. Raise BadRow."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise BadRow("NO_NUMBER", f"{name} is {value!r}") from error
    if not 0 <= number <= LONGEST_CALL_SECONDS:
        raise BadRow("IMPOSSIBLE_SECONDS", f"{name} is {value!r}; allowed: 0 to {LONGEST_CALL_SECONDS}")
    return number


def parse(path: pathlib.Path, mapping: FileMapping) -> Parsed:
    """Read a file. Raise Refusal where it can't be read at all."""
    parsed = Parsed([], [], 0, 0)
    cells: dict[int, Interval] = {}
    take = _take_interval if mapping.format == "interval" else _take_call
    for n, row in enumerate(read_rows(path, [*mapping.columns.values(), *mapping.where])):
        parsed.rows += 1
        if any(str(row[column]) != wanted for column, wanted in mapping.where.items()):
            parsed.skipped += 1
            continue
        try:
            take({field: row[column] for field, column in mapping.columns.items()}, mapping, cells)
        except BadRow as bad:
            parsed.refused.append(RefusedRow(n + 2, bad.reason, bad.detail))
    parsed.intervals = [cells[start] for start in sorted(cells)]
    return parsed


def _take_interval(row: Mapping[str, Any], mapping: FileMapping, cells: dict[int, Interval]) -> None:
    start = read_instant(row["start"], mapping)
    if start % mapping.interval_seconds:
        raise BadRow("MISALIGNED_INTERVAL", f"{row['start']} does not start an interval of {mapping.interval_seconds} s")
    if start in cells:
        raise BadRow(
            "DOUBLE_INTERVAL", f"{row['start']} comes twice; if the file holds several queues, choose one with --where"
        )
    offered = _count(row["offered"], "offered")
    if offered is None:
        raise BadRow("NO_NUMBER", "offered is empty")
    answered, abandoned = _count(row.get("answered"), "answered"), _count(row.get("abandoned"), "abandoned")
    if (answered or 0) + (abandoned or 0) > offered:
        raise BadRow("PARTS_EXCEED_OFFERED", f"answered {answered} + abandoned {abandoned} exceed offered {offered}")
    aht = read_seconds(row.get("aht_seconds"), "aht_seconds")
    handle = None
    if answered == 0:
        handle = 0
    elif aht is not None and answered is not None:
        handle = round(aht * answered * 1000)
    known = read_instant(row["known_at"], mapping) if row.get("known_at") is not None else None
    cells[start] = Interval(start, offered, answered, abandoned, handle, known_at=known)


def _take_call(row: Mapping[str, Any], mapping: FileMapping, cells: dict[int, Interval]) -> None:
    arrival = read_instant(row["arrival"], mapping)
    wait = read_seconds(row.get("wait_seconds"), "wait_seconds")
    talk = read_seconds(row.get("talk_seconds"), "talk_seconds")
    after = read_seconds(row.get("after_call_seconds"), "after_call_seconds") or 0.0
    answered_at = row.get("answered_at")
    if "abandoned" in mapping.columns:
        left = str(row["abandoned"]) in mapping.abandoned_values
    else:
        left = answered_at is None
    if wait is None and answered_at is not None:
        wait = float(max(read_instant(answered_at, mapping) - arrival, 0))
    start = arrival - arrival % mapping.interval_seconds
    waits_known = bool({"wait_seconds", "answered_at"} & set(mapping.columns))
    if waits_known and wait is None and not left:
        raise BadRow("NO_WAIT", "an answered call without a wait")
    cell = cells.setdefault(start, _empty_cell(start, waits_known, "talk_seconds" in mapping.columns))
    cell.offered += 1
    _add_call(cell, left, wait, (talk or 0.0) + after)


def _empty_cell(start: int, waits_known: bool, talk_known: bool) -> Interval:
    """Return an interval of a call file; what no column tells stays None."""
    bins = len(WAIT_EDGES) + 1
    cell = Interval(start, 0, 0, 0, 0 if talk_known else None)
    if waits_known:
        cell.answered_wait_ms, cell.answered_waits = 0, [0] * bins
    return cell


def _add_call(cell: Interval, left: bool, wait: float | None, handle: float) -> None:
    if left:
        cell.abandoned = (cell.abandoned or 0) + 1
        if wait is not None:
            cell.abandoned_wait_ms = (cell.abandoned_wait_ms or 0) + round(wait * 1000)
            cell.abandoned_waits = cell.abandoned_waits or [0] * (len(WAIT_EDGES) + 1)
            cell.abandoned_waits[bisect.bisect_left(WAIT_EDGES, wait)] += 1
        return
    cell.answered = (cell.answered or 0) + 1
    if cell.handle_ms is not None:
        cell.handle_ms += round(handle * 1000)
    if cell.answered_waits is not None and cell.answered_wait_ms is not None and wait is not None:
        cell.answered_wait_ms += round(wait * 1000)
        cell.answered_waits[bisect.bisect_left(WAIT_EDGES, wait)] += 1
