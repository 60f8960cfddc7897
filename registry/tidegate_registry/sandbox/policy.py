"""The policy that a new sandbox starts with: the four demo users in their roles, two gates before stable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate_registry.sandbox.jobs import SERVER_URL
from tidegate_registry.sandbox.users import DEMO_NAMESPACE, USERS

if TYPE_CHECKING:
    from tidegate_registry.services import Services

ROOT_NAME = "sandbox"
REASON = "what a new sandbox starts with"


def seed_policy(app: Services, text: bytes) -> None:
    """Put `text` in force, unless a policy is."""
    from tidegate_registry.audit.events import Actor
    from tidegate_registry.policies.install import install

    with app.db.read() as tx:
        if app.policies.current(tx).company is not None:
            return
    install(app, Actor("operator", "", "sandbox"), text, reason=REASON, file_name="policy.yaml")


def policy_file(issuer: str) -> str:
    """Give the policy; `issuer` is the sandbox's."""
    persons = "\n".join(_person(name, issuer) for name in USERS)
    return f"""\
# What a release needs to move on, and who may do what: the policy that this sandbox was given at its first start.
# The one in force is in the registry: `tidegate policy show`. To change it: `tidegate policy propose FILE --reason …`.
format: tidegate/policy/v1
description: A small team on one machine.
# one human with all their identities: whoever pushed a commit cannot approve what came of it
persons:
{persons}
roles:
  developer: [{{issuer: "{issuer}", claims: {{groups: developers}}}}]
  reviewer: [{{issuer: "{issuer}", claims: {{groups: reviewers}}}}]
  release-manager: [{{issuer: "{issuer}", claims: {{groups: release-managers}}}}]
  admin: [{{issuer: "{issuer}", claims: {{groups: admins}}}}]
  pipeline: [{{issuer: "{issuer}/ci", claims: {{sourceRepositoryOwnerURI: "{SERVER_URL}/{DEMO_NAMESPACE}"}}}}]
# whose evaluations count; the agent's charter must list them as well
signers:
  evals:
    root: {ROOT_NAME}
    issuer: {issuer}/ci
    workflow: {SERVER_URL}/{DEMO_NAMESPACE}/evals/.ci/workflows/eval.yml
    refs: [refs/heads/main]
channels: [dev, staging, stable]
transitions:
  # any release may enter dev; the charter asks for no approval there, so the release statement must list the channel
  - to: dev
    allow: [developer, release-manager, pipeline]
  - from: dev
    to: staging
    allow: [developer, release-manager, pipeline]
    require:
      - id: eval-passed
        attestation: {{type: evaluation, signer: evals, maxAge: 7d}}
        when: predicate.passRate >= 0.9 && predicate.cases >= 3
        message: The evaluation suite must pass at 90 % or more, on at least 3 cases.
      - id: bill-of-materials
        sbom: {{}}
        message: A release must say what it is made of.
      - id: reviewed
        approvals: {{count: 1, role: reviewer}}
        message: A reviewer who is not the author must have looked at it.
  - from: staging
    to: stable
    allow: [release-manager]
    require:
      - id: soaked
        soak: {{min: 1s}}
        message: It must have been in staging for a while.
      - id: reviewed
        approvals: {{count: 1, role: reviewer, maxAge: 72h}}
        message: A reviewer must agree that it goes to everybody.
      - id: no-regression
        attestation: {{type: evaluation, signer: evals}}
        baseline: current
        onMissingBaseline: pass
        when: predicate.passRate >= baseline.passRate - 0.02
        message: It must not be worse than what stable serves now.
breakGlass:
  allow: [release-manager]
  channels: [stable]
  expiresAfter: 4h
  review: {{within: 24h, allow: [reviewer, admin]}}
# a change of this policy needs two of them: one proposes, another one agrees
editors: {{allow: [admin, release-manager], approvals: 1}}
"""


def _person(name: str, issuer: str) -> str:
    user = USERS[name]
    return (
        f'  {name}: [{{issuer: "{issuer}", identity: {user.email}}}, '
        f'{{issuer: "{issuer}/ci", claims: {{actor: {name}}}}}]'
    )
