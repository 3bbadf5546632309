"""Overrides: what a planner knows better than the statistics, laid over them in layers, with the statistics kept beside."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from muster.domain.calendar import parse_date, resolve, to_local
from services.forecaster.domain.engine.panel import EPSILON
from services.forecaster.domain.facts import PublishedDay
from services.forecaster.domain.laying_out import SHAPED_DISPERSION, spread_out
from services.forecaster.domain.outlook import OutlookDay

OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "SET": lambda old, value: value,
    "ADD": lambda old, value: max(old + value, 0.0),
    "MULTIPLY": lambda old, value: old * value,
    "AT_LEAST": max,
    "AT_MOST": min,
}
SHORTEST_AHT = 1.0


@dataclasses.dataclass(frozen=True)
class Rule:
    """One override of a queue. [starts, ends) instants; value: contacts an interval, seconds, or a factor; `words` for people."""

    layer: int
    name: str
    on_volume: bool
    operation: str
    value: float
    starts: int
    ends: int
    words: str


def _touches(rule: Rule, start: int, seconds: int) -> bool:
    """Return whether a rule holds for any part of an interval."""
    return rule.starts < start + seconds and start < rule.ends


def overridden(day: PublishedDay, rules: Iterable[Rule]) -> PublishedDay:
    """Return a day with the rules that touch it applied: layer by layer, within one by name. Bands move with their means."""
    touching = [
        r for r in sorted(rules, key=lambda r: (r.layer, r.name)) if any(_touches(r, s, day.seconds) for s in day.starts)
    ]
    if not touching:
        return day
    offered, aht = list(day.offered), list(day.aht)
    for rule in touching:
        values, change = offered if rule.on_volume else aht, OPERATIONS[rule.operation]
        for place, start in enumerate(day.starts):
            if _touches(rule, start, day.seconds):
                values[place] = change(values[place], rule.value)
    aht = [max(v, SHORTEST_AHT) for v in aht]
    return dataclasses.replace(
        day,
        offered=[round(v, 6) for v in offered],
        aht=[round(v, 6) for v in aht],
        offered_quantiles=[
            _moved(q, old, new) for q, old, new in zip(day.offered_quantiles, day.offered, offered, strict=True)
        ],
        aht_quantiles=[_moved(q, old, new) for q, old, new in zip(day.aht_quantiles, day.aht, aht, strict=True)],
        total_quantiles=_moved(day.total_quantiles, sum(day.offered), sum(offered)) if day.total_quantiles else [],
        **_workload_moved(day, offered, aht),
        statistical=list(day.offered),
        statistical_aht=list(day.aht),
        overrides=[r.words for r in touching],
    )


def _moved(quantiles: list[float], old: float, new: float) -> list[float]:
    if new == old:
        return quantiles
    if old > 0:
        return [round(q * new / old, 6) for q in quantiles]
    return [round(float(q), 6) for q in spread_out(np.array([new]), SHAPED_DISPERSION)[0]]


def _workload_moved(day: PublishedDay, offered: list[float], aht: list[float]) -> dict[str, Any]:
    """Return a day's quantiles of workload, moved with it to other contacts and AHT."""
    old, new = ([n * h / 3600 for n, h in zip(*both, strict=True)] for both in ((day.offered, day.aht), (offered, aht)))
    rows = []
    for place, quantiles in enumerate(day.workload_band()):
        if old[place] > 0 or new[place] == 0:
            rows.append(_moved(quantiles, old[place], new[place]) if old[place] > 0 else quantiles)
        else:
            wide = np.array(_moved(day.offered_quantiles[place], 0.0, offered[place])) * aht[place] / 3600
            rows.append([round(float(q), 6) for q in wide])
    held = sum(old) > 0
    totals = _moved(day.work_total_quantiles, sum(old), sum(new)) if day.work_total_quantiles and held else []
    return {"workload_quantiles": rows, "work_total_quantiles": totals}


def outlook_overridden(
    outlook: Iterable[OutlookDay], days: Sequence[PublishedDay], rules: Sequence[Rule], zone: str
) -> list[OutlookDay]:
    """Return the days of the outlook with the rules that touch them applied. days: as the statistics have the first of them; later
    days have the intervals of the newest of their weekday."""
    near = {day.local_date: day for day in days}
    like = {parse_date(day.local_date).weekday(): day for day in days if day.starts}
    found = []
    for day in outlook:
        own = near.get(day.day.isoformat())
        if own is None and day.offered > 0 and day.day.weekday() in like:
            own = _carried(like[day.day.weekday()], day, zone)
        changed = overridden(own, rules) if own else None
        if changed is None or changed is own:
            found.append(day)
            continue
        offered = sum(changed.offered)
        work = sum(n * h for n, h in zip(changed.offered, changed.aht, strict=True))
        wide = tuple(_moved(list(day.quantiles), day.offered, offered))
        found.append(dataclasses.replace(day, offered=offered, quantiles=wide, aht=work / offered if offered > 0 else day.aht))
    return found


def _carried(like: PublishedDay, day: OutlookDay, zone: str) -> PublishedDay:
    """Return a day's intervals carried to a later day of so many contacts, at the same times of the clock."""
    shift, share = day.day - parse_date(like.local_date), day.offered / max(sum(like.offered), EPSILON)
    starts = [resolve(to_local(start, zone).replace(tzinfo=None) + shift, zone) for start in like.starts]
    return dataclasses.replace(like, local_date=day.day.isoformat(), starts=starts, offered=[n * share for n in like.offered])


def without_overrides(day: PublishedDay) -> PublishedDay:
    """Return a day as the statistics had it, its bands moved back."""
    if not day.statistical:
        return day
    return dataclasses.replace(
        day,
        **_workload_moved(day, day.statistical, day.statistical_aht),
        total_quantiles=_moved(day.total_quantiles, sum(day.offered), sum(day.statistical)) if day.total_quantiles else [],
        offered=list(day.statistical),
        aht=list(day.statistical_aht),
        offered_quantiles=[
            _moved(q, old, new) for q, old, new in zip(day.offered_quantiles, day.offered, day.statistical, strict=True)
        ],
        aht_quantiles=[
            _moved(q, old, new) for q, old, new in zip(day.aht_quantiles, day.aht, day.statistical_aht, strict=True)
        ],
        statistical=[],
        statistical_aht=[],
        overrides=[],
    )
