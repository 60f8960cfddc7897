"""JUnit XML, as pytest, Maven, Jest and most others write it.

A case is called `classname.name`, or `name` alone. It passed if nothing in it says otherwise: `failure`, `error` and
`skipped`, and Surefire's `flakyFailure`, `flakyError`, `rerunFailure`, `rerunError` for those that were tried again.
The file is parsed without a document type, so it can neither define entities nor name other files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from xml.parsers import expat

from tidegate.errors import InvalidInput
from tidegate.evaluation.results import MAX_RUNS, CaseRun
from tidegate.formats.moment import any_moment

MAX_DEPTH: Final = 100
NOT_PASSED: Final = frozenset(
    {"failure", "error", "skipped", "flakyFailure", "flakyError", "rerunFailure", "rerunError"}
)
_BEGINNING: Final = 4096


def recognises(raw: bytes) -> bool:
    """Whether this looks like JUnit XML."""
    head = raw[:_BEGINNING]
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and b"<testsuite" in head


def read_runs(raw: bytes) -> list[CaseRun]:
    """Give every test case of every suite. Raises InvalidInput (code "results-invalid")."""
    return _parse(raw).runs


def read_times(raw: bytes) -> tuple[datetime | None, datetime | None]:
    """Give when the first suite began and the last ended, where suites say it with a time zone."""
    suites = _parse(raw).suites
    begun = min((begin for begin, _ in suites), default=None)
    try:
        return begun, max((begin + length for begin, length in suites), default=None)
    except OverflowError:  # beyond the calendar
        return begun, None


@dataclass
class _Document:
    """What was read so far. `case`: the test case that is open, with whether it has passed up to here."""

    runs: list[CaseRun] = field(default_factory=list)
    suites: list[tuple[datetime, timedelta]] = field(default_factory=list)
    depth: int = 0
    case: tuple[str, float | None] | None = None
    passed: bool = True

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH or len(self.runs) > MAX_RUNS:
            raise _invalid("it is nested too deeply" if self.depth > MAX_DEPTH else "it has too many test cases")
        if self.depth == 1 and name not in {"testsuites", "testsuite"}:
            raise _invalid("it is not JUnit XML", f"<{name[:40]}>")
        if name == "testcase":
            if self.case is not None or not attributes.get("name"):
                raise _invalid("a test case has no name of its own")
            group = attributes.get("classname", "")
            self.case = (
                f"{group}.{attributes['name']}" if group else attributes["name"],
                _seconds(attributes.get("time")),
            )
            self.passed = True
        elif name in NOT_PASSED:
            if self.case is None:  # it could not even be collected: the cases that are here are not all there are
                raise _invalid("something outside of any test case did not pass", f"<{name}>")
            self.passed = False
        elif name == "testsuite" and (begin := any_moment(attributes.get("timestamp", ""))) is not None:
            self.suites.append((begin, timedelta(seconds=_seconds(attributes.get("time")) or 0)))

    def end(self, name: str) -> None:
        self.depth -= 1
        if name == "testcase" and self.case is not None:
            case, seconds = self.case
            measured = {} if seconds is None else {"duration": (seconds, "s")}
            self.runs.append(CaseRun(case, self.passed, measured))
            self.case = None


def _parse(raw: bytes) -> _Document:
    document, parser = _Document(), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = document.start, document.end
    parser.StartDoctypeDeclHandler = _refuse("a document type")
    parser.EntityDeclHandler = _refuse("an entity")
    try:
        parser.Parse(raw, True)  # noqa: FBT003 - "this is all there is"; it takes no keyword
    except (expat.ExpatError, ValueError) as error:
        raise _invalid("it is not well-formed XML", str(error)[:160]) from error
    return document


def _refuse(what: str) -> Callable[..., None]:
    def handler(*_: object) -> None:
        raise _invalid(f"it declares {what}, which results have no use for")

    return handler


def _invalid(problem: str, found: str | None = None) -> InvalidInput:
    return InvalidInput(f"the JUnit file cannot be read: {problem}", code="results-invalid", found=found)


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float((text or "").replace(",", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and 0 <= seconds < timedelta(days=365).total_seconds() else None
