"""Staffing's requirements on a database, without Kafka: the small book with mail, chat and a campaign."""

import dataclasses
import datetime as dt
import pathlib
from typing import Any

import pytest
import sqlalchemy as sa

from muster.book.check import check_book, parse_book
from muster.book.copy import BookCopy, BookOwner
from muster.book.types import KINDS
from muster.kit.clock import ConductedClock
from muster.kit.due import DueWork
from muster.kit.loop import Fact
from muster.kit.outbox import Outbox
from muster.kit.sql import Database, migrate
from services.staffing.domain.attainment import CellFacts
from services.staffing.domain.facts import ClosedCell, ForecastDay
from services.staffing.requiring import Requiring
from services.staffing.settings import StaffingSettings
from services.staffing.store import plans
from services.staffing.store.tables import metadata
from services.staffing.streams import Streams
from tests.support.small_world import book

MONDAY = int(dt.datetime(2026, 3, 23, tzinfo=dt.UTC).timestamp())  # London is on UTC until the 29th
DAY, HALF_HOUR = 86_400, 1800
MAIL, CHAT, CALLS = "acme/mail", "acme/chat", "acme/campaign"


def with_mail_and_chat(**more: Any) -> dict[str, Any]:
    """Return the small book with mail, taken in around the clock and answered from eight to six on weekdays, and chat, three at once."""
    data = book()
    week = ["mon", "tue", "wed", "thu", "fri"]
    round_the_clock = [{"days": [*week, "sat", "sun"], "opens": "00:00", "closes": "24:00"}]
    usual = {**data["queues"][0], "patience": None, "cold_start": {"weekly_offered_count": 2000, "aht_seconds": 360}}
    served = [{"days": week, "opens": "08:00", "closes": "18:00"}]
    mail = {**usual, "name": MAIL, "channel": "EMAIL", "service_hours": served, "intake_hours": round_the_clock}
    levels = [300.0, 360.0, 450.0]
    chat = {**usual, "name": CHAT, "channel": "CHAT", "concurrency": {"max": 3, "aht_seconds_by_level": levels}}
    data["queues"] += [{k: v for k, v in q.items() if v is not None} for q in (mail, chat)]
    window = {"kind": "MONTH"}
    promise = {"metric": "DEADLINE_MET", "threshold_business": "8h", "target": 0.95, "window": window, **more}
    wait = {"metric": "SERVICE_LEVEL", "threshold_seconds": 40, "target": 0.8, "window": window}
    data["contracts"] += [
        {"name": "acme/back-office", "queues": [MAIL], "targets": [promise]},
        {"name": "acme/chats", "queues": [CHAT], "targets": [wait]},
    ]
    return data


@dataclasses.dataclass
class Staffing:
    """Staffing's requirements on a database, without Kafka."""

    database: Database
    streams: Streams
    requiring: Requiring

    def expect(self, queue: str, offered: float, aht: float, days: int, first: int = 0) -> None:
        facts = []
        for n in range(first, first + days):
            starts = list(range(MONDAY + n * DAY, MONDAY + (n + 1) * DAY, HALF_HOUR))
            date = (dt.date(2026, 3, 23) + dt.timedelta(days=n)).isoformat()
            size = len(starts)
            told, high = [offered] * size, [1.2 * offered] * size
            day = ForecastDay(queue, date, HALF_HOUR, starts, [1] * size, told, high, [aht] * size, MONDAY, 1, True)
            facts.append(Fact(day, MONDAY, b"", ""))
        self.database.run_here(lambda c: self.streams.on_forecast(c, facts))
        self.database.run_here(lambda c: self.requiring.require(c, queue, 0))

    def came(self, queue: str, hour: int, offered: int, done: int) -> None:
        facts = CellFacts(offered, done, 0, None, (), (), ())
        cell = ClosedCell(queue, MONDAY + hour * 3600, HALF_HOUR, 1, MONDAY + hour * 3600 + HALF_HOUR, facts, None)
        self.database.run_here(lambda c: self.streams.on_closed(c, [Fact(cell, MONDAY, b"", "")]))

    def required(self, queue: str) -> list[Any]:
        return self.database.run_here(lambda c: plans.list_requirements(c, queue, "", "9999"))


@pytest.fixture
def staffing(engine: sa.Engine) -> Staffing:
    return staffing_on(engine)


def staffing_on(engine: sa.Engine) -> Staffing:
    """Return staffing's requirements of the small book with mail and chat, on Monday at eight."""
    migrate(engine, pathlib.Path("services/staffing/store/migrations"))
    database, clock, copy = Database(engine), ConductedClock(MONDAY + 8 * 3600), BookCopy(metadata)
    with engine.begin() as connection:
        BookOwner(copy, tuple(KINDS)).apply(connection, parse_book(with_mail_and_chat()), False, 1)
    outbox, due = Outbox(metadata, clock), DueWork(database, metadata, clock, runs_itself=False)
    streams = Streams(copy, due, clock, outbox)
    return Staffing(database, streams, Requiring(StaffingSettings(), streams, outbox, clock))  # type: ignore[call-arg]


def with_a_campaign(**more: Any) -> dict[str, Any]:
    """Return the book with outbound: 90 contacts a weekday from nine to five, a third of attempts of 20 s reach someone."""
    data = with_mail_and_chat()
    served = [{"days": ["mon", "tue", "wed", "thu", "fri"], "opens": "09:00", "closes": "17:00"}]
    campaign = {"daily_contacts": 90, "connect_rate": 1 / 3, "aht_seconds": 300, "attempt_seconds": 20, **more}
    plain = {k: v for k, v in data["queues"][0].items() if k not in ("patience", "cold_start")}
    data["queues"].append({**plain, "name": CALLS, "channel": "OUTBOUND", "service_hours": served, "campaign": campaign})
    cap = {"metric": "OCCUPANCY_CAP", "target": 0.9, "window": {"kind": "DAY"}}
    data["contracts"].append({"name": "acme/outbound", "queues": [CALLS], "targets": [cap]})
    check_book(parse_book(data))
    return data


def applied(staffing: Staffing, data: dict[str, Any]) -> None:
    copy = staffing.streams.book
    staffing.database.run_here(lambda c: BookOwner(copy, tuple(KINDS)).apply(c, parse_book(data), False, 2))
