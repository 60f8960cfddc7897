"""Part A of docs/spec/verification.md, steps A1 to A13: is this bundle signed by somebody the charter names?

Cheap checks come first and limits before parsing. Cryptography (chain, certificate transparency, log inclusion and
checkpoint, signed time, signature) is sigstore-python's; what it accepts and a gate must not is checked around it. All
imports of sigstore are inside functions: it takes half a second. How the steps are run: `tidegate.verify.steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING

from tidegate.digest import Digest
from tidegate.errors import EvidenceRefused
from tidegate.formats.bundle import MAX_BUNDLE_BYTES, SigstoreBundle
from tidegate.formats.charter import ApproverRule, Charter, IdentityRule, Role, SignerRule
from tidegate.formats.identity import CertificateIdentity, parse_certificate
from tidegate.formats.mediatypes import INTOTO_PAYLOAD, SIGSTORE_BUNDLE
from tidegate.verify.steps import Step, bounded, run_steps
from tidegate.verify.trust import Root, Trust

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from sigstore.models import Bundle
    from sigstore.verify import Verifier
    from sigstore.verify.policy import VerificationPolicy

    MatchedRules = tuple[tuple[Role, SignerRule | ApproverRule], ...]


@dataclass(frozen=True, slots=True)
class SignedPayload:
    """What steps A1 to A13 prove: `payload` was signed by `identity`, which `rules` of the charter name under `root`.

    `signed_at` is the certificate's not-before; `log_index` the position that the inclusion proof is about.
    """

    payload: bytes
    root: str
    identity: CertificateIdentity
    rules: MatchedRules
    signed_at: datetime
    log_index: int
    bundle_digest: Digest


def verify_signature(bundle: bytes, *, charter: Charter, trust: Trust) -> SignedPayload:
    """Run steps A1 to A13 on the bytes of a Sigstore bundle. Raises EvidenceRefused."""
    attempt = SignatureAttempt(bundle, charter, trust)
    run_steps(SIGNATURE_STEPS, attempt)
    return attempt.result()


@dataclass
class SignatureAttempt:
    """One bundle on its way through the steps: what was given, and what steps have established so far."""

    raw: bytes
    charter: Charter
    trust: Trust
    candidates: tuple[Root, ...] = ()
    verifiers: dict[str, Verifier] = field(default_factory=dict)
    verified_roots: tuple[str, ...] = ()
    verified_payload: bytes | None = None
    rules: MatchedRules = ()

    @cached_property
    def bundle(self) -> SigstoreBundle:
        return SigstoreBundle.parse(self.raw)

    @cached_property
    def sigstore_bundle(self) -> Bundle:
        from sigstore.models import Bundle

        return Bundle.from_json(self.bundle.one_meaning())

    @cached_property
    def identity(self) -> CertificateIdentity:
        return parse_certificate(self.bundle.certificate)

    @cached_property
    def certificate(self) -> Certificate:
        from cryptography.x509 import load_der_x509_certificate

        return load_der_x509_certificate(self.bundle.certificate)

    @property
    def signed_at(self) -> datetime:
        return self.certificate.not_valid_before_utc

    def result(self) -> SignedPayload:
        if self.verified_payload is None or not self.rules:
            raise EvidenceRefused("the evidence was not verified", code="verification-error")
        return SignedPayload(
            payload=self.verified_payload,
            root=self.rules[0][1].root,
            identity=self.identity,
            rules=self.rules,
            signed_at=self.signed_at,
            log_index=self.sigstore_bundle.log_entry._inner.inclusion_proof.log_index,  # noqa: SLF001 - no public name
            bundle_digest=self.bundle.digest,
        )


def _step_a1_size(attempt: SignatureAttempt) -> None:
    if len(attempt.raw) > MAX_BUNDLE_BYTES:
        raise EvidenceRefused(
            "the Sigstore bundle is too large",
            code="bundle-too-large",
            found=f"{len(attempt.raw)} bytes",
            expected=f"at most {MAX_BUNDLE_BYTES} bytes",
            step="A1",
        )


def _step_a2_json_of_one_meaning(attempt: SignatureAttempt) -> None:
    attempt.bundle  # noqa: B018 - parsing is the check


def _step_a3_media_type(attempt: SignatureAttempt) -> None:
    if attempt.bundle.media_type != SIGSTORE_BUNDLE:
        raise EvidenceRefused(
            "not a Sigstore bundle of version 0.3",
            code="bundle-media-type",
            found=bounded(attempt.bundle.media_type),
            expected=SIGSTORE_BUNDLE,
            hint="sign with a client of 2024 or later (cosign v3, sigstore 4, tidegate)",
            step="A3",
        )


def _step_a4_attestation_not_blob_signature(attempt: SignatureAttempt) -> None:
    if not attempt.bundle.is_attestation:
        raise EvidenceRefused(
            "the bundle is not an attestation",
            code="not-an-attestation",
            found="a message signature" if "messageSignature" in attempt.bundle.document else "no content",
            expected="a DSSE envelope",
            hint="a signature over a file says nothing of agent and version: use `tidegate sign` or `cosign sign`",
            step="A4",
        )


def _step_a5_closed_shape(attempt: SignatureAttempt) -> None:
    attempt.bundle.check_shape()


def _step_a6_one_signature(attempt: SignatureAttempt) -> None:
    if attempt.bundle.signature_count != 1:
        raise EvidenceRefused(
            "an envelope carries exactly one signature",
            code="signature-count",
            found=attempt.bundle.signature_count,
            expected=1,
            step="A6",
        )


def _step_a7_payload_type(attempt: SignatureAttempt) -> None:
    if attempt.bundle.payload_type != INTOTO_PAYLOAD:
        raise EvidenceRefused(
            "the envelope does not hold an in-toto statement",
            code="payload-type",
            found=bounded(attempt.bundle.payload_type),
            expected=INTOTO_PAYLOAD,
            step="A7",
        )


def _step_a8_strict_base64(attempt: SignatureAttempt) -> None:
    attempt.bundle.check_base64()


def _step_a9_certificate_names_one_identity(attempt: SignatureAttempt) -> None:
    attempt.identity  # noqa: B018 - parsing is the check


def _step_a10_roots_by_charter(attempt: SignatureAttempt) -> None:
    # Every root that a rule names is tried, each by itself. What the leaf says of its issuer selects nothing: it is not
    # verified yet, and when it lies, step A13 can then say under which root it was true.
    attempt.candidates = tuple(attempt.trust.root(name) for name in attempt.charter.roots)
    if not attempt.candidates:
        raise EvidenceRefused(
            "the charter names no trusted root", code="no-root", found=attempt.charter.agent, step="A10"
        )


def _step_a11_authorities_in_their_time(attempt: SignatureAttempt) -> None:
    for root in attempt.candidates:
        verifier = root.verifier_at(attempt.signed_at, attempt.certificate.not_valid_after_utc)
        if verifier is not None:
            attempt.verifiers[root.name] = verifier
    if not attempt.verifiers:
        raise EvidenceRefused(
            "no authority of the trusted root was valid when the certificate was issued",
            code="outside-validity",
            found=attempt.signed_at.isoformat(),
            expected=f"a time within validFor of {', '.join(root.name for root in attempt.candidates)}",
            hint="the trusted root file may be out of date",
            step="A11",
        )


def _step_a12_cryptography(attempt: SignatureAttempt) -> None:
    from sigstore.errors import CertValidationError, VerificationError
    from sigstore.models import InvalidBundle

    failures: dict[str, tuple[str, str | None]] = {}
    verified: list[str] = []
    for name, verifier in attempt.verifiers.items():
        try:
            payload_type, payload = verifier.verify_dsse(attempt.sigstore_bundle, _ThisCertificate(attempt.certificate))
        except CertValidationError as error:
            failures[name] = "certificate-untrusted", bounded(error)
        except (VerificationError, InvalidBundle) as error:
            failures[name] = "signature-invalid", bounded(error)
        else:
            if payload_type != INTOTO_PAYLOAD:
                raise EvidenceRefused("the verified payload has another type", code="payload-type", step="A12")
            verified.append(name)
            attempt.verified_payload = payload
    if not verified:
        code, _ = next(iter(failures.values()), ("signature-invalid", None))
        raise EvidenceRefused(
            "the signature does not verify under any root that the charter names",
            code=code,
            found=bounded("; ".join(f"under {name}: {why}" for name, (_, why) in failures.items())),
            expected=f"a signature that verifies under {' or '.join(attempt.charter.roots)}",
            hint="check that it was signed with the Sigstore instance that the charter names for this signer",
            step="A12",
        )
    attempt.verified_roots = tuple(verified)


def _step_a13_issuer_identity_and_claims(attempt: SignatureAttempt) -> None:
    for name in attempt.verified_roots:
        rules = attempt.charter.rules_for(name, attempt.identity)
        # a second reader of the same extensions: sigstore-python's, by OID, on the certificate that it verified
        for _, rule in rules:
            _policy(rule, attempt.identity).verify(attempt.certificate)
        if rules:
            attempt.rules = rules
            return
    under = ", ".join(attempt.verified_roots)
    raise EvidenceRefused(
        f"the signer is not in the charter for {attempt.charter.agent}",
        code="identity-not-in-charter",
        found=bounded(f"{attempt.identity} under {under}"),
        expected=_nearest(attempt.charter, attempt.identity, attempt.verified_roots),
        hint="sign with an identity of the charter, or have the charter's owner add this one",
        step="A13",
    )


SIGNATURE_STEPS: tuple[Step[SignatureAttempt], ...] = (
    Step("A1", "the bundle is of bounded size", _step_a1_size),
    Step("A2", "the bundle is JSON with one meaning", _step_a2_json_of_one_meaning),
    Step("A3", "the bundle is of version 0.3", _step_a3_media_type),
    Step("A4", "the bundle is an attestation, not a signature over a file", _step_a4_attestation_not_blob_signature),
    Step("A5", "the bundle has the known members and no others", _step_a5_closed_shape),
    Step("A6", "the envelope has one signature", _step_a6_one_signature),
    Step("A7", "the envelope holds an in-toto statement", _step_a7_payload_type),
    Step("A8", "all base64 is canonical", _step_a8_strict_base64),
    Step("A9", "the certificate names one identity and its issuer", _step_a9_certificate_names_one_identity),
    Step("A10", "the charter names the roots that may vouch for it", _step_a10_roots_by_charter),
    Step("A11", "authorities and logs were valid when it was issued", _step_a11_authorities_in_their_time),
    Step("A12", "chain, transparency, log, time and signature verify under one root", _step_a12_cryptography),
    Step("A13", "issuer, identity and claims are those of a charter rule", _step_a13_issuer_identity_and_claims),
)


class _ThisCertificate:
    """The policy for the library's own pass: what it verifies is the certificate whose identity step A13 judges."""

    def __init__(self, certificate: Certificate) -> None:
        self._certificate = certificate

    def verify(self, cert: Certificate) -> None:
        from sigstore.errors import VerificationError

        if cert != self._certificate:
            raise VerificationError("another certificate was verified than the one that was read")


@cache
def _policies_by_oid() -> Mapping[str, Callable[[str], VerificationPolicy]]:
    from sigstore.verify import policy

    return {
        each.oid.dotted_string: each
        for each in vars(policy).values()
        if isinstance(each, type) and issubclass(each, policy._SingleX509ExtPolicyV2) and hasattr(each, "oid")  # noqa: SLF001
    }


def _policy(rule: IdentityRule, identity: CertificateIdentity) -> VerificationPolicy:
    from sigstore.verify import policy

    by_oid = _policies_by_oid()
    children: list[VerificationPolicy] = [
        policy.Identity(identity=rule.identity if rule.identity is not None else identity.san),
        policy.OIDCIssuerV2(rule.issuer),
    ]
    children += [by_oid[name.oid](value) for name, value in rule.claims.items() if name.oid in by_oid]
    return policy.AllOf(children)


def _nearest(charter: Charter, identity: CertificateIdentity, roots: tuple[str, ...]) -> str | None:
    """Say what the rule that comes closest would want: the most useful thing to know when one is refused."""
    wanted = [
        (
            *([] if rule.root in roots else [f"root {', '.join(roots)} is not {rule.root}"]),
            *rule.differences(identity),
        )
        for _, rule in charter.rules
    ]
    closest = min(range(len(wanted)), key=lambda index: len(wanted[index]))
    rule = charter.rules[closest][1]
    return bounded(f"rule `{rule.name}`, but {'; '.join(wanted[closest])}")
