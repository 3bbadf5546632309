"""Queues' cells laid out as a panel of local days, and what the engine says of it, queue by queue."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from muster.domain.calendar import DAY, dates, local_date, slot_of
from services.forecaster.domain.engine.handle_time import HandleTime, learn_handle_time
from services.forecaster.domain.engine.intraday import Drift
from services.forecaster.domain.engine.mean import expect
from services.forecaster.domain.engine.open_contacts import expected_if_open
from services.forecaster.domain.engine.panel import (
    AFTER_CLOSURE,
    CLOSED_OR_PARTIAL,
    EPSILON,
    LEFT_OUT,
    NORMAL,
    Days,
    Floats,
    Panel,
    days_of,
    usual_totals,
)
from services.forecaster.domain.engine.spread import day_quantiles_of, learn_spread, quantiles_of, work_quantiles_of
from services.forecaster.domain.engine.workload import handling
from services.forecaster.domain.queue_forecast import Incident, QueueFacts

OBSERVED_SHARE = 0.9


@dataclasses.dataclass(frozen=True)
class Grid:
    """One queue's past on its local days (T, S): offered, handled, handle seconds, NaN where not observed."""

    offered: Floats
    handled: Floats
    handle_seconds: Floats

    @property
    def known_days(self) -> int:
        return int((~np.isnan(self.offered)).any(axis=1).sum())


def grid_of(facts: QueueFacts, first: dt.date, before: dt.date) -> Grid:
    """Lay a queue's cells out by day and slot. A day of which less than 90 % was told counts as not observed; the rest of one
    that was is filled in after its other days, and so are hours that are open today and were not then. Two intervals of one clock
    time (a clock change) count as their mean."""
    days, slots = (before - first).days, DAY // facts.seconds
    sums, told = np.zeros((3, days, slots)), np.zeros((3, days, slots))
    open_slots, open_then = np.zeros((2, days, slots), dtype=bool)
    for row, day in enumerate(dates(first, before - dt.timedelta(days=1))):
        same = len(facts.before) < 2
        then = () if same else facts.hours_then(day).open_starts(day, facts.zone, facts.seconds)
        for start in facts.hours.open_starts(day, facts.zone, facts.seconds):
            slot = slot_of(start, facts.zone, facts.seconds)
            open_slots[row, slot], open_then[row, slot] = True, same or start in then
            offered, handled, handle_ms = facts.cells.get(start, (None, None, None))
            if start in facts.unfinished:
                handled = handle_ms = None  # its AHT is not final; see `learnt_of`
            for place, value in enumerate((offered, handled, None if handle_ms is None else handle_ms / 1000)):
                if value is not None and value >= 0:
                    sums[place, row, slot] += value
                    told[place, row, slot] += 1
    values = np.where(told > 0, sums / np.maximum(told, 1), np.nan)
    shares = np.array([facts.share_on(day) or np.nan for day in dates(first, before - dt.timedelta(days=1))])
    if days:
        values *= (facts.read_as(before) / shares)[None, :, None]
    seen: Floats = (told[0] > 0).sum(axis=1, dtype=float)
    short = np.flatnonzero(seen < OBSERVED_SHARE * np.maximum(open_then.sum(axis=1), 1))
    values[:, short] = np.nan
    return Grid(_filled(values[0], open_slots), values[1], values[2])


def _filled(offered: Floats, open_slots: NDArray[np.bool_]) -> Floats:
    """Fill the slots that an observed day has not told, after the other days' form and its own level, if any day tells of them."""
    seen = ~np.isnan(offered)
    missing = open_slots & ~seen & np.any(seen, axis=1, keepdims=True) & np.any(seen, axis=0)
    if not missing.any():
        return offered
    mean = np.where(seen, offered, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    level = np.where(seen, offered, 0.0).sum(axis=1) / np.maximum((seen * mean).sum(axis=1), EPSILON)
    filled: Floats = np.where(missing, level[:, None] * mean, offered)
    return filled


def _special(facts: QueueFacts, days: Sequence[dt.date], today: dt.date) -> NDArray[np.int64]:
    """Return the kind of each day: holidays and part days, and the first open day after a day closed for once."""
    kinds, after = np.zeros(len(days), np.int64), False
    for place, day in enumerate(days):
        hours = facts.hours_on(day) if day >= today else facts.hours
        special = hours.special_day(day) if hours else None
        weekly = (hours if day >= today else facts.hours_then(day)) if hours else None
        usually = weekly is not None and any(day.weekday() in o.weekdays for o in weekly.weekly)
        if special is not None:
            kinds[place] = CLOSED_OR_PARTIAL
            after = (after or usually) if not special else False
        elif usually:
            kinds[place] = AFTER_CLOSURE if after else NORMAL
            after = False
    return kinds


def learnt_of(
    facts: QueueFacts, grid: Grid, begin: dt.date, weekdays: NDArray[np.int64], weeks_ago: Floats
) -> HandleTime | None:
    """Return what is learnt of AHT: from intervals whose contacts are all wrapped up, then with those that still last counted as long as
    they will."""
    usual = learn_handle_time(grid.handled, grid.handle_seconds, weekdays, weeks_ago)
    young = [(s, n, *facts.cells[s][1:]) for s, n in facts.unfinished.items() if s in facts.cells]
    if not young:
        return usual
    went = handling(grid.handled[None], grid.handle_seconds[None], weekdays, [usual])
    variation, counts, seconds = float(went.compound[0]) - 1, grid.handled.copy(), grid.handle_seconds.copy()
    for start, lasting, done, done_ms in young:
        day, slot = local_date(start, facts.zone), slot_of(start, facts.zone, facts.seconds)
        row = (day - begin).days
        if not 0 <= row < len(counts) or done is None or done_ms is None:
            continue
        age = facts.known_at - start - facts.seconds / 2
        mean = float(usual.seconds[day.weekday(), slot]) if usual else None
        each = None if mean is None else expected_if_open(age, mean, variation)
        counts[row, slot] = done if each is None else done + lasting
        seconds[row, slot] = done_ms / 1000 + (0.0 if each is None else lasting * each)
    return learn_handle_time(counts, seconds, weekdays, weeks_ago)


@dataclasses.dataclass(frozen=True)
class Own:
    """What the engine says of one queue: mean (H, S), quantiles (H, S, 7) and of day totals (H, 7), and of workload the same in
    contacts of the AHT expected (tells_work: whether any AHT is known); parts (H, 6), φ a day ahead, drift; what it saw, in words
    which days of it were left out, which slots it saw open on which weekday (7, S), and which days to come are part days or
    holidays (H,); the correlation of days' errors; contacts of past normal days; what days after keep of a day's run."""

    mean: Floats
    quantiles: Floats
    totals: Floats
    work: Floats
    work_totals: Floats
    parts: Floats
    dispersion: float
    drift: Drift
    grid: Grid
    incidents: list[Incident]
    opened: NDArray[np.bool_]
    special: NDArray[np.bool_]
    between_days: float
    by_day: Mapping[dt.date, float]
    tells_work: bool
    lasting: tuple[float, ...] = ()

    def of_day(
        self, place: int, mean: Floats, seconds: Floats
    ) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
        """Return a day's parts, quantiles of its total, and of its hours of handling (none where they aren't known), of the intervals
        that are open then: their contacts (I,) and AHT (I,)."""
        parts, whole = tuple(map(float, self.parts[place])), self.mean[place].sum()
        if whole <= 0:
            return parts, (), ()
        totals = tuple(map(float, self.totals[place] * mean.sum() / whole))
        if not self.tells_work:
            return parts, totals, ()
        return parts, totals, tuple(map(float, self.work_totals[place] * (mean * seconds).sum() / 3600 / whole))


def _left_out(
    days: Sequence[dt.date], offered: Floats, summed: Days, row: int, usual: Floats, ruled: NDArray[np.bool_]
) -> list[Incident]:
    """Return the incidents of a queue in order of time: whole days, and runs of hours (T, S) with what the rest of their day let
    expect."""
    found = [
        Incident(days[d], float(np.nansum(offered[d])), float(usual[d]), bool(ruled[d]))
        for d in np.flatnonzero(summed.incidents[row]).tolist()
    ]
    hours, each = summed.hours[row], DAY // offered.shape[1]
    for d in np.flatnonzero(hours.any(axis=1)).tolist():
        ends = np.flatnonzero(np.diff(hours[d].astype(int), prepend=0, append=0)).reshape(-1, 2).tolist()
        for a, b in ends:
            came, due = float(offered[d, a:b].sum()), float(summed.counts[row, d, a:b].sum())
            found.append(Incident(days[d], came, due, False, (a * each, b * each)))
    return sorted(found, key=lambda i: (i.day, i.hours or (0, 0)))


def fit(
    members: Sequence[QueueFacts],
    grids: Sequence[Grid],
    days: Sequence[dt.date],
    first: dt.date,
    learnt: Sequence[HandleTime | None],
) -> dict[int, Own]:
    """Fit those of the queues together of which anything is known; return what comes of it by their place."""
    known = [place for place, grid in enumerate(grids) if grid.known_days]
    if not known:
        return {}
    panel = Panel(
        np.stack([grids[place].offered for place in known]),
        np.array(days, dtype="datetime64[D]"),
        np.stack([_special(members[place], days, first) for place in known]),
        np.stack([members[place].rulings(days) for place in known]),
    )
    weekdays, found = np.array([d.weekday() for d in days[: panel.past]]), {}
    handled, seconds = (np.stack([getattr(grids[p], name) for p in known]) for name in ("handled", "handle_seconds"))
    went = handling(handled, seconds, weekdays, [learnt[place] for place in known])
    expected, spread, summed = expect(panel), learn_spread(panel, went), days_of(panel)
    usual, ruled = usual_totals(panel, summed), panel.ruled(LEFT_OUT)
    quantiles, totals = quantiles_of(expected.mean, spread), day_quantiles_of(expected.mean, spread)
    work, work_totals = work_quantiles_of(expected.mean, spread)
    special = panel.special[:, panel.past :] == CLOSED_OR_PARTIAL
    for row, place in enumerate(known):
        grid, dispersion = grids[place], float(spread.intervals.overdispersion[row, 0])
        left_out = _left_out(days, grid.offered, summed, row, usual[row], ruled[row])
        by_day = {days[d]: float(summed.total[row, d]) for d in np.flatnonzero(summed.counted[row]).tolist()}
        seen = ~np.isnan(grid.offered)
        opened = np.stack([seen[weekdays == d].any(axis=0) for d in range(7)])
        found[place] = Own(
            expected.mean[row],
            quantiles[row],
            totals[row],
            work[row],
            work_totals[row],
            expected.parts[row],
            dispersion,
            spread.drift,
            grid,
            left_out,
            opened,
            special[row],
            spread.between_days,
            by_day,
            learnt[place] is not None,
            spread.lasting,
        )
    return found
