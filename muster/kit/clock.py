"""The two clocks: Clock tells business time, Runtime tells how long things take."""

import time
from typing import Protocol


class Clock(Protocol):
    """Business time. Under simulation and replay a topic drives it."""

    def now(self) -> int:
        """Return seconds since 1970 UTC."""
        ...


class SystemClock:
    """Business time is real time."""

    def now(self) -> int:
        return int(time.time())


class ConductedClock:
    """Business time moves when the conductor says so, and never back."""

    def __init__(self, now: int = 0) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def move(self, now: int) -> None:
        """Move to `now`; an earlier instant is ignored."""
        self._now = max(self._now, now)


class Runtime:
    """Elapsed and wall time for leases, retries, deadlines and heartbeats; never for anything a planner sees."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        """Return seconds since 1970, for leases that several processes compare."""
        return time.time()
