"""The rows of the book. Field names are those of protos/muster/v1/book.proto; what they mean stands there.

Times of day are "HH:MM", dates "YYYY-MM-DD", money "21.50 EUR". A row refuses nonsense at birth.
"""

import datetime as dt
import enum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from muster.domain.calendar import WEEKDAYS, parse_date, public_holidays, time_of_day, zone_of
from muster.domain.money import Money

NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
PATH = r"^[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9-]{0,62}$"


def _checked(check: Any) -> AfterValidator:
    def run(value: str) -> str:
        if value:
            check(value)
        return value

    return AfterValidator(run)


def _country(value: str) -> None:
    public_holidays(value, 2026)


def _date_or_time(value: str) -> None:
    try:
        found = dt.datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is neither a date nor a local time like 2026-03-29T08:00") from error
    if found.tzinfo is not None:
        raise ValueError(f"{value!r} names an offset; write local time, like 2026-03-29T08:00")


def _money(value: Any) -> Any:
    return Money.parse(value) if isinstance(value, str) else value


def _text_date(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date | dt.datetime) else value


def _text_time(value: Any) -> Any:
    """YAML reads 08:00 as text but 8:00 and 22:00 as base-60 integers; take those back."""
    return f"{value // 60:02d}:{value % 60:02d}" if isinstance(value, int) and not isinstance(value, bool) else value


def _one_of(*allowed: str) -> AfterValidator:
    def run(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"allowed: {', '.join(a for a in allowed if a)}")
        return value

    return AfterValidator(run)


Name = Annotated[str, Field(pattern=NAME)]
Path = Annotated[str, Field(pattern=PATH)]
Date = Annotated[str, BeforeValidator(_text_date), _checked(parse_date)]
LocalTime = Annotated[str, BeforeValidator(_text_time), _checked(time_of_day)]
LocalInstant = Annotated[str, BeforeValidator(_text_date), _checked(_date_or_time)]
Zone = Annotated[str, _checked(zone_of)]
Country = Annotated[str, _checked(_country)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Weekday = Annotated[str, _one_of(*WEEKDAYS)]
Cash = Annotated[Money, BeforeValidator(_money), PlainSerializer(str)]
Share = Annotated[float, Field(ge=0, le=1)]


def _hours(value: Any) -> Any:
    """Take the word 24/7 for all hours of all days."""
    return [{"days": list(WEEKDAYS), "opens": "00:00", "closes": "24:00"}] if value == "24/7" else value


class Row(BaseModel):
    """Any part of the book."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, use_enum_values=False)


class DatedRow(Row):
    """A row that is true from a day until a day; empty: always was, for ever."""

    name: str
    valid_from: Date = ""
    valid_until: Date = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.valid_from and self.valid_until and self.valid_until <= self.valid_from:
            raise ValueError(f"valid_until {self.valid_until} is not after valid_from {self.valid_from}")
        return self


class Channel(enum.StrEnum):
    VOICE = "VOICE"
    CHAT = "CHAT"
    EMAIL = "EMAIL"
    BACK_OFFICE = "BACK_OFFICE"
    OUTBOUND = "OUTBOUND"


class AutonomyLevel(enum.StrEnum):
    SHADOW = "SHADOW"
    PILOT = "PILOT"
    LIVE = "LIVE"


class LeverKind(enum.StrEnum):
    OVERTIME = "OVERTIME"
    VOLUNTARY_TIME_OFF = "VOLUNTARY_TIME_OFF"
    MOVE = "MOVE"


class Direction(enum.StrEnum):
    UP = "UP"
    DOWN = "DOWN"


class Basis(enum.StrEnum):
    REALTIME = "REALTIME"
    OFFICIAL = "OFFICIAL"


class Reporting(enum.StrEnum):
    LIVE = "LIVE"
    END = "END"


class TargetMetric(enum.StrEnum):
    SERVICE_LEVEL = "SERVICE_LEVEL"
    ASA = "ASA"
    ABANDONMENT = "ABANDONMENT"
    OCCUPANCY_CAP = "OCCUPANCY_CAP"
    DEADLINE_MET = "DEADLINE_MET"


class ServiceLevelDefinition(enum.StrEnum):
    ANSWERED_OVER_OFFERED = "ANSWERED_OVER_OFFERED"
    ANSWERED_OVER_ANSWERED = "ANSWERED_OVER_ANSWERED"
    LESS_SHORT_ABANDONS = "LESS_SHORT_ABANDONS"
    ABANDONED_IN_TIME_COUNT = "ABANDONED_IN_TIME_COUNT"


class Aggregation(enum.StrEnum):
    CONTACT_WEIGHTED = "CONTACT_WEIGHTED"
    MEAN_OF_INTERVALS = "MEAN_OF_INTERVALS"
    SHARE_OF_INTERVALS = "SHARE_OF_INTERVALS"
    SHARE_OF_DAYS = "SHARE_OF_DAYS"


class ClockStart(enum.StrEnum):
    QUEUE_ENTRY = "QUEUE_ENTRY"
    RING = "RING"
    IVR_ENTRY = "IVR_ENTRY"


class Pooling(enum.StrEnum):
    DEDICATED = "DEDICATED"
    SHARED_NAMED = "SHARED_NAMED"
    POOLED = "POOLED"


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
    kind: Annotated[str, _one_of("MONTH", "FOUR_FOUR_FIVE")] = "MONTH"
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
    source: Annotated[str, _one_of("ESTIMATED", "DECLARED", "NONE")] = "NONE"

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
    vertical: Annotated[str, _one_of("", *VERTICALS)] = ""


class Campaign(Row):
    daily_contacts: float = Field(gt=0, le=1_000_000)
    connect_rate: float = Field(gt=0, le=1)
    aht_seconds: float = Field(gt=0, le=86_400)
    attempt_seconds: float = Field(0.0, ge=0, le=3600)
    aht_variation: float = Field(1.0, ge=0, le=3)
    confidence: float = Field(0.5, ge=0.5, lt=1)
    calling_hours: Annotated[tuple[Hours, ...], BeforeValidator(_hours)] = ()


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
    service_hours: Annotated[tuple[Hours, ...], BeforeValidator(_hours)] = Field(min_length=1)
    intake_hours: Annotated[tuple[Hours, ...], BeforeValidator(_hours)] = ()
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


class Window(Row):
    kind: Annotated[str, _one_of("DAY", "WEEK", "MONTH", "FISCAL")]
    week_start: Annotated[str, _one_of("", *WEEKDAYS)] = ""
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
    staff_to: Annotated[str, _one_of("", "MEAN", "EXPECTED", "CONFIDENT", "DAY")] = ""
    sureness: float | None = Field(None, gt=0.5, lt=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        shares = (Aggregation.SHARE_OF_INTERVALS, Aggregation.SHARE_OF_DAYS)
        if self.each_target is not None and self.aggregation not in shares:
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
    relieves: Annotated[str, _one_of("TARGET", "COMMITMENT", "BOTH")] = "TARGET"


class Commitment(Row):
    queue: Path
    hours: tuple[Hours, ...]
    agents: float = Field(ge=0)


class BonusStep(Row):
    attainment: Share
    share: float = Field(ge=-1, le=1)


class Pricing(Row):
    per: Annotated[str, _one_of("PRODUCTIVE_HOUR", "PAID_HOUR", "FTE", "CONTACT", "HANDLE_MINUTE")]
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
    consent: tuple[Annotated[str, _one_of("AGENT", "OPS", "CLIENT")], ...] = ()
    expected_acceptance: float | None = Field(None, gt=0, le=1)
    payback: bool = False


class CurrencyRate(DatedRow):
    name: Annotated[str, Field(pattern=r"^[A-Z]{3}/[A-Z]{3}$")]
    rate: float = Field(gt=0)


class OverrideMeasure(enum.StrEnum):
    VOLUME = "VOLUME"
    AHT = "AHT"


class OverrideOperation(enum.StrEnum):
    SET = "SET"
    ADD = "ADD"
    MULTIPLY = "MULTIPLY"
    AT_LEAST = "AT_LEAST"
    AT_MOST = "AT_MOST"


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


class PayRule(Row):
    kind: Annotated[str, _one_of("NIGHT", "REST_DAY", "HOLIDAY", "OVERTIME_DAILY", "OVERTIME_WEEKLY")]
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
    tier: Annotated[str, _one_of("ONSHORE", "NEARSHORE", "OFFSHORE")] = "ONSHORE"
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
    anchor_zone: Annotated[str, _one_of("SITE", "CLIENT")] = "SITE"
    zone: Zone = ""
    dst_pay: Annotated[str, _one_of("ELAPSED", "NOMINAL")] = "ELAPSED"

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
    state: Annotated[str, _one_of("REQUESTED", "APPROVED", "CANCELLED")] = "APPROVED"
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


class Book(Row):
    """The whole book."""

    clients: tuple[Client, ...] = ()
    queues: tuple[Queue, ...] = ()
    contracts: tuple[Contract, ...] = ()
    shrinkage: tuple[Shrinkage, ...] = ()
    levers: tuple[Lever, ...] = ()
    currency_rates: tuple[CurrencyRate, ...] = ()
    overrides: tuple[Override, ...] = ()
    events: tuple[Event, ...] = ()
    sites: tuple[Site, ...] = ()
    work_patterns: tuple[WorkPattern, ...] = ()
    activities: tuple[Activity, ...] = ()
    agents: tuple[Agent, ...] = ()


STAFFING_KINDS = ("clients", "queues", "contracts", "shrinkage", "levers", "currency_rates", "overrides", "events")
SCHEDULER_KINDS = ("sites", "work_patterns", "activities", "agents")
KINDS: dict[str, type[DatedRow]] = {
    "clients": Client,
    "queues": Queue,
    "contracts": Contract,
    "shrinkage": Shrinkage,
    "levers": Lever,
    "currency_rates": CurrencyRate,
    "overrides": Override,
    "events": Event,
    "sites": Site,
    "work_patterns": WorkPattern,
    "activities": Activity,
    "agents": Agent,
}
# The field of BookRow's oneof, and the word in the topic's name.
SINGULAR = {
    "clients": "client",
    "queues": "queue",
    "contracts": "contract",
    "shrinkage": "shrinkage",
    "levers": "lever",
    "currency_rates": "currency_rate",
    "overrides": "override",
    "events": "event",
    "sites": "site",
    "work_patterns": "work_pattern",
    "activities": "activity",
    "agents": "agent",
}


def topic_of(kind: str) -> str:
    """Return the state topic of a kind."""
    return f"muster.{SINGULAR[kind].replace('_', '-')}.changed.v1"


ALL_TOPICS = tuple(topic_of(kind) for kind in KINDS)
