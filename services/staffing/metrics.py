"""The series of staffing: required, scheduled, on queue, attainment, decisions."""

from collections.abc import Iterable

from prometheus_client.core import Metric

from muster.kit.metrics import gauge
from muster.kit.parts import Parts
from services.staffing.states import queue_states
from services.staffing.store import decisions, plans
from services.staffing.work import Work

SERIES = (
    ("muster_requirement_on_queue_agents", "Agents required on queue in the current interval", "required"),
    ("muster_schedule_on_queue_agents", "Agents scheduled on queue now", "scheduled"),
    ("muster_floor_on_queue_agents", "Agents on queue by the floor", "on_queue"),
    ("muster_floor_logged_in_agents", "Agents logged in by the floor", "logged_in"),
    ("muster_predicted_service_level", "Service level predicted for the agents on queue, 0 to 1", "predicted"),
    ("muster_contract_attainment", "Service level of the contract's window to date, 0 to 1", "attainment"),
    ("muster_contract_target", "The promise, 0 to 1", "target"),
)

WINDOWS = (
    (
        "muster_contract_window_met_probability",
        "Chance that the window ends with its target kept, 0 to 1, as last computed",
        "met",
    ),
    (
        "muster_contract_window_expected",
        "Value expected at the window's end, in the unit of the metric, as last computed",
        "expected",
    ),
)


class StaffingMetrics:
    """Collects at each scrape."""

    def __init__(self, parts: Parts, work: Work) -> None:
        self._parts, self._work = parts, work

    def collect(self) -> Iterable[Metric]:
        states = self._parts.database.read_here(lambda c: queue_states(c, self._work))
        for name, says, field in SERIES:
            rows = [([s.queue.partition("/")[0], s.queue], getattr(s, field)) for s in states]
            yield gauge(name, says, ["client", "queue"], rows)
        ahead = self._parts.database.read_here(plans.window_outlooks)
        for name, says, field in WINDOWS:
            rows = [([w.contract.partition("/")[0], w.contract, str(w.target_index)], w.body[field]) for w in ahead]
            yield gauge(name, says, ["client", "contract", "target"], rows)
        counts = self._parts.database.read_here(decisions.counts)
        issued = [([group, kind, state], float(n)) for group, kind, state, n in counts]
        yield gauge("muster_decisions", "Decisions kept, by what became of them", ["staffing_group", "kind", "state"], issued)
