"""The engine's, the client's and the agreed forecast of a day, which of them is locked, whether what came is tolerated, and what it
relieves if not: more than the client said relieves the promised service (TARGET), fewer the hours that were committed (COMMITMENT)."""

import dataclasses
from collections.abc import Mapping

from services.forecaster.domain.facts import PublishedDay, Received

UNKNOWN = -1.0


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """Shares above and below the locked forecast that a contract tolerates; None: not agreed. relieves: TARGET, COMMITMENT or BOTH, what a
    breach may relieve by the contract."""

    up: float | None = None
    down: float | None = None
    relieves: str = "TARGET"

    def is_outside(self, came: float, locked: float) -> bool:
        """Return whether what came lies outside."""
        above = self.up is not None and came > locked * (1 + self.up)
        return above or (self.down is not None and came < locked * (1 - self.down))

    def relieved(self, came: float, locked: float) -> str:
        """Return what is relieved of an interval or day: TARGET where more came than is tolerated, COMMITMENT where less did, and
        nothing where the contract says that this is not."""
        if not self.is_outside(came, locked):
            return ""
        side = "TARGET" if came > locked else "COMMITMENT"
        return side if self.relieves in (side, "BOTH") else ""


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


def _by_start(starts: list[int], day: PublishedDay | Received | None) -> list[float]:
    if day is None:
        return [UNKNOWN] * len(starts)
    said = dict(zip(day.starts, day.offered, strict=True))
    return [said.get(start, UNKNOWN) for start in starts]


def compare(
    local_date: str,
    now: Mapping[str, PublishedDay | Received | None],
    locked: tuple[str, PublishedDay | Received] | None,
    came: Mapping[int, int],
    locked_at: int | None,
    tolerance: Tolerance,
) -> Comparison:
    """Return the comparison of a day. now: what stands by source; locked: whose stood at the lock, and it; came: start → contacts
    of closed intervals."""
    days = [day for day in (*now.values(), locked[1] if locked else None) if day is not None]
    starts = sorted({start for day in days for start in day.starts})
    fixed, told = _by_start(starts, locked[1]) if locked else [], [float(came.get(s, UNKNOWN)) for s in starts]
    both = [(c, f) for c, f in zip(told, fixed, strict=False) if c >= 0 and f >= 0]
    outside = [c >= 0 and f >= 0 and tolerance.is_outside(c, f) for c, f in zip(told, fixed, strict=False)]
    sums = sum(c for c, _ in both), sum(f for _, f in both)
    day_outside = bool(both) and tolerance.is_outside(*sums)
    relieved = [tolerance.relieved(c, f) if c >= 0 and f >= 0 else "" for c, f in zip(told, fixed, strict=False)]
    day_relieved = tolerance.relieved(*sums) if both else ""
    engine, client, agreed = (_by_start(starts, now.get(source)) for source in ("ENGINE", "CLIENT", "AGREED"))
    source = locked[0] if locked else ""
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
