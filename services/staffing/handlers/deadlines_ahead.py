"""A promise of deadlines ahead: what came and is open, what the forecast's paths bring, and the agents of the plan."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from muster.domain.calendar import DAY
from muster.domain.deadlines import deadlines_of
from services.staffing.domain.deadline_window import DeskAhead, look_ahead_to_deadlines
from services.staffing.domain.deferred import Desk, work_of
from services.staffing.domain.erlang import Floats
from services.staffing.domain.facts import ForecastDay
from services.staffing.domain.window import Pledge, WindowOutlook
from services.staffing.handlers.deferring import cohorts_of, mean_handle
from services.staffing.handlers.spreading import PATHS, luck_of, paths_of

Cells = Sequence[tuple[int, int | None, int | None]]


@dataclasses.dataclass(frozen=True)
class DeskCase:
    """A queue's deferred work in a window [since, until). days: the forecast from today on; backlog: (start, items open) of closed
    intervals; staff: agents on queue by start, up to `planned`; cells: (start, good, base) of the window's closed intervals, None where not
    observed."""

    queue: str
    desk: Desk
    days: Sequence[ForecastDay]
    backlog: Sequence[tuple[int, int]]
    staff: Mapping[int, float]
    planned: int
    cells: Cells
    since: int
    until: int
    now: int

    @property
    def begin(self) -> int:
        """The first interval ahead."""
        return self.now - self.now % self.desk.seconds

    @property
    def days_ahead(self) -> int:
        """Days of the window that are forecast and not over."""
        return sum(day.starts[-1] >= self.begin and day.starts[0] < self.until for day in self.days)


def _last_due(case: DeskCase) -> int:
    """Return how many intervals it takes until all that comes in the window is due."""
    last = np.array([max(case.until, case.begin + case.desk.seconds) - case.desk.seconds])
    due = int(deadlines_of(last, case.desk.rule, case.desk.hours, case.desk.zone)[0])
    return -(-(max(due, case.until) - case.begin) // case.desk.seconds)


def _agents(case: DeskCase, size: int) -> Floats:
    """Return agents (I,); beyond what is planned those of a week, or a day, before."""
    seconds, found = case.desk.seconds, np.zeros(size)
    for i in range(size):
        start = case.begin + i * seconds
        week, one = i - 7 * DAY // seconds, i - DAY // seconds
        found[i] = case.staff.get(start, 0.0) if start < case.planned else found[week if week >= 0 else max(one, 0)]
    return np.maximum(found, 0.0)


def _paths(case: DeskCase, size: int, luck: np.random.Generator) -> Floats:
    """Return what may come (PATHS, I) in the window; what comes after is due later, and takes nothing from it."""
    found = np.zeros((PATHS, size))
    for day, paths in zip(case.days, paths_of(case.days, PATHS, luck), strict=True):
        starts = np.array(day.starts, np.int64)
        ahead = (starts >= case.begin) & (starts < case.until)
        found[:, (starts[ahead] - case.begin) // case.desk.seconds] = paths[:, ahead]
    return found


def desk_ahead(case: DeskCase, luck: np.random.Generator) -> tuple[DeskAhead, Cells]:
    """Return a queue's work ahead, and those closed intervals of the window whose count nothing can change any more."""
    desk = dataclasses.replace(case.desk, handle=mean_handle(case.days, case.desk.handle))
    size, begin = _last_due(case), case.begin
    paths, cohorts = _paths(case, size, luck), cohorts_of(case.days, case.backlog, desk, begin)
    work = work_of(desk, begin, paths.mean(axis=0), cohorts)
    came = np.array([c.arrived for c in cohorts], np.int64)
    late = deadlines_of(came, desk.rule, desk.hours, desk.zone) <= begin
    cells = {start: (good, base) for start, good, base in case.cells}
    through = max((start for start, _ in case.backlog), default=-1)
    open_ = {int(start) for start, over in zip(came, late, strict=True) if not over and start <= through}
    # What is open of intervals that are closed is there; what came since is as expected.
    expected = np.array([c.count for c in cohorts])
    items = np.where(came <= through, np.round(expected), luck.poisson(np.tile(expected, (PATHS, 1))))
    items = np.concatenate([luck.poisson(paths), np.where(late, 0, items)], axis=1)
    known = [cells.get(int(start), (None, None)) for start in came]
    seen = np.array([base is not None or start > through for (_, base), start in zip(known, came, strict=True)], bool)
    starts = np.concatenate([begin + desk.seconds * np.arange(size), came])
    done = np.array([good or 0 for good, _ in known], float)
    missed = np.array(
        [max((base or 0) - (good or 0) - c.count, 0.0) for (good, base), c in zip(known, cohorts, strict=True)], float
    )
    mine = (starts >= case.since) & (starts < case.until)
    nothing = np.zeros(size)
    found = DeskAhead(
        case.queue,
        begin,
        work,
        starts,
        mine & np.concatenate([np.ones(size, bool), seen & ~late]),
        items.astype(float),
        luck.standard_gamma(items),
        np.concatenate([nothing, done]),
        np.concatenate([nothing, missed]),
        _agents(case, size),
    )
    return found, [cell for cell in case.cells if cell[0] not in open_]


def _together(cells: Cells) -> list[tuple[int, int | None, int | None]]:
    """Return intervals with their queues together; None where one was not observed."""
    found: dict[int, tuple[int, int | None, int | None]] = {}
    for start, good, base in cells:
        _, g, b = found.get(start, (start, 0, 0))
        if good is None or base is None or g is None or b is None:
            found[start] = (start, None, None)
        else:
            found[start] = (start, g + good, b + base)
    return [found[start] for start in sorted(found)]


def deadlines_ahead(name: tuple[str, int], pledge: Pledge, cases: Sequence[DeskCase], others: Cells = ()) -> WindowOutlook:
    """Return how a window of deadlines will end; name: contract and target; others: closed intervals of queues of which nothing is ahead.
    The same facts always give the same."""
    desks, counted = [], list(others)
    for case in cases:
        desk, told = desk_ahead(case, luck_of(name[0], str(name[1]), case.queue, str(case.begin)))
        desks.append(desk)
        counted += told
    return look_ahead_to_deadlines(pledge, _together(counted), desks, max(case.until for case in cases))
