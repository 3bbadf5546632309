"""Book rows ⇄ protobuf, by field name: enums gain and lose their prefix, money its text."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message
from google.type import money_pb2

from muster.book.fields import DatedRow, Row
from muster.book.types import KINDS, SINGULAR, Book
from muster.domain.money import Money
from muster.v1 import book_pb2


def _prefix(enum: Any) -> str:
    return str(enum.values_by_number[0].name).removesuffix("UNSPECIFIED")


def _to_wire(field: Any, value: Any) -> Any:
    if isinstance(value, Money):
        units, nanos = value.to_units()
        return money_pb2.Money(currency_code=value.currency, units=units, nanos=nanos)
    if isinstance(value, Row):
        return to_message(value, field.message_type._concrete_class())
    if field.enum_type is not None:
        return field.enum_type.values_by_name[_prefix(field.enum_type) + str(value)].number
    return value


def to_message(row: Row, message: Message) -> Any:
    """Fill a message from a row of the same shape and return it."""
    for name in type(row).model_fields:
        value, field = getattr(row, name), message.DESCRIPTOR.fields_by_name[name]
        if value is None:
            continue
        if isinstance(value, tuple):
            getattr(message, name).extend([_to_wire(field, item) for item in value])
        elif field.message_type is not None:
            getattr(message, name).CopyFrom(_to_wire(field, value))
        else:
            setattr(message, name, _to_wire(field, value))
    return message


def _from_wire(field: Any, value: Any) -> Any:
    if isinstance(value, money_pb2.Money):
        return Money.from_units(value.currency_code, value.units, value.nanos)
    if field.message_type is not None:
        return to_data(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        if known is None:
            return f"number {value}, which this version does not know"
        return known.name.removeprefix(_prefix(field.enum_type)) if value else None
    return value


def to_data(message: Message) -> dict[str, Any]:
    """Return a message as plain data that a row's type validates."""
    data: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.is_repeated:
            data[field.name] = [_from_wire(field, item) for item in value]
        elif field.has_presence and not message.HasField(field.name):
            continue
        elif (found := _from_wire(field, value)) is not None:
            data[field.name] = found
    return data


def book_to_message(book: Book) -> book_pb2.Book:
    """Return the whole book as a message."""
    message = to_message(book, book_pb2.Book())
    assert isinstance(message, book_pb2.Book)
    return message


def row_to_message(kind: str, row: DatedRow, generation: int, recorded_at: int, deleted_at: int | None) -> book_pb2.BookRow:
    """Return the message of a row's state topic."""
    message = book_pb2.BookRow(kind=kind, name=row.name, valid_from=row.valid_from, generation=generation)
    message.recorded_at.seconds = recorded_at
    if deleted_at is not None:
        message.delete_time.seconds = deleted_at
    to_message(row, getattr(message, SINGULAR[kind]))
    return message


def row_from_message(message: book_pb2.BookRow) -> DatedRow:
    """Return the row that a message carries. Raise ValueError where it isn't a valid one."""
    return KINDS[message.kind].model_validate(to_data(getattr(message, SINGULAR[message.kind])))


def body_of(row: DatedRow) -> dict[str, Any]:
    """Return a row as JSON-able data, for SQL and differences."""
    return row.model_dump(mode="json", exclude_none=True)


def row_from_body(kind: str, body: Mapping[str, Any]) -> DatedRow:
    """Return the row of its JSON-able data."""
    return KINDS[kind].model_validate(body)
