"""Shrinkage of a queue is that of the sites of those who may serve it, by how many they are."""

import pytest
import sqlalchemy as sa

from tests.support.small_world import book
from tests.unit.test_requiring import Staffing, applied, staffing

__all__ = ["staffing"]


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

    assert shares("acme/help") == pytest.approx((0.75 * 0.05 + 0.25 * (1 - 0.95 * 0.8), 0.0))
    assert shares("acme/sales") == pytest.approx((0.75 * (1 - 0.95 * 0.5) + 0.25 * (1 - 0.95 * 0.8 * 0.5), 0.0))
