"""A legal greedy: agent by agent, week by week, the queue, start and days that cover most of what is still required.

Each agent-week is scored over every start of the grid and every queue the agent may serve, by prefix sums over the slots;
days keep the pattern's swing, rest, days in a row and hours. A second sweep takes each agent-week out and places it again.
"""

import datetime as dt
import itertools
from collections.abc import Iterable

import numpy as np

from muster.domain.calendar import resolve, to_local
from services.scheduler.domain.rules import AgentRules, Pause
from services.scheduler.domain.shift import Segment, Shift, new_shift
from services.scheduler.solvers.port import SLOT, Floats, Problem, Report, Solution

SURPLUS_PRICE = 0.05
CLOSED_PRICE = 1.0
SWEEPS = 2


class _Cover:
    """What is still required, (Q, T), and the value of covering each slot once more."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.closed = np.isnan(problem.required)
        self.required = np.nan_to_num(problem.required)
        self.left = self.required.copy()
        self.seats = {site: np.array(t, dtype=float) for site, t in problem.taken.items()}

    def gain(self, queue: int) -> Floats:
        """Return prefix sums (T + 1,) of what one more agent is worth per slot."""
        left = self.left[queue]
        worth = np.clip(left, 0.0, 1.0) - SURPLUS_PRICE * np.maximum(1.0 - np.maximum(left, 0.0), 0.0)
        worth -= SURPLUS_PRICE * np.maximum(-left, 0.0) / (1.0 + self.required[queue])
        worth = np.where(self.closed[queue], -CLOSED_PRICE, worth)
        sums: Floats = np.concatenate([[0.0], np.cumsum(worth)])
        return sums

    def add(self, shift: Shift, sign: float) -> None:
        """Take a shift into account (sign 1), or out (-1)."""
        begin = self.problem.begin
        for s in shift.segments:
            if s.queue:
                row = self.problem.queues.index(s.queue)
                first, last = (s.starts_at - begin) / SLOT, (s.ends_at - begin) / SLOT
                slots = np.arange(int(max(first, 0)), int(np.ceil(max(min(last, self.left.shape[1]), 0))))
                self.left[row, slots] -= sign * np.clip(np.minimum(last, slots + 1) - np.maximum(first, slots), 0, 1)
        taken = self.seats.get(shift.site)
        if taken is not None:
            taken[max((shift.starts_at - begin) // SLOT, 0) : max(-((begin - shift.ends_at) // SLOT), 0)] += sign

    def full(self, site: str, first: int, last: int) -> bool:
        """Return whether a site has no seat left in some slot."""
        limit, taken = self.problem.seats.get(site), self.seats.get(site)
        return limit is not None and taken is not None and bool((taken[first:last] >= limit).any())


def _starts(rules: AgentRules, day: dt.date) -> list[tuple[int, int]]:
    """Return (second of day, instant) at which a shift may start on a local day."""
    midnight = dt.datetime.combine(day, dt.time())
    found = []
    for second in range(0, 86_400, rules.grid):
        if rules.may_start(day.weekday(), second):
            local = midnight + dt.timedelta(seconds=second)
            instant = resolve(local, rules.zone)
            if (instant - resolve(midnight, rules.zone)) % SLOT == 0 and _exists(local, instant, rules.zone):
                found.append((second, instant))
    return found


def _exists(local: dt.datetime, instant: int, zone: str) -> bool:
    """Return whether a local time is on the clock that day: one that a clock change skips is no start."""
    return to_local(instant, zone).replace(tzinfo=None) == local


def _paid_seconds(rules: AgentRules, length: int) -> int:
    return length - sum(p.seconds for p in rules.pauses if not p.paid and p.latest <= length)


def _day_counts(rules: AgentRules, length: int, free: int) -> range:
    """Return how many days a week are allowed with shifts of a length."""
    paid = _paid_seconds(rules, length) / 3600
    low = max(rules.days_low, int(np.ceil(rules.weekly_low / paid - 1e-9)))
    high = min(rules.days_high, int(rules.weekly_high / paid + 1e-9), free)
    return range(min(low, high), high + 1)


class _Week:
    """One agent's choices for one week."""

    def __init__(self, rules: AgentRules, monday: dt.date, cover: _Cover, neighbours: list[Shift]) -> None:
        self.rules, self.cover, self.neighbours = rules, cover, neighbours
        self.days = [monday + dt.timedelta(days=d) for d in range(7)]
        self.free = rules.days_free(monday)

    def place(self) -> list[Shift]:
        """Return the best legal shifts, none if none are allowed."""
        best: tuple[float, tuple[int, int, tuple[tuple[int, int], ...]]] | None = None
        options = {d: self._options(d) for d in self.days}
        for name, length in itertools.product(self.rules.queues, self.rules.lengths):
            queue = self.cover.problem.queues.index(name)
            sums = self.cover.gain(queue)
            scored = {d: self._score(found, length, sums) for d, found in options.items()}
            seconds = sorted({second for found in scored.values() for second, _, _ in found})
            preference = -0.01 * self.rules.queues.index(name)
            for base in seconds:
                chosen = self._days_from(base, scored, length)
                if chosen is not None and (best is None or chosen[0] + preference > best[0] + 1e-9):
                    best = (chosen[0] + preference, (queue, length, chosen[1]))
        if best is None:
            return []
        queue, length, starts = best[1]
        shifts = []
        for _, instant in starts:
            shift = self._build(queue, instant, length)
            self.cover.add(shift, 1)
            shifts.append(shift)
        return shifts

    def _options(self, day: dt.date) -> list[tuple[int, int]]:
        return _starts(self.rules, day) if self.rules.employed(day) else []

    def _score(self, options: list[tuple[int, int]], length: int, sums: Floats) -> list[tuple[int, int, float]]:
        begin, scored = self.cover.problem.begin, []
        for second, instant in options:
            first, last = (instant - begin) // SLOT, (instant + length - begin) // SLOT
            if first < 0 or last >= sums.size or self.rules.is_away(instant, instant + length):
                continue
            if self.cover.full(self.rules.site, first, last):
                continue
            scored.append((second, instant, float(sums[last] - sums[first])))
        return scored

    def _days_from(
        self, base: int, scored: dict[dt.date, list[tuple[int, int, float]]], length: int
    ) -> tuple[float, tuple[tuple[int, int], ...]] | None:
        """Return the best days whose starts lie in [base, base + swing], as (worth, starts)."""
        best_of: dict[dt.date, tuple[float, int, int]] = {}
        for day, found in scored.items():
            near = [(worth, -second, instant) for second, instant, worth in found if base <= second <= base + self.rules.swing]
            if near:
                worth, negative, instant = max(near)
                best_of[day] = (worth, -negative, instant)
        counts = _day_counts(self.rules, length, self.free)
        ranked = sorted(best_of, key=lambda d: (-best_of[d][0], d))
        picked: list[dt.date] = []
        for day in ranked:
            if len(picked) >= counts.stop - 1:
                break
            if len(picked) >= max(counts.start, 1) and best_of[day][0] <= 0:
                break
            if self._legal([(best_of[d][2], d) for d in [*picked, day]], length):
                picked.append(day)
        if not picked or len(picked) < counts.start:
            return None
        starts = tuple((best_of[d][1], best_of[d][2]) for d in sorted(picked))
        return sum(best_of[d][0] for d in picked), starts

    def _legal(self, starts: list[tuple[int, dt.date]], length: int) -> bool:
        """Return whether rest, weekly rest, days and nights in a row hold with the neighbours in force."""
        mine = [(begin, begin + length, day) for begin, day in starts]
        spans = sorted([(*s.worked(), s.local_date) for s in self.neighbours] + mine)
        if any(b[0] - a[1] < self.rules.rest for a, b in itertools.pairwise(spans)):
            return False
        if _longest_run([day for _, _, day in spans]) > self.rules.consecutive_days:
            return False
        limit = self.rules.consecutive_nights
        if limit is not None and _longest_run([d for a, b, d in spans if self._is_night(a, b, d)]) > limit:
            return False
        return self._rests_weekly(spans)

    def _is_night(self, begin: int, end: int, day: dt.date) -> bool:
        threes = [dt.datetime.combine(day + dt.timedelta(days=n), dt.time(3)) for n in (0, 1)]
        return any(begin <= resolve(three, self.rules.zone) < end for three in threes)

    def _rests_weekly(self, spans: list[tuple[int, int, dt.date]]) -> bool:
        """Return whether a rest long enough ends, or could still end, within the week."""
        first = resolve(dt.datetime.combine(self.days[0], dt.time()), self.rules.zone)
        last = resolve(dt.datetime.combine(self.days[-1] + dt.timedelta(days=1), dt.time()), self.rules.zone)
        edges = [first] + [t for a, b, _ in spans if b > first and a < last for t in (a, b)] + [last]
        gaps = [b - a for a, b in itertools.pairwise(edges)][::2]
        return max(gaps, default=last - first) >= self.rules.weekly_rest

    def _build(self, queue: int, begin: int, length: int) -> Shift:
        end = begin + length
        pauses = place_pauses(
            [p for p in self.rules.pauses if p.latest <= length], self.cover.left[queue], begin, self.cover.problem.begin
        )
        code, name = self.cover.problem.on_queue, self.cover.problem.queues[queue]
        segments, at = [], begin
        for start, pause in pauses:
            if start > at:
                segments.append(Segment(code, name, at, start))
            segments.append(Segment(pause.activity, "", start, start + pause.seconds))
            at = start + pause.seconds
        if at < end:
            segments.append(Segment(code, name, at, end))
        return new_shift(self.rules.agent, self.rules.site, self.rules.zone, begin, end, segments)


def _longest_run(days: Iterable[dt.date]) -> int:
    longest = run = 0
    before: dt.date | None = None
    for day in sorted(set(days)):
        run = run + 1 if before is not None and (day - before).days == 1 else 1
        longest, before = max(longest, run), day
    return longest


def place_pauses(pauses: Iterable[Pause], left: Floats, begin: int, origin: int) -> list[tuple[int, Pause]]:
    """Return where a shift's breaks go: each, in order, where least is missing on the queue."""
    placed: list[tuple[int, Pause]] = []
    for pause in sorted(pauses, key=lambda p: (p.earliest, p.latest)):
        best: tuple[float, int] | None = None
        for start in range(begin + pause.earliest, begin + pause.latest - pause.seconds + 1, 300):
            if any(start < s + p.seconds and s < start + pause.seconds for s, p in placed):
                continue
            if start % SLOT and pause.seconds % SLOT == 0:
                continue
            first, last = (start - origin) // SLOT, -((origin - start - pause.seconds) // SLOT)
            missing = float(left[max(first, 0) : max(last, 0)].sum())
            if best is None or missing < best[0] - 1e-9:
                best = (missing, start)
        if best is not None:
            placed.append((best[1], pause))
    return sorted(placed, key=lambda item: item[0])


def solve_greedily(problem: Problem, report: Report) -> Solution:
    """Solve; the same problem always gives the same shifts."""
    cover = _Cover(problem)
    weeks: dict[tuple[str, dt.date], list[Shift]] = {}
    agents = [a for a in problem.agents if a.queues]
    # Who can serve least is placed first; who can serve all fills what is left.
    agents.sort(key=lambda a: (len(a.queues), a.agent))
    total, done = len(agents) * len(problem.mondays) * SWEEPS, 0
    for sweep in range(SWEEPS):
        for monday, rules in itertools.product(problem.mondays, agents):
            key = (rules.agent, monday)
            for shift in weeks.pop(key, []):
                cover.add(shift, -1)
            others = [s for (agent, _), shifts in weeks.items() if agent == rules.agent for s in shifts]
            neighbours = [*problem.fixed.get(rules.agent, ()), *others]
            weeks[key] = _Week(rules, monday, cover, neighbours).place()
            done += 1
            if done % 10 == 0 or done == total:
                doing = "placing shifts" if sweep == 0 else "placing each again"
                report({"staffing_group": problem.group, "done_count": done, "total_count": total, "doing": doing})
    shifts = [s for key in sorted(weeks) for s in weeks[key]]
    missing = np.maximum(cover.left, 0.0)[~cover.closed].sum() * SLOT / 3600
    return Solution(shifts, float(missing))
