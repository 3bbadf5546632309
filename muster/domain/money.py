"""Amounts of money, exact."""

import dataclasses
import re
from decimal import Decimal

_TEXT = re.compile(r"^(-?\d+(?:\.\d{1,9})?) ([A-Z]{3})$")


@dataclasses.dataclass(frozen=True)
class Money:
    """An amount in a currency (ISO 4217)."""

    amount: Decimal
    currency: str

    @staticmethod
    def parse(text: str) -> "Money":
        """Read "21.50 EUR". Raise ValueError that shows the text."""
        found = _TEXT.match(text)
        if not found:
            raise ValueError(f"{text!r} is not money like 21.50 EUR")
        return Money(Decimal(found.group(1)), found.group(2))

    @staticmethod
    def from_units(currency: str, units: int, nanos: int) -> "Money":
        """Read whole units and billionths."""
        return Money(Decimal(units) + Decimal(nanos) / 10**9, currency)

    def to_units(self) -> tuple[int, int]:
        """Return whole units and billionths, of one sign."""
        nanos = int(self.amount * 10**9)
        units = int(self.amount)
        return units, nanos - units * 10**9

    def __str__(self) -> str:
        return f"{self.amount:.2f} {self.currency}"


def times(money: Money, factor: float) -> Money:
    """Return money multiplied, to a ten-thousandth of a unit."""
    return Money((money.amount * Decimal(repr(factor))).quantize(Decimal("0.0001")), money.currency)
