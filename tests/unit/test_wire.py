"""What arrives is read, or refused with its reason; nothing else ever comes out of a decoder."""

import contextlib
import json
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.kit.errors import Refusal
from muster.v1 import attendance_pb2, forecast_pb2, volume_pb2
from services.forecaster.volume_wire import check_observed, read_observed, read_progress
from services.scheduler.wire import read_attendance, read_decision, read_requirement
from services.staffing import wire as staffing_wire
from services.staffing.domain.facts import merge_forecast
from services.staffing.wire import read_closed, read_floor, read_forecast, read_schedule

DECODERS = [
    read_observed,
    read_progress,
    read_requirement,
    read_decision,
    read_attendance,
    staffing_wire.read_attendance,
    read_forecast,
    read_closed,
    read_floor,
    read_schedule,
]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(DECODERS))
def test_bytes_are_read_or_refused(value: bytes, decoder: Any) -> None:
    with contextlib.suppress(Refusal):
        assert decoder(value, {}) is not None


@pytest.mark.parametrize("threshold", ["NaN", "Infinity", "-1"])
def test_an_impossible_threshold_is_refused(threshold: str) -> None:
    within = [{"thresholdSeconds": threshold, "count": "1"}]
    report = {"startsAt": "2026-03-25T08:00:00Z", "intervalSeconds": 1800, "answeredCount": "3", "answeredWithin": within}
    text = json.dumps({"queue": "a/b", "reports": [report]})
    with pytest.raises(Refusal) as caught:
        read_observed(text.encode(), {})
    assert caught.value.reason in ("INVALID_REPORT", "NOT_JSON")


def test_an_absence_that_ends_before_it_starts_is_refused() -> None:
    told = attendance_pb2.AttendanceReported(attendance_id="a1", agent="ada", kind=attendance_pb2.ATTENDANCE_KIND_SICK)
    told.starts_at.seconds, told.ends_at.seconds = 2000, 1999
    for decoder in (read_attendance, staffing_wire.read_attendance):
        with pytest.raises(Refusal) as caught:
            decoder(told.SerializeToString(), {})
        assert caught.value.reason == "INVALID_SPAN"
    told.ends_at.seconds = 2000
    assert staffing_wire.read_attendance(told.SerializeToString(), {}).ends_at == 2000


def test_a_busy_days_sums_are_not_held_to_a_contacts_limit() -> None:
    message = volume_pb2.VolumeObserved(queue="a/b", feed="live")
    message.reports.add(
        starts_at=Timestamp(seconds=1_774_396_800), interval_seconds=86_400, answered_count=10_000, talk_seconds_sum=3e6
    )
    assert check_observed(message).reports[0].tally.handle_ms == 3_000_000_000


def published(starts: list[int], version: int, trigger: Any) -> Any:
    day = forecast_pb2.ForecastDay(
        queue="a/b", local_date="2026-03-25", interval_seconds=1800, version=version, trigger=trigger
    )
    day.starts_at_epoch_seconds.extend(starts)
    day.offered_count.extend([1.0] * len(starts))
    day.aht_seconds.extend([200.0] * len(starts))
    return read_forecast(forecast_pb2.ForecastPublished(day=day).SerializeToString(), {})


def test_a_new_whole_day_takes_intervals_away_and_an_intraday_one_does_not() -> None:
    nightly, intraday = published([0, 1800], 1, 1), published([1800], 2, 3)
    assert merge_forecast(nightly, intraday).starts == [0, 1800]
    holiday = published([], 3, 2)
    assert merge_forecast(merge_forecast(nightly, intraday), holiday).starts == []
    assert merge_forecast(holiday, nightly).version == 3
