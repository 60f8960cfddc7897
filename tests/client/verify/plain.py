"""Plain values that decisions are tested with: verified attestations without signatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tidegate.digest import Digest
from tidegate.errors import Reason
from tidegate.formats.charter import Charter, Role, SignerRule
from tidegate.formats.identity import CertificateIdentity, ClaimName
from tidegate.formats.jcs import JsonObject
from tidegate.formats.mediatypes import PREDICATE_COSIGN_SIGN, PREDICATE_RELEASE, PREDICATE_SLSA_PROVENANCE
from tidegate.formats.predicates.release import ReleasePredicate
from tidegate.formats.statement import Statement, make_statement
from tidegate.policy.evidence import RefusedEvidence, VerifiedAttestation

AGENT, VERSION = "acme/agent", "1.2.0"
DIGEST, BEHAVIOUR = Digest.of(b"manifest"), Digest.of(b"behaviour")
ISSUER = "https://issuer.example"
REPOSITORY = "https://git.example/acme/agent"
WORKFLOW = f"{REPOSITORY}/.ci/release.yml"
BUILDER = "https://git.example/acme/builder/.ci/agent.yml"
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass(frozen=True)
class PlainPin:
    id: str = "model-2026-01-01"
    floats: bool = False


@dataclass(frozen=True)
class PlainConfig:
    name: str = AGENT
    version: str = VERSION
    behaviour: Digest = BEHAVIOUR
    models: Sequence[PlainPin] = field(default_factory=lambda: (PlainPin(),))


def charter(**changes: object) -> Charter:
    members: dict[str, object] = {
        "agent": AGENT,
        "publishers": [
            {"name": "release", "root": "main", "issuer": ISSUER, "workflow": WORKFLOW, "refs": ["refs/tags/v*"]}
        ],
        "protectedRefs": ["refs/tags/v*", "refs/heads/main"],
        "builders": {f"{WORKFLOW}@refs/tags/v*": 2, f"{BUILDER}@refs/tags/v*": 3},
    }
    return Charter.model_validate(members | changes)


def rule(workflow: str = WORKFLOW, root: str = "main", issuer: str = ISSUER) -> SignerRule:
    return SignerRule(name="other", root=root, issuer=issuer, workflow=workflow, refs=("refs/tags/v*",))


def identity(
    ref: str = "refs/tags/v1.2.0", *, runner: str = "github-hosted", workflow: str = WORKFLOW
) -> CertificateIdentity:
    claims = {
        ClaimName.SOURCE_REPOSITORY_URI: REPOSITORY,
        ClaimName.SOURCE_REPOSITORY_REF: ref,
        ClaimName.SOURCE_REPOSITORY_DIGEST: "5a" * 20,
        ClaimName.BUILD_SIGNER_URI: f"{workflow}@{ref}",
        ClaimName.RUNNER_ENVIRONMENT: runner,
    }
    return CertificateIdentity(ISSUER, f"{workflow}@{ref}", claims)


def attestation(
    predicate_type: str,
    predicate: JsonObject,
    *,
    who: CertificateIdentity | None = None,
    role: Role = Role.PUBLISHER,
    digest: Digest = DIGEST,
    minutes_ago: int = 5,
) -> VerifiedAttestation:
    payload = make_statement(AGENT, digest, predicate_type, predicate)
    return VerifiedAttestation(
        root="main",
        identity=who or identity(),
        role=role,
        signers=("release",),
        statement=Statement.parse(payload),
        payload_digest=Digest.of(payload),
        bundle_digest=Digest.of(b"bundle" + payload),
        signed_at=NOW - timedelta(minutes=minutes_ago),
        log_index=minutes_ago,
        steps=("A1", "A2"),
    )


def release(version: str = VERSION, role: Role = Role.PUBLISHER, **changes: object) -> VerifiedAttestation:
    fields = {"agent": AGENT, "version": version, "digest": DIGEST} | changes
    predicate = ReleasePredicate(**fields)  # type: ignore[arg-type]
    return attestation(PREDICATE_RELEASE, predicate.as_json(), role=role)


def cosign(role: Role = Role.PUBLISHER) -> VerifiedAttestation:
    return attestation(PREDICATE_COSIGN_SIGN, {}, role=role)


def provenance(
    who: CertificateIdentity | None = None, role: Role = Role.PUBLISHER, minutes_ago: int = 5
) -> VerifiedAttestation:
    return attestation(PREDICATE_SLSA_PROVENANCE, {}, who=who, role=role, minutes_ago=minutes_ago)


def refused(code: str = "identity-not-in-charter", step: str = "A13") -> RefusedEvidence:
    reason = Reason(code, "the signer is not in the charter", "mallory", "release", "sign again", step)
    return RefusedEvidence(Digest.of(b"refused"), (reason,), PREDICATE_SLSA_PROVENANCE)
