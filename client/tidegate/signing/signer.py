"""Sign statements as one identity, and verify each bundle before anybody gets it.

The verifier is the one of registry and hosts. The library checks neither the log's proof nor the timestamp when it
signs (measured with sigstore-python 4.5), so a bundle that nobody will believe would be noticed too late.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tidegate.credentials.sources import Credentials, Held
from tidegate.credentials.token import SIGSTORE_AUDIENCE
from tidegate.errors import EvidenceRefused, SigningRefused, Unauthenticated
from tidegate.formats.bundle import SigstoreBundle
from tidegate.formats.charter import ApproverRule, Charter, IdentityRule, SignerRule
from tidegate.formats.identity import CertificateIdentity, parse_certificate
from tidegate.formats.predicates.types import APPROVER_TYPES, BREAK_GLASS_TYPES, RESERVED_TYPES
from tidegate.formats.statement import Statement, refuse_to_sign_pae
from tidegate.policy.evidence import VerifiedAttestation
from tidegate.signing.sigstore import Sigstore, explained
from tidegate.verify.attestation import verify_attestation
from tidegate.verify.trust import Trust

if TYPE_CHECKING:
    from sigstore.models import Bundle
    from sigstore.sign import Signer as Session

SELF = "self"


@dataclass(frozen=True, slots=True)
class Signed:
    """A bundle that was just made, and what verifying it has proven."""

    bundle: bytes
    attestation: VerifiedAttestation


class Signer:
    """Signs with one certificate as long as that lives. Stays in the thread that made it.

    `clock`: what signing times are compared with when a bundle is verified.
    """

    def __init__(self, sigstore: Sigstore, credentials: Credentials, *, clock: Callable[[], datetime]) -> None:
        self.sigstore = sigstore
        self._credentials, self._clock = credentials, clock
        self._session: Session | None = None

    def held(self) -> Held:
        """Give the identity token that the certificate authority will see. Raises Unauthenticated."""
        held = self._credentials.find(SIGSTORE_AUDIENCE)
        if held is None:
            raise Unauthenticated(
                "there is nobody to sign as: no CI identity, no login, no browser",
                code="signer-unknown",
                hint="run in CI with an id-token permission, pass --identity-token, or sign in on a terminal",
            )
        return held

    def expected_identity(self) -> CertificateIdentity | None:
        """Give who the certificate will name, as the token tells; None for kinds of tokens not known here."""
        return self.held().token.identity(self._credentials.server_url)

    def sign_statement(self, payload: bytes) -> Signed:
        """Sign an in-toto statement about a manifest of the agent that names its subject, and verify the bundle.

        The bundle must verify under the one root, name the identity of our token with every claim it told us, and
        hold exactly `payload`. Raises SigningRefused, StatementInvalid, Unauthenticated, Unreachable.
        """
        refuse_to_sign_pae(payload, "the statement")
        statement = Statement.parse(payload)
        raw = self._sign(payload).to_json().encode()
        return Signed(raw, self.verify_own(raw, statement))

    def verify_own(self, raw: bytes, statement: Statement) -> VerifiedAttestation:
        """Check that a bundle is `statement`, byte for byte, signed by us. Raises SigningRefused."""
        try:
            charter = self._charter_of_self(raw, statement)
            attestation = verify_attestation(
                raw,
                subject=statement.subject.digest,
                agent=charter.agent,
                charter=charter,
                # whether a sandbox is allowed was decided when the instance was loaded
                trust=Trust.from_parts([self.sigstore.root], [charter], allow_sandbox=True),
                now=self._clock(),
            )
        except EvidenceRefused as error:
            raise SigningRefused.because("what was signed does not verify, so it is not used", error.reasons) from error
        if attestation.statement.raw != statement.raw:
            raise SigningRefused("the bundle holds another statement than was to be signed", code="signed-other")
        return attestation

    def _charter_of_self(self, raw: bytes, statement: Statement) -> Charter:
        """Write the charter by which nobody but us, under this one root, may say this kind of thing."""
        from pydantic import ValidationError

        token, expected = self.held().token, self.expected_identity()
        if expected is None:
            expected = CertificateIdentity(token.issuer, parse_certificate(SigstoreBundle.parse(raw).certificate).san)
        try:
            me = IdentityRule(
                root=self.sigstore.root.name,
                issuer=expected.issuer,
                identity=expected.san,
                claims=dict(expected.claims),
            ).model_dump()
            kind = statement.predicate_type
            return Charter(
                agent=statement.subject.name or "",
                publishers=(SignerRule(name=SELF, types=() if kind in RESERVED_TYPES else (kind,), **me),),
                approvers=(ApproverRule(name=SELF, **me),) if kind in APPROVER_TYPES else (),
                break_glass=(ApproverRule(name=SELF, **me),) if kind in BREAK_GLASS_TYPES else (),
            )
        except ValidationError as error:
            raise SigningRefused(
                "no charter could name this signer, agent or root",
                found=f"{expected}; {error.errors(include_url=False)[0]['msg']}",
            ) from error

    def _sign(self, payload: bytes) -> Bundle:
        from sigstore._internal.fulcio import ExpiredCertificate
        from sigstore.dsse import Statement as Signable

        with explained():
            signable = Signable(payload)
            try:
                return self._open_session().sign_dsse(signable)
            except ExpiredCertificate:  # its ten minutes are over, and the next one is as good
                self._session = None
                return self._open_session().sign_dsse(signable)

    def _open_session(self) -> Session:
        from sigstore.oidc import IdentityToken
        from sigstore.sign import Signer as Session

        if self._session is None:
            token = IdentityToken(self.held().token.raw)
            self._session = Session(token, self.sigstore.signing_context(), cache=True)
        return self._session
