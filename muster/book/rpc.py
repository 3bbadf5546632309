"""The book's RPCs, the same for every owner."""

from collections.abc import Sequence

import sqlalchemy as sa

from muster.book.check import check_book, parse_book
from muster.book.copy import BookCopy, BookOwner, Difference
from muster.book.unused import declared_unused
from muster.book.wire import to_data
from muster.kit.errors import Refusal
from muster.kit.parts import Parts
from muster.kit.rpc import next_token, page
from muster.v1 import book_pb2


async def apply_book(parts: Parts, owner: BookOwner, request: book_pb2.ApplyBookRequest) -> book_pb2.ApplyBookResponse:
    """Check the whole book, then make the owner's kinds so; nothing has changed when it raises Refusal."""
    book = parse_book(to_data(request.book))

    def check(connection: sa.Connection) -> tuple[list[Difference], int]:
        check_book(book)
        return owner.compare(connection, book, request.prune)

    def apply(connection: sa.Connection) -> tuple[list[Difference], int]:
        differences, unchanged, messages = owner.apply(connection, book, request.prune, parts.clock.now())
        parts.outbox.write(connection, messages)
        return differences, unchanged

    differences, unchanged = await parts.database.run(check if request.validate_only else apply)
    parts.relay.wake()
    return book_pb2.ApplyBookResponse(
        differences=[
            book_pb2.BookDifference(kind=d.kind, name=d.name, valid_from=d.valid_from, change=d.change, fields=d.fields)
            for d in differences
        ],
        unchanged_count=unchanged,
        declared_unused=declared_unused(book),
    )


async def list_rows(
    parts: Parts, copy: BookCopy, kinds: Sequence[str], request: book_pb2.ListBookRowsRequest
) -> book_pb2.ListBookRowsResponse:
    """Return rows of the owner's kinds as they stand."""
    limit, offset = page(request.page_size, request.page_token, 100, 1000)
    if request.kind and request.kind not in kinds:
        raise Refusal("UNKNOWN_KIND", f"kind is {request.kind!r}; this service owns: {', '.join(kinds)}")
    wanted = [request.kind] if request.kind else list(kinds)
    rows = await parts.database.read(lambda c: copy.messages(c, wanted, limit + 1, offset))
    return book_pb2.ListBookRowsResponse(rows=rows[:limit], next_page_token=next_token(limit, offset, rows))
