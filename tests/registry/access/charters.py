"""Charters and callers that the tests of this room share."""

from __future__ import annotations

from tests.registry.access.issuer import SHA
from tidegate.formats.charter import ApproverRule, Charter, CharterSet, SignerRule
from tidegate.formats.identity import CertificateIdentity, ClaimName
from tidegate_registry.access.principal import Grant, Principal, PrincipalKind

AGENT = "acme/support-agent"
GITHUB = "https://token.actions.githubusercontent.com"
LOGIN = "https://login.acme.example"
WORKFLOW = "https://github.com/acme/support-agent/.github/workflows/release.yml"


def grant(actions: str = "pull,push", name: str = AGENT, kind: str = "repository") -> Grant:
    return Grant(kind, name, frozenset(actions.split(",")))


EVERYTHING = (grant("pull,push,promote"),)


def pipeline(
    ref: str = "refs/tags/v1.0.0", *grants: Grant, workflow: str = WORKFLOW, issuer: str = GITHUB
) -> Principal:
    claims = {
        ClaimName.BUILD_SIGNER_URI: f"{workflow}@{ref}",
        ClaimName.SOURCE_REPOSITORY_REF: ref,
        ClaimName.SOURCE_REPOSITORY_DIGEST: SHA,
        ClaimName.SOURCE_REPOSITORY_IDENTIFIER: "101",
    }
    identity = CertificateIdentity(issuer, f"{workflow}@{ref}", claims)
    return Principal(
        PrincipalKind.CI,
        identity,
        "repo:acme/support-agent",
        {"actor": ("alice",)},
        grants or (grant("pull,push,promote"),),
    )


def person(name: str = "bob@acme.example", *grants: Grant, issuer: str = LOGIN) -> Principal:
    return Principal(
        PrincipalKind.HUMAN, CertificateIdentity(issuer, name), "u-2", {}, grants or (grant("pull,push,promote"),)
    )


def charter(agent: str = AGENT, *, attesters: bool = True) -> Charter:
    return Charter(
        agent=agent,
        publishers=(
            SignerRule(
                name="release",
                root="public",
                issuer=GITHUB,
                workflow=WORKFLOW,
                refs=("refs/tags/v*",),
                claims={ClaimName.SOURCE_REPOSITORY_IDENTIFIER: "101"},
            ),
        ),
        attesters=(
            SignerRule(name="reviewer", root="public", issuer=LOGIN, identity="bob@acme.example", types=("review",)),
        )
        if attesters
        else (),
        approvers=(ApproverRule(name="carol", root="public", issuer=LOGIN, identity="carol@acme.example"),),
        approvals={"stable": 1},
        break_glass=(ApproverRule(name="dana", root="public", issuer=LOGIN, identity="dana@acme.example"),),
    )


def charters(*agents: str) -> CharterSet:
    return CharterSet(charter(agent) for agent in agents or (AGENT,))
