"""Deferred work item by item: what agents do in time, as the simulator of the floor shows it, and by hand."""

import numpy as np
import pytest

from muster.simulator.deferred import Mail, play_mail
from services.staffing.domain.deferred import Work
from services.staffing.domain.erlang import Floats
from services.staffing.domain.items import Due, Items, draw_items, whole_of

HALF_HOUR = 1800.0


def items(came: list[float], due: list[float], effort: list[float], size: int = 4) -> Items:
    one = np.zeros(len(came), np.int64)
    ends = np.array([len(came)])
    return Items(np.array(came), np.array(due), np.array(effort), one, ends, 1, np.ones(size, bool), HALF_HOUR)


def in_time(found: Items, *agents: int) -> int:
    return int(found.in_time(np.array(agents))[0, 0])


def test_an_item_takes_one_agent_its_whole_time_however_many_are_free() -> None:
    found = items([0.0], [1000.0], [1200.0])
    assert in_time(found, 5, 5, 5, 5) == 0
    assert in_time(items([0.0], [1200.0], [1200.0]), 1, 0, 0, 0) == 1


def test_whoever_leaves_finishes_the_item_in_hand_and_takes_no_new_one() -> None:
    found = items([0.0, 10.0], [7200.0, 7200.0], [2000.0, 100.0])
    assert in_time(found, 1, 0, 0, 0) == 1
    assert in_time(found, 1, 0, 1, 0) == 2


def test_late_items_are_done_where_no_other_waits() -> None:
    # The first is late when the agent comes; the second must not wait for it, the third does.
    found = items([0.0, 1700.0, 2400.0], [1750.0, 2400.0, 3650.0], [1200.0, 600.0, 50.0])
    assert in_time(found, 0, 1, 1, 1) == 2
    assert in_time(items([0.0, 1700.0, 2450.0], [1750.0, 2400.0, 3600.0], [1200.0, 600.0, 50.0]), 0, 1, 1, 1) == 1


def test_nobody_works_where_there_is_no_service() -> None:
    found = items([0.0], [7200.0], [60.0])
    shut = Items(found.came, found.due, found.effort, found.cell, found.ends, 1, np.zeros(4, bool), HALF_HOUR)
    assert in_time(found, 0, 1, 0, 0) == 1
    assert in_time(shut, 0, 1, 0, 0) == 0


@pytest.mark.parametrize("staff", [3, 4, 5])
def test_trials_keep_the_deadlines_that_the_simulator_keeps(staff: int) -> None:
    size, luck = 40, np.random.default_rng(5)
    intake, agents = luck.uniform(5, 15, size), luck.integers(staff - 1, staff + 2, size)
    last: Floats = (np.arange(1, size + 1) * HALF_HOUR + 5400.0).astype(np.float64)
    due = np.stack([last - HALF_HOUR, last], axis=1)
    place = np.arange(size) // 10
    work = Work(np.arange(size), np.minimum(np.arange(size) + 3, size), intake, np.ones(size, bool), HALF_HOUR, 600.0)
    found = draw_items(work, Due(work.came, due[:, 0], due[:, 1], np.zeros(size, bool), place, 4), 400, luck)
    mine = found.in_time(agents).sum(axis=0) / found.fell_due.sum(axis=0)
    mail = Mail(intake, agents, HALF_HOUR, due, place, 600.0, np.zeros((0, 2)), np.zeros(0, np.int64))
    seen = play_mail(mail, 400, np.random.default_rng(6))
    assert mine == pytest.approx(seen.on_time.sum(axis=0) / seen.due.sum(axis=0), abs=0.03)
    assert found.fell_due.mean(axis=0) == pytest.approx(intake.reshape(4, 10).sum(axis=1), rel=0.03)


def test_what_is_known_is_there_in_each_trial_and_what_is_due_after_the_days_is_not() -> None:
    work = Work(
        np.array([0, 1, -1, -1]), np.array([2, 3, 1, 1]), np.array([4.0, 4.0, 2.5, 1.5]), np.ones(3, bool), HALF_HOUR, 60.0
    )
    seconds: Floats = (work.due * HALF_HOUR).astype(float)
    known = np.array([False, False, True, True])
    found = draw_items(work, Due(work.came, seconds, seconds, known, np.array([1, 2, 0, 0]), 2), 50, np.random.default_rng(1))
    assert (found.fell_due[:, 0] == 4).all() and found.fell_due.shape == (50, 2)
    assert found.fell_due[:, 1].mean() == pytest.approx(4.0, abs=1.0) and found.fell_due[:, 1].std() > 1
    assert all(
        (np.diff(found.came[end - n : end]) >= 0).all()
        for end, n in zip(found.ends, np.diff(found.ends, prepend=0), strict=True)
    )
    assert found.came[0] == 0.0 and found.came.max() < HALF_HOUR


def test_parts_of_agents_add_up_to_whole_ones() -> None:
    assert whole_of(np.array([0.5, 0.5, 0.25, 0.25, 1.5])).tolist() == [1, 0, 0, 1, 1]
    assert whole_of(np.zeros(0)).tolist() == []
