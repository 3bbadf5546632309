"""A queue of twenty contacts each half-hour, around the clock."""

import datetime as dt

import numpy as np

from muster.domain.calendar import Opening, OpeningHours, dates

HOURS = OpeningHours((Opening(frozenset(range(7)), 0, 24 * 3600),))
MONDAY = dt.date(2026, 4, 6)  # eight days after the clocks went forward


def cells(days: int, zone: str = "Europe/London") -> dict[int, tuple[int | None, int | None, int | None]]:
    luck = np.random.default_rng(4)
    told: dict[int, tuple[int | None, int | None, int | None]] = {}
    for day in dates(MONDAY - dt.timedelta(days=days), MONDAY - dt.timedelta(days=1)):
        for start in HOURS.open_starts(day, zone, 1800):
            offered = int(luck.poisson(20))
            told[start] = (offered, offered, offered * 200_000)
    return told
