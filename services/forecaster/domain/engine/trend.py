"""How volume grows: the slope of each series' weekly levels, read apart from chance, from wandering and from a step.

Weekly levels (logarithms) are a line, one that stepped once, or one that bent once (Perron, 1989), beside a level that wanders by itself
(a random walk and noise: Harvey, 1989): growth shows only as far as it goes beyond what a level that wanders does. Each such reading
counts by how well it fits (BIC: Raftery, 1995). Slopes of a client's series are pulled to each other's, and the client's to none, each as
far as its own standard error says (DerSimonian & Laird, 1986; James & Stein, 1961): below one standard error nothing is left of it.
What is left is carried on, and fades (Gardner & McKenzie, 1985).
"""

import dataclasses
import functools

import numpy as np

from services.forecaster.domain.engine.level import weekday_factors
from services.forecaster.domain.engine.panel import EPSILON, Days, Flags, Floats, Panel

# Weeks that a slope is read from, and fewest of them: the ups and downs of a month have come three times by then. A week counts
# that saw half of its days.
WEEKS, LEAST_WEEKS, HALF = 16, 12, 0.5
# How far a level wanders in a week beside the noise of a week: the ratio of their variances.
WANDERING = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
# Weeks on either side of a bend, more than a month: what has gone on for less is a step.
BEND_WEEKS = 6
# What is left of growth each week that it is carried on, and the most that is believed a week.
DAMPING, MOST_A_WEEK = 0.9, 0.05
LEAST_VARIANCE = 1e-12


def _weekly(panel: Panel, days: Days) -> tuple[Floats, Flags]:
    """Return the logarithm of each of the last weeks' levels, freed of weekdays, oldest first, and which are known (N, W)."""
    weekdays = panel.weekdays()[: panel.past]
    due = weekday_factors(days, weekdays)[:, weekdays] * days.counted
    place = np.floor(days.weeks_ago + EPSILON).astype(np.int64)
    sums = np.zeros((2, panel.series, WEEKS))
    for week in range(WEEKS):
        sums[0, :, WEEKS - 1 - week] = days.total[:, place == week].sum(axis=1)
        sums[1, :, WEEKS - 1 - week] = due[:, place == week].sum(axis=1)
    came, seen = sums
    known = (came > 0) & (seen > HALF * seen.max(axis=1, keepdims=True))
    return np.log(np.where(known, came, 1.0) / np.where(known, seen, 1.0)), known


@dataclasses.dataclass(frozen=True)
class _Readings:
    """What R readings make of levels of some weeks (W,): slope (R, W), their slope's part in the levels; missed (R, W, W), the
    quadratic form of what they miss; size (R,), how much of that is the slope's variance; count (R,), what is estimated; constant
    (R,), what their evidence has in common with any levels."""

    slope: Floats
    missed: Floats
    size: Floats
    count: Floats
    constant: Floats


def _designs(at: Floats) -> list[tuple[Floats, float, float]]:
    """Return what levels of some weeks (W,) may be: a line; one with a step at any week; one with a bend at any: each that can be
    is as likely. With each (W, C): whether its third column is a slope, and the share it has."""
    line = np.column_stack([np.ones(len(at)), at - at.mean()])
    steps, bends = at[1:], at[BEND_WEEKS:-BEND_WEEKS]
    share = 1 / 3 if len(bends) else 1 / 2
    stepped = [(np.column_stack([line, at >= step]), 0.0, share / len(steps)) for step in steps]
    bent = [(np.column_stack([line, np.maximum(at - bend, 0.0)]), 1.0, share / len(bends)) for bend in bends]
    return [(line, 0.0, share), *stepped, *bent]


@functools.lru_cache(maxsize=64)
def _readings(weeks: tuple[int, ...]) -> _Readings:
    """Return the readings of levels of those weeks: the slope at their end, of each form beside each degree of wandering."""
    at, many, rows = np.array(weeks, float), len(weeks), []
    designs = _designs(at)
    for wandering in WANDERING:
        inverse = np.linalg.inv(np.eye(many) + wandering * np.minimum.outer(at - at[0], at - at[0]))
        spread = 0.5 * np.linalg.slogdet(inverse)[1]
        for design, bent, share in designs:
            count = design.shape[1]
            chance = np.linalg.inv(design.T @ inverse @ design)
            fitted, ends = chance @ design.T @ inverse, np.array([0.0, 1.0, bent])[:count]
            missed, constant = inverse - inverse @ design @ fitted, spread - 0.5 * count * np.log(many) + np.log(share)
            rows.append((ends @ fitted, missed, ends @ chance @ ends, count, constant))
    return _Readings(*(np.array(column, float) for column in zip(*rows, strict=True)))


def _slopes(levels: Floats, known: Flags) -> tuple[Floats, Floats]:
    """Return each series' slope a week and its variance (N,), averaged over all readings; infinite where too few weeks are known."""
    slope, variance = np.zeros(len(levels)), np.full(len(levels), np.inf)
    for seen in np.unique(known, axis=0):
        weeks = np.flatnonzero(seen)
        if len(weeks) < LEAST_WEEKS:
            continue
        read, own = _readings(tuple(weeks.tolist())), np.flatnonzero((known == seen).all(axis=1))
        told = levels[own][:, seen]
        told = told - told.mean(axis=1, keepdims=True)
        slopes = told @ read.slope.T
        missed = np.maximum(np.einsum("nw,rwv,nv->nr", told, read.missed, told, optimize=True), LEAST_VARIANCE)
        evidence = read.constant - 0.5 * len(weeks) * np.log(missed)
        weight = np.exp(evidence - evidence.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        # Student's t of f degrees of freedom varies by f / (f - 2).
        variances = missed * read.size / (len(weeks) - read.count - 2)
        slope[own] = (weight * slopes).sum(axis=1)
        variance[own] = (weight * (variances + (slopes - slope[own][:, None]) ** 2)).sum(axis=1)
    return slope, variance


def shrunk(slope: Floats, variance: Floats) -> Floats:
    """Return slopes (N,) pulled to their client's mean, and that to none, each as far as standard errors say; 0 where not known."""
    known, found = np.isfinite(variance), np.zeros(len(slope))
    if not known.any():
        return found
    own, chance = slope[known], np.maximum(variance[known], LEAST_VARIANCE)
    weight = 1 / chance
    mean = (weight * own).sum() / weight.sum()
    between = 0.0
    if len(own) > 1:
        spread = (weight * (own - mean) ** 2).sum() - (len(own) - 1)
        between = max(spread / max(weight.sum() - (weight**2).sum() / weight.sum(), EPSILON), 0.0)
    weight = 1 / (chance + between)
    mean, error = (weight * own).sum() / weight.sum(), 1 / weight.sum()
    client = mean * max(1 - error / max(mean**2, LEAST_VARIANCE), 0.0)
    found[known] = client + (own - client) * between / (chance + between)
    return np.clip(found, -MOST_A_WEEK, MOST_A_WEEK)


def growth(panel: Panel, days: Days) -> Floats:
    """Return by how much each series grows a week (N,), a logarithm; 0 where that can't be told from chance."""
    return shrunk(*_slopes(*_weekly(panel, days)))


@dataclasses.dataclass(frozen=True)
class Trend:
    """past (N, T): what a past day is multiplied by to be as today would have been; ahead (N, H): what growth makes of days to come."""

    past: Floats
    ahead: Floats


def trend_of(panel: Panel, days: Days) -> Trend:
    """Return how growth moves past days and those to come."""
    slope = growth(panel, days)[:, None]
    ordinals = panel.dates.astype("datetime64[D]").astype(np.int64)
    to_come = (ordinals[panel.past :] - ordinals[panel.past - 1]) / 7.0 if panel.past else np.zeros(panel.ahead)
    fading = (1 - DAMPING**to_come) / -np.log(DAMPING)
    return Trend(np.exp(slope * np.minimum(days.weeks_ago, WEEKS)), np.exp(slope * fading))
