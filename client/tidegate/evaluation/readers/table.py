"""A plain table as CSV: a heading, then one row for each run.

| column | |
| --- | --- |
| `case` | what the case is called |
| `passed` | `true`, `1`, `pass`, `passed`, `yes`; or `false`, `0`, `fail`, `failed`, `no`; in any case |
| `NAME [UNIT]` | a number, or nothing: `cost [USD]`, `latency [s]` |

Other columns are not read. UTF-8, with or without a byte order mark; commas, double quotes.
"""

from __future__ import annotations

import csv
import math
import re
from datetime import datetime
from itertools import pairwise
from typing import Final

from tidegate.errors import InvalidInput
from tidegate.evaluation.results import MAX_RUNS, CaseRun

YES: Final = frozenset({"true", "1", "pass", "passed", "yes"})
NO: Final = frozenset({"false", "0", "fail", "failed", "no"})
_METRIC = re.compile(r"(?P<name>\S+) \[(?P<unit>[^\[\]]+)\]")
_BEGINNING: Final = 4096
MAX_LINES: Final = 1 + MAX_RUNS  # the heading, and a row for each run


def recognises(raw: bytes) -> bool:
    """Whether the first line is a heading with `case` and `passed`."""
    line = raw[:_BEGINNING].removeprefix(b"\xef\xbb\xbf").splitlines()[:1]
    names = {name.strip().strip('"') for name in line[0].decode("utf-8", "replace").split(",")} if line else set()
    return {"case", "passed"} <= names


def read_runs(raw: bytes) -> list[CaseRun]:
    """Give one run a row. Raises InvalidInput (code "results-invalid")."""
    try:
        lines = csv.reader(raw.decode("utf-8-sig").splitlines(keepends=True), strict=True)
        heading = [name.strip() for name in next(lines, [])]
        return [_run(heading, row, lines.line_num) for row in lines if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise _invalid("it is not CSV in UTF-8", str(error)[:160]) from error


def read_times(raw: bytes) -> tuple[datetime | None, datetime | None]:  # noqa: ARG001 - a table tells no times
    """Give nothing: a table tells no times."""
    return None, None


def _run(heading: list[str], row: list[str], line: int) -> CaseRun:
    if any(one == other for one, other in pairwise(sorted(heading))):
        raise _invalid("two columns have one name", ", ".join(heading)[:160])
    if not {"case", "passed"} <= set(heading):
        raise _invalid("it has no columns case and passed", ", ".join(heading)[:160])
    if line > MAX_LINES:
        raise _invalid("it is too long", f"line {line}", expected=f"at most {MAX_LINES:,} lines")
    if len(row) != len(heading):
        raise _invalid(f"line {line} has other columns than the heading", f"{len(row)} columns", str(len(heading)))
    cells = dict(zip(heading, (cell.strip() for cell in row), strict=True))
    said = cells["passed"].lower()
    if said not in YES | NO or not cells["case"]:
        raise _invalid(f"line {line} does not say which case passed or did not", f"{cells['case']}: {said}"[:80])
    measured = {}
    for name, cell in cells.items():
        match = _METRIC.fullmatch(name)
        if match is not None and cell:
            measured[match["name"]] = (_number(cell, line), match["unit"])
    return CaseRun(cells["case"], said in YES, measured)


def _number(cell: str, line: int) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _invalid(f"line {line} has something else than a number", cell[:40])
    return number


def _invalid(problem: str, found: str | None = None, expected: str | None = None) -> InvalidInput:
    return InvalidInput(f"the table cannot be read: {problem}", code="results-invalid", found=found, expected=expected)
