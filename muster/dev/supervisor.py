"""Starts the broker and the three services as processes, starts crashed ones anew, and leaves nothing running."""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping

from muster.client.stubs import SERVICES, Addresses, read_addresses
from muster.dev.broker import Broker, accepts, free_port
from muster.dev.children import die_with_parent
from muster.kit.topics import apply_topics

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]


class NotACheckout(Exception):
    """Services run from a checkout or an image, not from the wheel."""


class StartError(Exception):
    """A service did not come up; the message holds the end of its log."""


@dataclasses.dataclass
class Supervisor:
    """One Muster on one machine, in the folder `home`."""

    home: pathlib.Path
    bootstrap: str
    environment: Mapping[str, str]
    services: tuple[str, ...] = SERVICES
    checkout: pathlib.Path = CHECKOUT
    logs: pathlib.Path | None = None
    restarts: int = 0
    processes: dict[str, subprocess.Popen[bytes]] = dataclasses.field(default_factory=dict)
    _stopping: threading.Event = dataclasses.field(default_factory=threading.Event)
    _watcher: threading.Thread | None = None

    def _log(self, service: str) -> pathlib.Path:
        return (self.logs or self.home) / f"{service}.log"

    def spawn(self, service: str) -> None:
        """Start one service; `forecaster@2` is a second process of the forecaster, as instance 2."""
        module, _, instance = service.partition("@")
        if not (self.checkout / "services" / module).is_dir():
            raise NotACheckout(f"no services/{module} beside {self.checkout}; services run from a checkout or an image")
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MUSTER_")}
        told = {"MUSTER_BOOTSTRAP": self.bootstrap, "MUSTER_DATA": str(self.home), **self.environment}
        if instance:
            told["MUSTER_INSTANCE"] = instance
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with self._log(service).open("ab") as log:
            self.processes[service] = subprocess.Popen(
                [sys.executable, "-m", f"services.{module}"],
                cwd=self.checkout,
                env={**clean, **one_thread, **told},
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )

    def start(self) -> None:
        """Start every service and the thread that starts crashed ones anew."""
        self.home.mkdir(parents=True, exist_ok=True)
        for service in self.services:
            (self.home / f"{service}.address.json").unlink(missing_ok=True)
            self.spawn(service)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _watch(self) -> None:
        while not self._stopping.wait(0.2):
            for service, process in list(self.processes.items()):
                if process.poll() is not None and not self._stopping.is_set():
                    self.restarts += 1
                    self.spawn(service)

    def wait(self, timeout_seconds: float = 60) -> Addresses:
        """Return addresses once every service has told its own. Raise StartError."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            found = read_addresses(self.home)
            if found and all(p.poll() is None for p in self.processes.values()):
                return found
            if self.restarts > 6:
                break
            time.sleep(0.05)
        silent = [s for s in self.services if not (self.home / f"{s}.address.json").exists()] or list(self.services)
        raise StartError(f"{silent[0]} did not start:\n{self._log(silent[0]).read_text()[-3000:]}")

    def leave_down(self) -> None:
        """From here on, start no service anew that ends."""
        self._stopping.set()
        if self._watcher:
            self._watcher.join()

    def stop(self) -> None:
        """Stop every service: SIGTERM, SIGKILL after 15 s."""
        self.leave_down()
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + 15
        for process in self.processes.values():
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def peak_megabytes(self) -> dict[str, int]:
        """Return each process's peak of resident memory (Linux; empty elsewhere)."""
        peaks = {}
        for name, process in self.processes.items():
            with contextlib.suppress(OSError):
                status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
                line = next((row for row in status.splitlines() if row.startswith("VmHWM")), "VmHWM: 0 kB")
                peaks[name] = int(line.split()[1]) // 1024
        return peaks


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let a second Ctrl-C not cut the stopping short."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {s: signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def running(home: pathlib.Path, world: str, environment: Mapping[str, str]) -> Iterator[tuple[Supervisor, Addresses]]:
    """Run a broker and the services in `home`; on the way out everything is stopped, also after Ctrl-C."""
    broker = Broker(home / "kafka", _kept_port(home))
    supervisor = Supervisor(home, broker.bootstrap, {"MUSTER_WORLD": world, **environment})
    try:
        broker.start()
        apply_topics(broker.bootstrap, world)
        (home / "kafka.address.json").write_text(json.dumps({"bootstrap": broker.bootstrap, "world": world}))
        supervisor.start()
        yield supervisor, dataclasses.replace(supervisor.wait(), bootstrap=broker.bootstrap, world=world)
    finally:
        with undisturbed():
            supervisor.stop()
            broker.stop()


def _kept_port(home: pathlib.Path) -> int:
    """Return the port that the broker of this home had before, if it is free; else a free one."""
    known = home / "kafka.address.json"
    if known.exists():
        port = int(json.loads(known.read_text())["bootstrap"].rpartition(":")[2])
        if not accepts(port):
            return port
    return free_port()
