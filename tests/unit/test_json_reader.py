"""The JSON reader against protobuf's own: the same message, or both refuse."""

import copy
import json
import random
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from muster.kit.json_reader import read_json
from muster.v1 import feed_pb2, floor_pb2, volume_pb2

SEED = 20261126
CONTACT = {
    "contactId": "c-1",
    "revision": "3",
    "stage": "STAGE_WRAPPED",
    "origin": 2,
    "arrivedAt": "2026-03-25T09:30:00.250+01:00",
    "queueSeconds": 3.5,
    "talk_seconds": 200,
}
REPORT = {"startsAt": "2026-03-25T09:30:00Z", "intervalSeconds": 1800, "offeredCount": "5", "answeredWithin": [{"count": 3}]}
COLUMNS = {"startsAtEpochSeconds": ["1774400400", 1774402200], "intervalSeconds": 1800, "offeredCount": [1, 2]}
TOLD: list[tuple[type[Message], dict[str, Any]]] = [
    (volume_pb2.VolumeObserved, {"queue": "acme/help", "feed": "live", "contacts": [CONTACT, CONTACT]}),
    (volume_pb2.VolumeObserved, {"queue": "acme/help", "basis": "BASIS_OFFICIAL", "reports": [REPORT]}),
    (volume_pb2.VolumeObserved, {"queue": "acme/help", "reportColumns": COLUMNS, "adjustments": [{"adjustmentId": "a"}]}),
    (volume_pb2.VolumeClosed, {"cell": {"queue": "acme/help", "closed": True, "startsAt": "2026-03-25T09:30:00Z"}}),
    (feed_pb2.FeedProgressed, {"client": "acme", "queues": ["acme/help"], "completeThrough": "2026-03-25T09:30:00Z"}),
    (
        floor_pb2.FloorObserved,
        {"agents": [{"agent": "ann"}], "snapshotSites": ["london"], "observedAt": "2026-03-25T09:30:00Z"},
    ),
]
STRANGE: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        "",
        "x",
        "many",
        "5",
        "-5",
        " 5",
        "5.0",
        "1e3",
        "1_0",
        "٥",
        "nan",
        "NaN",
        "Infinity",
        "-Infinity",
        "inf",
    ),
    *(
        0,
        -1,
        2**31,
        2**32,
        2**63,
        2**64,
        10**400,
        1.5,
        5.0,
        1e300,
        float("nan"),
        float("inf"),
        [],
        {},
        [[]],
        [None],
        [1, "x"],
        {"a": 1},
    ),
    *(
        "\ud800",
        "é",
        "STAGE_GONE",
        "STAGE_OFFERED",
        99,
        "99",
        "4294967296",
        ["STAGE_OFFERED", "STAGE_GONE"],
        ["2026-03-25T09:30:00Z"],
    ),
    *("2026-02-30T00:00:00Z", "2026-03-25t09:30:00Z", "2026-03-25T09:30:00", "2026-03-25T09:30:60Z", "2026-W01-1T09:30:00Z"),
    *("2026-03-25T09:30:00.1234567890Z", "2026-03-25T09:30:00.5-99:99", "0001-01-01T00:00:00+01:00", "2026-3-5T9:30:00Z"),
    *("0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59-00:01", "2026-03-25T09:30:00Zx"),
)
ALSO = (
    "contact_id",
    "contactId",
    "queue",
    "stage",
    "arrived_at",
    "starts_at",
    "unknown",
    "[a.b]",
    "",
    "revision",
    "talkSeconds",
)


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key or index) of a tree."""
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [found for key, value in inside for found in ((tree, key), *places(value))]


def answer(read: Any) -> bytes | None:
    try:
        return bytes(read().SerializeToString(deterministic=True))
    except (ValueError, json_format.ParseError):
        return None


def compare(message: type[Message], text: str) -> bool:
    """Return whether a text is read, by both and as the same."""
    value = text.encode(errors="surrogatepass")
    mine = answer(lambda: read_json(message, value))
    theirs = answer(lambda: json_format.Parse(value, message(), ignore_unknown_fields=True))
    assert mine == theirs, (message.DESCRIPTOR.name, text)
    return mine is not None


@pytest.mark.parametrize(("message", "tree"), TOLD)
def test_the_same_is_read_of_what_is_right(message: type[Message], tree: dict[str, Any]) -> None:
    assert compare(message, json.dumps(tree))
    assert compare(message, json.dumps(tree, indent=2) + "\n")


@pytest.mark.parametrize(("message", "tree"), TOLD)
def test_any_strange_value_anywhere_has_the_same_answer(message: type[Message], tree: dict[str, Any]) -> None:
    read = 0
    for n in range(len(places(tree))):
        for strange in STRANGE:
            other = copy.deepcopy(tree)
            container, key = places(other)[n]
            container[key] = copy.deepcopy(strange)
            read += compare(message, json.dumps(other))
    assert 0 < read < len(places(tree)) * len(STRANGE)


def test_mutated_trees_have_the_same_answer() -> None:
    luck, read, tries = random.Random(SEED), 0, 4_000
    for _ in range(tries):
        message, tree = luck.choice(TOLD)
        tree = copy.deepcopy(tree)
        for _ in range(luck.randint(1, 3)):
            container, key = luck.choice([*places(tree), (tree, "feed")])
            if isinstance(container, dict) and luck.random() < 0.5:
                name = luck.choice([*ALSO, *container])
                container[name] = copy.deepcopy(luck.choice([*STRANGE, *container.values()]))
            elif luck.random() < 0.2 and tree:
                container.pop(key if isinstance(container, list) or key in container else next(iter(container)))
            else:
                container[key] = copy.deepcopy(luck.choice(STRANGE))
        read += compare(message, json.dumps(tree))
    assert tries / 20 < read < tries


def test_mutated_texts_have_the_same_answer() -> None:
    luck, read, tries = random.Random(SEED), 0, 4_000
    for _ in range(tries):
        message, tree = luck.choice(TOLD)
        text = json.dumps(tree)
        for _ in range(luck.randint(1, 2)):
            at = luck.randrange(len(text))
            text = (
                text[:at] + luck.choice(("", "}", "{", '"', ",", "0", "é", "-", "null", " ")) + text[at + luck.randint(0, 2) :]
            )
        read += compare(message, text)
    assert tries / 20 < read < tries


def test_what_is_no_object_is_refused() -> None:
    """Protobuf's own reads a list as the names of fields it does not know, and so as an empty message."""
    for text in (b"[]", b"[1]", b'["x"]', b"", b" ", b"3", b'"x"', b"null", b'{"a":' * 5000, b'{"a":1} x'):
        with pytest.raises((ValueError, json_format.ParseError)):
            read_json(volume_pb2.VolumeObserved, text)
    with pytest.raises((ValueError, json_format.ParseError)):
        read_json(volume_pb2.VolumeObserved, b'{"a":' * 5000 + b"1" + b"}" * 5000)


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        read_json(volume_pb2.VolumeObserved, b'{"queue":"a/b","queue":"a/c"}')
