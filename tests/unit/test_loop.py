"""What a fetch answers is taken in order: stale records are dropped, a jump ahead is asked again, the same jump twice is a gap."""

from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from muster.kit.loop import BatchLoop, Inlet

TP = TopicPartition("t", 0)


def loop_at(offset: int) -> tuple[BatchLoop, list[int]]:
    sought: list[int] = []
    nothing: Any = None
    inlet = Inlet("t", nothing, nothing)
    loop = BatchLoop(nothing, nothing, nothing, nothing, [inlet], nothing, "", 100, 1000, nothing)
    consumer: Any = SimpleNamespace(assignment=lambda: {TP}, seek=lambda tp, at: sought.append(at))
    loop._consumer = consumer
    loop.expected["t", 0] = offset
    return loop, sought


def records(*offsets: int) -> Any:
    return [SimpleNamespace(offset=n) for n in offsets]


def taken(loop: BatchLoop, *offsets: int) -> list[int]:
    return [r.offset for r in loop._in_order(TP, records(*offsets))]


def test_stale_records_are_dropped_one_by_one() -> None:
    loop, sought = loop_at(5)
    assert taken(loop, 3, 4, 5, 6) == [5, 6]
    assert taken(loop, 1, 2) == []
    assert sought == []


def test_a_fetch_that_begins_ahead_is_asked_again() -> None:
    loop, sought = loop_at(5)
    assert taken(loop, 9, 10) == []
    assert sought == [5]
    assert taken(loop, 5, 6) == [5, 6]


def test_the_same_answer_twice_is_a_gap_in_the_log() -> None:
    loop, sought = loop_at(5)
    assert taken(loop, 8, 9) == []
    assert taken(loop, 8, 9) == [8, 9]
    assert sought == [5]


def test_what_is_no_longer_ours_is_left_alone() -> None:
    loop, _ = loop_at(5)
    assert loop._in_order(TopicPartition("t", 1), records(5)) == []
