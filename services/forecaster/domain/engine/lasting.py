"""What the days after keep of how today runs: by what share it is above or below its forecast, and how much of that lasts.

How much is learnt by regression (Galton, 1886) of what past forecasts were off by, a day and more later, on how their first day had run.
"""

from collections.abc import Sequence

import numpy as np

from services.forecaster.domain.engine.intraday import CLIP, FAR, NOISE, PRIOR_DAYS, Drift, states_through
from services.forecaster.domain.engine.panel import EPSILON, Floats

CUTS = 8
# Days ahead of today at which each share that lasts begins to hold: tomorrow, the rest of the week, the week after; then none does.
BEGINS, ENDS = (1, 2, 7), 14

# Of one past forecast: what was expected, and what came.
Pair = tuple[Floats, Floats]


def runs(mean: Floats, actual: Floats, drift: Drift, steps: Floats | None = None) -> Floats:
    """Return by what share each day (N,) runs above its forecast, or below (< 0), once so much of it is seen: before each slot, and
    after the last (N, S + 1).

    mean, actual (N, S): see `rest_of_day`; steps (S,): see `states_before`. It is the part that holds all
    day, as far as past days bear it out, and no more than two of its standard deviations: a surge, which fades, says little of tomorrow.
    """
    _, trust = drift.rows(mean.shape[1])
    day = states_through(mean, actual, drift, True, steps).day
    most = FAR * np.sqrt(drift.day)
    shares: Floats = np.clip(np.append(trust, trust[-1]) * day, -most, most)
    return shares


def run_now(mean: Floats, actual: Floats, drift: Drift, steps: Floats | None = None) -> float:
    """Return by what share one day (S,) runs above or below its forecast, by all that is seen of it. steps: see `states_before`."""
    return float(runs(mean[None], actual[None], drift, steps)[0, -1])


def learn_lasting(first: Sequence[Pair], later: Sequence[Sequence[Pair]], drift: Drift) -> tuple[float, ...]:
    """Return what share of a day's run some later days keep, 0 to 1, group by group.

    first: of each past origin its first day (N, S), expected and what came (NaN: not observed); later: of each group the days (N, D, S) of the
    same origins, in order; origins that reach no such day come last and are left out. What few days say is pulled to none.
    """
    said = [runs(mean, came, drift) for mean, came in first]
    found = []
    for group in later:
        products = squares = 0.0
        for run, (mean, came) in zip(said, group, strict=False):
            seen = ~np.isnan(came)
            due = np.where(seen, mean, 0.0).sum(axis=2)
            most = CLIP * np.sqrt(due + 0.05 * due**2)
            off = np.clip(np.where(seen, came, 0.0).sum(axis=2) - due, -most, most)
            weight = 1 / np.maximum(due + NOISE * due**2, EPSILON)
            for cut in np.linspace(0, run.shape[1] - 1, CUTS + 1, dtype=int)[1:]:
                move = run[:, cut, None] * due
                products += float((weight * move * off).sum())
                squares += float((weight * move**2).sum())
        pulled = len(group) / (len(group) + PRIOR_DAYS)
        found.append(pulled * float(np.clip(products / max(squares, EPSILON), 0.0, 1.0)))
    return tuple(found)


def day_after(lasting: Sequence[float], days: int, run: float, moved: float | None = None) -> float:
    """Return by what factor today's run moves a day so many days later. moved: by what the day before has moved today, where no fit has been
    since: it moved that day, too, and today runs beside what it was moved to."""
    share = kept(lasting, 1)
    before = (moved - 1) / share if moved is not None and share > 0 else 0.0
    return (1 + kept(lasting, days + 1) * before) * (1 + kept(lasting, days) * run)


def kept(lasting: Sequence[float], days: int) -> float:
    """Return what share of today's run a day so many days later keeps."""
    places = [place for place, begins in enumerate(BEGINS) if begins <= days < ENDS and place < len(lasting)]
    return lasting[places[-1]] if places else 0.0
