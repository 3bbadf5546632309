"""Why an interval needs the agents it does: load, what each target asks for, what decided, and what one agent more or less would do."""

import dataclasses

import numpy as np

from services.staffing.domain.carried import Carried
from services.staffing.domain.chatting import ChatLoad
from services.staffing.domain.facts import ForecastDay
from services.staffing.domain.requirement import Goal, Requirement, fewest_agents, predict, require
from services.staffing.handlers.requiring import QueueRules, load_of
from services.staffing.handlers.spreading import levels_of, more_for


@dataclasses.dataclass(frozen=True)
class Around:
    """What a number of agents on queue would give. `levels`: each goal's value, in the order of goals. Of deferred work: the share of the day's
    that is done in time (-1: nothing is due), in_all: of all that falls due within the plan, kept: the share of trial days that keep the
    target."""

    agents: int
    levels: tuple[float, ...]
    asa: float
    abandonment: float
    occupancy: float
    in_all: float | None = None
    kept: float | None = None


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
    """Return why the interval at `place` of a day needs what it does, by the rules that hold: after the intervals before, as required."""
    load, needed, place_in = _required(day, place, rules)
    goals, n = rules.rules.goals, round(float(needed.on_queue[place_in]))
    around = []
    for agents in range(max(n - 1, 0), n + 2):
        heads = needed.on_queue.copy()
        heads[place_in] = agents
        levels = tuple(float(g.value(predict(load, heads, g))[place_in]) for g in goals)
        at = predict(load, heads, goals[0] if goals else rules.rules.shown)
        around.append(
            Around(agents, levels, float(at.asa[place_in]), float(at.abandoned[place_in]), float(at.occupancy[place_in]))
        )
    return Explanation(
        day.offered[place],
        day.aht[place],
        float(load.erlangs[place_in]),
        tuple(float(v) for v in (load.carried if isinstance(load, ChatLoad) else load).load[place_in]),
        goals,
        tuple(int(fewest_agents(load, g)[place_in]) for g in goals),
        rules.rules.minimum,
        needed.driver[place_in],
        float(needed.on_queue[place_in]),
        float(needed.scheduled[place_in]),
        float(needed.paid[place_in]),
        tuple(around),
        _by_patience(day, place, rules),
    )


def _required(day: ForecastDay, place: int, rules: QueueRules) -> tuple[Carried | ChatLoad, Requirement, int]:
    """Return a load, its requirement and the interval's place in them: of the whole day, as what waits is carried on, of chats of it alone."""
    load = load_of(day, day.offered, rules)
    more = more_for(day, rules.rules, rules.patience, levels_of(day, rules.at_once, rules.by_level))
    if isinstance(load, ChatLoad):
        one = load.pick(np.array([place]))
        return one, require(one, rules.rules, None if more is None else more[place : place + 1]), 0
    return load, require(load, rules.rules, more), place


def _by_patience(day: ForecastDay, place: int, rules: QueueRules) -> tuple[float, float] | None:
    """Return the agents on queue with callers as impatient, and as patient, as what was seen of them allows; None where they are no part
    of the formula, or nothing was seen."""
    seen = rules.seen
    if seen is None or seen.source != "ESTIMATED" or seen.low is None or seen.high is None:
        return None
    found = []
    for seconds in (seen.low, seen.high):
        _, needed, place_in = _required(day, place, dataclasses.replace(rules, patience=seconds))
        found.append(float(needed.on_queue[place_in]))
    return found[0], found[1]
