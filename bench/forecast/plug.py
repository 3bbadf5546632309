"""The engine behind the interface of the forecast judge: forecast(task, d0, nd) → mean and quantiles per slot."""

from typing import Any

import numpy as np

from services.forecaster.domain.engine.mean import expected_contacts
from services.forecaster.domain.engine.panel import Panel, days_of
from services.forecaster.domain.engine.spread import learn_spread, quantiles_of


def panel_of(task: Any, day: int, ahead: int) -> Panel:
    """Return a task's history before a day, and the days to forecast, as the engine takes them."""
    special = np.broadcast_to(np.asarray(task.special[: day + ahead], np.int64), (task.N, day + ahead))
    return Panel(np.asarray(task.Y()[:, :day], float), task.dates[: day + ahead].astype("datetime64[D]"), special)


def without_incidents(judge: Any, task: Any, day: int) -> Any:
    """Return what came before a day (N, T, S), NaN where it was an incident, as could be seen then."""
    panel = panel_of(judge.masked(task, day), day, 0)
    days = days_of(panel)
    return np.where(days.hours | days.incidents[:, :, None], np.nan, panel.offered)


def forecast(task: Any, d0: int, nd: int) -> dict[str, Any]:
    """Answer the judge."""
    panel = panel_of(task, d0, nd)
    mean = expected_contacts(panel)
    wide = quantiles_of(mean, learn_spread(panel))
    return {"mean": mean.reshape(task.N, -1), "q": wide.reshape(task.N, nd * task.S, -1)}
