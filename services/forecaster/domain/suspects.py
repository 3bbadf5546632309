"""Past intervals that are empty though their week usually brings contacts: a cheap look that leaves nearly all days out."""

import math
from collections.abc import Mapping

import numpy as np

from muster.domain.calendar import DAY
from services.forecaster.domain.today import IMPOSSIBLE

# Of fewer contacts than ln 1,000 none come more often than once in 1,000 by Poisson, and more often still by any wider law. A forecast may
# have expected half as many again as its time of the week brings on the mean.
LEAST_USUAL = -math.log(IMPOSSIBLE) / 1.5


def suspected(offered: Mapping[int, int | None], seconds: int, midnight: int) -> list[int]:
    """Return the starts of empty intervals, ascending, that together with those on end would usually bring too many contacts to be.

    offered: contacts by start, None: not observed. Usual is the mean of the same time of the week, of days on which anything came: at
    a time at which nothing ever came nothing is missing. midnight: a local one; a clock change blurs days by an hour.
    """
    starts = np.array(sorted(offered), dtype=np.int64)
    counts = np.array([math.nan if (n := offered[s]) is None else n for s in starts.tolist()], dtype=float)
    empty = counts == 0
    if not empty.any():
        return []
    days, slots = (starts - midnight) // DAY, (starts - midnight) % DAY // seconds
    days -= days[0]
    came = np.zeros((-(-(int(days[-1]) + 1) // 7) * 7, DAY // seconds))
    came[days, slots] = np.nan_to_num(counts)
    weeks = came.reshape(-1, 7, came.shape[1])
    usual = weeks.sum(axis=0) / np.maximum(weeks.any(axis=2).sum(axis=0), 1)[:, None]
    run = np.cumsum((np.diff(empty, prepend=False)) | (np.diff(days, prepend=0) > 0))
    due = np.bincount(run, np.where(empty, usual[days % 7, slots], 0.0))
    found: list[int] = starts[empty & (due[run] >= LEAST_USUAL)].tolist()
    return found
