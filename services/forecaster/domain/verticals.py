"""How contacts usually spread over a week, by industry: what a new queue may rest on until it has a history of its own.

The curves are **declared, not measured**: a base through the night and one to three humps a day, by hour, with weekday factors, written
down from what the trade describes (Gans, Koole & Mandelbaum 2003, sec. 6.3, and Brown et al. 2005, sec. 2: a peak before noon, a lower one
in the afternoon, Mondays first); no client's data is in them. They say where the busy hours are, not how a queue will be.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from muster.domain.calendar import DAY

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Vertical:
    """base: of the night, beside humps (hour, height, width in hours); weekdays: factors from Monday."""

    base: float
    humps: tuple[tuple[float, float, float], ...]
    weekdays: tuple[float, float, float, float, float, float, float]

    def shape(self, seconds: int) -> Floats:
        """Return contacts by weekday and slot (7, S), 1 in the mean."""
        hours = (np.arange(DAY // seconds) + 0.5) * seconds / 3600
        day = np.full(hours.shape, self.base)
        for hour, height, width in self.humps:
            apart = (hours - hour + 12) % 24 - 12
            day += height * np.exp(-0.5 * (apart / width) ** 2)
        week: Floats = np.array(self.weekdays)[:, None] * day[None, :]
        return week / float(week.mean())


# An hour with less than this share of the mean is a quiet one.
QUIET = 0.1

VERTICALS = {
    "BANKING": Vertical(0.03, ((10.5, 1.0, 1.5), (14.5, 0.8, 2.0), (19.0, 0.15, 1.5)), (1.25, 1.1, 1.05, 1.05, 1.05, 0.4, 0.2)),
    "HEALTH": Vertical(0.03, ((9.0, 1.0, 1.2), (13.5, 0.6, 2.0)), (1.35, 1.1, 1.05, 1.0, 0.95, 0.2, 0.1)),
    "PUBLIC_SERVICE": Vertical(0.01, ((10.0, 1.0, 1.5), (14.0, 0.7, 1.5)), (1.3, 1.15, 1.05, 1.0, 0.9, 0.05, 0.02)),
    "RETAIL": Vertical(0.05, ((11.0, 0.9, 2.0), (15.5, 0.9, 2.5), (20.0, 0.6, 1.5)), (1.15, 1.05, 1.0, 1.0, 1.0, 0.9, 0.8)),
    "TELECOM": Vertical(0.08, ((10.5, 0.9, 2.0), (15.0, 0.9, 2.5), (19.0, 0.6, 1.5)), (1.2, 1.1, 1.05, 1.0, 1.0, 0.75, 0.6)),
    "TRAVEL": Vertical(0.2, ((10.5, 0.8, 2.5), (16.0, 0.7, 3.0), (20.0, 0.4, 2.0)), (1.15, 1.05, 1.0, 1.0, 1.0, 0.9, 0.9)),
    "UTILITIES": Vertical(0.06, ((9.5, 1.0, 1.5), (14.0, 0.8, 2.0), (17.5, 0.5, 1.5)), (1.3, 1.1, 1.05, 1.0, 1.0, 0.3, 0.2)),
}


def unknown(shape: Floats, seconds: int, opened: NDArray[np.bool_]) -> float:
    """Return φ of how far a queue may lie from a declared shape (7, S): the mean squared difference of the verticals from it, over its
    square, in the opened slots (7, S); 0 where nothing is open, or in so few slots that all are alike. An even shape is one, too."""
    square = float((shape[opened] ** 2).sum())
    if square <= 0:
        return 0.0
    held = float(shape[opened].mean())
    others = (vertical.shape(seconds)[opened] for vertical in VERTICALS.values())
    apart = [((other / other.mean() * held - shape[opened]) ** 2).sum() for other in others]
    told = [a for a in apart if a > 1e-9 * square]  # itself tells nothing
    return float(np.mean(told) / square) if told else 0.0


def quiet_share(seconds: int, opened: NDArray[np.bool_]) -> float:
    """Return the share of the opened slots (7, S) that are quiet ones, over all verticals: where nothing is said of a shape, a slot may
    be empty with that probability. 0 where nothing is open."""
    if not opened.any():
        return 0.0
    held = np.stack([vertical.shape(seconds)[opened] for vertical in VERTICALS.values()])
    return float((held < QUIET * held.mean(axis=1, keepdims=True)).mean())
