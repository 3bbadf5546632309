"""Rows of the book that say who there is: sites, work patterns, activities, agents."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from muster.book.demand import Holidays
from muster.book.fields import (
    Cash,
    Country,
    Currency,
    Date,
    DatedRow,
    LocalInstant,
    LocalTime,
    Name,
    Row,
    Weekday,
    Zone,
    one_of,
)


class PayRule(Row):
    kind: Annotated[str, one_of("NIGHT", "REST_DAY", "HOLIDAY", "OVERTIME_DAILY", "OVERTIME_WEEKLY")]
    starts: LocalTime = ""
    ends: LocalTime = ""
    after_hours: float | None = Field(None, ge=0)
    multiplier: float = Field(ge=1, le=5)


class Site(DatedRow):
    name: Name
    display_name: str = ""
    zone: Zone
    country: Country
    currency: Currency
    tier: Annotated[str, one_of("ONSHORE", "NEARSHORE", "OFFSHORE")] = "ONSHORE"
    seats: int | None = Field(None, ge=0)
    clients: tuple[Name, ...] = ()
    clearances: tuple[str, ...] = ()
    holidays: Holidays | None = None
    hourly_pay: Cash
    pay_rules: tuple[PayRule, ...] = ()
    guaranteed_hours: float | None = Field(None, ge=0, le=60)
    voluntary_time_off: bool | None = None


class Break(Row):
    activity: Name
    seconds: int = Field(ge=300, le=7200)
    earliest_seconds: int = Field(ge=0, le=43_200)
    latest_seconds: int = Field(ge=300, le=43_200)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.earliest_seconds + self.seconds > self.latest_seconds:
            raise ValueError(f"a break of {self.seconds} s does not fit from {self.earliest_seconds} to {self.latest_seconds}")
        return self


class StartWindow(Row):
    days: tuple[Weekday, ...] = ()
    starts: LocalTime
    ends: LocalTime


class WorkPattern(DatedRow):
    name: Name
    shift_seconds: tuple[Annotated[int, Field(ge=7200, le=43_200)], ...] = Field(min_length=1)
    start_grid_seconds: int = 1800
    start_windows: tuple[StartWindow, ...] = ()
    start_swing_seconds: int | None = Field(None, ge=0, le=86_400)
    minimum_weekly_hours: float = Field(ge=0, le=60)
    maximum_weekly_hours: float = Field(ge=1, le=60)
    reference_weeks: int | None = Field(None, ge=1, le=17)
    days: tuple[Weekday, ...] = ()
    minimum_days: int = Field(0, ge=0, le=7)
    maximum_days: int = Field(ge=1, le=7)
    rest_hours: float = Field(11, ge=8, le=24)
    weekly_rest_hours: float = Field(35, ge=24, le=72)
    maximum_consecutive_days: int = Field(6, ge=1, le=14)
    maximum_consecutive_nights: int | None = Field(None, ge=0, le=14)
    breaks: tuple[Break, ...] = ()
    anchor_zone: Annotated[str, one_of("SITE", "CLIENT")] = "SITE"
    zone: Zone = ""
    dst_pay: Annotated[str, one_of("ELAPSED", "NOMINAL")] = "ELAPSED"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.start_grid_seconds not in (900, 1800, 3600):
            raise ValueError(f"start_grid_seconds is {self.start_grid_seconds}; allowed: 900, 1800, 3600")
        if any(s % 900 for s in self.shift_seconds):
            raise ValueError(f"shift_seconds {list(self.shift_seconds)}: allowed are multiples of 900")
        if self.minimum_weekly_hours > self.maximum_weekly_hours:
            raise ValueError(f"minimum_weekly_hours {self.minimum_weekly_hours} exceeds {self.maximum_weekly_hours}")
        if self.anchor_zone == "CLIENT" and not self.zone:
            raise ValueError("anchor_zone is CLIENT, so zone must be given")
        return self


class AgentSkill(Row):
    skill: Name
    priority: int = Field(1, ge=1, le=9)
    aht_multiplier: float | None = Field(None, ge=0.25, le=4)
    certified_until: Date = ""


class TimeOff(Row):
    kind: Name
    starts: LocalInstant
    ends: LocalInstant
    state: Annotated[str, one_of("REQUESTED", "APPROVED", "CANCELLED")] = "APPROVED"
    paid_hours_per_day: float | None = Field(None, ge=0, le=12)


class Unavailability(Row):
    days: tuple[Weekday, ...] = Field(min_length=1)
    starts: LocalTime
    ends: LocalTime


class Agent(DatedRow):
    name: Name
    site: Name
    employer: str = ""
    team: str = ""
    home_based: bool | None = None
    hired_on: Date = ""
    leaves_on: Date = ""
    ramp_profile: str = ""
    work_pattern: Name
    skills: tuple[AgentSkill, ...] = Field(min_length=1)
    eligible_clients: tuple[Name, ...] = ()
    time_off: tuple[TimeOff, ...] = ()
    unavailability: tuple[Unavailability, ...] = ()
    preferences: tuple[Unavailability, ...] = ()


class Activity(DatedRow):
    name: Name
    paid: bool
    on_queue: bool = False
    billable: bool = False
    shrinkage_kind: str = ""
    movable: bool = False
    interruptible: bool = False
    floor_states: tuple[str, ...] = ()
