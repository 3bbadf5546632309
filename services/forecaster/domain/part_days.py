"""When contacts come on a holiday or part day: as on earlier days of its kind, own ones and those of the client's other queues, pulled
to a normal day's shape cut to the hours that are open.

A kind is a public holiday by its name, else a date of the year (24 December); part days of the same hours are half of one kind.
The pull is a Dirichlet prior worth so many contacts a slot (Gelman et al., Bayesian Data Analysis, 3rd ed., sec. 3.4).
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from muster.domain.calendar import OpeningHours, public_holidays

Floats = NDArray[np.float64]

SLOT_WORTH = 10.0
SAME_HOURS, OTHERS = 0.5, 0.5
YEARS_BACK = 2


@dataclasses.dataclass(frozen=True)
class PartDay:
    """A past holiday or part day. hours: (opens, closes) after midnight; counts (S,): contacts; usual (S,): how a normal day's spread."""

    day: dt.date
    kind: str
    hours: tuple[tuple[int, int], ...]
    counts: Floats
    usual: Floats

    def weight(self, kind: str, hours: tuple[tuple[int, int], ...]) -> float:
        """Return how much it says of a day of a kind and hours: 1, a half, or nothing."""
        return 1.0 if self.kind == kind else SAME_HOURS if self.hours == hours else 0.0


def names_of(hours: OpeningHours, day: dt.date) -> set[str]:
    """Return the names by which a day is a public holiday in the countries of opening hours."""
    return {found for c in hours.countries if (found := public_holidays(c, day.year).get(day))}


def kind_of(hours: OpeningHours, day: dt.date) -> str:
    """Return a special day's kind: its public holiday's name, else its date in the year."""
    return min(names_of(hours, day), default=f"{day:%m-%d}")


def earlier_dates(hours: OpeningHours, day: dt.date) -> list[dt.date]:
    """Return the days of the two years before that are of one kind with a day."""
    found, names = [], names_of(hours, day)
    for year in range(day.year - YEARS_BACK, day.year):
        if names:
            found += [d for c in hours.countries for d, name in public_holidays(c, year).items() if name in names]
        elif (day.month, day.day) != (2, 29):
            found.append(day.replace(year=year))
    return sorted(set(found))


def shaped(
    mean: Floats,
    slots: NDArray[np.int64],
    key: tuple[str, tuple[tuple[int, int], ...]],
    own: Sequence[PartDay],
    others: Sequence[PartDay],
) -> Floats:
    """Return a part day's contacts (I,) of the same total, spread as days like it; key: its kind and hours.

    mean: spread as a normal day's, cut to the open slots. What others' days say is by which factor a slot differs from their normal
    day, so that their own forms stay theirs.
    """
    total = float(mean.sum())
    if total <= 0:
        return mean
    came, due = np.zeros(len(slots)), np.zeros(len(slots))
    for day in others:
        weight, counts, usual = OTHERS * day.weight(*key), day.counts[slots], day.usual[slots]
        if weight > 0 and usual.sum() > 0:
            came += weight * counts
            due += weight * counts.sum() * usual / usual.sum()
    moved = mean * (came + SLOT_WORTH) / (due + SLOT_WORTH)
    expected = moved / moved.sum()
    seen = sum((day.weight(*key) * day.counts[slots] for day in own), np.zeros(len(slots)))
    worth = SLOT_WORTH * len(slots)
    found: Floats = total * (seen + worth * expected) / (seen.sum() + worth)
    return found
