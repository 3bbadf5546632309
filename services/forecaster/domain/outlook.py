"""The next twelve months, day by day: the last weeks of the interval forecast carried on, as the year went before.

A day beyond the interval forecast brings what its weekday brings on the last two normal days of it, moved by how last year (and the
year before) went from that time of the year to the day's, pulled to no change. It varies as days do, and more with each month,
as levels of four weeks moved before; where no year has been seen yet, more still, and the outlook says so.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from muster.domain.paths import GAUSS, spread_of

Floats = NDArray[np.float64]

DAYS = 366
AROUND_DAYS = 10
LEAST_SEEN = 8
YEAR = 364  # whole weeks
BELIEF = {0: 0.0, 1: 0.6, 2: 0.75}
MONTHLY_DRIFT, DRIFT_WORTH = 0.05, 4
UNSEEN_SEASON, SEASON_MONTHS = 0.15, 3.0


@dataclasses.dataclass(frozen=True)
class OutlookDay:
    """offered: contacts; seven quantiles of it; AHT in seconds; drift: the share of offered that the level may have moved by;
    normal: whether it is no holiday, part day, or day after a closure."""

    day: dt.date
    offered: float
    quantiles: tuple[float, ...]
    aht: float
    drift: float
    normal: bool = True


@dataclasses.dataclass(frozen=True)
class OutlookPeriod:
    """A week (from Monday) or a month: the sum of its days, with quantiles; days that lie in the outlook."""

    first: dt.date
    last: dt.date
    offered: float
    quantiles: tuple[float, ...]
    workload_hours: float


def season(totals: Mapping[dt.date, float], weekday: Floats, near: dt.date, day: dt.date) -> tuple[float, int]:
    """Return by which factor a day differs from days around `near`, as earlier years went, and how many years say so.

    totals: contacts by past day; weekday (7,): what each weekday brings of a mean day.
    """
    changes = []
    for years in (1, 2):
        then, now = (_level(totals, weekday, d - dt.timedelta(days=YEAR * years)) for d in (day, near))
        if then is not None and now is not None and now > 0:
            changes.append(np.log(max(then, 1e-9) / now))
    return (float(np.exp(BELIEF[len(changes)] * np.mean(changes))) if changes else 1.0), len(changes)


def _level(totals: Mapping[dt.date, float], weekday: Floats, middle: dt.date) -> float | None:
    seen = [
        (totals[d], weekday[d.weekday()])
        for shift in range(-AROUND_DAYS, AROUND_DAYS + 1)
        if (d := middle + dt.timedelta(days=shift)) in totals and weekday[d.weekday()] > 0
    ]
    return sum(t for t, _ in seen) / sum(w for _, w in seen) if len(seen) >= LEAST_SEEN else None


def monthly_drift(totals: Mapping[dt.date, float], today: dt.date) -> float:
    """Return how far the level of four weeks moves to the next four, as a share, pulled to a usual one."""
    blocks: list[float] = []
    for back in range(1, 27):
        days = [today - dt.timedelta(days=28 * back - n) for n in range(28)]
        seen = [totals[d] for d in days if d in totals]
        if len(seen) < 14 or sum(seen) <= 0:
            break
        blocks.append(sum(seen) / len(seen))
    moves = np.diff(np.log(blocks)) if len(blocks) > 2 else np.zeros(0)
    return float(np.sqrt((float((moves**2).sum()) + DRIFT_WORTH * MONTHLY_DRIFT**2) / (len(moves) + DRIFT_WORTH)))


def look_ahead(
    known: Sequence[OutlookDay], totals: Mapping[dt.date, float], is_open: Callable[[dt.date], bool], today: dt.date
) -> tuple[list[OutlookDay], int]:
    """Return the days of twelve months, those of the interval forecast (`known`, at least one) first; and how many earlier years
    the season rests on. A day that is closed brings nothing."""
    by_weekday = {d.weekday(): _like(known, d.weekday()) for d in _week()}
    last_weeks = sorted((k for like in by_weekday.values() for k in like), key=lambda k: k.day) or list(known[-1:])
    mean = float(np.mean([k.offered for k in last_weeks])) or 1.0
    weekday = np.array([np.mean([k.offered for k in by_weekday[n]]) / mean if by_weekday[n] else 0.0 for n in range(7)])
    near, monthly = last_weeks[len(last_weeks) // 2].day, monthly_drift(totals, today)
    days, years = list(known), 0
    for n in range(len(known), DAYS):
        day = today + dt.timedelta(days=n)
        like = by_weekday[day.weekday()]
        if not like or not is_open(day):
            days.append(OutlookDay(day, 0.0, (0.0,) * 7, last_weeks[-1].aht, 0.0))
            continue
        factor, seen = season(totals, weekday, near, day)
        years = max(years, seen)
        offered = float(np.mean([k.offered for k in like])) * factor
        months = (day - near).days / 28.0
        unseen = 0.0 if seen else UNSEEN_SEASON * min(1.0, months / SEASON_MONTHS)
        drift = float(np.sqrt(monthly**2 * months + unseen**2))
        own = float(np.mean([spread_of(np.array(k.quantiles)) / max(k.offered, 1e-9) for k in like]))
        wide = offered * (1 + GAUSS * np.sqrt(own**2 + drift**2))
        aht = float(np.mean([k.aht for k in like]))
        days.append(OutlookDay(day, offered, tuple(np.maximum(wide, 0.0).tolist()), aht, drift))
    return days, years


def _like(known: Sequence[OutlookDay], weekday: int) -> list[OutlookDay]:
    """Return the last two days of a weekday that say what it brings: normal ones, else any that are open."""
    is_open = [k for k in known if k.day.weekday() == weekday and k.offered > 0]
    return [k for k in is_open if k.normal][-2:] or is_open[-2:]


def _week() -> list[dt.date]:
    return [dt.date(2026, 1, 5) + dt.timedelta(days=n) for n in range(7)]


def periods(days: Sequence[OutlookDay], between_days: float, monthly: bool) -> list[OutlookPeriod]:
    """Return the weeks or months of an outlook. Day errors go together by `between_days`, drift wholly."""
    groups: dict[tuple[int, int], list[OutlookDay]] = {}
    for d in days:
        key = (d.day.year, d.day.month) if monthly else d.day.isocalendar()[:2]
        groups.setdefault(key, []).append(d)
    found = []
    for members in groups.values():
        offered = sum(d.offered for d in members)
        drift = np.array([d.drift * d.offered for d in members])
        wide = np.array([spread_of(np.array(d.quantiles)) for d in members])
        own = np.sqrt(np.maximum(wide**2 - drift**2, 0.0))
        variance = (1 - between_days) * (own**2).sum() + between_days * own.sum() ** 2 + drift.sum() ** 2
        quantiles = np.maximum(offered + GAUSS * np.sqrt(variance), 0.0)
        hours = sum(d.offered * d.aht for d in members) / 3600
        found.append(OutlookPeriod(members[0].day, members[-1].day, offered, tuple(quantiles.tolist()), hours))
    return found
