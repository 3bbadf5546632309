"""Agents for a forecast that is not one number: what joint paths of a day's volumes say of each interval and of the whole day.

Each path is served by the Erlang formulas at its own load. Contacts of one day go well or badly together, as they meet the same queue:
`clumping`.
"""

import dataclasses
import math

import numpy as np
from scipy.special import ndtr

from services.staffing.domain.chatting import ChatLoad, steady_chats
from services.staffing.domain.clumping import clumping
from services.staffing.domain.erlang import Floats, Ints, Load, Service
from services.staffing.domain.requirement import Goal, fewest_agents, predict

GRID, COARSE = 33, 4
METRICS = ("SERVICE_LEVEL", "ASA", "ABANDONMENT", "OCCUPANCY_CAP")


@dataclasses.dataclass(frozen=True)
class PathLoad:
    """A day of a queue. paths (P, I): contacts expected per interval, without the luck of single callers, which the formulas add
    (`expected_volumes`); handle (I,) seconds; patience: mean seconds, inf where nobody hangs up; seconds of an interval; levels (max,):
    AHT of a chat whose agent has 1 … max of them, none: calls."""

    paths: Floats
    handle: Floats
    patience: float
    seconds: float
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.paths.ndim != 2 or not self.paths.size or not np.isfinite(self.paths).all() or self.paths.min() < 0:
            raise ValueError(f"paths of shape {self.paths.shape}; allowed: (P, I) of numbers, 0 or more, none missing")
        if self.handle.shape != self.paths.shape[1:] or not np.isfinite(self.handle).all() or self.handle.min() <= 0:
            raise ValueError(f"handle is {self.handle}; allowed: {self.paths.shape[1]} handle times in seconds, more than 0")
        if not self.patience > 0 or not 0 < self.seconds < math.inf:
            raise ValueError(f"patience is {self.patience}, seconds {self.seconds}; allowed: more than 0")

    def load(self, volumes: Floats) -> Load | ChatLoad:
        """Return the load of volumes (I,), or (G × I,), row by row, contacts per interval."""
        rate = volumes / self.seconds
        if self.levels:
            return steady_chats(rate, np.array(self.levels), self.patience)
        return Load(rate, np.tile(self.handle, rate.size // self.handle.size), np.full(rate.size, self.patience))

    def pick(self, columns: Ints) -> "PathLoad":
        return dataclasses.replace(self, paths=self.paths[:, columns], handle=self.handle[columns])


def _lines(load: Load | ChatLoad, agents: Floats) -> tuple[Load, Floats]:
    """Return a load and how many it can be with at once: chats wait once all slots are taken, and then at the AHT of a full agent."""
    if isinstance(load, ChatLoad):
        alone = load.carried
        return Load(alone.arrivals, alone.handle, alone.patience), agents * load.levels.shape[1]
    return load, agents


def expected_volumes(paths: Floats) -> Floats:
    """Return what is expected (P, I) where paths hold counts: the luck of independent callers (Poisson, variance = mean) is taken out of the
    day's total and of each interval's own part, and what is left keeps its shape."""
    mean, totals = paths.mean(axis=0), paths.sum(axis=1)
    if totals.mean() <= 0:
        return paths.copy()
    day = totals[:, None] / totals.mean()
    own = paths - mean * day
    of_day, of_own = float(day.var()), own.var(axis=0)
    keep_day = math.sqrt(max(of_day - 1.0 / totals.mean(), 0.0) / of_day) if of_day > 0 else 0.0
    keep_own = np.sqrt(np.maximum(of_own - mean, 0.0) / np.maximum(of_own, 1e-12))
    found: Floats = np.maximum(mean * (1.0 + keep_day * (day - 1.0)) + keep_own * own, 0.0)
    return found


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Arrays (P, I): what a goal divides by what, expected on each path, and the variance of good − target × base that luck adds.

    good: contacts in time, hung up, seconds waited (ASA), agents busy (OCCUPANCY_CAP).
    """

    good: Floats
    base: Floats
    variance: Floats

    def spare(self, goal: Goal) -> Floats:
        """Return by how much (P, I) the target is kept, in what `good` counts; below 0 it is missed."""
        over: Floats = self.good - goal.target * self.base
        return over if goal.metric == "SERVICE_LEVEL" else -over


def _per_contact(goal: Goal, s: Service, day: PathLoad) -> tuple[Floats, Floats, Floats]:
    """Return a contact's expected good, base and squared good; waits are at most an interval where nobody hangs up."""
    if goal.metric == "ASA":
        asa = np.minimum(s.asa, day.seconds)
        return asa * s.answered, s.answered, 2.0 * asa**2 * s.answered / np.maximum(s.waits, 1e-9)
    if goal.metric == "ABANDONMENT":
        return s.abandoned, np.ones_like(s.abandoned), s.abandoned
    base = np.ones_like(s.within)
    if goal.definition == "ANSWERED_OVER_ANSWERED":
        base = s.answered
    elif goal.definition == "LESS_SHORT_ABANDONS":
        base = 1.0 - s.left_short
    value = goal.value(s) * base
    return value, base, value


def outcome(day: PathLoad, agents: Floats | Ints, goal: Goal, seconds: float = math.inf) -> Outcome:
    """Return what agents (I,) give on every path, from a table over loads; luck clumps as in spans of `seconds` (inf: long ones)."""
    if goal.metric not in METRICS or not math.isfinite(goal.target):
        raise ValueError(f"a goal of {goal.metric} at {goal.target}; allowed: {', '.join(METRICS)} at a finite target")
    if np.shape(agents) != day.handle.shape or not np.min(agents) >= 0:
        raise ValueError(f"agents are {agents}; allowed: {day.handle.size} numbers, 0 or more")
    low = day.paths.min(axis=0)
    step = np.maximum(day.paths.max(axis=0) - low, 1e-9 * (1.0 + low)) / (GRID - 1)
    volumes = low + step * np.arange(GRID)[:, None]
    load = day.load(volumes.ravel())
    n = np.tile(np.asarray(agents, float), GRID)
    s, t = predict(load, n, goal), goal.target
    if goal.metric == "OCCUPANCY_CAP":
        if day.levels:
            raise ValueError("a goal of OCCUPANCY_CAP for chats; allowed: calls")
        table = np.stack([load.erlangs * s.answered, n, np.zeros_like(n)]).reshape(3, GRID, -1)
        return Outcome(*_read(table, (day.paths - low) / step))
    good, base, square = _per_contact(goal, s, day)
    alone = np.maximum(square - 2 * t * good + t * t * base - (good - t * base) ** 2, 0.0)
    some = np.arange(n.size).reshape(GRID, -1)[::COARSE].ravel()
    lines, most = _lines(load.pick(some), n[some])
    clumps = clumping(lines, most, goal, seconds).reshape(1, -1, low.size)
    between = _read(clumps, np.arange(GRID)[:, None] / COARSE + 0.0 * low).ravel()
    luck = alone * np.minimum(between, np.maximum(volumes.ravel(), 1.0))
    of = _read(np.stack([good, base, luck]).reshape(3, GRID, -1), (day.paths - low) / step)
    return Outcome(*(of * day.paths))


def _read(table: Floats, place: Floats) -> Floats:
    """Return tables (K, G, I) read at places (P, I) of 0 to G − 1, in straight lines."""
    row = np.clip(place.astype(np.int64), 0, table.shape[1] - 2)
    column, share = np.arange(place.shape[1])[None, :], place - row
    found: Floats = table[:, row, column] * (1.0 - share) + table[:, row + 1, column] * share
    return found


def chance_kept(spare: Floats, variance: Floats) -> Floats:
    """Return P(kept) of sums with luck taken as normal; 0 or 1 where there is none."""
    found: Floats = np.where(variance <= 1e-12, spare >= -1e-9, ndtr(spare / np.sqrt(np.maximum(variance, 1e-12))))
    return found


@dataclasses.dataclass(frozen=True)
class Choice:
    """A day's agents (I,) by one rule. hours on queue; price: hours over MEAN's, less 1; interval_met (I,): share of paths whose expected
    service keeps the target, NaN where nothing is offered; expected: the day's service over all paths; day_met: P(the day's service keeps it).
    """

    agents: Ints
    hours: float
    price: float
    interval_met: Floats
    expected: float
    day_met: float


def _fewest_expected(day: PathLoad, goal: Goal) -> Ints:
    """Return the fewest agents (I,) whose service, over all contacts of all paths, keeps the goal."""
    low = fewest_agents(day.load(day.paths.min(axis=0)), goal) - 1
    high = fewest_agents(day.load(day.paths.max(axis=0)), goal)
    while (high - low > 1).any():
        middle = np.maximum((low + high) // 2, 0)
        kept = outcome(day, middle, goal).spare(goal).sum(axis=0) >= 0
        high, low = np.where(kept, middle, high), np.where(kept, low, middle)
    return high


def _trim(day: PathLoad, goal: Goal, sure: float, agents: Ints, least: Ints) -> Ints:
    """Return agents after those were sent home, one by one, whom the day misses least, while it is still kept with chance `sure`."""
    agents = np.maximum(agents, least)
    now, less = outcome(day, agents, goal), outcome(day, np.maximum(agents - 1, 0), goal)
    spare, luck, spare_less, luck_less = now.spare(goal), now.variance, less.spare(goal), less.variance
    while True:
        lost = spare_less - spare
        left = chance_kept(spare.sum(axis=1)[:, None] + lost, luck.sum(axis=1)[:, None] + luck_less - luck).mean(axis=0)
        able = (agents > least) & (left >= sure)
        if not able.any():
            return agents
        # Where the day is safe anyway the chances tie, and the service lost decides.
        i = int(np.argmax(np.where(able, left + 1e-6 * lost.mean(axis=0) / (1.0 + day.paths.mean(axis=0).sum()), -1.0)))
        agents[i] -= 1
        spare[:, i], luck[:, i] = spare_less[:, i], luck_less[:, i]
        one = outcome(day.pick(np.array([i])), np.maximum(agents[i : i + 1] - 1, 0), goal)
        spare_less[:, i], luck_less[:, i] = one.spare(goal)[:, 0], one.variance[:, 0]


def _check(sure: float, minimum: int) -> None:
    if not 0 < sure < 1 or minimum < 0:
        raise ValueError(f"the chance is {sure}, the minimum {minimum}; allowed: between 0 and 1, and 0 or more")


def fewest_for_day(day: PathLoad, goal: Goal, sure: float, minimum: int = 1) -> Ints:
    """Return agents (I,), few of them, that keep a goal over the whole day's contacts with chance `sure`; `minimum` where any are offered.

    All loads are raised by one factor until the day is safe, then trimmed: near the fewest, not proven so.
    """
    _check(sure, minimum)
    mean = day.paths.mean(axis=0)
    least = np.where(day.paths.max(axis=0) > 0, minimum, 0)

    def at(factor: float) -> Ints:
        return np.maximum(fewest_agents(day.load(mean * factor), goal), least)

    def kept(agents: Ints) -> float:
        of = outcome(day, agents, goal)
        return float(chance_kept(of.spare(goal).sum(axis=1), of.variance.sum(axis=1)).mean())

    low, high = 0.25, 1.25
    while kept(at(high)) < sure and high < 1000.0:
        low, high = high, high * 1.25
    while high - low > 0.005:
        middle = (low + high) / 2
        low, high = (low, middle) if kept(at(middle)) >= sure else (middle, high)
    return _trim(day, goal, sure, at(high * 1.03), least)


def describe(day: PathLoad, goal: Goal, agents: Ints, mean: int) -> Choice:
    """Return what agents (I,) give on the paths; mean: MEAN's agents, summed."""
    of, total = outcome(day, agents, goal), int(agents.sum())
    spare, base = of.spare(goal), float(of.base.sum())
    met = np.where(day.paths.mean(axis=0) > 0, (spare >= -1e-9 * (1.0 + of.base)).mean(axis=0), np.nan)
    kept = float(chance_kept(spare.sum(axis=1), of.variance.sum(axis=1)).mean())
    expected = float(of.good.sum()) / base if base > 0 else math.nan
    price = total / mean - 1.0 if mean > 0 else 0.0
    return Choice(agents, total * day.seconds / 3600.0, price, met, expected, kept)


RULES = ("MEAN", "EXPECTED", "CONFIDENT", "DAY")


def agents_by(rule: str, day: PathLoad, goal: Goal, sure: float, minimum: int = 1) -> Ints:
    """Return the agents (I,) of one of RULES, `minimum` where any contacts may come. Raise ValueError for another rule."""
    _check(sure, minimum)
    least = np.where(day.paths.max(axis=0) > 0, minimum, 0)
    if rule == "MEAN":
        found = fewest_agents(day.load(day.paths.mean(axis=0)), goal)
    elif rule == "EXPECTED":
        found = _fewest_expected(day, goal)
    elif rule == "CONFIDENT":
        found = fewest_agents(day.load(np.sort(day.paths, axis=0)[math.ceil(sure * len(day.paths) - 1e-9) - 1]), goal)
    elif rule == "DAY":
        return fewest_for_day(day, goal, sure, minimum)
    else:
        raise ValueError(f"the rule is {rule!r}; allowed: {', '.join(RULES)}")
    return np.maximum(found, least)


def choose(day: PathLoad, goal: Goal, sure: float, minimum: int = 1) -> dict[str, Choice]:
    """Return the choices MEAN (at the mean volume), EXPECTED (over all paths' contacts), CONFIDENT (each interval, with chance `sure`) and
    DAY (the day's service, with chance `sure`). Raise ValueError for a chance outside 0 to 1 or an unknown metric."""
    found = {rule: agents_by(rule, day, goal, sure, minimum) for rule in RULES}
    return {rule: describe(day, goal, agents, int(found["MEAN"].sum())) for rule, agents in found.items()}


def warm_up() -> None:
    """Compile what uncertainty needs, or load what was compiled before."""
    day = PathLoad(np.array([[18.0], [36.0]]), np.array([60.0]), 60.0, 1800.0)
    fewest_for_day(day, Goal("SERVICE_LEVEL", 0.8, threshold=20.0), 0.8)
