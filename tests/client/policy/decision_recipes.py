"""What the vectors in tests/vectors/decisions are made of: one decision each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.client.policy.deciding import Case, evaluation, human, policy
from tests.client.policy.test_decide import going_back
from tests.client.policy.test_record import full_case, record_of
from tests.vectorcase import VECTORS

FOLDER: Final = VECTORS / "decisions"


def _refused() -> Case:
    case = Case(policy({"id": "two", "approvals": {"count": 2, "role": "reviewer"}}, {"id": "bill", "sbom": {}}))
    case.request(requester=human("mallory"))
    return case


def _compared() -> Case:
    case = Case(
        policy(
            {
                "id": "no-worse",
                "attestation": {"type": "evaluation", "signer": "evals", "maxAge": "7d"},
                "baseline": "current",
                "when": "predicate.passRate >= baseline.passRate - 0.01 && predicate.cases >= 2",
            }
        )
    )
    case.attach(evaluation({"a": 1, "b": 1}))
    case.channel(serving_evidence=(evaluation({"a": 1, "b": 0}),))
    return case


def _broken() -> Case:
    case = Case(policy({"id": "bill", "sbom": {}}))
    case.approve()
    case.request(glass=case.glass())
    return case


RECIPES: Final[Mapping[str, Callable[[], Case]]] = {
    "promotion-allowed": Case,
    "promotion-refused": _refused,
    "promotion-compared": _compared,
    "promotion-with-everything": full_case,
    "break-glass": _broken,
    "rollback": going_back,
}
"""By name: makes the case. The conditions of `promotion-compared` and `promotion-with-everything` need CEL."""


def path_of(name: str) -> Path:
    """Give the file of a vector."""
    return FOLDER / f"{name}.json"


def write(name: str) -> bytes:
    """Make the record of a vector."""
    return record_of(RECIPES[name]())
