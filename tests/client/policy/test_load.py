from __future__ import annotations

import json

import pytest

from tests.client.policy.documents import OVERLAY, POLICY, loaded, value_of
from tidegate.errors import PolicyInvalid
from tidegate.formats.jcs import canonical_bytes
from tidegate.policy.load import load_policy


def refused(text: str, overlay: str | None = None) -> list[str]:
    """Load something wrong and give its mistakes."""
    with pytest.raises(PolicyInvalid) as refusal:
        load_policy(text.encode(), None if overlay is None else overlay.encode())
    assert {reason.code for reason in refusal.value.reasons} == {"policy-invalid"}
    return [reason.message for reason in refusal.value.reasons]


def test_every_mistake_is_told_with_its_line_and_what_was_probably_meant() -> None:
    text = POLICY.replace("role: reviewer, maxAge", "role: reviwer, maxAge").replace("signer: evals", "signer: eval")
    text = text.replace("requirement: soaked", "requirement: soacked")
    with pytest.raises(PolicyInvalid) as refusal:
        load_policy(text.encode(), name="team.yaml")
    told = [(reason.message, reason.found, reason.hint) for reason in refusal.value.reasons]
    assert told == [
        ("team.yaml:39: transitions[3].require[0].approvals.role: no such role", "reviwer", "write reviewer"),
        ("team.yaml:41: transitions[3].require[2].attestation.signer: no such signer", "eval", "write evals"),
        ("team.yaml:43: exceptions[0].requirement: no such requirement of these channels", "soacked", "write soaked"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("from: dev\n  to: staging\n  agents", "from: stable\n  to: staging\n  agents", "a promotion goes forward"),
        ("  to: stable\n", "  to: stabel\n", "transitions[3].to: no such channel"),
        ("agents: [acme/risky]", "agents: ['*/*']", "transitions[2]: never counts: transitions[1] comes first"),
        ("id: soaked, soak: {min: 24h}", "id: reviewed, sbom: {}", "another requirement of this transition"),
        ("allow: [admin]", "allow: [reviewers]", "editors.allow: too few people have these roles"),
        (
            ': [{issuer: "https://idp.example", claims: {identity: bob@acme.example}}]',
            ": []",
            "too few people have these",
        ),
        ("allow: [admin], approvals: 0", "allow: [admin], approvals: 1", "editors.allow: too few people"),
        ("channels: [dev, staging, stable]", "channels: [dev, staging, stable, dev]", "channels[3]: another channel"),
        (
            '[{issuer: "https://idp.example", identity: bob@',
            '[{issuer: "https://idp.example", identity: alice@',
            "persons.bob[0]: this is an identity of alice already",
        ),
        (
            "- to: dev\n  allow: [developer, release-manager]",
            "- to: dev\n  allow: [developer]\n  require: [{id: s, soak: {min: 1h}}]",
            "no channel to soak in",
        ),
        ("signers: [evals]", "signers: [evils]", "publishers[0].signers[0]: no such signer"),
        ("name: holidays, channels: [stable]", "name: holidays, channels: [prod]", "freezes[0].channels[0]"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(old: str, new: str, told: str) -> None:
    assert POLICY.count(old) >= 1
    assert any(told in message for message in refused(POLICY.replace(old, new, 1))), refused(POLICY.replace(old, new))


def test_the_first_transition_about_an_agent_counts() -> None:
    policy = loaded()
    risky, other = policy.rule("acme/risky", "dev", "staging"), policy.rule("acme/other", "dev", "staging")
    assert risky is not None
    assert other is not None
    assert [one.requirement.id for one in risky.require] == ["two-reviewers"]
    assert [one.requirement.id for one in other.require] == ["bill"]
    assert policy.rule("acme/other", "dev", "stable") is None
    assert [rule.source for rule in policy.rules_to("acme/other", "stable")] == ["staging"]
    assert policy.publishers("acme/other") == (frozenset({"evals"}),)
    assert policy.publishers("other/agent") == ()


def test_an_overlay_adds_to_the_rules_of_its_namespace_alone() -> None:
    policy = loaded(POLICY, OVERLAY)
    here, elsewhere = policy.rule("acme/a", "staging", "stable"), policy.rule("other/a", "staging", "stable")
    assert here is not None
    assert elsewhere is not None
    assert [one.requirement.id for one in here.require] == ["reviewed", "soaked", "evaluated", "audited"]
    assert [one.origin for one in here.require] == ["policy", "policy", "policy", "overlay"]
    assert elsewhere.digest == loaded().rule("other/a", "staging", "stable").digest  # type: ignore[union-attr]
    assert here.digest != elsewhere.digest
    assert [freeze.agents for freeze in policy.freezes] == [("*/*",), ("acme/*",)]


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("auditor: [", "reviewer: [", "roles.reviewer"),
        ("from: staging\n  to: stable", "from: dev\n  to: stable", "transitions[0]"),
        ("to: stable\n", "to: stable\n  allow: [developer]\n", "transitions[0].allow[0]"),
        ("to: stable\n", "to: stable\n  allow: [auditor]\n", "transitions[0].allow[0]"),
        ("to: stable\n", "to: stable\n  agents: [other/agent]\n", "transitions[0].agents[0]"),
        ("to: stable\n", "to: stable\n  agents: ['*/*']\n", "transitions[0].agents[0]"),
        ("id: audited", "id: soaked", "transitions[0].require[0].id"),
        ("name: quarter-end", "name: holidays", "freezes[0].name"),
        ("name: quarter-end", "agents: ['*/a'], name: quarter-end", "freezes[0].agents[0]"),
        ("freezes:", "publishers: [{agents: ['*/a'], signers: [evals]}]\nfreezes:", "publishers[0].agents[0]"),
        (
            "freezes:",
            "signers: {evals: {root: r, issuer: https://i.example, identity: me}}\nfreezes:",
            "signers.evals",
        ),
    ],
)
def test_an_overlay_that_would_loosen_the_policy_is_refused_with_the_path(old: str, new: str, path: str) -> None:
    assert OVERLAY.count(old) == 1
    told = refused(POLICY, OVERLAY.replace(old, new))
    assert any(f": {path}: an overlay may only add" in message for message in told), told


def rule_digests(text: str) -> set[str]:
    """Give the digests of the rule to stable before and after a change."""
    rules = [policy.rule("acme/a", "staging", "stable") for policy in (loaded(), loaded(text))]
    return {str(rule.digest) for rule in rules if rule is not None}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("count: 1, role", "count: 2, role"),
        ("maxAge: 72h", "maxAge: 71h"),
        ("soak: {min: 24h}", "soak: {min: 24h, minTasks: 1}"),
        ("id: reviewed", "id: seen"),
        ("{id: reviewed", "{warnUntil: '2027-01-01', id: reviewed"),
        ("to: stable\n  allow: [release-manager]", "to: stable\n  allow: [release-manager, admin]"),
        ('{glob: "review-*"}', "reviewers"),
        ("refs: [refs/heads/main]", "refs: [refs/heads/*]"),
        ("exceptions:", "  rollout: {steps: [{percent: 5}, {percent: 100}]}\nexceptions:"),
    ],
)
def test_the_digest_that_approvals_sign_moves_with_what_the_rule_asks(old: str, new: str) -> None:
    assert POLICY.count(old) == 1
    assert len(rule_digests(POLICY.replace(old, new))) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{id: reviewed", "{message: Ask a colleague., id: reviewed"),
        ("maxAge: 72h", "maxAge: 3d"),
        ("count: 1, role", "notAuthor: true, count: 1, role"),
        ("{groups: developers}", "{groups: everybody}"),
        ("- {name: holidays", "- {reason: quiet, name: holidays"),
        ("format:", "description: Ours.\nformat:"),
    ],
)
def test_the_digest_that_approvals_sign_stays_with_words_and_with_what_others_ask(old: str, new: str) -> None:
    assert POLICY.count(old) == 1
    assert len(rule_digests(POLICY.replace(old, new))) == 1


def test_the_digest_that_approvals_sign_knows_no_order() -> None:
    turned = value_of(POLICY)
    turned["transitions"][3]["require"].reverse()
    assert len(rule_digests(json.dumps(turned))) == 1


def test_what_was_loaded_can_be_written_down_and_loaded_again() -> None:
    policy = loaded(POLICY, OVERLAY)
    assert policy.overlay is not None
    base = canonical_bytes(policy.document.model_dump(mode="json", by_alias=True))
    overlay = canonical_bytes(policy.overlay.model_dump(mode="json", by_alias=True))
    again = load_policy(base, overlay)
    assert again.digest == policy.digest
    assert again.rule("acme/a", "staging", "stable").digest == policy.rule("acme/a", "staging", "stable").digest  # type: ignore[union-attr]
