"""The book: errors that point, references that hold, groups that follow, rows that survive the wire."""

import datetime as dt
import pathlib
from typing import Any

import pytest
import sqlalchemy as sa

from muster.book.check import check_book, parse_book
from muster.book.copy import BookCopy, BookOwner, add_book_tables
from muster.book.text import read_book
from muster.book.types import KINDS, SINGULAR, STAFFING_KINDS, topic_of
from muster.book.unused import UNUSED, declared_unused
from muster.book.view import opening_hours
from muster.book.wire import book_to_message, row_from_message, row_to_message, to_data
from muster.dev.world_book import book_data
from muster.kit.errors import Refusal
from muster.kit.topics import all_topics
from muster.v1 import book_pb2
from tests.support.changed_book import changed, refused

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples/bank/book.yaml"


def test_the_demos_book_and_the_example_hold_together() -> None:
    check_book(parse_book(book_data()))
    assert len(read_book(EXAMPLE).book.agents) == 30


def test_an_error_names_line_field_value_and_what_is_allowed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "book.yaml"
    path.write_text(EXAMPLE.read_text().replace("interval_seconds: 1800", "interval_seconds: 600"))
    with pytest.raises(Refusal) as caught:
        read_book(path)
    (violation,) = caught.value.violations
    line = path.read_text().splitlines().index("  - name: bank/calls") + 1
    assert violation.description == f"{path}:{line}: queues[0]: interval_seconds is 600; allowed: 900, 1800"


def test_times_and_dates_stay_text() -> None:
    data = {
        "queues": [
            {
                "name": "a/b",
                "channel": "VOICE",
                "interval_seconds": 900,
                "required_skills": ["x"],
                "service_hours": [{"days": ["mon"], "opens": "08:00", "closes": "22:00"}],
            }
        ]
    }
    hours = parse_book(data).queues[0].service_hours[0]
    assert (hours.opens, hours.closes) == ("08:00", "22:00")


def test_a_name_that_refers_to_nothing_is_refused_with_what_is_declared() -> None:
    agents = [{**book_data()["agents"][0], "site": "paris"}]
    assert refused(changed(agents=agents))["agents[0].site"] == "is 'paris', not among sites; declared: albany, cebu, leeds"


@pytest.mark.parametrize(
    ("field", "value", "where", "says"),
    [
        ("value", -1, "overrides[0]", "below 0 only with ADD"),
        ("ends", "2026-03-25", "overrides[0]", "is not after starts"),
        ("starts", "2026-03-26T08:00+01:00", "overrides[0].starts", "write local time"),
        ("operation", "HALVE", "overrides[0].operation", "AT_LEAST"),
        ("queue", "harbor/orders", "overrides[0].queue", "queues of the override's client northwind/"),
        ("queue", "northwind/nothing", "overrides[0].queue", "not among queues"),
        ("reason", "", "overrides[0].reason", "at least 1"),
    ],
)
def test_an_override_refuses_nonsense(field: str, value: object, where: str, says: str) -> None:
    good = {
        "name": "northwind/sale",
        "queue": "northwind/support",
        "operation": "MULTIPLY",
        "value": 1.3,
        "starts": "2026-03-26",
        "ends": "2026-03-28",
        "owner": "ops",
        "reason": "mailing",
    }
    check_book(parse_book(changed(overrides=[good])))
    assert says in refused(changed(overrides=[{**good, field: value}]))[where]


def test_two_rows_of_a_name_must_not_hold_on_the_same_day() -> None:
    site = book_data()["sites"][0]
    assert "sites[3].name" in refused(changed(sites=[*book_data()["sites"], {**site, "valid_from": "2026-05-01"}]))
    parted = [{**site, "valid_until": "2026-05-01"}, {**site, "valid_from": "2026-05-01"}, *book_data()["sites"][1:]]
    check_book(parse_book(changed(sites=parted)))


def test_a_pattern_whose_days_and_hours_cannot_both_be_kept_is_refused() -> None:
    patterns = [{**book_data()["work_patterns"][0], "minimum_days": 6, "maximum_days": 6}, *book_data()["work_patterns"][1:]]
    assert "exceed maximum_weekly_hours" in refused(changed(work_patterns=patterns))["work_patterns[0].minimum_days"]


def test_every_row_survives_the_wire() -> None:
    book = parse_book(book_data())
    assert parse_book(to_data(book_to_message(book))) == book
    for kind in KINDS:
        for row in getattr(book, kind):
            assert row_from_message(row_to_message(kind, row, 1, 5, None)) == row


@pytest.mark.parametrize("kind", KINDS)
def test_types_and_protos_have_the_same_fields(kind: str) -> None:
    field = book_pb2.BookRow.DESCRIPTOR.fields_by_name[SINGULAR[kind]]

    def compare(model: Any, message: Any) -> None:
        assert set(model.model_fields) == {f.name for f in message.fields}

    compare(KINDS[kind], field.message_type)
    assert topic_of(kind) in all_topics()


def test_what_was_declared_before_it_was_served_stays_readable() -> None:
    """Rows kept from an older version: only what is applied is judged by what has come to be asked."""
    old = {**book_data()["queues"][0], "concurrency": {"max": 3, "aht_seconds_by_level": [300.0]}}
    kept = parse_book(changed(queues=[old, *book_data()["queues"][1:]])).queues[0].concurrency
    assert kept is not None
    assert kept.max == 3
    contract = book_data()["contracts"][0]
    targets = [{**contract["targets"][0], "threshold_business": "EOBD+1@17:00"}]
    book = parse_book(changed(contracts=[{**contract, "targets": targets}, *book_data()["contracts"][1:]]))
    assert book.contracts[0].targets[0].threshold_business == "EOBD+1@17:00"


def test_unused_fields_exist_and_are_told_only_where_declared() -> None:
    for path in UNUSED:
        kind, *fields = path.split(".")
        model: Any = KINDS[kind]
        for name in fields:
            assert name in model.model_fields, path
            inner = [a for a in getattr(model.model_fields[name].annotation, "__args__", ()) if hasattr(a, "model_fields")]
            model = inner[0] if inner else model
    assert "agents.team" in declared_unused(parse_book(book_data()))
    assert declared_unused(read_book(EXAMPLE).book) == []


@pytest.fixture
def connection(engine: sa.Engine) -> Any:
    metadata = sa.MetaData()
    add_book_tables(metadata)
    metadata.create_all(engine)
    with engine.begin() as connection:
        yield connection, BookCopy(metadata)


def test_applying_twice_changes_nothing_and_deletes_only_with_prune(connection: Any) -> None:
    sql, copy = connection
    owner, book = BookOwner(copy, STAFFING_KINDS), parse_book(book_data())
    differences, _, messages = owner.apply(sql, book, False, 1000)
    assert {d.change for d in differences} == {"ADD"}
    assert len(messages) == len(differences)
    assert owner.apply(sql, book, False, 1001)[0] == []
    fewer = parse_book(changed(levers=book_data()["levers"][:1]))
    assert {d.change for d in owner.apply(sql, fewer, False, 1002)[0]} == {"KEEP"}
    assert {d.change for d in owner.apply(sql, fewer, True, 1003)[0]} == {"DELETE"}
    assert list(copy.view(sql).at(dt.date(2026, 1, 1)).levers) == ["move"]


def test_a_transaction_sees_its_own_changes_and_the_next_one_not_those_rolled_back(engine: sa.Engine) -> None:
    metadata = sa.MetaData()
    add_book_tables(metadata)
    metadata.create_all(engine)
    copy = BookCopy(metadata)
    owner, seen = BookOwner(copy, STAFFING_KINDS), dt.date(2026, 1, 1)
    with engine.begin() as sql:
        owner.apply(sql, parse_book(changed(levers=book_data()["levers"][:1])), False, 1000)
        assert len(copy.view(sql).at(seen).levers) == 1
    with engine.connect() as sql:
        transaction = sql.begin()
        assert len(copy.view(sql).at(seen).levers) == 1
        owner.apply(sql, parse_book(book_data()), False, 1001)
        assert len(copy.view(sql).at(seen).levers) == len(book_data()["levers"])
        transaction.rollback()
        with sql.begin():
            assert len(copy.view(sql).at(seen).levers) == 1


def test_another_change_of_as_many_rows_as_one_rolled_back_is_seen(engine: sa.Engine) -> None:
    metadata = sa.MetaData()
    add_book_tables(metadata)
    metadata.create_all(engine)
    copy, levers = BookCopy(metadata), book_data()["levers"]
    owner, seen = BookOwner(copy, STAFFING_KINDS), dt.date(2026, 1, 1)
    with engine.connect() as sql:
        transaction = sql.begin()
        owner.apply(sql, parse_book(changed(levers=levers[:1])), False, 1000)
        assert list(copy.view(sql).at(seen).levers) == [levers[0]["name"]]
        transaction.rollback()
        with sql.begin():
            owner.apply(sql, parse_book(changed(levers=levers[1:2])), False, 1001)
        with sql.begin():
            assert list(copy.view(sql).at(seen).levers) == [levers[1]["name"]]


def test_a_change_is_effective_at_its_date(connection: Any) -> None:
    sql, copy = connection
    queue = book_data()["queues"][0]
    rows = [
        {**queue, "valid_until": "2026-05-01"},
        {**queue, "valid_from": "2026-05-01", "interval_seconds": 900},
        *book_data()["queues"][1:],
    ]
    for kinds in (STAFFING_KINDS, ("sites", "work_patterns", "activities", "agents")):
        BookOwner(copy, kinds).apply(sql, parse_book(changed(queues=rows)), False, 1000)
    view = copy.view(sql)
    assert view.at(dt.date(2026, 4, 30)).queues[queue["name"]].interval_seconds == 1800
    assert view.at(dt.date(2026, 5, 1)).queues[queue["name"]].interval_seconds == 900


def test_groups_are_queues_that_share_agents(connection: Any) -> None:
    sql, copy = connection
    for kinds in (STAFFING_KINDS, ("sites", "work_patterns", "activities", "agents")):
        BookOwner(copy, kinds).apply(sql, parse_book(book_data()), False, 1000)
    groups = copy.view(sql).at(dt.date(2026, 3, 25)).groups
    assert {g.name: g.queues for g in groups.values()} == {
        "harbor/chat": ("harbor/chat",),
        "harbor/orders": ("harbor/orders", "harbor/service"),
        "lumen/care": ("lumen/care", "lumen/tech"),
        "lumen/renewals": ("lumen/renewals",),
        "northwind/billing": ("northwind/billing", "northwind/support"),
        "northwind/mail": ("northwind/mail",),
    }
    assert sum(len(g.agents) for g in groups.values()) == 323
    queue = copy.view(sql).at(dt.date(2026, 3, 25)).queues["lumen/care"]
    assert len(opening_hours(queue).open_starts(dt.date(2026, 3, 25), "Asia/Manila", 1800)) == 30


@pytest.mark.parametrize("field", ["threshold_seconds", "short_abandon_seconds", "target"])
def test_endless_seconds_are_refused(field: str) -> None:
    first, *others = book_data()["contracts"]
    target = {**first["targets"][0], "metric": "ASA", field: float("inf")}
    assert "finite" in " ".join(refused(changed(contracts=[{**first, "targets": [target]}, *others])).values())


def test_a_fiscal_calendar_of_weeks_needs_its_first_day() -> None:
    first, *others = book_data()["clients"]
    row = {**first, "fiscal_calendar": {"kind": "FOUR_FOUR_FIVE"}}
    assert "clients[0].fiscal_calendar.year_start" in refused(changed(clients=[row, *others]))
