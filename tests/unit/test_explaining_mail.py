"""Why deferred work needs the agents it does: the steps add up to what is published, and one agent more or less is told."""

import numpy as np
import pytest
import sqlalchemy as sa
from rich.console import Console
from typer.testing import CliRunner

from muster.cli import requirement
from muster.kit.errors import MusterError
from muster.v1 import requirement_pb2
from muster.v1 import staffing_service_pb2 as pb
from services.staffing.domain.requirement import Rules
from services.staffing.explaining_rpc import ExplainingEdge
from services.staffing.handlers.deferring import DeskDays, on_deferred, prepare
from services.staffing.handlers.explaining import Around
from services.staffing.handlers.explaining_mail import MailWhy, explain_mail
from tests.support.staffing_world import DAY, MAIL, MONDAY, Staffing, applied, staffing_on
from tests.unit.test_blended_requirements import HELP, with_a_blend
from tests.unit.test_deferring import HALF_HOUR, PLAIN, desk, mails, nine_o_clock
from tests.unit.test_simulation_rpc import edge_of


def in_all(around: Around) -> float:
    """Return the share done in time of all that falls due."""
    assert around.in_all is not None
    return around.in_all


STAFFED = Rules((), 2, 0.1, 0.06)


@pytest.mark.parametrize("rules", [PLAIN, STAFFED, Rules((), 9, 0.0, 0.0)])
@pytest.mark.parametrize("rule", ["8h", "2h", "end_of_day+1@15:00"])
def test_an_interval_of_mail_is_explained_as_its_days_are_planned(rule: str, rules: Rules) -> None:
    days = mails(150, 7)
    case = DeskDays(days, [(days[0].starts[0] - HALF_HOUR, 12)], desk(rule), 0.9, days[0].starts[0])
    published = on_deferred(case, rules, 1)
    for day, at in ((0, 0), (0, 9), (1, 15), (4, 3)):
        told, why = published[day], explain_mail(case, rules, published[day].starts[at])
        e = why.explained
        assert (e.load, e.on_queue, e.scheduled, e.paid, e.driver) == (
            told.load[at],
            told.on_queue[at],
            told.scheduled[at],
            told.paid[at],
            told.drivers[at],
        )
        assert why.share == pytest.approx(told.service_level[at], abs=1e-8)
        assert max(why.full - why.away, rules.minimum) == e.on_queue
        assert why.level <= why.full
        assert why.open == pytest.approx(12)
        assert e.offered == days[day].offered[days[day].starts.index(told.starts[at])]
        *less, same, more = e.around
        assert same.agents == e.on_queue and same.kept == why.kept
        assert in_all(same) <= in_all(more)
        assert [a.agents for a in less] == ([e.on_queue - 1] if e.on_queue else [])
        assert all(in_all(a) <= in_all(same) for a in less)


def test_all_that_comes_is_begun_and_done_once() -> None:
    days = mails(150, 7)
    case = DeskDays(days, [(days[0].starts[0] - HALF_HOUR, 12)], desk(), 0.9, days[0].starts[0])
    found = prepare(case, 0)
    told = [explain_mail(case, PLAIN, start) for day in on_deferred(case, PLAIN, 1) for start in day.starts]
    last = (days[-1].starts[-1] + HALF_HOUR - found.begin) // HALF_HOUR
    assert sum(why.came for why in told) == pytest.approx(found.work.count[found.work.came < last].sum())
    assert told[0].came > 12 + sum(days[0].offered[:18])  # at nine: what is open, and what came by night
    opens = np.flatnonzero(found.work.open)
    due = (found.work.due > opens[0]) & (found.work.due <= opens[opens >= last][0])
    assert sum(why.due for why in told) == pytest.approx(found.work.count[due].sum())


def explained_at(place: int, count: float = 48.0) -> MailWhy:
    days = nine_o_clock(count)
    case = DeskDays(days, [], desk("8h"), 0.9, days[0].starts[0])
    return explain_mail(case, PLAIN, days[0].starts[place])


def test_by_hand() -> None:
    """48 items of 10 minutes at nine, due at five: one agent of eight hours, and a margin for chance."""
    nine, last = explained_at(18), explained_at(33)
    assert (nine.came, nine.due) == (48, 0)
    assert (last.came, last.due) == (0, 48)
    assert nine.explained.load == pytest.approx(1.0)
    assert nine.level == 1 < nine.full
    assert nine.z > 0
    assert nine.kept is not None and nine.kept >= 0.96
    less, same, more = nine.explained.around
    assert in_all(less) < in_all(same) <= in_all(more)
    assert nine.share is None  # the last of them, at half past nine, are due on Tuesday
    nothing = explained_at(18, 0.0)
    assert (nothing.share, nothing.kept, nothing.explained.around[0].levels) == (None, None, (-1.0,))


def test_what_lies_outside_the_plan_or_service_is_refused() -> None:
    days = mails(150, 2)
    case = DeskDays(days, [], desk(), 0.9, days[0].starts[20])
    for start in (days[0].starts[19], days[-1].starts[-1] + HALF_HOUR, days[0].starts[-1]):
        with pytest.raises(ValueError, match="lies outside"):
            explain_mail(case, PLAIN, start)


@pytest.fixture
def staffing(engine: sa.Engine) -> Staffing:
    found = staffing_on(engine)
    found.expect(MAIL, 8.0, 360.0, 5)
    return found


def asked(staffing: Staffing, start: int) -> pb.ExplainRequirementResponse:
    request = pb.ExplainRequirementRequest(queue=MAIL)
    request.starts_at.seconds = start
    edge = ExplainingEdge(edge_of(staffing).edge)
    return staffing.database.run_here(lambda c: edge.gather(c, request))()


def test_mail_is_explained_by_the_book_and_what_is_published(staffing: Staffing) -> None:
    tuesday = next(day for day in staffing.required(MAIL) if day.local_date == "2026-03-24")
    found = asked(staffing, tuesday.starts[4])
    assert found.on_queue_agents == found.deferred.published_agents == tuesday.on_queue[4]
    assert found.driver == requirement_pb2.REQUIREMENT_DRIVER_DEADLINE_MET
    assert found.formula == tuesday.formula
    assert [n.metric for n in found.needs] == ["DEADLINE_MET"]
    assert [a.agents for a in found.around] == [tuesday.on_queue[4] + n for n in (-1, 0, 1)]
    assert found.around[1].values[0] == pytest.approx(tuesday.service_level[4])
    assert found.deferred.plan_begins_at.seconds == MONDAY + 8 * 3600
    assert found.deferred.open_count == pytest.approx(16 * 8.0)  # all of Monday's till eight: nothing is closed yet
    applied(staffing, with_a_blend())
    staffing.expect(HELP, 40.0, 240.0, 5)
    blended = asked(staffing, tuesday.starts[4])
    assert blended.deferred.idle_agents > 0
    assert blended.load_erlangs < found.load_erlangs


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (MONDAY + 7 * 3600, "INTERVAL_IS_OVER"),
        (MONDAY + DAY + 3600, "NO_SUCH_INTERVAL"),  # by night
        (MONDAY + DAY + 12 * 3600 + 60, "NO_SUCH_INTERVAL"),
        (MONDAY + 20 * DAY + 12 * 3600, "NO_SUCH_INTERVAL"),
    ],
)
def test_an_interval_of_mail_that_is_none_says_so(staffing: Staffing, start: int, reason: str) -> None:
    with pytest.raises(MusterError) as caught:
        asked(staffing, start)
    assert caught.value.reason == reason


def test_the_steps_are_shown(staffing: Staffing, monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked(staffing, next(d for d in staffing.required(MAIL) if d.local_date == "2026-03-24").starts[4])
    out = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115

    class Muster:
        class staffing:
            ExplainRequirement = staticmethod(lambda request: found)

    monkeypatch.setattr(requirement, "console", lambda: out)
    monkeypatch.setattr(requirement, "connect", Muster)
    run = CliRunner().invoke(requirement.requirement, ["explain", MAIL, "2026-03-24T10:00"])
    assert run.exit_code == 0, run.output
    text = out.export_text()
    for words in (
        "load of the level plan, erlangs",
        "items that can be begun from this interval on",
        "items that must be done by its end",
        "items open at the plan's begin",
        "idle agents of calls who do items besides",
        "with the margin for chance",
        "days of the trials that keep the target",
        "on queue, decided by DEADLINE_MET",
        "on queue as last published",
        "Agents on queue in this interval would give",
    ):
        assert words in text
    assert "ASA" not in text and "carried over" not in text
