"""A day's plan held against the floor: played contact by contact, many times over, beside what was predicted of it.

Calls are here; chats, deferred work and campaigns, each in its own measure, in `simulating_…`.
"""

import dataclasses
import math

import numpy as np

from muster.simulator.pools import BLOCK, LEAVE, Group, Plan, Queue, draw, play, ratio
from services.staffing.domain.erlang import Floats
from services.staffing.domain.facts import ForecastDay, RequirementDay
from services.staffing.domain.requirement import Goal
from services.staffing.domain.transient import Day, predict_day
from services.staffing.handlers.spreading import luck_of, paths_of

DISCIPLINES = {"LEAVE": LEAVE, "BLOCK": BLOCK}


@dataclasses.dataclass(frozen=True)
class Asked:
    """How to play: days, LEAVE or BLOCK where the pool shrinks, sigma of lognormal handle times (None: exponential), and whether each
    day's volume is drawn from the forecast's paths (else it is the forecast's mean)."""

    days: int
    discipline: str
    sigma: float | None
    uncertain: bool

    def __post_init__(self) -> None:
        if not 2 <= self.days <= 5000:
            raise ValueError(f"days is {self.days}; allowed: 2 to 5000")
        if self.discipline not in DISCIPLINES:
            raise ValueError(f"discipline is {self.discipline!r}; allowed: {', '.join(DISCIPLINES)}")
        if self.sigma is not None and not 0 <= self.sigma <= 3:
            raise ValueError(f"handle_sigma is {self.sigma}; allowed: 0 to 3")


OF_ANSWERED = "ANSWERED_OVER_ANSWERED"
SERVICE_LEVEL, DEADLINE_MET, CAMPAIGN = "SERVICE_LEVEL", "DEADLINE_MET", "CAMPAIGN"


@dataclasses.dataclass(frozen=True)
class Backlog:
    """What waits of deferred work at the end of each interval. due: items that fall due in it; predicted, simulated and half: items not
    begun; aged (I, A): of them simulated, by class of age from `ages` (A,) seconds on; overdue: items that are late already."""

    due: list[float]
    predicted: list[float]
    simulated: list[float]
    half: list[float]
    ages: list[float]
    aged: list[list[float]]
    overdue: int


@dataclasses.dataclass(frozen=True)
class Calls:
    """A campaign's day in contacts: wanted; predicted and reached in each interval; attempts a day; chance predicted that all are reached."""

    wanted: int
    predicted: list[float]
    reached: list[float]
    attempts: float
    chance: float


@dataclasses.dataclass(frozen=True)
class Simulation:
    """One local day, a value an interval, closed ones between included, shares by `measure`: answered within T (SERVICE_LEVEL), done in
    time of what falls due in the interval (DEADLINE_MET), reached by its end of the day's contacts (CAMPAIGN).

    predicted: as published, None where nothing is offered or not of these agents; moving: predicted of these agents, of calls as the queue
    moves, NaN where there is nothing; simulated and half: the share and its 95 % half-width, NaN where nothing came. day: all of the
    day, and `foreseen` of it; met: share of days that keep the target. at_once: chats an agent may have, `concurrency`: those of an
    agent who has any.
    """

    starts: list[int]
    agents: list[int]
    offered: list[float]
    predicted: list[float | None]
    moving: list[float]
    simulated: list[float]
    half: list[float]
    day: float
    day_half: float
    days_met: float
    contacts: int
    measure: str = SERVICE_LEVEL
    foreseen: float | None = None
    at_once: int = 1
    concurrency: float | None = None
    backlog: Backlog | None = None
    calls: Calls | None = None


@dataclasses.dataclass(frozen=True)
class Shares:
    """What days played show: share (I,) with its 95 % half-width, NaN where nothing came; of all of a day; and share of days that keep
    a target."""

    each: list[float]
    half: list[float]
    day: float
    day_half: float
    met: float


def shares_of(good: Floats, base: Floats, target: float) -> Shares:
    """Return the shares of good / base, counts (R, I) of days."""
    each, half = ratio(good, base)
    day, day_half = ratio(good.sum(axis=1), base.sum(axis=1))
    some = base.sum(axis=1) > 0
    levels = good.sum(axis=1)[some] / base.sum(axis=1)[some]
    met = float((levels >= target).mean()) if levels.size else 1.0
    return Shares(each.tolist(), half.tolist(), float(day), float(day_half), met)


def judged(goal: Goal) -> Goal:
    """Return a goal as played days can be judged: over the answered or over the offered, which is never kinder than the contract's."""
    return goal if goal.definition == OF_ANSWERED else dataclasses.replace(goal, definition="ANSWERED_OVER_OFFERED")


def simulate_plan(
    forecast: ForecastDay, requirement: RequirementDay, goal: Goal, patience: float, staff: Floats | None, asked: Asked
) -> Simulation:
    """Play a day as required or, staff (I,) given, as scheduled. The same question always has the same answer.

    What is predicted as the queue moves is of the offered: nothing is where the contract counts the answered.
    """
    seconds = forecast.seconds
    starts = list(range(forecast.starts[0], forecast.starts[-1] + seconds, seconds))
    place = {start: n for n, start in enumerate(starts)}
    open_ = np.array([place[s] for s in forecast.starts])
    volume, agents = np.zeros(len(starts)), np.zeros(len(starts), np.int64)
    volume[open_] = forecast.offered
    needed = dict(zip(requirement.starts, requirement.on_queue, strict=True))
    agents[:] = [round(needed.get(s, 0.0)) for s in starts] if staff is None else np.round(staff)
    handle = float(np.dot(forecast.offered, forecast.aht) / volume.sum()) if volume.sum() > 0 else 300.0
    queue = Queue(volume, max(handle, 1.0), patience, goal.threshold, asked.sigma)
    plan = Plan((queue,), (Group(agents, (0,)),), float(seconds), DISCIPLINES[asked.discipline])
    luck = luck_of(forecast.queue, forecast.local_date, "simulation")
    paths = None
    if asked.uncertain:
        paths = np.zeros((asked.days, 1, len(starts)))
        paths[:, 0, open_] = paths_of([forecast], asked.days, luck)[0]
    played = play(plan, draw(plan.queues, plan.seconds, asked.days, luck, paths))
    levels = dict(zip(requirement.starts, requirement.service_level, strict=True)) if staff is None else {}
    moving = predict_day(Day(volume, seconds, queue.handle, patience, goal.threshold), agents.tolist(), plan.discipline)
    of_answered = judged(goal).definition == OF_ANSWERED
    base = played.answered if of_answered else played.offered
    seen = shares_of(played.in_time[:, 0], base[:, 0], goal.target)
    if of_answered:
        moving = [math.nan] * len(starts)
    return Simulation(
        starts,
        agents.tolist(),
        volume.tolist(),
        [levels.get(s) for s in starts],
        moving,
        seen.each,
        seen.half,
        seen.day,
        seen.day_half,
        seen.met,
        int(played.offered.sum()),
        foreseen=float(np.dot(moving, volume) / volume.sum()) if volume.sum() > 0 and not of_answered else None,
    )
