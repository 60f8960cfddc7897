"""Sign what was examined, attach it to the release, and file it: the last steps of an approval, or of an emergency."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from tidegate.digest import Digest
from tidegate.errors import SigningRefused
from tidegate.evidence import Attached, RegistryShelf
from tidegate.formats.charter import ApproverRule, Charter, Role
from tidegate.formats.identity import CertificateIdentity
from tidegate.formats.predicates.approval import DEFAULT_APPROVAL_LIFE, ApprovalPredicate
from tidegate.formats.predicates.break_glass import BreakGlassPredicate
from tidegate.formats.predicates.review import Flips, ReviewPredicate, ReviewVerdict
from tidegate.formats.predicates.types import PREDICATE_APPROVAL, PREDICATE_BREAK_GLASS, PREDICATE_REVIEW
from tidegate.formats.statement import make_statement
from tidegate.promotion.requirements import REVIEW
from tidegate.verify.attestation import verify_attestation

if TYPE_CHECKING:
    from tidegate.formats.jcs import JsonObject
    from tidegate.promotion.examine import Examined, Workplace
    from tidegate.releases.verify import Verified
    from tidegate.remote.promotion_values import Promotion
    from tidegate.signing.signer import Signed

DEFAULT_GLASS_LIFE = timedelta(hours=1)  # an emergency is now; a policy may allow less


class StatementSigner(Protocol):
    """Who signs: `tidegate.signing.signer.Signer` does."""

    def expected_identity(self) -> CertificateIdentity | None:
        """Give who the certificate will name, None where that is not known before."""
        ...

    def sign_statement(self, payload: bytes) -> Signed:
        """Sign, and verify what was signed."""
        ...


@dataclass(frozen=True, slots=True)
class Filed:
    """A statement that was signed, attached and filed. `request`: how the request stands since."""

    referrer: Digest
    identity: CertificateIdentity
    request: Promotion


def approval_of(
    found: Examined, *, now: datetime, reason: str | None = None, life: timedelta = DEFAULT_APPROVAL_LIFE
) -> ApprovalPredicate:
    """Write the approval of what was examined."""
    request = found.request
    return ApprovalPredicate(
        agent=request.agent,
        version=request.version,
        digest=found.release.release.digest,
        channel=request.channel,
        sequence=request.sequence,
        action=request.action,
        rule=found.rule.digest,
        not_full_before=found.not_full_before,
        expires_at=now.replace(microsecond=0) + life,
        reason=reason,
        computed=found.computed,
    )


def break_glass_of(
    request: Promotion, digest: Digest, *, now: datetime, reason: str, life: timedelta = DEFAULT_GLASS_LIFE
) -> BreakGlassPredicate:
    """Write the statement that moves a channel past its policy. `digest`: as it was verified here."""
    return BreakGlassPredicate(
        agent=request.agent,
        version=request.version,
        digest=digest,
        channel=request.channel,
        sequence=request.sequence,
        action=request.action,
        reason=reason,
        expires_at=now.replace(microsecond=0) + life,
    )


def demand_named(charter: Charter, identity: CertificateIdentity | None, role: Role, channel: str) -> None:
    """Raise SigningRefused (code "not-in-charter") unless the charter lets `identity` say such a thing for `channel`.

    Asked before anything is signed, as what is signed is in a public log for ever. An identity that is not known
    before passes: what was signed is verified by the charter anyway.
    """
    rules = [
        rule for each, rule in charter.rules if each is role and isinstance(rule, ApproverRule) and rule.is_for(channel)
    ]
    if identity is None or any(rule.matches(identity) for rule in rules):
        return
    list_name = "approvers" if role is Role.APPROVER else "breakGlass"
    raise SigningRefused(
        f"the charter for {charter.agent} does not list you among `{list_name}` for {channel}",
        code="not-in-charter",
        found=f"{identity.san} (issuer {identity.issuer})",
        expected=", ".join(f"{rule.name} ({rule.subject})" for rule in rules) or "nobody is listed",
        hint="ask somebody whom the charter lists, or have the charter changed by those who own it",
    )


def file_approval(
    place: Workplace,
    found: Examined,
    signer: StatementSigner,
    *,
    reason: str | None = None,
    life: timedelta = DEFAULT_APPROVAL_LIFE,
) -> Filed:
    """Sign the approval of what was examined, attach it and file it.

    What was signed must count by the approver's own charter before anybody gets it. Raises SigningRefused,
    EvidenceRefused, and what the registry's refusal stands for.
    """
    demand_named(found.charter, signer.expected_identity(), Role.APPROVER, found.request.channel)
    predicate = approval_of(found, now=place.clock(), reason=reason, life=life).as_json()
    return _file(place, found.request, found.release, signer, (PREDICATE_APPROVAL, predicate))


def flips_of(found: Examined) -> tuple[Flips, ...]:
    """Say which cases flipped that the policy wants reviewed, one for each suite; found out here."""
    serving = found.serving
    wanted: dict[str, dict[str, None]] = {}
    for finding in found.findings:
        cases, suite = finding.measured.get("flipped"), finding.measured.get("suite")
        if finding.kind == REVIEW and isinstance(cases, list) and isinstance(suite, str):
            wanted.setdefault(suite, {}).update(dict.fromkeys(map(str, cases)))
    if serving is None:
        return ()
    return tuple(Flips(suite, serving.release.digest, tuple(cases)) for suite, cases in wanted.items())


def file_review(
    place: Workplace, found: Examined, signer: StatementSigner, flips: Flips, *, verdict: ReviewVerdict, reason: str
) -> Filed:
    """Sign a review of the cases that flipped, attach it and file it. Raises as `file_approval`."""
    demand_named(found.charter, signer.expected_identity(), Role.APPROVER, found.request.channel)
    request, digest = found.request, found.release.release.digest
    predicate = ReviewPredicate(request.agent, request.version, digest, verdict, reason, flips)
    return _file(place, request, found.release, signer, (PREDICATE_REVIEW, predicate.as_json()))


def file_break_glass(
    place: Workplace,
    request: Promotion,
    release: Verified,
    signer: StatementSigner,
    *,
    reason: str,
    life: timedelta = DEFAULT_GLASS_LIFE,
) -> Filed:
    """Sign that the channel moves past its policy, attach it and file it. `release`: verified here.

    Raises as `file_approval`.
    """
    charter = place.charter(request.agent)
    demand_named(charter, signer.expected_identity(), Role.BREAK_GLASS, request.channel)
    glass = break_glass_of(request, release.release.digest, now=place.clock(), reason=reason, life=life)
    return _file(place, request, release, signer, (PREDICATE_BREAK_GLASS, glass.as_json()))


def _file(
    place: Workplace, request: Promotion, release: Verified, signer: StatementSigner, said: tuple[str, JsonObject]
) -> Filed:
    manifest = release.release.manifest
    signed = signer.sign_statement(make_statement(request.agent, manifest.digest, *said))
    verified = verify_attestation(
        signed.bundle,
        subject=manifest.digest,
        agent=request.agent,
        charter=place.charter(request.agent),
        trust=place.trust,
        now=place.clock(),
    )
    shelf = RegistryShelf(place.registry, request.agent)
    referrer = shelf.attach(Attached.parse(signed.bundle), manifest.descriptor)
    return Filed(referrer, verified.identity, place.promotions.file(request, referrer))
