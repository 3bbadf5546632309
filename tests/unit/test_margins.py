"""How much room deferred work gets: enough by the trials, little of it wasted where few items come, never less than the work."""

import numpy as np
import pytest

from services.staffing.domain.erlang import Ints
from services.staffing.handlers import margins
from services.staffing.handlers.deferring import DeskDays, Prepared, plan_days, prepare
from services.staffing.handlers.margins import Judged, margin
from services.staffing.handlers.pricing_mail import price_mail
from tests.unit.test_deferring import PLAIN, desk, kept, mails, played, require


def prepared(count: float, rule: str, target: float, handle: float, minimum: int = 0) -> tuple[Prepared, Judged]:
    days = mails(count, 21, handle)
    found = prepare(DeskDays(days, [], desk(rule, handle), target, days[0].starts[0]), minimum)
    return found, Judged(found.work, found.items, target, minimum, found.idle)


def staff_of(found: Prepared, case: Judged) -> Ints:
    agents: Ints = np.maximum(case.staff(found.margin.z) - found.margin.away, case.minimum * found.work.open)
    return agents


@pytest.mark.parametrize(
    ("count", "rule", "target", "handle"),
    [(300, "2h", 0.9, 480.0), (40, "4h", 0.9, 600.0), (80, "3h", 0.85, 300.0), (60, "2h", 0.9, 600.0)],
)
def test_the_margin_keeps_the_target_on_its_own_days_and_on_others(
    count: float, rule: str, target: float, handle: float
) -> None:
    found, case = prepared(count, rule, target, handle)
    assert np.nanmean(case.kept(staff_of(found, case))) >= margins.KEPT
    assert np.nanmean(case.kept(case.staff(0.0))) < margins.KEPT
    days, at = mails(count, 21, handle), desk(rule, handle)
    assert kept(played(days, at, require(days, at, target), 60), target) >= 0.945


def test_where_few_items_come_agents_are_taken_away_from_a_fuller_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    trimmed, case = prepared(60, "2h", 0.9, 600.0)
    monkeypatch.setattr(margins, "SMALL", 0)
    plain = margin(case)
    assert trimmed.margin.z > plain.z and trimmed.margin.away.sum() > 0 == plain.away.sum()
    assert staff_of(trimmed, case).sum() < 0.96 * case.staff(plain.z).sum()


def test_agents_are_not_taken_below_the_minimum_nor_below_the_work() -> None:
    for minimum in (0, 1):
        found, case = prepared(40, "4h", 0.9, 600.0, minimum)
        agents = staff_of(found, case)
        assert (agents[found.work.open] >= minimum).all() and (agents[~found.work.open] == 0).all()
        assert agents.sum() >= case.staff(0.0).sum()
    easy, case = prepared(15, "8h", 0.8, 1200.0)  # leavers finish so much that fewer would keep the target
    assert staff_of(easy, case).tolist() == case.staff(0.0).tolist()


def test_no_day_is_given_up_for_the_others() -> None:
    found, case = prepared(40, "4h", 0.9, 600.0)
    assert np.nanmin(case.kept(staff_of(found, case))) >= 0.96 - 3 * (0.96 * 0.04 / found.items.trials) ** 0.5
    wanted, given_up = margins._Wanted(np.arange(3), 0.95, 0.88), np.array([1.0, 1.0, 0.86, np.nan])
    assert wanted.by(given_up) and not wanted.by_each(given_up)
    assert wanted.by_each(np.array([1.0, 0.97, 0.89, np.nan])) and not wanted.by_each(np.full(4, 0.94))


def test_what_is_priced_as_published_is_what_is_published_where_agents_are_taken_away() -> None:
    days, at = mails(40, 10, 600.0), desk("4h", 600.0)
    case = DeskDays(days, [], at, 0.9, days[0].starts[0])
    assert prepare(case, 0).margin.away.any()
    found = price_mail(case, PLAIN, 0.85, days[3].local_date)
    assert found["MEAN"].agents.tolist() == require(days, at, 0.9)[3].on_queue
    assert found["EXPECTED"].hours <= found["DAY"].hours
    safe = plan_days(case, 0)
    assert (safe.safe >= safe.whole).all() and safe.safe.sum() > safe.whole.sum()


def test_the_same_question_has_the_same_answer_to_the_byte() -> None:
    days, at = mails(40, 10, 600.0), desk("4h", 600.0)
    assert repr(require(days, at, 0.9)) == repr(require(days, at, 0.9))
