"""muster apply: the book, checked as a whole by every owner before anything changes."""

import pathlib
from typing import Annotated

import grpc
import typer

from muster.book.text import BookText, read_book
from muster.book.wire import book_to_message
from muster.cli.connection import connect, console
from muster.kit.errors import MusterError, Refusal, Violation
from muster.kit.rpc import from_rpc_error
from muster.v1 import book_pb2

STYLES = {"ADD": "green", "CHANGE": "yellow", "DELETE": "red", "KEEP": "dim"}


def apply(
    path: Annotated[pathlib.Path, typer.Argument(exists=True, dir_okay=False, metavar="BOOK.yaml")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would change, change nothing")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="delete rows that the file no longer holds")] = False,
) -> None:
    """Make the book so. Both owners check the whole book first; nothing changes unless both agree."""
    text = read_book(path)
    muster, out = connect(), console()
    request = book_pb2.ApplyBookRequest(book=book_to_message(text.book), prune=prune, validate_only=True)
    owners = (muster.staffing, muster.scheduler)
    answers = [_pointed(text, owner, request) for owner in owners]
    if not dry_run:
        request.validate_only = False
        answers = [_pointed(text, owner, request) for owner in owners]
    counts: dict[str, int] = {}
    for answer in answers:
        for d in answer.differences:
            counts[d.change] = counts.get(d.change, 0) + 1
            since = f" from {d.valid_from}" if d.valid_from else ""
            note = "  (not in the file; --prune deletes it)" if d.change == "KEEP" else ""
            out.print(f"{d.change:<6} {d.kind} {d.name}{since}{note}", style=STYLES[d.change], highlight=False)
            for field in d.fields:
                out.print(f"         {field}", highlight=False, markup=False)
    unchanged = sum(answer.unchanged_count for answer in answers)
    summary = ", ".join(f"{n} {change.lower()}" for change, n in sorted(counts.items())) or "no change"
    out.print(f"{'would apply' if dry_run else 'applied'}: {summary}; {unchanged} rows unchanged", highlight=False)
    unused = answers[0].declared_unused
    if unused:
        out.print(f"declared, not used yet: {', '.join(unused)}", style="yellow", highlight=False)


def _pointed(text: BookText, owner: object, request: book_pb2.ApplyBookRequest) -> book_pb2.ApplyBookResponse:
    try:
        answer: book_pb2.ApplyBookResponse = owner.ApplyBook(request)  # type: ignore[attr-defined]
    except grpc.RpcError as error:
        found: MusterError = from_rpc_error(error)
        pointed = tuple(Violation(v.field, text.point(v)) for v in found.violations)
        raise Refusal(found.reason, found.message, pointed) from error
    return answer
