"""What a server counts, for Prometheus, and what it writes into its log: a JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["LOG", "Metrics", "log_as_json", "write_log"]

LOG = logging.getLogger("maskzoo.serving")
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter("maskzoo_requests", "Requests answered.", ("route", "status"), registry=self._registry)
        self.seconds = Histogram(
            "maskzoo_request_seconds",
            "From a request's header to its answer.",
            ("route",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self.stages = Histogram(
            "maskzoo_stage_seconds",
            "Of a photo: decode, predict (waiting included), encode.",
            ("model", "stage"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self.batch_size = Histogram(
            "maskzoo_batch_size", "Photos computed together.", ("model",), buckets=SIZES, registry=self._registry
        )
        self.batch_seconds = Histogram(
            "maskzoo_batch_seconds", "The network's time for a batch.", ("model",), buckets=SECONDS, registry=self._registry
        )
        self.objects = Counter("maskzoo_objects", "Objects found, before `score`.", ("model",), registry=self._registry)
        self.under_way = Gauge("maskzoo_photos_under_way", "Photos accepted and not yet answered.", registry=self._registry)

    def write(self) -> bytes:
        """Return everything in Prometheus' text form."""
        return generate_latest(self._registry)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        fields: dict[str, Any] = {"time": when, "level": record.levelname.lower(), "event": record.getMessage()}
        fields |= getattr(record, "fields", {})
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def write_log(event: str, level: int = logging.INFO, *, error: BaseException | None = None, **fields: Any) -> None:
    """Write a line into the server's log."""
    LOG.log(level, event, extra={"fields": fields}, exc_info=error)


def log_as_json() -> None:
    """Send the log, and what uvicorn, asyncio and the reader of forms say, to standard error, as `maskzoo serve` does."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    # Below an error uvicorn and the reader of forms tell of strange requests, of which there is a line of our own.
    for name, level in (
        (LOG.name, logging.INFO),
        *((name, logging.ERROR) for name in ("uvicorn", "asyncio", "python_multipart")),
    ):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
