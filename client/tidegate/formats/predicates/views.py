"""What policies, conditions and decision records read of a predicate: the one place that knows every kind.

A view is bounded, holds nothing that the predicate merely claims where it can be computed, writes counts as whole
numbers and rates as doubles. Which fields there are: docs/spec/policy-conditions.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes
from tidegate.formats.mediatypes import PREDICATE_COSIGN_SIGN, PREDICATE_RELEASE, PREDICATE_SLSA_PROVENANCE
from tidegate.formats.predicates.approval import ApprovalPredicate
from tidegate.formats.predicates.break_glass import BreakGlassPredicate
from tidegate.formats.predicates.evaluation import EvaluationPredicate
from tidegate.formats.predicates.provenance import Provenance
from tidegate.formats.predicates.release import ReleasePredicate
from tidegate.formats.predicates.review import ReviewPredicate
from tidegate.formats.predicates.sbom import SbomPredicate
from tidegate.formats.predicates.shadow import ShadowPredicate
from tidegate.formats.predicates.test_result import TestResultPredicate
from tidegate.formats.predicates.types import (
    PREDICATE_APPROVAL,
    PREDICATE_BREAK_GLASS,
    PREDICATE_CYCLONEDX,
    PREDICATE_EVALUATION,
    PREDICATE_REVIEW,
    PREDICATE_SHADOW,
    PREDICATE_SPDX,
    PREDICATE_TEST_RESULT,
    PREDICATE_VULNERABILITIES,
)
from tidegate.formats.predicates.vulnerabilities import VulnerabilitiesPredicate

MAX_UNKNOWN_VIEW_BYTES: Final = 64 << 10  # of a predicate type that is not known here, as canonical JSON


class Predicate(Protocol):
    """What every kind that is read can do."""

    def view(self) -> JsonObject:
        """Give what policies read."""
        ...


PARSERS: Final[Mapping[str, Callable[[JsonObject], Predicate]]] = {
    PREDICATE_RELEASE: ReleasePredicate.parse,
    PREDICATE_SLSA_PROVENANCE: Provenance.parse,
    PREDICATE_EVALUATION: EvaluationPredicate.parse,
    PREDICATE_APPROVAL: ApprovalPredicate.parse,
    PREDICATE_BREAK_GLASS: BreakGlassPredicate.parse,
    PREDICATE_REVIEW: ReviewPredicate.parse,
    PREDICATE_SHADOW: ShadowPredicate.parse,
    PREDICATE_VULNERABILITIES: VulnerabilitiesPredicate.parse,
    PREDICATE_TEST_RESULT: TestResultPredicate.parse,
    PREDICATE_CYCLONEDX: SbomPredicate.parse_cyclonedx,
    PREDICATE_SPDX: SbomPredicate.parse_spdx,
}
"""How each kind is read. Each raises StatementInvalid with the code of its kind."""


def view_of(predicate_type: str, predicate: JsonObject) -> JsonObject | None:
    """Give the view of a predicate. Raises StatementInvalid when it is of a known kind and not of its form.

    Of a kind that is not known here: the predicate itself, every number a double; None when it is too large.
    cosign's signature says nothing.
    """
    if predicate_type == PREDICATE_COSIGN_SIGN:
        return {}
    if (parse := PARSERS.get(predicate_type)) is not None:
        return parse(predicate).view()
    if len(canonical_bytes(predicate)) > MAX_UNKNOWN_VIEW_BYTES:
        return None
    return {key: _doubles(value) for key, value in predicate.items()}


def _doubles(value: JsonValue) -> JsonValue:
    """Write every number as a double: whoever wrote 1 and whoever wrote 1.0 meant one thing."""
    if isinstance(value, dict):
        return {key: _doubles(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_doubles(inner) for inner in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
