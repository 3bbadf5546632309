"""An office in London, open nine to five on working days, and its clock."""

import datetime as dt

from muster.domain.calendar import Opening, OpeningHours, resolve

WEEK = frozenset(range(5))
OFFICE = OpeningHours((Opening(WEEK, 9 * 3600, 17 * 3600),), ("GB",))
LONDON = "Europe/London"


def at(text: str, zone: str = LONDON) -> int:
    return resolve(dt.datetime.fromisoformat(text), zone)
