"""From a day of calls to the idle time of its agents that deferred work may take."""

import dataclasses
import functools
from collections.abc import Iterable

import numpy as np

from muster.domain.calendar import round_the_clock
from services.staffing.domain.blending import IdleDay, idle_time
from services.staffing.domain.carried import carry, met_by
from services.staffing.domain.facts import ForecastDay, RequirementDay
from services.staffing.domain.requirement import DEFINITIONS, KINDS, fewest_of_all, predict, predicted_service_level
from services.staffing.handlers.deferring import DeskDays
from services.staffing.handlers.requiring import QueueRules

# What decides agents whom calls do not need.
SPARE = ("MINIMUM_STAFF", "OCCUPANCY_CAP")


@dataclasses.dataclass(frozen=True)
class CallsDay:
    """A local day of calls as required, in the intervals that are forecast too. spare: whether their number is decided by what is not for
    service; able: the share of agents who may do the work; loss: what the service level may fall for it."""

    queue: str
    seconds: int
    starts: tuple[int, ...]
    offered: tuple[float, ...]
    high: tuple[float, ...]
    aht: tuple[float, ...]
    on_queue: tuple[float, ...]
    spare: tuple[bool, ...]
    rules: QueueRules
    able: float
    loss: float


def calls_day(forecast: ForecastDay, required: RequirementDay, rules: QueueRules, able: float, loss: float) -> CallsDay:
    """Return a day of calls, by its forecast and requirement. Where calls are staffed to be sure nobody is to spare."""
    at, spare = {start: n for n, start in enumerate(required.starts)}, SPARE if rules.rules.staff_to == "MEAN" else ()
    rows = [(n, at[start]) for n, start in enumerate(forecast.starts) if start in at]
    return CallsDay(
        forecast.queue,
        forecast.seconds,
        tuple(forecast.starts[n] for n, _ in rows),
        tuple(forecast.offered[n] for n, _ in rows),
        tuple(forecast.high[n] for n, _ in rows),
        tuple(forecast.aht[n] for n, _ in rows),
        tuple(float(round(required.on_queue[m])) for _, m in rows),
        tuple(required.drivers[m] in spare for _, m in rows),
        dataclasses.replace(rules, formula="", seen=None),
        able,
        loss,
    )


@functools.lru_cache(maxsize=2000)  # a day of calls changes seldom, and is asked for whenever the work's forecast does
def idle_of(day: CallsDay, handle: int) -> IdleDay:
    """Return the idle time of a day of calls, items taking `handle` seconds. The calls keep their target, lose no more than `loss` of what
    the agents whom they need give them, and of agents' time no more is worked than the contract's OCCUPANCY_CAP says. Calls that nothing is
    promised for are held to the service level that is shown of them."""
    rules, starts = day.rules, np.array(day.starts, np.int64)
    promised, agents = rules.rules.shown, np.array(day.on_queue)
    around = round_the_clock(day.starts, day.seconds, rules.zone)
    load = carry(np.array(day.offered), np.array(day.aht), starts, day.seconds, rules.patience, around=around)
    met = met_by(load, agents)
    for_service = tuple(g for g in rules.rules.goals if g.metric not in SPARE) or (promised,)
    needed = fewest_of_all(load, dataclasses.replace(rules.rules, goals=for_service, minimum=0))[0]
    floor_by = np.where(day.spare, np.minimum(needed, agents), agents)
    level = np.nan_to_num(predicted_service_level(load, floor_by, promised), nan=1.0)
    plain = np.nan_to_num(predicted_service_level(load, agents, promised), nan=1.0)
    floor = np.maximum(level - day.loss, np.minimum(level, promised.target))
    cap = min((g.target for g in rules.rules.goals if g.metric == "OCCUPANCY_CAP"), default=1.0)
    least = np.zeros(agents.size, np.int64)
    for goal in for_service:
        if goal != promised:  # kept as it is, or missed no further
            value, wanted = goal.value(predict(load, floor_by, goal)), goal.metric == "SERVICE_LEVEL"
            bound = np.minimum(value, goal.target) if wanted else np.maximum(value, goal.target)
            kind = KINDS.get(goal.metric, DEFINITIONS[goal.definition])
            least = idle_time(kind, bound, agents, met, (goal.threshold, goal.short, float(handle)), cap, least).keep
    times = (promised.threshold, promised.short, float(handle))
    found = idle_time(DEFINITIONS[promised.definition], floor, agents, met, times, cap, least)
    # More calls than expected take idle agents first.
    more = (np.array(day.high) - np.array(day.offered)) / day.seconds * np.array(day.aht)
    safe = np.maximum(found.agents - np.maximum(more, 0.0), 0.0)
    return IdleDay(
        day.queue,
        day.able,
        day.starts,
        day.on_queue,
        tuple(found.keep.tolist()),
        tuple(np.round(day.able * found.agents, 9).tolist()),
        tuple(np.round(day.able * safe, 9).tolist()),
        tuple(found.value.tolist()),
        tuple(plain.tolist()),
    )


def idle_days(days: Iterable[CallsDay], handle: float) -> list[IdleDay]:
    """Return the idle time of days of calls, items taking `handle` seconds in mean."""
    return [idle_of(day, max(round(handle), 1)) for day in days if day.starts]


def beside(case: DeskDays, days: Iterable[CallsDay]) -> DeskDays:
    """Return deferred work with the idle time of days of calls to do part of it."""
    return dataclasses.replace(case, calls=idle_days(days, case.handle))
