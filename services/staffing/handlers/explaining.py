"""Why an interval needs the agents it does: load, what each target asks for, what decided, and what one agent more or less would do."""

import dataclasses

import numpy as np

from services.staffing.domain.chatting import ChatLoad
from services.staffing.domain.facts import ForecastDay
from services.staffing.domain.requirement import Goal, fewest_agents, predict, require
from services.staffing.handlers.requiring import QueueRules, load_of
from services.staffing.handlers.spreading import more_for


@dataclasses.dataclass(frozen=True)
class Around:
    """What a number of agents on queue would give. `levels`: each goal's value, in the order of goals."""

    agents: int
    levels: tuple[float, ...]
    asa: float
    abandonment: float
    occupancy: float


@dataclasses.dataclass(frozen=True)
class Explanation:
    """One interval. load: contacts × AHT; carried: erlangs in service at each part of the interval; needs: agents that each goal asks for;
    by_patience: agents on queue at either end of what is known of patience, None where nothing is."""

    offered: float
    aht: float
    load: float
    carried: tuple[float, ...]
    goals: tuple[Goal, ...]
    needs: tuple[int, ...]
    minimum: int
    driver: str
    on_queue: float
    scheduled: float
    paid: float
    around: tuple[Around, ...]
    by_patience: tuple[float, float] | None = None


def explain(day: ForecastDay, place: int, rules: QueueRules) -> Explanation:
    """Return why the interval at `place` of a day needs what it does, by the rules that hold."""
    load = load_of(day, day.offered, rules).pick(np.array([place]))
    more = more_for(day, rules.rules, rules.patience) if rules.at_once == 1 else None
    goals = rules.rules.goals
    needed = require(load, rules.rules, None if more is None else more[place : place + 1])
    n = round(float(needed.on_queue[0]))
    around = []
    for agents in range(max(n - 1, 0), n + 2):
        heads = np.array([float(agents)])
        levels = tuple(float(g.value(predict(load, heads, g))[0]) for g in goals)
        at = predict(load, heads, goals[0] if goals else rules.rules.shown)
        around.append(Around(agents, levels, float(at.asa[0]), float(at.abandoned[0]), float(at.occupancy[0])))
    return Explanation(
        day.offered[place],
        day.aht[place],
        float(load.erlangs[0]),
        tuple(float(v) for v in (load.carried if isinstance(load, ChatLoad) else load).load[0]),
        goals,
        tuple(int(fewest_agents(load, g)[0]) for g in goals),
        rules.rules.minimum,
        needed.driver[0],
        float(needed.on_queue[0]),
        float(needed.scheduled[0]),
        float(needed.paid[0]),
        tuple(around),
        _by_patience(day, place, rules),
    )


def _by_patience(day: ForecastDay, place: int, rules: QueueRules) -> tuple[float, float] | None:
    """Return the agents on queue with callers as impatient, and as patient, as what was seen of them allows; None where they are no part
    of the formula, or nothing was seen."""
    seen = rules.seen
    if seen is None or seen.source != "ESTIMATED" or seen.low is None or seen.high is None:
        return None
    found = []
    for seconds in (seen.low, seen.high):
        load = load_of(day, day.offered, dataclasses.replace(rules, patience=seconds)).pick(np.array([place]))
        more = more_for(day, rules.rules, seconds) if rules.at_once == 1 else None
        needed = require(load, rules.rules, None if more is None else more[place : place + 1])
        found.append(float(needed.on_queue[0]))
    return found[0], found[1]
