"""Tables on a narrow terminal: nothing is cut off, and files and pipes are as they were."""

import io

import pytest
from rich.console import Console

from muster.cli.connection import table_of

CELLS = ["123.4", "101.2", "150.6", "312", "280", "345", "10.70", "8.81", "13.02", "123.4", "312"]
ROWS = [f"Wed 2026-03-25 {hour:02}:00 GMT" for hour in range(8, 11)]
HEADS = ("offered", "10 %", "90 %", "AHT s", "10 %", "90 %", "work h", "10 %", "90 %", "statistics", "AHT")


def printed(width: int, terminal: bool = True, more: str = "") -> list[str]:
    out = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    table = table_of("Forecast", "interval", *HEADS, words=("AHT",))
    for row in [*ROWS, more] if more else ROWS:
        table.add_row(row, *CELLS)
    out.print(table)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 90, 100, 120, 140])
def test_no_word_is_cut_at_any_width(width: int) -> None:
    lines = printed(width)
    assert not any("…" in line for line in lines)
    assert max(map(len, lines)) <= width
    for head in ("statistics", "offered", "interval"):
        assert sum(head in line for line in lines) == 1


def test_columns_that_need_more_than_a_word_share_what_is_left() -> None:
    out = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
    table = table_of("Incidents", "day", "came", "why", words=("why",))
    table.add_row("2026-03-25", "1,234", "six times what its weekday brought around it; declare an event to have it count")
    out.print(table)
    assert isinstance(out.file, io.StringIO)
    lines = [line for line in out.file.getvalue().splitlines() if "│" in line]
    assert len(lines) == 3
    assert " ".join(line.split("│")[3].strip() for line in lines).endswith("to have it count")


def test_at_eighty_columns_each_row_is_one_line_and_whole() -> None:
    lines = printed(80)
    assert not any("…" in line for line in lines)
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines if line.startswith(("08", "09", "10"))]
    assert [r[0] for r in rows] == ["08:00", "09:00", "10:00"]
    assert all(r[1:] == CELLS for r in rows)
    assert lines[-1].strip() == "times of 2026-03-25, GMT"


def test_instants_of_several_days_keep_their_day() -> None:
    lines = printed(80, more="Thu 2026-03-26 08:00 GMT")
    assert [line[:11] for line in lines if "123.4" in line] == ["03-25 08:00", "03-25 09:00", "03-25 10:00", "03-26 08:00"]
    assert lines[-1].strip() == "times of 2026, GMT"


def test_where_there_is_room_instants_are_whole_and_on_one_line() -> None:
    for lines in (printed(160), printed(60, terminal=False)):
        assert not any(line.startswith("times of") for line in lines)
    assert sum("Wed 2026-03-25 09:00 GMT" in line for line in printed(160)) == 1


def test_words_stand_on_the_left() -> None:
    assert all(line.split("│")[-2] == " 312 " for line in printed(160) if "Wed" in line)


def test_where_not_even_words_fit_paths_are_broken_and_then_words_but_nothing_is_lost() -> None:
    for width, broken in ((32, "northwind/"), (26, "northwind/"), (16, "north")):
        out = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
        table = table_of("Attainment", "contract", "metric", "to date")
        table.add_row("northwind/billing", "SERVICE_LEVEL", "82.93%")
        out.print(table)
        assert isinstance(out.file, io.StringIO)
        lines = out.file.getvalue().splitlines()
        assert any(line.startswith(broken) for line in lines)
        assert "…" not in out.file.getvalue()
        assert max(map(len, lines)) <= width
        assert width < 20 or "82.93%" in out.file.getvalue()  # a number is not broken before a head is
