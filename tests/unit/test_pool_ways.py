"""Ways to share agents between queues, from the book to what a planner sees: whose agents, how many of each group and when."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from rich.console import Console

from muster.cli.pooling import show_intervals, show_ways, way_of
from muster.kit.errors import Refusal
from muster.simulator.pools import LONGEST, PRIORITY
from muster.v1 import staffing_service_pb2 as pb
from services.staffing.domain.pooling import Pools, repair, start
from services.staffing.handlers import pooling as handlers
from services.staffing.handlers.pooling import PoolCase, Skills, pool_ways
from services.staffing.pooling import Pooling
from services.staffing.rpc import pooling_answer
from tests.support.small_world import QUEUES, book
from tests.support.staffing_world import MONDAY, Staffing, applied, staffing_on
from tests.unit.test_pooling import BUSY, PAIR, SECONDS, judge_of

TUESDAY, TUESDAY_BEGINS = "2026-03-24", MONDAY + 86_400
MIXED = Skills(((0,), (0, 1), (1, 0)), (4, 2, 3))


def skilled(*skills: tuple[str, int], **more: Any) -> dict[str, Any]:
    return {"skills": [{"skill": skill, "priority": priority} for skill, priority in skills], **more}


def loaded(engine: sa.Engine, *agents: dict[str, Any]) -> PoolCase:
    """Return Tuesday's case of the small book with such agents."""
    staffing: Staffing = staffing_on(engine)
    data = book()
    usual = {"site": "leeds", "work_pattern": "days"}
    if agents:  # rows are not pruned: who else is in the book has left
        gone = [{**agent, "leaves_on": "2026-01-01"} for agent in data["agents"][len(agents) :]]
        data["agents"] = [{"name": f"a{n:02d}", **usual, **agent} for n, agent in enumerate(agents)] + gone
    applied(staffing, data)
    for queue in QUEUES:
        staffing.expect(queue, 10.0, 300.0, 3)
    jobs: Any = None
    pooling = Pooling(staffing.requiring, jobs, staffing.streams.clock)
    return staffing.database.run_here(lambda c: pooling.load(c, {"queues": list(QUEUES), "day": TUESDAY}))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "DAYS", 60)
    monkeypatch.setattr(handlers, "MORE_DAYS", 400)


@pytest.fixture
def unplayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A way is not searched for: it only tells which it was."""
    monkeypatch.setattr(handlers, "_way", lambda case, name, skills: {"name": name, "of": name, "heads": list(skills.heads)})


def case_of(skills: Skills) -> PoolCase:
    return PoolCase(QUEUES, TUESDAY, PAIR, int(SECONDS), TUESDAY_BEGINS, skills)


def test_the_book_s_agents_are_in_one_group_each_by_their_queues_and_first_choice(engine: sa.Engine) -> None:
    case = loaded(engine)
    assert case.skills == Skills(((0, 1), (1, 0)), (10, 10), ranked=True)
    assert (case.begin, case.unserved) == (TUESDAY_BEGINS, [])


def test_a_skill_that_has_run_out_and_who_is_not_employed_count_no_more(engine: sa.Engine) -> None:
    both = [{"skill": "help", "priority": 1}, {"skill": "sales", "priority": 1, "certified_until": TUESDAY}]
    case = loaded(
        engine,
        skilled(("help", 2)),
        {"skills": both},
        skilled(("sales", 2), ("help", 1)),
        skilled(("sales", 1), hired_on="2026-03-25"),
        skilled(("sales", 1), leaves_on="2026-03-25"),
    )
    assert case.skills == Skills(((0,), (0, 1), (1,)), (2, 1, 1), ranked=True)


def test_where_too_many_groups_differ_by_choice_alone_the_sets_of_queues_are_the_groups(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.staffing.pooling.MOST_GROUPS", 1)
    assert loaded(engine).skills == Skills(((0, 1),), (20,), ranked=False)


def test_where_nobody_prefers_a_queue_who_waits_longest_is_taken(engine: sa.Engine) -> None:
    case = loaded(engine, skilled(("sales", 1), ("help", 1)), skilled(("help", 3)))
    assert case.skills == Skills(((0,), (0, 1)), (1, 1), ranked=False)
    assert (case.skills.routing, MIXED.routing, Skills(((0,), (1,)), ranked=False).routing) == (LONGEST, PRIORITY, PRIORITY)


@pytest.mark.usefixtures("quick")
def test_each_way_says_who_is_needed_when_and_the_book_s_lies_between_walls_and_none() -> None:
    answer = pool_ways(case_of(MIXED))
    ways = {way["name"]: way for way in answer["ways"]}
    assert list(ways) == ["DEDICATED", "CHAINED", "POOLED", "BOOK"]
    assert answer["starts"] == [TUESDAY_BEGINS + 1800 * n for n in range(len(BUSY))]
    for way in ways.values():
        agents = np.array(way["agents"])
        assert agents.shape == (len(way["groups"]), len(BUSY))
        assert (agents.sum(axis=1) / 2).tolist() == way["group_hours"]
        assert agents.sum() / 2 == way["hours"]  # nobody is counted twice
    booked = ways["BOOK"]
    assert booked["groups"] == [["acme/help"], ["acme/help", "acme/sales"], ["acme/sales", "acme/help"]]
    assert booked["heads"] == [4, 2, 3]
    assert booked["hours"] < ways["DEDICATED"]["hours"]
    pools = Pools(PAIR, MIXED.groups, SECONDS)
    fresh = judge_of(pools, 2000, 99)(np.array(booked["agents"]))
    assert ((fresh.days() >= pools.targets).mean(axis=0) >= 0.94).all()


@pytest.mark.parametrize(
    ("skills", "like"),
    [
        (Skills(((0, 1), (1, 0)), (7, 7)), "CHAINED"),
        (Skills(((0, 1), (1, 0)), (7, 1)), "BOOK"),  # the work is not divided as in the ring
        (Skills(((0,), (1,)), (9, 2)), "DEDICATED"),
        (Skills(((0, 1),), (5,), ranked=False), "POOLED"),
        (Skills(((0, 1),), (5,)), "BOOK"),  # routed otherwise
    ],
)
@pytest.mark.usefixtures("unplayed")
def test_a_book_that_is_as_another_way_costs_what_that_way_does(skills: Skills, like: str) -> None:
    booked = pool_ways(case_of(skills))["ways"][3]
    assert (booked["name"], booked["of"], booked["heads"]) == ("BOOK", like, list(skills.heads))


@pytest.mark.usefixtures("unplayed")
def test_a_queue_that_nobody_may_serve_is_named_instead_of_staffed() -> None:
    found = pool_ways(case_of(Skills(((0,),), (4,))))
    assert [way["name"] for way in found["ways"]] == ["DEDICATED", "CHAINED", "POOLED"]
    assert found["unserved"] == ["acme/sales"]


def test_work_that_groups_share_is_divided_by_how_many_agents_there_are() -> None:
    alike = tuple(dataclasses.replace(PAIR[0], volume=np.full(4, 120.0)) for _ in range(2))
    pools = Pools(alike, ((0, 1), (1, 0)), SECONDS, heads=(30, 10))
    judge = judge_of(pools, 40, 1)
    begun = start(pools, judge)
    assert begun[0].sum() / begun.sum() == pytest.approx(0.75, abs=0.02)
    few = Pools(alike[:1], ((0,), (0,)), SECONDS, heads=(30, 10))
    mended, _ = repair(few, judge_of(few, 40, 1), np.zeros((2, 4), np.int64))
    assert mended[0].sum() / mended.sum() == pytest.approx(0.75, abs=0.03)
    for heads in ((1,), (1, 0)):
        with pytest.raises(ValueError, match=r"heads.*allowed"):
            dataclasses.replace(pools, heads=heads)


FOUND: dict[str, Any] = {
    "ways": [
        {"name": "DEDICATED", "hours": 5.0, "groups": [["a/x"], ["a/y"]], "group_hours": [3.0, 2.0], "kept": [0.96, 0.97],
         "agents": [[2, 4], [3, 1]], "heads": []},
        {"name": "BOOK", "hours": 4.5, "groups": [["a/x", "a/y"], ["a/y"]], "group_hours": [3.5, 1.0], "kept": [0.96, 0.97],
         "agents": [[2, 5], [1, 1]], "heads": [6, 2]},
    ],
    "starts": [TUESDAY_BEGINS, TUESDAY_BEGINS + 1800],
    "unserved": [],
}  # fmt: skip


def test_the_answer_carries_each_group_s_agents_and_one_that_is_older_has_none() -> None:
    answer = pooling_answer(FOUND)
    assert answer.done
    assert list(answer.starts_at_epoch_seconds) == FOUND["starts"]
    assert [list(group.agents) for group in answer.ways[1].groups] == [[2, 5], [1, 1]]
    assert [group.book_agents for group in answer.ways[1].groups] == [6, 2]
    assert [group.book_agents for group in answer.ways[0].groups] == [0, 0]
    older = pooling_answer({"ways": [{k: v for k, v in FOUND["ways"][0].items() if k not in ("agents", "heads")}]})
    assert [(group.agent_hours, list(group.agents)) for group in older.ways[0].groups] == [(3.0, []), (2.0, [])]
    assert not pooling_answer(None).done


def printed(found: pb.GetPoolingResponse, way: str = "") -> str:
    out = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    show_ways(found, ["a/x", "a/y"], out)
    show_intervals(found, way_of(found, way), "Europe/London", out)
    return out.export_text()


def cells(text: str, begins: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.lstrip("│┃ ").startswith(begins))
    return [cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")]


def test_a_planner_sees_the_groups_of_the_cheapest_way_or_of_the_one_asked_for() -> None:
    text = printed(pooling_answer(FOUND))
    assert "BOOK: a/x + a/y: 3.5 h, at most 5 at once, 6 in the book; a/y: 1.0 h, at most 1 at once, 2 in the book" in text
    assert "BOOK: agents on queue" in text
    assert cells(text, "interval") == ["interval", "a/x + a/y", "a/y", "all"]
    assert cells(text, "Tue 2026-03-24 00:30 GMT")[1:] == ["5", "1", "6"]
    assert cells(text, "hours") == ["hours", "3.5", "1.0", "4.5"]
    assert cells(printed(pooling_answer(FOUND), "dedicated"), "Tue 2026-03-24 00:30 GMT")[1:] == ["4", "1", "5"]


def test_a_way_that_is_not_there_is_refused_and_why() -> None:
    answer = pooling_answer({**FOUND, "ways": FOUND["ways"][:1], "unserved": ["a/y"]})
    with pytest.raises(Refusal, match=r"allowed: DEDICATED; BOOK: nobody in the book may serve a/y"):
        way_of(answer, "BOOK")
    out = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    show_ways(answer, ["a/x", "a/y"], out)
    assert "no way BOOK: nobody in the book may serve a/y" in out.export_text()
