"""What walls between queues cost: gathered from SQL, computed in a child process, read when it is done."""

import collections
import dataclasses
import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from muster.book.view import BookDay
from muster.domain.calendar import day_bounds, local_date, parse_date
from muster.kit.clock import Clock
from muster.kit.errors import NotFound, NotNow, Refusal
from muster.kit.jobs import JobKind, Jobs
from services.staffing.domain.pooling import Wanted
from services.staffing.handlers.pooling import PoolCase, Skills, pool_ways
from services.staffing.handlers.simulating import OF_ANSWERED
from services.staffing.requiring import Requiring
from services.staffing.store import plans

MOST_GROUPS = 40


def skills_of(book: BookDay, names: Sequence[str]) -> Skills:
    """Return the skill groups of the agents who may serve some of the queues, each agent in one: by the queues and their order of choice.

    Where no agent prefers one of these queues to another, or there would be more than MOST_GROUPS, by the queues alone.
    """
    number = {name: n for n, name in enumerate(names)}
    served = {agent: [q for q in queues if q in number] for agent, queues in book.eligible.items()}
    ranked = any(len({book.choice(book.agents[a], book.queues[q]) for q in queues}) > 1 for a, queues in served.items())
    orders = [tuple(number[q] for q in queues) for queues in served.values() if queues]
    ranked = ranked and len(set(orders)) <= MOST_GROUPS
    heads = collections.Counter(order if ranked else tuple(sorted(order)) for order in orders)
    return Skills(tuple(sorted(heads)), tuple(heads[group] for group in sorted(heads)), ranked)


@dataclasses.dataclass
class Pooling:
    """Has pools of queues compared, when asked."""

    requiring: Requiring
    jobs: Jobs
    clock: Clock

    def declare(self) -> None:
        self.jobs.declare("pools", JobKind(self.load, pool_ways, lambda c, request, result: dict(result), aside=True))

    def ask(self, connection: sa.Connection, queues: Sequence[str], day: str) -> str:
        """Queue a comparison. Raise NotFound, NotNow, Refusal(INVALID_POOL)."""
        request = {"queues": list(queues), "day": day}
        self.load(connection, request)
        name = f"pools/{self.clock.now()}-{uuid.uuid4().hex[:8]}"
        self.jobs.ask(connection, name, "pools", request)
        return name

    def answer(self, connection: sa.Connection, name: str) -> dict[str, Any] | None:
        """Return ways, starts of intervals and unserved queues; None while it runs. Raise NotFound, or what the job failed with."""
        row = self.jobs.look(connection, name)
        if row.kind != "pools":
            raise NotFound("NO_SUCH_OPERATION", f"no comparison of pools {name}")
        if row.state == "FAILED":
            raise NotNow(row.result["reason"], row.result["message"])
        return dict(row.result) if row.state == "DONE" else None

    def load(self, connection: sa.Connection, request: dict[str, Any]) -> PoolCase:
        """Gather a day of the queues on the grid of the first."""
        book, names = self.requiring.streams.book_today(connection), tuple(request["queues"])
        missing = [name for name in names if name not in book.queues]
        if missing or not names:
            raise NotFound("NO_SUCH_QUEUE", f"no queue {', '.join(missing) or '(none named)'} in the book")
        first = book.queues[names[0]]
        try:
            date = parse_date(request["day"]) if request["day"] else local_date(self.clock.now(), book.zone_of(first))
        except ValueError as error:
            raise Refusal("INVALID_POOL", str(error)) from error
        own = plans.load_forecast(connection, first.name, date.isoformat())
        if own is None or not own.starts:
            raise NotNow("NO_REQUIREMENT", f"{first.name} has no forecast for {date}; see muster forecast show")
        begin, end = day_bounds(date, book.zone_of(first))
        expected: list[dict[int, tuple[float, float]]] = []
        for name in names:
            around, told = dt.timedelta(days=1), dict[int, tuple[float, float]]()
            for day in plans.list_forecasts(connection, name, str(date - around), str(date + around)):
                hours = zip(day.starts, day.offered, day.aht, strict=True)
                told.update({s: (n, a) for s, n, a in hours if begin <= s < end})
            expected.append(told)
        opens = [s for told in expected for s in told]
        grid = range(min(opens), max(opens) + own.seconds, own.seconds)
        goals = []
        for name, told in zip(names, expected, strict=True):
            rules = self.requiring.rules_of(connection, book, book.queues[name])
            goal = rules.rules.promised
            if goal is None or not rules.in_line or rules.at_once > 1 or book.queues[name].interval_seconds != own.seconds:
                why = f"{name} has no service level, several chats an agent, or other intervals than {first.name}"
                raise Refusal("INVALID_POOL", f"{why}; allowed: calls with a promise, of one length of interval")
            volume = np.array([told.get(s, (0.0, 0.0))[0] for s in grid])
            work = np.array([n * a for n, a in (told.get(s, (0.0, 0.0)) for s in grid)])
            handle = float(work.sum() / volume.sum()) if volume.sum() > 0 else 300.0
            goals.append((volume, handle, rules.patience, goal.threshold, goal.target, goal.definition == OF_ANSWERED))
        skills = skills_of(self.requiring.streams.book.view(connection).at(date), names)
        try:
            return PoolCase(names, date.isoformat(), tuple(Wanted(*goal) for goal in goals), own.seconds, grid[0], skills)
        except ValueError as error:
            raise Refusal("INVALID_POOL", str(error)) from error
