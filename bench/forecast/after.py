"""What the days after gain by how a day runs: the public sets' forecasts of the week, moved at hours of its first day."""

from typing import Any

import numpy as np

from bench.forecast.plug import panel_of, without_incidents
from services.forecaster.domain.engine.drift import learn_drift
from services.forecaster.domain.engine.intraday import after_midnight
from services.forecaster.domain.engine.lasting import kept, learn_lasting, runs
from services.forecaster.domain.engine.mean import expected_contacts

PAST, FIRST, SCORED, WEEK = 40, 8, 12, 7
HOURS = (11, 15, 20)
DAY, TWO_HOURS = 86_400, 7200


def _weeks(judge: Any, task: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the normal days of a set (O,), and of each the forecast made on its eve and what came (O, N, W, S); NaN: no normal day."""
    actual, days, means, cames = task.Y(), [], [], []
    for day in range(FIRST * task.D, task.n_days - 1):
        if task.special[day] == 0 and not np.isnan(actual[:, day]).all():
            ahead = min(WEEK, task.n_days - day)
            mean, came = (np.full((task.N, WEEK, task.S), np.nan) for _ in range(2))
            mean[:, :ahead] = expected_contacts(panel_of(judge.masked(task, day), day, ahead))
            normal = np.flatnonzero(task.special[day : day + ahead] == 0)
            came[:, normal] = actual[:, day + normal]
            days.append(day)
            means.append(mean)
            cames.append(came)
    return np.array(days), np.array(means), np.array(cames)


def _learnt(days: np.ndarray, mean: np.ndarray, came: np.ndarray, usual: np.ndarray, now: int) -> tuple[Any, tuple[float, ...]]:
    """Return the drift and what lasts, as known on the eve of a day; usual (N, T, S): what came by then, without incidents."""
    first, later = [], [list[Any](), list[Any]()]
    for n in range(max(0, now - PAST), now):
        known, told = np.full(came[n].shape, np.nan), min(days[now] - days[n], WEEK)
        known[:, :told] = usual[:, days[n] : days[n] + told]
        known[np.isnan(came[n])] = np.nan  # no normal day
        first.append((mean[n][:, 0], known[:, 0]))
        for group, part in zip(later, (slice(1, 2), slice(2, WEEK)), strict=True):
            group.append((np.nan_to_num(mean[n][:, part]), known[:, part]))
    drift = learn_drift(*(np.array(side) for side in zip(*first, strict=True)))
    return drift, learn_lasting(first, later, drift)


def _over_midnight(task: Any, days: np.ndarray, mean: np.ndarray, came: np.ndarray, drifts: dict[int, Any]) -> None:
    """Print WAPE of a day's first two hours, and of all of it, at midnight: as forecast, and with what fades of the day before."""
    wrong, total, early = np.zeros((2, 2)), np.zeros(2), TWO_HOURS // task.secs
    for now, drift in drifts.items():
        if days[now - 1] == days[now] - 1:
            factor = after_midnight(mean[now - 1], came[now - 1], drift, None, np.arange(task.S))
            for place, part in enumerate((slice(0, early), slice(0, None))):
                total[place] += np.nansum(came[now][:, part])
                for moved, by in enumerate((np.ones(factor.shape), factor)):
                    wrong[place, moved] += np.nansum(np.abs(came[now] - mean[now] * by)[:, part])
    first, whole = ([f"{w:.2f}" for w in row] for row in 100 * wrong / total[:, None])
    print(f"  {'over midnight':16} first two hours {' → '.join(first)}   the whole day {' → '.join(whole)}")


def days_after(judge: Any, task: Any) -> None:
    """Print WAPE of tomorrow and of the rest of the week as forecast in the morning, and moved at hours of the day."""
    days, mean, came = _weeks(judge, task)
    cuts = [(h, cut) for h in HOURS if 0 < (cut := h * 3600 // task.secs - task.start_slot) <= task.S] + [(24, task.S)]
    wrong, total, lasting = np.zeros((2, len(cuts), 2)), np.zeros(2), np.zeros(2)
    scored, drifts = np.flatnonzero(days >= SCORED * task.D), {}
    for now in scored.tolist():
        drift, lasts = _learnt(days, mean, came, without_incidents(judge, task, days[now]), now)
        said = runs(mean[now][:, 0], came[now][:, 0], drift)
        lasting += lasts
        drifts[now] = drift
        for place, part in enumerate((slice(1, 2), slice(2, WEEK))):
            total[place] += np.nansum(came[now][:, part])
            for at, (_, cut) in enumerate(cuts):
                factor = 1 + kept(lasts, place + 1) * said[:, cut, None, None]
                for moved, by in enumerate((1.0, factor)):
                    wrong[place, at, moved] += np.nansum(np.abs(came[now][:, part] - mean[now][:, part] * by))
    if task.S * task.secs == DAY:
        _over_midnight(task, days, mean[:, :, 0], came[:, :, 0], drifts)
    wape = 100 * wrong / total[:, None, None]
    for place, name in enumerate(("tomorrow", "rest of the week")):
        told = [f"{h}:00 {w[0]:.2f} → {w[1]:.2f}" for (h, _), w in zip(cuts, wape[place], strict=True)]
        print(f"  {name:16} {'   '.join(told)}, keeps {lasting[place] / len(scored):.0%}")
