"""The scheduler's knobs."""

from pydantic import Field

from muster.kit.settings import ServiceSettings


class SchedulerSettings(ServiceSettings):
    """Settings of the scheduler, from MUSTER_… variables."""

    keep_drafts_days: int = Field(60, ge=1, description="days that a draft is kept that was never published")
