"""Staffing's knobs."""

from pydantic import Field

from muster.kit.settings import ServiceSettings


class StaffingSettings(ServiceSettings):
    """Settings of staffing, from MUSTER_… variables."""

    decide_delay_seconds: int = Field(
        60, ge=0, le=900, description="from a quarter of an hour to the latest that it is decided"
    )
    feed_patience_seconds: int = Field(1200, ge=0, description="an open interval not closed this long after its end: hold")
    floor_fresh_seconds: int = Field(120, ge=10, description="floor states older than this say nothing")
    patience_days: int = Field(28, ge=1, description="days over which callers' patience is estimated")
    patience_abandons: int = Field(50, ge=1, description="fewest abandons for an estimate; below, patience is unknown")
    safe_margin: float = Field(0.005, ge=0, le=1, description="attainment above target by which a window is safe")
    keep_days: int = Field(400, ge=60, description="days that cells and requirements are kept")
