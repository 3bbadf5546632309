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
from services.staffing.domain.items import whole_of
from services.staffing.handlers.deferring import ahead, cohorts_of, draw, mean_handle
from services.staffing.handlers.simulating import DEADLINE_MET, Asked, Backlog, Simulation, shares_of
from services.staffing.handlers.simulating_chats import sigma_of
from services.staffing.handlers.spreading import luck_of, paths_of


@dataclasses.dataclass(frozen=True)
class MailPlan:
    """Deferred work and who does it. days: the forecast from today to the day that is asked for; backlog: (start, items open) of closed
    intervals; target: the share to be done in time; staff: agents on queue by start of interval, idle: those of calls who help;
    required: the day as published, None where the schedule is played."""

    days: Sequence[ForecastDay]
    backlog: Sequence[tuple[int, int]]
    desk: Desk
    target: float
    staff: Mapping[int, float]
    required: RequirementDay | None
    idle: Mapping[int, float] = dataclasses.field(default_factory=dict)


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


@dataclasses.dataclass(frozen=True)
class _Days:
    """The intervals (I,) from `begin` on, of which those of the day that is asked for begin at place `first`; agents (I,) of each."""

    desk: Desk
    begin: int
    starts: Ints
    first: int
    agents: Ints
    intake: Floats

    @classmethod
    def of(cls, plan: MailPlan, now: int) -> "_Days":
        desk = dataclasses.replace(plan.desk, handle=mean_handle(plan.days, plan.desk.handle))
        begin, seconds = now - now % desk.seconds, desk.seconds
        day_begins, day_ends = day_bounds(parse_date(plan.days[-1].local_date), desk.zone)
        starts = begin + seconds * np.arange((day_ends - begin) // seconds)
        own, idle = (np.array([told.get(int(s), 0.0) for s in starts]) for told in (plan.staff, plan.idle))
        agents = np.round(own).astype(np.int64) + whole_of(idle)
        intake = ahead([(d.starts, d.offered) for d in plan.days], seconds, begin, (starts.size, starts.size))
        return cls(desk, begin, starts, max(day_begins - begin, 0) // seconds, agents, intake)

    @property
    def shown(self) -> int:
        """Intervals of the day that is asked for."""
        return self.starts.size - self.first

    def due_in(self, due: Ints) -> Ints:
        """Return the interval of the day, from 0, in which something is due at seconds from `begin`; −1: in none."""
        at = (due - 1) // self.desk.seconds - self.first
        return np.where((due > 0) & (at >= 0) & (at < self.shown), at, -1)

    def due(self, came: Ints) -> Ints:
        """Return when items are due that came at instants, seconds from `begin`."""
        return np.asarray(deadlines_of(came, self.desk.rule, self.desk.hours, self.desk.zone) - self.begin)


def _waiting(plan: MailPlan, days: _Days) -> tuple[Floats, Ints]:
    """Return items that are open now (B, 2), when they came and are due, seconds from `begin`; and the interval in which each is due."""
    open_ = cohorts_of(plan.days, plan.backlog, days.desk, days.begin)
    came = np.repeat(np.array([c.arrived for c in open_], np.int64), whole_of(np.array([c.count for c in open_], float)))
    due = days.due(came)
    return np.stack([came - days.begin, due], axis=1).astype(float), days.due_in(due)


def simulate_mail(plan: MailPlan, asked: Asked, now: int) -> Simulation:
    """Play the days from the interval that holds `now` on, and tell of the last one. The same question always has the same answer.

    What falls due in an interval is told by its first item; what is overdue by now is done last, and judged no more. Raise ValueError
    where hours of service do not come.
    """
    days, last = _Days.of(plan, now), plan.days[-1]
    desk, first, size = days.desk, days.first, days.starts.size
    due = np.stack([days.due(days.starts + s) for s in (0, desk.seconds - 1)], axis=1)
    waiting, waiting_due = _waiting(plan, days)
    luck = luck_of(last.queue, last.local_date, "simulation")
    paths = _paths(plan.days, days.begin, desk.seconds, size, asked.days, luck) if asked.uncertain else None
    at, sigma = days.due_in(due[:, 0]), sigma_of(asked)
    mail = Mail(days.intake, days.agents, float(desk.seconds), due.astype(float), at, desk.handle, waiting, waiting_due, sigma)
    seen = play_mail(mail, asked.days, luck, paths)
    pad = ((0, 0), (0, max(days.shown - seen.due.shape[1], 0)))
    fell, kept = (np.pad(counts, pad).astype(float) for counts in (seen.due, seen.on_time))
    found = shares_of(kept, fell, plan.target)
    asks, timely = _foreseen(plan, desk, days.begin, days.intake, days.agents, np.arange(size) - first, days.shown)
    told = plan.required
    said = dict(zip(told.starts, told.service_level, strict=True)) if told is not None else {}
    return Simulation(
        days.starts[first:].tolist(),
        days.agents[first:].tolist(),
        days.intake[first:].tolist(),
        [said.get(int(s)) for s in days.starts[first:]],
        np.divide(timely, asks, out=np.full(days.shown, np.nan), where=asks > 1e-6).tolist(),
        found.each,
        found.half,
        found.day,
        found.day_half,
        found.met,
        int(seen.came.sum()),
        DEADLINE_MET,
        float(timely.sum() / asks.sum()) if asks.sum() > 1e-6 else None,
        backlog=_backlog(days, mail, fell, seen.backlog[:, first + 1 :, :]),
    )


def _backlog(days: _Days, mail: Mail, fell: Floats, left: Ints) -> Backlog:
    """Return what waits at the end of each of the day's intervals, of items that fell due (R, N) and were left by age (R, N, A)."""
    total, items = left.sum(axis=2), days.desk.seconds / days.desk.handle
    return Backlog(
        fell.mean(axis=0).tolist(),
        _waits(days.intake, float(len(mail.backlog)), days.agents, items)[days.first :].tolist(),
        total.mean(axis=0).tolist(),
        (NORMAL_95 * total.std(axis=0, ddof=1) / math.sqrt(len(total))).tolist(),
        list(mail.ages),
        left.mean(axis=0).tolist(),
        int((mail.backlog[:, 1] <= 0).sum()),
    )


def _paths(days: Sequence[ForecastDay], begin: int, seconds: int, size: int, count: int, luck: np.random.Generator) -> Floats:
    """Return what may come (count, size) from `begin` on, days going together as the forecast's errors did."""
    found = np.zeros((count, size))
    for day, paths in zip(days, paths_of(days, count, luck), strict=True):
        at = (np.array(day.starts, np.int64) - begin) // seconds
        found[:, at[at >= 0]] = paths[:, at >= 0]
    return found
