"""Deferred work: nonsense refused, level plans against linear programmes, items conserved in the simulator."""

import numpy as np
import pytest
from scipy.optimize import linprog

from muster.domain.calendar import OpeningHours
from muster.domain.deadlines import deadline_of
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
from tests.support.office import LONDON, OFFICE, at


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
