"""The forecaster's domain → protobuf: closed intervals, forecasts, how good they were."""

from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from muster.kit.codec import decode, encode
from muster.kit.outbox import Outgoing
from muster.v1 import book_pb2, forecast_pb2, forecaster_service_pb2, volume_pb2
from services.forecaster.domain.accuracy import Added, Score, Weekly, is_of_aht
from services.forecaster.domain.facts import PublishedDay
from services.forecaster.domain.queue_forecast import LEVELS
from services.forecaster.domain.volume import Cell

CLOSED = "muster.volume.closed.v1"
PUBLISHED = "muster.forecast.published.v1"
PARTS = ("level_count", "weekday_factor", "month_factor", "special_factor", "form_factor", "trend_factor")


def cell_message(
    queue: str, seconds: int, cell: Cell, revision: int, is_closed: bool, complete_through: int, censored: bool = False
) -> volume_pb2.VolumeCell:
    """Return a cell on the wire."""
    t = cell.tally
    message = volume_pb2.VolumeCell(
        queue=queue,
        starts_at=Timestamp(seconds=cell.starts_at),
        interval_seconds=seconds,
        revision=revision,
        basis=book_pb2.BASIS_OFFICIAL if cell.official else book_pb2.BASIS_REALTIME,
        closed=is_closed,
        offered_count=t.offered,
        answered_count=t.answered,
        abandoned_count=t.abandoned,
        overflowed_out_count=t.overflowed,
        open_count=t.open,
        handled_count=t.handled,
        handle_milliseconds_sum=t.handle_ms,
        answered_wait_milliseconds_sum=t.answered_wait_ms,
        abandoned_wait_milliseconds_sum=t.abandoned_wait_ms,
        short_abandoned_count=t.short_abandoned,
        wait_edges_milliseconds=t.edges,
        answered_waits=t.answered_waits or (),
        abandoned_waits=t.abandoned_waits or (),
        interpolated=cell.interpolated,
        other_basis_offered_count=cell.other_offered,
        talk_milliseconds_sum=t.talk_ms,
        hold_milliseconds_sum=t.hold_ms,
        after_call_milliseconds_sum=t.after_call_ms,
        handle_squares_sum=t.handle_squares,
        answered_wait_squares_sum=t.answered_wait_squares,
        attribution=volume_pb2.Attribution.ValueType(cell.attribution),
        censored=censored,
    )
    if complete_through:
        message.complete_through.seconds = complete_through
    return message


def closed_message(
    queue: str, seconds: int, cell: Cell, revision: int, complete_through: int, locked: float | None = None
) -> Outgoing:
    """Return the message that tells what an interval became. locked: contacts that the contract locked for it."""
    told = cell_message(queue, seconds, cell, revision, True, complete_through)
    body = volume_pb2.VolumeClosed(cell=told, locked_count=locked)
    return Outgoing(CLOSED, queue, encode(body))


def day_message(day: PublishedDay) -> forecast_pb2.ForecastDay:
    """Return a forecast day on the wire."""
    trigger = forecast_pb2.ForecastTrigger.Value(f"FORECAST_TRIGGER_{day.trigger}")
    return forecast_pb2.ForecastDay(
        queue=day.queue,
        local_date=day.local_date,
        interval_seconds=day.seconds,
        starts_at_epoch_seconds=day.starts,
        version=day.version,
        source=forecast_pb2.FORECAST_SOURCE_ENGINE,
        trigger=trigger,
        offered_count=day.offered,
        aht_seconds=day.aht,
        quantile_levels=LEVELS,
        offered_quantiles=[q for row in day.offered_quantiles for q in row],
        aht_quantiles=[q for row in day.aht_quantiles for q in row],
        rests_on=day.rests_on,
        history_days=day.history_days,
        data_watermark=Timestamp(seconds=day.data_watermark),
        made_at=Timestamp(seconds=day.made_at),
        day_factor=day.day_factor,
        statistical_offered_count=day.statistical,
        statistical_aht_seconds=day.statistical_aht,
        overrides=day.overrides,
        day_total_quantiles=day.total_quantiles,
        between_days_correlation=day.between_days,
        workload_quantiles=[q for row in day.workload_band() for q in row],
        day_workload_quantiles=day.work_total_quantiles,
        parts=forecast_pb2.ForecastParts(**dict(zip(PARTS, day.parts, strict=False))) if day.parts else None,
    )


def _parts(parts: forecast_pb2.ForecastParts) -> tuple[float, ...]:
    """Return a day's factors; days that were forecast before growth was told have none of it."""
    return tuple(getattr(parts, name) for name in (PARTS if parts.HasField("trend_factor") else PARTS[:-1]))


def read_day(value: bytes) -> PublishedDay:
    """Return a forecast day as it was published."""
    m = decode(forecast_pb2.ForecastPublished, value, {}).day
    width = len(m.quantile_levels)

    def rows(flat: Sequence[float]) -> list[list[float]]:
        return [list(flat[i : i + width]) for i in range(0, len(flat), width)]

    return PublishedDay(
        m.queue,
        m.local_date,
        m.interval_seconds,
        list(m.starts_at_epoch_seconds),
        [m.version] * len(m.starts_at_epoch_seconds),
        list(m.offered_count),
        list(m.aht_seconds),
        rows(m.offered_quantiles),
        rows(m.aht_quantiles),
        forecast_pb2.ForecastTrigger.Name(m.trigger).removeprefix("FORECAST_TRIGGER_"),
        m.rests_on,
        m.history_days,
        0.0,
        m.data_watermark.seconds,
        m.made_at.seconds,
        m.version,
        m.day_factor if m.HasField("day_factor") else None,
        parts=_parts(m.parts) if m.HasField("parts") else (),
        statistical=list(m.statistical_offered_count),
        statistical_aht=list(m.statistical_aht_seconds),
        overrides=list(m.overrides),
        total_quantiles=list(m.day_total_quantiles),
        between_days=m.between_days_correlation,
        workload_quantiles=rows(m.workload_quantiles),
        work_total_quantiles=list(m.day_workload_quantiles),
    )


def accuracy_message(queue: str, lead: int, s: Score, hours: Weekly | None = None) -> forecaster_service_pb2.ForecastAccuracy:
    """Return a score on the wire, with its hours a week."""
    base = max(s.offered, 1e-9)
    return forecaster_service_pb2.ForecastAccuracy(
        queue=queue,
        lead_days=lead,
        interval_count=s.intervals,
        offered_count=s.offered,
        wape=s.wrong / base,
        statistical_wape=s.statistical_wrong / base,
        naive_wape=s.naive_wrong / s.naive_offered if s.naive_offered else None,
        bias=s.over / base,
        inside_80=s.in_80 / s.intervals,
        inside_95=s.in_95 / s.intervals,
        poisson_wape=s.limit / base,
        wrong_hours=s.wrong_hours,
        statistical_hours=s.statistical_hours,
        naive_hours=s.naive_hours,
        over_hours_per_week=hours.over if hours else None,
        under_hours_per_week=hours.under if hours else None,
        statistical_hours_per_week=hours.statistical if hours else None,
        naive_hours_per_week=hours.naive if hours and s.naive_days else None,
    )


def value_message(queue: str, words: str, value: Added) -> forecaster_service_pb2.ForecastValue:
    """Return what an override added on the wire; its words read "name: what, owner: reason"."""
    name, _, rest = words.partition(": ")
    owner, _, reason = rest.partition(", ")[2].partition(": ")
    base = max(value.offered, 1e-9)
    return forecaster_service_pb2.ForecastValue(
        queue=queue,
        override=name,
        owner=owner,
        reason=reason,
        interval_count=value.intervals,
        offered_count=value.offered,
        statistical_wape=value.wrong_without / base,
        wape=value.wrong_with / base,
        saved_hours=value.saved_hours,
        measure="AHT" if is_of_aht(words) else "VOLUME",
    )


def published_message(day: PublishedDay) -> Outgoing:
    """Return the message that publishes a forecast day."""
    return Outgoing(PUBLISHED, day.queue, encode(forecast_pb2.ForecastPublished(day=day_message(day))))
