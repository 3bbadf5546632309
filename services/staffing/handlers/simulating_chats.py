"""A day of chats played: agents with several at once, beside what the formulas say of the agents played."""

import numpy as np

from muster.simulator.chats import ChatDay, play_chats
from services.staffing.domain.erlang import Floats
from services.staffing.domain.facts import ForecastDay, RequirementDay
from services.staffing.domain.requirement import Goal, predict
from services.staffing.handlers.requiring import QueueRules, load_of
from services.staffing.handlers.simulating import OF_ANSWERED, Asked, Simulation, judged, shares_of
from services.staffing.handlers.spreading import luck_of, paths_of

NEARLY_ALIKE = 1e-9


def sigma_of(asked: Asked) -> float:
    """Return sigma as simulators of chats and mail take it: 0 is exponential there, all alike is nearly 0."""
    return 0.0 if asked.sigma is None else max(asked.sigma, NEARLY_ALIKE)


def simulate_chats(
    forecast: ForecastDay, requirement: RequirementDay, goal: Goal, rules: QueueRules, staff: Floats | None, asked: Asked
) -> Simulation:
    """Play a day of chats as required or, staff (I,) of the forecast's day given, as scheduled. The same question always has the same
    answer. AHTs by chats at once are the day's mean ones."""
    seconds = forecast.seconds
    starts = list(range(forecast.starts[0], forecast.starts[-1] + seconds, seconds))
    open_ = np.array([(s - starts[0]) // seconds for s in forecast.starts])
    volume, needed = np.zeros(len(starts)), dict(zip(requirement.starts, requirement.on_queue, strict=True))
    volume[open_] = forecast.offered
    wanted = np.array([needed.get(s, 0.0) for s in starts]) if staff is None else staff
    agents, goal = np.round(wanted).astype(np.int64), judged(goal)
    aht = float(np.dot(forecast.offered, forecast.aht) / volume.sum()) if volume.sum() > 0 else 300.0
    levels = rules.levels(np.array([max(aht, 1.0)]))[0]
    luck = luck_of(forecast.queue, forecast.local_date, "simulation")
    paths = None
    if asked.uncertain:
        paths = np.zeros((asked.days, len(starts)))
        paths[:, open_] = paths_of([forecast], asked.days, luck)[0]
    day = ChatDay(volume, agents, float(seconds), levels, rules.patience, goal.threshold, sigma_of(asked))
    seen = play_chats(day, asked.days, luck, paths)
    base = seen.answered if goal.definition == OF_ANSWERED else seen.offered
    found = shares_of(seen.within.astype(float), base.astype(float), goal.target)
    load = load_of(forecast, forecast.offered, rules)
    moving = np.full(len(starts), np.nan)
    moving[open_] = goal.value(predict(load, agents[open_], goal))
    moving[volume <= 0] = np.nan
    said = dict(zip(requirement.starts, requirement.service_level, strict=True)) if staff is None else {}
    return Simulation(
        starts,
        agents.tolist(),
        volume.tolist(),
        [said.get(s) for s in starts],
        moving.tolist(),
        found.each,
        found.half,
        found.day,
        found.day_half,
        found.met,
        int(seen.offered.sum()),
        foreseen=float(np.nansum(moving * volume) / volume.sum()) if volume.sum() > 0 else None,
        at_once=rules.at_once,
        concurrency=float(seen.chat_seconds.sum() / max(seen.busy_seconds.sum(), 1e-9)),
    )
