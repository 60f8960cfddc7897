"""Evidence: what is known of a manifest once its Sigstore bundles have been through the verifier.

Values only. `VerifiedAttestation` says what a signature proved, and only `tidegate.verify` makes one (and tests of
decisions, which need plain values); `RefusedEvidence` remembers what did not pass, so that refusals can say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tidegate.digest import Digest
from tidegate.errors import Reason
from tidegate.formats.charter import Role
from tidegate.formats.identity import CertificateIdentity
from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.release import ReleasePredicate
from tidegate.formats.predicates.types import short_name
from tidegate.formats.statement import Statement


@dataclass(frozen=True, slots=True)
class VerifiedAttestation:
    """One bundle that passed every step of docs/spec/verification.md, part A.

    `root`: name of the trusted root that vouches for the signer. `signers`: names of the charter's rules that match it
    for this predicate type, `role` the greatest role among them. `payload_digest`: sha256 of the signed statement, the
    key under which a statement counts once. `bundle_digest`: sha256 of the bundle's bytes, which others can vary.
    `signed_at`: the certificate's not-before, at most ten minutes before the signature. `log_index`: position in the
    tree that the verified inclusion proof is about. `steps`: the numbers of the steps that passed.
    """

    root: str
    identity: CertificateIdentity
    role: Role
    signers: tuple[str, ...]
    statement: Statement
    payload_digest: Digest
    bundle_digest: Digest
    signed_at: datetime
    log_index: int
    steps: tuple[str, ...] = ()

    @property
    def predicate_type(self) -> str:
        """What kind of statement it is, as a URI."""
        return self.statement.predicate_type

    @property
    def is_publisher(self) -> bool:
        """Whether a publisher of the charter signed it."""
        return self.role is Role.PUBLISHER

    @property
    def release(self) -> ReleasePredicate | None:
        """The release predicate, when it is one. The verifier has parsed it before, so this does not fail."""
        from tidegate.formats.mediatypes import PREDICATE_RELEASE

        return ReleasePredicate.parse(self.statement.predicate) if self.predicate_type == PREDICATE_RELEASE else None

    @property
    def order(self) -> tuple[datetime, int]:
        """What "the latest" means: verified signing time, then place in the log."""
        return self.signed_at, self.log_index

    def __str__(self) -> str:
        return f"{short_name(self.predicate_type)} by {', '.join(self.signers)}"

    def as_json(self) -> JsonObject:
        """Give what a person or program wants to know of it."""
        return {
            "predicateType": self.predicate_type,
            "role": self.role.value,
            "signers": list(self.signers),
            "root": self.root,
            **self.identity.as_json(),
            "signedAt": self.signed_at.isoformat(),
            "logIndex": self.log_index,
            "payloadDigest": str(self.payload_digest),
            "bundleDigest": str(self.bundle_digest),
            "steps": list(self.steps),
        }


@dataclass(frozen=True, slots=True)
class RefusedEvidence:
    """A bundle that is attached and does not count, and why. `claimed_type` is what its referrer says: unverified."""

    bundle_digest: Digest
    reasons: tuple[Reason, ...]
    claimed_type: str | None = None

    def __str__(self) -> str:
        first = self.reasons[0]
        kind = short_name(self.claimed_type) if self.claimed_type else "bundle"
        step = f" at {first.step}" if first.step else ""
        return f"{kind} {self.bundle_digest[:19]}… refused{step} ({first.code})"

    def as_json(self) -> JsonObject:
        """Give the reasons in the common shape."""
        reasons: list[JsonObject] = [dict(reason.as_json()) for reason in self.reasons]
        return {"bundleDigest": str(self.bundle_digest), "claimedType": self.claimed_type, "reasons": list(reasons)}
