"""What a library forecasts: MSTL + AutoETS of statsforecast, where it is installed; it is no part of Muster."""

import importlib.util
import time
from typing import Any

import numpy as np

from services.forecaster.domain.engine.mean import expected_contacts
from services.forecaster.domain.engine.panel import Floats, Panel
from services.forecaster.domain.engine.spread import learn_spread, quantiles_of

INSTALLED = importlib.util.find_spec("statsforecast") is not None


def _fitted(values: Floats, seasons: list[int], ahead: int, **bands: Any) -> Floats:
    from statsforecast.models import MSTL, AutoETS

    mean: Floats = MSTL(season_length=seasons, trend_forecaster=AutoETS(model="ZZN")).forecast(values, h=ahead, **bands)["mean"]
    return mean


def mstl(task: Any, d0: int, nd: int) -> Floats:
    """Return the expected contacts (N, nd × S), of series on the grid of open days; what is missing, and days that are not normal, are
    filled with their weekday's mean."""
    days = np.where((task.special[:d0] == 0)[None, :, None], task.Y()[:, :d0], np.nan)
    for day in range(task.D):
        same = days[:, day :: task.D]
        seen = ~np.isnan(same)
        mean = np.where(seen, same, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
        days[:, day :: task.D] = np.where(seen, same, mean[:, None])
    flat = days.reshape(task.N, -1)
    return np.maximum([_fitted(row, [task.S, task.S * task.D], nd * task.S) for row in flat], 0.0)


def cost(series: int = 6, together: int = 250) -> None:
    """Print what it costs for 8 weeks × 48 slots and 14 days, beside the engine."""
    if not INSTALLED:
        print("statsforecast is not installed: no ratio")
        return
    luck = np.random.default_rng(2)
    slot = 1 + np.sin(np.arange(48) / 48 * 2 * np.pi)[None, None]
    mean = np.exp(luck.normal(3, 1.0, together))[:, None, None] * slot
    offered = luck.poisson(mean * luck.gamma(50, 1 / 50, (together, 56, 1))).astype(float)
    dates = np.datetime64("2026-01-05") + np.arange(70)

    def engine() -> None:
        panel = Panel(offered, dates, np.zeros((together, 70), np.int64))
        quantiles_of(expected_contacts(panel), learn_spread(panel))

    def theirs() -> None:
        for row in offered[:series]:
            _fitted(row.reshape(-1), [48, 336], 14 * 48, level=[80])

    spent = []
    for work, count in ((engine, together), (theirs, series)):
        work()
        began = time.process_time()
        work()
        spent.append((time.process_time() - began) / count)
    ratio = f"{spent[1] / spent[0]:,.0f} times"
    print(
        f"CPU-seconds a series: MSTL + AutoETS {spent[1]:.2f} ({series} of them), engine {spent[0]:.4f} ({together}): {ratio}"
    )
