"""How far what comes may lie from a forecast that a contract locked, and what is relieved if it lies beyond: more than was locked relieves
the promised service (TARGET), fewer the hours that were committed (COMMITMENT)."""

import dataclasses

HAIR = 1e-9  # of what was locked: 15 % above 100 is 115, whatever floats make of it


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """Shares above and below the locked forecast that a contract tolerates; None: not agreed. relieves: TARGET, COMMITMENT or BOTH, what a
    breach may relieve by the contract."""

    up: float | None = None
    down: float | None = None
    relieves: str = "TARGET"

    def is_above(self, came: float, locked: float) -> bool:
        """Return whether more came than is tolerated; just as much as is tolerated is not more."""
        return self.up is not None and came > locked * (1 + self.up + HAIR)

    def is_outside(self, came: float, locked: float) -> bool:
        """Return whether what came lies outside."""
        return self.is_above(came, locked) or (self.down is not None and came < locked * (1 - self.down - HAIR))

    def relieved(self, came: float, locked: float) -> str:
        """Return what is relieved of an interval or day: TARGET where more came than is tolerated, COMMITMENT where less did, and
        nothing where the contract says that this is not."""
        if not self.is_outside(came, locked):
            return ""
        side = "TARGET" if came > locked else "COMMITMENT"
        return side if self.relieves in (side, "BOTH") else ""

    @property
    def may_relieve_target(self) -> bool:
        """Return whether any volume relieves the target."""
        return self.up is not None and self.relieves in ("TARGET", "BOTH")
