"""Stubs of the three services, found where a running Muster left its addresses."""

import dataclasses
import json
import os
import pathlib

import grpc
from google.longrunning import operations_pb2_grpc

from muster.v1 import forecaster_service_pb2_grpc, scheduler_service_pb2_grpc, staffing_service_pb2_grpc

SERVICES = ("forecaster", "staffing", "scheduler")


class NotRunning(Exception):
    """No running Muster was found; the message says where it was looked for."""


@dataclasses.dataclass(frozen=True)
class Addresses:
    """Where a Muster listens; bootstrap and world of its Kafka."""

    grpc: dict[str, str]
    metrics: dict[str, str]
    bootstrap: str
    world: str


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def read_addresses(home: pathlib.Path) -> Addresses | None:
    """Return the addresses a running Muster left in a folder, None if none runs there."""
    grpc_at, metrics_at = {}, {}
    for name in SERVICES:
        path = home / f"{name}.address.json"
        if not path.exists():
            return None
        told = json.loads(path.read_text())
        if not _alive(told["pid"]):
            return None
        grpc_at[name], metrics_at[name] = told["grpc"], told["metrics"]
    kafka = home / "kafka.address.json"
    told = json.loads(kafka.read_text()) if kafka.exists() else {}
    return Addresses(grpc_at, metrics_at, told.get("bootstrap", "127.0.0.1:9092"), told.get("world", ""))


def find_addresses(home: pathlib.Path | None = None) -> Addresses:
    """Return the addresses of a running Muster: of `home`, MUSTER_HOME, or a checkout's var/. Raise NotRunning."""
    told = home or (pathlib.Path(os.environ["MUSTER_HOME"]) if "MUSTER_HOME" in os.environ else None)
    places = [told] if told else [pathlib.Path("var/demo"), pathlib.Path("var/dev")]
    for place in places:
        found = read_addresses(place)
        if found:
            return found
    looked = ", ".join(str(p) for p in places)
    raise NotRunning(f"no running Muster in {looked}; start one with `make dev` or `make demo`, or set MUSTER_HOME")


class Muster:
    """The three services' stubs over plain channels."""

    def __init__(self, addresses: Addresses, token: str | None = None) -> None:
        self.addresses = addresses
        self.metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._channels = {name: grpc.insecure_channel(address) for name, address in addresses.grpc.items()}
        self.forecaster = forecaster_service_pb2_grpc.ForecasterServiceStub(self._channels["forecaster"])
        self.staffing = staffing_service_pb2_grpc.StaffingServiceStub(self._channels["staffing"])
        self.scheduler = scheduler_service_pb2_grpc.SchedulerServiceStub(self._channels["scheduler"])
        self.operations = operations_pb2_grpc.OperationsStub(self._channels["scheduler"])

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()
