"""What a queue's intervals become when its feeds have told everything, and again when a late fact changes one."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from services.forecaster.domain.tally import FIXED_EDGES, Tally, empty_tally
from services.forecaster.domain.volume import Cell, Report, merge_range


@dataclasses.dataclass(frozen=True)
class ClosedCell:
    """An interval to publish: the cell, its revision, the digest of what is said, and what the contract locked for it; None: nothing."""

    cell: Cell
    revision: int
    digest: bytes
    locked: float | None = None


def close_cells(
    reports: Sequence[Report],
    starts: Sequence[int],
    seconds: int,
    said: Mapping[int, tuple[int, bytes]],
    digest: Callable[[Tally, float | None], bytes],
    locked: Mapping[int, float] | None = None,
) -> list[ClosedCell]:
    """Return the intervals whose closed content differs from what was said of them, in order.

    An interval that is complete and of which nothing was told holds a zero that is known. said: start → (revision, digest);
    locked: start → contacts of the forecast that it is held against.
    """
    told = merge_range(reports, starts, seconds)
    cells = []
    for start in starts:
        cell = told.get(start) or Cell(start, False, empty_tally(FIXED_EDGES), False, None)
        revision, before = said.get(start, (0, b""))
        held = locked.get(start) if locked else None
        now = digest(cell.tally, held)
        if now != before:
            cells.append(ClosedCell(cell, revision + 1, now, held))
    return cells
