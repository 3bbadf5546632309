"""From a day of forecast to a day of requirement."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from muster.domain.calendar import round_the_clock
from muster.domain.due_rule import DueRule
from services.staffing.domain.carried import Carried, carry, joined
from services.staffing.domain.chatting import ChatLoad, joined_chats
from services.staffing.domain.erlang import Floats
from services.staffing.domain.facts import ForecastDay, RequirementDay
from services.staffing.domain.outbound import Campaign
from services.staffing.domain.patience import Patience
from services.staffing.domain.requirement import Rules, fewest_of_all, require
from services.staffing.handlers.spreading import levels_of, more_for

# How an ASA is published where nobody is answered.
NEVER_SECONDS = 86_400.0


@dataclasses.dataclass(frozen=True)
class QueueRules:
    """What a queue's requirement rests on: rules, patience in seconds (inf: unknown), and the formula's name.

    at_once: chats that an agent may have, 1 for calls; by_level: AHT with 1 … at_once of them, seconds, none: the forecast's at each.
    due: when deferred work must be done, None where contacts wait; kept: the share that must. campaign: what outbound is to reach;
    seen: what patience rests on; zone: whose midnights part the queue's days.
    """

    rules: Rules
    patience: float
    formula: str
    at_once: int = 1
    by_level: tuple[float, ...] = ()
    due: DueRule | None = None
    kept: float = 1.0
    campaign: Campaign | None = None
    seen: Patience | None = None
    zone: str = "UTC"

    @property
    def in_line(self) -> bool:
        """Whether contacts wait in line: neither work with a deadline nor outbound."""
        return self.due is None and self.campaign is None

    def levels(self, aht: Floats) -> Floats:
        """Return the AHT (I, at_once) by chats at once; aht (I,): the forecast's."""
        levels: Floats = (
            np.tile(self.by_level, (aht.size, 1))
            if self.by_level
            else np.tile(np.maximum(np.round(aht), 1.0)[:, None], self.at_once)
        )
        return levels


def load_of(day: ForecastDay, offered: Sequence[float], rules: QueueRules) -> Carried | ChatLoad:
    """Return a day's load as it is carried, with `offered` contacts an interval."""
    volume, aht, starts = np.array(offered, float), np.array(day.aht, float), np.array(day.starts)
    around = round_the_clock(day.starts, day.seconds, rules.zone)
    if rules.at_once == 1:
        return carry(volume, aht, starts, day.seconds, rules.patience, around=around)
    levels = rules.levels(aht)
    return ChatLoad(carry(volume, levels[:, -1], starts, day.seconds, rules.patience, around=around), levels)


def _joined(days: Sequence[Carried | ChatLoad]) -> Carried | ChatLoad:
    chats = [day for day in days if isinstance(day, ChatLoad)]
    return joined_chats(chats) if chats else joined([day for day in days if isinstance(day, Carried)])


def on_forecast(days: Sequence[ForecastDay], rules: QueueRules, version: int, now: int) -> list[RequirementDay]:
    """Return the requirement of a queue's days, computed together; the same day always gives the same."""
    seconds = days[0].seconds
    mean = _joined([load_of(day, day.offered, rules) for day in days])
    high = _joined([load_of(day, day.high, rules) for day in days])
    more = [more_for(day, rules.rules, rules.patience, levels_of(day, rules.at_once, rules.by_level)) for day in days]
    raised = None
    if any(m is not None for m in more):  # a closed day has none
        raised = np.concatenate(
            [np.zeros(len(d.starts), np.int64) if m is None else m for d, m in zip(days, more, strict=True)]
        )
    at_mean, safe = require(mean, rules.rules, raised), fewest_of_all(high, rules.rules)[0]
    columns: dict[str, Floats] = {
        "load": at_mean.load,
        "carried": mean.mean,
        "on_queue": at_mean.on_queue,
        "on_queue_safe": np.maximum(safe, at_mean.on_queue),
        "scheduled": at_mean.scheduled,
        "paid": at_mean.paid,
        "asa": np.where(np.isfinite(at_mean.asa), at_mean.asa, NEVER_SECONDS),
        "abandonment": at_mean.abandonment,
        "occupancy": at_mean.occupancy,
        "service_level": at_mean.service_level,
    }
    # Nine decimals: what the last bits hold is arithmetic.
    plain = np.round(np.stack(list(columns.values())), 9).tolist()
    told: dict[str, list[float]] = dict(zip(columns, plain, strict=True))
    level = [None if math.isnan(v) else v for v in told.pop("service_level")]
    answers, place = [], 0
    for day in days:
        rows = slice(place, place + len(day.starts))
        place += len(day.starts)
        answers.append(
            RequirementDay(
                queue=day.queue,
                local_date=day.local_date,
                seconds=seconds,
                starts=day.starts,
                version=version,
                forecast_version=day.version,
                service_level=level[rows],
                drivers=list(at_mean.driver[rows]),
                formula=rules.formula,
                unplaced_shrinkage=round(rules.rules.unplaced_shrinkage, 9),
                made_at=now,
                watermark=day.watermark,
                **{name: column[rows] for name, column in told.items()},
            )
        )
    return answers
