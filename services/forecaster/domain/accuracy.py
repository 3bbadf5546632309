"""How good forecasts were: what was published so many days before, held against what came, in contacts and in staffed hours.

Staffed hours: workload is contacts × AHT. A workload forecast too high had agents on queue for it that were not needed (over), one
too low lacked them (under); an hour of handling is an agent-hour on queue, before shrinkage and at full occupancy: the least that
an error costs. Summed interval by interval: staff that is too many at ten helps nobody at eleven.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from services.forecaster.domain.facts import PublishedDay

LEADS = (1, 7, 28)
WEEK = 7 * 86_400
WEEK_DAYS = 7


class Came(NamedTuple):
    """What came in a closed interval: contacts, and of them those handled and their seconds; None where not told."""

    offered: int
    handled: int | None = None
    handle_seconds: float | None = None

    @property
    def aht(self) -> float | None:
        """Return seconds a contact; None where nothing was handled, or no time told."""
        return self.handle_seconds / self.handled if self.handled and self.handle_seconds else None


@dataclasses.dataclass
class Score:
    """Sums over intervals; `naive` the same interval a week before, `limit` the error that Poisson noise alone makes; hours:
    staffed wrong by the published workload, the statistical one, and the week before's; of the published, over and under; days
    scored, and those of which the week before is known."""

    intervals: int = 0
    offered: float = 0.0
    wrong: float = 0.0
    statistical_wrong: float = 0.0
    naive_wrong: float = 0.0
    naive_offered: float = 0.0
    over: float = 0.0
    in_80: int = 0
    in_95: int = 0
    limit: float = 0.0
    wrong_hours: float = 0.0
    statistical_hours: float = 0.0
    naive_hours: float = 0.0
    over_hours: float = 0.0
    under_hours: float = 0.0
    days: int = 0
    naive_days: int = 0

    def add(self, other: "Score") -> "Score":
        """Return both together."""
        return Score(*(a + b for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)))


class Weekly(NamedTuple):
    """Staffed hours wrong a week: of the published forecast over and under, of the statistical one, and of the week before."""

    over: float
    under: float
    statistical: float
    naive: float


def weekly(scores: Sequence[Score]) -> Weekly:
    """Return the hours a week of queues together: each queue's over its own days, since not all have as many."""
    found = [0.0] * len(Weekly._fields)
    for s in scores:
        days, naive_days = max(s.days, 1) / WEEK_DAYS, max(s.naive_days, 1) / WEEK_DAYS
        rates = (s.over_hours / days, s.under_hours / days, s.statistical_hours / days, s.naive_hours / naive_days)
        found = [a + b for a, b in zip(found, rates, strict=True)]
    return Weekly(*found)


def poisson_error(mean: float) -> float:
    """Return the mean absolute deviation of a Poisson count from its mean: 2·e^−m·m^(k+1)/k!, k = ⌊m⌋ (Crow, 1958)."""
    if mean <= 0:
        return 0.0
    k = math.floor(mean)
    return 2 * math.exp(-mean + (k + 1) * math.log(mean) - math.lgamma(k + 1))


class _Workloads(NamedTuple):
    """Hours of handling of an interval: as came, as published, with the volume's overrides alone, with AHT's alone, with none."""

    came: float
    published: float
    by_volume: float
    by_aht: float
    statistical: float


def _workloads(believed: PublishedDay, place: int, came: Came) -> _Workloads:
    """Return an interval's workloads. Where no AHT came, all are held at the statistical one: the error is of contacts alone."""
    offered, aht = believed.offered[place], believed.aht[place]
    plain, plain_aht = (values[place] for values in believed.before_overrides())
    if came.aht is None:
        aht = plain_aht
    real = came.offered * (plain_aht if came.aht is None else came.aht)
    return _Workloads(*(v / 3600 for v in (real, offered * aht, offered * plain_aht, plain * aht, plain * plain_aht)))


def score_day(believed: PublishedDay, came: Mapping[int, Came], before: Mapping[int, Came], levels: Sequence[float]) -> Score:
    """Return how a day's forecast did. came: by start, closed intervals; before: the same of the week before."""
    score, plain = Score(), believed.before_overrides()[0]
    places = [levels.index(level) for level in (0.1, 0.9, 0.025, 0.975)]
    for place, start in enumerate(believed.starts):
        if start not in came:
            continue
        actual, expected, wide = came[start].offered, believed.offered[place], believed.offered_quantiles[place]
        low, high, lowest, highest = (wide[p] for p in places)
        score.intervals += 1
        score.offered += actual
        score.wrong += abs(actual - expected)
        score.statistical_wrong += abs(actual - plain[place])
        load = _workloads(believed, place, came[start])
        score.over_hours += max(load.published - load.came, 0.0)
        score.under_hours += max(load.came - load.published, 0.0)
        score.statistical_hours += abs(load.came - load.statistical)
        score.over += expected - actual
        score.in_80 += low <= actual <= high
        score.in_95 += lowest <= actual <= highest
        score.limit += poisson_error(expected)
        if start - WEEK in before:
            last = before[start - WEEK]
            score.naive_wrong += abs(actual - last.offered)
            score.naive_offered += actual
            aht = last.aht if last.aht is not None and came[start].aht is not None else believed.before_overrides()[1][place]
            score.naive_hours += abs(load.came - last.offered * aht / 3600)
    score.wrong_hours = score.over_hours + score.under_hours
    closed = not believed.starts  # part of a week, too
    score.days = int(closed or score.intervals > 0)
    score.naive_days = int(closed or any(s in came and s - WEEK in before for s in believed.starts))
    return score


def pooled(scores: Iterable[Score]) -> Score:
    """Return all of them together."""
    total = Score()
    for score in scores:
        total = total.add(score)
    return total


@dataclasses.dataclass
class Added:
    """What one override made of the statistics, over the intervals it changed: what came, errors without and with it (of VOLUME:
    contacts; of AHT: seconds of handling, over contacts handled), and the staffed hours between them."""

    intervals: int = 0
    offered: float = 0.0
    wrong_without: float = 0.0
    wrong_with: float = 0.0
    saved_hours: float = 0.0


def is_of_aht(words: str) -> bool:
    """Return whether an override, as its words say ("name: AHT MULTIPLY 1.2, …"), is of AHT."""
    return words.partition(": ")[2].startswith("AHT ")


def add_value(into: dict[str, Added], believed: PublishedDay, came: Mapping[int, Came]) -> None:
    """Add what a day's overrides made of it, by their words. Where several of one measure touch a day each is given an equal part.

    Hours are shared between overrides of volume and of AHT by what each saves, alone and after the other, at the mean (Shapley,
    1953): together they are the hours that the published workload is less wrong than the statistical one.
    """
    plain, plain_aht = believed.before_overrides()
    of_volume = [w for w in believed.overrides if not is_of_aht(w)]
    of_aht = [w for w in believed.overrides if is_of_aht(w)]
    for place, start in enumerate(believed.starts):
        if start not in came:
            continue
        actual, load = came[start], _workloads(believed, place, came[start])
        none, volume, aht, both = (abs(load.came - v) for v in (load.statistical, load.by_volume, load.by_aht, load.published))
        if believed.offered[place] != plain[place]:
            wrong = abs(actual.offered - plain[place]), abs(actual.offered - believed.offered[place])
            _share(into, of_volume, actual.offered, wrong, (none - volume + aht - both) / 2)
        if believed.aht[place] != plain_aht[place] and actual.aht is not None:
            handled, told = actual.handled or 0, actual.handle_seconds or 0.0
            wrong = abs(told - handled * plain_aht[place]), abs(told - handled * believed.aht[place])
            _share(into, of_aht, told, wrong, (none - aht + volume - both) / 2)


def _share(into: dict[str, Added], words: Sequence[str], offered: float, wrong: tuple[float, float], saved: float) -> None:
    """Give each of some overrides its part of an interval."""
    for override in words:
        found = into.setdefault(override, Added())
        found.intervals += 1
        found.offered += offered / len(words)
        found.wrong_without += wrong[0] / len(words)
        found.wrong_with += wrong[1] / len(words)
        found.saved_hours += saved / len(words)
