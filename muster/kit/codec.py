"""Bytes ⇄ protobuf messages: protobuf or JSON in protobuf's mapping, told apart by content-type or the first byte."""

from collections.abc import Mapping
from typing import TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from muster.kit.errors import Refusal
from muster.kit.json_reader import read_json

M = TypeVar("M", bound=Message)


def decode(message: type[M], value: bytes | None, headers: Mapping[str, bytes]) -> M:
    """Return the message. Raise Refusal: EMPTY, NOT_JSON or NOT_PROTOBUF.

    Unknown JSON fields are taken as a newer publisher's and left out.
    """
    if not value:
        raise Refusal("EMPTY", "the message has no value")
    content = headers.get("content-type", b"").decode(errors="replace") if headers else ""
    # Neither byte begins protobuf: as tags they would open groups. White space is not skipped: it is field 1's tag.
    is_json = "json" in content if content else value[:1] in (b"{", b"[")
    try:
        return read_json(message, value) if is_json else message.FromString(value)
    except (DecodeError, ValueError, RecursionError, json_format.ParseError) as error:
        reason, what = ("NOT_JSON", "JSON of") if is_json else ("NOT_PROTOBUF", "a")
        raise Refusal(reason, f"not {what} {message.DESCRIPTOR.full_name}: {error}") from error


def encode(message: Message) -> bytes:
    """Return the message's bytes; the same message always gives the same bytes."""
    return message.SerializeToString(deterministic=True)
