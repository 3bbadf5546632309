"""gRPC edge of the forecaster."""

import asyncio
import datetime as dt
from typing import Any

import sqlalchemy as sa
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from google.protobuf.timestamp_pb2 import Timestamp

from muster.domain.calendar import DAY, local_date
from muster.kit.errors import NotFound, NotReady, Refusal
from muster.kit.rpc import next_token, page
from muster.kit.service import Parts
from muster.v1 import forecaster_service_pb2 as pb
from muster.v1 import forecaster_service_pb2_grpc as stubs
from services.forecaster import wire
from services.forecaster.domain.volume import FIXED_EDGES, Cell, empty_tally, merge_range
from services.forecaster.store import forecasts, volume
from services.forecaster.work import Work

LONGEST_SPAN = 400 * DAY


class ForecasterRpc(stubs.ForecasterServiceServicer):
    """Volume and forecast."""

    def __init__(self, parts: Parts, work: Work) -> None:
        self._parts, self._work = parts, work
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
            wire.check_observed(fact)
        messages = [wire.observed_message(fact) for fact in request.facts]
        try:
            producer = await self._get_producer()
            topic = self._parts.settings.world + wire.OBSERVED
            sent = [await producer.send(topic, key=m.key.encode(), value=m.value) for m in messages]
            await asyncio.gather(*sent)
        except KafkaError as error:
            raise NotReady("BROKER_UNAVAILABLE", f"the broker did not acknowledge ({error}); send again") from error
        return pb.PublishVolumeResponse(acknowledged_count=len(sent))

    async def ListVolumeCells(self, request: pb.ListVolumeCellsRequest, context: Any) -> pb.ListVolumeCellsResponse:
        limit, offset = page(request.page_size, request.page_token, 500, 5000)
        end = request.ends_at.seconds if request.HasField("ends_at") else self._parts.clock.now()
        begin = request.starts_at.seconds if request.HasField("starts_at") else end - DAY
        return await self._parts.database.read(lambda c: self._cells(c, request.queue, begin, end, limit, offset))

    def _cells(
        self, connection: sa.Connection, name: str, begin: int, end: int, limit: int, offset: int
    ) -> pb.ListVolumeCellsResponse:
        queue = self._work.streams.book_today(connection).queues.get(name)
        if queue is None:
            raise NotFound("NO_SUCH_QUEUE", f"no queue {name!r} in the book; declare it with muster apply")
        seconds = queue.interval_seconds
        begin -= begin % seconds
        if end - begin > LONGEST_SPAN:
            raise Refusal("INVALID_SPAN", f"{(end - begin) // DAY} days; allowed: {LONGEST_SPAN // DAY}; ask in parts")
        reports = volume.reports_between(connection, name, begin, end)
        through = volume.closed_through(connection, name)
        cells = merge_range(reports, range(begin, end, seconds), seconds)
        closed = volume.closed_cells(connection, name, range(begin, end, seconds))
        for start in closed:
            cells.setdefault(start, Cell(start, False, empty_tally(FIXED_EDGES), False, None))
        starts = sorted(cells)[offset : offset + limit + 1]
        answer = pb.ListVolumeCellsResponse(next_page_token=next_token(limit, offset, starts))
        for start in starts[:limit]:
            is_closed = start + seconds <= through
            revision = closed.get(start, (0, None))[0]
            answer.cells.append(wire.cell_message(name, seconds, cells[start], revision, is_closed, through))
        return answer

    async def ListFeedProgress(self, request: pb.ListFeedProgressRequest, context: Any) -> pb.ListFeedProgressResponse:
        limit, offset = page(request.page_size, request.page_token, 500, 1000)
        rows = await self._parts.database.read(volume.all_progress)
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
            messages = [wire.day_message(day) for day in days[:limit]]
            return pb.ListForecastDaysResponse(days=messages, next_page_token=next_token(limit, offset, days))

        return await self._parts.database.read(work)

    async def RefreshForecasts(self, request: pb.RefreshForecastsRequest, context: Any) -> pb.RefreshForecastsResponse:
        def work(connection: sa.Connection) -> str:
            if request.client not in self._work.streams.book_today(connection).clients:
                raise NotFound("NO_SUCH_CLIENT", f"no client {request.client!r} in the book; declare it with muster apply")
            return self._work.ask_fit(connection, request.client, request.request_id)

        job = await self._parts.database.run(work)
        self._parts.jobs.wake()
        return pb.RefreshForecastsResponse(job=job)
