"""Structured logs: one event for each request and each thing worth telling, fields rather than sentences, no tokens.

Events are JSON lines on the standard library's logger `tidegate_registry`; whoever runs the process says where that
goes (`configure` for `serve`, a file for the sandbox).
"""

from __future__ import annotations

import logging
import sys

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


def configure() -> None:
    """Send the registry's events, and warnings of libraries, to stderr."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    logging.getLogger(NAME).setLevel(logging.INFO)
