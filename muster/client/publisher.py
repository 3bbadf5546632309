"""A typed publisher of volume and feed progress. Any Kafka client will do as well; see examples/."""

import datetime as dt
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from kafka import KafkaProducer

from muster.v1 import feed_pb2, volume_pb2

VOLUME = "muster.volume.observed.v1"
PROGRESS = "muster.feed.progressed.v1"


def at(instant: dt.datetime | int) -> Timestamp:
    """Return a timestamp of an aware datetime or of seconds since 1970. Raise ValueError for a naive one."""
    if isinstance(instant, int):
        return Timestamp(seconds=instant)
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no zone; give an aware datetime")
    return Timestamp(seconds=int(instant.timestamp()))


class VolumePublisher:
    """Publishes one client's volume. Sends are idempotent at the broker; a message sent twice changes nothing in Muster.

    The same contact may be told many times, in any order: each message is its full state, with a higher revision.
    """

    def __init__(self, bootstrap: str, client: str, feed: str, world: str = "") -> None:
        self._producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
        self._client, self._feed, self._world = client, feed, world

    def _send(self, topic: str, key: str, message: Message) -> None:
        value = message.SerializeToString(deterministic=True)
        self._producer.send(self._world + topic, key=key.encode(), value=value)

    def contacts(self, queue: str, contacts: Iterable[volume_pb2.Contact]) -> None:
        """Tell contacts' states. queue: the name within the client."""
        name = f"{self._client}/{queue}"
        self._send(VOLUME, name, volume_pb2.VolumeObserved(queue=name, feed=self._feed, contacts=contacts))

    def reports(self, queue: str, reports: Iterable[volume_pb2.IntervalReport], official: bool = False) -> None:
        """Tell interval reports; official ones win over the live feed."""
        name, basis = f"{self._client}/{queue}", 2 if official else 1
        message = volume_pb2.VolumeObserved(queue=name, feed=self._feed, basis=basis, reports=reports)  # type: ignore[arg-type]
        self._send(VOLUME, name, message)

    def complete_through(self, instant: dt.datetime | int, queues: Iterable[str] = ()) -> None:
        """Say that everything before an instant has been told; of all of the client's queues if none is named."""
        names = [f"{self._client}/{queue}" for queue in queues]
        message = feed_pb2.FeedProgressed(client=self._client, feed=self._feed, queues=names, complete_through=at(instant))
        self._send(PROGRESS, f"{self._client}/{self._feed}", message)

    def flush(self) -> None:
        """Return when the broker has acknowledged everything."""
        self._producer.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.flush()
        self._producer.close()
