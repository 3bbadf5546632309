"""Chat, deferred work and outbound on stated cases: days on which the target is kept, and hours beside the fewest that a search finds.

python -m bench.staffing.channels [chat | deferred | outbound]. Plans and searches see other seeds than the days that judge them. The
search begins at the plan, for chat at a plain one too (a higher target in each interval), takes agents away from many intervals at once,
then from fewer, then one at a time, as long as its own days keep the target on 95 % of days, and stops where no single agent can go.
For deferred work it looks for a week's plan, six times over, begins at the plan's second week and at one of a fifth more, and of all plans
that it comes through the last counts that keeps the target on days unseen by it too: hundreds of choices fit their own days too well.
"""

import dataclasses
import datetime as dt
import sys
import time
from collections.abc import Callable

import numpy as np

from muster.domain.calendar import DAY, Opening, OpeningHours, day_bounds
from muster.domain.deadlines import deadlines_of
from muster.domain.due_rule import parse_due
from muster.simulator.chats import ChatDay, play_chats
from muster.simulator.deferred import Mail, play_mail
from services.staffing.domain.chat import Chats, carried, chat_service, fewest_chat_agents
from services.staffing.domain.deferred import Desk
from services.staffing.domain.erlang import SL_OFFERED, Floats, Ints
from services.staffing.domain.facts import ForecastDay
from services.staffing.domain.items import Items
from services.staffing.domain.outbound import Campaign, reserve
from services.staffing.handlers.deferring import DeskDays, plan_days

# What judges; and what a plan must keep on its own trials, which it has seen.
KEEP, WANTED = 0.95, 0.975
PLAN, SEARCH, JUDGE, FRESH = 1, 2, 3, 4
MONDAY, ZONE = dt.datetime(2026, 6, 1), "Europe/London"
MAIL_DAYS, MAIL_TIMES, MAIL_PLAYS = 42, 200, 400_000


@dataclasses.dataclass(frozen=True)
class Row:
    """One case's outcome: share of fresh days kept by the plan and by what the search found, and hours of both."""

    case: str
    kept: float
    hours: float
    searched_kept: float
    searched: float
    seconds: float

    def told(self) -> str:
        ratio = self.hours / self.searched if self.searched else 1.0
        beside = f"{self.searched:8.1f} (search, kept {self.searched_kept:6.1%})  ratio {ratio:.3f}"
        return f"{self.case:58} kept {self.kept:6.1%}  hours {self.hours:8.1f}, {beside}  planned in {self.seconds:.2f} s"


def search(agents: Ints, keeps: Callable[[Ints], bool]) -> Ints:
    """Return agents (I,) from which no single one can be taken while the target is kept; more of all to begin with, where it is not."""
    best, stride = agents.copy(), 1
    while not keeps(best):
        best = best + (best > 0)
    while True:
        changed = False
        for offset in range(stride):
            rows = np.flatnonzero(best > 0)[offset::stride]
            fewer = best.copy()
            fewer[rows] -= 1
            if rows.size and keeps(fewer):
                best, changed = fewer, True
        if stride >= agents.size and not changed:
            return best
        stride = stride if changed else min(stride * 2, agents.size)


# Chat


@dataclasses.dataclass(frozen=True)
class ChatCase:
    """Chats of a day with two humps from eight to eight: `peak` chats an hour."""

    name: str
    peak: float
    handle: tuple[float, ...]
    patience: float
    threshold: float
    target: float
    sigma: float = 0.0

    def volume(self) -> Floats:
        hour = np.arange(24) / 2 + 0.25
        shape = 0.35 + 0.65 * np.exp(-(((hour - 3) / 2) ** 2)) + 0.45 * np.exp(-(((hour - 8) / 2) ** 2))
        volume: Floats = self.peak / 2 * shape / shape.max()
        return volume


CHATS = (
    ChatCase("chat: 30/h at peak, 3 at once, 80/30, patient 180 s", 30, (300, 360, 450), 180, 30, 0.8),
    ChatCase("chat: 120/h, 3 at once, 80/40, patient 180 s", 120, (300, 360, 450), 180, 40, 0.8),
    ChatCase("chat: 400/h, 2 at once, 90/60, patient 300 s", 400, (420, 560), 300, 60, 0.9),
    ChatCase("chat: 150/h, 4 at once, 80/60, nobody gives up", 150, (300, 380, 470, 580), np.inf, 60, 0.8),
    ChatCase("chat: 90/h, 5 at once, long ones of 15 min, 80/60", 90, (700, 740, 800, 900, 1020), 240, 60, 0.8),
    ChatCase("chat: 120/h, 3 at once, 80/40, lognormal of sigma 1", 120, (300, 360, 450), 180, 40, 0.8, 1.0),
)


def carried_chats(case: ChatCase) -> Chats:
    """Return a case's chats, long ones carried over into the next interval."""
    first = Chats(case.volume() / 1800, np.array(case.handle, float), case.patience)
    agents = fewest_chat_agents(SL_OFFERED, case.target, first, case.threshold)
    handle = chat_service(first, agents, case.threshold).handle
    return dataclasses.replace(first, arrivals=carried(first.arrivals, handle, 1800.0))


def plan_chats(case: ChatCase) -> Ints:
    """Return the agents (I,) that keep the day's target on 95 % of trial days.

    From the fewest of each interval at a target ten points lower on, an agent at a time where the model says that one more answers most;
    then from the eight intervals that it says lose least, one each where trials allow it.
    """
    chats, volume = carried_chats(case), case.volume()
    plans = [fewest_chat_agents(SL_OFFERED, case.target - 0.1, chats, case.threshold)]
    good, better = (chat_service(chats, plans[0] + k, case.threshold).within for k in (0, 1))
    while (volume * good).sum() < min(case.target + 0.12, 0.997) * volume.sum():
        more = plans[-1].copy()
        at = int((volume * (better - good)).argmax())
        more[at] += 1
        plans.append(more)
        one = dataclasses.replace(chats, arrivals=chats.arrivals[[at, at]])
        good[at], better[at] = chat_service(one, more[at] + np.arange(2), case.threshold).within
    low, high = 0, len(plans) - 1
    while low < high:
        middle = (low + high) // 2
        if chat_kept(case, plans[middle], 300, PLAN) >= WANTED:
            high = middle
        else:
            low = middle + 1
    plan = plans[high]
    loss = volume * (
        chat_service(chats, plan, case.threshold).within - chat_service(chats, np.maximum(plan - 1, 0), case.threshold).within
    )
    for at in np.argsort(loss)[:8]:
        fewer = np.maximum(plan - (np.arange(plan.size) == at), 0)
        if chat_kept(case, fewer, 300, PLAN) >= WANTED:
            plan = fewer
    return plan


def chat_kept(case: ChatCase, agents: Ints, days: int, seed: int) -> float:
    """Return the share of days whose service level, all chats of the day, keeps the target."""
    day = ChatDay(case.volume(), agents, 1800.0, np.array(case.handle, float), case.patience, case.threshold, case.sigma)
    seen = play_chats(day, days, np.random.default_rng(seed))
    level = seen.within.sum(axis=1) / np.maximum(seen.offered.sum(axis=1), 1)
    return float((level >= case.target).mean())


def run_chat(case: ChatCase) -> Row:
    """Plan and judge a day of chats."""
    began = time.process_time()
    plan = plan_chats(case)
    spent = time.process_time() - began
    plain = fewest_chat_agents(SL_OFFERED, min(case.target + 0.08, 0.99), carried_chats(case), case.threshold)
    found = [search(start, lambda a: chat_kept(case, a, 150, SEARCH) >= KEEP) for start in (plan, plain)]
    best = min(found, key=lambda a: int(a.sum()))
    kept, other = (chat_kept(case, a, 400, JUDGE) for a in (plan, best))
    return Row(case.name, kept, plan.sum() / 2, other, best.sum() / 2, spent)


# Deferred


@dataclasses.dataclass(frozen=True)
class MailCase:
    """A week from Monday on: `items` a day, on weekdays from 8 to 18 and a fifth at night and at weekends; service as told."""

    name: str
    items: float
    rule: str
    target: float
    handle: float
    opens: int = 9
    closes: int = 17
    sigma: float = 0.0

    def desk(self) -> Desk:
        hours = OpeningHours((Opening(frozenset(range(5)), self.opens * 3600, self.closes * 3600),))
        return Desk(hours, ZONE, parse_due(self.rule), 1800, self.handle)

    def intake(self) -> Floats:
        slot = np.arange(7 * 48)
        day = (slot // 48 < 5) & (slot % 48 >= 16) & (slot % 48 < 36)
        night = (slot // 48 < 5) & ~day
        return np.where(day, 0.8 * self.items / 20, np.where(night, 0.2 * self.items / 28, 0.2 * self.items / 48))


MAILS = (
    MailCase("deferred: 300 a day, 8 business hours, 90 %", 300, "8h", 0.9, 480),
    MailCase("deferred: 300 a day, 2 business hours, 90 %", 300, "2h", 0.9, 480),
    MailCase("deferred: 500 a day, next day, cut-off at 15:00, 95 %", 500, "end_of_day+1@15:00", 0.95, 360),
    MailCase("deferred: 120 a day, the same day, 85 %, long ones", 120, "end_of_day@15:00", 0.85, 900),
    MailCase("deferred: 400 a day, 2 days, 98 %, lognormal of sigma 1", 400, "end_of_day+2", 0.98, 420, sigma=1.0),
    MailCase("deferred: 40 a day, 4 business hours, 90 %", 40, "4h", 0.9, 600),
)


def forecast_days(case: MailCase) -> list[ForecastDay]:
    """Return the forecast of MAIL_DAYS from Monday on, as staffing is told it."""
    found, intake = [], case.intake()
    for n in range(MAIL_DAYS):
        day = (MONDAY + dt.timedelta(days=n)).date()
        begin, offered = day_bounds(day, ZONE)[0], intake[(n % 7) * 48 : (n % 7 + 1) * 48].tolist()
        starts = list(range(begin, begin + DAY, 1800))
        found.append(
            ForecastDay("bench/mail", day.isoformat(), 1800, starts, [1] * 48, offered, offered, [case.handle] * 48, 0, 1, True)
        )
    return found


def mail_of(case: MailCase, desk: Desk, begin: int, agents: Ints) -> Mail:
    """Return MAIL_DAYS of a case with agents (I,), deadlines to the second; the items of an interval count on the day of the last one's."""
    starts = begin + 1800 * np.arange(MAIL_DAYS * 48)
    due = np.stack([deadlines_of(at, desk.rule, desk.hours, desk.zone) - begin for at in (starts, starts + 1799)], axis=1)
    on_day = np.where(due[:, 1] <= MAIL_DAYS * DAY, (due[:, 1] - 1) // DAY, -1)
    nothing, nobody, offered = np.zeros((0, 2)), np.zeros(0, np.int64), np.tile(case.intake(), MAIL_DAYS // 7)
    return Mail(offered, agents, 1800.0, due.astype(float), on_day, case.handle, nothing, nobody, case.sigma)


def items_of(mail: Mail, times: int, seed: int) -> Items:
    """Return `times` trials of what is due within the days, for a search to see."""
    luck, days = np.random.default_rng(seed), int(mail.day.max()) + 1
    counts = luck.poisson(np.where(mail.day >= 0, mail.intake, 0.0), (times, mail.intake.size))
    trial, slot = (np.repeat(at.ravel(), counts.ravel()) for at in np.indices(counts.shape))
    place = trial * mail.intake.size + slot
    part = np.sort(place + luck.random(slot.size)) - place
    due = mail.due[slot, 0] * (1 - part) + mail.due[slot, 1] * part
    size = np.exp(mail.sigma * luck.standard_normal(slot.size) - mail.sigma**2 / 2)
    effort = mail.handle * (size if mail.sigma else luck.standard_exponential(slot.size))
    cell, ends = trial * days + mail.day[slot], np.cumsum(counts.sum(axis=1))
    return Items((slot + part) * 1800, due, effort, cell, ends, days, np.ones(mail.intake.size, bool), 1800.0)


def search_week(case: MailCase, mail: Mail, week: Ints) -> Ints:
    """Return the agents (I,) of the fewest hours that a search finds from a week's plan on, the same each week."""
    times = int(np.clip(MAIL_PLAYS / mail.intake.sum(), 20, 150))
    seen, fresh = items_of(mail, times, SEARCH), items_of(mail, 6 * times, FRESH)

    def kept(items: Items, agents: Ints) -> float:
        timely, due = items.in_time(np.tile(agents, MAIL_DAYS // 7)), items.fell_due
        return float((timely >= case.target * due)[due > 0].mean())

    found = []
    for start in (week, np.ceil(1.2 * week).astype(np.int64)):
        through: list[Ints] = []

        def keeps(agents: Ints, through: list[Ints] = through) -> bool:
            good = kept(seen, agents) >= KEEP
            through.extend([agents] * good)
            return good

        search(start, keeps)
        found.append(next(agents for agents in reversed(through) if kept(fresh, agents) >= KEEP))
    return np.tile(min(found, key=lambda agents: int(agents.sum())), MAIL_DAYS // 7)


def run_mail(case: MailCase) -> Row:
    """Require the days as they are published, and play them item by item."""
    days, desk, began = forecast_days(case), case.desk(), time.process_time()
    begin = days[0].starts[0]
    planned = plan_days(DeskDays(days, (), desk, case.target, begin), 0)
    spent = time.process_time() - began
    mail = mail_of(case, desk, begin, planned.whole[: MAIL_DAYS * 48])
    other = dataclasses.replace(mail, agents=search_week(case, mail, mail.agents[7 * 48 : 14 * 48]))
    seen = [play_mail(one, MAIL_TIMES, np.random.default_rng(JUDGE)) for one in (mail, other)]
    kept, searched = (float((s.share[s.due > 0] >= case.target).mean()) for s in seen)
    return Row(case.name, kept, mail.agents.sum() / 2, searched, other.agents.sum() / 2, spent)


# Outbound


@dataclasses.dataclass(frozen=True)
class CallCase:
    """A day from nine to nine in half-hours."""

    name: str
    campaign: Campaign


CALLS = (
    CallCase("outbound: 300 contacts, 25 % reached, 20 s an attempt", Campaign(300, 0.25, 240, 20, confidence=0.96)),
    CallCase("outbound: 40 contacts, 10 % reached, 35 s an attempt", Campaign(40, 0.1, 420, 35, confidence=0.96)),
    CallCase("outbound: 1500 contacts, dialled for the agent, 180 s", Campaign(1500, 0.3, 180, 0, confidence=0.96)),
    CallCase("outbound: 80 contacts, 50 % reached, 60 s an attempt", Campaign(80, 0.5, 600, 60, confidence=0.96)),
    CallCase("outbound: 120 contacts, cap of 75 %", Campaign(120, 0.4, 300, 15, occupancy_cap=0.75, confidence=0.96)),
)


def calls_kept(case: CallCase, agents: Ints, days: int, seed: int) -> float:
    """Return the share of days on which all contacts are reached: agents dial one attempt after the other, and finish the last one.

    An agent's day is one stretch of the worked share of the intervals for which so many are there.
    """
    luck, campaign = np.random.default_rng(seed), case.campaign
    kept = 0
    for _ in range(days):
        reached = 0
        for k in range(int(agents.max(initial=0))):
            worked = (agents > k).sum() * 1800 * campaign.occupancy_cap
            count = int(worked / campaign.handle * 2) + 30
            tries = luck.geometric(campaign.connect_rate, count) * campaign.attempt
            ends = np.cumsum(tries + luck.exponential(campaign.handle, count))
            reached += int(np.searchsorted(ends, worked))
        kept += reached >= campaign.contacts
    return kept / days


def run_calls(case: CallCase) -> Row:
    """Reserve the day; the search takes agents from the reserved ones."""
    began = time.process_time()
    plan = reserve(case.campaign, np.ones(24, bool), np.zeros(24, np.int64), 1800.0).whole
    spent = time.process_time() - began
    best = search(plan, lambda a: calls_kept(case, a, 300, SEARCH) >= KEEP)
    kept, other = (calls_kept(case, a, 600, JUDGE) for a in (plan, best))
    return Row(case.name, kept, plan.sum() / 2, other, best.sum() / 2, spent)


def main() -> None:
    """Print one table; a word chooses one part of it."""
    asked = sys.argv[1:] or ["chat", "deferred", "outbound"]
    parts: dict[str, list[Callable[[], Row]]] = {
        "chat": [lambda c=c: run_chat(c) for c in CHATS],  # type: ignore[misc]
        "deferred": [lambda c=c: run_mail(c) for c in MAILS],  # type: ignore[misc]
        "outbound": [lambda c=c: run_calls(c) for c in CALLS],  # type: ignore[misc]
    }
    for part in asked:
        for run in parts[part]:
            print(run().told(), flush=True)


if __name__ == "__main__":
    main()
