"""Rows of the book that say what was agreed: contracts with their targets, shrinkage, levers, currency rates."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from muster.book.demand import Hours
from muster.book.fields import Cash, DatedRow, LocalInstant, Name, Path, Row, Share, Zone, one_of
from muster.book.words import Aggregation, ClockStart, LeverKind, Pooling, ServiceLevelDefinition, TargetMetric
from muster.domain.calendar import WEEKDAYS


class Window(Row):
    kind: Annotated[str, one_of("DAY", "WEEK", "MONTH", "FISCAL")]
    week_start: Annotated[str, one_of("", *WEEKDAYS)] = ""
    zone: Zone = ""


class Exclusion(Row):
    starts: LocalInstant
    ends: LocalInstant
    reason: str
    agreed_by: str


class Target(Row):
    queues: tuple[Path, ...] = ()
    metric: TargetMetric
    definition: ServiceLevelDefinition | None = None
    threshold_seconds: float | None = Field(None, ge=0)
    threshold_business: str = ""
    short_abandon_seconds: float | None = Field(None, ge=0)
    clock_start: ClockStart | None = None
    target: float = Field(gt=0)
    aggregation: Aggregation = Aggregation.CONTACT_WEIGHTED
    window: Window
    rounding_places: int | None = Field(None, ge=0, le=6)
    exclusions: tuple[Exclusion, ...] = ()
    each_target: float | None = Field(None, gt=0)
    staff_to: Annotated[str, one_of("", "MEAN", "EXPECTED", "CONFIDENT", "DAY")] = ""
    sureness: float | None = Field(None, gt=0.5, lt=1)

    @property
    def shares(self) -> bool:
        """Whether the target is a share of intervals or of days that reach something."""
        return self.aggregation in (Aggregation.SHARE_OF_INTERVALS, Aggregation.SHARE_OF_DAYS)

    @property
    def each(self) -> float:
        """What contacts, an interval or a day must reach, in the unit of the metric: the target, unless it is a share of them and says it."""
        return self.each_target or self.target

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.each_target is not None and not self.shares:
            raise ValueError(f"each_target goes with SHARE_OF_INTERVALS or SHARE_OF_DAYS, not {self.aggregation}")
        if self.sureness is not None and self.staff_to not in ("CONFIDENT", "DAY"):
            raise ValueError(f"sureness goes with staff_to CONFIDENT or DAY, not {self.staff_to or 'MEAN'}")
        if self.staff_to not in ("", "MEAN") and self.metric != TargetMetric.SERVICE_LEVEL:
            raise ValueError(f"staff_to {self.staff_to} goes with SERVICE_LEVEL, not {self.metric}")
        if self.metric != TargetMetric.ASA and self.target > 1:
            raise ValueError(f"target is {self.target}; {self.metric} is a share, allowed: above 0 to 1")
        if self.metric == TargetMetric.SERVICE_LEVEL and self.threshold_seconds is None:
            raise ValueError("SERVICE_LEVEL needs threshold_seconds, the 20 of 80/20")
        return self


class Lock(Row):
    days_ahead: int | None = Field(None, ge=0, le=366)
    tolerance_up: float | None = Field(None, ge=0)
    tolerance_down: Share | None = None
    relieves: Annotated[str, one_of("TARGET", "COMMITMENT", "BOTH")] = "TARGET"


class Commitment(Row):
    queue: Path
    hours: tuple[Hours, ...]
    agents: float = Field(ge=0)


class BonusStep(Row):
    attainment: Share
    share: float = Field(ge=-1, le=1)


class Pricing(Row):
    per: Annotated[str, one_of("PRODUCTIVE_HOUR", "PAID_HOUR", "FTE", "CONTACT", "HANDLE_MINUTE")]
    rate: Cash
    minimum: Cash | None = None
    overtime_billable: bool | None = None
    steps: tuple[BonusStep, ...] = ()


class MinimumStaff(Row):
    queue: Path
    agents: int = Field(ge=0, le=10_000)


class Contract(DatedRow):
    name: Path
    queues: tuple[Path, ...] = Field(min_length=1)
    targets: tuple[Target, ...] = Field(min_length=1)
    pooling: Pooling = Pooling.POOLED
    minimum_dedicated_agents: int | None = Field(None, ge=0)
    lock: Lock | None = None
    commitment: tuple[Commitment, ...] = ()
    pricing: Pricing | None = None
    minimum_staff: tuple[MinimumStaff, ...] = ()


class Shrinkage(DatedRow):
    name: Name
    kind: Name
    share: float = Field(ge=0, lt=1)
    planned: bool = False
    placed_by_scheduler: bool = False
    site: str = ""
    queue: str = ""


class Lever(DatedRow):
    name: Name
    kind: LeverKind
    lead_seconds: int = Field(ge=0, le=86_400)
    notice_seconds: int = Field(0, ge=0, le=86_400)
    minimum_duration_seconds: int = Field(900, ge=900, le=43_200)
    maximum_duration_seconds: int = Field(7200, ge=900, le=43_200)
    cap_agents: int | None = Field(None, ge=1, le=10_000)
    hourly_price: Cash | None = None
    consent: tuple[Annotated[str, one_of("AGENT", "OPS", "CLIENT")], ...] = ()
    expected_acceptance: float | None = Field(None, gt=0, le=1)
    payback: bool = False


class CurrencyRate(DatedRow):
    name: Annotated[str, Field(pattern=r"^[A-Z]{3}/[A-Z]{3}$")]
    rate: float = Field(gt=0)
