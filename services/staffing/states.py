"""Each queue's state now: forecast, actual, required, scheduled, on queue, predicted service, attainment."""

import dataclasses

import numpy as np
import sqlalchemy as sa

from muster.domain.calendar import local_date
from services.staffing.domain.chatting import ChatLoad
from services.staffing.domain.facts import ForecastDay, RequirementDay
from services.staffing.domain.requirement import predicted_service_level
from services.staffing.handlers.outlook import scheduled_now
from services.staffing.handlers.requiring import QueueRules, load_of
from services.staffing.store import floor, plans
from services.staffing.work import Work


@dataclasses.dataclass(frozen=True)
class QueueState:
    """A queue, now. None: not observed, or closed."""

    queue: str
    starts_at: int
    forecast: float | None
    actual: int | None
    required: float | None
    scheduled: int
    on_queue: float | None
    logged_in: int | None
    predicted: float | None
    attainment: float | None
    target: float | None
    presence: str


def _predicted(
    forecast: ForecastDay, requirement: RequirementDay | None, place: int, agents: float, rules: QueueRules
) -> float:
    """Return the service level of an interval with these agents, after others as required; NaN where nothing is offered."""
    load = load_of(forecast, forecast.offered, rules)
    if isinstance(load, ChatLoad):
        return float(predicted_service_level(load.pick(np.array([place])), np.array([agents]), rules.rules.shown)[0])
    needed = dict(zip(requirement.starts, requirement.on_queue, strict=True)) if requirement else {}
    heads = np.array([needed.get(start, agents) for start in forecast.starts])
    heads[place] = agents
    return float(predicted_service_level(load, heads, rules.rules.shown)[place])


def queue_states(connection: sa.Connection, work: Work) -> list[QueueState]:
    """Return every queue's state, by name."""
    book, now = work.streams.book_today(connection), work.clock.now()
    fresh_since = now - work.settings.floor_fresh_seconds
    present = floor.presence(connection, floor.states_of(connection, book.agents, fresh_since), fresh_since)
    shifts = floor.shifts_between(connection, list(book.agents), now - 1, now + 1)
    absences = floor.absences(connection, book.agents, now, now + 1)
    on_now = scheduled_now(shifts, absences, book.queues, now)
    states = []
    for name, queue in sorted(book.queues.items()):
        seconds = queue.interval_seconds
        start, day = now - now % seconds, local_date(now, book.zone_of(queue)).isoformat()
        forecast = plans.load_forecast(connection, name, day)
        requirement = next(iter(plans.list_requirements(connection, name, day, day)), None)
        place = forecast.starts.index(start) if forecast and start in forecast.starts else None
        required = None
        if requirement and start in requirement.starts:
            required = requirement.on_queue[requirement.starts.index(start)]
        last, seen = plans.last_cell(connection, name), present.get(name)
        on_queue = seen.on_queue if seen else (0.0 if present else None)
        predicted = None
        rules = work.requiring.rules_of(connection, book, queue)
        if forecast is not None and place is not None and rules.in_line:
            agents = float(on_now[name]) if on_queue is None else on_queue
            value = _predicted(forecast, requirement, place, agents, rules)
            predicted = None if np.isnan(value) else value
        standing = work.deciding.outlooks.attainment(connection, book, name)
        states.append(
            QueueState(
                queue=name,
                starts_at=start,
                forecast=forecast.offered[place] if forecast is not None and place is not None else None,
                actual=last.offered if last is not None and last.starts_at >= start - 2 * seconds else None,
                required=required,
                scheduled=on_now[name],
                on_queue=on_queue,
                logged_in=seen.logged_in if seen else (0 if present else None),
                predicted=predicted,
                attainment=standing[0] if standing else None,
                target=standing[1] if standing else None,
                presence="ASSUMED" if on_queue is None else "FLOOR",
            )
        )
    return states
