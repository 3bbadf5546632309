"""The rows of the book, all kinds of them. Field names are those of protos/muster/v1/book.proto; what they mean stands there."""

from muster.book.demand import Client, Event, Override, Queue
from muster.book.fields import DatedRow, Row
from muster.book.supply import Activity, Agent, Site, WorkPattern
from muster.book.terms import Contract, CurrencyRate, Lever, Shrinkage


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
