"""What a planner looks at of forecasts, by the command: theirs and ours, far ahead and back, why, and how good they were."""

import datetime as dt
import pathlib
import time

import pytest

from tests.support.command import muster, rows_of


def compare_forecasts(home: pathlib.Path, folder: pathlib.Path) -> None:
    path = folder / "client.csv"
    times = [f"2026-03-{day} {hour:02}:{minute:02}" for day in (25, 26, 27) for hour in range(8, 20) for minute in (0, 30)]
    path.write_text("start,calls\n" + "".join(f"{t},20\n" for t in times) + "2026-03-27 21:00,none\n")
    words = ("forecast", "import", str(path), "--queue", "acme/help", "--map", "start=start", "--map", "offered=calls")
    told = muster(home, *words, "--zone", "Europe/London", "--sent-by", "ann")
    assert "told as CLIENT: 72 intervals of 2026-03-25 to 2026-03-27, 1 rows refused" in told
    deadline = time.monotonic() + 20
    while True:
        shown = muster(home, "forecast", "compare", "acme/help", "--from", "2026-03-25", "--to", "2026-03-27")
        days = rows_of(shown, "2026-03-2")
        if days[0][2] == "480":
            break
        assert time.monotonic() < deadline, shown
    today, tomorrow, later = days
    assert today[5].startswith("ENGINE, Tue 2026-03-24")  # the client's came after the lock
    assert today[7].endswith("OUTSIDE")  # 50 came where 30 had been expected
    assert today[8] == "5 of 5"
    assert today[9] == "TARGET: day, 1 interval"  # the others closed before the lock was declared
    explained = muster(home, "contract", "attainment", "acme", "--explain")
    assert rows_of(explained, "Wed 2026-03-25 10:00")[0][1:3] == ["acme/help", "50"]
    assert "left out as relieved: 1; to date" in explained
    assert tomorrow[4] != "–"
    assert later[5].startswith("open until Thu 2026-03-26")
    assert "+10% and -10%" in shown
    assert "allowed: client, agreed" in muster(home, *words, "--source", "mine", fails=True)


def look_far_and_back(home: pathlib.Path, folder: pathlib.Path) -> None:
    ruled = rows_of(muster(home, "forecast", "incidents", "acme/help"), "2026-03-18")
    assert ruled[0][4] == "EVENT"
    assert ruled[0][5].startswith("acme/outage: the lines were down")
    assert muster(home, "forecast", "incidents", "acme/sales").startswith("none") is False
    months = rows_of(muster(home, "forecast", "outlook", "acme/help"), "202")
    assert len(months) == 13
    assert len(rows_of(muster(home, "forecast", "outlook", "acme/help", "--by", "week"), "202")) in (53, 54)
    assert "allowed: DAY, WEEK, MONTH" in muster(home, "forecast", "outlook", "acme/help", "--by", "year", fails=True)
    picture = folder / "back.svg"
    tested = muster(home, "backtest", "acme/help", "--weeks", "2", "--picture", str(picture))
    assert float(rows_of(tested, "1")[0][2].rstrip("%")) < 15  # all days of the past brought nearly the same
    assert picture.read_text().startswith("<svg")
    assert "TOO_LITTLE_HISTORY" not in tested
    path = folder / "other.csv"
    days = [dt.datetime(2026, 1, 5) + dt.timedelta(days=n, minutes=30 * slot) for n in range(42) for slot in range(18, 34)]
    path.write_text("when,n\n" + "".join(f"{d:%Y-%m-%d %H:%M},{10 + d.weekday()}\n" for d in days))
    filed = muster(home, "backtest", str(path), "--map", "start=when", "--map", "offered=n", "--zone", "Asia/Manila")
    assert float(rows_of(filed, "1")[0][2].rstrip("%")) < 8
    path.write_text("when,n\n2026-01-05 10:00,4\n")
    assert "needed: more than 14" in muster(
        home, "backtest", str(path), "--map", "start=when", "--map", "offered=n", fails=True
    )


def sizes_of(explained: str) -> dict[str, str]:
    """Return the parts of an explained interval with their sizes."""
    return {row.split("│")[1].strip(): row.split("│")[2].strip() for row in explained.splitlines() if row.count("│") == 3}


def look_at_forecasts(home: pathlib.Path) -> None:
    words = ("forecast", "show", "acme/help", "--day", "2026-03-26")
    now = muster(home, *words)
    assert "override acme/spring-sale: VOLUME MULTIPLY 1.5, ops: mailing of the 25th" in now
    assert "statistical" in now
    assert "override" not in muster(home, *words, "--as-believed-at", "2026-03-25T10:00")
    explained = muster(home, "forecast", "explain", "acme/help", "2026-03-26T09:00")
    assert "level: contacts on a mean open day" in explained
    sizes = sizes_of(explained)
    assert float(sizes["final"]) == pytest.approx(1.5 * float(sizes["statistical"]), rel=0.01)
    assert float(sizes["overrides"]) == pytest.approx(0.5 * float(sizes["statistical"]), rel=0.02)
    assert float(sizes["× growth up to the day"]) == pytest.approx(1.0, abs=0.2)
    assert sizes["AHT s, final"] == sizes["AHT s, statistical"]
    asked = sizes_of(muster(home, "forecast", "explain", "acme/help", "2026-03-26T12:00"))
    assert int(asked["AHT s, final"]) == pytest.approx(int(asked["AHT s, statistical"]) + 30, abs=1)
    noon = rows_of(now, "Thu 2026-03-26 12:00")[0]
    assert int(noon[4]) == pytest.approx(int(noon[-1]) + 30, abs=1)
    today = sizes_of(muster(home, "forecast", "explain", "acme/help", "2026-03-25T15:00"))
    day, share, so_far = (today[k] for k in ("= the day, as fitted", "the interval's share of the day", "× today so far"))
    assert float(so_far) > 1.1  # 50 came where 30 had been expected
    assert today["overrides"] == "+0.00"
    product = float(day.replace(",", "")) * float(share.rstrip("%")) / 100 * float(so_far)
    assert product == pytest.approx(float(today["final"]), rel=0.01)
    accuracy = muster(home, "forecast", "accuracy", "acme")
    assert "Poisson limit" in accuracy
    assert "all" in accuracy
    assert "Staffed hours a week" in accuracy
    assert "no queue or client 'nobody'" in muster(home, "forecast", "accuracy", "nobody", fails=True)
    assert "NO_SUCH_INTERVAL" in muster(home, "forecast", "explain", "acme/help", "2026-03-26T03:00", fails=True)
