"""Readers of results: one module a tool, with three functions. Documented in docs/guides/attest-an-evaluation.md.

    recognises(raw: bytes) -> bool
        Whether this looks like a file of the tool. Looks at the beginning, never raises.
    read_runs(raw: bytes) -> Iterable[CaseRun]
        Every run of every case. One that was skipped, crashed or passed only when tried again did not pass.
        Raises InvalidInput.
    read_times(raw: bytes) -> tuple[datetime | None, datetime | None]
        When the first run began and the last ended, aware, as far as the file says.

A module of yours with these three is named by `--reader package.module`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from importlib import import_module
from typing import Final, Protocol, cast

from tidegate.errors import InvalidInput
from tidegate.evaluation.results import CaseRun

MAX_RESULTS_BYTES: Final = 64 << 20  # promptfoo writes every answer into its file
BUILT_IN: Final = ("junit", "promptfoo", "table")
FUNCTIONS: Final = ("recognises", "read_runs", "read_times")
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)


class Reader(Protocol):
    """What a reader's module offers."""

    def recognises(self, raw: bytes) -> bool:
        """Whether this looks like a file of the tool."""
        ...

    def read_runs(self, raw: bytes) -> Iterable[CaseRun]:
        """Give every run of every case. Raises InvalidInput."""
        ...

    def read_times(self, raw: bytes) -> tuple[datetime | None, datetime | None]:
        """Give when the first run began and the last ended."""
        ...


def choose_reader(raw: bytes, name: str | None = None) -> Reader:
    """Give the reader of that name, or the one that recognises the file.

    `name`: one of BUILT_IN, or a module of somebody else's; it is imported, so it is code that the caller trusts.
    Raises InvalidInput (code "reader-unknown" or "results-unknown").
    """
    if name is not None:
        return _named(name)
    for known in BUILT_IN:
        reader = _named(known)
        if reader.recognises(raw):
            return reader
    raise InvalidInput(
        "nobody can tell what kind of results these are",
        code="results-unknown",
        expected=f"a file for one of {', '.join(BUILT_IN)}",
        hint="give --reader with a name, or with a module of yours",
    )


def _named(name: str) -> Reader:
    if name not in BUILT_IN and not _MODULE.fullmatch(name):
        raise InvalidInput(
            "there is no such reader of results",
            code="reader-unknown",
            found=name[:80],
            expected=f"{', '.join(BUILT_IN)}, or a module such as my_evals.reader",
        )
    module = f"{__name__}.{name}" if name in BUILT_IN else name
    try:
        reader = import_module(module)
    except ImportError as error:
        raise InvalidInput("the reader cannot be imported", code="reader-unknown", found=str(error)[:160]) from error
    missing = [function for function in FUNCTIONS if not callable(getattr(reader, function, None))]
    if missing:
        raise InvalidInput(
            "the module is no reader of results",
            code="reader-unknown",
            found=f"{name} without {', '.join(missing)}",
            expected=", ".join(FUNCTIONS),
        )
    return cast("Reader", reader)
