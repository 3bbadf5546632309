"""What stands out by far from its weekday's usual: whole days, and hours of a day. Nothing is learnt from it."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

SPIKE, OUTAGE = 4.0, 0.2
INCIDENT_DAYS, INCIDENT_CONTACTS = 4, 20.0
LEVEL_CHANGE_DAYS = 3
INCIDENT_SLOTS = 2
# A slot is looked at closely beyond so many times its weekday's mean, or below 1 / 1.5 of an outage's part of it: two spikes or outages
# among six days are.
SPIKE_LOOK, OUTAGE_LOOK = 2.0, 1.5


def _usual(total: Floats, counted: Flags) -> tuple[Floats, Ints]:
    """Return the median of each day (N, W) and its four neighbours on either side, and of how many days it is."""
    around = np.arange(total.shape[1])[:, None] + np.arange(-INCIDENT_DAYS, INCIDENT_DAYS + 1)[None, :]
    inside = (around >= 0) & (around < total.shape[1])
    around = np.where(inside, around, 0)
    seen = counted[:, around] & inside[None]
    ordered = np.sort(np.where(seen, total[:, around], np.inf), axis=2)
    count = seen.sum(axis=2)
    middle = np.take_along_axis(ordered, np.maximum(count - 1, 0)[..., None] // 2, axis=2)[..., 0]
    return np.where(count > 0, middle, 0.0), count


def _in_runs(strange: Flags, counted: Flags) -> Flags:
    """Return which strange days (N, T) stand in a run of so many, days that don't count aside."""
    length, run = np.zeros(strange.shape, np.int64), np.zeros(len(strange), np.int64)
    for day in range(strange.shape[1]):
        run = np.where(strange[:, day], run + 1, np.where(counted[:, day], 0, run))
        length[:, day] = run
    most, held = np.zeros_like(length), np.zeros(len(strange), np.int64)
    for day in range(strange.shape[1] - 1, -1, -1):
        held = np.where(strange[:, day], np.maximum(held, length[:, day]), np.where(counted[:, day], 0, held))
        most[:, day] = held
    return strange & (most >= LEVEL_CHANGE_DAYS)


def usual_by_weekday(total: Floats, counted: Flags, weekdays: Ints) -> tuple[Floats, Ints]:
    usual, around = np.zeros(counted.shape), np.zeros(counted.shape, np.int64)
    for day in range(7):
        own = np.flatnonzero(weekdays == day)
        if own.size:
            usual[:, own], around[:, own] = _usual(total[:, own], counted[:, own])
    return usual, around


def find_incidents(total: Floats, counted: Flags, weekdays: Ints) -> Flags:
    """Return the days (N, T) that brought many times, or a small part, of what their weekday's days around them did: spikes and
    outages.

    A campaign of twice or three times is no incident, and three such days on end are a new level. Quiet lines have no outages, and
    spikes beyond many times what is no longer quiet: below, chance does the same. Where a weekday is hardly known yet, weekdays may
    differ as far as a spike: what goes as far beyond that is one, measured against the days around it.
    """
    usual, around = usual_by_weekday(total, counted, weekdays)
    known = counted & (around >= INCIDENT_DAYS) & (usual > 0)
    spikes = known & (total > SPIKE * np.maximum(usual, INCIDENT_CONTACTS))
    outages = known & (usual >= INCIDENT_CONTACTS) & (total < OUTAGE * usual)
    young = counted & (around < INCIDENT_DAYS)
    rows = np.flatnonzero(young.any(axis=1))
    if rows.size:
        usual, around = _usual(total[rows], counted[rows])
        far = SPIKE**2 * np.maximum(usual, INCIDENT_CONTACTS)
        spikes[rows] |= young[rows] & (around > INCIDENT_DAYS) & (usual > 0) & (total[rows] > far)
    found: Flags = (spikes & ~_in_runs(spikes, counted)) | (outages & ~_in_runs(outages, counted))
    return found


def _suspects(counts: Floats, observed: Flags, weekdays: Ints) -> Flags:
    """Return which days (N, T) are worth a close look for strange hours: a cheap one that leaves nearly all of them out."""
    found = np.zeros(counts.shape[:2], dtype=bool)
    for day in range(7):
        own = np.flatnonzero(weekdays == day)
        if own.size < INCIDENT_DAYS:
            continue
        came, seen = counts[:, own], observed[:, own]
        mean = came.sum(axis=1, keepdims=True) / np.maximum(seen.sum(axis=1, keepdims=True), 1)
        for strange, told, least in (
            (came > SPIKE_LOOK * mean, came, SPIKE * INCIDENT_CONTACTS),
            (seen & (came < OUTAGE_LOOK * OUTAGE * mean), mean, INCIDENT_CONTACTS / OUTAGE_LOOK),
        ):
            pairs = strange[..., 1:] & strange[..., :-1]
            some = np.nonzero(pairs.any(axis=2))
            ends = np.pad(pairs[some], ((0, 0), (1, 1)))
            brought = np.where(ends[:, 1:] | ends[:, :-1], np.broadcast_to(told, came.shape)[some], 0.0).sum(axis=1)
            found[some[0][brought >= least], own[some[1][brought >= least]]] = True
    return found


def _usual_hours(counts: Floats, observed: Flags, weekdays: Ints, rows: Ints, days: Ints) -> tuple[Floats, Ints]:
    """Return the median of each slot (M, S) of the four weekdays on either side of some days, and of how many it is."""
    steps = np.delete(np.arange(-INCIDENT_DAYS, INCIDENT_DAYS + 1), INCIDENT_DAYS)
    around = np.full((len(weekdays), len(steps)), -1)
    for day in range(7):
        own = np.flatnonzero(weekdays == day)
        places = np.arange(own.size)[:, None] + steps
        inside = (places >= 0) & (places < own.size)
        around[own] = np.where(inside, own[np.where(inside, places, 0)], -1)
    near = around[days]
    seen = observed[rows[:, None], near] & (near >= 0)[..., None]
    ordered = np.sort(np.where(seen, counts[rows[:, None], near], np.inf), axis=1)
    count = seen.sum(axis=1)
    middle = np.stack([np.maximum(count - 1, 0) // 2, count // 2], axis=1)
    median = np.take_along_axis(ordered, middle, axis=1).mean(axis=1)
    return np.where(count > 0, median, 0.0), count


def _of_runs(strange: Flags, values: Floats) -> Floats:
    """Return of each strange slot (M, S) the sum of its run of strange slots on end, 0 elsewhere."""
    first = strange.copy()
    first[:, 1:] &= ~strange[:, :-1]
    run = np.where(strange, np.cumsum(first).reshape(strange.shape), 0)
    sums = np.bincount(run.ravel(), np.where(strange, values, 0.0).ravel())
    return np.asarray(sums[run], float)


def _level(came: Floats, usual: Floats, of: Flags) -> Floats:
    """Return how many times the usual each day (M, 1) brought in some of its slots, 1 where they tell nothing."""
    due = np.where(of, usual, 0.0).sum(axis=1, keepdims=True)
    level: Floats = np.where(due > 0, np.where(of, came, 0.0).sum(axis=1, keepdims=True) / np.where(due > 0, due, 1.0), 1.0)
    return level


def _mostly(strange: Flags, usual: Floats, seen: Flags) -> Flags:
    """Return of which days (M, 1) strange slots are the greater part of what is usual."""
    part, whole = (
        np.where(strange, usual, 0.0).sum(axis=1, keepdims=True),
        np.where(seen, usual, 0.0).sum(axis=1, keepdims=True),
    )
    most: Flags = 2 * part >= whole
    return most


def _strange_hours(came: Floats, seen: Flags, usual: Floats, known: Flags) -> tuple[Flags, Flags]:
    """Return which slots (M, S) are hours of a spike and of an outage.

    What is usual is taken times what the rest of the day brought of its own: a busy day is no spike, a quiet one no outage. Where
    half of a day and more is strange, all of it tells what kind of day it is. Slots right before and after that stand out half as
    far (on a scale of factors) are part of it: few incidents begin and end with an interval.
    """
    strange = known & ((came > SPIKE * usual) | (came < OUTAGE * usual))
    level = _level(came, usual, seen & ~(strange & ~_mostly(strange, usual, seen)))
    high, low = np.maximum(level, 1.0) * usual, np.minimum(level, 1.0) * usual
    spikes, outages = known & (came > SPIKE * high), known & (came < OUTAGE * low)
    edges = known & (came > SPIKE**0.5 * high) & (usual > 0), known & (came < OUTAGE**0.5 * low)
    for kind, edge, due, is_far in ((spikes, edges[0], high, _is_spike), (outages, edges[1], low, _is_outage)):
        several = _of_runs(kind, np.ones(came.shape)) >= INCIDENT_SLOTS
        kind &= several & is_far(_of_runs(kind, came), _of_runs(kind, due))
        kind |= _of_runs(kind | edge, kind.astype(float)) > 0
    return spikes, outages


def _is_spike(came: Floats, usual: Floats) -> Flags:
    return (usual > 0) & (came > SPIKE * np.maximum(usual, INCIDENT_CONTACTS))


def _is_outage(came: Floats, usual: Floats) -> Flags:
    return (usual >= INCIDENT_CONTACTS) & (came < OUTAGE * usual)


def fill_hours(counts: Floats, observed: Flags, weekdays: Ints, learned: Flags) -> tuple[Flags, Flags]:
    """Find the hours of days (N, T, S) that are spikes and outages, and put into `counts` what the rest of their day lets expect;
    return them, and the days (N, T) of which they are the greater part, so that the rest says too little.

    Hours are several slots on end, each of which stands out as a day has to, and together bring, or should bring, as many contacts.
    Where the same slots stand out on three days on end they are a new form of the day, and count.
    """
    hours, mostly = np.zeros(counts.shape, dtype=bool), np.zeros(counts.shape[:2], dtype=bool)
    rows, days = np.nonzero(_suspects(counts, observed, weekdays))
    usual, around = _usual_hours(counts, observed, weekdays, rows, days)
    came, seen = counts[rows, days], observed[rows, days]
    kinds = _strange_hours(came, seen, usual, seen & (around >= INCIDENT_DAYS))
    found = _passing(kinds, rows, days, observed) & ~learned[rows, days, None]
    most = found.any(axis=1) & _mostly(found, usual, seen)[:, 0]
    mostly[rows[most], days[most]] = True
    found &= ~most[:, None]
    hours[rows, days] = found
    counts[rows, days] = np.where(found, usual * _level(came, usual, seen & ~found), came)
    return hours, mostly


def _passing(kinds: tuple[Flags, Flags], rows: Ints, days: Ints, observed: Flags) -> Flags:
    """Return which strange slots (M, S) of either kind are not so on as many days on end as make a new form of the day."""
    found = kinds[0] | kinds[1]
    some = found.any(axis=1)
    series, place = np.unique(rows[some], return_inverse=True)
    if not series.size:
        return found
    counted = observed[series].swapaxes(1, 2).reshape(-1, observed.shape[1])
    for kind in kinds:
        strange = np.zeros((len(series), *observed.shape[:0:-1]), dtype=bool)
        strange[place, :, days[some]] = kind[some]
        lasting = _in_runs(strange.reshape(counted.shape), counted).reshape(strange.shape)
        found[some] &= ~lasting[place, :, days[some]]
    return found
