"""Files of forecasts: fractions of contacts and an AHT of their own are taken, nonsense is refused with its line."""

import pathlib

import pytest

from muster.client.imports import read_mapping
from muster.client.planned import Planned, read_planned


def planned(tmp_path: pathlib.Path, text: str, *pairs: str) -> Planned:
    path = tmp_path / "plan.csv"
    path.write_text(text)
    return read_planned(path, read_mapping(None, ["start=t", "offered=n", *pairs], zone="Europe/London"))


def test_what_is_expected_need_not_be_whole(tmp_path: pathlib.Path) -> None:
    found = planned(tmp_path, "t,n\n2026-03-25 09:30,12.25\n2026-03-25 09:00,7\n")
    assert [(i.start % 86_400, i.offered, i.aht_seconds) for i in found.intervals] == [
        (9 * 3600, 7.0, None),
        (9.5 * 3600, 12.25, None),
    ]
    assert not found.refused


def test_the_aht_is_read_though_nothing_was_answered_yet(tmp_path: pathlib.Path) -> None:
    found = planned(tmp_path, "t,n,s\n2026-03-25 09:00,7.5,310.5\n2026-03-25 09:30,0,0\n2026-03-25 10:00,1,\n", "aht_seconds=s")
    assert [i.aht_seconds for i in found.intervals] == [310.5, None, None]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2026-03-25 09:10,5", "MISALIGNED_INTERVAL"),
        ("2026-03-25 09:00,-0.5", "NO_NUMBER"),
        ("2026-03-25 09:00,", "NO_NUMBER"),
        ("2026-03-25 09:00,inf", "NO_NUMBER"),
        ("2026-03-25 09:00,many", "NO_NUMBER"),
        ("2026-03-25 08:00,4", "DOUBLE_INTERVAL"),
        ("2026-03-29 01:30,4", "NONEXISTENT_TIME"),
    ],
)
def test_nonsense_is_refused_and_the_rest_is_taken(tmp_path: pathlib.Path, row: str, reason: str) -> None:
    found = planned(tmp_path, f"t,n\n2026-03-25 08:00,3\n{row}\n")
    assert [(r.line, r.reason) for r in found.refused] == [(3, reason)]
    assert [i.offered for i in found.intervals] == [3.0]
