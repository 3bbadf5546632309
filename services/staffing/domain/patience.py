"""How long callers wait before they give up: total waiting of all / abandons, and how far that may be off.

Exponential patience, censored by being answered: the maximum-likelihood estimate (Brown et al., 2005, sec. 5.3; Epstein & Sobel, 1953). The
number of abandons over a given time of waiting is Poisson; its exact interval (Garwood, 1936), turned over, is the patience's. Where short
abandons are left out, so is the time in which one would have been short: what is seen begins after it (left truncation; Klein &
Moeschberger, "Survival analysis", 2003, sec. 3.4).
"""

import dataclasses
import math

from scipy.stats import chi2

from services.staffing.domain.attainment import within
from services.staffing.domain.facts import ClosedCell

BAND = 0.8


@dataclasses.dataclass(frozen=True)
class Patience:
    """seconds: in use, above 0, inf where unknown; source ESTIMATED, DECLARED or NONE; abandons seen; low, high: seconds between which
    what was seen puts it in 80 of 100 cases, None where nothing was seen."""

    seconds: float
    source: str = "NONE"
    abandons: int = 0
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if not self.seconds > 0 or self.abandons < 0:
            raise ValueError(f"patience is {self.seconds} s from {self.abandons} abandons; allowed: above 0, 0 or more")


def band(waited: float, abandons: int) -> tuple[float, float] | None:
    """Return the 80 % interval, seconds, of a patience of which so many seconds of waiting and abandons were seen; None without either."""
    if waited <= 0 or abandons < 1:
        return None
    most = chi2.ppf((1 + BAND) / 2, 2 * abandons + 2) / 2
    fewest = chi2.ppf((1 - BAND) / 2, 2 * abandons) / 2
    return waited / float(most), waited / float(fewest)


def waiting(cell: ClosedCell, short_ms: int) -> tuple[int, int | None]:
    """Return short abandons of an interval, as far as its histogram has that edge, and the milliseconds waited in it in which an abandon
    would not have been short; None: not observed."""
    facts, whole = cell.facts, (cell.facts.answered_wait_ms, cell.abandoned_wait_ms)
    waited = None if None in whole else sum(ms for ms in whole if ms is not None)
    answered, left = (within(facts.edges, bins, short_ms) for bins in (facts.answered_waits, facts.abandoned_waits))
    if short_ms == 0 or left is None:
        return 0, waited
    longer = sum(facts.abandoned_waits) - left + (0 if answered is None else sum(facts.answered_waits) - answered)
    return left, None if waited is None else max(waited - short_ms * longer, 0)


def patience_of(source: str, declared: float | None, waited: float, abandons: int, enough: int) -> tuple[Patience, str]:
    """Return the patience in use and the formula in words. source, declared: as the book says; waited: seconds of all contacts; enough:
    fewest abandons for an estimate. Unknown is for ever, the careful assumption."""
    seen = band(waited, abandons) or (None, None)
    if source == "DECLARED" and declared:
        return Patience(declared, source, abandons, *seen), f"Erlang A (patience {declared:.0f} s, declared)"
    if source == "ESTIMATED":
        if abandons >= enough and waited > 0:
            seconds = waited / abandons
            words = f"Erlang A (patience {seconds:.0f} s, estimated from {abandons} abandons)"
            return Patience(seconds, source, abandons, *seen), words
        if declared:
            words = f"Erlang A (patience {declared:.0f} s, declared; too few abandons to estimate)"
            return Patience(declared, "DECLARED", abandons, *seen), words
    return Patience(math.inf, "NONE", abandons, *seen), "Erlang C (patience unknown)"
