"""Days ahead: paths of published forecasts, what being surer takes, and where windows end."""

import dataclasses
import datetime as dt
import math

import numpy as np
import pytest

from muster.domain.calendar import day_starts, resolve
from muster.domain.paths import GAUSS
from muster.domain.windows import window_end
from muster.simulator.chats import ChatDay, play_chats
from services.staffing.domain.attainment import Judging
from services.staffing.domain.facts import ForecastDay, merge_forecast
from services.staffing.domain.requirement import Goal, Rules
from services.staffing.domain.window import Counted, Pledge
from services.staffing.handlers.ahead import QueueAhead, WindowCase, _days, windows_ahead
from services.staffing.handlers.explaining import explain
from services.staffing.handlers.requiring import QueueRules, on_forecast
from services.staffing.handlers.spreading import luck_of, paths_of, price_day, quantiles_of

MONDAY = int(dt.datetime(2026, 3, 2, 8, tzinfo=dt.UTC).timestamp())
GOAL = Goal("SERVICE_LEVEL", 0.8, threshold=20.0)
SLOTS = 16


def forecast(day: int = 0, spread: float = 0.15, offered: float = 60.0, version: int = 1) -> ForecastDay:
    """Return a day of eight hours whose total has a standard deviation of `spread`, each interval's a little more."""
    starts = [MONDAY + day * 86_400 + 1800 * n for n in range(SLOTS)]
    total = [offered * SLOTS * (1 + spread * g) for g in GAUSS]
    date = (dt.date(2026, 3, 2) + dt.timedelta(days=day)).isoformat()
    high = [offered + GAUSS[5] * math.sqrt((spread * offered) ** 2 + offered)] * SLOTS
    values = [offered] * SLOTS
    return ForecastDay(
        "acme/help", date, 1800, starts, [version] * SLOTS, values, high, [300.0] * SLOTS, 0, version, True, total, 0.2
    )


def test_paths_vary_as_the_day_does() -> None:
    paths = paths_of([forecast(), forecast(1)], 4000, luck_of("a"))
    first, second = (p.sum(axis=1) for p in paths)
    assert first.mean() == pytest.approx(960, rel=0.02)
    assert first.std() / first.mean() == pytest.approx(0.15, abs=0.015)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.2, abs=0.06)
    assert np.array_equal(paths_of([forecast()], 5, luck_of("a"))[0], paths_of([forecast()], 5, luck_of("a"))[0])
    assert quantiles_of(forecast())[:, 5].tolist() == pytest.approx(forecast().high)


def test_a_days_total_moves_with_an_override_and_outlives_an_update_of_the_day() -> None:
    doubled = dataclasses.replace(forecast(), offered=[120.0] * SLOTS, high=[2 * h for h in forecast().high])
    totals = paths_of([doubled], 4000, luck_of("a"))[0].sum(axis=1)
    assert totals.std() / totals.mean() == pytest.approx(0.15, abs=0.02)
    rest = dataclasses.replace(forecast(version=2), whole=False, total=[], starts=forecast().starts[8:])
    rest = dataclasses.replace(rest, versions=[2] * 8, offered=[50.0] * 8, high=[60.0] * 8, aht=[300.0] * 8)
    assert merge_forecast(forecast(), rest).total == forecast().total


def test_being_surer_costs_more_and_is_what_the_requirement_is_staffed_to() -> None:
    rules = Rules((GOAL,), 0, 0.1, 0.0)
    found = price_day(forecast(), rules, 180.0, 0.9)
    assert found["MEAN"].hours < found["EXPECTED"].hours < found["DAY"].hours <= found["CONFIDENT"].hours
    assert found["DAY"].day_met >= 0.9 > found["MEAN"].day_met
    published = {}
    for staff_to in ("MEAN", "EXPECTED", "CONFIDENT", "DAY"):
        asked = QueueRules(dataclasses.replace(rules, staff_to=staff_to, sureness=0.9), 180.0, "")
        published[staff_to] = on_forecast([forecast()], asked, 1, 0)[0]
    more = {name: sum(day.on_queue) - sum(published["MEAN"].on_queue) for name, day in published.items()}
    for name, choice in found.items():
        assert more[name] == choice.agents.sum() - found["MEAN"].agents.sum()
    assert set(published["CONFIDENT"].drivers) == {"UNCERTAINTY"}
    assert set(published["MEAN"].drivers) == {"SERVICE_LEVEL"}
    assert all(s >= n for day in published.values() for s, n in zip(day.on_queue_safe, day.on_queue, strict=True))


def test_a_closed_first_day_changes_nothing_of_the_next_and_explain_says_what_is_published() -> None:
    asked = QueueRules(Rules((GOAL,), 0, 0.1, 0.0, "DAY", 0.9), 180.0, "")
    none = dataclasses.replace(forecast(), local_date="2026-03-01", starts=[], versions=[], offered=[])
    closed = dataclasses.replace(none, high=[], aht=[])
    alone, behind = on_forecast([forecast()], asked, 1, 0)[0], on_forecast([closed, forecast()], asked, 1, 0)[1]
    assert behind.on_queue == alone.on_queue
    assert "UNCERTAINTY" in alone.drivers
    place = alone.drivers.index("UNCERTAINTY")
    why = explain(forecast(), place, asked)
    assert (why.on_queue, why.driver) == (alone.on_queue[place], "UNCERTAINTY")


def test_what_a_forecast_may_miss_is_added_to_the_promise_and_not_to_a_cap() -> None:
    cap = Goal("OCCUPANCY_CAP", 0.6)
    asked = QueueRules(Rules((GOAL, cap), 0, 0.0, 0.0, "DAY", 0.9), 180.0, "")
    only_cap = QueueRules(Rules((cap,), 0, 0.0, 0.0), 180.0, "")
    both, capped = (on_forecast([forecast()], rules, 1, 0)[0] for rules in (asked, only_cap))
    assert both.on_queue == capped.on_queue  # the cap asks for more than the day does, surer or not


def test_no_promise_has_no_price() -> None:
    with pytest.raises(ValueError, match="no service level"):
        price_day(forecast(), Rules((), 0, 0.0, 0.0), 180.0, 0.9)


def case(agents: int, counted: Counted, days: int = 5) -> WindowCase:
    ahead = [forecast(day) for day in range(days)]
    queue = QueueAhead("acme/help", ahead, [[float(agents)] * SLOTS] * days, 180.0, MONDAY, MONDAY + days * 86_400)
    pledge = Pledge(GOAL, Judging("SERVICE_LEVEL", "CONTACT_WEIGHTED", 0.8, "UTC"), 0.8)
    return WindowCase("acme/voice", 0, pledge, counted, [queue], 0)


def test_a_window_ends_as_its_plan_allows() -> None:
    before = [(MONDAY - 86_400, 80, 100)]
    chances = [windows_ahead([case(n, before)])[0][2] for n in (10, 13, 20)]
    met = [c["met"] for c in chances]
    assert met[0] < 0.05
    assert 0.0 < met[1] < 1.0
    assert met[2] > 0.95
    middle = chances[1]
    assert middle["band"][0] < middle["expected"] < middle["band"][1]
    assert middle["budget"]["used"] == 20
    assert middle["budget"]["allowed"] == pytest.approx(0.2 * (100 + 5 * 960), rel=0.02)
    assert [h[0] for h in middle["hours_more"]] == [f"2026-03-0{n}" for n in range(2, 7)]
    assert all(h[3] > 0 for h in middle["hours_more"])
    assert windows_ahead([case(13, before)]) == windows_ahead([case(13, before)])


def test_a_window_of_chats_ends_where_it_ends_when_played() -> None:
    levels, days, agents = (300.0, 360.0, 450.0), 5, 3
    goal = Goal("SERVICE_LEVEL", 0.8, threshold=40.0)
    ahead = [forecast(day, offered=30.0) for day in range(days)]
    plan = [[float(agents)] * SLOTS] * days
    queue = QueueAhead("acme/chat", ahead, plan, 240.0, MONDAY, MONDAY + days * 86_400, [levels] * days)
    pledge = Pledge(goal, Judging("SERVICE_LEVEL", "CONTACT_WEIGHTED", 0.8, "UTC"), 0.8)
    found = windows_ahead([WindowCase("acme/chats", 0, pledge, [], [queue], 0)])[0][2]
    day = ChatDay(np.full(SLOTS, 30.0), np.full(SLOTS, agents), 1800.0, np.array(levels), 240.0, 40.0)
    luck = np.random.default_rng(2)
    seen = [play_chats(day, 300, luck, paths) for paths in paths_of(ahead, 300, luck_of("played"))]
    within, offered = (np.sum([getattr(s, name).sum(axis=1) for s in seen], axis=0) for name in ("within", "offered"))
    played = within / offered
    assert found["expected"] == pytest.approx(played.mean(), abs=0.02)
    assert found["met"] == pytest.approx((played >= 0.8).mean(), abs=0.15)
    calls = dataclasses.replace(queue, levels=())
    assert windows_ahead([WindowCase("acme/chats", 0, pledge, [], [calls], 0)])[0][2]["expected"] < 0.3


def test_what_is_behind_is_not_expected_again() -> None:
    over = dataclasses.replace(case(13, [(MONDAY, 700, 900)], days=1))
    rest = dataclasses.replace(over.queues[0], since=MONDAY + 15 * 1800)
    found = windows_ahead([dataclasses.replace(over, queues=[rest])])[0][2]
    assert found["budget"]["passed"] == pytest.approx(900 / 960, abs=0.01)
    assert found["met"] == 0.0
    gone = dataclasses.replace(over.queues[0], since=MONDAY + 86_400)
    assert windows_ahead([dataclasses.replace(over, queues=[gone])]) == []


@pytest.mark.parametrize(
    ("kind", "fiscal", "now", "ends"),
    [
        ("DAY", "MONTH", "2026-03-29T12:00", "2026-03-30"),
        ("WEEK", "MONTH", "2026-03-29T12:00", "2026-03-30"),
        ("MONTH", "MONTH", "2026-01-31T23:59", "2026-02-01"),
        ("FISCAL", "FOUR_FOUR_FIVE", "2026-01-20T00:00", "2026-02-02"),
        ("FISCAL", "MONTH", "2026-02-10T00:00", "2026-03-01"),
    ],
)
def test_a_window_ends_where_the_next_begins(kind: str, fiscal: str, now: str, ends: str) -> None:
    zone = "Europe/London"
    instant = resolve(dt.datetime.fromisoformat(now), zone)
    found = window_end(kind, "", zone, instant, fiscal, dt.date(2026, 1, 5))
    assert found == resolve(dt.datetime.fromisoformat(ends), zone)


@pytest.mark.parametrize(("first", "last", "opens"), [(0, 46, False), (1, 46, True), (0, 45, True)])
def test_a_day_ahead_opens_with_nobody_in_it_unless_it_is_open_at_both_midnights(first: int, last: int, opens: bool) -> None:
    """On a day of 23 hours in London, and on one 22 and a half or 23 hours of the 24 long."""
    zone = "Europe/London"
    for date in ("2026-03-28", "2026-03-29"):
        rows = list(day_starts(dt.date.fromisoformat(date), zone, 1800))
        rows = rows[first : last + len(rows) - 46]
        size = len(rows)
        day = ForecastDay("a/b", date, 1800, rows, [1] * size, [60.0] * size, [70.0] * size, [300.0] * size, 0, 1, True)
        queue = QueueAhead("a/b", [day], [[13.0] * size], 180.0, rows[0], rows[-1] + 1800, zone=zone)
        one = dataclasses.replace(case(13, []), queues=[queue])
        assert _days(one)[0].opens == opens
