"""Fields that the book may declare and that no engine uses yet. `muster apply` lists them: silently ignored is worse."""

from collections.abc import Iterable
from typing import Any

from muster.book.fields import Row
from muster.book.types import KINDS, Book

UNUSED = {
    "contracts.targets.clock_start",
    "contracts.minimum_dedicated_agents",
    "contracts.commitment",
    "contracts.pricing",
    "levers.payback",
    "levers.consent",
    "sites.tier",
    "sites.guaranteed_hours",
    "sites.holidays",
    "work_patterns.reference_weeks",
    "work_patterns.dst_pay",
    "agents.employer",
    "agents.team",
    "agents.ramp_profile",
    "agents.skills.aht_multiplier",
    "agents.preferences",
    "activities.billable",
    "activities.movable",
    "activities.interruptible",
    "activities.shrinkage_kind",
    "activities.floor_states",
}


def _declared(row: Row, path: str) -> Iterable[str]:
    for name in row.model_fields_set:
        value: Any = getattr(row, name)
        inner = f"{path}.{name}"
        if inner in UNUSED:
            if value != type(row).model_fields[name].default:
                yield inner
            continue
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Row):
                yield from _declared(item, inner)


def declared_unused(book: Book) -> list[str]:
    """Return the fields, as kind.field, that this book declares and nothing uses."""
    return sorted({field for kind in KINDS for row in getattr(book, kind) for field in _declared(row, kind)})
