"""A genuine Apache Kafka (KRaft, one node, loopback) as a plain process."""

import contextlib
import dataclasses
import os
import pathlib
import signal
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode

from muster.dev.children import die_with_parent
from muster.dev.kafka_parts import KafkaParts, find_kafka

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{told}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
auto.create.topics.enable=false
log.message.timestamp.type=LogAppendTime
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
num.network.threads=2
num.io.threads=4
"""


class BrokerError(Exception):
    """The broker did not start; the message holds the end of its log."""


def free_port() -> int:
    """Return a TCP port of loopback that nothing listens on now."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def accepts(port: int) -> bool:
    """Return whether something accepts connections on a loopback port."""
    with contextlib.closing(socket.socket()) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclasses.dataclass
class Broker:
    """One node. Its data lives in `home` and survives a restart; the cluster id is drawn anew for each new home.

    `told`: the port at which clients are told to find it, where something stands in between.
    """

    home: pathlib.Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    told: int = 0

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.told or self.port}"

    @property
    def _log(self) -> pathlib.Path:
        return self.home / "broker.log"

    def _java(self, parts: KafkaParts, *words: str) -> list[str]:
        options = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        return [parts.java, *options, "-cp", f"{parts.lib}/*", *words]

    def start(self, timeout_seconds: float = 60) -> "Broker":
        """Format if new, start, and wait until it accepts connections. Raise BrokerError."""
        parts = find_kafka()
        self.home.mkdir(parents=True, exist_ok=True)
        properties = self.home / "server.properties"
        properties.write_text(
            PROPERTIES.format(port=self.port, told=self.told or self.port, controller=free_port(), data=self.home / "data")
        )
        with self._log.open("ab") as log:
            if not (self.home / "data").exists():
                cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
                words = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(properties)]
                subprocess.run(self._java(parts, *words), stdout=log, stderr=log, check=True)
            self.process = subprocess.Popen(
                self._java(parts, "kafka.Kafka", str(properties)),
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )
        deadline = time.monotonic() + timeout_seconds
        while not accepts(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise BrokerError("Kafka did not start:\n" + self._log.read_text()[-2000:])
            time.sleep(0.05)
        return self

    def stop(self, kill: bool = False) -> None:
        """Stop it (SIGTERM; SIGKILL if asked, or when it does not go within 20 s)."""
        if self.process is None or self.process.poll() is not None:
            return
        os.killpg(self.process.pid, signal.SIGKILL if kill else signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def __enter__(self) -> "Broker":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
