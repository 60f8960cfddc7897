"""Is this a registry's own word that it decided for this manifest? Steps S1 to S11 of docs/spec/vsa.md.

What passes is the word of whoever holds the key, and no more: hosts, admission and promotion never ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from tidegate.digest import Digest
from tidegate.errors import BundleRefused, EvidenceRefused, NotFound, Reason
from tidegate.formats.jcs import JsonObject
from tidegate.formats.manifest import MAX_REFERRERS
from tidegate.formats.mediatypes import INTOTO_PAYLOAD, PREDICATE_VSA
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.vsa import PASSED, VsaPredicate, promoted_level, resource_uri
from tidegate.formats.statement import Statement, pre_authentication
from tidegate.formats.summary import SignedSummary
from tidegate.verify.referrer import BundleReferrer
from tidegate.verify.release import EvidenceSource, read_bundle
from tidegate.verify.steps import Step, bounded, run_steps
from tidegate.verify.vsakey import VsaKey

if TYPE_CHECKING:
    from collections.abc import Iterable

CLOCK_SLACK: Final = timedelta(minutes=5)  # that a registry's clock may be ahead of ours


@dataclass(frozen=True, slots=True)
class Wanted:
    """What must have been decided. `version`: None if only the digest was asked for. `levels`: all of them."""

    agent: str
    digest: Digest
    version: str | None = None
    levels: tuple[str, ...] = ()
    channel: str | None = None

    @property
    def all_levels(self) -> tuple[str, ...]:
        """The levels asked for, with that of the channel."""
        return self.levels if self.channel is None else (*self.levels, promoted_level(self.channel))


@dataclass(frozen=True, slots=True)
class VerifiedSummary:
    """A summary that passed every step. `key`: whose word it is. `bundle`: the sha256 of its bytes."""

    key: VsaKey
    predicate: VsaPredicate
    subject: Digest
    bundle: Digest

    def as_json(self) -> JsonObject:
        """Give who decided what, when, at which levels."""
        decision = self.predicate.decision
        return {
            "key": self.key.name,
            "verifier": self.predicate.verifier,
            "verifiedAt": moment_text(self.predicate.verified_at),
            "resource": self.predicate.resource_uri,
            "levels": list(self.predicate.levels),
            "policy": None if self.predicate.policy is None else str(self.predicate.policy),
            "decision": None if decision is None else decision.as_json(),
            "bundle": str(self.bundle),
        }


@dataclass
class _Attempt:
    """One summary on its way through the steps; what a step learns it leaves here."""

    raw: bytes
    wanted: Wanted
    keys: tuple[VsaKey, ...]
    now: datetime
    signed: SignedSummary | None = None
    signers: tuple[VsaKey, ...] = ()
    statement: Statement | None = None
    predicate: VsaPredicate | None = None


def find_summary(
    source: EvidenceSource, wanted: Wanted, *, keys: Iterable[VsaKey], now: datetime
) -> tuple[VerifiedSummary, ...]:
    """Give every summary attached to the manifest that passes all steps, the latest decision first; at least one.

    Raises BundleRefused: code "vsa-missing" when none is attached, else with a reason for each that does not pass.
    """
    kept = tuple(keys)
    found: list[VerifiedSummary] = []
    reasons: list[Reason] = []
    referrers = islice(source.referrers(wanted.digest), MAX_REFERRERS)
    for referrer in (each for each in map(BundleReferrer, referrers) if each.is_summary):
        try:
            raw = read_bundle(source, referrer, wanted.digest)
            found.append(verify_summary(raw, wanted, keys=kept, now=now))
        except (EvidenceRefused, NotFound) as error:
            reasons += error.reasons
    if found:
        return tuple(sorted(found, key=lambda each: each.predicate.verified_at, reverse=True))
    shown = f"{wanted.agent}@{wanted.digest}"
    if reasons:
        raise BundleRefused.because(f"no summary of a decision about {shown} counts", reasons)
    raise BundleRefused(
        f"no summary of a decision is attached to {shown}",
        code="vsa-missing",
        expected="a SLSA verification summary by a registry that the trust file names",
        hint="the registry attaches it a moment after its decision; ask the one that decided",
    )


def verify_summary(raw: bytes, wanted: Wanted, *, keys: Iterable[VsaKey], now: datetime) -> VerifiedSummary:
    """Verify one summary. Raises EvidenceRefused with the step."""
    attempt = _Attempt(raw, wanted, tuple(keys), now)
    run_steps(SUMMARY_STEPS, attempt)
    if not attempt.signers:  # no step leaves it so; a step that was taken out may
        raise EvidenceRefused("the summary is not signed by a key of the trust file", code="vsa-signature", step="S3")
    return VerifiedSummary(attempt.signers[0], _predicate(attempt), wanted.digest, Digest.of(raw))


def _step_s1_form(attempt: _Attempt) -> None:
    attempt.signed = SignedSummary.parse(attempt.raw)


def _step_s2_payload_type(attempt: _Attempt) -> None:
    found = _signed(attempt).payload_type
    if found != INTOTO_PAYLOAD:
        raise EvidenceRefused(
            "the envelope holds something else than a statement",
            code="vsa-payload-type",
            found=bounded(found),
            expected=INTOTO_PAYLOAD,
            step="S2",
        )


def _step_s3_signature(attempt: _Attempt) -> None:
    signed = _signed(attempt)
    message = pre_authentication(signed.payload_type, signed.payload)
    attempt.signers = tuple(key for key in attempt.keys if _verifies(key, message, signed.signature))
    if not attempt.signers:
        raise EvidenceRefused(
            "the summary is not signed by a key of the trust file",
            code="vsa-signature",
            found="no signature that verifies",
            expected=", ".join(f"{key.name} ({key.verifier})" for key in attempt.keys) or "a key under `vsa`",
            hint="add the registry's key to `vsa` in the trust file, as its operator publishes it",
            step="S3",
        )


def _step_s4_statement(attempt: _Attempt) -> None:
    attempt.statement = Statement.parse(_signed(attempt).payload)


def _step_s5_subject(attempt: _Attempt) -> None:
    found = _statement(attempt).subject.digest
    if found != attempt.wanted.digest:
        raise EvidenceRefused(
            "the summary is about another manifest",
            code="vsa-subject",
            found=found,
            expected=attempt.wanted.digest,
            step="S5",
        )


def _step_s6_predicate(attempt: _Attempt) -> None:
    statement = _statement(attempt)
    if statement.predicate_type != PREDICATE_VSA:
        raise EvidenceRefused(
            "the statement is no verification summary",
            code="vsa-predicate-type",
            found=bounded(statement.predicate_type),
            expected=PREDICATE_VSA,
            step="S6",
        )
    attempt.predicate = VsaPredicate.parse(statement.predicate)


def _step_s7_verifier(attempt: _Attempt) -> None:
    said = _predicate(attempt).verifier
    expected = ", ".join(sorted({key.verifier for key in attempt.signers}))
    attempt.signers = tuple(key for key in attempt.signers if key.verifier == said)
    if not attempt.signers:
        raise EvidenceRefused(
            "the key does not speak for that verifier",
            code="vsa-verifier",
            found=bounded(said),
            expected=expected,
            step="S7",
        )


def _step_s8_resource(attempt: _Attempt) -> None:
    predicate, wanted = _predicate(attempt), attempt.wanted
    expected = resource_uri(predicate.verifier, wanted.agent, wanted.digest)
    if predicate.resource_uri != expected:
        raise EvidenceRefused(
            "the summary is about something else in that registry",
            code="vsa-resource",
            found=bounded(predicate.resource_uri),
            expected=expected,
            step="S8",
        )
    decided = predicate.decision.version if predicate.decision is not None else None
    if wanted.version is not None and decided != wanted.version:
        raise EvidenceRefused(
            "the summary is about another version",
            code="vsa-version",
            found=decided or "no version",
            expected=wanted.version,
            hint="name the manifest by its digest to ask for no version",
            step="S8",
        )


def _step_s9_result(attempt: _Attempt) -> None:
    found = _predicate(attempt).result
    if found != PASSED:
        raise EvidenceRefused(
            "the decision was not a yes", code="vsa-result", found=bounded(found), expected=PASSED, step="S9"
        )


def _step_s10_time(attempt: _Attempt) -> None:
    at = _predicate(attempt).verified_at
    if at > attempt.now + CLOCK_SLACK:
        raise EvidenceRefused(
            "the decision lies in the future",
            code="vsa-time",
            found=moment_text(at),
            expected=f"at most {moment_text(attempt.now)}",
            step="S10",
        )
    attempt.signers = tuple(key for key in attempt.signers if key.counts_at(at))
    if not attempt.signers:
        raise EvidenceRefused(
            "the key does not count for decisions of that time",
            code="vsa-time",
            found=moment_text(at),
            expected="within notBefore and notAfter of the key",
            step="S10",
        )


def _step_s11_levels(attempt: _Attempt) -> None:
    levels = _predicate(attempt).levels
    lacking = [level for level in attempt.wanted.all_levels if level not in levels]
    if lacking:
        raise EvidenceRefused(
            "the decision was not about that",
            code="vsa-level",
            found=bounded(", ".join(levels)),
            expected=", ".join(lacking),
            step="S11",
        )


SUMMARY_STEPS: Sequence[Step[_Attempt]] = (
    Step("S1", "the summary is a bounded bundle of one signed envelope", _step_s1_form),
    Step("S2", "the envelope holds an in-toto statement", _step_s2_payload_type),
    Step("S3", "a key of the trust file signed it", _step_s3_signature),
    Step("S4", "it is a statement about exactly one thing", _step_s4_statement),
    Step("S5", "that thing is the manifest", _step_s5_subject),
    Step("S6", "it is a verification summary", _step_s6_predicate),
    Step("S7", "the key speaks for the verifier that it names", _step_s7_verifier),
    Step("S8", "it names this agent in that registry, and the version asked for", _step_s8_resource),
    Step("S9", "the decision was a yes", _step_s9_result),
    Step("S10", "it was made while the key counted", _step_s10_time),
    Step("S11", "it was about the levels and the channel asked for", _step_s11_levels),
)


def _verifies(key: VsaKey, message: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        if isinstance(key.public, EllipticCurvePublicKey):
            key.public.verify(signature, message, ECDSA(SHA256()))
        else:
            key.public.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _signed(attempt: _Attempt) -> SignedSummary:
    if attempt.signed is None:
        raise EvidenceRefused("there is no envelope", code="vsa-malformed", step="S1")
    return attempt.signed


def _statement(attempt: _Attempt) -> Statement:
    if attempt.statement is None:
        raise EvidenceRefused("there is no statement", code="vsa-malformed", step="S4")
    return attempt.statement


def _predicate(attempt: _Attempt) -> VsaPredicate:
    if attempt.predicate is None:
        raise EvidenceRefused("there is no summary", code="vsa-malformed", step="S6")
    return attempt.predicate
