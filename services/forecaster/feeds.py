"""Whose word counts for a queue, and how far each feed has told."""

from collections.abc import Iterable

import sqlalchemy as sa

from muster.book.demand import Queue
from muster.book.view import BookDay
from muster.book.words import Basis
from services.forecaster.domain.volume import Report
from services.forecaster.store import closing, volume
from services.forecaster.streams import EVERY_QUEUE


def progress(connection: sa.Connection, queue: Queue) -> dict[str, closing.Told]:
    """Return how far each feed has told of a queue, also by what it said of all of the client's."""
    told = closing.progress_of(connection, queue.name)
    for feed, word in closing.progress_of(connection, f"{queue.client}/{EVERY_QUEUE}").items():
        told[feed] = told.get(feed, closing.Told()).with_(word)
    return told


def counting_feeds(book: BookDay, queue: Queue, told: Iterable[str]) -> dict[str, int | None]:
    """Return the feeds whose word closes the queue, with their grace. told: those that have spoken of it.

    The client's REALTIME feeds that have (OFFICIAL ones, if it has no other); any that has, if none of the declared has yet.
    """
    client, spoken_of = book.clients.get(queue.client), set(told)
    declared = {f.name: f for f in client.feeds} if client else {}
    live = {n: f for n, f in declared.items() if f.basis == Basis.REALTIME} or declared
    spoken = {n: f.grace_seconds for n, f in live.items() if n in spoken_of}
    return spoken or dict.fromkeys(told)


def silent_feeds(connection: sa.Connection, book: BookDay, queue: Queue) -> set[str]:
    """Return the feeds whose word closes the queue and that never say how far they have told."""
    told = progress(connection, queue)
    return {f for f in counting_feeds(book, queue, told) if told[f].complete_through is None}


def presumed_empty(connection: sa.Connection, book: BookDay, queue: Queue, starts: Iterable[int]) -> set[int]:
    """Return those of some empty intervals that closed by a feed's grace alone: it never says how far it has told, and told nothing
    of them. A report of nothing is a word, an official one speaks for all feeds."""
    silent, wanted = silent_feeds(connection, book, queue), sorted(starts)
    if not silent or not wanted:
        return set()
    seconds = queue.interval_seconds
    reports = volume.reports_between(connection, queue.name, wanted[0], wanted[-1] + seconds)

    def is_told(start: int) -> bool:
        of_it = [r for r in reports if _touches(r, start, seconds)]
        return any(r.official for r in of_it) or silent <= {r.feed for r in of_it}

    return {start for start in wanted if not is_told(start)}


def _touches(report: Report, start: int, seconds: int) -> bool:
    return report.starts_at < start + seconds and start < report.starts_at + max(report.seconds, 1)
