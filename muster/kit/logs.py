"""One log line a unit of work: for people on a terminal, JSON otherwise."""

import logging
import sys
from typing import cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor


def configure_logs(service: str, level: str) -> None:
    """Set structlog and the standard library's loggers up for a process; log to standard error."""
    number = logging.getLevelNamesMapping()[level.upper()]
    chain: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    for noisy in ("faust", "mode", "aiokafka", "asyncio", "kafka"):
        logging.getLogger(noisy).setLevel(max(number, logging.WARNING))


def get_log() -> FilteringBoundLogger:
    """Return the process's logger."""
    return cast(FilteringBoundLogger, structlog.get_logger())
