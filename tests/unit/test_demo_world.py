"""The demo's world: what its history says, what lies open as its day begins, and what its end card counts."""

import dataclasses

import numpy as np

from muster.dev import end_card, history
from muster.dev.scenario import make_scenario
from muster.dev.world import CONTRACTS, QUEUES, QueueWorld, deadlines, queues_of
from muster.domain.calendar import DAY
from muster.simulator.arrivals import Caller
from muster.simulator.lines import ContactRecord


def queue(name: str) -> QueueWorld:
    return next(q for q in QUEUES if q.name == name)


def test_the_same_seed_is_the_same_day() -> None:
    one, two = make_scenario(1), make_scenario(1)
    assert one.callers() == two.callers()
    assert one.manners() == two.manners()
    assert one.callers() != make_scenario(2).callers()


def test_what_lies_open_as_the_day_begins_is_mail_due_on_the_day() -> None:
    scenario = make_scenario(1)
    left_open = scenario.overnight()
    assert 10 < len(left_open) < 60
    assert {c.queue for c in left_open} == {"northwind/mail"}
    assert all(c.arrives < scenario.begin < c.due <= scenario.begin + 12 * 3600 for c in left_open)
    assert set(left_open) <= set(scenario.callers())


def test_mails_history_tells_what_its_own_deadlines_ask_for() -> None:
    mail, begin = queue("northwind/mail"), make_scenario(1).begin - 7 * DAY
    past = list(history.past(mail, begin, begin + DAY, 1))
    kept = deadlines(mail.name)
    assert kept is not None
    told = history.message(mail, past, "feed").reports
    least, most = kept.waits(np.array([i.start for i in past], np.int64), 1800)
    assert len(told) == 48
    for report, interval, *edges in zip(told, past, least, most, strict=True):
        assert {w.threshold_seconds for w in report.answered_within} == set(map(float, edges))
        assert {w.count for w in report.answered_within} == {interval.within}
        assert report.offered_count == report.answered_count == interval.offered


def test_the_month_of_a_campaign_is_of_what_it_was_to_reach() -> None:
    campaign, begin = queue("lumen/renewals"), make_scenario(1).begin - 7 * DAY
    reached, wanted = history.in_month(campaign, list(history.past(campaign, begin, begin + 3 * DAY, 1)), begin)
    assert wanted == 450
    assert 400 < reached <= 450


def test_the_end_card_counts_each_contract_in_its_own_measure() -> None:
    begin = make_scenario(1).begin
    end = begin + DAY

    def record(name: str, stage: str, wait: float | None, due: float = float("inf")) -> ContactRecord:
        return ContactRecord(Caller(name, name, begin + 100.0, 60.0, 200.0, 10.0, due), stage=stage, wait=wait)

    calls = [record("northwind/support", "WRAPPED", 19.0), record("northwind/support", "ABANDONED", 5.0)]
    calls += [record("lumen/care", "WRAPPED", 29.0), record("lumen/care", "ABANDONED", 5.0)]
    mail = [
        record("northwind/mail", "WRAPPED", 3600.0, begin + 3701.0),
        record("northwind/mail", "WRAPPED", 3600.0, begin + 3699.0),
    ]
    mail += [record("northwind/mail", "OFFERED", None, end), record("northwind/mail", "OFFERED", None, end + 1.0)]
    tried = [record("lumen/renewals", "WRAPPED", None), record("lumen/renewals", "MISSED", None)]
    found = end_card.count_service([*calls, *mail, *tried], end)
    told = {name: dataclasses.astuple(counted) for name, counted in found.items()}
    assert told["northwind/voice"] == (1, 2)
    assert told["lumen/voice"] == (1, 1)  # over answered
    assert told["northwind/mail"] == (1, 3)  # one in time, one late, one open when it was due; one is due later
    assert told["lumen/renewals"] == (1, 150)
    assert list(told) == list(CONTRACTS)


def test_every_contracts_measure_is_told_in_few_words() -> None:
    assert [queues_of(c)[0].measure for c in CONTRACTS] == [
        "80/20",
        "80/30",
        "75/30 answered",
        "80/60",
        "90 % in 4h",
        "150 a day",
    ]
