"""What a queue's intervals become when its feeds have told everything, and again when a late fact changes one."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from services.forecaster.domain.volume import FIXED_EDGES, Cell, Report, empty_tally, merge_range


@dataclasses.dataclass(frozen=True)
class ClosedCell:
    """An interval to publish: the cell and its revision."""

    cell: Cell
    revision: int


def close_cells(
    reports: Sequence[Report],
    starts: Sequence[int],
    seconds: int,
    said: Mapping[int, tuple[int, Any]],
    body_of: Any,
) -> list[ClosedCell]:
    """Return the intervals whose closed content differs from what was said of them, in order.

    An interval that is complete and of which nothing was told holds a zero that is known. said: start → (revision, body).
    """
    told = merge_range(reports, starts, seconds)
    cells = []
    for start in starts:
        cell = told.get(start) or Cell(start, False, empty_tally(FIXED_EDGES), False, None)
        revision, body = said.get(start, (0, None))
        if body != body_of(cell.tally):
            cells.append(ClosedCell(cell, revision + 1))
    return cells
