"""What pays, on real data: four weeks ahead, as forecasts are locked; each queue's bands; each day after a closure."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.forecast.plug import forecast

WEEKS = 4
BUSY_SLOT = 10.0


def _mean(answer: Any) -> np.ndarray:
    found: np.ndarray = np.asarray(answer["mean"] if isinstance(answer, dict) else answer)
    return found


def _busiest(values: np.ndarray, slots: int) -> np.ndarray:
    """Return the largest sum (…) of an hour's slots in a row of each day (…, S)."""
    total = np.nancumsum(np.nan_to_num(values), axis=-1)
    found: np.ndarray = (
        total[..., slots - 1 :] - np.concatenate([np.zeros_like(total[..., :1]), total[..., :-slots]], -1)
    ).max(-1)
    return found


def four_weeks(judge: Any, tasks: Any, task: Any, first_week: int) -> None:
    """Print mean |bias| of 28 days, WAPE of days, weeks and busiest hours, and the agent-hours wrong, beside the eight-week mean."""
    days, hour = WEEKS * task.D, max(3600 // task.secs, 1)
    actual, aht = task.Y(), 300.0 if task.aht is None else float(np.nanmean(task.aht))
    methods: dict[str, Callable[..., Any]] = {"8-week mean": judge.mean_of_weeks(8), "engine": forecast}
    for name, method in methods.items():
        wrong, came, bias, origins = np.zeros(3), np.zeros(3), 0.0, 0
        slots_wrong = 0.0
        for origin in tasks.origins(task, first_week):
            told = _mean(method(judge.masked(task, origin), origin, days)).reshape(task.N, days, task.S)
            real = actual[:, origin : origin + days]
            usable = (task.special[origin : origin + days] == 0)[None, :, None] & ~np.isnan(real)
            told, real = np.where(usable, told, 0.0), np.where(usable, real, 0.0)
            sums = [
                (told.sum(2), real.sum(2)),
                (told.reshape(task.N, WEEKS, -1).sum(2), real.reshape(task.N, WEEKS, -1).sum(2)),
            ]
            sums.append((_busiest(told, hour), _busiest(real, hour)))
            wrong += [abs(t - r).sum() for t, r in sums]
            came += [r.sum() for _, r in sums]
            bias += float(abs(told.sum((1, 2)) - real.sum((1, 2))).sum() / real.sum())
            slots_wrong += abs(told - real).sum()
            origins += 1
        parts = " · ".join(f"{v:.1f}" for v in 100 * wrong / came)
        hours = slots_wrong * aht / 3600 / max(origins, 1) / WEEKS
        print(
            f"  {name:16} 28 days ahead: mean |bias| of a queue {100 * bias / max(origins, 1):.1f} %; WAPE of days · weeks · busiest hours"
            f" {parts}; {hours:,.0f} agent-hours a week wrong"
        )


def each_queue(judge: Any, tasks: Any, task: Any, first_week: int = 12) -> None:
    """Print the share that each busy queue's 80 % band held, seven days ahead (goal: 72 to 88)."""
    inside, count = np.zeros(task.N), np.zeros(task.N)
    actual = task.Y()
    for origin in tasks.origins(task, first_week):
        wide = np.asarray(forecast(judge.masked(task, origin), origin, task.D)["q"]).reshape(task.N, task.D, task.S, -1)
        real = actual[:, origin : origin + task.D]
        usable = (task.special[origin : origin + task.D] == 0)[None, :, None] & ~np.isnan(real)
        inside += (usable & (wide[..., 1] <= real) & (real <= wide[..., 5])).sum((1, 2))
        count += usable.sum((1, 2))
    busy = np.nanmean(actual, axis=(1, 2)) > BUSY_SLOT
    shares = sorted(100 * inside[busy] / count[busy])
    if not shares:
        print(f"  {'each queue':16} none above {BUSY_SLOT:.0f} contacts a slot")
        return
    beyond = sum(not 72 <= s <= 88 for s in shares)
    print(f"  {'each queue':16} in 80 %: {' '.join(f'{s:.0f}' for s in shares)}; {beyond} of {len(shares)} outside 72–88")


def after_closures(judge: Any, task: Any, first_week: int = 8) -> None:
    """List each first open day after a closure, a day ahead: WAPE of the eight-week mean and of the engine."""
    plain, actual, rows = judge.mean_of_weeks(8), task.Y(), []
    for day in range(first_week * task.D, task.n_days):
        if task.special[day] == 2 and not np.isnan(actual[:, day]).all():
            errors = []
            for method in (plain, forecast):
                told = _mean(method(judge.masked(task, day), day, 1)).reshape(task.N, task.S)
                errors.append(100 * np.nansum(abs(told - actual[:, day])) / np.nansum(actual[:, day]))
            rows.append(f"{task.dates[day]!s:.10} {errors[0]:.0f} → {errors[1]:.0f}")
    print(f"  {'after closures':16} {'   '.join(rows) or 'none'}")
