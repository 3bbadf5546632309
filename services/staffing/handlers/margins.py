"""How many more agents than expected work asks for keep its deadlines on enough days, in trials item by item.

Items come one by one and take exponential time, so what n of them take has a variance of 2n squared handle times. Each group is planned
z standard deviations of what falls due within its span above what is expected, z the least that keeps the target on KEPT of days.

Where few items come, one agent is much, and who is always there is idle much of the time. So from plans of a little more z agents are
taken away, twice a day, once a day, then every other day, as long as trials keep the target; but never to less than the work that is
expected: what is late must be done too.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from muster.domain.calendar import DAY
from services.staffing.domain.deferred import Work, blend, level_agents
from services.staffing.domain.erlang import Floats, Ints
from services.staffing.domain.items import Due, Items, whole_of

# The share of days of the trials, 95 % and a point for what trials can't tell; more beside idle time of calls, whose chance they don't play.
KEPT, BESIDE = 0.96, 0.985
MOST, STEPS, NEARLY = 4.0, 7, 0.01
# Trials: at least and at most, and items of all of them together.
TRIALS, PLAYS = (32, 96), 150_000
# A plan is small up to so many items; how far above z plans begin from which agents are taken away, in how many parts of the day, and by how
# many standard deviations of the trials a day may lie below the others.
SMALL, HIGHER, PARTS, CHANCE = 4000, (0.25, 0.5, 0.75), 16, 3.0


@dataclasses.dataclass(frozen=True)
class Margin:
    """The margin z, and the agents (I,) who are taken away from its plan."""

    z: float
    away: Ints


def spread_of(work: Work) -> Floats:
    """Return the relative standard deviation (K,) of the work that falls due between each group's coming and its due border."""
    top = work.open.size + 1
    by = np.cumsum(np.bincount(np.minimum(work.due, top), work.count, top + 1))
    within = by[np.minimum(work.due, top)] - by[work.came]
    spread: Floats = np.sqrt(2.0 / np.maximum(within, 1.0))
    return spread


def plan(work: Work, spread: Floats, z: float, minimum: int, idle: Floats) -> Ints:
    """Return the agents (I,) beside idle ones of calls (I,), at least the minimum where there is service, for z standard deviations above
    what is expected."""
    raised = dataclasses.replace(work, count=work.count * (1.0 + z * spread))
    if not minimum and not idle.any():
        return level_agents(raised)[1]
    least = np.where(work.open, minimum, 0).astype(np.int64)
    return blend(raised, least + idle).whole + least


def staffed(work: Work, margin: Margin, minimum: int, idle: Floats) -> Ints:
    """Return the agents (I,) of a margin for work."""
    least = np.where(work.open, minimum, 0)
    found: Ints = np.maximum(plan(work, spread_of(work), margin.z, minimum, idle) - margin.away, least)
    return found


def trials_for(work: Work, due: Due) -> int:
    """Return how many trials judge work: more of few items."""
    items = float(work.count[due.day < due.days].sum())
    return int(np.clip(PLAYS / max(items, 1.0), *TRIALS))


@dataclasses.dataclass(frozen=True)
class Judged:
    """Work to staff beside idle agents of calls (I,), and the trials that judge it."""

    work: Work
    items: Items
    target: float
    minimum: int
    idle: Floats

    def staff(self, z: float) -> Ints:
        """Return the agents (I,) for z."""
        return staffed(self.work, Margin(z, np.zeros(self.work.open.size, np.int64)), self.minimum, self.idle)

    def kept(self, agents: Ints) -> Floats:
        """Return the share of trials in which agents (I,) keep the target of each day (D,), of those in which something is due; NaN:
        nothing ever is."""
        due = self.items.fell_due
        good = (self.items.in_time(agents + whole_of(self.idle)) >= self.target * due - 1e-6) & (due > 0)
        some = (due > 0).sum(axis=0)
        found: Floats = np.divide(good.sum(axis=0), some, out=np.full(some.size, np.nan), where=some > 0)
        return found


@dataclasses.dataclass(frozen=True)
class _Wanted:
    """Days (J,) that can be kept, how often in mean, and each at least."""

    days: Ints
    mean: float
    each: float

    def by(self, kept: Floats) -> bool:
        return float(kept[self.days].mean()) >= self.mean

    def by_each(self, kept: Floats) -> bool:
        return self.by(kept) and float(kept[self.days].min()) >= self.each


def _by_day(work: Work) -> Iterator[Ints]:
    """Give the intervals of PARTS of each day's hours of service: first two of them at a time, half a day apart, then one."""
    a_day, opens = int(DAY // work.seconds), np.flatnonzero(work.open)
    parts = [part for part in np.array_split(np.unique(opens % a_day), PARTS) if part.size]
    half = -(-len(parts) // 2)
    for chosen in [*(np.concatenate(parts[n::half]) for n in range(half)), *parts]:
        yield opens[np.isin(opens % a_day, chosen)]


def _by_other_day(work: Work) -> Iterator[Ints]:
    """Give the intervals of the parts of every other day, one after the other."""
    a_day = int(DAY // work.seconds)
    for rows in list(_by_day(work))[-PARTS:]:
        day = rows // a_day
        yield from (rows[day % 2 == n] for n in (0, 1))


def _with_fewer(case: Judged, wanted: _Wanted, agents: Ints, turns: Iterable[Ints]) -> Ints:
    """Return agents (I,) without those whom trials can do without in intervals, taken in turns."""
    least, work = np.where(case.work.open, case.minimum, 0), case.staff(0.0).sum()
    for rows in turns:
        fewer = agents.copy()
        fewer[rows] = np.maximum(fewer[rows] - 1, least[rows])
        if work <= fewer.sum() < agents.sum() and wanted.by_each(case.kept(fewer)):
            agents = fewer
    return agents


def _trimmed(case: Judged, wanted: _Wanted, z: float) -> Margin:
    """Return the margin with the fewest agents, z's own or one from a little above z with agents taken away."""
    full = {at: case.staff(at) for at in (z, *(z + more for more in HIGHER))}
    fewest = {at: _with_fewer(case, wanted, agents, _by_day(case.work)) if at > z else agents for at, agents in full.items()}
    best = min(fewest, key=lambda at: int(fewest[at].sum()))
    return Margin(best, full[best] - _with_fewer(case, wanted, fewest[best], _by_other_day(case.work)))


def margin(case: Judged) -> Margin:
    """Return the margin that keeps the target on KEPT of days with the fewest agents; z is 0 to MOST, days that MOST does not save are left
    out. Beside idle agents of calls it is BESIDE of days, and nobody is taken away."""
    reached, nobody = case.kept(case.staff(MOST)), np.zeros(case.work.open.size, np.int64)
    asked = BESIDE if case.idle.any() else KEPT
    some, judged = np.flatnonzero(~np.isnan(reached)), np.flatnonzero(reached >= asked)
    if not some.size:
        return Margin(0.0, nobody)
    # Where no day can be kept so often, as often as it can.
    share = asked if judged.size else float(reached[some].mean()) - NEARLY
    wanted = _Wanted(
        judged if judged.size else some, share, share - CHANCE * (share * (1.0 - share) / case.items.trials) ** 0.5
    )
    low, high = 0.0, MOST
    if wanted.by(case.kept(case.staff(0.0))):
        return Margin(0.0, nobody)
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if wanted.by(case.kept(case.staff(middle))) else (middle, high)
    small = case.items.ends[-1] <= SMALL * case.items.trials and not case.idle.any()
    return _trimmed(case, wanted, high) if small else Margin(high, nobody)
