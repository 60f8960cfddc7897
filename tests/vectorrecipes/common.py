"""How the bundles under tests/vectors are made: one function a case, with what must come of it and why.

The name of a case that must be refused ends in `_fail`. A function takes the workshop and gives the bundle, alone or
with what differs from the usual charter, agent and roots.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cryptography import x509

from tests.forge import dump
from tests.forge_certificate import ISSUER_V2, claims_of
from tests.workshop import AGENT, RELEASE_JOB, WORKFLOW, Workshop
from tidegate.digest import Digest
from tidegate.formats.charter import ApproverRule, Charter, SignerRule
from tidegate.formats.predicates.types import (
    PREDICATE_SHADOW,
    PREDICATE_TEST_RESULT,
    PREDICATE_VULNERABILITIES,
)

Json = dict[str, Any]
BUILDER = "acme/builder/.ci/workflows/agent.yml@refs/tags/v2"
OTHER_DIGEST = Digest.of(b"another manifest")


@dataclass
class Made:
    """A case as it will be written; `trusted_root` and `other_root` are the documents, to be changed in place."""

    bundle: Json | bytes
    charter: Charter | None = None
    agent: str = AGENT
    max_age_days: int | None = None
    change_root: Callable[[Json], object] | None = None
    client_trust_config: bool = False
    with_other: bool = False

    @property
    def raw(self) -> bytes:
        return self.bundle if isinstance(self.bundle, bytes) else dump(self.bundle)


@dataclass(frozen=True)
class Recipe:
    """A case's name, expected outcome, the reason for it, and how it is made."""

    name: str
    expected: str
    reason: str
    make: Callable[[Workshop], Made]


RECIPES: list[Recipe] = []


def recipe(expected: str, reason: str) -> Callable[[Callable[[Workshop], Made | Json | bytes]], None]:
    """List a function as a case; its name is the function's."""

    def listed(function: Callable[[Workshop], Made | Json | bytes]) -> None:
        def make(workshop: Workshop) -> Made:
            made = function(workshop)
            return made if isinstance(made, Made) else Made(made)

        suffix = "" if expected == "verified" else "_fail"
        RECIPES.append(Recipe(function.__name__.replace("_", "-") + suffix, expected, reason, make))

    return listed


def replace_rule(rule: SignerRule, **changes: object) -> SignerRule:
    """Give a copy of `rule` with other members."""
    return rule.model_copy(update=changes)


def publishers(w: Workshop, *rules: SignerRule) -> Charter:
    return w.charter.model_copy(update={"publishers": rules})


def texts_of_job(w: Workshop) -> dict[int, str]:
    return claims_of(RELEASE_JOB) | {ISSUER_V2: w.main.issuer.ci_url}


def job_name() -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(f"{WORKFLOW}@refs/tags/v1.2.0")]


def retire(root: Json, kind: str, w: Workshop, days: int) -> None:
    for instance in root[kind]:
        holder = instance.get("publicKey", instance)
        end = w.now - timedelta(days=days)
        holder["validFor"] = holder["validFor"] | {"end": end.strftime("%Y-%m-%dT%H:%M:%SZ")}


def with_statement(w: Workshop, change: Callable[[Json], object], payload: bytes | None = None) -> bytes:
    statement = copy.deepcopy(json.loads(payload or w.release_statement()))  # noqa: TID251 - our own
    change(statement)
    return json.dumps(statement).encode()


def material_of(bundle: Mapping[str, Any]) -> Json:
    material: Json = bundle["verificationMaterial"]
    return material


def entry_of(bundle: Mapping[str, Any]) -> Json:
    entry: Json = material_of(bundle)["tlogEntries"][0]
    return entry


def envelope_of(bundle: Mapping[str, Any]) -> Json:
    envelope: Json = bundle["dsseEnvelope"]
    return envelope


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def measurers(w: Workshop) -> Charter:
    """Give the charter with the evaluation pipeline as an attester of scans, tests and comparisons, too."""
    kinds = (PREDICATE_SHADOW, PREDICATE_VULNERABILITIES, PREDICATE_TEST_RESULT)
    return w.charter.model_copy(update={"attesters": (replace_rule(w.attesters[0], types=kinds),)})


def deciders(w: Workshop) -> Charter:
    """Give the charter with bob as an approver and carol as one who may break the glass."""

    def rule(user: str) -> ApproverRule:
        return ApproverRule(name=user, root="main", issuer=w.main.issuer.url, identity=f"{user}@sandbox.example")

    return w.charter.model_copy(update={"approvers": (rule("bob"),), "break_glass": (rule("carol"),)})
