"""Three genuine Kafka nodes, so that one of them can be killed."""

import pathlib
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode

from muster.dev.broker import Broker, accepts, free_port
from muster.dev.children import die_with_parent
from muster.dev.kafka_parts import find_kafka

PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=3
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
min.insync.replicas=2
auto.create.topics.enable=false
log.message.timestamp.type=LogAppendTime
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
"""


class Cluster(Broker):
    """Three nodes that behave as one broker; `kill_node` kills one of them outright."""

    def __init__(self, home: pathlib.Path) -> None:
        self.ports = [free_port() for _ in range(3)]
        super().__init__(home, self.ports[0])
        self._controllers = [free_port() for _ in range(3)]
        self._id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self.nodes: list[subprocess.Popen[bytes]] = []

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def start(self, timeout_seconds: float = 120) -> "Cluster":
        for n in range(3):
            self.nodes.append(self.start_node(n))
        deadline = time.monotonic() + timeout_seconds
        while not all(accepts(port) for port in self.ports):
            assert time.monotonic() < deadline, "the cluster did not start"
            time.sleep(0.1)
        return self

    def start_node(self, n: int) -> subprocess.Popen[bytes]:
        parts, home = find_kafka(), self.home / str(n)
        home.mkdir(parents=True, exist_ok=True)
        voters = ",".join(f"{i + 1}@127.0.0.1:{port}" for i, port in enumerate(self._controllers))
        told = {"node": n + 1, "voters": voters, "port": self.ports[n], "controller": self._controllers[n]}
        (home / "server.properties").write_text(PROPERTIES.format(data=home / "data", **told))
        with (home / "broker.log").open("ab") as log:
            if not (home / "data").exists():
                words = ["kafka.tools.StorageTool", "format", f"--cluster-id={self._id}", "-c", str(home / "server.properties")]
                subprocess.run(self._java(parts, *words), stdout=log, stderr=log, check=True)
            return subprocess.Popen(
                self._java(parts, "kafka.Kafka", str(home / "server.properties")),
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )

    def kill_node(self, n: int) -> None:
        self.nodes[n].kill()
        self.nodes[n].wait()

    def stop(self, kill: bool = False) -> None:
        for node in self.nodes:
            node.kill() if kill else node.terminate()
        for node in self.nodes:
            node.wait(30)
