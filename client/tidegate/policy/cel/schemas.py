"""What conditions may read: the members of each kind of predicate's policy view, with their types.

A view is what `tidegate.formats.predicates` makes of a verified predicate for policies; a schema says of it what a
condition is checked against when a policy is loaded. Counts are `int`, ratios and amounts `double`: CEL keeps the two
apart, and so does the view. Any member may be absent from a view; a condition that reads it is inconclusive then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tidegate.formats.jcs import JsonValue
from tidegate.formats.mediatypes import PREDICATE_RELEASE, PREDICATE_SLSA_PROVENANCE
from tidegate.formats.moment import parse_moment
from tidegate.formats.predicates.types import (
    PREDICATE_CYCLONEDX,
    PREDICATE_EVALUATION,
    PREDICATE_REVIEW,
    PREDICATE_SHADOW,
    PREDICATE_SPDX,
    PREDICATE_TEST_RESULT,
    PREDICATE_VULNERABILITIES,
)


class Scalar(Enum):
    """A value without parts, by its CEL type. A timestamp is RFC 3339 text in the view."""

    STRING = "string"
    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    TIMESTAMP = "timestamp"
    DYN = "dyn"  # anything; numbers are doubles


@dataclass(frozen=True, slots=True)
class ListOf:
    """A JSON array."""

    item: FieldType


@dataclass(frozen=True, slots=True)
class MapOf:
    """A JSON object whose names are data."""

    value: FieldType


@dataclass(frozen=True, slots=True)
class Message:
    """A JSON object whose names are known. `name`: as errors call it."""

    name: str
    fields: Mapping[str, FieldType]


FieldType = Scalar | ListOf | MapOf | Message

STRING, BOOL, INT, DOUBLE = Scalar.STRING, Scalar.BOOL, Scalar.INT, Scalar.DOUBLE
TIMESTAMP, DYN = Scalar.TIMESTAMP, Scalar.DYN


def _message(name: str, /, **fields: FieldType) -> Message:
    return Message(name, fields)


EVALUATION: Final = _message(
    "Evaluation",
    suite=STRING,
    dataset=STRING,
    harness=STRING,
    judge=STRING,
    judgePin=STRING,
    judgePinned=BOOL,
    repeats=INT,
    cases=INT,
    runs=INT,
    passed=INT,
    passedRuns=INT,
    passRate=DOUBLE,
    passRateLower=DOUBLE,
    passRateUpper=DOUBLE,
    passHatK=DOUBLE,
    passHat=MapOf(DOUBLE),
    metrics=MapOf(_message("Metric", value=DOUBLE, n=INT, unit=STRING)),
    outcomes=ListOf(_message("Outcome", id=STRING, passes=INT, of=INT)),
    startedAt=TIMESTAMP,
    finishedAt=TIMESTAMP,
)

SHADOW: Final = _message(
    "ShadowComparison",
    agent=STRING,
    digest=STRING,
    baseline=STRING,
    channel=STRING,
    startedAt=TIMESTAMP,
    finishedAt=TIMESTAMP,
    seconds=DOUBLE,
    tasks=INT,
    succeeded=_message("Succeeded", both=INT, candidateOnly=INT, baselineOnly=INT, neither=INT),
    candidateRate=DOUBLE,
    candidateRateLower=DOUBLE,
    candidateRateUpper=DOUBLE,
    baselineRate=DOUBLE,
    agreementRate=DOUBLE,
    metrics=MapOf(_message("PairedMetric", candidate=DOUBLE, baseline=DOUBLE, n=INT, unit=STRING)),
)

REVIEW: Final = _message(
    "Review",
    agent=STRING,
    version=STRING,
    digest=STRING,
    verdict=STRING,
    reason=STRING,
    scope=STRING,
    flips=_message("Flips", suite=STRING, baseline=STRING, cases=ListOf(STRING)),
)

RELEASE_STATEMENT: Final = _message(
    "ReleaseStatement", agent=STRING, version=STRING, digest=STRING, behaviour=STRING, channels=ListOf(STRING)
)

VULNERABILITIES: Final = _message(
    "Vulnerabilities",
    scanner=STRING,
    scannerVersion=STRING,
    databaseUpdatedAt=TIMESTAMP,
    scanFinishedAt=TIMESTAMP,
    total=INT,
    counts=_message("Counts", critical=INT, high=INT, medium=INT, low=INT, none=INT, unknown=INT),
    findings=ListOf(_message("Vulnerability", id=STRING, severity=STRING)),
)

TEST_RESULT: Final = _message(
    "TestResult",
    result=STRING,
    url=STRING,
    passed=INT,
    warned=INT,
    failed=INT,
    passedTests=ListOf(STRING),
    warnedTests=ListOf(STRING),
    failedTests=ListOf(STRING),
)

SBOM: Final = _message("Sbom", format=STRING, specVersion=STRING, components=INT)

PROVENANCE: Final = _message(
    "Provenance",
    buildType=STRING,
    builderId=STRING,
    repository=STRING,
    ref=STRING,
    commit=STRING,
    path=STRING,
    invocationId=STRING,
    materials=INT,
)

RELEASE: Final = _message(
    "Release", agent=STRING, version=STRING, namespace=STRING, channel=STRING, source=STRING, opaque=BOOL
)
"""The variable `release`: what is being promoted. `source` is absent where the first channel is entered."""

SCHEMAS: Final[Mapping[str, Message]] = {
    PREDICATE_RELEASE: RELEASE_STATEMENT,
    PREDICATE_EVALUATION: EVALUATION,
    PREDICATE_REVIEW: REVIEW,
    PREDICATE_SHADOW: SHADOW,
    PREDICATE_VULNERABILITIES: VULNERABILITIES,
    PREDICATE_TEST_RESULT: TEST_RESULT,
    PREDICATE_CYCLONEDX: SBOM,
    PREDICATE_SPDX: SBOM,
    PREDICATE_SLSA_PROVENANCE: PROVENANCE,
}


def schema_of(predicate_type: str) -> Message | None:
    """Give the schema of the view of a predicate type (a URI); None: any member may be read, unchecked."""
    return SCHEMAS.get(predicate_type)


def mismatches(value: JsonValue, schema: FieldType, at: str = "predicate") -> Iterator[str]:
    """Say in words where `value` is not what `schema` says: other types, and members it does not name."""
    if isinstance(schema, Scalar):
        if not is_of(value, schema):
            yield f"{at} is no {schema.value}"
    elif isinstance(schema, ListOf):
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from mismatches(item, schema.item, f"{at}[{index}]")
        else:
            yield f"{at} is no list"
    elif not isinstance(value, dict):
        yield f"{at} is no object"
    else:
        for name, inside in value.items():
            field = member(schema, name)
            if field is None:
                yield f"{at}.{name} is not in the schema"
            else:
                yield from mismatches(inside, field, f"{at}.{name}")


def member(schema: Message | MapOf, name: str) -> FieldType | None:
    """Give the type of one member; None: the schema names none of that name."""
    return schema.value if isinstance(schema, MapOf) else schema.fields.get(name)


def is_of(value: JsonValue, scalar: Scalar) -> bool:
    """Whether `value` is written as the view writes that type: 3 is an int and no double, 3.0 the reverse."""
    match scalar:
        case Scalar.STRING:
            return isinstance(value, str)
        case Scalar.BOOL:
            return isinstance(value, bool)
        case Scalar.INT:
            return type(value) is int
        case Scalar.DOUBLE:
            return isinstance(value, float)
        case Scalar.TIMESTAMP:
            return isinstance(value, str) and _is_moment(value)
        case Scalar.DYN:
            return True


def _is_moment(text: str) -> bool:
    try:
        parse_moment(text)
    except ValueError:
        return False
    return True
