"""The picture of past forecasts: round marks, hours and the unit of what is drawn."""

import datetime as dt

import pytest

from muster.cli.picture import _marks, forecast_picture


@pytest.mark.parametrize(
    ("top", "marks"),
    [
        (71.4, [0, 20, 40, 60]),
        (5.3, [0, 2, 4]),
        (1.05, [0, 0.5, 1.0]),
        (998.0, [0, 200, 400, 600, 800]),
        (230.0, [0, 50, 100, 150, 200]),
    ],
)
def test_the_axis_has_round_marks(top: float, marks: list[float]) -> None:
    assert _marks(top) == pytest.approx(marks)


def test_the_picture_says_what_it_shows_and_when() -> None:
    begin = dt.datetime(2026, 3, 25, 8)
    starts = [begin + dt.timedelta(minutes=15 * n) for n in range(40)]
    drawn = forecast_picture("acme/help, UTC", starts, [70.0] * 40, [60.0] * 40, [50.0] * 40, [80.0] * 40)
    assert "contacts each 15 min" in drawn
    assert ">12:00<" in drawn
    assert ">18:00<" not in drawn  # the last begins at a quarter to six
    assert ">80<" in drawn
