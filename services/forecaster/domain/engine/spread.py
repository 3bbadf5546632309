"""How wide: quantiles learnt from the errors of forecasts made at past origins, and of no others.

Errors are measured on a scale on which counts that vary by m + φ·m² vary alike whatever their mean (Anscombe, 1948, for the
negative binomial), so that two contacts and two thousand share them; φ is each series', by horizon, pulled to its client's.
"""

import dataclasses

import numpy as np
from scipy.special import stdtrit

from muster.domain.paths import GAUSS, QUANTILES
from services.forecaster.domain.engine.drift import learn_drift
from services.forecaster.domain.engine.intraday import Drift
from services.forecaster.domain.engine.lasting import Pair, learn_lasting
from services.forecaster.domain.engine.mean import expected_contacts
from services.forecaster.domain.engine.panel import EPSILON, LEFT_OUT, NORMAL, Flags, Floats, Ints, Panel, days_of
from services.forecaster.domain.engine.workload import Handling

LEAST, MOST_OVERDISPERSION, USUAL_OVERDISPERSION = 1e-4, 4.0, 0.15
SHIFT = 0.375
POOLED_WORTH = 3.0
GAUSS_WORTH, LEAST_FREEDOM = 3.0, 3
ORIGINS, ORIGIN_SERIES = 40, 200
# Forecasts that had seen less than this share of what is known today, or fewer weeks, say little of how far today's misses.
FIRST_WEEKS, FIRST_SHARE = 4, 1 / 3
USUAL_BETWEEN_DAYS, BETWEEN_WORTH = 0.3, 5.0


@dataclasses.dataclass(frozen=True)
class Scale:
    """How far forecasts miss. overdispersion (N, G): φ by series and horizon; errors (G, 7): quantiles on the stabilised scale."""

    overdispersion: Floats
    errors: Floats


@dataclasses.dataclass(frozen=True)
class Spread:
    """What past errors say. groups: (first, last) horizon in days of the grid; of intervals and of whole days; drift: how days
    leave their morning's forecast; lasting: what share of that days after keep (see `kept`); between_days: the correlation of the
    errors of one forecast's day totals within a week; work, work_days: the same of workload, in contacts over `compound` (N,), where it
    is known."""

    groups: tuple[tuple[int, int], ...]
    intervals: Scale
    days: Scale
    drift: Drift = Drift()
    between_days: float = USUAL_BETWEEN_DAYS
    work: Scale | None = None
    work_days: Scale | None = None
    compound: Floats | None = None
    lasting: tuple[float, ...] = ()


def horizon_groups(panel: Panel) -> tuple[tuple[int, int], ...]:
    """Return the horizons that share errors: the next day, the rest of the week, and beyond."""
    week = panel.week()
    ends = [
        g
        for g in ((1, 1), (2, week), (week + 1, 2 * week), (2 * week + 1, max(panel.ahead, 2 * week + 1)))
        if g[0] <= panel.ahead
    ]
    return tuple(ends)


def stabilised(counts: Floats, overdispersion: Floats) -> Floats:
    """Return counts on the scale on which negative binomial counts have variance 1, about."""
    root = np.sqrt(overdispersion)
    scaled: Floats = 2 * np.arcsinh(root * np.sqrt(np.maximum(counts, 0.0) + SHIFT)) / root
    return scaled


def restored(scaled: Floats, overdispersion: Floats) -> Floats:
    """Return counts of their stabilised values, never below 0."""
    root = np.sqrt(overdispersion)
    counts: Floats = (np.sinh(np.maximum(scaled, 0.0) * root / 2) / root) ** 2 - SHIFT
    return np.maximum(counts, 0.0)


def _first_origin(panel: Panel) -> int:
    return max(FIRST_WEEKS * panel.week(), int(FIRST_SHARE * panel.past))


def past_origins(panel: Panel) -> list[int]:
    """Return the days before which past forecasts are made, newest last: many for few series, a few for many."""
    week = panel.week()
    first, last = _first_origin(panel), panel.past - 1
    if last < first:
        return []
    count = int(np.clip(ORIGINS * ORIGIN_SERIES // max(panel.series * 40, 1), 4, ORIGINS))
    step = max(-(-(last - first + 1) // count), 1)
    while step > 1 and step % week == 0:
        step += 1  # so that origins fall on each weekday
    return list(range(last, first - 1, -step))[::-1]


@dataclasses.dataclass
class _Told:
    """Past forecasts of one group of horizons, by origin: what came and what was expected (N, D, S), each day's weight, and
    what came but for incidents."""

    came: list[Floats] = dataclasses.field(default_factory=list)
    mean: list[Floats] = dataclasses.field(default_factory=list)
    weight: list[Floats] = dataclasses.field(default_factory=list)
    usual: list[Floats] = dataclasses.field(default_factory=list)

    def intervals(self) -> tuple[Floats, Floats, Floats]:
        """Return what came, what was expected (N, K), and weights (K,), interval by interval."""
        came, mean = np.concatenate(self.came, axis=1), np.concatenate(self.mean, axis=1)
        slots = came.shape[2]
        flat = came.reshape(len(came), -1), mean.reshape(len(mean), -1)
        return *flat, np.repeat(np.concatenate(self.weight), slots)

    def days(self) -> tuple[Floats, Floats, Floats]:
        """Return the same of whole days; a day of which nothing was observed is none."""
        came, mean = np.concatenate(self.came, axis=1), np.concatenate(self.mean, axis=1)
        seen = ~np.isnan(came)
        total = np.where(seen.any(axis=2), np.where(seen, came, 0.0).sum(axis=2), np.nan)
        return total, np.where(seen, mean, 0.0).sum(axis=2), np.concatenate(self.weight)

    def pairs(self, days: slice) -> list[Pair]:
        """Return what was expected and what came but for incidents, origin by origin, of some of the group's days; of those that reach any."""
        both = [(mean[:, days], usual[:, days]) for mean, usual in zip(self.mean, self.usual, strict=True)]
        return [(mean, usual) for mean, usual in both if mean.shape[1]]


def learn_spread(panel: Panel, handling: Handling | None = None) -> Spread:
    """Learn errors by horizon from forecasts made at past origins with what was known then; those of workload from how AHT went."""
    groups, origins = horizon_groups(panel), past_origins(panel)
    told, left_out, strange = [_Told() for _ in groups], panel.ruled(LEFT_OUT), _incidents(panel)
    works = [_Told() for _ in groups]
    for origin in origins:
        ahead = min(panel.ahead, panel.past - origin)
        forecast = expected_contacts(panel.until(origin, ahead))
        normal = ((panel.special[:, origin : origin + ahead] == NORMAL) & ~left_out[:, origin : origin + ahead])[:, :, None]
        came = np.where(normal, panel.offered[:, origin : origin + ahead], np.nan)
        work = handling.work(came, origin, slice(origin, origin + ahead)) if handling else None
        for (low, high), group, of_work in zip(groups, told, works, strict=True):
            within = np.arange(low - 1, min(high, ahead))
            if within.size:
                group.came.append(came[:, within])
                group.usual.append(np.where(strange[:, origin : origin + ahead], np.nan, came)[:, within])
                group.mean.append(forecast[:, within])
                share = 0.5 ** ((panel.past - origin) / panel.week() / 13) / within.size
                group.weight.append(np.full(within.size, share))
                if handling and work is not None:
                    of_work.came.append(work[:, within])
                    of_work.mean.append(forecast[:, within] / handling.compound[:, None, None])
                    of_work.weight.append(group.weight[-1])
    drift, lasting = Drift(), tuple[float, ...]()
    if groups and told[0].came:
        drift = learn_drift(np.concatenate(told[0].mean, 1).swapaxes(0, 1), np.concatenate(told[0].usual, 1).swapaxes(0, 1))
        lasting = _learn_lasting(told, drift)
    foretold = panel.past - _first_origin(panel)
    scales = [
        _scale(panel.series, foretold, [(of(g), len(g.came)) if g.came else None for g in kind])
        for kind in ((told, works) if handling else (told,))
        for of in (_Told.intervals, _Told.days)
    ]
    between = _between_days(told[1]) if len(told) > 1 else USUAL_BETWEEN_DAYS
    intervals, days = scales[:2]
    if handling is None:
        return Spread(groups, intervals, days, drift, between, lasting=lasting)
    return Spread(groups, intervals, days, drift, between, scales[2], scales[3], handling.compound, lasting)


def _incidents(panel: Panel) -> Flags:
    """Return the past intervals that stand out by far, or lie in a day that does (N, T, S)."""
    days = days_of(panel)
    found: Flags = days.hours | days.incidents[:, :, None]
    return found


def _learn_lasting(told: list[_Told], drift: Drift) -> tuple[float, ...]:
    """Return what share of a day's run tomorrow, the rest of the week and the week after keep, as far as past forecasts reach."""
    later = [told[1].pairs(slice(0, 1)), told[1].pairs(slice(1, None))] if len(told) > 1 else []
    later += [told[2].pairs(slice(0, None))] if len(told) > 2 else []
    return learn_lasting([(mean[:, 0], came[:, 0]) for mean, came in told[0].pairs(slice(0, 1))], later, drift)


def _between_days(told: _Told) -> float:
    """Return the correlation of the relative errors of days that one forecast foretold, over series and origins, pulled to a
    usual one and held to 0 to 1."""
    pairs, squares, origins = 0.0, 0.0, 0.0
    for came, mean in zip(told.came, told.mean, strict=True):
        seen = ~np.isnan(came)
        total, expected = np.where(seen, came, 0.0).sum(axis=2), np.where(seen, mean, 0.0).sum(axis=2)
        known = expected > EPSILON
        error = np.where(known, total - expected, 0.0) / np.sqrt(np.maximum(expected.mean(axis=1, keepdims=True), EPSILON))
        count = known.sum(axis=1)
        several = count > 1
        if several.any():
            inner = (error.sum(axis=1) ** 2 - (error**2).sum(axis=1))[several] / (count * (count - 1))[several]
            pairs += float(inner.mean())
            squares += float(((error**2).sum(axis=1)[several] / count[several]).mean())
            origins += 1
    own = pairs / squares if squares > 0 else USUAL_BETWEEN_DAYS
    return float(np.clip((origins * own + BETWEEN_WORTH * USUAL_BETWEEN_DAYS) / (origins + BETWEEN_WORTH), 0.0, 1.0))


def _for_few(days: int) -> Floats:
    """Return by what quantiles widen (7,) where errors were seen on few days: as Student's t does, beside what it does for as many as
    are looked at of a long past ("Student", 1908). What is usual counts as three days more, so t of one day is none."""
    if not 0 < days < ORIGINS:
        return np.ones(len(QUANTILES))
    tails = np.where(GAUSS == 0, 0.9, QUANTILES)  # the median stays
    wider: Floats = np.where(GAUSS == 0, 1.0, stdtrit(max(days - 1, LEAST_FREEDOM), tails) / stdtrit(ORIGINS - 1, tails))
    return wider


def _scale(series: int, days: int, told: list[tuple[tuple[Floats, Floats, Floats], int] | None]) -> Scale:
    """Return the scale of each group, errors seen on so many days; one that no past forecast reached is wider than the one before it."""
    overdispersion, errors = np.zeros((series, len(told))), np.zeros((len(told), len(QUANTILES)))
    for g, group in enumerate(told):
        if group is not None:
            overdispersion[:, g], errors[g] = _errors(*group[0], group[1])
        elif g:
            overdispersion[:, g], errors[g] = overdispersion[:, g - 1] * 1.5, errors[g - 1]
        else:
            overdispersion[:, g], errors[g] = USUAL_OVERDISPERSION, GAUSS
    middle = errors[:, 3:4]
    errors = middle + (errors - middle) * _for_few(days)
    return Scale(overdispersion, errors)


def _errors(actual: Floats, mean: Floats, weight: Floats, origins: int) -> tuple[Floats, Floats]:
    """Return φ (N,) and quantiles of errors (7,) of forecasts (N, K), weighted (K,)."""
    seen = ~np.isnan(actual) & (mean > EPSILON)
    y, m, w = np.where(seen, actual, 0.0), np.where(seen, mean, 0.0), weight * seen
    excess, square = (w * ((y - m) ** 2 - m)).sum(axis=1), (w * m**2).sum(axis=1)
    pooled = max(float(excess.sum() / max(square.sum(), EPSILON)), LEAST)
    own = (excess + POOLED_WORTH / max(origins, 1) * pooled * square) / (
        square * (1 + POOLED_WORTH / max(origins, 1)) + EPSILON
    )
    phi = np.clip(np.where(square > 0, own, pooled), LEAST, MOST_OVERDISPERSION)
    error = stabilised(y, phi[:, None]) - stabilised(m, phi[:, None])
    order = np.argsort(error[seen])
    sorted_errors, sorted_weights = error[seen][order], w[seen][order]
    if not order.size:
        return phi, GAUSS
    place = (np.cumsum(sorted_weights) - 0.5 * sorted_weights) / sorted_weights.sum()
    empirical = np.interp(QUANTILES, place, sorted_errors)
    scale = (empirical[5] - empirical[1]) / (GAUSS[5] - GAUSS[1])
    usual = origins / (origins + GAUSS_WORTH) * empirical[3] + (origins * scale + GAUSS_WORTH) / (origins + GAUSS_WORTH) * GAUSS
    own = empirical - empirical[3] * GAUSS_WORTH / (origins + GAUSS_WORTH)  # few days that went together say little of where
    quantiles: Floats = (origins * own + GAUSS_WORTH * usual) / (origins + GAUSS_WORTH)
    return phi, quantiles


def group_of(groups: tuple[tuple[int, int], ...], ahead: int) -> Ints:
    """Return the group of each horizon 1 … ahead (H,)."""
    firsts = np.array([low for low, _ in groups])
    return np.searchsorted(firsts, np.arange(1, ahead + 1), side="right") - 1


def _around(mean: Floats, group: Ints, scale: Scale) -> Floats:
    """Return quantiles (N, H, S, 7) around means (N, H, S), ascending, never below 0.

    A series whose past is more even than chance allows is taken to vary as Poisson counts do.
    """
    phi = scale.overdispersion[:, group][:, :, None, None]
    errors = scale.errors[group][None, :, None, :]
    wider = np.where(GAUSS < 0, np.minimum(errors, GAUSS), np.where(GAUSS > 0, np.maximum(errors, GAUSS), errors))
    wide = restored(stabilised(mean[..., None], phi) + np.where(phi <= LEAST, wider, errors), phi)
    ordered: Floats = np.maximum.accumulate(np.where(mean[..., None] > 0, wide, 0.0), axis=-1)
    return ordered


def quantiles_of(mean: Floats, spread: Spread) -> Floats:
    """Return quantiles (N, H, S, 7) around means (N, H, S), ascending, never below 0."""
    return _around(mean, group_of(spread.groups, mean.shape[1]), spread.intervals)


def day_quantiles_of(mean: Floats, spread: Spread) -> Floats:
    """Return quantiles (N, H, 7) of day totals: their own, since errors of a day's intervals go together."""
    return _around(mean.sum(axis=2, keepdims=True), group_of(spread.groups, mean.shape[1]), spread.days)[:, :, 0]


def work_quantiles_of(mean: Floats, spread: Spread) -> tuple[Floats, Floats]:
    """Return quantiles of workload (N, H, S, 7) and of its day totals (N, H, 7), in contacts of the AHT expected."""
    assert spread.work
    assert spread.work_days
    assert spread.compound is not None
    group, more = group_of(spread.groups, mean.shape[1]), spread.compound[:, None, None]
    of_days = _around(mean.sum(axis=2, keepdims=True) / more, group, spread.work_days)
    return more[..., None] * _around(mean / more, group, spread.work), more * of_days[:, :, 0]
