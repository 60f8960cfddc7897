"""Structured logs: one event for each request and each thing worth telling, fields rather than sentences, no tokens.

Events are JSON lines on the standard library's logger `tidegate_registry`; whoever runs the process says where that
goes (`configure` for `serve`, a file for the sandbox).
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii

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


def log_request(
    *,
    method: str,
    route: str,
    status: int,
    ms: float,
    principal: str | None,
    repository: str | None,
    request_id: str,
) -> None:
    """Log the event `request`: a line as `get_logger` writes it, at a third of its price.

    It is the one event that every answer costs. The general way looks for the calling line, runs a chain of processors
    and sorts.
    """
    if not _lines.isEnabledFor(logging.INFO):
        return
    now = datetime.now(UTC).replace(tzinfo=None).isoformat()
    line = (
        f'{{"event": "request", "level": "info", "method": {_quoted(method)}, "ms": {ms}, '
        f'"principal": {_quoted(principal)}, "repository": {_quoted(repository)}, "request_id": {_quoted(request_id)}, '
        f'"route": {_quoted(route)}, "status": {status}, "timestamp": "{now}Z"}}'
    )
    _lines.handle(logging.LogRecord(NAME, logging.INFO, "", 0, line, None, None))


def _quoted(text: str | None) -> str:
    return "null" if text is None else encode_basestring_ascii(text)


def configure() -> None:
    """Send the registry's events, and warnings of libraries, to stderr."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    logging.getLogger(NAME).setLevel(logging.INFO)
