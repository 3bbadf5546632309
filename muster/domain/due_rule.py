"""When deferred work is due, as contracts say it: elapsed seconds, business time, or the end of a business day."""

import dataclasses
import re

from muster.domain.calendar import time_of_day

HOUR, LONGEST_HOURS = 3600, 400
BUSINESS_TIME, END_OF_DAY = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?"), re.compile(r"end_of_day(?:\+(\d{1,2}))?(?:@(\d\d:\d\d))?")


@dataclasses.dataclass(frozen=True)
class DueRule:
    """When an item is due: `elapsed` seconds, `business` seconds of service hours, or the end of business day + `days`.

    With a cut-off, seconds after local midnight, what comes at it or later counts for the next business day.
    """

    elapsed: int | None = None
    business: int | None = None
    days: int | None = None
    cut_off: int | None = None

    def __post_init__(self) -> None:
        said = [v for v in (self.elapsed, self.business, self.days) if v is not None]
        if len(said) != 1 or said[0] < (self.days is None) or (self.days or 0) > 60:
            raise ValueError(f"{self!r} names {len(said)} times; allowed: one, seconds above 0 or 0 to 60 business days")
        if self.cut_off is not None and (self.days is None or not 0 < self.cut_off <= 24 * HOUR):
            raise ValueError(f"cut_off is {self.cut_off}; allowed: with days only, above 0 to {24 * HOUR} seconds")

    def __str__(self) -> str:
        """Return the rule as contracts write it, elapsed time as "8h elapsed"."""
        if self.days is not None:
            cut_off = "" if self.cut_off is None else f"@{self.cut_off // HOUR:02d}:{self.cut_off % HOUR // 60:02d}"
            return "end_of_day" + (f"+{self.days}" if self.days else "") + cut_off
        seconds = int(self.elapsed or self.business or 0)
        parts = ((seconds // HOUR, "h"), (seconds % HOUR // 60, "m"), (seconds % 60, "s"))
        text = "".join(f"{count}{unit}" for count, unit in parts if count)
        return text if self.elapsed is None else f"{text} elapsed"


def parse_due(text: str) -> DueRule:
    """Return the rule of the contract's `threshold_business`: 8h, 90m, 2h30m; end_of_day, end_of_day+1, end_of_day+1@15:00."""
    if found := END_OF_DAY.fullmatch(text):
        return DueRule(days=int(found[1] or 0), cut_off=time_of_day(found[2]) if found[2] else None)
    if text and (found := BUSINESS_TIME.fullmatch(text)) and int(found[1] or 0) <= LONGEST_HOURS:
        return DueRule(business=int(found[1] or 0) * HOUR + int(found[2] or 0) * 60)
    raise ValueError(f"{text!r} is not a business deadline like 8h, 2h30m, end_of_day or end_of_day+1@15:00")
