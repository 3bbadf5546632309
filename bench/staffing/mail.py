"""Deferred work on stated cases, played item by item, beside the fewest hours that a search finds (`channels` says how)."""

import dataclasses
import datetime as dt
import time

import numpy as np

from bench.staffing.searching import FRESH, JUDGE, KEEP, SEARCH, Row, search
from muster.domain.calendar import DAY, Opening, OpeningHours, day_bounds
from muster.domain.deadlines import deadlines_of
from muster.domain.due_rule import parse_due
from muster.simulator.deferred import Mail, play_mail
from services.staffing.domain.deferred import Desk
from services.staffing.domain.erlang import Floats, Ints
from services.staffing.domain.facts import ForecastDay
from services.staffing.domain.items import Items
from services.staffing.handlers.deferring import DeskDays, plan_days

MONDAY, ZONE = dt.datetime(2026, 6, 1), "Europe/London"
MAIL_DAYS, MAIL_TIMES, MAIL_PLAYS = 42, 200, 400_000


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
