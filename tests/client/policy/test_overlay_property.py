"""An overlay may only add: whatever the company-wide policy refuses, it refuses with any overlay that can be loaded."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.client.policy.documents import FORGE, IDP, OVERLAY, POLICY
from tidegate.errors import PolicyInvalid
from tidegate.policy.cases.build import World
from tidegate.policy.cases.model import CaseEvidence, CasePerson, Situation
from tidegate.policy.cases.people import Cast
from tidegate.policy.decide import decide
from tidegate.policy.load import LoadedPolicy, load_policy

# whoever publishes is left to the charter, so that nothing but the evidence is in the way of forged evidence
TEXT = POLICY.replace("agents: [acme/*], signers", "agents: [other/*], signers").encode()
BASE = load_policy(TEXT)
ANYBODY = [{"issuer": IDP, "claims": {"groups": {"glob": "*"}}}]
ANYTHING = {"root": "sigstore", "issuer": FORGE, "identity": "anything"}
ROLES = st.sampled_from(["developer", "reviewer", "release-manager", "everybody"])
ATTEMPTS = st.sampled_from([None, "role", "signer", "allow", "edge", "agents", "id"])  # to loosen something


@st.composite
def transitions(draw: st.DrawFn, attempt: str | None) -> dict[str, Any]:
    source = "dev" if attempt == "edge" else "staging"
    kinds: list[dict[str, Any]] = [
        {"approvals": {"count": 1, "role": draw(ROLES), "notAuthor": False}},
        {"soak": {"min": "1s"}},
        {"attestation": {"type": "evaluation", "signer": draw(st.sampled_from(["evals", "own"]))}},
    ]
    taken = ["reviewed", "soaked", "evaluated"]
    name = draw(st.sampled_from(taken if attempt == "id" else ["further"]))
    require = draw(st.sampled_from([[], [{"id": name, **draw(st.sampled_from(kinds))}]]))
    transition: dict[str, Any] = {"from": source, "to": "stable", "require": require}
    if attempt == "agents" or draw(st.booleans()):
        transition["agents"] = draw(st.sampled_from([["acme/*"], ["acme/a", "acme/b"]]))
        transition["agents"] += ["*/*"] if attempt == "agents" else []
    if attempt == "allow" or draw(st.booleans()):
        transition["allow"] = ["release-manager", *(["everybody"] if attempt == "allow" else [])]
    return transition


@st.composite
def overlays(draw: st.DrawFn) -> dict[str, Any]:
    """Give overlays, of which most would loosen something if they could be loaded."""
    attempt = draw(ATTEMPTS)
    roles, signers = {"everybody": ANYBODY}, {"own": ANYTHING}
    if attempt == "role":
        roles[draw(st.sampled_from(["reviewer", "release-manager"]))] = ANYBODY
    if attempt == "signer":
        signers["evals"] = ANYTHING
    return {
        "format": "tidegate/policy-overlay/v1",
        "namespace": "acme",
        "roles": roles,
        "signers": signers,
        "transitions": draw(st.lists(transitions(attempt), min_size=1, max_size=2)),
        "publishers": draw(st.sampled_from([[], [{"agents": ["acme/*"], "signers": ["own", "evals"]}]])),
    }


# what has all that it needs to become stable, and what takes something of that away or replaces it by a forgery
GOOD = {
    "agent": "acme/a",
    "from": "staging",
    "to": "stable",
    "by": "dan",
    "author": "alice",
    "evidence": ("evaluation",),
    "approvals": {"carol": "1h"},
    "served": {"staging": "3d", "dev": "3d"},
}
DEFECTS: list[dict[str, Any]] = [
    {"by": "mallory"},
    {"approvals": {"mallory": "1h"}},
    {"approvals": {"alice": "1h"}},
    {"approvals": {}},
    {"evidence": ("forged",)},
    {"evidence": ()},
    {"served": {"staging": "1h", "dev": "1h"}},
    {"from": "dev"},
]
SITUATIONS = [Situation.model_validate({**GOOD, **defect}) for defect in ({}, *DEFECTS)]
PEOPLE = {
    "carol": CasePerson(roles=("reviewer",)),
    "dan": CasePerson(roles=("release-manager",)),
    "mallory": CasePerson(issuer=IDP, claims={"groups": ("staff",)}),
}
FORGED = {"suite": "forged"}
EVIDENCE = {
    "evaluation": CaseEvidence(type="evaluation", signer="evals", view={}),
    "forged": CaseEvidence(type="evaluation", signer="evals", view=FORGED),
}


def allows(policy: LoadedPolicy, situation: Situation) -> bool:
    """Decide it, with approvals under this very policy, and all else as it is whatever a policy says."""
    approvals = World(policy, Cast(BASE, PEOPLE), EVIDENCE, situation).inputs().approvals
    inputs = World(BASE, Cast(BASE, PEOPLE), EVIDENCE, situation).inputs()
    evidence = tuple(replace(one, identity="anything") if one.view == FORGED else one for one in inputs.attestations)
    return bool(decide(policy, replace(inputs, approvals=approvals, attestations=evidence), situation.now))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(overlays())
def test_an_overlay_never_allows_what_the_policy_refuses(overlay: dict[str, Any]) -> None:
    try:
        policy = load_policy(TEXT, json.dumps(overlay).encode())
    except PolicyInvalid:
        return  # it would loosen something, and says so: test_load.py has each way
    for situation in SITUATIONS:
        assert not allows(policy, situation) or allows(BASE, situation)


def test_what_has_all_that_it_needs_is_allowed_and_an_overlay_can_ask_for_more() -> None:
    situation = Situation.model_validate(GOOD)
    assert allows(BASE, situation)
    assert not allows(load_policy(TEXT, OVERLAY.encode()), situation)
    for defect in DEFECTS:
        assert not allows(BASE, Situation.model_validate({**GOOD, **defect}))
