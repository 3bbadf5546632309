"""Workload: contacts × AHT, with a band of its own, since a busy interval's contacts can be short ones, and a quiet one's long.

Learnt as volume's band is, from forecasts of past origins held against the workload that came. The work of a Poisson count of
contacts, in contacts, has 1 + c² times the count's variance, c the coefficient of variation of handle times (a compound Poisson
sum); divided by that, it goes on the scale on which counts vary alike (see spread).
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from services.forecaster.domain.engine.handle_time import LEVEL_WEEKS, LEVEL_WORTH, HandleTime
from services.forecaster.domain.engine.panel import EPSILON, Floats, Ints

# The squared coefficient of variation of handle times: a usual one (Brown et al., 2005, sec. 4.3: about 1), worth so many intervals.
USUAL_VARIATION, VARIATION_WORTH = 1.0, 100.0
LEAST_VARIATION, MOST_VARIATION = 0.05, 4.0


@dataclasses.dataclass(frozen=True)
class Handling:
    """How AHT went. relative (N, T, S): an interval's AHT over what its weekday-slot usually has, NaN where nothing was handled;
    level (N, T + 1): that ratio as it was known before each day; compound (N,): how much more work varies than contacts, 1 + c²."""

    relative: Floats
    level: Floats
    compound: Floats

    def work(self, came: Floats, origin: int, days: slice) -> Floats:
        """Return the workload of days (N, D, S) over the AHT that was expected at an origin and `compound`; NaN where not known."""
        ratio = self.relative[:, days] / (self.level[:, origin] * self.compound)[:, None, None]
        found: Floats = np.where(came == 0, 0.0, came * ratio)
        return found


def handling(handled: Floats, seconds: Floats, weekdays: Ints, learnt: Sequence[HandleTime | None]) -> Handling:
    """Return how AHT went over past days (N, T, S); a series of which nothing was learnt says nothing."""
    series, past, _ = handled.shape
    relative, level = np.full(handled.shape, np.nan), np.ones((series, past + 1))
    kept = 0.5 ** (1 / (7 * LEVEL_WEEKS))
    for n, usual in enumerate(learnt):
        if usual is None:
            continue
        expected = usual.seconds[weekdays]
        told = ~np.isnan(handled[n]) & ~np.isnan(seconds[n]) & (handled[n] > 0)
        count, time = np.where(told, handled[n], 0.0), np.where(told, seconds[n], 0.0)
        relative[n] = np.where(told, time / np.maximum(count * expected, EPSILON), np.nan)
        due, worth = (count * expected).sum(axis=1), LEVEL_WORTH * float(usual.seconds.mean())
        over = under = worth
        for day, (came, usually) in enumerate(zip(time.sum(axis=1), due, strict=True)):
            over, under = kept * (over - worth) + worth + came, kept * (under - worth) + worth + usually
            level[n, day + 1] = over / under
    return Handling(relative, level, 1 + _variation(handled, relative / level[:, :-1, None]))


def _variation(handled: Floats, ratio: Floats) -> Floats:
    """Return the squared coefficient of variation of handle times (N,), by moments: means of n contacts vary by c²/n, and by
    what intervals differ in besides, which busy ones show."""
    found = np.full(len(handled), USUAL_VARIATION)
    for n, (count, off) in enumerate(zip(handled, ratio, strict=True)):
        told = ~np.isnan(off)
        m, square = count[told], (off[told] - 1) ** 2
        if m.size < 2:
            continue
        evenly, by_contacts = float((m * square).mean()), float((m**2 * square).sum() / m.sum())
        mean, heavier = float(m.mean()), float((m**2).sum() / m.sum())
        besides = max((by_contacts - evenly) / (heavier - mean), 0.0) if heavier > mean else 0.0
        own = np.clip(evenly - besides * mean, LEAST_VARIATION, MOST_VARIATION)
        found[n] = (m.size * own + VARIATION_WORTH * USUAL_VARIATION) / (m.size + VARIATION_WORTH)
    return found


def product_band(offered: Floats, offered_quantiles: Floats, aht: Floats, aht_quantiles: Floats) -> Floats:
    """Return quantiles (…, 7) of contacts × AHT in hours, where nothing is known of how their errors go together: independent, so
    relative deviations add in squares (Goodman, 1960), on either side of the mean. Ascending, 0 or more."""
    by_volume = (offered_quantiles - offered[..., None]) / np.maximum(offered, EPSILON)[..., None]
    by_aht = (aht_quantiles - aht[..., None]) / np.maximum(aht, EPSILON)[..., None]
    off = by_volume * abs(by_volume) + by_aht * abs(by_aht)
    wide = (offered * aht / 3600)[..., None] * np.maximum(1 + np.sign(off) * np.sqrt(abs(off)), 0.0)
    ordered: Floats = np.maximum.accumulate(wide, axis=-1)
    return ordered
