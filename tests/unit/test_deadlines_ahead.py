"""Where a promise of deadlines will end: by hand, and beside windows played item by item."""

import dataclasses
import math
import time
import types
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from muster.domain.deadlines import deadlines_of
from muster.kit.errors import MusterError
from muster.kit.loop import Fact
from muster.simulator.deferred import Mail, play_mail
from services.staffing.domain.attainment import CellFacts, Judging
from services.staffing.domain.erlang import Floats
from services.staffing.domain.facts import ClosedCell
from services.staffing.domain.requirement import Goal
from services.staffing.domain.window import Pledge
from services.staffing.handlers.ahead import WindowCase, windows_ahead
from services.staffing.handlers.deadlines_ahead import DeskCase, deadlines_ahead
from services.staffing.handlers.deferring import DeskDays, on_deferred
from services.staffing.handlers.spreading import luck_of, paths_of
from services.staffing.outlooks import Outlooks
from services.staffing.plan_rpc import PlanEdge
from services.staffing.store.tables import target_cell
from services.staffing.windowing import Windowing
from tests.support.staffing_world import (
    CALLS,
    CHAT,
    MAIL,
    MONDAY,
    Staffing,
    applied,
    staffing_on,
    with_a_campaign,
    with_mail_and_chat,
)
from tests.unit.test_deferring import DAY, HALF_HOUR, LONDON, PLAIN, desk, mails, nine_o_clock
from tests.unit.test_pricing import uncertain
from tests.unit.test_simulation_rpc import four_by_day

NAME = ("acme/back-office", 0)


def pledge(target: float, aggregation: str = "CONTACT_WEIGHTED", each: float = 0.9) -> Pledge:
    return Pledge(Goal("DEADLINE_MET", target), Judging("DEADLINE_MET", aggregation, each, LONDON), target)


def case(rule: str, spread: float, cut: float, window: int = 7) -> DeskCase:
    """Return two weeks of mail from Monday on, staffed to `cut` of the requirement; the window: the first days."""
    days, at = uncertain(mails(300, 14), spread), desk(rule)
    now = days[0].starts[0]
    answers = on_deferred(DeskDays(days, [], at, 0.9, now), PLAIN, 1)
    staff = {s: math.floor(n * cut + 0.5) for day in answers for s, n in zip(day.starts, day.on_queue, strict=True)}
    return DeskCase("acme/mail", at, days, [], staff, now + 14 * DAY, [], now, now + window * DAY, now)


def shares_played(of: DeskCase, times: int, window: int) -> Floats:
    """Return the share of the window's items that simulations do in time (R,): items of the weeks as they may come, by when they came."""
    size = 14 * DAY // HALF_HOUR
    starts = of.begin + HALF_HOUR * np.arange(size)
    due = np.stack(
        [deadlines_of(starts + s, of.desk.rule, of.desk.hours, LONDON) - of.begin for s in (0, HALF_HOUR - 1)], axis=1
    )
    paths = np.concatenate(paths_of(of.days, times, luck_of("played")), axis=1)
    agents = np.array([round(of.staff.get(int(s), 0.0)) for s in starts], np.int64)
    day = np.where(starts < of.begin + window * DAY, 0, -1)
    nothing, none = np.zeros((0, 2)), np.zeros(0, np.int64)
    mail = Mail(paths.mean(axis=0), agents, float(HALF_HOUR), due.astype(float), day, 480.0, nothing, none)
    seen = play_mail(mail, times, np.random.default_rng(3), paths)
    return seen.share[:, 0]


@pytest.mark.parametrize(("rule", "cut"), [("2h", 0.94), ("8h", 0.85), ("end_of_day+1@15:00", 0.85)])
def test_where_a_window_is_said_to_end_is_where_it_ends_when_played(rule: str, cut: float) -> None:
    of = case(rule, 0.15, cut)
    played, found = shares_played(of, 300, 7), deadlines_ahead(NAME, pledge(0.9), [of])
    assert found.expected == pytest.approx(played.mean(), abs=0.02)
    assert found.met == pytest.approx((played >= 0.9).mean(), abs=0.14)
    assert found.band == pytest.approx(tuple(np.quantile(played, (0.1, 0.9))), abs=0.035)
    easy, hard = (deadlines_ahead(NAME, pledge(t), [of]).met for t in (0.6, 0.9999))
    assert hard < found.met < easy


def test_one_hour_more_does_most_where_work_waits() -> None:
    of = case("2h", 0.1, 0.9)
    found = deadlines_ahead(NAME, pledge(0.9), [of])
    assert [h.date.isoformat() for h in found.hours_more] == [f"2026-06-0{n}" for n in range(1, 6)]  # no service at weekends
    assert all(h.value >= 0 for h in found.hours_more)
    more = dict(of.staff)
    best = max(found.hours_more, key=lambda h: h.value)
    start = best.placed[0][1]
    for s in (start, start + HALF_HOUR):
        more[s] = more.get(s, 0.0) + 1
    again = deadlines_ahead(NAME, pledge(0.9), [dataclasses.replace(of, staff=more)])
    assert again.expected - found.expected == pytest.approx(best.value, abs=1e-6)


def open_case(agents: float) -> DeskCase:
    """Return a Monday at nine: of Friday, ten to eleven, 20 came, 12 are done, 6 open; a week ago 40 open, long overdue."""
    days = nine_o_clock(0.0, 2)
    nine = days[0].starts[18]
    ten = days[0].starts[0] - 3 * DAY + 10 * 3600
    backlog = [(nine - 10 * DAY, 40), (ten, 6), (days[0].starts[17], 0)]
    cells = [(nine - 10 * DAY, 10, 50), (ten, 12, 20), (ten + HALF_HOUR, None, None), (days[0].starts[17], 5, 5)]
    staff = dict.fromkeys([*days[0].starts[18:34], *days[1].starts[18:34]], agents)
    since = days[0].starts[0] - 14 * DAY
    return DeskCase(
        "acme/mail", desk("8h", 60.0), days, backlog, staff, days[1].starts[-1], cells, since, days[1].starts[0], nine
    )


def test_by_hand_what_is_open_is_done_in_time_or_missed_and_what_is_late_is_missed() -> None:
    many, none = (deadlines_ahead(NAME, pledge(0.4), [open_case(n)]) for n in (10.0, 0.0))
    assert many.expected == pytest.approx((10 + 12 + 6 + 5) / 75)
    assert none.expected == pytest.approx((10 + 12 + 5) / 75)
    assert (many.met, none.met) == (1.0, 0.0)
    assert many.budget.used == 40  # of what nothing can change any more: 15 of 55
    assert many.budget.passed == pytest.approx(55 / 75)
    by_interval = deadlines_ahead(NAME, pledge(0.6, "SHARE_OF_INTERVALS"), [open_case(10.0)])
    assert by_interval.expected == pytest.approx(2 / 3)  # 10 of 50, 18 of 20, 5 of 5; one was not observed


def test_two_queues_are_added_up_and_the_same_facts_give_the_same() -> None:
    one = open_case(10.0)
    found = deadlines_ahead(NAME, pledge(0.4), [one, dataclasses.replace(one, queue="acme/letters")])
    assert found.expected == pytest.approx(33 / 75)
    window = WindowCase(*NAME, pledge(0.9), [], [], 0, [case("2h", 0.1, 1.0)])
    told = windows_ahead([window])
    assert told == windows_ahead([window])
    assert told[0][2]["of"] == ["DEADLINE_MET", "CONTACT_WEIGHTED", 0.9]
    assert told[0][2]["days"] == 7


@pytest.mark.parametrize(("aggregation", "expected"), [("SHARE_OF_INTERVALS", 1 / 3), ("MEAN_OF_INTERVALS", 0.675)])
def test_an_interval_that_is_open_in_one_queue_and_not_in_the_other_counts_once(aggregation: str, expected: float) -> None:
    one = open_case(10.0)
    ten, backlog = one.backlog[1][0], [one.backlog[0], (one.backlog[1][0], 0), one.backlog[2]]
    cells = [(ten, 15, 20) if cell[0] == ten else cell for cell in one.cells]
    other = dataclasses.replace(one, queue="acme/letters", backlog=backlog, cells=cells)
    found = deadlines_ahead(NAME, pledge(0.6, aggregation), [one, other])
    assert found.expected == pytest.approx(expected)


def test_a_month_of_mail_takes_seconds() -> None:
    of = case("8h", 0.1, 1.0, 14)
    deadlines_ahead(NAME, pledge(0.9), [of])
    began = time.perf_counter()
    deadlines_ahead(NAME, pledge(0.9), [of])
    assert time.perf_counter() - began < 10.0


# From the book and the facts


def windowing_of(staffing: Staffing) -> Windowing:
    requiring: Any = staffing.requiring
    outlooks = Outlooks(requiring.settings, staffing.streams, requiring, requiring.clock)
    nothing: Any = None
    return Windowing(outlooks, nothing, nothing, requiring.clock)


def test_what_was_counted_of_a_queue_without_a_forecast_counts(engine: sa.Engine) -> None:
    staffing, data = staffing_on(engine), with_mail_and_chat()
    data["queues"].append({**data["queues"][-2], "name": "acme/letters"})
    data["contracts"][-2]["queues"].append("acme/letters")
    applied(staffing, data)
    staffing.expect(MAIL, 8.0, 360.0, 20)
    facts = CellFacts(1000, 0, 0, None, (31 * 1_800_000, 32 * 1_800_000), (0, 0, 0), (0, 0, 0), 1000)  # due at four
    letters = ClosedCell("acme/letters", MONDAY - 5 * DAY, HALF_HOUR, 1, MONDAY, facts, None)
    staffing.database.run_here(lambda c: staffing.streams.on_closed(c, [Fact(letters, MONDAY, b"", "")]))
    cases = staffing.database.run_here(lambda c: windowing_of(staffing).cases(c, "acme/back-office"))
    assert [d.queue for d in cases[0].desks] == [MAIL]
    assert cases[0].counted == [(MONDAY - 5 * DAY, 0, 1000)]
    (found,) = (outlook for _, _, outlook in windows_ahead(cases))
    mail = 8.0 * 48 * 9  # to the end of the month, a few to the thousand late
    assert found["expected"] == pytest.approx(mail / (mail + 1000), abs=0.02)
    assert found["met"] == 0.0


def test_the_newest_of_many_intervals_is_read(engine: sa.Engine) -> None:
    staffing = staffing_on(engine)
    staffing.expect(MAIL, 8.0, 360.0, 1)
    key, first, many = {"contract": NAME[0], "target_index": 0, "queue": MAIL}, MONDAY - 20 * DAY, 100_001
    rows = [{**key, "starts_at": first + 10 * n, "good": 1, "base": 1, "unsure": 0} for n in range(many)]
    staffing.database.run_here(lambda c: c.execute(sa.insert(target_cell), rows))
    (found,) = staffing.database.run_here(lambda c: windowing_of(staffing).cases(c, NAME[0]))
    assert len(found.desks[0].cells) == many
    assert found.desks[0].cells[-1] == (first + 10 * (many - 1), 1, 1)


def test_contracts_of_chats_and_of_mail_are_looked_ahead_to_and_campaigns_are_not(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    staffing = staffing_on(engine)
    applied(staffing, with_a_campaign())
    for queue, offered in ((MAIL, 8.0), (CHAT, 30.0), (CALLS, 5.0)):
        staffing.expect(queue, offered, 360.0, 20)
    staffing.came(MAIL, 7, 30, 10)
    nothing: Any = None
    windowing = windowing_of(staffing)
    cases = staffing.database.run_here(windowing.cases)
    found = {contract: outlook for contract, _, outlook in windows_ahead(cases)}
    assert set(found) == {"acme/back-office", "acme/chats"}
    mail, chats = found["acme/back-office"], found["acme/chats"]
    assert mail["of"][0] == "DEADLINE_MET" and mail["expected"] > 0.9
    assert mail["days"] == chats["days"] == 9  # from the 23rd to the end of the month
    assert 0.5 < chats["expected"] <= 1 and len(chats["hours_more"]) == 9
    work: Any = types.SimpleNamespace(streams=staffing.streams, windowing=windowing)
    edge = PlanEdge(nothing, work)
    with pytest.raises(MusterError, match="nobody who is called waits, so no service is promised") as caught:
        staffing.database.run_here(lambda c: edge.cases(c, "acme/outbound"))
    assert caught.value.reason == "NOT_FOR_OUTBOUND"
    assert [h[0] for h in mail["hours_more"]] == [f"2026-03-{d}" for d in (23, 24, 25, 26, 27, 30, 31)]
    monkeypatch.setattr(Outlooks, "scheduled", four_by_day)
    planned = next(c for c in staffing.database.run_here(windowing.cases) if c.contract == "acme/back-office")
    assert planned.scheduled_days == 9 and cases[0].scheduled_days == 0
    eight = planned.desks[0].begin
    assert planned.desks[0].staff[eight] == pytest.approx(4 * 0.95) and planned.desks[0].staff[eight - HALF_HOUR] == 0.0
