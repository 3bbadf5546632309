"""Files are taken row by row, or refused with line and reason."""

import pathlib

import pytest

from muster.client.imports import WAIT_EDGES, Parsed, parse, read_mapping
from muster.client.reports import messages
from muster.kit.errors import Refusal
from services.forecaster.volume_wire import check_observed


def intervals(tmp_path: pathlib.Path, text: str, *pairs: str, **flags: object) -> Parsed:
    path = tmp_path / "file.csv"
    path.write_text(text)
    return parse(path, read_mapping(None, ["start=t", "offered=n", *pairs], **flags))


def test_local_times_are_read_in_the_zone_given(tmp_path: pathlib.Path) -> None:
    parsed = intervals(tmp_path, "t,n\n2026-03-25 09:00:00,12\n", zone="America/New_York")
    assert [(i.start, i.offered) for i in parsed.intervals] == [(1_774_443_600, 12)]


def test_a_skipped_hour_and_a_double_hour_are_refused_with_line_and_reason(tmp_path: pathlib.Path) -> None:
    text = "t,n\n2026-03-29 01:30:00,1\n2026-10-25 01:30:00,2\n2026-10-25 03:00:00,3\n"
    parsed = intervals(tmp_path, text, zone="Europe/London")
    assert [(r.line, r.reason) for r in parsed.refused] == [(2, "NONEXISTENT_TIME"), (3, "AMBIGUOUS_TIME")]
    first = intervals(tmp_path, text, zone="Europe/London", ambiguous="first").intervals[0].start
    second = intervals(tmp_path, text, zone="Europe/London", ambiguous="second").intervals[0].start
    assert second - first == 3600


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2026-03-25 09:10:00,5", "MISALIGNED_INTERVAL"),
        ("2026-03-25 09:00:00,-5", "NO_COUNT"),
        ("2026-03-25 09:00:00,", "NO_NUMBER"),
        ("2026-03-25 09:00:00,1.5", "NO_COUNT"),
        ("2026-03-25 09:00:00,many", "NO_NUMBER"),
    ],
)
def test_nonsense_is_refused_and_the_rest_is_taken(tmp_path: pathlib.Path, row: str, reason: str) -> None:
    parsed = intervals(tmp_path, f"t,n\n2026-03-25 08:00:00,3\n{row}\n")
    assert [r.reason for r in parsed.refused] == [reason]
    assert len(parsed.intervals) == 1


def test_rows_of_other_queues_are_skipped_not_refused(tmp_path: pathlib.Path) -> None:
    text = "t,n,q\n2026-03-25 08:00:00,3,a\n2026-03-25 08:00:00,4,b\n"
    parsed = intervals(tmp_path, text, where={"q": "b"})
    assert (parsed.skipped, parsed.intervals[0].offered) == (1, 4)
    assert intervals(tmp_path, text).refused[0].reason == "DOUBLE_INTERVAL"


def test_calls_are_added_up_with_their_waits(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(
        "arrived,wait,talk,outcome\n2026-03-25 08:01:00,4,100,AGENT\n2026-03-25 08:10:00,25,200,AGENT\n"
        "2026-03-25 08:20:00,40,,HANG\n2026-03-25 08:21:00,4,-7,AGENT\n"
    )
    pairs = ["arrival=arrived", "wait_seconds=wait", "talk_seconds=talk", "abandoned=outcome"]
    parsed = parse(path, read_mapping(None, pairs, format="calls"))
    (cell,) = parsed.intervals
    assert (cell.offered, cell.answered, cell.abandoned, cell.handle_ms) == (3, 2, 1, 300_000)
    assert [r.reason for r in parsed.refused] == ["IMPOSSIBLE_SECONDS"]
    ((count, message),) = messages("bank/calls", "import", parsed.intervals, 1800, 1)
    tally = check_observed(message).row_by_row().reports[0].tally
    assert count == 1
    assert tally.answered_waits is not None
    assert sum(tally.answered_waits[: WAIT_EDGES.index(20) + 1]) == 1


def test_a_mapping_that_makes_no_sense_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(Refusal, match="give --map start=COLUMN"):
        read_mapping(None, ["offered=n"])
    with pytest.raises(Refusal, match="no such field"):
        read_mapping(None, ["start=t", "offered=n", "colour=c"])
    with pytest.raises(Refusal, match="not an IANA zone"):
        read_mapping(None, ["start=t", "offered=n"], zone="Mars/Base")
    (tmp_path / "file.csv").write_text("a\n1\n")
    with pytest.raises(Refusal, match="there are: a"):
        parse(tmp_path / "file.csv", read_mapping(None, ["start=t", "offered=n"]))


def test_importing_twice_sends_the_same_bytes(tmp_path: pathlib.Path) -> None:
    parsed = intervals(tmp_path, "t,n\n2026-03-25 08:00:00,3\n")
    one, two = (
        [m.SerializeToString(deterministic=True) for _, m in messages("a/b", "import", parsed.intervals, 1800, 1)]
        for _ in range(2)
    )
    assert one == two


def test_what_no_column_tells_is_not_observed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text("arrived,outcome\n2026-03-25 08:01:00,AGENT\n2026-03-25 08:02:00,HANG\n")
    (cell,) = parse(path, read_mapping(None, ["arrival=arrived", "abandoned=outcome"], format="calls")).intervals
    assert (cell.offered, cell.answered, cell.abandoned) == (2, 1, 1)
    assert (cell.handle_ms, cell.answered_waits, cell.abandoned_waits) == (None, None, None)
    with pytest.raises(Refusal, match="who hung up"):
        read_mapping(None, ["arrival=arrived"], format="calls")
