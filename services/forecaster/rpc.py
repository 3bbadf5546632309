"""gRPC edge of the forecaster."""

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from google.protobuf.timestamp_pb2 import Timestamp

from muster.book.demand import Queue
from muster.book.view import BookDay
from muster.domain.calendar import DAY, local_date, parse_date
from muster.kit.errors import NotFound, NotReady, Refusal
from muster.kit.outbox import Outgoing
from muster.kit.parts import Parts
from muster.kit.rpc import next_token, page
from muster.v1 import book_pb2
from muster.v1 import forecaster_service_pb2 as pb
from muster.v1 import forecaster_service_pb2_grpc as stubs
from services.forecaster import forecast_wire, volume_wire, wire
from services.forecaster.domain.accuracy import LEADS, Added, Score, pooled, weekly
from services.forecaster.domain.facts import Adjustment, PublishedDay, merge_days
from services.forecaster.domain.tally import FIXED_EDGES, empty_tally
from services.forecaster.domain.volume import MINUTE, Cell, merge_range
from services.forecaster.forecast_rpc import ForecastEdge
from services.forecaster.scoring import score_days
from services.forecaster.store import closing, forecasts, volume
from services.forecaster.work import Work

LONGEST_SPAN = 400 * DAY
LONGEST_ACCURACY_DAYS = 100


class ForecasterRpc(stubs.ForecasterServiceServicer):
    """Volume and forecast."""

    def __init__(self, parts: Parts, work: Work) -> None:
        self._parts, self._work, self._forecasts = parts, work, ForecastEdge(parts, work)
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def _get_producer(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._parts.settings.bootstrap, enable_idempotence=True, acks="all"
                )
                await producer.start()
                self._producer = producer
            return self._producer

    async def PublishVolume(self, request: pb.PublishVolumeRequest, context: Any) -> pb.PublishVolumeResponse:
        if not 1 <= len(request.facts) <= 1000:
            raise Refusal("NO_CONTENT", f"{len(request.facts)} facts; allowed: 1 to 1,000")
        for fact in request.facts:
            volume_wire.check_observed(fact)
        messages = [volume_wire.observed_message(fact) for fact in request.facts]
        return pb.PublishVolumeResponse(acknowledged_count=await self._send(messages))

    async def _send(self, messages: Sequence[Outgoing]) -> int:
        """Publish messages; return how many were acknowledged. Raise NotReady."""
        world = self._parts.settings.world
        try:
            producer = await self._get_producer()
            sent = [await producer.send(world + m.topic, key=m.key.encode(), value=m.value) for m in messages]
            await asyncio.gather(*sent)
        except KafkaError as error:
            raise NotReady("BROKER_UNAVAILABLE", f"the broker did not acknowledge ({error}); send again") from error
        return len(sent)

    async def ListVolumeCells(self, request: pb.ListVolumeCellsRequest, context: Any) -> pb.ListVolumeCellsResponse:
        limit, offset = page(request.page_size, request.page_token, 500, 5000)
        end = request.ends_at.seconds if request.HasField("ends_at") else self._parts.clock.now()
        begin = request.starts_at.seconds if request.HasField("starts_at") else end - DAY
        if end - begin > LONGEST_SPAN:
            raise Refusal("INVALID_SPAN", f"{(end - begin) // DAY} days; allowed: {LONGEST_SPAN // DAY}; ask in parts")
        return await self._parts.database.read(lambda c: self._cells(c, request, begin, end, limit, offset))

    def _queue(self, connection: sa.Connection, name: str) -> tuple[BookDay, Queue]:
        book = self._work.streams.book_today(connection)
        queue = book.queues.get(name)
        if queue is None:
            raise NotFound("NO_SUCH_QUEUE", f"no queue {name!r} in the book; declare it with muster apply")
        return book, queue

    def _cells(
        self, connection: sa.Connection, request: pb.ListVolumeCellsRequest, begin: int, end: int, limit: int, offset: int
    ) -> pb.ListVolumeCellsResponse:
        book, queue = self._queue(connection, request.queue)
        seconds, through = queue.interval_seconds, closing.closed_through(connection, queue.name)
        begin -= begin % seconds
        only = request.basis or None
        known: dict[int, int] = {}
        if request.HasField("as_known_at"):
            then = request.as_known_at.seconds
            reports = []
            for span in volume.spans_between(connection, queue.name, begin, end):
                found = span.known_by(then // MINUTE)
                if found is not None:
                    reports.append(found[0])
                    start = span.starts_at - span.starts_at % seconds
                    for s in range(start, max(span.starts_at + span.seconds, start + 1), seconds):
                        known[s] = max(known.get(s, 0), found[1])
        else:
            reports = volume.reports_between(connection, queue.name, begin, end)
        if only is not None:
            reports = [r for r in reports if r.official == (only == book_pb2.BASIS_OFFICIAL)]
        cells = merge_range(reports, range(begin, end, seconds), seconds)
        closed = closing.closed_cells(connection, queue.name, range(begin, end, seconds))
        if not known and only is None and not request.HasField("as_known_at"):
            for start in closed:
                cells.setdefault(start, Cell(start, False, empty_tally(FIXED_EDGES), False, None))
        starts = sorted(cells)[offset : offset + limit + 1]
        at_the_end = self._work.reports_at_the_end(connection, book, queue)
        answer = pb.ListVolumeCellsResponse(next_page_token=next_token(limit, offset, starts))
        for start in starts[:limit]:
            is_closed = start + seconds <= through
            revision = closed[start].revision if start in closed else 0
            censored = at_the_end and not is_closed
            message = wire.cell_message(queue.name, seconds, cells[start], revision, is_closed, through, censored)
            if start in known:
                message.known_at.seconds = known[start] * MINUTE
            answer.cells.append(message)
        return answer

    async def LockPeriod(self, request: pb.LockPeriodRequest, context: Any) -> pb.LockPeriodResponse:
        through, now = request.through.seconds, self._parts.clock.now()
        if not 0 < through <= now or through % 900:
            raise Refusal("INVALID_LOCK", f"through is {through}; allowed: a quarter of an hour's start, not after now ({now})")

        def work(connection: sa.Connection) -> int:
            if request.client not in self._work.streams.book_today(connection).clients:
                raise NotFound("NO_SUCH_CLIENT", f"no client {request.client!r} in the book; declare it with muster apply")
            before = closing.locked_through(connection, request.client)
            if through < before:
                raise Refusal("INVALID_LOCK", f"{request.client} is locked before {before} already; a lock never moves back")
            closing.lock_period(connection, request.client, through, now, request.locked_by)
            return through

        return pb.LockPeriodResponse(through=Timestamp(seconds=await self._parts.database.run(work)))

    async def GetPeriodLock(self, request: pb.GetPeriodLockRequest, context: Any) -> pb.GetPeriodLockResponse:
        through = await self._parts.database.read(lambda c: closing.locked_through(c, request.client))
        return pb.GetPeriodLockResponse(through=Timestamp(seconds=through) if through else None)

    async def ListVolumeAdjustments(
        self, request: pb.ListVolumeAdjustmentsRequest, context: Any
    ) -> pb.ListVolumeAdjustmentsResponse:
        limit, offset = page(request.page_size, request.page_token, 500, 5000)
        begin = request.starts_at.seconds
        end = request.ends_at.seconds if request.HasField("ends_at") else self._parts.clock.now()

        def work(connection: sa.Connection) -> list[Adjustment]:
            self._queue(connection, request.queue)
            return volume.adjustments_between(connection, request.queue, begin, end)

        rows = (await self._parts.database.read(work))[offset : offset + limit + 1]
        messages = [volume_wire.adjustment_message(a) for a in rows[:limit]]
        return pb.ListVolumeAdjustmentsResponse(adjustments=messages, next_page_token=next_token(limit, offset, rows))

    async def ListFeedProgress(self, request: pb.ListFeedProgressRequest, context: Any) -> pb.ListFeedProgressResponse:
        limit, offset = page(request.page_size, request.page_token, 500, 1000)
        rows = await self._parts.database.read(closing.all_progress)
        rows = [r for r in rows if not request.client or r.queue.startswith(request.client + "/")][offset:]
        answer = pb.ListFeedProgressResponse(next_page_token=next_token(limit, offset, rows))
        for r in rows[:limit]:
            feed = pb.FeedProgress(queue=r.queue, feed=r.feed)
            for name, value in (
                ("complete_through", r.complete_through),
                ("newest_fact_at", r.newest_fact_at),
                ("closed_through", r.through),
            ):
                if value:
                    getattr(feed, name).CopyFrom(Timestamp(seconds=value))
            answer.feeds.append(feed)
        return answer

    async def ListForecastDays(self, request: pb.ListForecastDaysRequest, context: Any) -> pb.ListForecastDaysResponse:
        limit, offset = page(request.page_size, request.page_token, 14, 100)

        def work(connection: sa.Connection) -> pb.ListForecastDaysResponse:
            book = self._work.streams.book_today(connection)
            queue = book.queues.get(request.queue)
            if queue is None:
                raise NotFound("NO_SUCH_QUEUE", f"no queue {request.queue!r} in the book; declare it with muster apply")
            today = local_date(self._parts.clock.now(), book.zone_of(queue)).isoformat()
            last = request.last_date or dt.date.max.isoformat()
            days = forecasts.list_days(connection, request.queue, request.first_date or today, last, limit + 1, offset)
            shown = days[:limit]
            if request.HasField("as_believed_at"):
                then = request.as_believed_at.seconds
                shown = [b for day in shown if (b := self._believed(connection, day.queue, day.local_date, then))]
            elif request.as_fitted:
                shown = [forecasts.load_morning(connection, day.queue, day.local_date) or day for day in shown]
            messages = [wire.day_message(day) for day in shown]
            return pb.ListForecastDaysResponse(days=messages, next_page_token=next_token(limit, offset, days))

        return await self._parts.database.read(work)

    def _believed(self, connection: sa.Connection, queue: str, day: str, then: int) -> PublishedDay | None:
        """Return a day's forecast as it stood at an instant, today's updates merged in."""
        stood: PublishedDay | None = None
        for body in forecasts.published_by(connection, queue, day, then):
            stood = merge_days(stood, wire.read_day(body))
        return stood

    async def ListForecastAccuracies(
        self, request: pb.ListForecastAccuraciesRequest, context: Any
    ) -> pb.ListForecastAccuraciesResponse:
        return await self._parts.database.read(lambda c: self._accuracies(c, request))

    def _accuracies(
        self, connection: sa.Connection, request: pb.ListForecastAccuraciesRequest
    ) -> pb.ListForecastAccuraciesResponse:
        book = self._work.streams.book_today(connection)
        queues = [q for n, q in sorted(book.queues.items()) if request.name in (n, q.client)]
        if not queues:
            raise NotFound("NO_SUCH_QUEUE", f"no queue or client {request.name!r} in the book; declare it with muster apply")
        scores: dict[tuple[str, int], Score] = {}
        added: dict[tuple[str, str], Added] = {}
        for queue in queues:
            zone = book.zone_of(queue)
            yesterday = local_date(self._parts.clock.now(), zone) - dt.timedelta(days=1)
            last = parse_date(request.last_date) if request.last_date else yesterday
            first = parse_date(request.first_date) if request.first_date else last - dt.timedelta(days=27)
            if not 0 <= (last - first).days < LONGEST_ACCURACY_DAYS:
                raise Refusal("INVALID_SPAN", f"{first} to {last}; allowed: 1 to {LONGEST_ACCURACY_DAYS} days")
            scored = score_days(connection, queue, zone, first, last)
            scores |= {(queue.name, lead): score for lead, score in scored.leads.items()}
            added |= {(queue.name, words): value for words, value in scored.added.items()}
        answer = pb.ListForecastAccuraciesResponse()
        for (name, lead), score in sorted(scores.items()):
            if score.offered > 0:
                answer.accuracies.append(wire.accuracy_message(name, lead, score, weekly([score])))
        for lead in LEADS if len(queues) > 1 else ():
            of_lead = [s for (_, of), s in scores.items() if of == lead]
            total = pooled(of_lead)
            if total.offered > 0:
                answer.accuracies.append(wire.accuracy_message("", lead, total, weekly(of_lead)))
        answer.values.extend(wire.value_message(name, words, value) for (name, words), value in sorted(added.items()))
        return answer

    async def PublishForecasts(self, request: pb.PublishForecastsRequest, context: Any) -> pb.PublishForecastsResponse:
        if not 1 <= len(request.forecasts) <= 100:
            raise Refusal("NO_CONTENT", f"{len(request.forecasts)} forecasts; allowed: 1 to 100")
        messages = [forecast_wire.received_message(forecast_wire.check_received(f)) for f in request.forecasts]
        await self._parts.database.read(lambda c: self._forecasts.check_grids(c, request.forecasts))
        return pb.PublishForecastsResponse(acknowledged_count=await self._send(messages))

    async def ListForecastComparisons(
        self, request: pb.ListForecastComparisonsRequest, context: Any
    ) -> pb.ListForecastComparisonsResponse:
        return await self._parts.database.read(lambda c: self._forecasts.comparisons(c, request))

    async def ListForecastIncidents(
        self, request: pb.ListForecastIncidentsRequest, context: Any
    ) -> pb.ListForecastIncidentsResponse:
        return await self._parts.database.read(lambda c: self._forecasts.incidents(c, request.queue))

    async def ListForecastPeriods(self, request: pb.ListForecastPeriodsRequest, context: Any) -> pb.ListForecastPeriodsResponse:
        return await self._parts.database.read(lambda c: self._forecasts.periods(c, request))

    async def StartBacktest(self, request: pb.StartBacktestRequest, context: Any) -> pb.StartBacktestResponse:
        job = await self._parts.database.run(lambda c: self._forecasts.start_backtest(c, request))
        self._parts.jobs.wake()
        return pb.StartBacktestResponse(job=job)

    async def GetBacktest(self, request: pb.GetBacktestRequest, context: Any) -> pb.GetBacktestResponse:
        return await self._parts.database.read(lambda c: self._forecasts.backtest(c, request.job))

    async def RefreshForecasts(self, request: pb.RefreshForecastsRequest, context: Any) -> pb.RefreshForecastsResponse:
        def work(connection: sa.Connection) -> str:
            if request.client not in self._work.streams.book_today(connection).clients:
                raise NotFound("NO_SUCH_CLIENT", f"no client {request.client!r} in the book; declare it with muster apply")
            return self._work.fitting.ask_fit(connection, request.client, request.request_id)

        job = await self._parts.database.run(work)
        self._parts.jobs.wake()
        return pb.RefreshForecastsResponse(job=job)
