"""Why an interval of deferred work needs the agents it does: what comes and is due, the level plan, its margin, and one agent more or less."""

import dataclasses

import numpy as np

from services.staffing.domain.deferred import Work
from services.staffing.domain.erlang import Ints
from services.staffing.domain.items import whole_of
from services.staffing.domain.requirement import Goal, Rules
from services.staffing.handlers.deferring import DeskDays, Prepared, answer_of, plan_of, prepare
from services.staffing.handlers.explaining import Around, Explanation
from services.staffing.handlers.margins import Judged, Margin, staffed


@dataclasses.dataclass(frozen=True)
class MailWhy:
    """One interval of the plan. came: items that can be begun in it and not before; due: that must be done by the next interval of service,
    and not before; begin: the plan's, an instant, with so many items open. Agents: level: whole ones that do the expected work; full: for the
    margin z; away: taken away from them; idle: of calls, who help. kept: share of trial days that keep the target, None where nothing is due;
    share: of the day's that is done in time; trials: how many days were played of each."""

    explained: Explanation
    came: float
    due: float
    begin: int
    open: float
    level: int
    z: float
    full: int
    away: int
    idle: float
    kept: float | None
    share: float | None
    trials: int


def _falls(work: Work, place: int) -> tuple[float, float]:
    """Return the items that can be begun in an interval first, and those that must be done in it at the latest."""
    later = np.flatnonzero(work.open[place + 1 :])
    closes = place + 1 + int(later[0]) if later.size else work.open.size
    due = (work.due > place) & (work.due <= closes)
    return float(work.count[work.came == place].sum()), float(work.count[due].sum())


def _around(found: Prepared, judged: Judged, whole: Ints, place: int, day: int, load: float) -> list[Around]:
    """Return what one agent less in an interval, as many, and one more give: of what falls due on its day, and of all that does."""
    due, given = found.items.fell_due.sum(axis=0), []
    for agents in range(max(int(whole[place]) - 1, 0), int(whole[place]) + 2):
        heads = whole.copy()
        heads[place] = agents
        timely, kept = found.items.in_time(heads + whole_of(found.idle)).sum(axis=0), judged.kept(heads)
        some = kept[~np.isnan(kept)]
        share = float(timely[day] / due[day]) if due[day] > 0 else -1.0
        busy = min(load / agents, 1.0) if agents else 0.0
        in_all = float(timely.sum() / due.sum()) if due.sum() > 0 else None
        given.append(Around(agents, (share,), 0.0, 0.0, busy, in_all, float(some.mean()) if some.size else None))
    return given


def explain_mail(case: DeskDays, rules: Rules, start: int) -> MailWhy:
    """Return why the interval of service that starts at `start` needs what it does, planned with all others from now on; what is offered is
    what comes in it, the load that of the level plan. Raise ValueError for an interval that is over or without service."""
    found = prepare(case, rules.minimum)
    work, place = found.work, (start - found.begin) // case.desk.seconds
    day = int(found.day[place]) if 0 <= place < found.day.size else len(case.days)
    if day >= len(case.days):
        raise ValueError(f"{start} lies outside the plan; allowed: from {found.begin} to the end of {case.days[-1].local_date}")
    planned = plan_of(case, found, rules.minimum)
    answer = answer_of(case, day, planned, rules, 0)
    if start not in answer.starts:
        raise ValueError(f"{start} lies outside of service; allowed: {len(answer.starts)} intervals of {answer.local_date}")
    at, idle, size = answer.starts.index(start), found.idle, work.open.size
    whole, nobody = np.maximum(planned.whole, np.where(work.open, rules.minimum, 0)), np.zeros(size, np.int64)
    whole[place] = round(answer.on_queue[at])
    around = _around(found, Judged(work, found.items, case.target, rules.minimum, idle), whole, place, day, answer.load[at])
    here = next(a for a in around if a.agents == whole[place])
    level, full = (int(staffed(work, Margin(z, nobody), rules.minimum, idle)[place]) for z in (0.0, found.margin.z))
    offered = sum(n for s, n in zip(case.days[day].starts, case.days[day].offered, strict=True) if s == start)
    explained = Explanation(
        offered,
        case.handle,
        answer.load[at],
        (),
        (Goal("DEADLINE_MET", case.target),),
        (int(whole[place]),),
        rules.minimum,
        answer.drivers[at],
        answer.on_queue[at],
        answer.scheduled[at],
        answer.paid[at],
        tuple(around),
    )
    share = here.levels[0] if here.levels[0] >= 0 else None
    came, due = _falls(work, place)
    backlog, away = float(work.count[found.known].sum()), int(found.margin.away[place])
    return MailWhy(
        explained, came, due, found.begin, backlog, level, found.margin.z, full, away, float(idle[place]),
        here.kept, share, found.items.trials,
    )  # fmt: skip
