"""The series of the scheduler: versions, shifts, uncovered hours, solve time."""

from collections.abc import Iterable

from prometheus_client.core import Metric

from muster.kit.metrics import gauge
from muster.kit.parts import Parts
from services.scheduler.domain.version import PUBLISHED
from services.scheduler.store import schedules


class SchedulerMetrics:
    """Collects at each scrape."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterable[Metric]:
        versions = self._parts.database.read_here(lambda c: schedules.list_versions(c, "", 10_000, 0))
        live = [v for v in versions if v.state == PUBLISHED]
        label = ["staffing_group"]
        yield gauge("muster_schedule_version", "Version in force", label, [([v.group], v.version) for v in live])
        yield gauge(
            "muster_schedule_shifts", "Shifts of the last solve in force", label, [([v.group], v.shift_count) for v in live]
        )
        hours = "Agent-hours required and not covered when it was solved"
        yield gauge("muster_schedule_uncovered_hours", hours, label, [([v.group], v.uncovered_hours) for v in live])
        yield gauge("muster_schedule_solve_seconds", "Time of the newest solve", [], [([], self._parts.jobs.last_seconds)])
