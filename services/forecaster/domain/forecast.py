"""The forecast of a client's queues: their cells laid out as a panel, the engine's answer laid out as local days.

What the engine knows of normal days it learns from normal days only. Below two weeks of history a declared profile is blended
in, by days, and the bands are wide.
"""

import collections
import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from muster.domain.calendar import DAY, OpeningHours, dates, local_date, slot_of
from muster.domain.paths import GAUSS, QUANTILES, spread_of
from services.forecaster.domain.cold import UNSEEN_WEEKDAY, Halves, Profile, counted_out, still_quiet
from services.forecaster.domain.engine.handle_time import USUAL_RATIOS, HandleTime, learn_handle_time
from services.forecaster.domain.engine.intraday import Drift, rest_of_day
from services.forecaster.domain.engine.mean import expect
from services.forecaster.domain.engine.open_contacts import expected_if_open
from services.forecaster.domain.engine.panel import (
    AFTER_CLOSURE,
    CLOSED_OR_PARTIAL,
    EPSILON,
    LEARNED,
    LEFT_OUT,
    NORMAL,
    RULED_NOTHING,
    Panel,
    days_of,
    usual_totals,
)
from services.forecaster.domain.engine.spread import (
    USUAL_BETWEEN_DAYS,
    day_quantiles_of,
    learn_spread,
    quantiles_of,
    restored,
    stabilised,
    work_quantiles_of,
)
from services.forecaster.domain.engine.workload import handling, product_band
from services.forecaster.domain.outlook import OutlookDay, look_ahead
from services.forecaster.domain.part_days import PartDay, kind_of, shaped

Floats = NDArray[np.float64]

LEVELS = QUANTILES
SHAPED_DISPERSION = 0.3
ENOUGH_DAYS = 14
OBSERVED_SHARE = 0.9
LONGEST_HISTORY_WEEKS = 27
MOST_NAMED = 5


@dataclasses.dataclass(frozen=True)
class QueueFacts:
    """What a forecast of one queue needs. `cells`: start → (offered, handled, handle_ms), as known, closed ones only. `events`: (first
    day, last day, whether they count) as people say; `shares`: from which day on we have which share of the client's volume, ascending:
    a change of share is no trend, so the past is read as if today's had always been. `older`: contacts of normal days before the
    cells, our share of them as it was; `earlier`: contacts by slot of holidays and part days before the cells; `profile`: how
    what is declared spreads over the week. `unfinished`: start → contacts answered and not wrapped up at `known_at`."""

    queue: str
    zone: str
    seconds: int
    hours: OpeningHours
    cells: Mapping[int, tuple[int | None, int | None, int | None]]
    weekly_offered: float | None = None
    declared_aht: float | None = None
    later: tuple[tuple[dt.date, OpeningHours | None], ...] = ()
    events: tuple[tuple[dt.date, dt.date, bool], ...] = ()
    shares: tuple[tuple[dt.date, float], ...] = ()
    older: Mapping[dt.date, float] = dataclasses.field(default_factory=dict)
    profile: Profile = Profile()
    earlier: Mapping[dt.date, Mapping[int, float]] = dataclasses.field(default_factory=dict)
    unfinished: Mapping[int, int] = dataclasses.field(default_factory=dict)
    known_at: int = 0

    def share_on(self, day: dt.date) -> float:
        """Return our share of the client's volume on a day: the one declared last by then, the first before all, 1 without any."""
        found = self.shares[0][1] if self.shares else 1.0
        for since, share in self.shares:
            found = share if since <= day else found
        return found

    def read_as(self, today: dt.date) -> float:
        """Return the share that the past is read as if it had always been ours: today's, or the last one that was any."""
        held = [share for since, share in self.shares if since <= today and share > 0]
        return self.share_on(today) or (held[-1] if held else 1.0)

    def rulings(self, days: Sequence[dt.date]) -> NDArray[np.int64]:
        """Return what a person says of each day: RULED_NOTHING, LEARNED or LEFT_OUT; the last event that names it counts."""
        found = np.full(len(days), RULED_NOTHING, np.int64)
        for first, last, learned in self.events:
            for place, day in enumerate(days):
                if first <= day <= last:
                    found[place] = LEARNED if learned else LEFT_OUT
        return found

    def hours_on(self, day: dt.date) -> OpeningHours | None:
        """Return the hours that hold on a day to come; None where the queue is not declared for it. `later`: from when on
        which others hold, ascending."""
        found: OpeningHours | None = self.hours
        for since, hours in self.later:
            found = hours if since <= day else found
        return found


@dataclasses.dataclass(frozen=True)
class DayForecast:
    """One local day. Arrays over its open intervals: starts (I,), offered (I,), aht (I,) seconds, quantiles (I, 7); parts: the
    factors of the day's total (see Expected), and its quantiles, none where it rests on a declared profile. workload_quantiles
    (I, 7) and work_total_quantiles: of contacts × AHT, hours of handling."""

    day: dt.date
    starts: tuple[int, ...]
    offered: Floats
    aht: Floats
    offered_quantiles: Floats
    aht_quantiles: Floats
    workload_quantiles: Floats
    parts: tuple[float, ...] = ()
    total_quantiles: tuple[float, ...] = ()
    work_total_quantiles: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class QueueForecast:
    """Days in order; what they rest on; φ of the variance a day ahead; how days leave their forecast, for intraday updates;
    incidents: days left out of learning, with what they brought and what was usual; totals: contacts of the past's normal days;
    outlook: the days of twelve months, and how many earlier years they rest on."""

    queue: str
    days: tuple[DayForecast, ...]
    rests_on: str
    history_days: int
    dispersion: float
    drift: Drift = Drift()
    between_days: float = USUAL_BETWEEN_DAYS
    incidents: tuple["Incident", ...] = ()
    totals: Mapping[dt.date, float] = dataclasses.field(default_factory=dict)
    outlook: tuple[OutlookDay, ...] = ()
    outlook_years: int = 0


@dataclasses.dataclass(frozen=True)
class Incident:
    """A past day that nothing is learnt from: what it brought, what was usual, and whether people said so or it stood out."""

    day: dt.date
    offered: float
    usual: float
    ruled: bool


@dataclasses.dataclass(frozen=True)
class _Grid:
    """One queue's past on its local days (T, S): offered, handled, handle seconds, NaN where not observed."""

    offered: Floats
    handled: Floats
    handle_seconds: Floats

    @property
    def known_days(self) -> int:
        return int((~np.isnan(self.offered)).any(axis=1).sum())


def _grid(facts: QueueFacts, first: dt.date, before: dt.date) -> _Grid:
    """Lay a queue's cells out by day and slot. A day of which less than 90 % was told counts as not observed; the rest of one
    that was is filled in after its other days. Two intervals of one clock time (a clock change) count as their mean."""
    days, slots = (before - first).days, DAY // facts.seconds
    sums, told = np.zeros((3, days, slots)), np.zeros((3, days, slots))
    open_slots = np.zeros((days, slots), dtype=bool)
    for row, day in enumerate(dates(first, before - dt.timedelta(days=1))):
        for start in facts.hours.open_starts(day, facts.zone, facts.seconds):
            slot = slot_of(start, facts.zone, facts.seconds)
            open_slots[row, slot] = True
            offered, handled, handle_ms = facts.cells.get(start, (None, None, None))
            if start in facts.unfinished:
                handled = handle_ms = None  # its AHT is not final; see _learnt
            for place, value in enumerate((offered, handled, None if handle_ms is None else handle_ms / 1000)):
                if value is not None and value >= 0:
                    sums[place, row, slot] += value
                    told[place, row, slot] += 1
    values = np.where(told > 0, sums / np.maximum(told, 1), np.nan)
    shares = np.array([facts.share_on(day) or np.nan for day in dates(first, before - dt.timedelta(days=1))])
    if days:
        values *= (facts.read_as(before) / shares)[None, :, None]
    seen: Floats = (told[0] > 0).sum(axis=1, dtype=float)
    short = np.flatnonzero(seen < OBSERVED_SHARE * np.maximum(open_slots.sum(axis=1), 1))
    values[:, short] = np.nan
    return _Grid(_filled(values[0], open_slots), values[1], values[2])


def _filled(offered: Floats, open_slots: NDArray[np.bool_]) -> Floats:
    """Fill the slots that an observed day has not told, after the other days' form and its own level."""
    seen = ~np.isnan(offered)
    missing = open_slots & ~seen & np.any(seen, axis=1, keepdims=True)
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
        if special is not None:
            usually = hours is not None and any(day.weekday() in o.weekdays for o in hours.weekly)
            kinds[place] = CLOSED_OR_PARTIAL
            after = (after or usually) if not special else False
        elif hours and any(day.weekday() in o.weekdays for o in hours.weekly):
            kinds[place] = AFTER_CLOSURE if after else NORMAL
            after = False
    return kinds


def forecast_client(everything: Sequence[tuple[QueueFacts, dt.date]], day_count: int) -> list[QueueForecast]:
    """Forecast `day_count` local days of a client's queues, each from its own first; queues of which neither history nor a
    declared profile says anything are left out."""
    groups: dict[tuple[int, dt.date], list[QueueFacts]] = collections.defaultdict(list)
    for facts, first in everything:
        groups[facts.seconds, first].append(facts)
    found = {}
    for (_, first), members in groups.items():
        for facts, forecast in zip(members, _forecast_panel(members, first, day_count), strict=True):
            if forecast is not None:
                found[facts.queue] = forecast
    return [found[facts.queue] for facts, _ in everything if facts.queue in found]


def forecast_queue(facts: QueueFacts, first: dt.date, day_count: int) -> QueueForecast | None:
    """Forecast one queue by itself; None where neither history nor a declared profile says anything."""
    return next(iter(forecast_client([(facts, first)], day_count)), None)


def _forecast_panel(members: Sequence[QueueFacts], first: dt.date, day_count: int) -> list[QueueForecast | None]:
    told = [local_date(min(f.cells), f.zone) for f in members if f.cells]
    begin = max(min([*told, first]), first - dt.timedelta(weeks=LONGEST_HISTORY_WEEKS))
    grids = [_grid(facts, begin, first) for facts in members]
    days = list(dates(begin, first + dt.timedelta(days=day_count - 1)))
    weekdays = np.array([d.weekday() for d in days[: len(days) - day_count]])
    weeks_ago = np.arange(len(weekdays), 0, -1) / 7.0
    learnt = [_learnt(facts, grid, begin, weekdays, weeks_ago) for facts, grid in zip(members, grids, strict=True)]
    fitted = _fitted(members, grids, days, first, learnt)
    forecasts: list[QueueForecast | None] = []
    lived = {place: _part_days(members[place], own, days[:-day_count], days[-day_count:]) for place, own in fitted.items()}
    for place, facts in enumerate(members):
        aht = learnt[place] or _declared_aht(facts)
        if aht is None or (place not in fitted and facts.weekly_offered is None):
            forecasts.append(None)
        else:
            others = [day for other, found in lived.items() if other != place for day in found]
            forecasts.append(_lay_out(facts, fitted.get(place), aht, days[-day_count:], (lived.get(place, []), others)))
    return forecasts


def _learnt(
    facts: QueueFacts, grid: _Grid, begin: dt.date, weekdays: NDArray[np.int64], weeks_ago: Floats
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


def _part_days(facts: QueueFacts, own: "_Own", past: Sequence[dt.date], ahead: Sequence[dt.date]) -> list[PartDay]:
    """Return a queue's past holidays and part days on which anything came; none where none is to come."""
    if not own.special.any():
        return []
    usual = np.zeros((7, DAY // facts.seconds)) + own.mean.sum(axis=0)
    for weekday in {d.weekday() for d in ahead}:
        usual[weekday] = own.mean[[d.weekday() == weekday for d in ahead]].sum(axis=0)
    told = {
        day: np.nan_to_num(row)
        for day, row in zip(past, own.grid.offered, strict=True)
        if facts.hours.special_day(day) is not None
    }
    for day, counts in facts.earlier.items():
        told[day] = (
            np.bincount(list(counts), list(counts.values()), DAY // facts.seconds) if counts else np.zeros(usual.shape[1])
        )
    return [
        PartDay(day, kind_of(facts.hours, day), tuple(facts.hours.hours_of(day)), counts, usual[day.weekday()])
        for day, counts in sorted(told.items())
        if counts.sum() > 0
    ]


@dataclasses.dataclass(frozen=True)
class _Own:
    """What the engine says of one queue: mean (H, S), quantiles (H, S, 7) and of day totals (H, 7), and of workload the same in
    contacts of the AHT expected (tells_work: whether any AHT is known); parts (H, 5), φ a day ahead, drift; what it saw, in words
    which days of it were left out, which slots it saw open on which weekday (7, S), and which days to come are part days or
    holidays (H,); the correlation of days' errors; contacts of past normal days."""

    mean: Floats
    quantiles: Floats
    totals: Floats
    work: Floats
    work_totals: Floats
    parts: Floats
    dispersion: float
    drift: Drift
    grid: _Grid
    incidents: list[Incident]
    opened: NDArray[np.bool_]
    special: NDArray[np.bool_]
    between_days: float
    by_day: Mapping[dt.date, float]
    tells_work: bool


def _fitted(
    members: Sequence[QueueFacts],
    grids: Sequence[_Grid],
    days: Sequence[dt.date],
    first: dt.date,
    learnt: Sequence[HandleTime | None],
) -> dict[int, _Own]:
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
        left_out = [
            Incident(days[d], float(np.nansum(grid.offered[d])), float(usual[row, d]), bool(ruled[row, d]))
            for d in np.flatnonzero(summed.incidents[row]).tolist()
        ]
        by_day = {days[d]: float(summed.total[row, d]) for d in np.flatnonzero(summed.counted[row]).tolist()}
        seen = ~np.isnan(grid.offered)
        opened = np.stack([seen[weekdays == d].any(axis=0) for d in range(7)])
        found[place] = _Own(
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
        )
    return found


def _declared_aht(facts: QueueFacts) -> HandleTime | None:
    if facts.declared_aht is None:
        return None
    return HandleTime(np.full((7, DAY // facts.seconds), facts.declared_aht), USUAL_RATIOS**1.25)


def _cold_mean(facts: QueueFacts, day: dt.date, slots: NDArray[np.int64]) -> Floats:
    """Return the declared contacts of a day's open slots: the weekly number over the hours of an ordinary week, as another queue's
    shape has them, or flat."""
    hours = facts.hours_on(day)
    if hours is None:
        return np.zeros(len(slots))
    ordinary = dataclasses.replace(hours, countries=(), special=())
    week = {
        d.weekday(): [slot_of(s, facts.zone, facts.seconds) for s in ordinary.open_starts(d, facts.zone, facts.seconds)]
        for d in dates(day - dt.timedelta(days=6), day)
    }
    even = np.ones((7, DAY // facts.seconds))
    shape = facts.profile.shape if facts.profile.shape is not None else even
    if not any(shape[weekday, places].sum() > 0 for weekday, places in week.items()):
        shape = even  # the other queue has nothing in these hours
    whole = sum(float(shape[weekday, places].sum()) for weekday, places in week.items())
    found: Floats = (facts.weekly_offered or 0.0) * shape[day.weekday(), slots] / max(whole, 1.0 if shape is even else EPSILON)
    return found


def _lay_out(
    facts: QueueFacts,
    own: _Own | None,
    aht: HandleTime,
    days: Sequence[dt.date],
    part_days: tuple[Sequence[PartDay], Sequence[PartDay]],
) -> QueueForecast:
    """Return a queue's forecast over its open intervals. part_days: its past holidays and part days, and other queues'."""
    known, cold = own.grid.known_days if own else 0, facts.weekly_offered is not None
    trust = 1 - (1 - min(1.0, known / ENOUGH_DAYS)) ** 2 if cold else 1.0
    by_slot = _mean_of_slots(own.grid.offered) if own else np.zeros(DAY // facts.seconds)
    dispersion, declared, quiet, before = _cold_start(facts, own, trust, days)
    laid = []
    for place, day in enumerate(days):
        hours = facts.hours_on(day)
        starts = hours.open_starts(day, facts.zone, facts.seconds) if hours else []
        slots = np.array([slot_of(s, facts.zone, facts.seconds) for s in starts], dtype=int)
        mean = own.mean[place, slots] if own else np.zeros(len(starts))
        flat = (
            _cold_mean(facts, day, slots) * (1 - quiet[day.weekday(), slots]) / (1 - before) if cold else np.zeros(len(starts))
        )
        if own and own.special[place] and mean.sum() > 0:
            mean = mean * own.mean[place].sum() / mean.sum()  # what a part day brings, comes in the hours that are open
            assert hours
            mean = shaped(mean, slots, (kind_of(hours, day), tuple(hours.hours_of(day))), *part_days)
        unseen = ~own.opened[day.weekday(), slots] & (mean <= 0) if own else np.zeros(len(starts), dtype=bool)
        mean = np.where(unseen, flat if cold else by_slot[slots], mean)
        ours = facts.share_on(day) / facts.read_as(days[0])
        halves = Halves(mean * ours, float(dispersion[place]), flat * ours, declared, trust)
        mean = halves.mean()
        if trust == 1:
            wide = spread_out(mean, float(dispersion[place]))
        else:
            wide = counted_out(mean, halves.dispersion(), quiet[day.weekday(), slots])
        seconds = aht.seconds[day.weekday(), slots]
        of_aht = seconds[:, None] * aht.ratios[None, :]
        if own and trust == 1:
            held = mean / np.maximum(own.mean[place, slots], EPSILON)
            wide = np.where(unseen[:, None], wide, own.quantiles[place, slots] * held[:, None])
        work = product_band(mean, wide, seconds, of_aht)
        if own and trust == 1 and own.tells_work:
            work = np.where(unseen[:, None], work, own.work[place, slots] * (held * seconds / 3600)[:, None])
        parts = tuple(map(float, own.parts[place])) if own and trust == 1 and len(starts) else ()
        totals: tuple[float, ...] = ()
        work_totals: tuple[float, ...] = ()
        if own and parts and (whole := own.mean[place].sum()) > 0:
            totals = tuple(map(float, own.totals[place] * mean.sum() / whole))  # of the intervals that are open then
            if own.tells_work:
                work_totals = tuple(map(float, own.work_totals[place] * (mean * seconds).sum() / 3600 / whole))
        laid.append(DayForecast(day, tuple(starts), mean, seconds, wide, of_aht, work, parts, totals, work_totals))
    incidents, by_day = (tuple(own.incidents), own.by_day) if own else ((), {})
    held = facts.read_as(days[0])
    older = {day: count * held / share for day, count in facts.older.items() if (share := facts.share_on(day)) > 0}
    outlook, years = _outlook(facts, laid, {**older, **by_day}, held)
    return QueueForecast(
        facts.queue,
        tuple(laid),
        _rests_on(known, trust, incidents, facts.profile.words),
        known,
        float(dispersion[0]) if len(dispersion) else 0.0,
        own.drift if own else Drift(),
        own.between_days if own else USUAL_BETWEEN_DAYS,
        incidents,
        {day: count * facts.share_on(day) / held for day, count in by_day.items()},
        tuple(outlook),
        years,
    )


def _cold_start(
    facts: QueueFacts, own: _Own | None, trust: float, days: Sequence[dt.date]
) -> tuple[Floats, float, Floats, float]:
    """Return φ of intervals by what is known of each day (H,), and by what is declared, how likely a slot of a weekday is a quiet one
    (7, S), and how likely it was before any day.

    What is known of a queue's own days is a mean of few, and less of a weekday not seen yet."""
    usual, slots = own.dispersion if own else 0.0, DAY // facts.seconds
    if trust == 1 or not days:
        return np.full(len(days), usual), 0.0, np.zeros((7, slots)), 0.0
    hours = facts.hours_on(days[0]) or facts.hours
    ordinary, opened = dataclasses.replace(hours, countries=(), special=()), np.zeros((7, slots), dtype=bool)
    for day in dates(days[0], days[0] + dt.timedelta(days=6)):
        for start in ordinary.open_starts(day, facts.zone, facts.seconds):
            opened[day.weekday(), slot_of(start, facts.zone, facts.seconds)] = True
    declared, quiet = facts.profile.dispersion(facts.seconds, opened), facts.profile.quiet(facts.seconds, opened)
    of_slots = np.full((7, slots), quiet)
    if own:
        past = len(own.grid.offered)
        weekdays = np.array([(days[0] - dt.timedelta(days=n)).weekday() for n in range(past, 0, -1)])
        week = np.array([[(facts.weekly_offered or 0.0) / max(opened.sum(), 1)]]) * opened
        of_slots = still_quiet(quiet, week, declared, own.grid.offered, weekdays)
    few = usual * (1 + 1 / max(own.grid.known_days, 1)) if own else 0.0
    unseen = [0.0 if own and own.opened[day.weekday()].any() else UNSEEN_WEEKDAY for day in days]
    return few + np.array(unseen), declared, of_slots, quiet


def _outlook(
    facts: QueueFacts, laid: Sequence[DayForecast], totals: Mapping[dt.date, float], held: float
) -> tuple[list[OutlookDay], int]:
    """Return twelve months of a queue; nothing where less than two weeks were asked for."""
    if len(laid) < ENOUGH_DAYS:
        return [], 0
    known = []
    for d in laid:
        offered = float(d.offered.sum())
        wide = d.total_quantiles or tuple(spread_out(np.array([offered]), SHAPED_DISPERSION)[0].tolist())
        aht = float((d.offered * d.aht).sum() / offered) if offered > 0 else float(d.aht.mean()) if len(d.aht) else 0.0
        known.append(_times(OutlookDay(d.day, offered, wide, aht, 0.0), held / (facts.share_on(d.day) or held)))

    def is_open(day: dt.date) -> bool:
        hours = facts.hours_on(day)
        return bool(hours and hours.open_starts(day, facts.zone, facts.seconds))

    days, years = look_ahead(known, totals, is_open, laid[0].day)
    return [_times(d, facts.share_on(d.day) / held) for d in days], years


def _times(day: OutlookDay, factor: float) -> OutlookDay:
    return dataclasses.replace(day, offered=day.offered * factor, quantiles=tuple(q * factor for q in day.quantiles))


def _mean_of_slots(offered: Floats) -> Floats:
    """Return each slot's mean over the days that saw it open, 0 where none did."""
    seen = ~np.isnan(offered)
    mean: Floats = np.where(seen, offered, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    return mean


def spread_out(mean: Floats, dispersion: float) -> Floats:
    """Return quantiles (I, 7) around means (I,) of counts that vary by mean + φ·mean², never below 0, ascending."""
    phi = np.full(mean.shape, max(dispersion, 1e-4))
    wide = restored(stabilised(mean, phi)[:, None] + GAUSS[None, :], phi[:, None])
    ordered: Floats = np.maximum.accumulate(np.where(mean[:, None] > 0, wide, 0.0), axis=1)
    return ordered


def _rests_on(known: int, trust: float, left_out: Sequence[Incident], shape: str) -> str:
    if known == 0:
        return f"declared profile, {shape}, no history"
    rests_on = f"{known} days of history" + (f" and the declared profile, {shape}" if trust < 1 else "")
    if not left_out:
        return rests_on
    incidents = [f"{i.day.isoformat()} ({i.offered:,.0f} contacts)" for i in left_out]
    more = f" and {len(incidents) - MOST_NAMED} more" if len(incidents) > MOST_NAMED else ""
    return f"{rests_on}, without {', '.join(incidents[-MOST_NAMED:])}{more}"


def update_day(
    today: DayForecast, actual: Mapping[int, int], drift: Drift, from_instant: int, seconds: int
) -> tuple[DayForecast, float]:
    """Return the rest of today, from an instant on, given what was offered so far; and the factor at which it runs now.

    Bands move with their means and narrow by what is known. An interval that is not closed yet says nothing.
    """
    starts = np.array(today.starts)
    counts = np.array([actual.get(int(s), np.nan) for s in today.starts], dtype=float)
    factors, narrowed = (row[0] for row in rest_of_day(today.offered[None], counts[None], drift))
    rest = starts + seconds > from_instant
    mean = today.offered * factors
    around = (today.offered_quantiles - today.offered[:, None]) * (factors * narrowed)[:, None]
    quantiles = np.maximum(mean[:, None] + around, 0.0)
    work = today.offered * today.aht / 3600
    around = (today.workload_quantiles - work[:, None]) * (factors * _work_narrowed(today, narrowed))[:, None]
    of_work = np.maximum((work * factors)[:, None] + around, 0.0)
    return (
        DayForecast(
            today.day,
            tuple(int(s) for s in starts[rest]),
            mean[rest],
            today.aht[rest],
            quantiles[rest],
            today.aht_quantiles[rest],
            of_work[rest],
            today.parts,
        ),
        float(factors[rest][0]) if rest.any() else 1.0,
    )


def _work_narrowed(today: DayForecast, narrowed: Floats) -> Floats:
    """Return by what workload's spread narrows (I,) when that of contacts does: AHT's part of it stays."""
    by_volume = spread_of(today.offered_quantiles) / np.maximum(today.offered, EPSILON)
    by_aht = spread_of(today.aht_quantiles) / today.aht
    share = by_volume**2 / np.maximum(by_volume**2 + by_aht**2, EPSILON)
    found: Floats = np.sqrt(share * narrowed**2 + 1 - share)
    return found
