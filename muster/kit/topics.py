"""The topics as data: read from protos/topics, created by `muster topics apply`, verified by services."""

import dataclasses
import importlib.resources
import uuid

import yaml
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError

from muster.kit.errors import NotReady


@dataclasses.dataclass(frozen=True)
class Topic:
    """One topic: its message and its rules. Names are without the world's prefix."""

    topic: str
    message: str
    key: str
    rule: str
    partitions: int
    cleanup: str
    retention_hours: int
    dead_letter: bool
    producers: tuple[str, ...]
    consumers: tuple[str, ...]

    @property
    def is_state(self) -> bool:
        """Whether each message is full state and the topic is compacted."""
        return self.cleanup == "compact"


def all_topics() -> dict[str, Topic]:
    """Return every topic by name."""
    folder = importlib.resources.files("muster.v1") / "topics"
    topics = {}
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        data = yaml.safe_load(entry.read_text())
        for listed in ("producers", "consumers"):
            data[listed] = tuple(data[listed])
        topics[data["topic"]] = Topic(**data)
    return topics


def dead_letter_topic(topic: str) -> str:
    """Return where what can't be read of a topic goes."""
    return f"{topic}.dlq"


def _new_topics(world: str, replication: int) -> list[NewTopic]:
    new = []
    for topic in all_topics().values():
        configs = {"message.timestamp.type": "LogAppendTime", "cleanup.policy": topic.cleanup}
        if topic.cleanup == "delete":
            configs["retention.ms"] = str(topic.retention_hours * 3_600_000)
        new.append(NewTopic(world + topic.topic, topic.partitions, replication, topic_configs=configs))
        if topic.dead_letter:
            configs = {
                "message.timestamp.type": "LogAppendTime",
                "cleanup.policy": "compact,delete",
                "max.message.bytes": str(2 * 1_048_588),
                "retention.ms": str(30 * 24 * 3_600_000),
            }
            new.append(NewTopic(world + dead_letter_topic(topic.topic), 1, replication, topic_configs=configs))
    return new


def apply_topics(bootstrap: str, world: str = "", replication: int = 1) -> list[str]:
    """Create the topics that are missing; return their names."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        there = set(admin.list_topics())
        missing = [new for new in _new_topics(world, replication) if new.name not in there]
        if missing:
            try:
                admin.create_topics(missing)
            except TopicAlreadyExistsError:
                return apply_topics(bootstrap, world, replication)
        return [new.name for new in missing]
    finally:
        admin.close()


@dataclasses.dataclass(frozen=True)
class Source:
    """A topic as it is on a cluster: positions only mean something together with both ids."""

    cluster_id: str
    topic_id: str
    partitions: int


def describe_sources(bootstrap: str, names: list[str]) -> dict[str, Source]:
    """Return each named topic's ids and partitions. Raise NotReady if one does not exist."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        cluster = str(admin.describe_cluster()["cluster_id"])
        found = {t["name"]: t for t in admin.describe_topics(names) if t["error_code"] == 0}
    finally:
        admin.close()
    if missing := sorted(set(names) - found.keys()):
        raise NotReady("TOPIC_MISSING", f"{', '.join(missing)}; create with: muster topics apply")
    return {name: Source(cluster, str(uuid.UUID(str(t["topic_id"]))), len(t["partitions"])) for name, t in found.items()}
