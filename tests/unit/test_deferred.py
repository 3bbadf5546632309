"""Deferred work: deadlines by hand, level plans against linear programmes, items conserved in the simulator."""

import datetime as dt

import numpy as np
import pytest
from scipy.optimize import linprog

from muster.domain.calendar import Opening, OpeningHours, resolve
from muster.domain.deadlines import Deadlines, deadline_of, deadlines_of
from muster.domain.due_rule import DueRule, parse_due
from muster.simulator.deferred import Mail, play_mail
from services.staffing.domain.deferred import (
    Cohort,
    Desk,
    Work,
    blend,
    done_in_time,
    level_agents,
    taut_string,
    work_of,
)

WEEK = frozenset(range(5))
OFFICE = OpeningHours((Opening(WEEK, 9 * 3600, 17 * 3600),), ("GB",))
LONDON = "Europe/London"


def at(text: str, zone: str = LONDON) -> int:
    return resolve(dt.datetime.fromisoformat(text), zone)


@pytest.mark.parametrize(
    ("rule", "came", "due"),
    [
        ("8h", "2026-06-01 09:00", "2026-06-01 17:00"),  # a Monday, as it opens: due as it closes
        ("8h", "2026-06-01 13:00", "2026-06-02 13:00"),
        ("8h", "2026-06-05 16:59", "2026-06-08 16:59"),  # over the weekend
        ("2h30m", "2026-06-06 12:00", "2026-06-08 11:30"),  # came on a Saturday
        ("90m", "2026-12-24 16:30", "2026-12-29 10:00"),  # Christmas, its Saturday and Sunday, Boxing Day's substitute
        ("end_of_day", "2026-06-01 08:00", "2026-06-01 17:00"),
        ("end_of_day", "2026-06-01 17:00", "2026-06-02 17:00"),
        ("end_of_day+1@15:00", "2026-06-01 14:59", "2026-06-02 17:00"),
        ("end_of_day+1@15:00", "2026-06-01 15:00", "2026-06-03 17:00"),
        ("end_of_day+1@15:00", "2026-06-05 15:00", "2026-06-09 17:00"),  # Friday at the cut-off counts as Monday
        ("end_of_day+2", "2026-04-02 10:00", "2026-04-08 17:00"),  # Good Friday and, in England only, Easter Monday below
    ],
)
def test_a_business_deadline_is_what_a_planner_counts_on_the_calendar(rule: str, came: str, due: str) -> None:
    england = OpeningHours(OFFICE.weekly, ("GB",), ((dt.date(2026, 4, 6), ()),))
    assert deadline_of(at(came), parse_due(rule), england, LONDON) == at(due)


@pytest.mark.parametrize("rule", ["4h", "90m", "end_of_day", "end_of_day+1@15:10", "elapsed"])
def test_what_an_interval_may_wait_is_what_its_every_second_may(rule: str) -> None:
    hours = OpeningHours((Opening(WEEK, 9 * 3600 + 600, 17 * 3600 + 1200), Opening(frozenset((5,)), 10 * 3600, 12 * 3600)))
    kept = Deadlines(DueRule(elapsed=5000) if rule == "elapsed" else parse_due(rule), hours, LONDON)
    starts = np.arange(at("2026-03-27 06:00"), at("2026-03-30 20:00"), 1800)  # over a weekend with a clock change
    least, most = kept.waits(starts, 1800)
    for start, low, high in list(zip(starts, least, most, strict=True))[::3]:
        seconds = np.arange(start, start + 1800)
        seconds = seconds[seconds % 60 > 0]  # what comes as the minute begins may still be due a day earlier
        allowed = deadlines_of(seconds, kept.rule, hours, LONDON) - seconds
        assert allowed.min() - 1 <= low <= allowed.min()
        assert allowed.max() <= high <= allowed.max() + 1
        assert rule == "elapsed" or (low % 60, high % 60) == (0, 0)


@pytest.mark.parametrize("rule", ["4h", "end_of_day", "end_of_day+1@15:10"])
def test_what_came_before_due_through_is_due_and_what_came_later_is_not(rule: str) -> None:
    kept = Deadlines(parse_due(rule), OFFICE, LONDON)
    for now in range(at("2026-06-01 07:00"), at("2026-06-03 20:00"), 4500):
        border = kept.due_through(now, 1800)
        last, later = border - 1, border + 1799
        assert border % 1800 == 0
        assert deadline_of(last, kept.rule, OFFICE, LONDON) <= now < deadline_of(later, kept.rule, OFFICE, LONDON)


@pytest.mark.parametrize("rule", ["end_of_day+25", "200h"])
def test_long_promises_are_looked_for_as_far_back_as_they_reach(rule: str) -> None:
    kept, now = Deadlines(parse_due(rule), OFFICE, LONDON), at("2026-06-15 12:00")
    border = kept.due_through(now, 1800)
    assert deadline_of(border - 1, kept.rule, OFFICE, LONDON) <= now < deadline_of(border + 1799, kept.rule, OFFICE, LONDON)


def test_business_time_runs_by_elapsed_hours_through_a_clock_change() -> None:
    always = OpeningHours((Opening(frozenset(range(7)), 0, 24 * 3600),))
    spring, autumn = at("2026-03-28 22:00"), at("2026-10-24 22:00")
    assert deadline_of(spring, parse_due("8h"), always, LONDON) == at("2026-03-29 07:00")  # the night has an hour less
    assert deadline_of(autumn, parse_due("8h"), always, LONDON) == at("2026-10-25 05:00")
    assert deadline_of(spring, DueRule(elapsed=8 * 3600), always, LONDON) == spring + 8 * 3600
    office = parse_due("8h")
    assert deadline_of(at("2026-03-27 12:00"), office, OFFICE, LONDON) == at("2026-03-30 12:00")
    assert at("2026-03-30 12:00") - at("2026-03-27 12:00") == 71 * 3600


def test_hours_past_midnight_belong_to_the_day_on_which_they_begin() -> None:
    night = OpeningHours((Opening(WEEK, 20 * 3600, 4 * 3600),))
    assert deadline_of(at("2026-06-02 02:00"), parse_due("end_of_day"), night, LONDON) == at("2026-06-02 04:00")
    assert deadline_of(at("2026-06-02 05:00"), parse_due("end_of_day"), night, LONDON) == at("2026-06-03 04:00")
    assert deadline_of(at("2026-06-02 03:00"), parse_due("2h"), night, LONDON) == at("2026-06-02 21:00")


@pytest.mark.parametrize("rule", ["8h", "90m", "40h", "end_of_day", "end_of_day@15:00", "end_of_day+3@23:00"])
@pytest.mark.parametrize("first", ["2026-03-25 00:00", "2026-10-22 00:00", "2026-12-20 00:00"])
def test_deadlines_looked_up_together_are_those_of_each(rule: str, first: str) -> None:
    night = OpeningHours((*OFFICE.weekly, Opening(frozenset({4}), 20 * 3600, 4 * 3600)), ("GB",))
    came = at(first) + np.random.default_rng(5).integers(0, 12 * 86_400, 150)
    came[:4] = at(first) + 9 * 3600 + np.array([0, 8 * 3600, 86_400, 86_399])
    for hours in (OFFICE, night):
        each = [deadline_of(int(t), parse_due(rule), hours, LONDON) for t in came]
        assert deadlines_of(came, parse_due(rule), hours, LONDON).tolist() == each


def test_deadlines_beyond_a_long_closure_are_found_and_none_is_refused() -> None:
    shut = tuple((dt.date(2026, 6, 1) + dt.timedelta(days=n), ()) for n in range(60))
    hours, came = OpeningHours(OFFICE.weekly, (), shut), np.array([at("2026-06-01 09:00")])
    assert deadlines_of(came, parse_due("8h"), hours, LONDON)[0] == at("2026-07-31 17:00")
    assert deadlines_of(came, parse_due("end_of_day"), hours, LONDON)[0] == at("2026-07-31 17:00")
    for rule in ("1h", "end_of_day+1"):
        with pytest.raises(ValueError, match="within 400 days"):
            deadlines_of(came, parse_due(rule), OpeningHours(()), LONDON)
    assert deadlines_of(came, DueRule(elapsed=60), OpeningHours(()), LONDON)[0] == came[0] + 60


@pytest.mark.parametrize(
    "rule", ["8h", "2h30m", "30m", "end_of_day", "end_of_day+1", "end_of_day@09:30", "end_of_day+1@15:00", "end_of_day+2@24:00"]
)
def test_a_rule_is_written_as_it_was_read(rule: str) -> None:
    assert str(parse_due(rule)) == rule
    assert str(DueRule(elapsed=5400)) == "1h30m elapsed"


@pytest.mark.parametrize(
    "text", ["", "8", "h", "0h", "-1h", "end_of_day+", "end_of_day@25:00", "end_of_day+1@15", "eod", "8h+1"]
)
def test_a_deadline_that_nobody_can_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"allowed|not a"):
        parse_due(text)


def test_nonsense_is_refused_at_birth() -> None:
    with pytest.raises(ValueError, match="no 3600 seconds of service within 400 days"):
        deadline_of(at("2026-06-01 09:00"), parse_due("1h"), OpeningHours(()), LONDON)
    with pytest.raises(ValueError, match="no 1 business days"):
        deadline_of(at("2026-06-01 09:00"), parse_due("end_of_day+1"), OpeningHours(()), LONDON)
    with pytest.raises(ValueError, match="due not before it arrived"):
        Cohort(100, 50, 1.0)
    with pytest.raises(ValueError, match="cut_off is 3600"):
        DueRule(business=3600, cut_off=3600)
    with pytest.raises(ValueError, match="count"):
        Work(np.zeros(1, int), np.ones(1, int), np.array([-1.0]), np.ones(2, bool), 900.0, 300.0)
    with pytest.raises(ValueError, match="not earlier"):
        Work(np.array([0, 1]), np.array([3, 2]), np.array([1.0, 1.0]), np.ones(4, bool), 900.0, 300.0)
    with pytest.raises(ValueError, match="not below high"):
        taut_string(np.array([0.0, 2.0]), np.array([0.0, 1.0]))


def random_work(luck: np.random.Generator, size: int = 10) -> Work:
    """Return work of random intake, due times and opening; each group has an open interval before it is due."""
    opens = luck.random(size) < 0.7
    opens[-1] = True
    came = np.arange(size)
    first_open = np.array([next(i for i in range(c, size) if opens[i]) for c in came])
    due = np.maximum.accumulate(first_open + 1 + luck.integers(0, 6, size))
    return Work(came, due, luck.integers(0, 9, size).astype(float), opens, 900.0, 300.0)


def least_agents(work: Work, slack: np.ndarray | None = None) -> tuple[float, float]:
    """Return the least agent-intervals that a linear programme finds, and the lowest peak that so many allow.

    Variables: dedicated agents of each interval, items of each group done in each interval, the peak.
    """
    size, groups = work.open.size, work.count.size
    free = np.zeros(size) if slack is None else np.where(work.open, slack, 0.0)
    width = size + groups * size + 1
    inside = work.due <= size
    upper, bound, equal, value = [], [], [], []
    for i in range(size):
        row = np.zeros(width)
        row[i] = -3.0
        row[size + i : size + groups * size : size] = 1.0
        upper.append(row)
        bound.append(3.0 * free[i])
        below = np.zeros(width)
        below[i], below[-1] = 1.0, -1.0
        upper.append(below)
        bound.append(0.0)
    for k in range(groups):
        if not inside[k]:
            continue
        row = np.zeros(width)
        row[size + k * size : size + (k + 1) * size] = 1.0
        equal.append(row)
        value.append(work.count[k])
    limits = [(0.0, None if o else 0.0) for o in work.open]
    for k in range(groups):
        limits += [(0.0, None if work.came[k] <= i < work.due[k] and inside[k] else 0.0) for i in range(size)]
    limits.append((0.0, None))
    first = linprog(np.append(np.ones(size), np.zeros(width - size)), upper, bound, equal, value, limits)
    total = np.append(np.ones(size), np.zeros(width - size))
    assert first.fun is not None
    second = linprog(np.eye(width)[-1], [*upper, total], [*bound, first.fun + 1e-9], equal or None, value or None, limits)
    assert second.fun is not None
    return float(first.fun), float(second.fun)


@pytest.mark.parametrize("seed", range(25))
def test_the_level_plan_has_the_hours_and_the_peak_of_a_linear_programme(seed: int) -> None:
    work = random_work(np.random.default_rng(seed))
    real, whole = level_agents(work)
    hours, peak = least_agents(work)
    assert real.sum() == pytest.approx(hours, abs=1e-6)
    assert real.max() == pytest.approx(peak, abs=1e-6)
    assert not real[~work.open].any() and not whole[~work.open].any()
    assert (np.cumsum(whole) >= np.cumsum(real) - 1e-6).all()


@pytest.mark.parametrize("seed", range(25))
def test_no_other_split_between_slack_and_dedicated_agents_needs_fewer(seed: int) -> None:
    luck = np.random.default_rng(seed)
    work, slack = random_work(luck), luck.random(10) * 2
    found = blend(work, slack)
    assert found.real.sum() == pytest.approx(least_agents(work, slack)[0], abs=1e-6)
    assert found.taken.sum() + found.real.sum() * 3 == pytest.approx(work.count[work.due <= 10].sum())


@pytest.mark.parametrize("seed", range(25))
def test_as_much_is_done_in_time_as_a_linear_programme_finds(seed: int) -> None:
    luck = np.random.default_rng(seed)
    work, agents = random_work(luck), luck.integers(0, 3, 10)
    items = luck.integers(0, 12, (3, work.count.size)).astype(float)
    done = done_in_time(work, items, agents)
    assert (done >= 0).all() and (done <= items).all()
    for row, has in zip(done, items, strict=True):
        places = [(k, i) for k in range(10) for i in range(10) if work.came[k] <= i < work.due[k] and work.open[i]]
        upper = [[float(k == g) for k, _ in places] for g in range(10)] + [
            [float(i == j) for _, i in places] for j in range(10)
        ]
        best = linprog(-np.ones(len(places)), upper, [*has, *(agents * 3.0)])
        assert best.fun is not None
        assert row.sum() == pytest.approx(-best.fun)


def test_a_string_is_the_least_of_squares_too() -> None:
    luck = np.random.default_rng(4)
    for _ in range(50):
        low = np.append(0.0, np.cumsum(luck.random(8)))
        high = np.maximum(low + luck.random(9) * 1.5, 0.0)
        high[0], high = 0.0, np.maximum.accumulate(np.append(0.0, high[1:]))
        path = taut_string(low, high)
        assert (path >= low - 1e-9).all() and (path <= high + 1e-9).all() and path[-1] == pytest.approx(low[-1])
        for _ in range(60):  # no feasible change at one point makes it leveller
            at_ = luck.integers(1, 8)
            other = path.copy()
            other[at_] = luck.uniform(low[at_], high[at_])
            assert (np.diff(other) ** 2).sum() >= (np.diff(path) ** 2).sum() - 1e-9


def test_by_hand_a_day_of_mail_due_the_next_evening_is_spread_over_both_days() -> None:
    monday = at("2026-06-01 00:00")
    intake = np.zeros(96)
    desk = Desk(OFFICE, LONDON, parse_due("end_of_day+1"), 1800, 600.0)
    intake[18] = 48.0  # all at nine on Monday
    work = work_of(desk, monday, intake)
    real, whole = level_agents(work)
    assert real[work.open].tolist() == pytest.approx([0.5] * 32)
    assert whole.sum() == 16
    backlog = (Cohort(monday - 7200, monday + 10 * 3600, 6.0),)  # due at ten: two half-hours
    work = work_of(desk, monday, intake, backlog)
    assert level_agents(work)[0][[18, 19, 20]].tolist() == pytest.approx([1.0, 1.0, 48 / 3 / 30])


def mail_of(work: Work, agents: np.ndarray, day: np.ndarray) -> Mail:
    due = np.stack([work.due, work.due], axis=1).astype(float) * work.seconds
    return Mail(work.count, agents, work.seconds, due, day, work.handle, np.zeros((0, 2)), np.zeros(0, np.int64))


def test_items_are_conserved_and_aged() -> None:
    agents = np.array([0, 0, 2, 2, 0, 1])
    due = np.full((6, 2), 7200.0)
    backlog = np.array([[-90_000.0, 10.0], [-10.0, 9000.0]])
    mail = Mail(np.full(6, 5.0), agents, 1800.0, due, np.zeros(6, int), 400.0, backlog, np.array([1, 1]))
    seen = play_mail(mail, 40, np.random.default_rng(3))
    assert (seen.came == seen.done + seen.left).all()
    assert (seen.due.sum(axis=1) == seen.came).all()
    assert (seen.on_time <= seen.due).all()
    assert (seen.on_time[:, 1] <= 1).all()  # what was due in 10 s has nobody to do it
    assert (seen.backlog[:, 0].sum(axis=1) == 2).all()
    assert (seen.backlog[:, 0] == [1, 0, 1, 0]).all()  # one of ten seconds, one of 25 hours
    assert (seen.backlog[:, -1].sum(axis=1) == seen.left).all()


def test_with_agents_enough_a_single_server_line_is_as_long_as_pollaczek_says() -> None:
    # M/M/1 at 0.8: the mean number waiting is 0.8² / 0.2 = 3.2 (any order that does not look at handle times).
    size = 2000
    due = np.stack([np.arange(size) * 600.0 + 1800.0, np.arange(1, size + 1) * 600.0 + 1800.0], 1)
    mail = Mail(
        np.full(size, 0.8), np.ones(size, int), 600.0, due, np.zeros(size, int), 600.0, np.zeros((0, 2)), np.zeros(0, int)
    )
    seen = play_mail(mail, 40, np.random.default_rng(5))
    waiting = seen.backlog[:, 100:].sum(axis=2).mean(axis=1)
    assert abs(waiting.mean() - 3.2) < 4 * waiting.std() / np.sqrt(40)


def test_mail_that_makes_no_sense_is_refused() -> None:
    good = {"intake": np.ones(2), "agents": np.ones(2, int), "seconds": 900.0, "due": np.ones((2, 2)), "day": np.zeros(2, int)}
    rest = {"handle": 300.0, "backlog": np.zeros((0, 2)), "backlog_day": np.zeros(0, int)}
    Mail(**good, **rest)  # type: ignore[arg-type]
    for bad in ({"handle": 0.0}, {"agents": np.ones(3, int)}, {"intake": np.array([1, np.nan])}, {"ages": (1.0, 2.0)}):
        with pytest.raises(ValueError, match="allowed"):
            Mail(**{**good, **rest, **bad})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="times is 0"):
        play_mail(Mail(**good, **rest), 0, np.random.default_rng(1))  # type: ignore[arg-type]
