"""Predicted beside played, as `muster requirement simulate` shows them: chats, deferred work and outbound on the cases of `channels`.

python -m bench.staffing.played. Each case's day is required as it would be published, and played 400 times.
"""

import dataclasses
import datetime as dt
import math

import numpy as np

from bench.staffing.channels import CALLS, CHATS, ChatCase
from bench.staffing.mail import MAILS, MONDAY, MailCase
from muster.domain.calendar import resolve
from services.staffing.domain.facts import ForecastDay
from services.staffing.domain.outbound import Campaign
from services.staffing.domain.requirement import Goal, Rules
from services.staffing.handlers.calling import CallingDay, on_campaign
from services.staffing.handlers.deferring import DeskDays, on_deferred
from services.staffing.handlers.requiring import QueueRules, on_forecast
from services.staffing.handlers.simulating import Asked, Simulation
from services.staffing.handlers.simulating_campaigns import simulate_campaign
from services.staffing.handlers.simulating_chats import simulate_chats
from services.staffing.handlers.simulating_mail import MailPlan, simulate_mail

SECONDS, DAY = 1800, 86_400
PLAIN = Rules((), 0, 0.0, 0.0)
ASKED = Asked(400, "LEAVE", None, uncertain=False)


def forecast(begin: dt.datetime, offered: list[float], handle: float) -> ForecastDay:
    """Return a day in London whose intervals run from `begin` on."""
    first, size = resolve(begin, "Europe/London"), len(offered)
    starts = [first + SECONDS * n for n in range(size)]
    high = [n + 1.2816 * n**0.5 for n in offered]
    date = begin.date().isoformat()
    return ForecastDay("bench/queue", date, SECONDS, starts, [1] * size, offered, high, [handle] * size, 0, 1, True)


def chats(case: ChatCase) -> Simulation:
    """Return a day of chats, required and played."""
    goal = Goal("SERVICE_LEVEL", case.target, threshold=float(case.threshold))
    rules = QueueRules(dataclasses.replace(PLAIN, goals=(goal,)), case.patience, "", len(case.handle), case.handle)
    day = forecast(MONDAY.replace(hour=8), case.volume().tolist(), case.handle[-1])
    asked = dataclasses.replace(ASKED, sigma=case.sigma or None)
    return simulate_chats(day, on_forecast([day], rules, 1, 0)[0], goal, rules, None, asked)


def mail(case: MailCase) -> Simulation:
    """Return the Thursday of a week of mail, required from Monday on and played."""
    intake = case.intake().reshape(7, -1)
    days = [forecast(MONDAY + dt.timedelta(days=n), row.tolist(), case.handle) for n, row in enumerate(intake)]
    now, desk = days[0].starts[0], case.desk()
    answers = on_deferred(DeskDays(days, [], desk, case.target, now), PLAIN, 1)
    staff = {s: n for day in answers for s, n in zip(day.starts, day.on_queue, strict=True)}
    asked = dataclasses.replace(ASKED, sigma=case.sigma or None)
    return simulate_mail(MailPlan(days[:4], [], desk, case.target, staff, answers[3]), asked, now)


def calls(campaign: Campaign) -> Simulation:
    """Return a day of a campaign from nine to nine, reserved and played."""
    day = forecast(MONDAY.replace(hour=9), [0.0] * 24, campaign.handle)
    called = CallingDay(day, day.starts, frozenset(day.starts))
    answer = on_campaign(called, campaign, PLAIN, 1, 0)
    return simulate_campaign(called, campaign, dict(zip(answer.starts, answer.on_queue, strict=True)), ASKED, 0)


def told(name: str, found: Simulation) -> str:
    """Return in one line how far predicted and simulated lie apart, in points."""
    pairs = [(m, s) for m, s in zip(found.moving, found.simulated, strict=True) if not (math.isnan(m) or math.isnan(s))]
    off = 100 * float(np.mean([abs(m - s) for m, s in pairs]))
    foreseen = found.foreseen if found.foreseen is not None else math.nan
    line = f"{name:58} intervals off {off:4.1f}  day {foreseen:6.1%} played {found.day:6.1%}  kept on {found.days_met:6.1%}"
    return line + (f" (stated {found.calls.chance:.1%})" if found.calls else "")


def main() -> None:
    """Print one table."""
    for chat in CHATS:
        print(told(chat.name, chats(chat)), flush=True)
    for post in MAILS:
        print(told(post.name, mail(post)), flush=True)
    for call in CALLS:
        print(told(call.name, calls(call.campaign)), flush=True)


if __name__ == "__main__":
    main()
