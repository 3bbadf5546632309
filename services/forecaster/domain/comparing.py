"""The engine's, the client's and the agreed forecast of a day, which of them is locked, whether what came is tolerated, and what it
relieves if not."""

import dataclasses
from collections.abc import Mapping

from muster.domain.tolerance import Tolerance
from services.forecaster.domain.facts import LockedDay, PublishedDay, Received

UNKNOWN = -1.0


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One local day, a value an interval; UNKNOWN where nothing is said. locked: ENGINE, CLIENT or AGREED; empty: not yet. relieved: what
    each interval, and the day so far, is relieved of; empty: of nothing."""

    local_date: str
    starts: list[int]
    engine: list[float]
    client: list[float]
    agreed: list[float]
    locked: list[float]
    came: list[float]
    locked_source: str
    locked_at: int | None
    tolerance: Tolerance
    outside: list[bool]
    day_outside: bool
    relieved: list[str] = dataclasses.field(default_factory=list)
    day_relieved: str = ""


def _by_start(starts: list[int], day: PublishedDay | Received | LockedDay | None) -> list[float]:
    if day is None:
        return [UNKNOWN] * len(starts)
    said = dict(zip(day.starts, day.offered, strict=True))
    return [said.get(start, UNKNOWN) for start in starts]


def compare(
    local_date: str,
    now: Mapping[str, PublishedDay | Received | None],
    locked: LockedDay | None,
    came: Mapping[int, int],
    locked_at: int | None,
    tolerance: Tolerance,
) -> Comparison:
    """Return the comparison of a day. now: what stands by source; locked: what stood at the lock; came: start → contacts
    of closed intervals. What closed before there was a lock is relieved of no target."""
    days = [day for day in (*now.values(), locked) if day is not None]
    starts = sorted({start for day in days for start in day.starts})
    fixed, told = _by_start(starts, locked) if locked else [], [float(came.get(s, UNKNOWN)) for s in starts]
    both = [(c, f) for c, f in zip(told, fixed, strict=False) if c >= 0 and f >= 0]
    outside = [c >= 0 and f >= 0 and tolerance.is_outside(c, f) for c, f in zip(told, fixed, strict=False)]
    sums = sum(c for c, _ in both), sum(f for _, f in both)
    day_outside = bool(both) and tolerance.is_outside(*sums)
    relieved = [tolerance.relieved(c, f) if c >= 0 and f >= 0 else "" for c, f in zip(told, fixed, strict=False)]
    held = [locked is not None and locked.holds(start) for start in starts]
    relieved = ["" if word == "TARGET" and not h else word for word, h in zip(relieved, held, strict=False)]
    day_relieved = tolerance.relieved(*sums) if both else ""
    if day_relieved == "TARGET" and not any(h and c >= 0 for h, c in zip(held, told, strict=True)):
        day_relieved = ""
    engine, client, agreed = (_by_start(starts, now.get(source)) for source in ("ENGINE", "CLIENT", "AGREED"))
    source = locked.source if locked else ""
    return Comparison(
        local_date,
        starts,
        engine,
        client,
        agreed,
        fixed,
        told,
        source,
        locked_at,
        tolerance,
        outside,
        day_outside,
        relieved,
        day_relieved,
    )
