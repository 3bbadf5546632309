"""The `muster` command against running services: what a planner types, and what they see."""

import asyncio
import csv
import pathlib
from typing import Any

from icalendar import Calendar
from kafka import KafkaProducer

from muster.client.publisher import VolumePublisher
from muster.v1 import volume_pb2
from tests.support.command import muster, rows_of
from tests.support.planner_forecasts import compare_forecasts, look_at_forecasts, look_far_and_back
from tests.support.small_world import HOUR, QUEUES, WEDNESDAY, SmallWorld, book, reports, small_world


def tell_kafka(small: SmallWorld, home: pathlib.Path) -> None:
    (home / "kafka.address.json").write_text(f'{{"bootstrap": "{small.bootstrap}", "world": "{small.world}"}}')


def test_what_a_planner_types(tmp_path: pathlib.Path, bootstrap: str, world: str) -> None:
    home = tmp_path / "home"

    async def run() -> None:
        async with small_world(home, bootstrap, world) as small:
            tell_kafka(small, home)
            await small.start()
            for n in range(1, 5):
                now = WEDNESDAY + 8 * HOUR + n * 1800
                for queue in QUEUES:
                    await small.volume(reports(queue, now - 1800, now, 50 if queue.endswith("help") else 30))
                await small.complete(now)
                await small.conductor.tick(now)
            await asyncio.to_thread(look, home, tmp_path)
            await asyncio.to_thread(publish_and_refuse, small)
            await small.conductor.tick(WEDNESDAY + 10 * HOUR + 300)
            await asyncio.to_thread(look_again, home)
            await asyncio.to_thread(small.apply, with_channels(with_forecasters(book())))
            for seconds in (
                600,
                660,
            ):  # staffing publishes its book while it reaches the first; the forecaster fits at the next
                await small.conductor.tick(WEDNESDAY + 10 * HOUR + seconds)
            for queue in QUEUES:
                now = WEDNESDAY + 10 * HOUR + 1800
                await small.volume(reports(queue, now - 1800, now, 50 if queue.endswith("help") else 30))
            await small.complete(now)
            await small.conductor.tick(now)
            await asyncio.to_thread(look_at_forecasts, home)
            await asyncio.to_thread(play_channels, home)
            await asyncio.to_thread(compare_forecasts, home, tmp_path)
            await asyncio.to_thread(look_far_and_back, home, tmp_path)

    asyncio.run(run())


SALE = {
    "name": "acme/spring-sale",
    "queue": "acme/help",
    "operation": "MULTIPLY",
    "value": 1.5,
    "starts": "2026-03-26",
    "ends": "2026-03-27",
    "owner": "ops",
    "reason": "mailing of the 25th",
}


OUTAGE = {
    "name": "acme/outage",
    "first_date": "2026-03-18",
    "last_date": "2026-03-18",
    "owner": "ops",
    "reason": "the lines were down",
}


def with_forecasters(data: dict[str, Any]) -> dict[str, Any]:
    """Return the book with an override, an event, and a contract that locks forecasts a day before."""
    data["contracts"][0]["lock"] = {"days_ahead": 1, "tolerance_up": 0.1, "tolerance_down": 0.1}
    longer = {**SALE, "name": "acme/longer", "measure": "AHT", "operation": "ADD", "value": 30, "starts": "2026-03-26T12:00"}
    return {**data, "overrides": [SALE, {**longer, "ends": "2026-03-26T13:00", "reason": "questions"}], "events": [OUTAGE]}


def with_channels(data: dict[str, Any]) -> dict[str, Any]:
    """Return the book with chat, mail and outbound, none of them known by more than their declared weeks."""
    plain = {k: v for k, v in data["queues"][0].items() if k not in ("patience", "cold_start")}
    cold = {"cold_start": {"weekly_offered_count": 1400, "aht_seconds": 300}}
    chat = {"name": "acme/chat", "channel": "CHAT", "concurrency": {"max": 3, "aht_seconds_by_level": [300, 360, 450]}}
    campaign = {"daily_contacts": 60, "connect_rate": 0.3, "aht_seconds": 240, "attempt_seconds": 20, "confidence": 0.9}
    data["queues"] += [
        {**plain, **cold, **chat, "patience": {"source": "DECLARED", "seconds": 240}},
        {**plain, **cold, "name": "acme/mail", "channel": "EMAIL"},
        {**plain, "name": "acme/calls", "channel": "OUTBOUND", "campaign": campaign},
    ]
    window = {"kind": "MONTH"}
    promises = {
        "chat": {"metric": "SERVICE_LEVEL", "threshold_seconds": 40, "target": 0.8},
        "mail": {"metric": "DEADLINE_MET", "threshold_business": "4h", "target": 0.9},
        "calls": {"metric": "OCCUPANCY_CAP", "target": 0.85},
    }
    data["contracts"] += [
        {"name": f"acme/{name}", "queues": [f"acme/{name}"], "targets": [{**promise, "window": window}]}
        for name, promise in promises.items()
    ]
    return data


def play_channels(home: pathlib.Path) -> None:
    words = ("requirement", "simulate", "--day", "2026-03-26", "--days", "100")
    chats = muster(home, *words, "acme/chat")
    assert "target 80% in 40 s; 3 chats at once" in chats
    formula, simulated, half = (float(cell.rstrip("%")) for cell in rows_of(chats, "Thu 2026-03-26 12:00")[0][4:7])
    assert abs(formula - simulated) < 3 * half + 3
    mail = muster(home, *words, "acme/mail")
    assert "target 90% in time, due 4h" in mail
    assert "items fall due on the day" in mail
    calls = muster(home, *words, "acme/calls")
    assert "60 contacts to reach" in calls
    assert "the book asks for 90%" in calls
    assert "BLOCK is for calls" in muster(home, *words, "acme/mail", "--block", fails=True)
    price = ("requirement", "price", "--day", "2026-03-26")
    hours = {row[0].split()[0]: row for row in rows_of(muster(home, *price, "acme/mail"), "")}
    assert "CONFIDENT" not in hours and hours["DAY"][5] == "–"
    assert "CONFIDENT" in muster(home, *price, "acme/chat")
    assert "NOT_FOR_OUTBOUND" in muster(home, *price, "acme/calls", fails=True)
    for name in ("chat", "mail"):
        ahead = rows_of(muster(home, "contract", "outlook", f"acme/{name}"), f"acme/{name}")[0]
        assert 0 <= float(ahead[5].rstrip("%")) <= 100
    assert "NOT_FOR_OUTBOUND" in muster(home, "contract", "outlook", "acme/calls", fails=True)


def look(home: pathlib.Path, folder: pathlib.Path) -> None:
    volume = muster(home, "volume", "show", "acme/help", "--from", "2026-03-25T08:00", "--to", "2026-03-25T10:00")
    assert "4 intervals, 200 contacts offered" in volume
    assert "rests on" in muster(home, "forecast", "show", "acme/help", "--zone", "Europe/London")
    requirement = muster(home, "requirement", "show", "acme/help")
    assert "Erlang A (patience 180 s, declared)" in requirement
    assert "SERVICE_LEVEL" in requirement
    predicted = muster(home, "requirement", "predict", "acme/help", "--day", "2026-03-26")
    assert "target 80% in 20 s" in predicted
    assert "keep the target as the queue moves" in predicted
    assert rows_of(predicted, "Thu 2026-03-26")[0][6] != "–"
    look_ahead(home)
    assert "acme/voice" in muster(home, "contract", "attainment")
    look_back(home)
    exported(home, folder)
    imported(home, folder)


def look_ahead(home: pathlib.Path) -> None:
    why = muster(home, "requirement", "explain", "acme/help", "2026-03-26T10:00")
    assert "SL 80% in 20 s (answered over offered) asks for" in why
    needed = int(rows_of(why, "on queue, decided by SERVICE_LEVEL")[0][1])
    levels = {int(row[0]): float(row[1].rstrip("%")) for row in rows_of(why, "") if row[0].isdigit()}
    assert levels[needed - 1] < 80 <= levels[needed] < levels[needed + 1]
    played = muster(home, "requirement", "simulate", "acme/help", "--day", "2026-03-26", "--days", "300")
    row = rows_of(played, "Thu 2026-03-26 10:00")[0]
    moving, simulated, half = (float(cell.rstrip("%")) for cell in row[4:7])
    assert abs(moving - simulated) < 2 * half
    assert "300 times" in played
    assert "schedule, played" in muster(home, "requirement", "simulate", "acme/help", "--day", "2026-03-26", "--scheduled")
    assert "INVALID_SIMULATION" in muster(home, "requirement", "simulate", "acme/help", "--days", "1", fails=True)
    walls = muster(home, "requirement", "pool", "acme/help", "acme/sales", "--day", "2026-03-26")
    ways = {row[0]: row for row in rows_of(walls, "")}
    assert float(ways["POOLED"][1]) < 0.95 * float(ways["DEDICATED"][1])
    assert all(float(cell.rstrip("%")) > 93 for way in ("DEDICATED", "CHAINED", "POOLED") for cell in ways[way][3:])
    assert ways["BOOK"][1:] == ways["CHAINED"][1:]  # half of the agents choose help first, half sales
    more = muster(home, "requirement", "pool", "acme/help", "acme/sales", "--day", "2026-03-26", "--way", "BOOK")
    assert all(int(row[1]) + int(row[2]) == int(row[3]) > 0 for row in rows_of(more, "Thu 2026-03-26"))
    assert len(rows_of(more, "Thu 2026-03-26")) >= 20
    assert "INVALID_POOL" in muster(home, "requirement", "pool", "acme/help", fails=True)
    priced = muster(home, "requirement", "price", "acme/help", "--day", "2026-03-26", "--sureness", "0.9")
    hours = {row[0].split()[0]: float(row[1].replace(",", "")) for row in rows_of(priced, "") if row[1][:1].isdigit()}
    assert hours["MEAN"] <= hours["EXPECTED"] <= hours["CONFIDENT"]
    assert hours["MEAN"] <= hours["DAY"] <= hours["CONFIDENT"] * 1.02
    assert "MEAN (the contract's)" in priced
    assert "INVALID_SURENESS" in muster(home, "requirement", "price", "acme/help", "--sureness", "1.5", fails=True)
    outlook = muster(home, "contract", "outlook", "acme/voice")
    ahead = rows_of(outlook, "acme/voice")[0]
    assert ahead[2].startswith("Wed 2026-04-01") or ahead[2].startswith("Tue 2026-03-31")
    assert 0 <= float(ahead[5].rstrip("%")) <= 100
    assert len(rows_of(outlook, "2026-03-")) == 7  # the rest of the month, a day a row
    assert "acme/voice" in muster(home, "contract", "outlook")
    assert "NO_SUCH_CONTRACT" in muster(home, "contract", "outlook", "acme/none", fails=True)
    assert "NO_SUCH_INTERVAL" in muster(home, "requirement", "explain", "acme/help", "2026-03-26T10:07", fails=True)


def look_back(home: pathlib.Path) -> None:
    explained = muster(home, "contract", "attainment", "--explain")
    assert "answered within T ÷ offered, T = 20 s" in explained
    assert "Wed 2026-03-25  acme/help" in explained
    known = muster(home, "volume", "show", "acme/help", "--from", "2026-03-25T08:00", "--as-known-at", "2026-03-25T09:00")
    assert "3 intervals, 150 contacts offered" in known  # told after a tick and before the next: known at the former
    assert "Wed 2026-03-25" in muster(home, "volume", "variance", "acme/help", "--from", "2026-03-25")
    assert "agreed by" in muster(home, "volume", "adjustments", "acme/help")
    assert "complete through" in muster(home, "volume", "feeds", "acme")
    grid = muster(home, "schedule", "show", "--week", "2026-03-23")
    assert "Week of 2026-03-23" in grid
    assert "agent-hours short" in grid
    assert "PUBLISHED" in muster(home, "schedule", "list")
    decisions = muster(home, "decisions", "list", "--verbose")
    assert "SCALE_UP" in decisions or "HOLD" in decisions
    assert "evidence" in decisions
    assert "no queue 'acme/nothing'" in muster(home, "volume", "show", "acme/nothing", fails=True)
    assert "allowed: " in muster(home, "decisions", "list", "--state", "MAYBE", fails=True)


def exported(home: pathlib.Path, folder: pathlib.Path) -> None:
    muster(home, "schedule", "export", str(folder / "plan.csv"))
    rows = list(csv.DictReader((folder / "plan.csv").open()))
    assert {r["activity"] for r in rows} >= {"phone", "lunch"}
    assert all(r["starts_local"].endswith(("+00:00", "+01:00")) for r in rows)
    assert {r["starts_local"][-6:] for r in rows} == {"+00:00", "+01:00"}  # the fortnight holds a clock change
    muster(home, "schedule", "export", str(folder / "plan.ics"), "--agent", "a01")
    calendar = Calendar.from_ical((folder / "plan.ics").read_bytes())
    assert [str(z["TZID"]) for z in calendar.walk("VTIMEZONE")] == ["Europe/London"]
    events = calendar.walk("VEVENT")
    assert len(events) == 10
    assert all(e["DTSTART"].params["TZID"] == "Europe/London" for e in events)
    assert "allowed: .csv, .ics" in muster(home, "schedule", "export", str(folder / "plan.pdf"), fails=True)


def imported(home: pathlib.Path, folder: pathlib.Path) -> None:
    path = folder / "old.csv"
    path.write_text("start,calls\n2026-01-05 09:00,41\n2026-01-05 09:30,-3\n2026-01-05 10:00,44\n")
    words = (
        "import",
        str(path),
        "--queue",
        "acme/help",
        "--map",
        "start=start",
        "--map",
        "offered=calls",
        "--zone",
        "Europe/London",
    )
    dry = muster(home, *words, "--dry-run")
    assert "line 3: NO_COUNT: offered is -3" in dry
    assert "nothing was told" in dry
    for _ in range(2):
        assert "2 intervals, 85 contacts offered" in muster(home, *words)
    seen = muster(home, "volume", "show", "acme/help", "--from", "2026-01-05T09:00", "--to", "2026-01-05T11:00")
    assert "2 intervals, 85 contacts offered" in seen


def publish_and_refuse(small: SmallWorld) -> None:
    """Tell volume as a client system would, and send something that can't be read."""
    with VolumePublisher(small.bootstrap, "acme", "live", small.world) as publisher:
        contact = volume_pb2.Contact(contact_id="c1", revision=1, stage=volume_pb2.STAGE_OFFERED)
        contact.arrived_at.seconds = WEDNESDAY + 10 * HOUR + 60
        publisher.contacts("help", [contact])
        publisher.complete_through(WEDNESDAY + 10 * HOUR)
    producer = KafkaProducer(bootstrap_servers=small.bootstrap)
    producer.send(small.world + "muster.volume.observed.v1", key=b"acme/help", value=b"{not json")
    producer.flush()


def look_again(home: pathlib.Path) -> None:
    assert "1 contacts offered" in muster(
        home, "volume", "show", "acme/help", "--from", "2026-03-25T10:00", "--to", "2026-03-25T10:30"
    )
    letters = muster(home, "dlq", "list")
    assert "NOT_JSON" in letters
    origin = next(
        word for line in letters.splitlines() for word in line.split() if word.startswith("muster.volume.observed.v1/")
    )
    assert muster(home, "dlq", "show", origin).startswith("{not json")
    mended = home / "mended.json"
    mended.write_text(
        '{"queue": "acme/help", "feed": "live", "contacts": [{"contactId": "c2", "revision": 1, "stage": "OFFER"}]}'
    )
    assert "sent 1 again" in muster(home, "dlq", "replay", origin, "--with", str(mended))
    assert origin not in muster(home, "dlq", "list")
    assert "no dead letter" in muster(home, "dlq", "drop", origin, fails=True)
    assert "is locked before" in muster(home, "volume", "lock", "acme", "--through", "2026-03-01", "--by", "finance")
    assert "never moves back" in muster(home, "volume", "lock", "acme", "--through", "2026-02-01", fails=True)
    late = home / "late.csv"
    late.write_text("start,offered\n2026-02-02 09:00,5\n")
    assert "PERIOD_LOCKED" in muster(
        home, "import", str(late), "--queue", "acme/help", "--map", "start=start", "--map", "offered=offered", fails=True
    )


def test_without_a_running_muster_the_command_says_where_it_looked(tmp_path: pathlib.Path) -> None:
    assert "no running Muster in" in muster(tmp_path, "volume", "show", "a/b", fails=True)
