"""A day's plan predicts its own service: the published requirement, the schedule, and the fewest that keep the target, as the queue moves."""

import dataclasses

import numpy as np

from services.staffing.domain.erlang import Floats
from services.staffing.domain.facts import ForecastDay, RequirementDay
from services.staffing.domain.requirement import Goal
from services.staffing.domain.transient import BLOCK, LEAVE, Day, fewest_day, predict_day


@dataclasses.dataclass(frozen=True)
class Prediction:
    """One local day, a value an interval. `fewest`: agents that keep the target as the queue moves. Levels are answered within T of
    offered, when leavers finish (`leave`) and when pools block; those of the schedule are empty where none is published."""

    starts: list[int]
    required: list[int]
    stationary: list[float | None]
    leave: list[float]
    block: list[float]
    fewest: list[int]
    scheduled: list[float]
    scheduled_leave: list[float]
    aht: float


def predict_plan(
    forecast: ForecastDay,
    requirement: RequirementDay,
    goal: Goal,
    patience: float,
    staff: Floats | None,
    shrinkage: float = 0.0,
) -> Prediction:
    """Predict a day. staff (I,): agents scheduled on the queue, in mean, by interval; None: no schedule; shrinkage: the share of them that
    the schedule does not place and that is not on queue. Intervals between those of the forecast are closed."""
    seconds = forecast.seconds
    starts = list(range(forecast.starts[0], forecast.starts[-1] + seconds, seconds))
    offered, aht = (dict(zip(forecast.starts, values, strict=True)) for values in (forecast.offered, forecast.aht))
    needed = dict(zip(requirement.starts, requirement.on_queue, strict=True))
    said = dict(zip(requirement.starts, requirement.service_level, strict=True))
    volume = np.array([offered.get(s, 0.0) for s in starts])
    handle = float(sum(offered[s] * aht[s] for s in offered) / volume.sum()) if volume.sum() > 0 else 300.0
    day = Day(volume, seconds, handle, patience, goal.threshold)
    required = [round(needed.get(s, 0.0)) for s in starts]
    heads = [round(float(n) * (1.0 - shrinkage)) for n in staff] if staff is not None else []
    return Prediction(
        starts,
        required,
        [said.get(s) for s in starts],
        predict_day(day, required, LEAVE),
        predict_day(day, required, BLOCK),
        fewest_day(day, goal.target).tolist(),
        [float(n) for n in staff] if staff is not None else [],
        predict_day(day, heads, LEAVE) if heads else [],
        handle,
    )
