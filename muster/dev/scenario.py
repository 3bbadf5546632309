"""What happens on the demo's day: a shock, a sick-leave wave, a feed that dies, an official correction, offers answered."""

import dataclasses
import math
from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from muster.dev.floor_feed import Roster
from muster.dev.history import OVERNIGHT_SECONDS
from muster.dev.world import DEMO_DAY, QUEUES, CampaignWorld, QueueWorld, demand, demo_bounds
from muster.dev.world_book import book_data
from muster.domain.calendar import Opening, OpeningHours, dates, local_date
from muster.simulator.arrivals import Caller, draw_callers, draw_talks, merge
from muster.simulator.floor import Habits, chance
from muster.simulator.lines import Calls, Manner
from muster.v1 import decision_pb2, volume_pb2

HOUR = 3600
ACCEPTANCE = {"LEVER_KIND_OVERTIME": 0.5, "LEVER_KIND_VOLUNTARY_TIME_OFF": 0.6}


@dataclasses.dataclass(frozen=True)
class Scenario:
    """The demo's day for a seed. Instants are seconds since 1970."""

    seed: int
    begin: int
    end: int
    shock_queue: str
    shock: tuple[int, int, float]
    sick_client: str
    sick_reported_at: int
    sick_share: float
    dead_client: str
    dead: tuple[int, int]
    corrected_queue: str
    corrected_start: int
    correction_at: int
    habits: Habits = Habits()

    def callers(self) -> list[Caller]:
        """Return the day's callers."""
        days = []
        for queue in (q for q in QUEUES if not q.campaign):
            shock = self.shock if queue.name == self.shock_queue else None
            rng = chance(self.seed, queue.name, self.begin, "callers")
            days.append(_with_due(queue, draw_callers(demand(queue, self.begin, self.end, shock), rng)))
        return merge([*days, self.overnight()])

    def manners(self) -> dict[str, Manner]:
        """Return how each queue is served on the day."""
        return {q.name: Manner(q.stretch, bool(q.deadline), self._calls(q, q.campaign) if q.campaign else None) for q in QUEUES}

    def _calls(self, queue: QueueWorld, campaign: CampaignWorld) -> Calls:
        """Return the day's attempts, more than it will take, and when calls may be made."""
        rng = chance(self.seed, queue.name, self.begin, "attempts")
        size = math.ceil(3 * campaign.daily / campaign.connect_rate)
        reaches = rng.random(size) < campaign.connect_rate
        drawn = draw_talks(demand(queue, self.begin, self.end), size, rng)
        attempts = (
            Caller(
                f"{queue.name}-{self.begin}-{n}",
                queue.name,
                0.0,
                math.inf,
                talk,
                after,
                dialled=campaign.attempt,
                reaches=bool(hit),
            )
            for n, (hit, talk, after) in enumerate(zip(reaches, *drawn, strict=True))
        )
        hours = OpeningHours((Opening(frozenset(range(7)), campaign.opens * HOUR, campaign.closes * HOUR),))
        days = dates(local_date(self.begin, queue.zone), local_date(self.end - 1, queue.zone))
        return Calls(tuple(attempts), campaign.daily, tuple(span for day in days for span in hours.spans(day, queue.zone)))

    def overnight(self) -> list[Caller]:
        """Return the mail that lies open when the day begins."""
        open_mail = []
        for queue in (q for q in QUEUES if q.deadline):
            rng = chance(self.seed, queue.name, self.begin, "overnight")
            since = demand(queue, self.begin - OVERNIGHT_SECONDS, self.begin)
            open_mail.append(_with_due(queue, draw_callers(since, rng)))
        return merge(open_mail)

    def sick(self, roster: Roster) -> dict[str, tuple[int, int]]:
        """Return who calls in sick, and for which shift: a share of those whose shift starts soon after the call."""
        found = {}
        for agent in book_data()["agents"]:
            if agent["eligible_clients"] != [self.sick_client]:
                continue
            for shift in roster.shifts(agent["name"], self.sick_reported_at, self.end):
                soon = self.sick_reported_at + HOUR <= shift.starts_at.seconds <= self.sick_reported_at + 8 * HOUR
                if soon and chance(self.seed, agent["name"], "sick").random() < self.sick_share:
                    found[agent["name"]] = (shift.starts_at.seconds, shift.ends_at.seconds)
        return found

    def correction(self, offered: int, answered: int) -> volume_pb2.VolumeObserved:
        """Return the official report of a morning interval: a few contacts that the live feed had missed."""
        report = volume_pb2.IntervalReport(
            starts_at=Timestamp(seconds=self.corrected_start),
            interval_seconds=1800,
            revision=1,
            offered_count=offered + 9,
            answered_count=answered + 7,
            abandoned_count=offered + 9 - answered - 7,
        )
        return volume_pb2.VolumeObserved(queue=self.corrected_queue, feed="billing-report", basis=2, reports=[report])  # type: ignore[arg-type]

    def accepts(self, decision: decision_pb2.Decision, lever: str, agent: str) -> bool:
        """Return whether an agent takes an offer."""
        return bool(chance(self.seed, agent, decision.decision_id, "accept").random() < ACCEPTANCE.get(lever, 1.0))


def _with_due(queue: QueueWorld, callers: Iterable[Caller]) -> list[Caller]:
    return [dataclasses.replace(c, due=queue.due(c.arrives)) for c in callers]


def make_scenario(seed: int) -> Scenario:
    """Return the demo's day."""
    begin, end = demo_bounds(DEMO_DAY)
    return Scenario(
        seed=seed,
        begin=begin,
        end=end,
        shock_queue="northwind/support",
        shock=(begin + 10 * HOUR, begin + 13 * HOUR, 1.55),
        sick_client="harbor",
        sick_reported_at=begin + 9 * HOUR,
        sick_share=0.14,
        dead_client="lumen",
        dead=(begin + 6 * HOUR, begin + 7 * HOUR),
        corrected_queue="lumen/care",
        corrected_start=begin + 2 * HOUR,
        correction_at=begin + 8 * HOUR,
    )
