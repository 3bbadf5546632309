"""What the engine, or a declared profile, says of a queue, laid out over its open intervals.

Below two weeks of history a declared profile is blended in, by days, and the bands are wide.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from muster.domain.calendar import DAY, dates, slot_of
from muster.domain.paths import GAUSS
from services.forecaster.domain.cold import UNSEEN_WEEKDAY, Halves, counted_out, still_quiet
from services.forecaster.domain.engine.handle_time import HandleTime
from services.forecaster.domain.engine.intraday import Drift
from services.forecaster.domain.engine.panel import EPSILON, Floats
from services.forecaster.domain.engine.spread import USUAL_BETWEEN_DAYS, restored, stabilised
from services.forecaster.domain.engine.workload import product_band
from services.forecaster.domain.fitting import Own
from services.forecaster.domain.outlook import OutlookDay, look_ahead
from services.forecaster.domain.part_days import PartDay, kind_of, shaped
from services.forecaster.domain.queue_forecast import DayForecast, Incident, QueueFacts, QueueForecast

SHAPED_DISPERSION = 0.3
ENOUGH_DAYS = 14
MOST_NAMED = 5
# The place of a special day's factor among the parts of its total (see Expected).
SPECIAL = 3
# A slot that is to bring more than so many times the usual has no band of its own.
MOST_HELD = 3.0


@dataclasses.dataclass(frozen=True)
class _Sheet:
    """What a queue's days are laid out by. trust: in own history, 0 to 1; by_slot: what a slot brought in mean; cold: of a declared
    profile φ of what is known by day and of what is declared, how likely a slot of a weekday is quiet, and how likely one is not."""

    facts: QueueFacts
    own: Own | None
    aht: HandleTime
    days: Sequence[dt.date]
    part_days: tuple[Sequence[PartDay], Sequence[PartDay]]
    trust: float
    by_slot: Floats
    cold: tuple[Floats, float, Floats, float]

    def day(self, place: int) -> DayForecast:
        """Return the forecast of the day at a place."""
        facts, own, day, trust = self.facts, self.own, self.days[place], self.trust
        hours = facts.hours_on(day)
        starts = hours.open_starts(day, facts.zone, facts.seconds) if hours else []
        slots = np.array([slot_of(s, facts.zone, facts.seconds) for s in starts], dtype=int)
        halves, unseen = self._halves(place, slots)
        mean, seconds = halves.mean(), self.aht.seconds[day.weekday(), slots]
        if trust == 1:
            wide = spread_out(mean, halves.own_dispersion)
        else:
            wide = counted_out(mean, halves.dispersion(), self.cold[2][day.weekday(), slots])
        of_aht = seconds[:, None] * self.aht.ratios[None, :]
        if own and trust == 1:
            held = mean / np.maximum(own.mean[place, slots], EPSILON)
            unseen = unseen | (held > MOST_HELD)
            wide = np.where(unseen[:, None], wide, own.quantiles[place, slots] * held[:, None])
        work = product_band(mean, wide, seconds, of_aht)
        if own and trust == 1 and own.tells_work:
            work = np.where(unseen[:, None], work, own.work[place, slots] * (held * seconds / 3600)[:, None])
        told = own.of_day(place, mean, seconds) if own and trust == 1 and len(starts) else ((), (), ())
        drift = own.drift.at(slots) if own else Drift()
        return DayForecast(day, tuple(starts), mean, seconds, wide, of_aht, work, *told, drift)

    def _halves(self, place: int, slots: NDArray[np.int64]) -> tuple[Halves, NDArray[np.bool_]]:
        """Return what history and the declared profile say of a day's open slots, and which of them history has not seen."""
        facts, own, day = self.facts, self.own, self.days[place]
        dispersion, declared, quiet, busy = self.cold
        hours, is_cold, none = facts.hours_on(day), facts.weekly_offered is not None, np.zeros(slots.size)
        mean = own.mean[place, slots] if own else none
        flat = _cold_mean(facts, day, slots) * (1 - quiet[day.weekday(), slots]) / busy if is_cold else none
        if own and hours and own.special[place] and not hours.hours_of(day):
            mean = mean / max(own.parts[place, SPECIAL], EPSILON)  # open till the night before ends, and that was a normal one
        elif own and hours and own.special[place] and mean.sum() > 0:
            mean = mean * own.mean[place].sum() / mean.sum()  # what a part day brings, comes in the hours that are open
            mean = shaped(mean, slots, (kind_of(hours, day), tuple(hours.hours_of(day))), *self.part_days)
        unseen = ~own.opened[day.weekday(), slots] & (mean <= 0) if own else np.zeros(slots.size, dtype=bool)
        mean = np.where(unseen, flat if is_cold else self.by_slot[slots], mean)
        ours = facts.share_on(day) / facts.read_as(self.days[0])
        return Halves(mean * ours, float(dispersion[place]), flat * ours, declared, self.trust), unseen


def lay_out(
    facts: QueueFacts,
    own: Own | None,
    aht: HandleTime,
    days: Sequence[dt.date],
    part_days: tuple[Sequence[PartDay], Sequence[PartDay]],
) -> QueueForecast:
    """Return a queue's forecast over its open intervals. part_days: its past holidays and part days, and other queues'."""
    known = own.grid.known_days if own else 0
    trust = 1 - (1 - min(1.0, known / ENOUGH_DAYS)) ** 2 if facts.weekly_offered is not None else 1.0
    by_slot = _mean_of_slots(own.grid.offered) if own else np.zeros(DAY // facts.seconds)
    cold = _cold_start(facts, own, trust, days)
    sheet = _Sheet(facts, own, aht, days, part_days, trust, by_slot, cold)
    laid = [sheet.day(place) for place in range(len(days))]
    incidents, by_day = (tuple(own.incidents), own.by_day) if own else ((), {})
    held = facts.read_as(days[0])
    older = {day: count * held / share for day, count in facts.older.items() if (share := facts.share_on(day)) > 0}
    outlook, years = _outlook(facts, laid, {**older, **by_day}, held)
    return QueueForecast(
        facts.queue,
        tuple(laid),
        _rests_on(known, trust, incidents, facts.profile.words),
        known,
        float(cold[0][0]) if len(days) else 0.0,
        own.between_days if own else USUAL_BETWEEN_DAYS,
        incidents,
        {day: count * facts.share_on(day) / held for day, count in by_day.items()},
        tuple(outlook),
        years,
        facts.known_through,
        own.lasting if own and trust == 1 else (),
    )


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


def _cold_start(
    facts: QueueFacts, own: Own | None, trust: float, days: Sequence[dt.date]
) -> tuple[Floats, float, Floats, float]:
    """Return φ of intervals by what is known of each day (H,), and by what is declared, how likely a slot of a weekday is a quiet one
    (7, S), and how likely an open one is none.

    What is known of a queue's own days is a mean of few, and less of a weekday not seen yet."""
    usual, slots = own.dispersion if own else 0.0, DAY // facts.seconds
    if trust == 1 or not days:
        return np.full(len(days), usual), 0.0, np.zeros((7, slots)), 1.0
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
    # A week brings what is declared, however many slots turn out busy; days without anything speak against the number, too.
    busy = max(float(1 - of_slots[opened].mean()), 1 - quiet) if opened.any() else 1.0
    return few + np.array(unseen), declared, of_slots, busy


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
        normal = not d.parts or d.parts[SPECIAL] == 1
        known.append(_times(OutlookDay(d.day, offered, wide, aht, 0.0, normal), held / (facts.share_on(d.day) or held)))

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
    incidents = [f"{i.words} ({i.offered:,.0f} contacts)" for i in left_out]
    more = f" and {len(incidents) - MOST_NAMED} more" if len(incidents) > MOST_NAMED else ""
    return f"{rests_on}, without {', '.join(incidents[-MOST_NAMED:])}{more}"
