"""The book as YAML, with the line of every field, so that an error can point."""

import dataclasses
import pathlib
import re
from typing import Any

import yaml

from muster.book.check import check_book, parse_book
from muster.book.types import Book
from muster.kit.errors import Refusal, Violation


class _Loader(yaml.SafeLoader):
    """SafeLoader that leaves 08:30 and 2026-03-29 as text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(0|[1-9][0-9_]*)$"), list("-+0123456789"))


@dataclasses.dataclass(frozen=True)
class BookText:
    """A parsed file: the book, and the line of each path."""

    book: Book
    path: str
    lines: dict[str, int]

    def point(self, violation: Violation) -> str:
        """Return a violation as file:line: field: what is wrong."""
        return _point(self.path, self.lines, violation)


def _point(path: str, lines: dict[str, int], violation: Violation) -> str:
    field = violation.field
    while field and field not in lines:
        field = re.sub(r"(\[\d+\]|\.?[^.\[\]]+)$", "", field)
    return f"{path}:{lines.get(field, 1)}: {violation.field}: {violation.description}"


def _lines(node: yaml.Node, path: str, into: dict[str, int]) -> None:
    into[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = f"{path}.{key.value}" if path else str(key.value)
            _lines(value, inner, into)
            into[inner] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            _lines(item, f"{path}[{place}]", into)


def read_book(path: pathlib.Path) -> BookText:
    """Read and check a book. Raise Refusal whose violations are already pointed at file and line."""
    text = path.read_text()
    try:
        node = yaml.compose(text, Loader=_Loader)
        data: Any = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise Refusal("NOT_YAML", f"{path}: {error}") from error
    if not isinstance(data, dict) or node is None:
        raise Refusal("NOT_A_BOOK", f"{path}: a book is a mapping of clients, queues, contracts, …")
    lines: dict[str, int] = {}
    _lines(node, "", lines)
    try:
        book = parse_book(data)
        check_book(book)
    except Refusal as refusal:
        pointed = tuple(Violation(v.field, _point(str(path), lines, v)) for v in refusal.violations)
        raise Refusal(refusal.reason, refusal.message, pointed) from refusal
    return BookText(book, str(path), lines)
