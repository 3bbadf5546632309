"""Patience is an estimate with a band: few abandons say little, and what that means in agents is told."""

import dataclasses
import math

import numpy as np
import pytest

from services.staffing.domain.attainment import CellFacts
from services.staffing.domain.facts import ClosedCell, ForecastDay
from services.staffing.domain.patience import Patience, band, patience_of, waiting
from services.staffing.domain.requirement import Goal, Rules
from services.staffing.handlers.explaining import explain
from services.staffing.handlers.requiring import QueueRules

GOAL = Goal("SERVICE_LEVEL", 0.8, "ANSWERED_OVER_OFFERED", 20.0)
DAY = ForecastDay("a/b", "2026-03-25", 1800, [0, 1800], [1] * 2, [600.0] * 2, [700.0] * 2, [300.0] * 2, 0, 1, True)


def test_the_band_holds_as_often_as_it_says_whatever_cuts_waiting_short() -> None:
    luck, mean, inside = np.random.default_rng(5), 150.0, 0
    for _ in range(2000):
        patience, offered_wait = luck.exponential(mean, 400), luck.exponential(30.0, 400)
        found = band(float(np.minimum(patience, offered_wait).sum()), int((patience < offered_wait).sum()))
        assert found is not None
        inside += found[0] <= mean <= found[1]
    assert 0.79 <= inside / 2000 <= 0.85  # exact intervals of counts hold a little more often


def test_more_abandons_narrow_it_and_none_says_nothing() -> None:
    few, many = band(1500.0, 10), band(150_000.0, 1000)
    assert few is not None
    assert many is not None
    assert few[1] / few[0] > 2 > 1.1 > many[1] / many[0] > 1
    assert few[0] < 150 < few[1]
    assert band(600.0, 0) is None
    assert band(0.0, 4) is None


@pytest.mark.parametrize(
    ("source", "declared", "abandons", "seconds", "used", "words"),
    [
        ("ESTIMATED", 200.0, 60, 100.0, "ESTIMATED", "estimated from 60 abandons"),
        ("ESTIMATED", 200.0, 20, 200.0, "DECLARED", "too few abandons"),
        ("ESTIMATED", None, 20, math.inf, "NONE", "Erlang C"),
        ("DECLARED", 200.0, 0, 200.0, "DECLARED", "200 s, declared"),
        ("NONE", 200.0, 60, math.inf, "NONE", "patience unknown"),
    ],
)
def test_what_is_in_use_says_what_it_rests_on(
    source: str, declared: float | None, abandons: int, seconds: float, used: str, words: str
) -> None:
    found, formula = patience_of(source, declared, 100.0 * abandons, abandons, 50)
    assert (found.seconds, found.source) == (seconds, used)
    assert words in formula
    assert (found.low is not None) == (abandons > 0)


def test_an_impossible_patience_is_refused() -> None:
    with pytest.raises(ValueError, match="-3"):
        Patience(-3.0)


def test_an_explanation_tells_what_the_band_means_in_agents() -> None:
    seen, formula = patience_of("ESTIMATED", None, 300.0, 5, 5)
    rules = QueueRules(Rules((GOAL,), 0, 0.1, 0.0), seen.seconds, formula, seen=seen)
    found = explain(DAY, 1, rules)
    assert found.by_patience is not None
    low, high = found.by_patience
    assert low <= found.on_queue <= high
    assert low < high
    declared = dataclasses.replace(rules, seen=dataclasses.replace(seen, source="DECLARED"))
    assert explain(DAY, 1, declared).by_patience is None
    assert explain(DAY, 1, dataclasses.replace(rules, seen=None)).by_patience is None


def test_the_time_in_which_an_abandon_would_be_short_is_left_out_with_them() -> None:
    luck, mean, short = np.random.default_rng(7), 60.0, 5.0
    patience = luck.exponential(mean, 100_000)
    offered_wait = np.where(luck.random(100_000) < 0.6, 0.0, luck.exponential(30.0, 100_000))
    waits, left = 1000 * np.minimum(patience, offered_wait), patience < offered_wait
    bins = [[int(n) for n in np.histogram(waits[who], (0, 1000 * short, np.inf))[0]] for who in (~left, left)]
    sums = [int(waits[who].sum()) for who in (~left, left)]
    facts = CellFacts(100_000, int((~left).sum()), int(left.sum()), sums[0], (5000,), bins[0], bins[1])
    shorts, waited = waiting(ClosedCell("a/b", 0, 1800, 1, 1800, facts, sums[1]), 5000)
    assert shorts == bins[1][0]
    assert waited is not None
    assert waited / 1000 / (left.sum() - shorts) == pytest.approx(mean, rel=0.06)  # all waiting over them: 77
    assert waiting(ClosedCell("a/b", 0, 1800, 1, 1800, facts, sums[1]), 7000) == (0, sum(sums))  # no edge, no short ones


def test_waiting_that_was_not_observed_says_nothing() -> None:
    facts = CellFacts(10, 5, 5, 4000, (5000,), (5, 0), (3, 2))
    assert waiting(ClosedCell("a/b", 0, 1800, 1, 1800, facts, None), 5000) == (3, None)
