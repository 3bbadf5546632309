"""The audit: every work rule, on any schedule, without a solver and without a line of its code.

Each rule is one named function of one agent's shifts (in order of time) that yields violations; the catalogue lists them.
Seats are checked over all agents. Overtime and time off by a decision are judged by their own rules.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from muster.domain.calendar import monday_of, resolve, to_local
from services.scheduler.domain.rules import AgentRules
from services.scheduler.domain.shift import TIME_OFF, Shift

LONGEST_WITH_OVERTIME = 12 * 3600


@dataclasses.dataclass(frozen=True)
class Violation:
    """A rule broken: which, by whom, when, how."""

    rule: str
    agent: str
    shift_id: str
    why: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.shift_id or self.agent}: {self.why}"


@dataclasses.dataclass(frozen=True)
class Context:
    """One agent's rules and shifts, and what of them is judged: shifts of some weeks (None: of all) that end after an
    instant. The others only count as neighbours."""

    rules: AgentRules
    shifts: Sequence[Shift]
    since: int
    weeks: frozenset[str] | None = None

    def is_judged(self, shift: Shift) -> bool:
        return shift.finishes > self.since and (self.weeks is None or shift.week in self.weeks)

    def judged(self) -> list[Shift]:
        return [s for s in self.shifts if self.is_judged(s)]

    def bad(self, rule: str, shift: Shift | None, why: str) -> Violation:
        return Violation(rule, self.rules.agent, shift.shift_id if shift else "", why)


Rule = Callable[[Context], Iterable[Violation]]


def shift_length_is_allowed(c: Context) -> Iterable[Violation]:
    for s in c.judged():
        begin, end = s.starts_at, s.ends_at
        if end - begin not in c.rules.lengths:
            yield c.bad("shift_length", s, f"{(end - begin) / 3600:g} h; allowed: {[n / 3600 for n in c.rules.lengths]}")


def start_is_allowed(c: Context) -> Iterable[Violation]:
    for s in c.judged():
        local = dt.datetime.fromisoformat(s.local_start)
        if not c.rules.may_start(local.weekday(), local.hour * 3600 + local.minute * 60):
            yield c.bad("start", s, f"starts {s.local_start}, off the grid or outside the windows")


def zone_is_resolved(c: Context) -> Iterable[Violation]:
    for s in c.judged():
        if s.zone != c.rules.zone:
            yield c.bad("zone", s, f"keeps {s.zone}, its pattern keeps {c.rules.zone}")
        shown = to_local(s.starts_at, s.zone).strftime("%Y-%m-%dT%H:%M")
        if shown != s.local_start:
            yield c.bad("zone", s, f"intends {s.local_start}, its instant is {shown} there")


def starts_of_a_week_lie_close(c: Context) -> Iterable[Violation]:
    for _, shifts in _weeks(c):
        times = []
        for s in shifts:
            local = dt.datetime.fromisoformat(s.local_start)
            times.append(local.hour * 3600 + local.minute * 60)
        around = max(times) - min(times)
        night = [t + 86_400 if t < 43_200 else t for t in times]  # 23:00 and 00:30 lie close
        if min(around, max(night) - min(night)) > c.rules.swing:
            yield c.bad("start_swing", shifts[0], f"starts lie {around / 3600:g} h apart; allowed: {c.rules.swing / 3600:g} h")


def _weeks(c: Context) -> list[tuple[dt.date, list[Shift]]]:
    weeks: dict[dt.date, list[Shift]] = {}
    for s in c.shifts:
        weeks.setdefault(monday_of(s.local_date), []).append(s)
    return [(monday, shifts) for monday, shifts in sorted(weeks.items()) if any(c.is_judged(s) for s in shifts)]


def _paid_hours(c: Context, shift: Shift) -> float:
    unpaid = {p.activity for p in c.rules.pauses if not p.paid}
    plan = [s for s in shift.segments if not shift.is_overtime(s) and s.activity not in unpaid]
    return sum(s.ends_at - s.starts_at for s in plan) / 3600


def weekly_hours_are_kept(c: Context) -> Iterable[Violation]:
    for monday, shifts in _weeks(c):
        paid = sum(_paid_hours(c, s) for s in shifts)
        possible = min(c.rules.days_free(monday), c.rules.days_high) / max(c.rules.days_high, 1)
        low = c.rules.weekly_low if possible >= 1 else 0.0
        if not low - 1e-6 <= paid <= c.rules.weekly_high + 1e-6:
            yield c.bad("weekly_hours", shifts[0], f"{paid:g} h; allowed: {low:g} to {c.rules.weekly_high:g} h")


def weekly_days_are_kept(c: Context) -> Iterable[Violation]:
    for monday, shifts in _weeks(c):
        days = len({s.local_date for s in shifts})
        low = min(c.rules.days_low, c.rules.days_free(monday))
        if not low <= days <= c.rules.days_high:
            yield c.bad("weekly_days", shifts[0], f"{days} days; allowed: {low} to {c.rules.days_high}")


def rest_between_shifts_is_kept(c: Context) -> Iterable[Violation]:
    for before, after in zip(c.shifts, c.shifts[1:], strict=False):
        rest = after.worked()[0] - before.worked()[1]
        if (c.is_judged(before) or c.is_judged(after)) and rest < c.rules.rest:
            yield c.bad("rest", after, f"{rest / 3600:g} h of rest; at least {c.rules.rest / 3600:g} h")


def weekly_rest_is_kept(c: Context) -> Iterable[Violation]:
    for monday, shifts in _weeks(c):
        begin = resolve(dt.datetime.combine(monday, dt.time()), c.rules.zone)
        end = resolve(dt.datetime.combine(monday + dt.timedelta(days=7), dt.time()), c.rules.zone)
        busy = [s.worked() for s in c.shifts if s.ends_at > begin - 7 * 86_400 and s.starts_at < end + 7 * 86_400]
        longest, free_from = 0, begin - 3 * 86_400
        for work_begin, work_end in busy:
            # A rest belongs to the week in which most of it lies; one that reaches in from outside counts whole.
            if work_begin > begin:
                longest = max(longest, min(work_begin, end + 3 * 86_400) - max(free_from, begin - 3 * 86_400))
            free_from = max(free_from, work_end)
            if free_from >= end:
                break
        if free_from < end:
            longest = max(longest, end + 3 * 86_400 - free_from)
        if longest < c.rules.weekly_rest:
            yield c.bad("weekly_rest", shifts[0], f"{longest / 3600:g} h; at least {c.rules.weekly_rest / 3600:g} h")


def _runs(days: Sequence[dt.date]) -> Iterable[list[dt.date]]:
    run: list[dt.date] = []
    for day in days:
        if run and (day - run[-1]).days > 1:
            yield run
            run = []
        run.append(day)
    if run:
        yield run


def days_in_a_row_are_kept(c: Context) -> Iterable[Violation]:
    days = sorted({s.local_date for s in c.shifts})
    judged = {s.local_date for s in c.judged()}
    for run in _runs(days):
        if len(run) > c.rules.consecutive_days and judged & set(run):
            yield c.bad("consecutive_days", None, f"{len(run)} days from {run[0]}; at most {c.rules.consecutive_days}")


def nights_in_a_row_are_kept(c: Context) -> Iterable[Violation]:
    if c.rules.consecutive_nights is None:
        return
    nights = []
    for s in c.shifts:
        for offset in (0, 1):
            three = dt.datetime.combine(s.local_date + dt.timedelta(days=offset), dt.time(3))
            if s.starts_at <= resolve(three, s.zone) < s.ends_at:
                nights.append(s.local_date)
                break
    judged = {s.local_date for s in c.judged()}
    for run in _runs(sorted(set(nights))):
        if len(run) > c.rules.consecutive_nights and judged & set(run):
            yield c.bad("consecutive_nights", None, f"{len(run)} nights from {run[0]}; at most {c.rules.consecutive_nights}")


def breaks_are_given(c: Context) -> Iterable[Violation]:
    for s in c.judged():
        begin = s.starts_at
        gone = next((g.starts_at for g in s.segments if g.activity == TIME_OFF), s.ends_at)
        left = [g for g in s.segments if not g.queue and g.activity != TIME_OFF]
        for p in c.rules.pauses:
            found = [
                g
                for g in left
                if g.activity == p.activity
                and g.ends_at - g.starts_at == p.seconds
                and p.earliest <= g.starts_at - begin
                and g.ends_at - begin <= p.latest
            ]
            if found:
                left.remove(found[0])
            elif begin + p.latest <= gone:
                window = f"{p.earliest / 3600:g}–{p.latest / 3600:g} h"
                yield c.bad("breaks", s, f"no {p.activity} of {p.seconds / 60:g} min within {window} after the start")


def segments_fill_the_shift(c: Context) -> Iterable[Violation]:
    for s in c.judged():
        edges = [s.begins, *[g.ends_at for g in s.segments]]
        touching = [g.starts_at for g in s.segments] == edges[:-1] and all(g.seconds > 0 for g in s.segments)
        if not touching or s.begins > s.starts_at or s.finishes < s.ends_at:
            yield c.bad("segments", s, "the parts of the shift leave a gap, overlap, or don't reach its ends")


def shifts_do_not_overlap(c: Context) -> Iterable[Violation]:
    for before, after in zip(c.shifts, c.shifts[1:], strict=False):
        if after.begins < before.finishes and (c.is_judged(before) or c.is_judged(after)):
            yield c.bad("overlap", after, f"starts before {before.shift_id} ends")


def agent_is_employed(c: Context) -> Iterable[Violation]:
    for s in c.judged():
        if not c.rules.employed(s.local_date):
            yield c.bad("employed", s, f"employed from {c.rules.hired_on} until {c.rules.leaves_on}")


def agent_is_not_away(c: Context) -> Iterable[Violation]:
    for s in c.judged():
        if c.rules.is_away(*s.worked()):
            yield c.bad("away", s, "lies in leave or an unavailable time")


def queues_are_eligible(c: Context) -> Iterable[Violation]:
    for s in c.judged():
        for queue in sorted({g.queue for g in s.segments if g.queue} - set(c.rules.queues)):
            yield c.bad("eligible", s, f"may not serve {queue}; may serve: {', '.join(c.rules.queues)}")


def overtime_is_bounded(c: Context) -> Iterable[Violation]:
    for s in c.judged():
        begin, end = s.worked()
        extra = [g for g in s.segments if s.is_overtime(g)]
        if extra and end - begin > LONGEST_WITH_OVERTIME:
            yield c.bad("overtime", s, f"{(end - begin) / 3600:g} h with overtime; at most {LONGEST_WITH_OVERTIME / 3600:g} h")
        if any(not g.decision_id for g in extra):
            yield c.bad("overtime", s, "is longer than planned without a decision")


CATALOGUE: tuple[Rule, ...] = (
    shift_length_is_allowed,
    start_is_allowed,
    zone_is_resolved,
    starts_of_a_week_lie_close,
    weekly_hours_are_kept,
    weekly_days_are_kept,
    rest_between_shifts_is_kept,
    weekly_rest_is_kept,
    days_in_a_row_are_kept,
    nights_in_a_row_are_kept,
    breaks_are_given,
    segments_fill_the_shift,
    shifts_do_not_overlap,
    agent_is_employed,
    agent_is_not_away,
    queues_are_eligible,
    overtime_is_bounded,
)


def seats_suffice(shifts: Iterable[Shift], home: set[str], seats: Mapping[str, int | None]) -> Iterable[Violation]:
    """A site never holds more agents than it has seats; home-based agents take none."""
    events: dict[str, list[tuple[int, int]]] = {}
    for s in shifts:
        if s.agent not in home and seats.get(s.site) is not None:
            begin, end = s.worked()
            events.setdefault(s.site, []).extend([(begin, 1), (end, -1)])
    for site, changes in sorted(events.items()):
        taken, limit = 0, seats[site] or 0
        for instant, change in sorted(changes):
            taken += change
            if taken > limit:
                yield Violation("seats", "", "", f"{site} has {limit} seats, {taken} agents at {instant}")
                break


def audit(
    rules: Mapping[str, AgentRules],
    shifts: Iterable[Shift],
    seats: Mapping[str, int | None],
    since: int,
    weeks: Collection[tuple[str, str]] | None = None,
) -> list[Violation]:
    """Return every violation of shifts that end after `since`, of some (agent, week) or of all; others are neighbours."""
    by_agent: dict[str, list[Shift]] = {}
    for s in shifts:
        by_agent.setdefault(s.agent, []).append(s)
    strangers = sorted(by_agent.keys() - rules.keys())
    found = [Violation("employed", a, by_agent[a][0].shift_id, "is not an agent of the book") for a in strangers]
    for agent in sorted(by_agent.keys() & rules.keys()):
        mine_only = None if weeks is None else frozenset(week for name, week in weeks if name == agent)
        context = Context(rules[agent], sorted(by_agent[agent], key=lambda s: s.starts_at), since, mine_only)
        for rule in CATALOGUE:
            found += rule(context)
    home = {agent for agent, r in rules.items() if r.home_based}
    found += seats_suffice([s for mine in by_agent.values() for s in mine if s.finishes > since], home, seats)
    return found
