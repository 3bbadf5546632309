"""The book of work that is no call taken: campaigns, mail and the deadlines promised for it."""

import datetime as dt
import pathlib
from typing import Any

import pytest

from muster.book.check import check_book, parse_book
from muster.book.demand import Holidays, Hours
from muster.book.text import read_book
from muster.book.view import calling_starts, intake_hours, opening_hours
from muster.book.words import Channel
from muster.dev.world_book import book_data
from tests.support.changed_book import changed, refused

DESK = pathlib.Path(__file__).parents[2] / "examples/desk/book.yaml"
CAMPAIGN = {"daily_contacts": 200, "connect_rate": 0.25, "aht_seconds": 300}


def test_outbound_has_a_campaign_and_promises_no_wait() -> None:
    first, *others = book_data()["queues"]
    bare = refused(changed(queues=[{**first, "channel": "OUTBOUND"}, *others]))
    assert "has no campaign" in bare["queues[0].campaign"]
    assert "which nobody called waits for" in bare["contracts[0].targets[0].metric"]
    assert (
        "goes with channel OUTBOUND, not VOICE"
        in refused(changed(queues=[{**first, "campaign": CAMPAIGN}, *others]))["queues[0].campaign"]
    )
    for field, value in (
        ("connect_rate", 0),
        ("daily_contacts", 0),
        ("aht_seconds", 0),
        ("confidence", 1.0),
        ("attempt_seconds", -1),
    ):
        wrong = {**first, "channel": "OUTBOUND", "campaign": {**CAMPAIGN, field: value}}
        assert f"queues[0].campaign.{field}" in refused(changed(queues=[wrong, *others]))


def test_a_desk_of_calls_chats_mail_and_outbound_is_a_book() -> None:
    desk = read_book(DESK).book
    assert {q.channel for q in desk.queues} == {Channel.VOICE, Channel.CHAT, Channel.EMAIL, Channel.OUTBOUND}
    assert len(desk.agents) == 40


def test_without_history_a_campaign_is_what_is_expected() -> None:
    days = [{"days": ["mon", "tue", "thu"], "opens": "09:00", "closes": "17:00"}]
    row = {**book_data()["queues"][0], "channel": "OUTBOUND", "campaign": CAMPAIGN, "service_hours": days}
    told = parse_book(changed(queues=[row, *book_data()["queues"][1:]])).queues[0]
    assert told.profile == told.cold_start  # as declared
    bare = told.model_copy(update={"cold_start": None}).profile
    assert bare is not None
    assert (bare.weekly_offered_count, bare.aht_seconds) == (600.0, 300.0)


def test_calls_are_made_in_the_campaigns_hours_of_service_and_not_on_holidays() -> None:
    evening = [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "opens": "16:00", "closes": "22:00"}]
    served = [{"days": ["wed", "thu"], "opens": "09:00", "closes": "18:00"}]
    campaign = {**CAMPAIGN, "calling_hours": evening}
    closed = {"dates": [{"date": "2026-03-26"}]}
    row = {**book_data()["queues"][0], "channel": "OUTBOUND", "campaign": campaign, "service_hours": served, "holidays": closed}
    told = parse_book(changed(queues=[row, *book_data()["queues"][1:]])).queues[0]
    found = calling_starts(told, dt.date(2026, 3, 25), "UTC")
    assert [s % 86_400 // 1800 for s in found] == [32, 33, 34, 35]
    assert calling_starts(told, dt.date(2026, 3, 26), "UTC") == []


def test_calls_have_no_deadline_and_no_hours_of_intake() -> None:
    hours = book_data()["queues"][0]["service_hours"]
    queues = [{**book_data()["queues"][0], "intake_hours": hours}, *book_data()["queues"][1:]]
    assert "goes with EMAIL and BACK_OFFICE" in refused(changed(queues=queues))["queues[0].intake_hours"]


def deadlines(**row: Any) -> dict[str, Any]:
    """Return the book with its first queue as mail, and one promise for it."""
    queues = [{**book_data()["queues"][0], "channel": "EMAIL"}, *book_data()["queues"][1:]]
    name, client = queues[0]["name"], queues[0]["name"].partition("/")[0]
    contracts = [{**c, "queues": [q for q in c["queues"] if q != name]} for c in book_data()["contracts"]]
    for contract in contracts:
        contract["minimum_staff"] = [m for m in contract.get("minimum_staff", []) if m["queue"] != name]
    targets = [{**row, "window": {"kind": "WEEK"}}]
    return changed(queues=queues, contracts=[*contracts, {"name": f"{client}/letters", "queues": [name], "targets": targets}])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"metric": "DEADLINE_MET", "target": 0.9}, "DEADLINE_MET needs one of them"),
        ({"metric": "DEADLINE_MET", "target": 0.9, "threshold_seconds": 0.4}, "is 0.4; allowed: 60 or more"),
        ({"metric": "DEADLINE_MET", "target": 0.9, "threshold_seconds": 60, "threshold_business": "8h"}, "needs one of them"),
        ({"metric": "DEADLINE_MET", "target": 0.9, "threshold_business": "EOBD+1@17:00"}, "is not a business deadline"),
        ({"metric": "DEADLINE_MET", "target": 0.9, "threshold_business": "9999h"}, "is not a business deadline"),
        ({"metric": "ASA", "target": 20, "threshold_business": "8h"}, "goes with DEADLINE_MET, not ASA"),
        ({"metric": "ASA", "target": 20, "aggregation": "SHARE_OF_DAYS"}, "a share, and each_target in seconds"),
        (
            {"metric": "ASA", "target": 0.9, "aggregation": "SHARE_OF_DAYS"},
            "is 0.9 of SHARE_OF_DAYS; allowed: a share, and each",
        ),
        (
            {"metric": "ABANDONMENT", "target": 0.9, "aggregation": "SHARE_OF_INTERVALS"},
            "each_target in a share of the offered",
        ),
        (
            {
                "metric": "SERVICE_LEVEL",
                "threshold_seconds": 20,
                "target": 0.9,
                "aggregation": "SHARE_OF_DAYS",
                "each_target": 1.0,
            },
            "is 1 of SERVICE_LEVEL",
        ),
    ],
)
def test_a_deadline_that_nobody_can_keep_is_refused(row: dict[str, Any], said: str) -> None:
    assert said in " ".join(refused(deadlines(**row)).values())


def test_a_deadline_is_business_time_or_seconds() -> None:
    for row in ({"threshold_business": "8h"}, {"threshold_seconds": 3600}):
        check_book(parse_book(deadlines(metric="DEADLINE_MET", target=0.9, **row)))


def test_mail_comes_in_its_intake_hours_on_holidays_too() -> None:
    row = next(q for q in parse_book(book_data()).queues if q.name == "lumen/care")
    christmas = row.model_copy(update={"holidays": Holidays(countries=("GB",))})
    hours = (Hours(days=("mon", "tue", "wed", "thu", "fri", "sat", "sun"), opens="00:00", closes="24:00"),)
    mail = christmas.model_copy(update={"intake_hours": hours, "channel": Channel.EMAIL})
    day = dt.date(2026, 12, 25)
    assert intake_hours(christmas) == opening_hours(christmas)
    assert intake_hours(christmas).hours_of(day) == opening_hours(mail).hours_of(day) == []
    assert intake_hours(mail).hours_of(day) == [(0, 86_400)]
