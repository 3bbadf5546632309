"""How good forecasts were: what was published so many days before, held against what came."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

from services.forecaster.domain.facts import PublishedDay

LEADS = (1, 7, 28)
WEEK = 7 * 86_400


@dataclasses.dataclass
class Score:
    """Sums over intervals; `naive` the same interval a week before, `limit` the error that Poisson noise alone makes; hours: of
    handling that each error stands for, at the AHT expected."""

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

    def add(self, other: "Score") -> "Score":
        """Return both together."""
        return Score(*(a + b for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)))


def poisson_error(mean: float) -> float:
    """Return the mean absolute deviation of a Poisson count from its mean: 2·e^−m·m^(k+1)/k!, k = ⌊m⌋ (Crow, 1958)."""
    if mean <= 0:
        return 0.0
    k = math.floor(mean)
    return 2 * math.exp(-mean + (k + 1) * math.log(mean) - math.lgamma(k + 1))


def score_day(believed: PublishedDay, came: Mapping[int, int], before: Mapping[int, int], levels: Sequence[float]) -> Score:
    """Return how a day's forecast did. came: start → contacts of closed intervals; before: the same of the week before."""
    score, plain = Score(), believed.before_overrides()[0]
    places = [levels.index(level) for level in (0.1, 0.9, 0.025, 0.975)]
    for place, start in enumerate(believed.starts):
        if start not in came:
            continue
        actual, expected, wide = came[start], believed.offered[place], believed.offered_quantiles[place]
        low, high, lowest, highest = (wide[p] for p in places)
        score.intervals += 1
        score.offered += actual
        score.wrong += abs(actual - expected)
        score.statistical_wrong += abs(actual - plain[place])
        hours = believed.aht[place] / 3600
        score.wrong_hours += abs(actual - expected) * hours
        score.statistical_hours += abs(actual - plain[place]) * hours
        score.over += expected - actual
        score.in_80 += low <= actual <= high
        score.in_95 += lowest <= actual <= highest
        score.limit += poisson_error(expected)
        if start - WEEK in before:
            score.naive_wrong += abs(actual - before[start - WEEK])
            score.naive_offered += actual
            score.naive_hours += abs(actual - before[start - WEEK]) * hours
    return score


def pooled(scores: Iterable[Score]) -> Score:
    """Return all of them together."""
    total = Score()
    for score in scores:
        total = total.add(score)
    return total


@dataclasses.dataclass
class Added:
    """What one override made of the statistics, over the intervals it changed: contacts that came, errors without and with it, and
    the hours of handling between them."""

    intervals: int = 0
    offered: float = 0.0
    wrong_without: float = 0.0
    wrong_with: float = 0.0
    saved_hours: float = 0.0


def add_value(into: dict[str, Added], believed: PublishedDay, came: Mapping[int, int]) -> None:
    """Add what a day's overrides made of it, by their words. Where several touch a day each is given an equal part."""
    plain, words = believed.before_overrides()[0], believed.overrides
    for place, start in enumerate(believed.starts):
        if start not in came or believed.offered[place] == plain[place]:
            continue
        without, used = abs(came[start] - plain[place]), abs(came[start] - believed.offered[place])
        for override in words:
            found = into.setdefault(override, Added())
            found.intervals += 1
            found.offered += came[start] / len(words)
            found.wrong_without += without / len(words)
            found.wrong_with += used / len(words)
            found.saved_hours += (without - used) * believed.aht[place] / 3600 / len(words)
