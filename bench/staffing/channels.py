"""Chat, deferred work and outbound on stated cases: days on which the target is kept, and hours beside the fewest that a search finds.

python -m bench.staffing.channels [chat | deferred | outbound]. Plans and searches see other seeds than the days that judge them. The
search begins at the plan, for chat at a plain one too (a higher target in each interval), takes agents away from many intervals at once,
then from fewer, then one at a time, as long as its own days keep the target on 95 % of days, and stops where no single agent can go.
For deferred work it looks for a week's plan, six times over, begins at the plan's second week and at one of a fifth more, and of all plans
that it comes through the last counts that keeps the target on days unseen by it too: hundreds of choices fit their own days too well.
"""

import dataclasses
import sys
import time
from collections.abc import Callable

import numpy as np

from bench.staffing.mail import MAILS, run_mail
from bench.staffing.searching import JUDGE, KEEP, PLAN, SEARCH, Row, search
from muster.simulator.chats import ChatDay, play_chats
from services.staffing.domain.chat import Chats, carried, chat_service, fewest_chat_agents
from services.staffing.domain.erlang import SL_OFFERED, Floats, Ints
from services.staffing.domain.outbound import Campaign, reserve

# What a plan must keep on its own trials, which it has seen.
WANTED = 0.975


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
