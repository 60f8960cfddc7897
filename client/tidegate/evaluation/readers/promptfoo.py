"""What `promptfoo eval --output results.json` writes.

A case is called by its description, or by a digest of its variables. A run passed if it says `success`. With
`--repeat`, a case is there several times. Measured: `latency`, `cost` and `tokens`, of answers that were not cached.
A file with several prompts or providers evaluates several things, so it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from tidegate.digest import Digest
from tidegate.errors import InvalidInput, JsonInvalid
from tidegate.evaluation.results import CaseRun
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes, parse_object
from tidegate.formats.moment import any_moment

MAX_BYTES: Final = 64 << 20
MILLISECONDS: Final = 1000
_MEMBERS = re.compile(rb'"results"\s*:\s*\{')
_BEGINNING: Final = 4096


def recognises(raw: bytes) -> bool:
    """Whether this looks like promptfoo's results."""
    head = raw[:_BEGINNING]
    return head.lstrip().startswith(b"{") and _MEMBERS.search(head) is not None


def read_runs(raw: bytes) -> list[CaseRun]:
    """Give every result. Raises InvalidInput (code "results-invalid")."""
    return list(_runs(_results(raw)))


def read_times(raw: bytes) -> tuple[datetime | None, datetime | None]:
    """Give when the evaluation began."""
    text = _results(raw).get("timestamp")
    return (any_moment(text) if isinstance(text, str) else None), None


def _results(raw: bytes) -> JsonObject:
    try:
        results = parse_object(raw, limit=MAX_BYTES, what="the results").get("results")
    except JsonInvalid as error:
        raise _invalid(error.message, error.reasons[0].found) from error
    if not isinstance(results, dict) or not isinstance(results.get("results"), list):
        raise _invalid("there is no list results.results")
    return results


def _runs(results: JsonObject) -> Iterator[CaseRun]:
    listed = results["results"]
    assert isinstance(listed, list)  # noqa: S101 - _results looked
    evaluated = set()
    for number, item in enumerate(listed):
        run = _object(item)
        if not isinstance(run.get("success"), bool):
            raise _invalid(f"result {number} does not say whether it succeeded")
        evaluated.add((str(run.get("promptIdx")), str(_object(run.get("provider")).get("id"))))
        if len(evaluated) > 1:
            raise _invalid(
                "it evaluates several prompts or providers",
                ", ".join(sorted(f"prompt {prompt} by {provider}" for prompt, provider in evaluated))[:160],
            )
        yield CaseRun(_case(run, number), run["success"] is True, dict(_measured(run)))


def _case(run: JsonObject, number: int) -> str:
    test = _object(run.get("testCase"))
    description = test.get("description") or run.get("description")
    if isinstance(description, str):
        return description
    variables = run.get("vars") or test.get("vars")
    if not isinstance(variables, dict) or not variables:
        raise _invalid(f"result {number} has neither a description nor variables, so nothing tells its case")
    return f"vars-{Digest.of(canonical_bytes(variables)).hex[:16]}"


def _measured(run: JsonObject) -> Iterator[tuple[str, tuple[float, str]]]:
    response = _object(run.get("response"))
    if response.get("cached") is True:
        return
    if (latency := _number(run.get("latencyMs"))) is not None:
        yield "latency", (latency / MILLISECONDS, "s")
    if (cost := _number(run.get("cost"))) is not None:
        yield "cost", (cost, "USD")
    usage = _object(response.get("tokenUsage")) or _object(run.get("tokenUsage"))
    if (tokens := _number(usage.get("total"))) is not None:
        yield "tokens", (tokens, "tokens")


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def _invalid(problem: str, found: str | None = None) -> InvalidInput:
    return InvalidInput(f"promptfoo's results cannot be read: {problem}", code="results-invalid", found=found)
