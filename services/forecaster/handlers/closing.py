"""What a queue's intervals become when its feeds have told everything, and again when a late fact changes one."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from services.forecaster.domain.tally import FIXED_EDGES, Tally, empty_tally
from services.forecaster.domain.volume import Cell, Report, merge_range


@dataclasses.dataclass(frozen=True)
class ClosedCell:
    """An interval to publish: the cell, its revision, and the digest of what is said."""

    cell: Cell
    revision: int
    digest: bytes


def close_cells(
    reports: Sequence[Report],
    starts: Sequence[int],
    seconds: int,
    said: Mapping[int, tuple[int, bytes]],
    digest: Callable[[Tally], bytes],
) -> list[ClosedCell]:
    """Return the intervals whose closed content differs from what was said of them, in order.

    An interval that is complete and of which nothing was told holds a zero that is known. said: start → (revision, digest).
    """
    told = merge_range(reports, starts, seconds)
    cells = []
    for start in starts:
        cell = told.get(start) or Cell(start, False, empty_tally(FIXED_EDGES), False, None)
        revision, before = said.get(start, (0, b""))
        now = digest(cell.tally)
        if now != before:
            cells.append(ClosedCell(cell, revision + 1, now))
    return cells
