"""Mail in the idle time of calls, on stated cases, played event by event: what both keep, and what it saves.

python -m bench.staffing.blended. Calls and mail are required as they are published, the mail with the calls' blend and without; then four
weeks are played, call by call and item by item: a free agent of calls takes the longest waiting call; only while more of them are idle than
are to be kept, an item, earliest deadline first, late ones last. Who goes home finishes what is in hand. Items are worked on in the desk's
hours only.
"""

import dataclasses
import datetime as dt
from typing import Any

import numba
import numpy as np

from bench.staffing.mail import MONDAY, ZONE, MailCase
from muster.domain.calendar import DAY, day_bounds
from muster.domain.deadlines import deadlines_of
from services.staffing.domain.blending import IdleDay
from services.staffing.domain.erlang import Floats, Ints
from services.staffing.domain.facts import ForecastDay, RequirementDay
from services.staffing.domain.requirement import Goal, Rules
from services.staffing.handlers.blending import calls_day, idle_days
from services.staffing.handlers.deferring import DeskDays, on_deferred
from services.staffing.handlers.requiring import QueueRules, on_forecast

DAYS, TIMES = 28, 20
FREE, CALL, ITEM = 0, 1, 2
CAP = Goal("OCCUPANCY_CAP", 0.8)


@dataclasses.dataclass(frozen=True)
class Case:
    """Mail beside calls: peak calls a half-hour, AHT, patience, minimum staff; round the clock, or from eight to eight; able: share of the
    calls' agents who may do mail."""

    name: str
    peak: float
    handle: float
    patience: float
    mail: MailCase
    minimum: int = 0
    whole_day: bool = False
    target: float = 0.8
    goals: tuple[Goal, ...] = ()
    able: float = 1.0

    def rules(self) -> QueueRules:
        goal = Goal("SERVICE_LEVEL", self.target, threshold=20.0)
        return QueueRules(Rules((goal, *self.goals), self.minimum, 0.0, 0.0), self.patience, "Erlang A", zone=ZONE)

    def calls(self) -> list[ForecastDay]:
        slot = np.arange(48) + 0.5
        shape = 0.15 + 0.85 * np.maximum(np.sin(np.pi * (slot - 12) / 32), 0) ** 1.5
        rows = np.arange(48) if self.whole_day else np.arange(16, 40)
        return [_day("bench/calls", n, (self.peak * shape)[rows], rows, self.handle) for n in range(DAYS)]


CASES = (
    Case("40 calls a half-hour, 150 items, 4h, 90 %", 40, 300, 120, MailCase("", 150, "4h", 0.9, 300)),
    Case("40 calls, items of 10 minutes, 8h", 40, 300, 120, MailCase("", 100, "8h", 0.9, 600)),
    Case("250 calls, 400 items, next day", 250, 240, 180, MailCase("", 400, "end_of_day+1@15:00", 0.95, 420)),
    Case("round the clock, 5 calls, at least 3 agents, 80 items, 4h", 5, 240, 90, MailCase("", 80, "4h", 0.9, 360), 3, True),
    Case("80 calls, cap of 80 %, half of the agents able, 2h", 80, 300, 150, MailCase("", 150, "2h", 0.9, 300), goals=(CAP,), able=0.5),
    Case("80 calls, items of 2 minutes, the same day", 80, 300, 150, MailCase("", 300, "end_of_day@15:00", 0.85, 120)),
)  # fmt: skip


def _day(queue: str, n: int, offered: Floats, rows: Ints, handle: float) -> ForecastDay:
    day = (MONDAY + dt.timedelta(days=n)).date()
    starts = (day_bounds(day, ZONE)[0] + 1800 * rows).tolist()
    told, size = offered.tolist(), rows.size
    return ForecastDay(queue, day.isoformat(), 1800, starts, [1] * size, told, told, [handle] * size, 0, 1, True)


@numba.njit  # type: ignore[untyped-decorator]
def _play(
    calls: Any,
    staff: Any,
    able: Any,
    keep: Any,
    handle: Any,
    patience: Any,
    intake: Any,
    own: Any,
    opened: Any,
    due: Any,
    item: Any,
    seed: Any,
) -> Any:
    """Play intervals of 1,800 s: calls, staff, keep, intake, own, opened (I,), due (I, 2) of an interval's first and last item. Return calls
    and those answered within 20 s (I,), items' coming and end, and seconds of idle time used."""
    np.random.seed(seed)
    size, most = len(calls), int(staff.max() + own.max()) + 80
    kind, ends, line = np.zeros(most, np.int64), np.full(most, np.inf), np.zeros(most, np.int64)
    came, gives_up, head, tail = np.zeros(10_000_000), np.zeros(10_000_000), 0, 0
    items, done, first, last = np.zeros(200_000), np.full(200_000, np.inf), 0, 0
    until, late, begun_late, were_late = np.zeros(200_000), np.zeros(200_000, np.int64), 0, 0
    offered, within, used = np.zeros(size), np.zeros(size), 0.0
    busy = np.zeros(3, np.int64)  # agents of calls with a call, with an item; own agents with an item
    for i in range(size):
        now, end = i * 1800.0, (i + 1) * 1800.0
        helpers = round(able * staff[i])
        next_call = now + np.random.exponential(1800.0 / calls[i]) if calls[i] > 0 else np.inf
        next_item = now + np.random.exponential(1800.0 / intake[i]) if intake[i] > 0 else np.inf
        while True:
            # Whoever is free takes something: calls first.
            while head < tail and busy[0] + busy[1] < staff[i]:
                begun = head
                head += 1
                if gives_up[begun] <= now:
                    continue
                at = np.argmin(kind)
                kind[at], line[at], ends[at] = CALL, 0, now + np.random.exponential(handle)
                busy[0] += 1
                if now - came[begun] <= 20.0:
                    within[int(came[begun] // 1800)] += 1
            while first < last and until[first] <= now:
                late[were_late] = first
                were_late += 1
                first += 1
            while opened[i] and (first < last or begun_late < were_late):
                mine = busy[2] < own[i]
                if not mine and not (staff[i] - busy[0] - busy[1] > keep[i] and busy[1] < helpers):
                    break
                at, takes = np.argmin(kind), np.random.exponential(item)
                kind[at], line[at], ends[at] = ITEM, 1 if mine else 0, now + takes
                if first < last:
                    done[first] = now + takes
                    first += 1
                else:
                    done[late[begun_late]] = now + takes
                    begun_late += 1
                busy[2 if mine else 1] += 1
                used += 0.0 if mine else takes
            at = np.argmin(ends)
            soonest = min(ends[at], next_call, next_item)
            if soonest >= end:
                break
            now = soonest
            if now == ends[at]:
                busy[2 if line[at] == 1 else kind[at] - 1] -= 1
                kind[at], ends[at] = FREE, np.inf
            elif now == next_call:
                came[tail], gives_up[tail] = now, now + np.random.exponential(patience)
                offered[i] += 1
                tail += 1
                next_call = now + np.random.exponential(1800.0 / calls[i])
            else:
                items[last] = now
                until[last] = due[i, 0] + (due[i, 1] - due[i, 0]) * (now / 1800.0 - i)
                last += 1
                next_item = now + np.random.exponential(1800.0 / intake[i])
    return offered, within, items[:last], done[:last], used


def _spread(days: list[RequirementDay] | list[ForecastDay] | list[IdleDay], name: str, begin: int) -> Floats:
    """Return days' values as intervals (I,) from `begin` on, 0 where they have none."""
    found = np.zeros(DAYS * 48)
    for day in days:
        found[(np.array(day.starts, np.int64) - begin) // 1800] = getattr(day, name)
    return found


@dataclasses.dataclass(frozen=True)
class _World:
    """What four weeks of intervals (I,) bring from `begin` on: calls and who answers them, items, hours of the desk; due (I, 2)."""

    begin: int
    calls: Floats
    staff: Floats
    items: Floats
    opened: np.ndarray
    due: Floats


def judge(case: Case, world: _World, own: Floats, keep: Floats) -> tuple[float, float, float, float, float]:
    """Play the mail's own agents (I,), and how many of the calls' to keep idle (I,), and return own hours, the calls' service level, the
    shares of days that calls and mail keep, and hours of idle time used."""
    desk, level, kept, of_days, used = case.mail.desk(), np.zeros(2), 0, 0, 0.0
    on_days = np.zeros((2, TIMES, DAYS))
    calls, mail = (
        (world.calls, world.staff, case.able, keep, case.handle, case.patience),
        (world.items, own, world.opened, world.due),
    )
    for seed in range(TIMES):
        got, good, came, ends, hours = _play(*calls, *mail, case.mail.handle, seed)
        level += got.sum(), good.sum()
        on_days[:, seed] = got.reshape(DAYS, 48).sum(axis=1), good.reshape(DAYS, 48).sum(axis=1)
        used += hours / 3600 / TIMES
        at = deadlines_of((world.begin + came).astype(np.int64), desk.rule, desk.hours, desk.zone) - world.begin
        for d in range(1, DAYS):
            mine = (at - 1) // DAY == d
            if mine.any():
                of_days += 1
                kept += (ends[mine] <= at[mine]).mean() >= case.mail.target
    days_met = float((on_days[1] >= case.target * on_days[0]).mean())
    return own.sum() / 2, level[1] / level[0], days_met, kept / of_days, used


def run(case: Case) -> str:
    """Require and play a case, and tell of it in a line."""
    calls, rules, desk = case.calls(), case.rules(), case.mail.desk()
    required = on_forecast(calls, rules, 1, 0)
    idle = idle_days([calls_day(f, r, rules, case.able, 0.02) for f, r in zip(calls, required, strict=True)], case.mail.handle)
    week, slots = case.mail.intake(), np.arange(48)
    mails = [_day("bench/mail", n, week[(n % 7) * 48 : (n % 7 + 1) * 48], slots, case.mail.handle) for n in range(DAYS)]
    begin = mails[0].starts[0]
    plain, blended = (
        on_deferred(DeskDays(mails, [], desk, case.mail.target, begin, c), Rules((), 0, 0.0, 0.0), 1) for c in ((), idle)
    )
    offered, staff = _spread(calls, "offered", begin), _spread(required, "on_queue", begin)
    keep, intake = _spread(idle, "keep", begin), _spread(mails, "offered", begin)
    starts = begin + 1800 * np.arange(DAYS * 48)
    due = deadlines_of(starts, desk.rule, desk.hours, desk.zone)
    # A second after the interval's begin: what comes at that very instant may be due a night earlier than all that follows.
    within = np.stack([deadlines_of(starts + s, desk.rule, desk.hours, desk.zone) - begin for s in (1, 1799)], axis=1).astype(
        float
    )
    world = _World(begin, offered, staff, intake, _spread(plain, "starts", begin) > 0, within)
    told = [judge(case, world, _spread(own, "on_queue", begin), kept) for own, kept in ((blended, keep), (plain, staff))]
    (own, sl, met, on_time, used), (alone, before, was_met, was, _) = told
    foreseen = float(sum(np.dot(d.level, f.offered) for d, f in zip(idle, calls, strict=True)) / offered.sum())
    work = float(intake[due <= starts[-1] + 1800].sum()) * case.mail.handle / 3600
    return (
        f"{case.name:58} calls' SL {before:.1%} → {sl:.1%} (foreseen at least {foreseen:.1%}), days kept {was_met:.1%} → {met:.1%}; "
        f"mail's days kept {was:.1%} → {on_time:.1%}; own hours {alone:,.0f} → {own:,.0f}, {used:,.0f} of idle time used; "
        f"in all {(own + used) / work:.2f} of the work"
    )


def main() -> None:
    """Print a line a case."""
    for case in CASES:
        print(run(case), flush=True)


if __name__ == "__main__":
    main()
