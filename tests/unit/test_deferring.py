"""The requirement of deferred work: plans by hand, targets kept in the simulator, backlog, minimum, and what is over of today."""

import dataclasses
import datetime as dt

import numpy as np
import pytest

from muster.domain.calendar import Opening, OpeningHours, day_starts, local_date, parse_date
from muster.domain.deadlines import deadline_of
from muster.domain.due_rule import DueRule, parse_due
from muster.simulator.deferred import Mail, MailSeen, play_mail
from services.staffing.domain.deferred import Desk
from services.staffing.domain.facts import ForecastDay, RequirementDay
from services.staffing.domain.requirement import Rules
from services.staffing.handlers.deferring import DeskDays, mean_handle, on_deferred

LONDON, HALF_HOUR, DAY = "Europe/London", 1800, 86_400
OFFICE = OpeningHours((Opening(frozenset(range(5)), 9 * 3600, 17 * 3600),))
PLAIN = Rules((), 0, 0.0, 0.0)
MONDAY = dt.date(2026, 6, 1)


def desk(rule: str = "8h", handle: float = 480.0) -> Desk:
    return Desk(OFFICE, LONDON, parse_due(rule), HALF_HOUR, handle)


def forecast(day: dt.date, offered: list[float], handle: float = 480.0) -> ForecastDay:
    starts = list(day_starts(day, LONDON, HALF_HOUR))
    high = [n + 1.2816 * n**0.5 for n in offered]
    size = len(starts)
    return ForecastDay("acme/mail", day.isoformat(), HALF_HOUR, starts, [1] * size, offered, high, [handle] * size, 7, 3, True)


def mails(count: float, days: int, handle: float = 480.0) -> list[ForecastDay]:
    """Return days from Monday on: four fifths of `count` from eight to six on weekdays, a fifth by night, and a fifth at weekends."""
    found = []
    for n in range(days):
        day = MONDAY + dt.timedelta(days=n)
        size = len(day_starts(day, LONDON, HALF_HOUR))
        slot = np.arange(size)
        busy = np.where((slot >= 16) & (slot < 36), 0.8 * count / 20, 0.2 * count / 28)
        found.append(forecast(day, (busy if day.weekday() < 5 else np.full(size, 0.2 * count / 48)).tolist(), handle))
    return found


def nine_o_clock(count: float, days: int = 2, handle: float = 600.0) -> list[ForecastDay]:
    """Return days from Monday on with `count` items at nine on the first, none else."""
    found = [forecast(MONDAY + dt.timedelta(days=n), [0.0] * 48, handle) for n in range(days)]
    found[0].offered[18] = found[0].high[18] = count
    return found


def require(days: list[ForecastDay], at: Desk, target: float = 0.95, rules: Rules = PLAIN) -> list[RequirementDay]:
    return on_deferred(DeskDays(days, [], at, target, days[0].starts[0]), rules, 1)


def played(days: list[ForecastDay], at: Desk, answers: list[RequirementDay], times: int, cut: float = 1.0) -> MailSeen:
    """Return what the simulator shows of the agents required, times `cut`, deadlines to the second."""
    begin = days[0].starts[0]
    starts = [s for day in days for s in day.starts]
    agents = np.zeros(len(starts), np.int64)
    for told in answers:
        for start, n in zip(told.starts, told.on_queue, strict=True):
            agents[(start - begin) // HALF_HOUR] = int(n * cut + 0.5)
    due = np.array([[deadline_of(t, at.rule, at.hours, LONDON) - begin for t in (s, s + HALF_HOUR - 1)] for s in starts], float)
    place = [(local_date(int(begin + d - 1), LONDON) - parse_date(days[0].local_date)).days for d in due[:, 1]]
    day = np.where(due[:, 1] <= len(starts) * HALF_HOUR, place, -1)
    offered, nothing = np.concatenate([d.offered for d in days]), np.zeros((0, 2))
    handle = days[0].aht[0]
    mail = Mail(offered, agents, float(HALF_HOUR), due, day, handle, nothing, np.zeros(0, np.int64))
    return play_mail(mail, times, np.random.default_rng(11))


def kept(seen: MailSeen, target: float) -> float:
    """Return the share of days, of those on which something is due, that keep the target."""
    return float((seen.share[seen.due > 0] >= target).mean())


@pytest.mark.parametrize(
    ("count", "rule", "target", "handle", "too_few"),
    [
        (300, "8h", 0.95, 480.0, 0.85),
        (300, "end_of_day+1@15:00", 0.95, 480.0, 0.8),
        (300, "2h", 0.9, 480.0, 0.85),
        (40, "4h", 0.9, 600.0, 0.4),
    ],
)
def test_the_target_is_kept_on_19_of_20_days_and_not_with_fewer(
    count: float, rule: str, target: float, handle: float, too_few: float
) -> None:
    days, at = mails(count, 21, handle), desk(rule, handle)
    answers = require(days, at, target)
    assert kept(played(days, at, answers, 40), target) >= 0.95
    assert kept(played(days, at, answers, 40, too_few), target) < 0.8


@pytest.mark.parametrize(("rule", "target"), [("8h", 0.95), ("2h", 0.9), ("end_of_day", 0.9)])
def test_the_share_predicted_is_the_share_that_the_simulator_shows(rule: str, target: float) -> None:
    days, at = mails(300, 14), desk(rule)
    answers = require(days, at, target)
    seen = played(days, at, answers, 60)
    told = [day.service_level[0] for day in answers if day.starts and day.service_level[0] is not None]
    assert sum(told) / len(told) == pytest.approx(seen.on_time.sum() / seen.due.sum(), abs=0.015)


def test_hours_are_hardly_more_than_the_work() -> None:
    days = mails(300, 42)
    agents = sum(sum(day.on_queue) for day in require(days, desk())) / 2
    assert 0.95 < agents / (sum(sum(day.offered) for day in days) * 480 / 3600) < 1.03


def test_by_hand_what_is_due_the_next_evening_is_spread_over_both_days() -> None:
    monday, tuesday = require(nine_o_clock(48), desk("end_of_day+1"), 0.5)
    assert monday.load + tuesday.load == pytest.approx([0.5] * 32)
    assert monday.carried == monday.load
    assert len(monday.starts) == 16 and monday.starts[0] == nine_o_clock(1)[0].starts[18]
    assert monday.formula == "earliest deadline first, end_of_day+1 (50 %)"
    assert monday.service_level == [None] * 16  # nothing is due before Tuesday
    assert tuesday.service_level[0] is not None
    assert set(monday.asa) == set(monday.abandonment) == {0.0}
    assert (monday.version, monday.forecast_version, monday.watermark) == (1, 3, 7)


def test_by_hand_open_items_are_done_before_they_are_due() -> None:
    days = nine_o_clock(0.0)
    nine = days[0].starts[18]
    backlog = [
        (nine - 3 * DAY, 0),
        (days[0].starts[0] - 3 * DAY + 10 * 3600, 6),
        (days[0].starts[17], 0),
    ]  # six came Friday at ten
    monday, _ = on_deferred(DeskDays(days, backlog, desk("8h", 600.0), 0.95, days[0].starts[18]), PLAIN, 1)
    assert monday.load[:3] == pytest.approx([1.0, 1.0, 0.0])  # 6 × 600 s in two half-hours
    assert sum(monday.on_queue[:2]) >= 2


def test_what_is_overdue_is_done_as_if_it_came_now_and_makes_no_peak() -> None:
    days = nine_o_clock(0.0)
    backlog = [(days[0].starts[0] - 10 * DAY, 96), (days[0].starts[17], 0)]
    monday, _ = on_deferred(DeskDays(days, backlog, desk("8h", 600.0), 0.95, days[0].starts[18]), PLAIN, 1)
    assert monday.load == pytest.approx([2.0] * 16)


def test_what_came_but_is_not_counted_yet_is_taken_as_forecast() -> None:
    days = nine_o_clock(48.0)
    ten = days[0].starts[20]
    unknown, known = (
        on_deferred(DeskDays(days, [(days[0].starts[at], 0)], desk("8h", 600.0), 0.95, ten), PLAIN, 1) for at in (17, 19)
    )
    assert sum(unknown[0].load) + sum(unknown[1].load) == pytest.approx(16.0)  # 48 × 600 s / 1800 s
    assert sum(known[0].load) + sum(known[1].load) == 0.0


def test_the_minimum_staff_does_what_it_can_and_is_named_where_it_decides() -> None:
    days = mails(300, 7)
    rules = Rules((), 5, 0.1, 0.2)
    plain, staffed = require(days, desk("2h"), 0.9), require(days, desk("2h"), 0.9, rules)
    for before, day in zip(plain, staffed, strict=True):
        for i, n in enumerate(day.on_queue):
            assert n >= 5
            assert day.drivers[i] == ("MINIMUM_STAFF" if n == 5 else "DEADLINE_MET")
            assert day.scheduled[i] == pytest.approx(n / 0.9)
            assert day.paid[i] == pytest.approx(n / 0.9 / 0.8)
            assert day.on_queue_safe[i] >= n
        assert set(before.drivers) <= {"DEADLINE_MET"}
    assert {d for day in staffed for d in day.drivers} == {"DEADLINE_MET", "MINIMUM_STAFF"}
    assert kept(played(days, desk("2h"), staffed, 40), 0.9) >= 0.95


def test_a_busier_forecast_needs_more_and_the_safe_number_covers_its_high_side() -> None:
    usual, busy = (require(mails(n, 7), desk()) for n in (300, 400))
    assert sum(sum(d.on_queue) for d in busy) > 1.2 * sum(sum(d.on_queue) for d in usual)
    assert sum(sum(d.on_queue_safe) for d in usual) > 1.1 * sum(sum(d.on_queue) for d in usual)


def test_mail_of_the_weekend_is_done_on_weekdays() -> None:
    days = mails(300, 7)
    answers = require(days, desk())
    assert [len(day.starts) for day in answers] == [16] * 5 + [0, 0]
    assert [day.on_queue for day in answers[5:]] == [[], []]


def test_elapsed_time_that_ends_before_service_begins_makes_no_peak() -> None:
    at = dataclasses.replace(desk(), rule=DueRule(elapsed=4 * 3600))
    answers = require(mails(300, 7), at, 0.9)
    assert answers[1].formula.startswith("earliest deadline first, 4h elapsed")
    assert answers[1].on_queue[0] <= 2 * np.median(answers[1].on_queue)
    shut = require(mails(300, 3), dataclasses.replace(at, hours=OpeningHours(())), 0.9)
    assert [day.starts for day in shut] == [[], [], []]


def test_a_day_that_is_lost_does_not_raise_the_others() -> None:
    days = mails(300, 7)
    begin = days[0].starts[18]
    lost = [(begin - 3 * DAY + HALF_HOUR, 400), (days[0].starts[17], 0)]  # 400 due half an hour from now
    some = [(begin - 3 * DAY + HALF_HOUR, 0), (days[0].starts[17], 0)]
    heavy, light = (on_deferred(DeskDays(days, backlog, desk(), 0.95, begin), PLAIN, 1) for backlog in (lost, some))
    assert sum(sum(d.on_queue) for d in heavy[2:5]) <= 1.1 * sum(sum(d.on_queue) for d in light[2:5])


def test_intervals_that_are_over_stay_as_they_were_required() -> None:
    days = mails(300, 3)
    begin = days[0].starts[0]
    morning = require(days, desk())[0]
    noon = days[0].starts[24]
    backlog = [(s, 5) for s in days[0].starts[:24]]
    told = on_deferred(DeskDays(days, backlog, desk(), 0.95, noon + 600), PLAIN, 2, morning)[0]
    assert told.starts == morning.starts
    assert told.on_queue[:6] == morning.on_queue[:6] and told.drivers[:6] == morning.drivers[:6]
    alone = on_deferred(DeskDays(days, backlog, desk(), 0.95, noon + 600), PLAIN, 2)[0]
    assert alone.starts == morning.starts[6:] and alone.on_queue == told.on_queue[6:]
    bare = dataclasses.replace(morning, carried=[])
    assert on_deferred(DeskDays(days, backlog, desk(), 0.95, noon), PLAIN, 2, bare)[0].carried[:6] == morning.load[:6]
    assert on_deferred(DeskDays(days, [], desk(), 0.95, begin), PLAIN, 1) == require(days, desk())


def test_days_of_a_clock_change_have_their_own_intervals() -> None:
    first = dt.date(2026, 10, 24)
    always = dataclasses.replace(desk(), hours=OpeningHours((Opening(frozenset(range(7)), 0, DAY),)))
    days = [forecast(d, [4.0] * len(day_starts(d, LONDON, HALF_HOUR))) for d in (first, first + dt.timedelta(days=1))]
    assert [len(day.starts) for day in require(days, always)] == [48, 50]
    assert [day.starts for day in require(days, always)] == [day.starts for day in days]


def test_the_handle_time_is_that_of_all_contacts() -> None:
    short, long = forecast(MONDAY, [3.0] * 48, 100.0), forecast(MONDAY + dt.timedelta(days=1), [1.0] * 48, 500.0)
    assert mean_handle([short, long], 60.0) == pytest.approx(200.0)
    assert mean_handle(nine_o_clock(0.0), 60.0) == 60.0


def test_nothing_expected_needs_nobody_and_nonsense_is_refused() -> None:
    quiet = require(nine_o_clock(0.0), desk())
    assert sum(quiet[0].on_queue) == 0 and quiet[0].service_level == [None] * 16 and set(quiet[0].occupancy) == {0.0}
    assert on_deferred(DeskDays([], [], desk(), 0.95, 0), PLAIN, 1) == []
    with pytest.raises(ValueError, match=r"target is 1\.5; allowed"):
        require(mails(300, 2), desk(), 1.5)
