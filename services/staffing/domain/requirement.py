"""The requirement: the fewest agents on queue that keep every target, then who must be scheduled and paid to have them.

scheduled = on queue / (1 − shrinkage that the schedule does not place); paid = scheduled / (1 − shrinkage that it does). Of several sites,
agents scheduled and paid are their mean, by agents.
Numbers stay real and are rounded once, at the end.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from muster.domain.quantities import whole_agents
from services.staffing.domain.carried import Carried, carried_service, fewest_carried
from services.staffing.domain.chatting import ChatLoad, chats_given, fewest_for_chats
from services.staffing.domain.erlang import (
    BY_ABANDONED,
    BY_ASA,
    BY_OCCUPANCY,
    SL_ALL,
    SL_ANSWERED,
    SL_EXCLUDED,
    SL_OFFERED,
    Floats,
    Ints,
    Load,
    Service,
    fewest_agents_for,
    service,
)

AnyLoad = Load | Carried | ChatLoad
KINDS = {"ASA": BY_ASA, "ABANDONMENT": BY_ABANDONED, "OCCUPANCY_CAP": BY_OCCUPANCY}
DEFINITIONS = {
    "ANSWERED_OVER_OFFERED": SL_OFFERED,
    "ANSWERED_OVER_ANSWERED": SL_ANSWERED,
    "LESS_SHORT_ABANDONS": SL_EXCLUDED,
    "ABANDONED_IN_TIME_COUNT": SL_ALL,
}
METRICS = ("SERVICE_LEVEL", *KINDS, "DEADLINE_MET", "CAMPAIGN")


@dataclasses.dataclass(frozen=True)
class Goal:
    """One target: metric as the contract names it, what it divides by what, T and the short threshold in seconds."""

    metric: str
    target: float
    definition: str = "ANSWERED_OVER_OFFERED"
    threshold: float = 0.0
    short: float = 0.0

    def __post_init__(self) -> None:
        if self.metric not in METRICS or self.definition not in DEFINITIONS:
            told = f"metric {self.metric!r}, definition {self.definition!r}"
            raise ValueError(f"{told}; allowed: {', '.join(METRICS)}, and {', '.join(DEFINITIONS)}")
        if not 0 < self.target < math.inf or (self.target > 1 and self.metric != "ASA"):
            raise ValueError(f"target of {self.metric} is {self.target}; allowed: above 0, to 1, of ASA seconds")
        if not (0 <= self.threshold < math.inf and 0 <= self.short < math.inf):
            raise ValueError(f"threshold is {self.threshold}, short {self.short}; allowed: seconds, 0 or more")

    def value(self, s: Service) -> Floats:
        """Return what is compared with the target: a share, or seconds for ASA."""
        if self.metric == "ASA":
            return s.asa
        if self.metric == "ABANDONMENT":
            return s.abandoned
        if self.metric == "OCCUPANCY_CAP":
            return s.occupancy
        if self.definition == "ANSWERED_OVER_ANSWERED":
            ratio: Floats = s.within / np.maximum(s.answered, 1e-12)
            return ratio
        if self.definition == "LESS_SHORT_ABANDONS":
            less: Floats = np.minimum(s.within / np.maximum(1.0 - s.left_short, 1e-12), 1.0)
            return less
        if self.definition == "ABANDONED_IN_TIME_COUNT":
            both: Floats = s.within + s.left_within
            return both
        return s.within

    def met(self, value: Floats) -> np.ndarray:
        """Return whether each value keeps the target (I,)."""
        return value >= self.target if self.metric in ("SERVICE_LEVEL", "DEADLINE_MET") else value <= self.target


@dataclasses.dataclass(frozen=True)
class Rules:
    """What a queue's requirement must keep: targets, minimum agents, shrinkage outside and inside the schedule; and what it makes of a
    forecast that is not one number: staff_to MEAN, EXPECTED, CONFIDENT or DAY, with a chance of `sureness`."""

    goals: tuple[Goal, ...]
    minimum: int
    unplaced_shrinkage: float
    placed_shrinkage: float
    staff_to: str = "MEAN"
    sureness: float = 0.85

    def __post_init__(self) -> None:
        shares = (self.unplaced_shrinkage, self.placed_shrinkage)
        if self.minimum < 0 or not all(0 <= share < 1 for share in shares):
            raise ValueError(f"minimum is {self.minimum}, shrinkage {shares}; allowed: 0 or more, shares from 0 to below 1")

    @property
    def promised(self) -> Goal | None:
        """Return the service level that is promised, None without one."""
        return next((g for g in self.goals if g.metric == "SERVICE_LEVEL"), None)

    @property
    def shown(self) -> Goal:
        """Return the service level that numbers are shown by: the promised one, else 80 % in 20 s."""
        return self.promised or Goal("SERVICE_LEVEL", 0.8, threshold=20.0)


@dataclasses.dataclass(frozen=True)
class Requirement:
    """Arrays (I,). `driver` says what decided; `service_level` NaN where nothing is offered."""

    load: Floats
    on_queue: Floats
    scheduled: Floats
    paid: Floats
    driver: tuple[str, ...]
    service_level: Floats
    asa: Floats
    abandonment: Floats
    occupancy: Floats


def predict(load: AnyLoad, agents: Floats | Ints, goal: Goal) -> Service:
    """Return the service that real numbers of agents (I,) give, for a goal's thresholds."""
    if isinstance(load, ChatLoad):
        return chats_given(load, agents, goal.threshold, goal.short)
    if isinstance(load, Carried):
        return carried_service(load, agents, goal.threshold, goal.short)
    return service(load, agents, goal.threshold, goal.short)


def predicted_service_level(load: AnyLoad, agents: Floats, goal: Goal) -> Floats:
    """Return the service level at real numbers of agents (I,); NaN where nothing is offered."""
    value: Floats = np.where(load.arrivals > 0, goal.value(predict(load, np.maximum(agents, 0.0), goal)), np.nan)
    return value


def fewest_agents(load: AnyLoad, goal: Goal) -> Ints:
    """Return the fewest agents (I,) that keep a goal, exactly, also below the load where patience allows it. Raise ValueError for a service
    level of 1, which no number keeps."""
    if goal.metric == "SERVICE_LEVEL" and goal.target >= 1:
        raise ValueError(f"target of {goal.metric} is {goal.target}; allowed: below 1")
    kind = KINDS.get(goal.metric, DEFINITIONS[goal.definition])
    if isinstance(load, ChatLoad):
        return fewest_for_chats(kind, goal.target, load, goal.threshold, goal.short)
    if isinstance(load, Carried):
        return fewest_carried(kind, goal.target, load, goal.threshold, goal.short)
    return fewest_agents_for(kind, goal.target, load, goal.threshold, goal.short)


def fewest_of_all(load: AnyLoad, rules: Rules, more: Ints | None = None) -> tuple[Ints, tuple[str, ...]]:
    """Return the fewest agents on queue (I,) that keep every target and the minimum, and what decided each; more (I,): agents that what
    the forecast may miss adds to the promised service level's."""
    size, promised = load.arrivals.size, rules.promised
    on_queue = np.full(size, rules.minimum, dtype=np.int64)
    driver = ["MINIMUM_STAFF" if rules.minimum or some else "CLOSED" for some in (load.arrivals > 0).tolist()]
    for goal in rules.goals:
        needed = fewest_agents(load, goal)
        missing = more if more is not None and goal == promised else None
        if missing is not None:
            needed = np.maximum(needed + missing, 0)
        for i in np.flatnonzero(needed > on_queue).tolist():
            driver[i] = goal.metric if missing is None or missing[i] == 0 else "UNCERTAINTY"
        on_queue = np.maximum(on_queue, needed)
    return on_queue, tuple(driver)


def require(load: AnyLoad, rules: Rules, more: Ints | None = None) -> Requirement:
    """Return the requirement of a queue's open intervals; more (I,): agents that what the forecast may miss adds to the promise's."""
    on_queue, driver = fewest_of_all(load, rules, more)
    shown = rules.shown
    at = predict(load, on_queue, shown)
    agents = on_queue.astype(float)
    scheduled = agents / (1.0 - rules.unplaced_shrinkage)
    return Requirement(
        load=load.erlangs,
        on_queue=agents,
        scheduled=scheduled,
        paid=scheduled / (1.0 - rules.placed_shrinkage),
        driver=driver,
        service_level=np.where(load.arrivals > 0, shown.value(at), np.nan),
        asa=at.asa,
        abandonment=at.abandoned,
        occupancy=at.occupancy,
    )


def rounded(agents: Floats) -> list[int]:
    """Return heads, rounded up once."""
    return [whole_agents(float(a)) for a in agents]


def combined_shrinkage(shares: Sequence[float]) -> float:
    """Return 1 − Π(1 − s): kinds of shrinkage combine, they don't add."""
    kept = 1.0
    for share in shares:
        kept *= 1.0 - share
    return 1.0 - kept


def shrinkage_of_sites(sites: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Return the shrinkage outside and inside the schedule of sites together, each told as (agents, outside, inside).

    Each site has its share of the agents on queue, and schedules and pays what its own shrinkage asks: 1/(1 − u) and 1/((1 − u)(1 − p)) an
    agent. Agents scheduled and paid are averaged, not shrinkage: what one site loses outside its schedule and another inside theirs falls on
    different agents, and must not be multiplied.
    """
    total = math.fsum(agents for agents, _, _ in sites)
    scheduled = math.fsum(agents / (1.0 - u) for agents, u, _ in sites) / total
    paid = math.fsum(agents / ((1.0 - u) * (1.0 - p)) for agents, u, p in sites) / total
    return max(1.0 - 1.0 / scheduled, 0.0), max(1.0 - scheduled / paid, 0.0)
