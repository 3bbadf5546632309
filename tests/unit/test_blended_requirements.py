"""Mail in the idle time of calls, from the book and the facts to what a planner is told."""

import dataclasses
from typing import Any

import pytest
import sqlalchemy as sa

from muster.book.check import check_book, parse_book
from muster.kit.clock import ConductedClock
from muster.kit.errors import MusterError, Refusal
from muster.kit.loop import Fact
from muster.v1 import staffing_service_pb2 as pb
from services.staffing.blending_rpc import BlendingEdge
from services.staffing.domain.facts import ForecastDay
from services.staffing.handlers.blending import calls_day
from services.staffing.pricing_rpc import PricingEdge
from services.staffing.store import plans
from services.staffing.windowing import Windowing
from tests.support.staffing_world import MAIL, MONDAY, Staffing, applied, staffing_on, with_mail_and_chat
from tests.unit.test_blending import calls
from tests.unit.test_simulation_rpc import edge_of, played

HELP, SALES, TUESDAY = "acme/help", "acme/sales", "2026-03-24"


def with_a_blend(**more: Any) -> dict[str, Any]:
    """Return the book with mail that all agents of acme/help may do."""
    data = with_mail_and_chat()
    mail = next(q for q in data["queues"] if q["name"] == MAIL)
    mail["blend"] = {"queues": [HELP], **more}
    check_book(parse_book(data))
    return data


@pytest.fixture
def staffing(engine: sa.Engine) -> Staffing:
    found = staffing_on(engine)
    applied(found, with_a_blend())
    return found


def explained(staffing: Staffing, queue: str = MAIL, day: str = TUESDAY) -> pb.ExplainBlendResponse:
    edge, request = BlendingEdge(edge_of(staffing).edge), pb.ExplainBlendRequest(queue=queue, local_date=day)
    return staffing.database.run_here(lambda c: edge.gather(c, request))()


def test_mail_is_staffed_beside_calls_and_anew_when_they_are(staffing: Staffing) -> None:
    staffing.expect(MAIL, 4.0, 360.0, 5)
    alone = {day.local_date: day for day in staffing.required(MAIL)}
    assert not any(day.blended for day in alone.values())  # nothing is known of the calls yet
    staffing.expect(HELP, 40.0, 240.0, 5)
    now = staffing.requiring.clock.now()
    assert staffing.database.run_here(lambda c: staffing.streams.due.is_planned(c, "require_all", MAIL, now))
    staffing.database.run_here(lambda c: staffing.requiring.require_all(c, MAIL, now))
    beside = {day.local_date: day for day in staffing.required(MAIL)}
    assert sum(beside[TUESDAY].on_queue) < sum(alone[TUESDAY].on_queue) - 2
    assert min(beside[TUESDAY].blended) > 0
    told = explained(staffing)
    (blend,) = told.calls
    assert (blend.queue, blend.able_share, told.loss, told.aht_seconds) == (HELP, 1.0, 0.02, 360.0)
    assert told.agent_hours == sum(beside[TUESDAY].on_queue) / 2 and told.plain_agent_hours == sum(alone[TUESDAY].on_queue) / 2
    assert list(blend.starts_at_epoch_seconds) == beside[TUESDAY].starts  # the desk's hours, not all of the calls'
    assert list(blend.idle_agents) == beside[TUESDAY].blended
    for keep, agents, level, plain in zip(
        blend.keep_idle_agents, blend.on_queue_agents, blend.service_level, blend.plain_service_level, strict=True
    ):
        assert 0 < keep < agents and level >= max(plain - 0.02, 0.8)
    seen = played(staffing, MAIL)
    assert sum(seen.agents) == pytest.approx(sum(beside[TUESDAY].on_queue) + sum(beside[TUESDAY].blended), abs=1)
    assert seen.day_service_level > 0.93


def test_what_idle_agents_do_is_told_anew_though_nobody_else_is_needed(engine: sa.Engine) -> None:
    found, data = staffing_on(engine), with_a_blend()
    next(c for c in data["contracts"] if MAIL in c["queues"])["minimum_staff"] = [{"queue": MAIL, "agents": 12}]
    applied(found, data)
    found.expect(HELP, 40.0, 240.0, 2)
    found.expect(MAIL, 4.0, 360.0, 2)
    assert min(found.required(MAIL)[1].blended) > 0
    nobody = dataclasses.replace(found.required(HELP)[1], on_queue=[0.0] * 48)
    found.database.run_here(lambda c: plans.save_requirement(c, nobody))
    found.database.run_here(lambda c: found.requiring.require_all(c, MAIL, 0))
    assert not any(found.required(MAIL)[1].blended) and set(found.required(MAIL)[1].on_queue) == {12.0}


def test_mail_waits_for_calls_whose_days_are_required_one_by_one(engine: sa.Engine) -> None:
    found, data = staffing_on(engine), with_a_blend()
    data["contracts"][0]["targets"][0]["staff_to"] = "DAY"
    applied(found, data)
    now, due = found.requiring.clock.now(), found.streams.due

    def planned() -> bool:
        return found.database.run_here(lambda c: due.is_planned(c, "require_all", MAIL, now))

    found.database.run_here(lambda c: due.cancel(c, "require_all", MAIL, now))
    found.expect(HELP, 40.0, 240.0, 2)  # the first day
    assert not planned()
    found.database.run_here(lambda c: found.requiring.require(c, HELP, now))
    assert planned()


def test_calls_where_it_is_still_yesterday_give_their_idle_time(engine: sa.Engine) -> None:
    found, data = staffing_on(engine), with_a_blend()
    week = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    zones = {MAIL: {"zone": "Asia/Manila"}, HELP: {"zone": "America/New_York"}}
    zones[HELP]["service_hours"] = [{"days": week, "opens": "00:00", "closes": "24:00"}]  # type: ignore[assignment]
    data["queues"] = [{**queue, **zones.get(queue["name"], {})} for queue in data["queues"]]
    applied(found, data)
    facts = []
    for queue, ahead, offered in ((HELP, 4, 60.0), (MAIL, -8, 4.0)):
        for n in range(2):
            begin = MONDAY + ahead * 3600 + n * 86_400
            starts, told = list(range(begin, begin + 86_400, 1800)), [offered] * 48
            date = f"2026-03-{23 + n}"
            facts.append(
                Fact(ForecastDay(queue, date, 1800, starts, [1] * 48, told, told, [240.0] * 48, 0, 1, True), MONDAY, b"", "")
            )
    found.database.run_here(lambda c: found.streams.on_forecast(c, facts))
    found.database.run_here(lambda c: found.requiring.require(c, HELP, 0))
    # Eight on Tuesday in Manila, Monday evening in New York.
    found.requiring.clock = found.streams.clock = ConductedClock(MONDAY + 86_400)
    found.database.run_here(lambda c: found.requiring.require_all(c, MAIL, 0))
    assert min(found.required(MAIL)[-1].blended) > 0


def test_a_blend_that_is_none_says_so(staffing: Staffing) -> None:
    for queue, day, reason in (
        (HELP, TUESDAY, "NO_BLEND"),
        (MAIL, TUESDAY, "NO_REQUIREMENT"),
        (MAIL, "2026-03-22", "DAY_IS_OVER"),
    ):
        with pytest.raises(MusterError) as caught:
            explained(staffing, queue, day)
        assert caught.value.reason == reason
    staffing.expect(MAIL, 4.0, 360.0, 2)
    data = with_a_blend()
    next(c for c in data["contracts"] if MAIL in c["queues"])["valid_until"] = "2026-03-20"
    applied(staffing, data)
    with pytest.raises(MusterError) as caught:
        explained(staffing)
    assert caught.value.reason == "NO_PLAN"


def test_agents_without_the_skill_do_no_mail(engine: sa.Engine) -> None:
    found, data = staffing_on(engine), with_a_blend()
    next(q for q in data["queues"] if q["name"] == MAIL)["required_skills"] = ["mail"]
    data["agents"][0]["skills"] = [*data["agents"][0]["skills"], {"skill": "mail"}]
    applied(found, data)
    found.expect(HELP, 40.0, 240.0, 3)
    found.expect(MAIL, 4.0, 360.0, 3)
    helpers = sum("help" in {s["skill"] for s in agent["skills"]} for agent in data["agents"])
    (blend,) = explained(found).calls
    assert blend.able_share == pytest.approx(1 / helpers)


def refused(**more: Any) -> str:
    with pytest.raises(Refusal) as caught:
        with_a_blend(**more)
    return " ".join(f"{v.field}: {v.description}" for v in caught.value.violations)


def test_a_blend_names_calls_of_its_client_once() -> None:
    assert "goes with" not in str(with_a_blend(queues=[HELP, SALES]))
    assert "blend.queues[0]: is 'acme/chat'; allowed: queues of calls of acme, declared: acme/help, acme/sales" in refused(
        queues=["acme/chat"]
    )
    assert "blend.loss" in refused(loss=0.5)
    assert "blend.queues[1]: is 'acme/help' again" in refused(queues=[HELP, HELP])
    data = with_a_blend()
    data["queues"][0]["blend"] = {"queues": [SALES]}
    data["queues"].append({**data["queues"][2], "name": "acme/letters", "interval_seconds": 900})
    data["contracts"][1]["queues"] = [MAIL, "acme/letters"]
    with pytest.raises(Refusal) as caught:
        check_book(parse_book(data))
    said = {v.field: v.description for v in caught.value.violations}
    assert "goes with EMAIL and BACK_OFFICE, not VOICE" in said["queues[0].blend"]
    places = [v.description for v in caught.value.violations if v.field == "queues[4].blend.queues[0]"]
    assert any("intervals of 1800 s, acme/letters of 900" in p for p in places)
    assert any("whose idle time acme/mail takes" in p for p in places)


def test_who_is_there_for_the_minimum_is_to_spare_unless_calls_are_to_be_sure(staffing: Staffing) -> None:
    staffing.expect(HELP, 40.0, 240.0, 2)
    forecast = staffing.database.run_here(lambda c: plans.load_forecast(c, HELP, TUESDAY))
    required, rules = staffing.required(HELP)[1], calls().rules
    assert forecast is not None
    required = dataclasses.replace(required, drivers=["MINIMUM_STAFF", "SERVICE_LEVEL"] * (len(required.starts) // 2))
    assert calls_day(forecast, required, rules, 1.0, 0.02).spare == (True, False) * (len(required.starts) // 2)
    surely = dataclasses.replace(rules, rules=dataclasses.replace(rules.rules, staff_to="DAY"))
    assert not any(calls_day(forecast, required, surely, 1.0, 0.02).spare)


def test_prices_and_windows_of_mail_count_the_same_idle_time(staffing: Staffing) -> None:
    staffing.expect(HELP, 40.0, 240.0, 8)
    staffing.expect(MAIL, 4.0, 360.0, 8)
    tuesday = next(day for day in staffing.required(MAIL) if day.local_date == TUESDAY)
    request = pb.PriceRequirementRequest(queue=MAIL, local_date=TUESDAY)
    price = staffing.database.run_here(lambda c: PricingEdge(edge_of(staffing).edge).gather(c, request))()
    mean = next(choice for choice in price.choices if choice.staff_to == "MEAN")
    assert list(mean.agents) == tuesday.on_queue and mean.expected_service_level > 0.93
    edge = edge_of(staffing).edge
    windowing = Windowing(edge.work.deciding.outlooks, staffing.streams.due, None, edge.work.clock)  # type: ignore[arg-type]
    (case,) = staffing.database.run_here(lambda c: windowing.cases(c, "acme/back-office"))
    (ahead,) = case.desks
    for start, own, idle in zip(tuesday.starts, tuesday.on_queue, tuesday.idle, strict=True):
        assert ahead.staff[start] == own + idle > own


def test_items_are_as_long_as_they_are_expected_to_be(engine: sa.Engine) -> None:
    found, data = staffing_on(engine), with_a_blend()
    applied(found, data)
    found.expect(HELP, 40.0, 240.0, 2)
    shares = []
    for aht in (120.0, 900.0):
        found.expect(MAIL, 4.0, aht, 2)
        found.database.run_here(lambda c: found.requiring.require_all(c, MAIL, 0))
        shares.append(found.required(MAIL)[1].blended)
    assert shares[0] != shares[1]
