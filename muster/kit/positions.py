"""Where we stand in each partition: kept in SQL with the state it led to, fenced by compare-and-set."""

from collections.abc import Mapping

import sqlalchemy as sa

from muster.kit.errors import SourceReplaced
from muster.kit.statements import Prepared, given
from muster.kit.topics import Source

Partition = tuple[str, int]


class Fenced(Exception):
    """Another process has moved a position since we read it: roll back and read again."""


class Positions:
    """The `source` table of a service."""

    def __init__(self, metadata: sa.MetaData) -> None:
        self._source = metadata.tables["source"]
        s = self._source.c
        at = (s.topic == given("of_topic")) & (s.partition == given("of_partition"))
        self._advance = Prepared(sa.update(self._source).where(at & (s.next == given("old"))).values(next=given("new")))

    def read(self, connection: sa.Connection) -> dict[Partition, int]:
        """Return the next offset of each partition that has one."""
        s = self._source
        return {(r.topic, r.partition): r.next for r in connection.execute(sa.select(s.c.topic, s.c.partition, s.c.next))}

    def adopt(self, connection: sa.Connection, sources: Mapping[str, Source], starts: Mapping[Partition, int]) -> None:
        """Start partitions that have no position at `starts`. Raise SourceReplaced if a known topic is another one."""
        self.verify(connection, sources)
        known = self.read(connection)
        for topic, source in sources.items():
            for partition in set(range(source.partitions)) - {p for t, p in known if t == topic}:
                ids = {"cluster_id": source.cluster_id, "topic_id": source.topic_id}
                row = {"topic": topic, "partition": partition, "next": starts[topic, partition], **ids}
                connection.execute(sa.insert(self._source).values(row))

    def verify(self, connection: sa.Connection, sources: Mapping[str, Source]) -> None:
        """Raise SourceReplaced if a topic of which we hold positions is another one now."""
        for row in connection.execute(sa.select(self._source)):
            source = sources.get(row.topic)
            if source is not None and (row.cluster_id, row.topic_id) != (source.cluster_id, source.topic_id):
                raise SourceReplaced(
                    "SOURCE_REPLACED",
                    f"{row.topic} is not the topic we read before (cluster {row.cluster_id} → {source.cluster_id}, "
                    f"topic {row.topic_id} → {source.topic_id}). If that is meant: muster topics adopt {row.topic}",
                )

    def forget(self, connection: sa.Connection, topic: str) -> int:
        """Drop a topic's positions, so that it is read from its beginning; return how many partitions it had."""
        return connection.execute(sa.delete(self._source).where(self._source.c.topic == topic)).rowcount

    def advance(self, connection: sa.Connection, at: Partition, old: int, new: int) -> None:
        """Move a position from old to new. Raise Fenced if it isn't at old."""
        if self._advance.change(connection, of_topic=at[0], of_partition=at[1], old=old, new=new) != 1:
            raise Fenced(f"{at[0]}[{at[1]}] is no longer at {old}")

    def raise_to(self, connection: sa.Connection, at: Partition, new: int) -> None:
        """Move the position of a state topic up to `new`; lower ones are ignored, since newer generations win."""
        s = self._source
        where = (s.c.topic == at[0]) & (s.c.partition == at[1]) & (s.c.next < new)
        connection.execute(sa.update(s).where(where).values(next=new))
