"""A day's plan held against the floor: played contact by contact, many times over, beside what was predicted of it."""

import dataclasses

import numpy as np

from muster.simulator.pools import BLOCK, LEAVE, Group, Plan, Played, Queue, draw, play
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


@dataclasses.dataclass(frozen=True)
class Simulation:
    """One local day, a value an interval, closed ones between included. predicted: as published, None where nothing is offered or not of
    these agents; moving: as the queue moves; simulated and half: service level and its 95 % half-width, NaN where nothing came."""

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


def simulate_plan(
    forecast: ForecastDay, requirement: RequirementDay, goal: Goal, patience: float, staff: Floats | None, asked: Asked
) -> Simulation:
    """Play a day as required or, staff (I,) given, as scheduled. The same question always has the same answer."""
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
    return _told(starts, agents.tolist(), volume, [levels.get(s) for s in starts], moving, played, goal)


def _told(
    starts: list[int],
    agents: list[int],
    volume: Floats,
    predicted: list[float | None],
    moving: list[float],
    played: Played,
    goal: Goal,
) -> Simulation:
    level, half = played.service_level()
    day, day_half = played.day_level()
    days = played.day_levels()[:, 0]
    seen = days[np.isfinite(days)]
    met = float((seen >= goal.target).mean()) if seen.size else 1.0
    return Simulation(
        starts,
        agents,
        volume.tolist(),
        predicted,
        moving,
        level[0].tolist(),
        half[0].tolist(),
        float(day[0]),
        float(day_half[0]),
        met,
        int(played.offered.sum()),
    )
