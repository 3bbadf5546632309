"""What rows of the book are made of: names, days, times, money, shares, and what all rows share.

Times of day are "HH:MM", dates "YYYY-MM-DD", money "21.50 EUR". A row refuses nonsense at birth.
"""

import datetime as dt
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


def one_of(*allowed: str) -> AfterValidator:
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
Weekday = Annotated[str, one_of(*WEEKDAYS)]
Cash = Annotated[Money, BeforeValidator(_money), PlainSerializer(str)]
Share = Annotated[float, Field(ge=0, le=1)]


def as_hours(value: Any) -> Any:
    """Take the word 24/7 for all hours of all days."""
    return [{"days": list(WEEKDAYS), "opens": "00:00", "closes": "24:00"}] if value == "24/7" else value


class Row(BaseModel):
    """Any part of the book."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, use_enum_values=False, allow_inf_nan=False
    )


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
