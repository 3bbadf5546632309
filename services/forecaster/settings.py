"""The forecaster's knobs."""

from pydantic import Field

from muster.kit.settings import ServiceSettings


class ForecasterSettings(ServiceSettings):
    """Settings of the forecaster, from MUSTER_… variables."""

    forecast_days: int = Field(42, ge=1, le=366, description="local days forecast each night")
    nightly_seconds: int = Field(7200, ge=0, lt=86_400, description="local time of the nightly fit, seconds after midnight")
    keep_days: int = Field(800, ge=60, description="days that volume is kept")
