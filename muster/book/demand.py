"""Rows of the book that say what is asked for: clients, their queues, and what people know of the volume."""

import datetime as dt
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from muster.book.fields import (
    Country,
    Currency,
    Date,
    DatedRow,
    LocalInstant,
    LocalTime,
    Name,
    Path,
    Row,
    Share,
    Weekday,
    Zone,
    as_hours,
    one_of,
)
from muster.book.words import AutonomyLevel, Basis, Channel, Direction, LeverKind, OverrideMeasure, OverrideOperation, Reporting


class Autonomy(Row):
    lever: LeverKind
    direction: Direction | None = None
    level: AutonomyLevel
    limit_agents: int | None = Field(None, ge=1, le=10_000)


class Feed(Row):
    name: Name
    basis: Basis = Basis.REALTIME
    reports: Reporting = Reporting.LIVE
    grace_seconds: int | None = Field(None, ge=0, le=604_800)
    declared_lag_seconds: int | None = Field(None, ge=0, le=2_592_000)


class FiscalCalendar(Row):
    kind: Annotated[str, one_of("MONTH", "FOUR_FOUR_FIVE")] = "MONTH"
    year_start: Date = ""


class Client(DatedRow):
    name: Name
    display_name: str = ""
    zone: Zone
    currency: Currency
    autonomy: tuple[Autonomy, ...] = ()
    fiscal_calendar: FiscalCalendar | None = None
    feeds: tuple[Feed, ...] = ()


class Hours(Row):
    days: tuple[Weekday, ...] = Field(min_length=1)
    opens: LocalTime
    closes: LocalTime


class HolidayDate(Row):
    date: Date
    name: str = ""
    hours: tuple[Hours, ...] = ()


class Holidays(Row):
    countries: tuple[Country, ...] = ()
    dates: tuple[HolidayDate, ...] = ()


class Patience(Row):
    seconds: float | None = Field(None, gt=0)
    source: Annotated[str, one_of("ESTIMATED", "DECLARED", "NONE")] = "NONE"

    @model_validator(mode="after")
    def _said(self) -> Self:
        if self.source == "DECLARED" and self.seconds is None:
            raise ValueError("source is DECLARED, so seconds must be given")
        return self


class Concurrency(Row):
    max: int = Field(ge=1, le=20)
    aht_seconds_by_level: tuple[float, ...] = ()


VERTICALS = ("BANKING", "HEALTH", "PUBLIC_SERVICE", "RETAIL", "TELECOM", "TRAVEL", "UTILITIES")


class ColdStart(Row):
    weekly_offered_count: float | None = Field(None, ge=0)
    aht_seconds: float | None = Field(None, gt=0)
    shape: str = ""
    vertical: Annotated[str, one_of("", *VERTICALS)] = ""


class Campaign(Row):
    daily_contacts: float = Field(gt=0, le=1_000_000)
    connect_rate: float = Field(gt=0, le=1)
    aht_seconds: float = Field(gt=0, le=86_400)
    attempt_seconds: float = Field(0.0, ge=0, le=3600)
    aht_variation: float = Field(1.0, ge=0, le=3)
    confidence: float = Field(0.5, ge=0.5, lt=1)
    calling_hours: Annotated[tuple[Hours, ...], BeforeValidator(as_hours)] = ()


class Blend(Row):
    queues: tuple[Path, ...] = Field(min_length=1)
    loss: float = Field(0.02, ge=0, le=0.2)


class AllocationShare(Row):
    starts_on: Date
    share: Share


class SiteRestrictions(Row):
    countries: tuple[Country, ...] = ()
    clearances: tuple[str, ...] = ()
    home_based: bool | None = None


class Queue(DatedRow):
    name: Path
    display_name: str = ""
    channel: Channel
    interval_seconds: int
    zone: Zone = ""
    service_hours: Annotated[tuple[Hours, ...], BeforeValidator(as_hours)] = Field(min_length=1)
    intake_hours: Annotated[tuple[Hours, ...], BeforeValidator(as_hours)] = ()
    holidays: Holidays | None = None
    required_skills: tuple[Name, ...] = Field(min_length=1)
    patience: Patience | None = None
    concurrency: Concurrency | None = None
    cold_start: ColdStart | None = None
    allocation_share: tuple[AllocationShare, ...] = ()
    site_restrictions: SiteRestrictions | None = None
    campaign: Campaign | None = None
    blend: Blend | None = None

    @property
    def client(self) -> str:
        return self.name.partition("/")[0]

    @property
    def profile(self) -> ColdStart | None:
        """What is expected without history: as declared, of outbound what its campaign is to reach."""
        if self.campaign is None or self.cold_start is not None:
            return self.cold_start
        days = {day for hours in self.service_hours for day in hours.days}
        return ColdStart(weekly_offered_count=self.campaign.daily_contacts * len(days), aht_seconds=self.campaign.aht_seconds)

    @model_validator(mode="after")
    def _interval(self) -> Self:
        if self.interval_seconds not in (900, 1800):
            raise ValueError(f"interval_seconds is {self.interval_seconds}; allowed: 900, 1800")
        return self


class Override(DatedRow):
    name: Path
    queue: Path
    measure: OverrideMeasure = OverrideMeasure.VOLUME
    operation: OverrideOperation
    value: float = Field(gt=-1e6, lt=1e6)
    starts: LocalInstant
    ends: LocalInstant
    layer: int = Field(0, ge=0, le=100)
    owner: str = Field(min_length=1, max_length=100)
    reason: str = Field(min_length=1, max_length=500)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if dt.datetime.fromisoformat(self.ends) <= dt.datetime.fromisoformat(self.starts):
            raise ValueError(f"ends {self.ends} is not after starts {self.starts}")
        if self.value < 0 and self.operation != OverrideOperation.ADD:
            raise ValueError(f"value {self.value} of {self.operation.value}; allowed: 0 or more, below 0 only with ADD")
        return self


class Event(DatedRow):
    name: Path
    queues: tuple[Path, ...] = ()
    first_date: Date
    last_date: Date
    learned: bool = False
    owner: str = Field(min_length=1, max_length=100)
    reason: str = Field(min_length=1, max_length=500)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.last_date < self.first_date:
            raise ValueError(f"last_date {self.last_date} is before first_date {self.first_date}")
        return self
