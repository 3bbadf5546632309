"""muster topics and muster dlq: create topics, adopt a replaced one, look at what was refused."""

import datetime as dt
import pathlib
import sqlite3
from typing import Annotated

import typer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from rich.table import Table

from muster.cli.connection import console
from muster.client.stubs import SERVICES, NotRunning, find_addresses
from muster.kit.errors import NotFound
from muster.kit.topics import all_topics, apply_topics, dead_letter_topic

topics = typer.Typer(no_args_is_help=True, help="Kafka topics.")
dlq = typer.Typer(no_args_is_help=True, help="What could not be read.")
Bootstrap = Annotated[str, typer.Option(help="Kafka brokers; default: those of the running Muster")]
World = Annotated[str, typer.Option(help="prefix of topics")]


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
) -> None:
    """Take a replaced topic as ours: every stopped service forgets its positions there and reads it from its beginning."""
    try:
        find_addresses(data)
    except NotRunning:
        pass
    else:
        raise NotFound("STILL_RUNNING", f"a Muster runs in {data}; stop it first")
    for service in SERVICES:
        path = data / f"{service}.sqlite"
        if path.exists():
            with sqlite3.connect(path) as connection:
                count = connection.execute("DELETE FROM source WHERE topic = ?", (topic,)).rowcount
            console().print(f"{service}: {count} positions forgotten", highlight=False)


def _letters(topic: str, bootstrap: str, world: str) -> list[tuple[str, object]]:
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
        headers = {name: value.decode(errors="replace") for name, value in record.headers}  # type: ignore[attr-defined]
        when = dt.datetime.fromtimestamp(record.timestamp / 1000, dt.UTC).isoformat(timespec="seconds")  # type: ignore[attr-defined]
        size = str(len(record.value))  # type: ignore[attr-defined]
        table.add_row(key, when, headers.get("reason", "?"), headers.get("detail", "")[:80], size)
    console().print(table)


@dlq.command("show")
def dlq_show(origin: str, bootstrap: Bootstrap = "", world: World = "") -> None:
    """Print a dead letter's original bytes."""
    topic = origin.split("/")[0]
    for key, record in _letters(topic, *_where(bootstrap, world)):
        if key == origin:
            typer.echo(record.value, nl=False)  # type: ignore[attr-defined]
            return
    raise NotFound("NO_SUCH_LETTER", f"no dead letter {origin}; see muster dlq list {topic}")


@dlq.command("drop")
def dlq_drop(origin: str, bootstrap: Bootstrap = "", world: World = "") -> None:
    """Drop a dead letter (a tombstone is written)."""
    bootstrap, world = _where(bootstrap, world)
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    producer.send(world + dead_letter_topic(origin.split("/")[0]), key=origin.encode(), value=None)
    producer.flush()
    producer.close()
    console().print(f"dropped {origin}", highlight=False)
