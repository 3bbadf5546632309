"""Protobuf ⇄ forecasts beside the engine's: what is received, compared and tested."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from muster.domain.calendar import zone_of
from muster.kit.codec import decode, encode
from muster.kit.errors import Refusal
from muster.kit.outbox import Outgoing
from muster.v1 import forecast_pb2
from muster.v1 import forecaster_service_pb2 as pb
from services.forecaster.domain.accuracy import Score
from services.forecaster.domain.backtest import Backtest
from services.forecaster.domain.comparing import Comparison
from services.forecaster.domain.facts import Said
from services.forecaster.errors import refuse
from services.forecaster.wire import accuracy_message

RECEIVED = "muster.forecast.received.v1"
SOURCES = {forecast_pb2.FORECAST_SOURCE_CLIENT: "CLIENT", forecast_pb2.FORECAST_SOURCE_AGREED: "AGREED"}
MOST_INTERVALS = 10_000
MOST_CONTACTS = 1e7
LATEST = 2**32
LONGEST_NAME = 100
LONGEST_AHT = 86_400.0


def check_received(message: forecast_pb2.ForecastReceived) -> forecast_pb2.ForecastReceived:
    """Return a received forecast, checked. Raise Refusal: NO_QUEUE, INVALID_FORECAST."""
    client, slash, name = message.queue.partition("/")
    if not (client and slash and name) or len(message.queue) > 127:
        raise refuse("NO_QUEUE", f"queue is {message.queue[:60]!r}; allowed: client/queue")
    if message.source not in SOURCES:
        raise refuse("INVALID_FORECAST", f"source is {message.source}; allowed: CLIENT, AGREED")
    starts, offered, aht = message.starts_at_epoch_seconds, message.offered_count, message.aht_seconds
    if not 1 <= len(starts) <= MOST_INTERVALS or len(offered) != len(starts) or len(aht) not in (0, len(starts)):
        counts = f"{len(starts)} starts, {len(offered)} counts, {len(aht)} AHT"
        raise refuse("INVALID_FORECAST", f"{counts}; allowed: as many of each (AHT: or none), 1 to {MOST_INTERVALS:,}")
    if any(not 0 < start < LATEST or start % 900 for start in starts) or len(set(starts)) != len(starts):
        raise refuse(
            "INVALID_FORECAST", "starts_at_epoch_seconds holds what is no quarter of an hour, in seconds, or one twice"
        )
    if len(message.sent_by) > LONGEST_NAME or not message.sent_by.isprintable():
        raise refuse(
            "INVALID_FORECAST", f"sent_by is {message.sent_by[:20]!r}…; allowed: up to {LONGEST_NAME} printable characters"
        )
    if strange := [v for v in offered if not 0 <= v <= MOST_CONTACTS]:
        raise refuse("INVALID_FORECAST", f"offered_count holds {strange[0]}; allowed: 0 to {MOST_CONTACTS:g}")
    if strange := [v for v in aht if not 0 < v <= LONGEST_AHT]:
        raise refuse("INVALID_FORECAST", f"aht_seconds holds {strange[0]}; allowed: above 0 to {LONGEST_AHT:g}")
    if not 0 <= message.revision < 2**62:
        raise refuse("INVALID_FORECAST", f"revision is {message.revision}; allowed: 0 to 2^62 - 1")
    return message


def read_received(value: bytes | None, headers: Mapping[str, bytes]) -> Said:
    """Decode muster.forecast.received.v1. Raise Refusal."""
    return said_of(check_received(decode(forecast_pb2.ForecastReceived, value, headers)))


def said_of(m: forecast_pb2.ForecastReceived) -> Said:
    """Return a checked message as what it says, in order of time."""
    order = sorted(range(len(m.starts_at_epoch_seconds)), key=m.starts_at_epoch_seconds.__getitem__)
    starts, offered = [m.starts_at_epoch_seconds[p] for p in order], [m.offered_count[p] for p in order]
    aht = [m.aht_seconds[p] for p in order] if m.aht_seconds else []
    return Said(m.queue, SOURCES[m.source], m.revision, m.sent_by, starts, offered, aht)


def check_grid(said: Said, seconds: int, zone: str) -> None:
    """Raise Refusal(MISALIGNED_INTERVAL) where a forecast is not of a queue's intervals, of so many seconds: off their grid, or of longer
    ones. A day of half-hours beside quarter-hours would have each first quarter hold twice too much, and each second nothing."""
    if off := [s for s in said.starts if s % seconds]:
        raise refuse("MISALIGNED_INTERVAL", f"{off[0]} is no start of an interval of {seconds} s")
    for day in said.days(zone, 0):
        spacing = day.spacing()
        if spacing is not None and spacing > seconds:
            why = f"{day.local_date} is told in steps of {spacing} s, and {said.queue} has intervals of {seconds} s"
            then = f"send one value for each {seconds} s, together as much as the longer one"
            raise refuse("MISALIGNED_INTERVAL", f"{why}; {then}")


def received_message(message: forecast_pb2.ForecastReceived) -> Outgoing:
    """Return a forecast received over gRPC as the message a client system would have sent."""
    return Outgoing(RECEIVED, message.queue, encode(message))


def comparison_message(c: Comparison) -> pb.ForecastComparison:
    """Return a comparison on the wire."""
    source = f"FORECAST_SOURCE_{c.locked_source}" if c.locked_source else "FORECAST_SOURCE_UNSPECIFIED"
    return pb.ForecastComparison(
        local_date=c.local_date,
        starts_at_epoch_seconds=c.starts,
        engine_count=c.engine,
        client_count=c.client,
        agreed_count=c.agreed,
        locked_count=c.locked,
        offered_count=c.came,
        locked_source=forecast_pb2.ForecastSource.Value(source),
        locked_at=Timestamp(seconds=c.locked_at) if c.locked_at is not None else None,
        tolerance_up=c.tolerance.up,
        tolerance_down=c.tolerance.down,
        outside=c.outside,
        day_outside=c.day_outside,
        relieved=c.relieved if any(c.relieved) else [],
        day_relieved=c.day_relieved,
    )


def check_backtest_cells(message: pb.BacktestCells) -> dict[str, Any]:
    """Return a file's cells, checked, as data. Raise Refusal(INVALID_BACKTEST)."""
    try:
        zone_of(message.zone)
    except ValueError as error:
        raise Refusal("INVALID_BACKTEST", f"zone: {error}") from error
    if message.interval_seconds not in (900, 1800):
        raise Refusal("INVALID_BACKTEST", f"interval_seconds is {message.interval_seconds}; allowed: 900, 1800")
    starts, offered = list(message.starts_at_epoch_seconds), list(message.offered_count)
    if len(starts) != len(offered) or any(b <= a for a, b in itertools.pairwise(starts)):
        raise Refusal("INVALID_BACKTEST", f"{len(starts)} starts, {len(offered)} counts; allowed: as many, starts ascending")
    if (
        not starts
        or not 0 < starts[0] <= starts[-1] < LATEST
        or min(offered) < 0
        or max(offered) > MOST_CONTACTS
        or any(s % message.interval_seconds for s in starts)
    ):
        raise Refusal("INVALID_BACKTEST", "cells are missing, negative, or not on the intervals' grid")
    return {"zone": message.zone, "seconds": message.interval_seconds, "starts": starts, "offered": offered}


def backtest_data(result: Backtest) -> dict[str, Any]:
    """Return a backtest as JSON-able data."""
    rows = [
        [*lead, vars(found.score), found.usual_wrong, found.usual_offered]
        for lead, found in sorted(result.leads.items())
        if found.score.offered > 0
    ]
    return {"origins": result.origins, "rows": rows, "shown": result.shown}


def backtest_message(data: dict[str, Any]) -> pb.GetBacktestResponse:
    """Return a finished backtest on the wire."""
    answer = pb.GetBacktestResponse(done=True, origin_count=data["origins"])
    for first, last, score, wrong, offered in data["rows"]:
        accuracy = accuracy_message("", first, Score(**score))
        usual = wrong / offered if offered else None
        answer.rows.append(pb.BacktestRow(first_lead_days=first, last_lead_days=last, accuracy=accuracy, eight_week_wape=usual))
    for start, came, expected, low, high in data["shown"]:
        answer.starts_at_epoch_seconds.append(start)
        answer.offered_count.append(came)
        answer.expected_count.append(expected)
        answer.low_count.append(max(low, 0.0))
        answer.high_count.append(high if math.isfinite(high) else expected)
    return answer
