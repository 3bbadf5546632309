"""Shrinkage of a queue is that of the sites of those who may serve it, by how many they are."""

import pytest
import sqlalchemy as sa

from services.staffing.domain.requirement import shrinkage_of_sites
from tests.support.small_world import book
from tests.support.staffing_world import Staffing, applied, staffing_on


@pytest.fixture
def staffing(engine: sa.Engine) -> Staffing:
    return staffing_on(engine)


def test_a_site_counts_by_how_many_of_its_agents_may_serve_the_queue(staffing: Staffing) -> None:
    data = book()
    data["sites"] = [*data["sites"], {**data["sites"][0], "name": "york"}]
    data["agents"] = [{**a, "site": "york" if n < 5 else "leeds"} for n, a in enumerate(data["agents"])]
    data["shrinkage"] = [
        {"name": "sick", "kind": "sick", "share": 0.05},
        {"name": "training", "kind": "training", "share": 0.2, "site": "york"},
        {"name": "other", "kind": "other", "share": 0.5, "queue": "acme/sales"},
    ]
    applied(staffing, data)

    def shares(queue: str) -> tuple[float, float]:
        def look(connection: sa.Connection) -> tuple[float, float]:
            today = staffing.streams.book_today(connection)
            return staffing.requiring.shrinkage(today, today.queues[queue])

        return staffing.database.run_here(look)

    def mean(york: float, leeds: float) -> float:
        """Shrinkage that schedules as many as a quarter in York and the others in Leeds do together."""
        return 1 - 1 / (0.25 / (1 - york) + 0.75 / (1 - leeds))

    assert shares("acme/help") == pytest.approx((mean(1 - 0.95 * 0.8, 0.05), 0.0))
    assert shares("acme/sales") == pytest.approx((mean(1 - 0.95 * 0.8 * 0.5, 1 - 0.95 * 0.5), 0.0))


def test_agents_paid_are_averaged_over_sites_not_shrinkage(staffing: Staffing) -> None:
    """30 % outside the schedule in one half, 30 % inside it in the other: everybody is paid for 70 %, in whichever place."""
    data = book()
    data["sites"] = [*data["sites"], {**data["sites"][0], "name": "york"}]
    half = len(data["agents"]) // 2
    data["agents"] = [{**a, "site": "york" if n < half else "leeds"} for n, a in enumerate(data["agents"][: 2 * half])]
    data["shrinkage"] = [
        {"name": "sick", "kind": "sick", "share": 0.3, "site": "york"},
        {"name": "training", "kind": "training", "share": 0.3, "site": "leeds", "placed_by_scheduler": True},
    ]
    applied(staffing, data)

    def look(connection: sa.Connection) -> tuple[float, float]:
        today = staffing.streams.book_today(connection)
        return staffing.requiring.shrinkage(today, today.queues["acme/help"])

    unplaced, placed = staffing.database.run_here(look)
    assert 1 / (1 - unplaced) == pytest.approx((1 / 0.7 + 1) / 2)
    assert 1 / ((1 - unplaced) * (1 - placed)) == pytest.approx(1 / 0.7)


def test_one_site_has_its_own_shrinkage() -> None:
    assert shrinkage_of_sites([(7, 0.1, 0.2)]) == pytest.approx((0.1, 0.2))
    assert shrinkage_of_sites([(7, 0.0, 0.0), (3, 0.0, 0.0)]) == (0.0, 0.0)
