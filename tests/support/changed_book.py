"""The demo's book with some of its rows changed, and what a check of it says."""

from typing import Any

import pytest

from muster.book.check import check_book, parse_book
from muster.dev.world_book import book_data
from muster.kit.errors import Refusal


def refused(data: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(Refusal) as caught:
        check_book(parse_book(data))
    return {v.field: v.description for v in caught.value.violations}


def changed(**rows: Any) -> dict[str, Any]:
    return {**book_data(), **rows}
