"""Every knob that all services share. A misspelled MUSTER_… variable stops the start."""

import os
import pathlib
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from muster.kit.errors import Refusal

# Read by other parts of Muster than services, or by one service only; known here so that they stop none of those beside it.
OTHERS = {
    "MUSTER_CACHE",
    "MUSTER_TEST_BOOTSTRAP",
    "MUSTER_TEST_FAULTS",
    "MUSTER_TEST_BROKER",
    "MUSTER_TEST_KAFKA_IMAGE",
    "MUSTER_REFEREE",
    "MUSTER_HOME",
    "MUSTER_TOKEN",
    "MUSTER_DECIDE_DELAY_SECONDS",
    "MUSTER_FEED_PATIENCE_SECONDS",
    "MUSTER_FLOOR_FRESH_SECONDS",
    "MUSTER_FORECAST_DAYS",
    "MUSTER_KEEP_DAYS",
    "MUSTER_KEEP_DRAFTS_DAYS",
    "MUSTER_NIGHTLY_SECONDS",
    "MUSTER_PATIENCE_ABANDONS",
    "MUSTER_PATIENCE_DAYS",
    "MUSTER_SAFE_MARGIN",
}

Port = Annotated[int, Field(ge=0, le=65535)]


class ServiceSettings(BaseSettings):
    """Settings of one service, from MUSTER_… variables."""

    model_config = SettingsConfigDict(env_prefix="MUSTER_", frozen=True, extra="forbid")

    bootstrap: str = Field("127.0.0.1:9092", description="Kafka brokers, host:port, comma-separated")
    world: str = Field("", pattern=r"^([a-z0-9-]+\.)?$", description="prefix of topics and groups; empty in production")
    clock: Literal["SYSTEM", "CONDUCTED"] = Field("SYSTEM", description="real time, or driven by muster.clock.ticked.v1")
    data: pathlib.Path = Field(pathlib.Path("var"), description="folder of the SQLite files, one a service")
    database_url: str = Field("", description="postgresql://…, one schema a service; empty: SQLite files in `data`")
    sqlite_synchronous: Literal["NORMAL", "FULL"] = Field("FULL", description="FULL survives a power cut")
    sqlite_megabytes: int = Field(0, ge=0, description="most that a SQLite file may take, before it is full; 0: no limit")
    instance: str = Field("1", pattern=r"^[A-Za-z0-9_-]{1,32}$", description="name of this process among its service's")
    listen: str = Field("127.0.0.1", description="address for gRPC and metrics; beyond loopback needs MUSTER_AUTH_FILE")
    grpc_port: Port = Field(0, description="0: any free one")
    metrics_port: Port = Field(0, description="0: any free one")
    auth_file: pathlib.Path | None = Field(None, description="YAML of bearer tokens and their permissions")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    batch_records: int = Field(10_000, ge=1, le=100_000, description="most records handled in one transaction")
    refused_window_records: int = Field(1000, ge=10, description="an inlet stops when half of these were refused")
    session_seconds: float = Field(6.0, ge=1, le=300, description="Kafka session timeout")
    lease_seconds: float = Field(30.0, ge=1, le=3600, description="how long a claimed job stays claimed without a sign of life")
    drain_seconds: float = Field(8.0, ge=0, le=120, description="how long running calls may take after SIGTERM")


def refuse_misspelled(settings: type[ServiceSettings]) -> None:
    """Raise Refusal for a MUSTER_… variable that no setting reads."""
    known = {f"MUSTER_{name.upper()}" for name in settings.model_fields} | OTHERS
    strange = sorted(name for name in os.environ if name.startswith("MUSTER_") and name not in known)
    if strange:
        raise Refusal("UNKNOWN_SETTING", f"{', '.join(strange)} set, but no such setting; known: {', '.join(sorted(known))}")
