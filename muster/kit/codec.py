"""Bytes ⇄ protobuf messages: protobuf or JSON in protobuf's mapping, told apart by content-type or the first byte."""

from collections.abc import Mapping
from typing import TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from muster.kit.errors import Refusal

M = TypeVar("M", bound=Message)


def decode(message: type[M], value: bytes | None, headers: Mapping[str, bytes]) -> M:
    """Return the message. Raise Refusal: EMPTY, NOT_JSON or NOT_PROTOBUF.

    Unknown JSON fields are taken as a newer publisher's and left out.
    """
    if not value:
        raise Refusal("EMPTY", "the message has no value")
    content = headers.get("content-type", b"").decode(errors="replace")
    # Neither byte begins protobuf: as tags they would open groups. White space is not skipped: it is field 1's tag.
    is_json = "json" in content if content else value[:1] in (b"{", b"[")
    try:
        if is_json:
            return json_format.Parse(value, message(), ignore_unknown_fields=True)
        return message.FromString(value)
    except json_format.ParseError as error:
        raise Refusal("NOT_JSON", f"not JSON of {message.DESCRIPTOR.full_name}: {error}") from error
    except UnicodeDecodeError as error:
        raise Refusal("NOT_JSON", f"not UTF-8: {error}") from error
    except (DecodeError, ValueError, RecursionError) as error:
        raise Refusal("NOT_PROTOBUF", f"not a {message.DESCRIPTOR.full_name}: {error}") from error


def encode(message: Message) -> bytes:
    """Return the message's bytes; the same message always gives the same bytes."""
    return message.SerializeToString(deterministic=True)
