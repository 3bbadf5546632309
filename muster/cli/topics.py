"""muster topics and muster dlq: create topics, adopt a replaced one, look at what was refused."""

import datetime as dt
import pathlib
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from rich.table import Table

from muster.cli.connection import console
from muster.client.stubs import SERVICES, NotRunning, find_addresses
from muster.kit.errors import NotFound, Refusal
from muster.kit.sql import open_engine
from muster.kit.topics import all_topics, apply_topics, dead_letter_topic

topics = typer.Typer(no_args_is_help=True, help="Kafka topics.")
dlq = typer.Typer(no_args_is_help=True, help="What could not be read.")
Bootstrap = Annotated[str, typer.Option(help="Kafka brokers; default: those of the running Muster")]
World = Annotated[str, typer.Option(help="prefix of topics")]
_Message = tuple[str, bytes | None, bytes | None]


def _where(bootstrap: str, world: str) -> tuple[str, str]:
    if bootstrap:
        return bootstrap, world
    found = find_addresses()
    return found.bootstrap, world or found.world


@topics.command()
def apply(bootstrap: Bootstrap = "", world: World = "", replication: Annotated[int, typer.Option(min=1, max=9)] = 1) -> None:
    """Create the topics that are missing."""
    created = apply_topics(*_where(bootstrap, world), replication)
    console().print(f"created {len(created)} of {len(all_topics())} topics and their dead-letter topics", highlight=False)


@topics.command("list")
def list_topics() -> None:
    """List the topics and their rules."""
    table = Table(title="Topics", title_justify="left")
    for head in ("topic", "message", "key", "rule", "producers", "consumers"):
        table.add_column(head)
    for t in all_topics().values():
        table.add_row(
            t.topic, t.message.removeprefix("muster.v1."), t.key, t.rule, ", ".join(t.producers), ", ".join(t.consumers)
        )
    console().print(table)


@topics.command()
def adopt(
    topic: str,
    data: Annotated[pathlib.Path, typer.Option(help="folder of the services' SQLite files")] = pathlib.Path("var/dev"),
    database_url: Annotated[str, typer.Option(help="postgresql://… where the services use one")] = "",
    world: World = "",
) -> None:
    """Take a replaced topic as ours: every stopped service forgets its positions there and reads it from its beginning."""
    try:
        find_addresses(data)
    except NotRunning:
        pass
    else:
        raise NotFound("STILL_RUNNING", f"a Muster runs in {data}; stop it first")
    for service in SERVICES:
        if database_url or (data / f"{service}.sqlite").exists():
            with open_engine(database_url, data, world, service, "FULL").begin() as connection:
                forget = sa.text("DELETE FROM source WHERE topic = :topic")
                count = connection.execute(forget, {"topic": world + topic}).rowcount
            console().print(f"{service}: {count} positions forgotten", highlight=False)


def _letters(topic: str, bootstrap: str, world: str) -> list[tuple[str, Any]]:
    """Return (key, record) of a topic's dead letters that stand."""
    name = world + dead_letter_topic(topic)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        partitions = consumer.partitions_for_topic(name)
        if not partitions:
            raise NotFound("NO_SUCH_TOPIC", f"no topic {name}")
        tps = [TopicPartition(name, p) for p in partitions]
        consumer.assign(tps)
        consumer.seek_to_beginning(*tps)
        ends, letters = consumer.end_offsets(tps), {}
        while any(consumer.position(tp) < ends[tp] for tp in tps):
            for records in consumer.poll(500).values():
                for record in records:
                    letters[record.key.decode()] = record
        return [(key, r) for key, r in letters.items() if r.value is not None]
    finally:
        consumer.close()


@dlq.command("list")
def dlq_list(
    topic: Annotated[str, typer.Argument()] = "muster.volume.observed.v1", bootstrap: Bootstrap = "", world: World = ""
) -> None:
    """List a topic's dead letters: origin, reason, detail."""
    table = Table(title=f"Dead letters of {topic}", title_justify="left")
    for head in ("origin", "when", "reason", "detail", "bytes"):
        table.add_column(head)
    for key, record in _letters(topic, *_where(bootstrap, world)):
        headers = _headers(record)
        when = dt.datetime.fromtimestamp(record.timestamp / 1000, dt.UTC).isoformat(timespec="seconds")
        size = str(len(record.value))
        table.add_row(key, when, headers.get("reason", "?"), headers.get("detail", "")[:80], size)
    console().print(table)


def _headers(record: Any) -> dict[str, str]:
    return {name: value.decode(errors="replace") for name, value in record.headers}


@dlq.command("show")
def dlq_show(origin: str, bootstrap: Bootstrap = "", world: World = "") -> None:
    """Print a dead letter's original bytes."""
    typer.echo(_letter(origin, *_where(bootstrap, world)).value, nl=False)


def _letter(origin: str, bootstrap: str, world: str) -> Any:
    topic = origin.split("/")[0]
    for key, record in _letters(topic, bootstrap, world):
        if key == origin:
            return record
    raise NotFound("NO_SUCH_LETTER", f"no dead letter {origin}; see muster dlq list {topic}")


@dlq.command("drop")
def dlq_drop(origin: str, bootstrap: Bootstrap = "", world: World = "") -> None:
    """Drop a dead letter (a tombstone is written)."""
    bootstrap, world = _where(bootstrap, world)
    _letter(origin, bootstrap, world)
    _send(bootstrap, [(world + dead_letter_topic(origin.split("/")[0]), origin.encode(), None)])
    console().print(f"dropped {origin}", highlight=False)


@dlq.command("replay")
def dlq_replay(
    origin: Annotated[str, typer.Argument(help="one dead letter; or a topic with --reason")],
    reason: Annotated[str, typer.Option(help="every letter of the topic with this reason")] = "",
    file: Annotated[
        pathlib.Path | None, typer.Option("--with", help="send this file's bytes instead: the letter mended")
    ] = None,
    bootstrap: Bootstrap = "",
    world: World = "",
) -> None:
    """Send dead letters to their topic again, and drop them. What was used already changes nothing when it comes twice."""
    bootstrap, world = _where(bootstrap, world)
    topic = origin.split("/")[0]
    if "/" in origin:
        chosen = [(origin, _letter(origin, bootstrap, world))]
    elif reason and file is None:
        chosen = [(key, r) for key, r in _letters(topic, bootstrap, world) if _headers(r).get("reason") == reason]
    else:
        raise Refusal("WHICH_LETTER", "name one letter (muster dlq list), or a topic and --reason")
    again, gone = list[_Message](), list[_Message]()
    for key, record in chosen:
        value = file.read_bytes() if file else record.value
        again.append((world + topic, _headers(record).get("key", "").encode() or None, value))
        gone.append((world + dead_letter_topic(topic), key.encode(), None))
    _send(bootstrap, again)  # acknowledged before any is dropped
    _send(bootstrap, gone)
    console().print(f"sent {len(again)} again to {topic}", highlight=False)


def _send(bootstrap: str, messages: list[_Message]) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", max_request_size=2_200_000)
    try:
        for future in [producer.send(topic, key=key, value=value) for topic, key, value in messages]:
            future.get(30)
    finally:
        producer.close()
