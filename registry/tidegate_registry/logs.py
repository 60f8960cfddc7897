"""Structured logs: one event for each request and each thing worth telling, fields rather than sentences, no tokens.

Events are JSON lines on the standard library's logger `tidegate_registry`; whoever runs the process says where that
goes (`configure` for `serve`, a file for the sandbox).
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

import structlog

NAME = "tidegate_registry"

_PROCESSORS: tuple[structlog.types.Processor, ...] = (
    structlog.stdlib.filter_by_level,
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    structlog.processors.JSONRenderer(sort_keys=True),
)


def get_logger() -> structlog.stdlib.BoundLogger:
    """Give the logger of the registry."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(NAME), processors=_PROCESSORS, wrapper_class=structlog.stdlib.BoundLogger
    )
    return logger


_lines = logging.getLogger(NAME)
_encode = json.JSONEncoder(sort_keys=True).encode


def log_request(**fields: str | float | None) -> None:
    """Log the event `request`: a line as `get_logger` writes it, at half its price.

    It is the one event that each answer costs; the general way looks for the calling line and runs a chain of
    processors. `fields` has the request id as well.
    """
    if not _lines.isEnabledFor(logging.INFO):
        return
    timestamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    line = _encode({"event": "request", "level": "info", "timestamp": timestamp, **fields})
    _lines.handle(logging.LogRecord(NAME, logging.INFO, "", 0, line, None, None))


def configure() -> None:
    """Send the registry's events, and warnings of libraries, to stderr."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    logging.getLogger(NAME).setLevel(logging.INFO)
