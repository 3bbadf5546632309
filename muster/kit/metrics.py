"""The series that every service exports about how it runs; a service adds its own collector."""

from collections.abc import Callable, Iterable, Iterator

import mode
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector


class Scrape(Collector):
    """A collector that asks for its series at each scrape, so that ages and gauges are never stale."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        yield from self._collect()

    def describe(self) -> Iterable[Metric]:
        return []


def gauge(name: str, says: str, labels: list[str], rows: Iterable[tuple[list[str], float | None]]) -> GaugeMetricFamily:
    """Return a gauge; rows that were not observed (None) are left out."""
    family = GaugeMetricFamily(name, says, labels=labels)
    for values, number in rows:
        if number is not None:
            family.add_metric(values, number)
    return family


def counter(name: str, says: str, labels: list[str], rows: Iterable[tuple[list[str], float]]) -> CounterMetricFamily:
    """Return a counter."""
    family = CounterMetricFamily(name, says, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


class MetricsServer(mode.Service):
    """Serves /metrics of one process."""

    def __init__(self, address: str, port: int, collectors: Iterable[Callable[[], Iterable[Metric]]]) -> None:
        super().__init__()
        self._address, self._port = address, port
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        for collect in collectors:
            self.registry.register(Scrape(collect))
        self.port = 0

    async def on_start(self) -> None:
        self._server, self._thread = start_http_server(self._port, self._address, self.registry)
        self.port = self._server.server_port

    async def on_stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
