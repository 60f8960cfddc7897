"""Policies for tests: a small one that is right, and ways to say what is different."""

from __future__ import annotations

import json
from typing import Any

from tidegate.formats.yamldoc import parse_yaml
from tidegate.policy.load import LoadedPolicy, load_policy

FORGE = "https://forge.example"
IDP = "https://idp.example"

POLICY = f"""\
format: tidegate/policy/v1
persons:
  alice: [{{issuer: "{IDP}", identity: alice@acme.example}}, {{issuer: "{FORGE}", claims: {{actor: alice-gh}}}}]
  bob: [{{issuer: "{IDP}", identity: bob@acme.example}}]
roles:
  developer: [{{issuer: "{IDP}", claims: {{groups: developers}}}}]
  reviewer: [{{issuer: "{IDP}", claims: {{groups: {{glob: "review-*"}}}}}}]
  release-manager: [{{issuer: "{IDP}", claims: {{groups: managers, email_verified: "true"}}}}]
  admin: [{{issuer: "{IDP}", claims: {{identity: bob@acme.example}}}}]
signers:
  evals:
    root: sigstore
    issuer: {FORGE}
    workflow: {FORGE}/acme/evals/run.yml
    refs: [refs/heads/main]
publishers:
- {{agents: [acme/*], signers: [evals]}}
channels: [dev, staging, stable]
freezes:
- {{name: holidays, channels: [stable], start: "2026-12-24T00:00:00Z", end: "2027-01-02T00:00:00Z"}}
transitions:
- to: dev
  allow: [developer, release-manager]
- from: dev
  to: staging
  agents: [acme/risky]
  allow: [release-manager]
  require:
  - {{id: two-reviewers, approvals: {{count: 2, role: reviewer}}}}
- from: dev
  to: staging
  allow: [developer, release-manager]
  require:
  - {{id: bill, sbom: {{}}}}
- from: staging
  to: stable
  allow: [release-manager]
  require:
  - {{id: reviewed, approvals: {{count: 1, role: reviewer, maxAge: 72h}}}}
  - {{id: soaked, soak: {{min: 24h}}}}
  - {{id: evaluated, attestation: {{type: evaluation, signer: evals, maxAge: 7d}}}}
exceptions:
- requirement: soaked
  agents: [acme/old]
  channels: [stable]
  until: "2027-01-01T00:00:00Z"
  owner: bob
  reason: it is replaced by January
editors: {{allow: [admin], approvals: 0}}
overlayEditors:
  acme: {{allow: [release-manager]}}
"""

OVERLAY = """\
format: tidegate/policy-overlay/v1
namespace: acme
roles:
  auditor: [{issuer: "https://idp.example", claims: {groups: acme-audit}}]
freezes:
- {name: quarter-end, channels: [stable], start: "2026-12-28T00:00:00Z", end: "2027-01-05T00:00:00Z"}
transitions:
- from: staging
  to: stable
  require:
  - {id: audited, approvals: {count: 1, role: auditor}}
"""


def value_of(text: str) -> dict[str, Any]:
    """Give a document as something that a test can change."""
    value = parse_yaml(text.encode(), limit=1 << 20, name="policy.yaml").value
    assert isinstance(value, dict)
    return value


def loaded(policy: dict[str, Any] | str = POLICY, overlay: dict[str, Any] | str | None = None) -> LoadedPolicy:
    """Load a policy that is given as text or as a value."""
    base, over = (text if text is None or isinstance(text, str) else json.dumps(text) for text in (policy, overlay))
    assert base is not None
    return load_policy(base.encode(), None if over is None else over.encode())
