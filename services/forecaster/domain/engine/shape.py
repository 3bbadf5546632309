"""When in the day: weekday-slot profiles, and the day's form as a few patterns that come and go (low rank)."""

import numpy as np

from services.forecaster.domain.engine.level import GROUPS, Level
from services.forecaster.domain.engine.panel import EPSILON, Days, Floats, Ints, Panel

PROFILE_WEEKS = 12.0
PATTERN_WEEKS = 6.0
PATTERNS = 4
PATTERN_RATES = (0.08, 0.2, 0.5, 0.9)
PATTERN_RIDGE_DAYS = 50.0
PATTERN_MEMORY_WEEKS = 16.0
QUARTER = 0.25
# Contacts to be expected in a slot, below which none is no sign of its being closed (1 in 20).
CHANCE = 3.0


def profiles(days: Days, weekdays: Ints, weeks: float = PROFILE_WEEKS) -> Floats:
    """Return each weekday's share per slot (N, 7, S), each pulled to the other days' as far as its own counts can't tell them
    apart (Dirichlet-multinomial, by moments: Mosimann, 1962)."""
    weight = days.counted * 0.5 ** (days.weeks_ago / weeks)
    counts = np.stack([np.einsum("nd,nds->ns", weight[:, weekdays == d], days.counts[:, weekdays == d]) for d in range(7)], 1)
    everything = counts.sum(axis=1, keepdims=True)
    total = counts.sum(axis=2, keepdims=True)
    own = counts / np.maximum(total, EPSILON)
    usual = everything / np.maximum(everything.sum(axis=2, keepdims=True), EPSILON)
    may_be_open = (counts > 0) | (usual * total < CHANCE)  # a slot where nothing came may have been open on a quiet line
    rest = np.where(may_be_open, everything - counts, 0.0)
    pool = rest / np.maximum(rest.sum(axis=2, keepdims=True), EPSILON)
    room = np.maximum(1 - (pool**2).sum(axis=2, keepdims=True), EPSILON)
    others = np.maximum((everything - counts).sum(axis=2, keepdims=True), 1.0)
    between = np.clip(
        ((own - pool) ** 2).sum(axis=2, keepdims=True) / room - 1 / np.maximum(total, 1.0) - 1 / others, 1e-6, 1.0
    )
    trust = total / (total + 1 / between)
    shares = np.where(rest.sum(axis=2, keepdims=True) > 0, trust * own + (1 - trust) * pool, own)
    shares = np.where(total > 0, shares, usual)  # a weekday never seen open looks like the others
    whole: Floats = shares / np.maximum(shares.sum(axis=2, keepdims=True), EPSILON)
    return whole


def _patterns(roots: Floats, weight: Floats) -> Floats:
    """Return the K strongest patterns (N, K, S) of the days' forms, orthonormal (weighted singular vectors)."""
    weighted = roots * np.sqrt(weight)[:, :, None]
    if roots.shape[1] <= roots.shape[2]:
        _, vectors = np.linalg.eigh(weighted @ weighted.transpose(0, 2, 1))
        found = vectors[:, :, ::-1][:, :, :PATTERNS].transpose(0, 2, 1) @ weighted
        size: Floats = np.linalg.norm(found, axis=2, keepdims=True)
        return found / np.maximum(size, EPSILON)
    _, vectors = np.linalg.eigh(weighted.transpose(0, 2, 1) @ weighted)
    strongest: Floats = vectors[:, :, ::-1][:, :, :PATTERNS].transpose(0, 2, 1)
    return strongest


def _running_means(values: Floats, counted: Floats) -> Floats:
    """Return weighted means of (N, T, K) before each day by rate (N, T + 1, K, R)."""
    keep = 1.0 - np.array(PATTERN_RATES)
    over = np.zeros((*values.shape[::2], len(keep)))
    under = np.full((values.shape[0], 1, len(keep)), EPSILON)
    means = np.zeros((values.shape[0], values.shape[1] + 1, values.shape[2], len(keep)))
    for day in range(values.shape[1]):
        means[:, day] = over / under
        seen = counted[:, day, None, None] > 0
        over = np.where(seen, keep * over + values[:, day, :, None], over)
        under = np.where(seen, keep * under + 1, under)
    means[:, -1] = over / under
    return means


def low_rank(panel: Panel, days: Days, level: Level) -> Floats:
    """Return expected contacts (N, H, S): square roots of counts, as weekday means of a few patterns plus what carries over.

    After Shen & Huang (2008), "Interday forecasting and intraday updating of call center arrivals". The time of the month
    comes in as a factor, from the level's regression.
    """
    past, ahead, weekdays = panel.past, panel.ahead, panel.weekdays()
    counted = days.counted.astype(float)
    roots = np.sqrt(days.counts + QUARTER)
    weight = counted * 0.5 ** (days.weeks_ago / PATTERN_WEEKS)
    patterns = _patterns(roots, weight)
    scores = roots @ patterns.transpose(0, 2, 1)
    usual = np.zeros((panel.series, 7, patterns.shape[1]))
    overall = np.einsum("nd,ndk->nk", weight, scores) / np.maximum(weight.sum(1), EPSILON)[:, None]
    for day in range(7):
        own = weight[:, weekdays[:past] == day]
        known = own.sum(axis=1)[:, None]
        mean = np.einsum("nd,ndk->nk", own, scores[:, weekdays[:past] == day]) / np.maximum(known, EPSILON)
        usual[:, day] = np.where(known > 0, mean, overall)
    off = (scores - usual[:, weekdays[:past]]) * counted[:, :, None]
    carried = _running_means(off, counted)
    ahead_scores = usual[:, weekdays[past:]] + _carry_over(carried, off, counted, ahead, panel.week())
    before = (usual[:, weekdays[:past]] + carried[:, :past, :, 1]) @ patterns
    noise = ((roots - before) ** 2 * weight[:, :, None]).sum(1) / np.maximum(weight.sum(1), EPSILON)[:, None]
    expected = np.maximum(ahead_scores @ patterns, 0.0) ** 2 + noise[:, None] - QUARTER
    expected = np.maximum(expected, 0.0) * (1 + level.month)[:, :, None]
    full: Floats = expected
    return full


def _carry_over(carried: Floats, off: Floats, counted: Floats, ahead: int, week: int) -> Floats:
    """Return by how much each pattern will still be off (N, H, K): per series and horizon a ridge regression on its running
    means, pulled to their plain mean for the strongest pattern and to nothing for the others."""
    series, past, kinds = off.shape
    rates = carried.shape[-1]
    result = np.zeros((series, ahead, kinds))
    prior = np.zeros((kinds, rates))
    prior[0] = 1.0 / rates
    for place, (low, high) in enumerate(GROUPS):
        if low > ahead:
            break
        last = ahead if place == len(GROUPS) - 1 else min(high, ahead)
        gram, moment = np.zeros((series, kinds, rates, rates)), np.zeros((series, kinds, rates))
        seen, tried = np.zeros(series), 0
        for horizon in range(low, min(high, ahead) + 1, 1 if high < 9 else 3):
            origins = np.arange(2 * week, past - horizon + 1)
            if not origins.size:
                continue
            target = origins + horizon - 1
            weight = counted[:, target] * 0.5 ** ((past - origins) / week / PATTERN_MEMORY_WEEKS)
            x = carried[:, origins].transpose(0, 2, 1, 3)
            wrong = off[:, target].transpose(0, 2, 1) - np.einsum("nkor,kr->nko", x, prior)
            weighted = x * weight[:, None, :, None]
            gram += weighted.transpose(0, 1, 3, 2) @ x
            moment += (weighted.transpose(0, 1, 3, 2) @ wrong[..., None])[..., 0]
            seen, tried = seen + weight.sum(axis=1), tried + 1
        scale = np.trace(gram, axis1=2, axis2=3) / rates * PATTERN_RIDGE_DAYS / np.maximum(seen / max(tried, 1), 1.0)[:, None]
        gram += (scale + EPSILON)[:, :, None, None] * np.eye(rates)
        weights = prior + np.linalg.solve(gram, moment[..., None])[..., 0]
        result[:, low - 1 : last] = np.einsum("nkr,nkr->nk", carried[:, past], weights)[:, None]
    return result
