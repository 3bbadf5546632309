"""Deferred work played item by item, from now to the end of a day, beside what is foreseen of it: done in time, and what waits how long."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from muster.domain.calendar import day_bounds, parse_date
from muster.domain.deadlines import deadlines_of
from muster.simulator.deferred import Mail, play_mail
from muster.simulator.pools import NORMAL_95
from services.staffing.domain.deferred import Desk, work_of
from services.staffing.domain.erlang import Floats, Ints
from services.staffing.domain.facts import ForecastDay, RequirementDay
from services.staffing.handlers.deferring import cohorts_of, draw, intake_of, mean_handle
from services.staffing.handlers.simulating import DEADLINE_MET, Asked, Backlog, Simulation, shares_of
from services.staffing.handlers.simulating_chats import sigma_of
from services.staffing.handlers.spreading import luck_of, paths_of


@dataclasses.dataclass(frozen=True)
class MailPlan:
    """Deferred work and who does it. days: the forecast from today to the day that is asked for; backlog: (start, items open) of closed
    intervals; target: the share to be done in time; staff: agents by start of interval; required: the day as published, None where the
    schedule is played."""

    days: Sequence[ForecastDay]
    backlog: Sequence[tuple[int, int]]
    desk: Desk
    target: float
    staff: Mapping[int, float]
    required: RequirementDay | None


def _whole(counts: Sequence[float]) -> Ints:
    """Return whole items (B,) that add up to what parts of items do."""
    found: Ints = np.diff(np.floor(np.cumsum(np.array(counts, float)) + 0.5), prepend=0.0).astype(np.int64)
    return found


def _waits(intake: Floats, before: float, agents: Ints, items: float) -> Floats:
    """Return the items (I,) that are left at each interval's end, an agent doing `items` in one."""
    found, left = np.zeros(intake.size), before
    for i in range(intake.size):
        left = found[i] = max(left + intake[i] - agents[i] * items, 0.0)
    return found


def _foreseen(
    plan: MailPlan, desk: Desk, begin: int, intake: Floats, agents: Ints, place: Ints, shown: int
) -> tuple[Floats, Floats]:
    """Return the items due in each of the day's intervals and those done in time (N,), the work taken as a fluid in trials."""
    work = work_of(desk, begin, intake, cohorts_of(plan.days, plan.backlog, desk, begin))
    known = np.arange(work.count.size) >= intake.size
    trials = draw(work, known, place, shown, luck_of(plan.days[-1].queue, plan.days[-1].local_date))
    return trials.due.mean(axis=0), trials.in_time(agents).mean(axis=0)


def simulate_mail(plan: MailPlan, asked: Asked, now: int) -> Simulation:
    """Play the days from the interval that holds `now` on, and tell of the last one. The same question always has the same answer.

    What falls due in an interval is told by its first item; what is overdue by now is done last, and judged no more. Raise ValueError
    where hours of service do not come.
    """
    asked_for = plan.days[-1]
    desk = dataclasses.replace(plan.desk, handle=mean_handle(plan.days, plan.desk.handle))
    begin, seconds = now - now % desk.seconds, desk.seconds
    day_begins, day_ends = day_bounds(parse_date(asked_for.local_date), desk.zone)
    size, first = (day_ends - begin) // seconds, max(day_begins - begin, 0) // seconds
    starts = begin + seconds * np.arange(size)
    agents = np.array([round(plan.staff.get(int(s), 0.0)) for s in starts], np.int64)
    intake = intake_of(plan.days, "offered", seconds, begin, (size, size))
    place = np.arange(size) - first

    def told_in(due: Ints) -> Ints:
        at = (due - 1) // seconds - first
        return np.where((due > 0) & (at >= 0) & (at < size - first), at, -1)

    due = np.stack([deadlines_of(starts + s, desk.rule, desk.hours, desk.zone) - begin for s in (0, seconds - 1)], axis=1)
    open_ = cohorts_of(plan.days, plan.backlog, desk, begin)
    count = _whole([c.count for c in open_])
    came = np.repeat(np.array([c.arrived for c in open_], np.int64), count)
    old = deadlines_of(came, desk.rule, desk.hours, desk.zone) - begin
    luck = luck_of(asked_for.queue, asked_for.local_date, "simulation")
    paths = _paths(plan.days, begin, seconds, size, asked.days, luck) if asked.uncertain else None
    waiting = np.stack([came - begin, old], axis=1).astype(float)
    mail = Mail(
        intake,
        agents,
        float(seconds),
        due.astype(float),
        told_in(due[:, 0]),
        desk.handle,
        waiting,
        told_in(old),
        sigma_of(asked),
    )
    seen = play_mail(mail, asked.days, luck, paths)
    shown, pad = size - first, ((0, 0), (0, max(size - first - seen.due.shape[1], 0)))
    fell, kept = (np.pad(counts, pad).astype(float) for counts in (seen.due, seen.on_time))
    found = shares_of(kept, fell, plan.target)
    asks, timely = _foreseen(plan, desk, begin, intake, agents, place, shown)
    left = seen.backlog[:, first + 1 :, :]
    total = left.sum(axis=2)
    level = plan.required.service_level if plan.required is not None else []
    said = dict(zip(plan.required.starts, level, strict=True)) if plan.required is not None else {}
    return Simulation(
        starts[first:].tolist(),
        agents[first:].tolist(),
        intake[first:].tolist(),
        [said.get(int(s)) for s in starts[first:]],
        np.divide(timely, asks, out=np.full(shown, np.nan), where=asks > 1e-6).tolist(),
        found.each,
        found.half,
        found.day,
        found.day_half,
        found.met,
        int(seen.came.sum()),
        DEADLINE_MET,
        float(timely.sum() / asks.sum()) if asks.sum() > 1e-6 else None,
        backlog=Backlog(
            fell.mean(axis=0).tolist(),
            _waits(intake, float(count.sum()), agents, seconds / desk.handle)[first:].tolist(),
            total.mean(axis=0).tolist(),
            (NORMAL_95 * total.std(axis=0, ddof=1) / math.sqrt(asked.days)).tolist(),
            list(mail.ages),
            left.mean(axis=0).tolist(),
            int((old <= 0).sum()),
        ),
    )


def _paths(days: Sequence[ForecastDay], begin: int, seconds: int, size: int, count: int, luck: np.random.Generator) -> Floats:
    """Return what may come (count, size) from `begin` on, days going together as the forecast's errors did."""
    found = np.zeros((count, size))
    for day, paths in zip(days, paths_of(days, count, luck), strict=True):
        at = (np.array(day.starts, np.int64) - begin) // seconds
        found[:, at[at >= 0]] = paths[:, at >= 0]
    return found
