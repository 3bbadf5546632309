"""Queues of which only a weekly volume is declared, in their first eight weeks."""

import datetime as dt
from typing import Any

import numpy as np

from muster.domain.calendar import Opening, OpeningHours
from services.forecaster.domain.forecast import forecast_queue
from services.forecaster.domain.queue_forecast import QueueFacts


def eight_weeks(task: Any) -> None:
    """Print weeks 1 to 8 of each queue, of which only its weekly contacts (a fifth too high or too low) were declared: as it began, and
    as it would have gone, pooled, had it begun at any fourth week since."""
    later = range(4 * task.D, task.n_days - 8 * task.D + 1, 4 * task.D)
    for name, starts in (("as it began", range(1)), (f"{len(later)} later starts", later)):
        wrong, declared, came, inside, count = np.sum([_cold_weeks(task, start) for start in starts], axis=0)
        rows = " · ".join(f"{100 * w / c:.0f} ({100 * d / c:.0f})" for w, d, c in zip(wrong, declared, came, strict=True))
        print(f"  {'weeks 1 to 8':16} {name}: WAPE (of the declared profile alone) {rows}")
        held = " · ".join(f"{100 * i / c:.0f}" for i, c in zip(inside, count, strict=True))
        print(f"  {'':16} in 80 %: {held}, all {100 * inside.sum() / count.sum():.0f} (goal 75 and more)")


def _cold_weeks(task: Any, start: int) -> Any:
    """Return of each week (5, 8), normal days: what the engine and the declared profile missed, what came, how many intervals the 80 %
    band held, and of how many."""
    eight = slice(start, start + 8 * task.D)
    actual, special, luck = task.Y()[:, eight], task.special[eight], np.random.default_rng(1)
    slots = (np.arange(task.S) + task.start_slot) * task.secs
    opening = Opening(frozenset(range(7)), int(slots[0]), int(slots[-1] + task.secs) % 86_400)
    days = [d.astype("datetime64[D]").astype(dt.date) for d in task.dates[eight]]
    hours = OpeningHours(
        (opening,), special=tuple((d, (opening,)) for d, kind in zip(days, special, strict=True) if start and kind == 1)
    )
    midnights = [int(dt.datetime.combine(d, dt.time(), dt.UTC).timestamp()) for d in days]
    sums = np.zeros((5, 8))
    for n in range(task.N):
        week = float(np.nanmean(np.nansum(actual[n], axis=1)) * task.D) * (1.2 if luck.random() < 0.5 else 0.8)
        weekly = week * (7 / task.D if task.D < 7 else 1)  # the grid knows open days only; the hours here say all
        for place, day in enumerate(days):
            if start and special[place]:
                continue
            cells = {
                m + int(s): (int(v), int(v), int(v) * 1000)
                for m, row in zip(midnights[:place], actual[n, :place], strict=True)
                for s, v in zip(slots, row, strict=True)
                if not np.isnan(v)
            }
            found = forecast_queue(QueueFacts("a/b", "UTC", task.secs, hours, cells, weekly, 60.0), day, 1)
            assert found is not None
            real, mean, wide = actual[n, place], found.days[0].offered, found.days[0].offered_quantiles
            flat, held = week / task.D / task.S, (wide[:, 1] <= real) & (real <= wide[:, 5])
            told = abs(mean - real), abs(flat - real), real, held, np.ones(task.S)
            sums[:, place // task.D] += [t[~np.isnan(real)].sum() for t in told]
    return sums
