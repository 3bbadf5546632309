"""What a fetch answers is taken in order: stale records are dropped, a jump ahead is asked again, the same jump twice is a gap."""

from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from muster.kit.clock import SystemClock
from muster.kit.errors import Refusal
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


def test_what_cannot_be_read_is_kept_whole_whatever_is_wrong_with_it() -> None:
    def decode(value: bytes | None, headers: Any) -> Any:
        if value == b"good":
            return "fact"
        raise Refusal("NOT_JSON", "\ud800 is half a character") if value else ValueError("a bug")

    nothing: Any = None
    loop = BatchLoop(nothing, nothing, nothing, SystemClock(), [Inlet("t", decode, nothing)], nothing, "", 100, 1000, nothing)
    told = [(b"\xff", b"bad"), (b"", b"good"), (None, None)]
    read: Any = [
        SimpleNamespace(offset=n, partition=0, timestamp=0, headers=(), key=k, value=v) for n, (k, v) in enumerate(told)
    ]
    facts, letters, reasons = loop._decode("t", read)
    assert [fact.message for fact in facts] == ["fact"]
    assert letters == [
        (
            b"t/0/0",
            b"bad",
            [("reason", b"NOT_JSON"), ("detail", b"? is half a character"), ("origin", b"t/0/0"), ("key", "\ufffd".encode())],
        ),
        (b"t/0/2", b"", [("reason", b"MALFORMED"), ("detail", b"ValueError: a bug"), ("origin", b"t/0/2")]),
    ]
    assert reasons == {"NOT_JSON": 1, "MALFORMED": 1}
