"""From a queue's forecast days to the requirement of its deferred work: level, earliest deadline first, with room for chance.

`margins` says how much room. What is asked of a plan for other work (prices, simulations) plays it as a fluid, interval by interval.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from muster.domain.calendar import DAY, day_bounds, parse_date
from muster.domain.deadlines import deadlines_of
from services.staffing.domain.blending import IdleDay
from services.staffing.domain.deferred import Cohort, Desk, Work, blend, done_in_time, work_of
from services.staffing.domain.erlang import Floats, Ints
from services.staffing.domain.facts import ForecastDay, RequirementDay
from services.staffing.domain.items import Due, Items, draw_items, whole_of
from services.staffing.domain.requirement import Rules
from services.staffing.handlers.margins import Judged, Margin, margin, staffed, trials_for
from services.staffing.handlers.spreading import luck_of

TRIALS = 48


@dataclasses.dataclass(frozen=True)
class Trials:
    """Groups that are due within the plan, and how much there is of each in R trials, in items (R, K); day (K,), rising: the day on which
    they are due, from 0, `days` and above: none that is judged."""

    work: Work
    items: Floats
    day: Ints
    days: int

    @property
    def due(self) -> Floats:
        """Return what is due on each day (R, D), in items."""
        return self._by_day(self.items)

    def in_time(self, agents: Ints | Floats) -> Floats:
        """Return what agents (I,) do in time of what is due on each day (R, D), in items."""
        return self._by_day(done_in_time(self.work, self.items, agents))

    def _by_day(self, items: Floats) -> Floats:
        first, last = (np.searchsorted(self.day, np.arange(self.days), side) for side in ("left", "right"))
        summed = np.concatenate([np.zeros((len(items), 1)), np.cumsum(items, axis=1)], axis=1)
        found: Floats = summed[:, last] - summed[:, first]
        return found


def mean_handle(days: Sequence[ForecastDay], otherwise: float) -> float:
    """Return the AHT of all contacts of the days, seconds; another one where nothing is expected."""
    offered, aht = (np.array([v for day in days for v in getattr(day, name)], float) for name in ("offered", "aht"))
    found = float(offered @ aht / offered.sum()) if offered.sum() > 0 else 0.0
    return found if found > 0 else otherwise


def size_of(days: Sequence[ForecastDay], desk: Desk, begin: int) -> tuple[int, int]:
    """Return how many intervals from `begin` on the days last, and how many until the last of their work is due."""
    end = day_bounds(parse_date(days[-1].local_date), desk.zone)[1]
    due = int(deadlines_of(np.array([end - desk.seconds]), desk.rule, desk.hours, desk.zone)[0])
    return (end - begin) // desk.seconds, -(-(max(due, end) - begin) // desk.seconds)


def ahead(days: Iterable[tuple[Sequence[int], Sequence[float]]], seconds: int, begin: int, sizes: tuple[int, int]) -> Floats:
    """Return days' starts and values as intervals from `begin` on (I,), sizes: of them that are known, and I.

    Beyond the last day comes what came a week before, or a day before where no week is known.
    """
    known, size = sizes
    found = np.zeros(size)
    for starts_of_day, values_of_day in days:
        starts, values = np.array(starts_of_day, np.int64), np.array(values_of_day, float)
        rows = (starts >= begin) & (starts < begin + seconds * known)
        np.add.at(found, (starts[rows] - begin) // seconds, values[rows])
    for i in range(known, size):
        week, one = i - 7 * DAY // seconds, i - DAY // seconds
        found[i] = found[week if week >= 0 else max(one, 0)]
    return found


def in_reach(work: Work) -> Work:
    """Return the work as of when it can be begun. What was due before then (elapsed time runs at night too) gets its span from there."""
    opens, size = np.flatnonzero(work.open), work.open.size
    came = np.append(opens, size)[np.searchsorted(opens, np.maximum(work.came, 0))]
    span = np.maximum(work.due - np.maximum(work.came, 0), 1)
    due = np.where(work.due <= came, came + span, work.due)
    order = np.lexsort(
        (due, came)
    )  # a span from the opening on may be longer than those of later items: none is due after them
    due[order] = np.minimum.accumulate(due[order][::-1])[::-1]
    gone = came >= size
    return dataclasses.replace(work, came=np.minimum(came, size - 1), due=np.where(gone, size + 1, due))


def draw(
    work: Work, known: np.ndarray, day: Ints, days: int, luck: np.random.Generator, expected: Floats | None = None
) -> Trials:
    """Return trials of the work; known (K,): the items are there, only their times are chance; day (I,) of each interval; expected (R, K):
    what may come in each trial, None: the work's own count in TRIALS of them."""
    order = np.lexsort((work.came, work.due))
    order = order[(work.due[order] <= work.open.size) & (work.count[order] > 0)]
    some = dataclasses.replace(work, came=work.came[order], due=work.due[order], count=work.count[order])
    coming = np.tile(some.count, (TRIALS, 1)) if expected is None else expected[:, order]
    items = np.where(known[order], some.count, luck.poisson(coming))
    return Trials(some, luck.standard_gamma(items), day[some.due - 1], days)


@dataclasses.dataclass(frozen=True)
class DeskDays:
    """Deferred work to plan. days: the forecast, today first; backlog: (start, items still open) of every closed interval, 0 too: what
    the forecast says of later ones has come, but isn't counted yet; target: the share to be done in time; calls: idle time of calls that
    does part of it."""

    days: Sequence[ForecastDay]
    backlog: Sequence[tuple[int, int]]
    desk: Desk
    target: float
    now: int
    calls: Sequence[IdleDay] = ()

    def __post_init__(self) -> None:
        if not 0 < self.target <= 1:
            raise ValueError(f"target is {self.target}; allowed: a share above 0, at most 1")

    @property
    def begin(self) -> int:
        """The first interval that is not over."""
        return self.now - self.now % self.desk.seconds

    @property
    def handle(self) -> float:
        """AHT of an item, seconds: the days' mean, the desk's where nothing is expected."""
        return mean_handle(self.days, self.desk.handle)


@dataclasses.dataclass(frozen=True)
class Planned:
    """Arrays (I,) of intervals from `begin` on: real agents of the expected work, whole ones, and those for the high intake; share (D,)
    of what falls due on each day that is done in time, NaN where nothing is due; idle: agents of calls who help."""

    begin: int
    real: Floats
    whole: Ints
    safe: Ints
    share: Floats
    idle: Floats


def cohorts_of(days: Sequence[ForecastDay], backlog: Sequence[tuple[int, int]], desk: Desk, begin: int) -> tuple[Cohort, ...]:
    """Return what has come before `begin`: open items of closed intervals, and the forecast of later ones. What is overdue is due as if
    it came now."""
    through = max((start for start, _ in backlog), default=-desk.seconds) + desk.seconds
    old = [(start, float(count)) for start, count in backlog if count > 0]
    old += [(s, n) for day in days for s, n in zip(day.starts, day.offered, strict=True) if through <= s < begin and n > 0]
    came = np.array([*(start for start, _ in old), begin], np.int64)
    due = [int(d) for d in deadlines_of(came, desk.rule, desk.hours, desk.zone)]
    return tuple(Cohort(start, d if d > begin else due[-1], n) for (start, n), d in zip(old, due[:-1], strict=True))


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What a plan of days rests on: the work as expected and for the high intake, from `begin` on; day (I,) of each interval; known (K,):
    items that are there; items: trials of them, and the margin that keeps the target in them; idle, safe_idle (I,): agents of calls who
    help."""

    begin: int
    work: Work
    high: Work
    day: Ints
    known: np.ndarray
    items: Items
    margin: Margin
    idle: Floats
    safe_idle: Floats


def prepare(case: DeskDays, minimum: int) -> Prepared:
    """Return what the plan of a queue's days together rests on, from the interval that holds `now` on."""
    days, begin, desk = case.days, case.begin, dataclasses.replace(case.desk, handle=case.handle)
    seconds, sizes = desk.seconds, size_of(days, desk, begin)
    offered, high = (ahead([(d.starts, getattr(d, n)) for d in days], seconds, begin, sizes) for n in ("offered", "high"))
    idle, safe_idle = (
        ahead([(d.starts, getattr(d, n)) for d in case.calls], seconds, begin, sizes) for n in ("agents", "safe")
    )
    raw = work_of(desk, begin, offered, cohorts_of(days, case.backlog, desk, begin))
    work = in_reach(raw)
    more = dataclasses.replace(work, count=np.append(high, work.count[high.size :]))
    ends = np.array([day_bounds(parse_date(day.local_date), desk.zone)[1] for day in days])
    day = np.searchsorted(ends, begin + seconds * np.arange(high.size), "right")
    known = np.arange(work.count.size) >= high.size
    due = _due(desk, begin, raw, work, day, len(days))
    items = draw_items(work, due, trials_for(work, due), luck_of(days[0].queue, days[0].local_date))
    idle, safe_idle = (np.where(work.open, n, 0.0) for n in (idle, safe_idle))
    room, nobody = margin(Judged(work, items, case.target, minimum, idle)), np.zeros_like(idle)
    if idle.any():  # chance of two kinds asks for more room: where that takes more than the help gives, it is not counted on
        alone = margin(Judged(work, items, case.target, minimum, nobody))
        if staffed(work, alone, minimum, nobody).sum() < staffed(work, room, minimum, idle).sum():
            room, idle, safe_idle = alone, nobody, nobody
    return Prepared(begin, work, more, day, known, items, room, idle, safe_idle)


def _due(desk: Desk, begin: int, raw: Work, work: Work, day: Ints, days: int) -> Due:
    """Return when items are due, to the second; at the border of what has got another span, and of what is open already."""
    size = work.open.size
    starts = begin + desk.seconds * np.arange(size)
    first, last = (deadlines_of(starts + s, desk.rule, desk.hours, desk.zone) - begin for s in (0, desk.seconds - 1))
    border = work.due * desk.seconds
    exact = np.append(raw.due[:size] == work.due[:size], np.zeros(border.size - size, bool))
    more = np.zeros(border.size - size, np.int64)
    first, last = (np.where(exact, np.append(at, more), border) for at in (first, last))
    place = (last - 1) // desk.seconds
    known, on_day = np.arange(border.size) >= size, np.append(day, days)[np.clip(place, 0, size)]
    return Due(raw.came, first.astype(float), last.astype(float), known, on_day, days)


def plan_days(case: DeskDays, minimum: int) -> Planned:
    """Return the plan of a queue's days together, from the interval that holds `now` on."""
    return plan_of(case, prepare(case, minimum), minimum)


def plan_of(case: DeskDays, found: Prepared, minimum: int) -> Planned:
    """Return the plan of what was prepared."""
    both = ((found.work, found.idle), (found.high, found.safe_idle))
    whole, safe = (staffed(w, found.margin, minimum, idle) for w, idle in both)
    asked, timely = (n.sum(axis=0) for n in (found.items.fell_due, found.items.in_time(whole + whole_of(found.idle))))
    share = np.divide(timely, asked, out=np.full(len(case.days), np.nan), where=asked > 0)
    real = blend(found.work, found.idle).real
    return Planned(found.begin, real, whole, np.maximum(safe, whole), share, found.idle)


def on_deferred(case: DeskDays, rules: Rules, version: int, before: RequirementDay | None = None) -> list[RequirementDay]:
    """Return the requirement of a queue's days, today first, in the intervals in which there is service; the same always gives the same.

    Today's intervals that are over stay as `before` had them. The predicted share is of what still falls due on the day.
    """
    if not case.days:
        return []
    planned = plan_days(case, rules.minimum)
    found = [answer_of(case, n, planned, rules, version) for n in range(len(case.days))]
    if before is not None and before.local_date == found[0].local_date:
        found[0] = found[0].behind(before, planned.begin)
    return found


def answer_of(case: DeskDays, n: int, planned: Planned, rules: Rules, version: int) -> RequirementDay:
    """Return the requirement of one of a plan's days."""
    day, desk, target = case.days[n], case.desk, case.target
    date, minimum = parse_date(day.local_date), rules.minimum
    starts = [s for s in desk.hours.open_starts(date, desk.zone, desk.seconds) if s >= planned.begin]
    at = (np.array(starts, np.int64) - planned.begin) // desk.seconds
    load, agents, safe = planned.real[at], np.maximum(planned.whole[at], minimum), np.maximum(planned.safe[at], minimum)
    scheduled = agents / (1.0 - rules.unplaced_shrinkage)
    share = None if np.isnan(planned.share[n]) else round(float(planned.share[n]), 9)
    return RequirementDay(
        queue=day.queue,
        local_date=day.local_date,
        seconds=desk.seconds,
        starts=starts,
        version=version,
        forecast_version=day.version,
        load=_plain(load),
        carried=_plain(load),
        on_queue=_plain(agents),
        on_queue_safe=_plain(safe),
        scheduled=_plain(scheduled),
        paid=_plain(scheduled / (1.0 - rules.placed_shrinkage)),
        service_level=[share] * len(starts),
        asa=[0.0] * len(starts),
        abandonment=[0.0] * len(starts),
        occupancy=_plain(np.minimum(np.divide(load, agents, out=np.zeros(at.size), where=agents > 0), 1.0)),
        drivers=["MINIMUM_STAFF" if minimum and a <= minimum else "DEADLINE_MET" for a in agents],
        formula=f"earliest deadline first, {desk.rule} ({100 * target:g} %)",
        unplaced_shrinkage=round(rules.unplaced_shrinkage, 9),
        made_at=case.now,
        watermark=day.watermark,
        blended=_plain(planned.idle[at]) if planned.idle.any() else [],
    )


def _plain(values: Floats) -> list[float]:
    """Keep nine decimals: what the last bits hold is arithmetic."""
    return [float(v) for v in np.round(values, 9)]
