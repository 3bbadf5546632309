"""What a forecast of one queue needs, and what it says."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from muster.domain.calendar import OpeningHours
from muster.domain.paths import QUANTILES
from services.forecaster.domain.cold import Profile
from services.forecaster.domain.engine.intraday import Drift
from services.forecaster.domain.engine.panel import LEARNED, LEFT_OUT, RULED_NOTHING, Floats
from services.forecaster.domain.engine.spread import USUAL_BETWEEN_DAYS
from services.forecaster.domain.outlook import OutlookDay

LEVELS = QUANTILES


def held_then(before: Sequence[tuple[dt.date, OpeningHours]], day: dt.date, today: OpeningHours) -> OpeningHours:
    """Return the hours that held on a past day. before: (since when, hours), ascending; of days before the first, the first."""
    found = before[0][1] if before else today
    for since, hours in before:
        found = hours if since <= day else found
    return found


@dataclasses.dataclass(frozen=True)
class QueueFacts:
    """What a forecast of one queue needs. `cells`: start → (offered, handled, handle_ms), as known, closed ones only. `events`: (first
    day, last day, whether they count) as people say; `shares`: from which day on we have which share of the client's volume, ascending:
    a change of share is no trend, so the past is read as if today's had always been. `older`: contacts of normal days before the
    cells, our share of them as it was; `earlier`: contacts by slot of holidays and part days before the cells; `profile`: how
    what is declared spreads over the week. `unfinished`: start → contacts answered and not wrapped up at `known_at`. `before`: (since
    when, hours) that held in the past, ascending, today's last; `known_through`: the instant up to which cells are closed."""

    queue: str
    zone: str
    seconds: int
    hours: OpeningHours
    cells: Mapping[int, tuple[int | None, int | None, int | None]]
    weekly_offered: float | None = None
    declared_aht: float | None = None
    later: tuple[tuple[dt.date, OpeningHours | None], ...] = ()
    events: tuple[tuple[dt.date, dt.date, bool], ...] = ()
    shares: tuple[tuple[dt.date, float], ...] = ()
    older: Mapping[dt.date, float] = dataclasses.field(default_factory=dict)
    profile: Profile = Profile()
    earlier: Mapping[dt.date, Mapping[int, float]] = dataclasses.field(default_factory=dict)
    unfinished: Mapping[int, int] = dataclasses.field(default_factory=dict)
    known_at: int = 0
    before: tuple[tuple[dt.date, OpeningHours], ...] = ()
    known_through: int = 0

    def share_on(self, day: dt.date) -> float:
        """Return our share of the client's volume on a day: the one declared last by then, 1 before any."""
        found = 1.0
        for since, share in self.shares:
            found = share if since <= day else found
        return found

    def read_as(self, today: dt.date) -> float:
        """Return the share that the past is read as if it had always been ours: today's, or the last one that was any."""
        held = [share for since, share in self.shares if since <= today and share > 0]
        return self.share_on(today) or (held[-1] if held else 1.0)

    def rulings(self, days: Sequence[dt.date]) -> NDArray[np.int64]:
        """Return what a person says of each day: RULED_NOTHING, LEARNED or LEFT_OUT; the last event that names it counts."""
        found = np.full(len(days), RULED_NOTHING, np.int64)
        for first, last, learned in self.events:
            for place, day in enumerate(days):
                if first <= day <= last:
                    found[place] = LEARNED if learned else LEFT_OUT
        return found

    def hours_then(self, day: dt.date) -> OpeningHours:
        """Return the hours that held on a past day: of days before any were declared, the first."""
        return held_then(self.before, day, self.hours)

    def hours_on(self, day: dt.date) -> OpeningHours | None:
        """Return the hours that hold on a day to come; None where the queue is not declared for it. `later`: from when on
        which others hold, ascending."""
        found: OpeningHours | None = self.hours
        for since, hours in self.later:
            found = hours if since <= day else found
        return found


@dataclasses.dataclass(frozen=True)
class DayForecast:
    """One local day. Arrays over its open intervals: starts (I,), offered (I,), aht (I,) seconds, quantiles (I, 7); parts: the
    factors of the day's total (see Expected), and its quantiles, none where it rests on a declared profile. workload_quantiles
    (I, 7) and work_total_quantiles: of contacts × AHT, hours of handling; drift: how such a day leaves its forecast."""

    day: dt.date
    starts: tuple[int, ...]
    offered: Floats
    aht: Floats
    offered_quantiles: Floats
    aht_quantiles: Floats
    workload_quantiles: Floats
    parts: tuple[float, ...] = ()
    total_quantiles: tuple[float, ...] = ()
    work_total_quantiles: tuple[float, ...] = ()
    drift: Drift = Drift()


def hours_in_words(begin: int, end: int) -> str:
    """Return hours of a day, seconds since midnight, as 10:00-13:00."""
    return "-".join(f"{at // 3600:02}:{at % 3600 // 60:02}" for at in (begin, end))


@dataclasses.dataclass(frozen=True)
class Incident:
    """A past day, or hours of one, that nothing is learnt from: what came, what was usual, and whether people said so or it stood out.
    hours: from when to when by the clock, in seconds since midnight; none: the whole day."""

    day: dt.date
    offered: float
    usual: float
    ruled: bool
    hours: tuple[int, int] | None = None

    @property
    def words(self) -> str:
        """Return when it was: the day, and the hours if it is not all of it."""
        return " ".join([self.day.isoformat(), *([hours_in_words(*self.hours)] if self.hours else [])])


@dataclasses.dataclass(frozen=True)
class QueueForecast:
    """Days in order; what they rest on; φ of the variance a day ahead; incidents: days left out of learning, with what they brought
    and what was usual; totals: contacts of the past's normal days; outlook: the days of twelve months, and how many earlier years they
    rest on; known_through: the instant up to which what it saw was closed; lasting: what share of how today runs later days keep."""

    queue: str
    days: tuple[DayForecast, ...]
    rests_on: str
    history_days: int
    dispersion: float
    between_days: float = USUAL_BETWEEN_DAYS
    incidents: tuple[Incident, ...] = ()
    totals: Mapping[dt.date, float] = dataclasses.field(default_factory=dict)
    outlook: tuple[OutlookDay, ...] = ()
    outlook_years: int = 0
    known_through: int = 0
    lasting: tuple[float, ...] = ()
