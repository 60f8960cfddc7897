"""Part A of docs/spec/verification.md as a whole: a Sigstore bundle becomes evidence about one manifest of one agent.

Steps A1 to A13 are in `tidegate.verify.signature`; A14 to A19 read the statement, and only from the bytes that A12
verified. How the steps are run: `tidegate.verify.steps`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from tidegate.digest import Digest
from tidegate.errors import EvidenceRefused
from tidegate.formats.charter import Charter, Role, may_attest
from tidegate.formats.identity import CertificateIdentity, ClaimName
from tidegate.formats.mediatypes import PREDICATE_COSIGN_SIGN
from tidegate.formats.predicates.approval import ApprovalPredicate
from tidegate.formats.predicates.break_glass import BreakGlassPredicate
from tidegate.formats.predicates.provenance import Provenance
from tidegate.formats.predicates.release import ReleasePredicate
from tidegate.formats.predicates.review import ReviewPredicate
from tidegate.formats.predicates.shadow import ShadowPredicate
from tidegate.formats.predicates.types import short_name
from tidegate.formats.predicates.views import PARSERS
from tidegate.formats.reference import is_registry
from tidegate.formats.statement import Statement
from tidegate.policy.evidence import VerifiedAttestation
from tidegate.verify.signature import SIGNATURE_STEPS, SignedPayload, verify_signature
from tidegate.verify.steps import Step, bounded, run_steps
from tidegate.verify.trust import Trust

MAX_CLOCK_SKEW = timedelta(minutes=5)  # how far ahead of ours the certificate authority's clock may be


def verify_attestation(
    bundle: bytes,
    *,
    subject: Digest,
    agent: str,
    charter: Charter,
    trust: Trust,
    now: datetime,
    max_age: timedelta | None = None,
) -> VerifiedAttestation:
    """Verify a Sigstore bundle as evidence about the manifest `subject` of `agent`.

    `subject`: sha256 of the manifest's bytes, computed by the caller. `charter`: the one for `agent`; its rules name
    roots of `trust`. `now`: aware, UTC. `max_age`: how old the signature may be; None for any age.
    Raises EvidenceRefused with the step's number and code; nothing but a complete pass returns.
    """
    signed = verify_signature(bundle, charter=charter, trust=trust)
    attempt = StatementAttempt(signed, subject, agent, charter, now, max_age)
    run_steps(STATEMENT_STEPS, attempt)
    return attempt.result()


@dataclass
class StatementAttempt:
    """A signed payload on its way through the steps that read it."""

    signed: SignedPayload
    subject: Digest
    agent: str
    charter: Charter
    now: datetime
    max_age: timedelta | None = None

    @cached_property
    def statement(self) -> Statement:
        return Statement.parse(self.signed.payload)

    @property
    def identity(self) -> CertificateIdentity:
        return self.signed.identity

    @cached_property
    def signers(self) -> tuple[tuple[Role, str], ...]:
        """Those rules that allow the predicate type, publishers first."""
        kind = self.statement.predicate_type
        return tuple((role, rule.name) for role, rule in self.signed.rules if may_attest(role, rule, kind))

    def result(self) -> VerifiedAttestation:
        return VerifiedAttestation(
            root=self.signed.root,
            identity=self.identity,
            role=self.signers[0][0],
            signers=tuple(dict.fromkeys(name for _, name in self.signers)),
            statement=self.statement,
            payload_digest=Digest.of(self.signed.payload),
            bundle_digest=self.signed.bundle_digest,
            signed_at=self.signed.signed_at,
            log_index=self.signed.log_index,
            steps=tuple(STEP_TITLES),
        )


def _step_a14_statement(attempt: StatementAttempt) -> None:
    attempt.statement  # noqa: B018 - parsing is the check: JSON of one meaning, `_type`, exactly one subject


def _step_a15_subject_digest(attempt: StatementAttempt) -> None:
    if attempt.statement.subject.digest != attempt.subject:
        raise EvidenceRefused(
            "the statement is about another manifest",
            code="subject-mismatch",
            found=attempt.statement.subject.digest,
            expected=attempt.subject,
            step="A15",
        )


def _step_a16_subject_name(attempt: StatementAttempt) -> None:
    if not attempt.charter.covers(attempt.agent):
        raise EvidenceRefused(
            "the charter is another agent's",
            code="wrong-charter",
            found=attempt.charter.agent,
            expected=attempt.agent,
            step="A16",
        )
    name = attempt.statement.subject.name
    if name is None and attempt.statement.predicate_type == PREDICATE_COSIGN_SIGN:
        return  # cosign names no subject; agent and version are then bound by the config or a release statement (R4)
    host, _, agent = (name or "").partition("/")
    if name != attempt.agent and not (agent == attempt.agent and is_registry(host)):
        raise EvidenceRefused(
            "the statement is about another agent",
            code="subject-name",
            found=bounded(name) or "no name",
            expected=f"{attempt.agent} or <registry>/{attempt.agent}",
            step="A16",
        )


def _step_a17_predicate_type(attempt: StatementAttempt) -> None:
    if not attempt.signers:
        names = ", ".join(f"{role} {rule.name}" for role, rule in attempt.signed.rules)
        raise EvidenceRefused(
            "the signer may not attest this kind of thing",
            code="predicate-type-not-allowed",
            found=f"{short_name(attempt.statement.predicate_type)} by {names}",
            expected="a predicate type that the charter lists for the signer",
            hint="add the type to `types` of an attester in the charter",
            step="A17",
        )


def _step_a18_predicate(attempt: StatementAttempt) -> None:
    parse = PARSERS.get(attempt.statement.predicate_type)
    if parse is None:
        return  # of a kind whose content is not known; cosign's signature has none
    predicate = parse(attempt.statement.predicate)
    if isinstance(predicate, Provenance):
        compare_provenance(predicate, attempt.identity)
        return
    match predicate:
        case ReleasePredicate():
            code, message = "release-mismatch", "the release statement is about something else"
        case ApprovalPredicate():
            code, message = "approval-mismatch", "the approval is of something else"
        case BreakGlassPredicate():
            code, message = "break-glass-mismatch", "the break-glass statement is about something else"
        case ReviewPredicate():
            code, message = "review-mismatch", "the review is of something else"
        case ShadowPredicate():
            code, message = "shadow-mismatch", "the shadow comparison is of something else"
        case _:
            return  # it names no agent and no digest of its own
    pairs = (("agent", predicate.agent, attempt.agent), ("digest", predicate.digest, attempt.subject))
    _refuse_differences(code, message, pairs)


def _step_a19_age(attempt: StatementAttempt) -> None:
    signed_at, now = attempt.signed.signed_at, attempt.now
    if signed_at > now + MAX_CLOCK_SKEW:
        raise EvidenceRefused(
            "the signature is from the future",
            code="signed-in-the-future",
            found=signed_at.isoformat(),
            expected=f"at most {(now + MAX_CLOCK_SKEW).isoformat()}",
            hint="check this machine's clock",
            step="A19",
        )
    if attempt.max_age is not None and signed_at < now - attempt.max_age:
        raise EvidenceRefused(
            "the signature is too old",
            code="too-old",
            found=signed_at.isoformat(),
            expected=f"at least {(now - attempt.max_age).isoformat()}",
            hint="attest again",
            step="A19",
        )


STATEMENT_STEPS: tuple[Step[StatementAttempt], ...] = (
    Step("A14", "the signed bytes are an in-toto statement with one subject", _step_a14_statement),
    Step("A15", "the subject is this manifest", _step_a15_subject_digest),
    Step("A16", "the subject is named after this agent", _step_a16_subject_name),
    Step("A17", "the signer may attest this predicate type", _step_a17_predicate_type),
    Step("A18", "the predicate is of its form, and what it claims is what is known", _step_a18_predicate),
    Step("A19", "the signature is not from the future, nor too old", _step_a19_age),
)

STEP_TITLES = {step.number: step.title for step in SIGNATURE_STEPS} | {
    step.number: step.title for step in STATEMENT_STEPS
}


def compare_provenance(provenance: Provenance, identity: CertificateIdentity) -> None:
    """Compare what a predicate claims with what its certificate proves: step A18. Raises EvidenceRefused.

    The signer writes the predicate and the authority the certificate: only what both say is known.
    """
    pairs: list[tuple[str, str, str | None]] = [
        ("repository", provenance.repository, identity.claim(ClaimName.SOURCE_REPOSITORY_URI)),
        ("ref", provenance.ref, identity.claim(ClaimName.SOURCE_REPOSITORY_REF)),
        ("commit", provenance.commit, identity.claim(ClaimName.SOURCE_REPOSITORY_DIGEST)),
        ("builder", provenance.builder_id, identity.claim(ClaimName.BUILD_SIGNER_URI)),
    ]
    if provenance.invocation_id is not None:
        pairs.append(("invocation", provenance.invocation_id, identity.claim(ClaimName.RUN_INVOCATION_URI)))
    _refuse_differences("provenance-mismatch", "the provenance claims what its certificate does not say", pairs)


def _refuse_differences(code: str, message: str, pairs: Iterable[tuple[str, str, str | None]]) -> None:
    different = [(name, claimed, proven) for name, claimed, proven in pairs if claimed != proven]
    if different:
        raise EvidenceRefused(
            message,
            code=code,
            found=bounded("; ".join(f"{name} {claimed}" for name, claimed, _ in different)),
            expected=bounded("; ".join(f"{name} {proven or 'none'}" for name, _, proven in different)),
            step="A18",
        )
