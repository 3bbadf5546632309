"""The outbox and its relay: positions are dense, one relay publishes, watchers are told from memory."""

import asyncio
import time
import types
from typing import Any, cast

import pytest
import sqlalchemy as sa
from aiokafka.errors import KafkaError

from muster.kit.clock import ConductedClock
from muster.kit.outbox import Outbox, Outgoing, Relay
from muster.kit.sql import Database
from tests.support.kit_tables import metadata


def test_what_is_published_while_a_watcher_reads_is_not_waited_for(database: Database) -> None:
    outbox = Outbox(metadata, ConductedClock(5))

    async def watch() -> None:
        relay = Relay(database, outbox, metadata, "", "", "one", 30.0)
        sent: list[str] = []

        async def send(topic: str, letters: Any) -> None:
            sent.append(topic)

        relay._send = send  # type: ignore[method-assign]
        rounds = relay.rounds
        await database.run(lambda c: outbox.write(c, [Outgoing("t", "k", b"1")]))
        await relay.publish_some()
        async with asyncio.timeout(5):
            await relay.published_since(rounds, 60.0)  # published before it waits
            late = asyncio.ensure_future(relay.published_since(relay.rounds, 60.0))
            await asyncio.sleep(0)
            await database.run(lambda c: outbox.write(c, [Outgoing("t", "k", b"2")]))
            await relay.publish_some()
            await late
            await relay.published_since(relay.rounds, 0.01)  # nothing comes
        assert sent == ["t", "t"]

    asyncio.run(watch())


def test_watchers_are_told_from_memory_before_sql_keeps_a_position_and_only_what_goes_on_from_theirs(
    database: Database,
) -> None:
    outbox = Outbox(metadata, ConductedClock(5))

    async def watch() -> None:
        relays = [Relay(database, outbox, metadata, "", "", owner, 0.2) for owner in ("one", "two")]
        kept: list[int] = []

        async def send(topic: str, letters: Any) -> None:
            kept.append(await database.run(outbox.last_position))

        async def publish(relay: Relay, *topics: str) -> None:
            await database.run(lambda c: outbox.write(c, [Outgoing(t, "k", t.encode()) for t in topics]))
            assert await relay.publish_some() == len(topics)

        for relay in relays:
            relay._send = send  # type: ignore[method-assign]
        await publish(relays[0], "a", "b", "a")
        assert relays[0].newer("a", 0) == [(1, b"a"), (3, b"a")]
        assert relays[0].newer("a", 1) == [(3, b"a")]
        assert relays[0].newer("a", 3) == relays[1].newer("a", 0) == []
        await asyncio.sleep(0.3)
        await publish(relays[1], "a")
        assert relays[1].newer("a", 3) == [(4, b"a")]
        assert relays[1].newer("a", 2) == []  # it doesn't know what 3 was
        await asyncio.sleep(0.3)
        await publish(relays[0], "a")
        assert relays[0].newer("a", 4) == [(5, b"a")]
        assert relays[0].newer("a", 3) == []  # 4 was another's
        assert outbox_positions(database) == [1, 2, 3, 4, 5]
        assert kept == [0, 0, 3, 4]

    asyncio.run(watch())


def test_a_watcher_whom_memory_does_not_join_on_to_waits_for_sql_alone(database: Database) -> None:
    outbox = Outbox(metadata, ConductedClock(5))

    async def watch() -> list[tuple[int, bytes]]:
        relay = Relay(database, outbox, metadata, "", "", "one", 30.0)

        async def send(topic: str, letters: Any) -> None:
            pass

        async def follow() -> list[tuple[int, bytes]]:
            while True:
                rounds = relay.rounds
                rows = relay.newer("t", 0) or await database.read(lambda c: outbox.since(c, "t", 0))
                if rows:
                    return rows
                await relay.published_since(rounds, 60.0)

        relay._send = send  # type: ignore[method-assign]
        await database.run(lambda c: outbox.write(c, [Outgoing("other", "k", b"0"), Outgoing("t", "k", b"1")]))
        await relay.publish_some(1)
        relay._newest.clear()
        keep = outbox.published

        def late(connection: sa.Connection, ids: list[int]) -> None:
            time.sleep(0.2)  # who was told has read by now
            keep(connection, ids)

        outbox.published = late  # type: ignore[method-assign]
        async with asyncio.timeout(5):
            following = asyncio.ensure_future(follow())
            await asyncio.sleep(0.1)
            await relay.publish_some(1)
            return await following

    assert asyncio.run(watch()) == [(2, b"1")]


def outbox_positions(database: Database) -> list[int]:
    return database.run_here(
        lambda c: list(c.execute(sa.select(metadata.tables["outbox"].c.position).order_by("id")).scalars())
    )


def test_one_relay_publishes_under_a_lease_and_another_when_it_has_run_out(database: Database) -> None:
    outbox = Outbox(metadata, ConductedClock(5))

    async def publish() -> None:
        sent: list[str] = []
        relays = {}
        for owner in ("one", "two"):
            relays[owner] = Relay(database, outbox, metadata, "", "", owner, 0.5)

            async def send(topic: str, letters: Any, owner: str = owner) -> None:
                sent.append(owner)

            relays[owner]._send = send  # type: ignore[method-assign]

        async def tell() -> None:
            await database.run(lambda c: outbox.write(c, [Outgoing("t", "k", b"1")]))

        await tell()
        assert await relays["one"].publish_some() == 1
        await tell()
        assert await relays["two"].publish_some() == 0
        assert await relays["one"].publish_some() == 1
        await tell()
        await asyncio.sleep(0.6)
        assert await relays["two"].publish_some() == 1
        assert await relays["one"].publish_some() == 0
        assert sent == ["one", "one", "two"]

    asyncio.run(publish())
    assert database.run_here(outbox.last_position) == 3


def test_what_one_topic_refuses_does_not_overtake_another() -> None:
    sent: list[str] = []

    async def send(topic: str, letters: Any) -> None:
        if topic == "a":
            raise KafkaError("away")
        await asyncio.sleep(0.01)
        sent.append(topic)

    relay = types.SimpleNamespace(_world="", _send=send)
    with pytest.raises(KafkaError):
        asyncio.run(Relay.deliver_letters(cast(Any, relay), {"a": [(b"", b"1", [])], "b": [(b"", b"2", [])]}))
    assert sent == ["b"]  # it ended before anything is sent again


def test_positions_of_published_messages_are_dense(database: Database) -> None:
    outbox = Outbox(metadata, ConductedClock(1))
    database.run_here(lambda c: outbox.write(c, [Outgoing("t", "k", b"%d" % n) for n in range(5)]))
    rows = database.run_here(lambda c: outbox.waiting(c, 3))
    database.run_here(lambda c: outbox.published(c, [r.id for r in rows]))
    database.run_here(lambda c: outbox.published(c, [r.id for r in outbox.waiting(c, 9)]))
    assert database.run_here(lambda c: outbox.since(c, "t", 2)) == [(3, b"2"), (4, b"3"), (5, b"4")]
    assert database.run_here(outbox.depth) == 0
