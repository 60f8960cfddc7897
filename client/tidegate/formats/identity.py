"""Who signed: what a Fulcio certificate says about its holder, or what an OIDC token would make Fulcio say.

Source: Fulcio, docs/oid-info.md. Extensions 1.1 to 1.6 are deprecated and hold raw text; those from 1.8 hold a DER
UTF8String and are the ones read here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from tidegate.errors import IdentityInvalid
from tidegate.formats.jcs import JsonObject

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, ExtensionType

ARC = "1.3.6.1.4.1.57264.1"
ISSUER_OID = f"{ARC}.8"
DEPRECATED_ISSUER_OID = f"{ARC}.1"
MAX_VALUE_CHARACTERS = 2048  # longer than any claim Fulcio writes; a URL of browsers' old limit
MAX_CERTIFICATE_BYTES = 16 << 10  # a GitHub leaf is below 2 KiB

GITHUB_SERVER = "https://github.com"
GITLAB_SERVER = "https://gitlab.com"

TokenKind = Literal["email", "github", "gitlab"]


class ClaimName(StrEnum):
    """A build claim of a certificate, by the name a charter uses for it."""

    BUILD_SIGNER_URI = "buildSignerURI"
    BUILD_SIGNER_DIGEST = "buildSignerDigest"
    RUNNER_ENVIRONMENT = "runnerEnvironment"
    SOURCE_REPOSITORY_URI = "sourceRepositoryURI"
    SOURCE_REPOSITORY_DIGEST = "sourceRepositoryDigest"
    SOURCE_REPOSITORY_REF = "sourceRepositoryRef"
    SOURCE_REPOSITORY_IDENTIFIER = "sourceRepositoryIdentifier"
    SOURCE_REPOSITORY_OWNER_URI = "sourceRepositoryOwnerURI"
    SOURCE_REPOSITORY_OWNER_IDENTIFIER = "sourceRepositoryOwnerIdentifier"
    BUILD_CONFIG_URI = "buildConfigURI"
    BUILD_CONFIG_DIGEST = "buildConfigDigest"
    BUILD_TRIGGER = "buildTrigger"
    RUN_INVOCATION_URI = "runInvocationURI"
    SOURCE_REPOSITORY_VISIBILITY = "sourceRepositoryVisibility"
    DEPLOYMENT_ENVIRONMENT = "deploymentEnvironment"

    @property
    def oid(self) -> str:
        """The dotted object identifier of the certificate extension."""
        return f"{ARC}.{_FIRST_CLAIM + tuple(ClaimName).index(self)}"


_FIRST_CLAIM = 9  # Build Signer URI; the members above follow Fulcio's numbering without a gap, 9 to 23
_WORKFLOW = re.compile(r"(.+?)@(?:refs/.+|[0-9a-f]{40}|[0-9a-f]{64})")  # the first `@refs/`: a ref may hold another
_CLAIMS_BY_OID = {name.oid: name for name in ClaimName}


@dataclass(frozen=True, slots=True)
class CertificateIdentity:
    """Issuer, the one subject alternative name (an e-mail address or a URI), and the build claims that are present.

    Made from a certificate it says nothing about trust: that is what the verifier is for.
    """

    issuer: str
    san: str
    claims: Mapping[ClaimName, str] = field(default_factory=dict)

    def claim(self, name: ClaimName) -> str | None:
        """Give one claim, or None when the certificate has none of that name."""
        return self.claims.get(name)

    @property
    def workflow(self) -> str:
        """The subject without its `@ref`, when it is a workflow; else the subject as it is."""
        return workflow_of(self.san) if ClaimName.BUILD_SIGNER_URI in self.claims else self.san

    def as_json(self) -> JsonObject:
        """Give issuer, identity and claims, in the words of a charter."""
        return {
            "issuer": self.issuer,
            "identity": self.san,
            "claims": {name.value: self.claims[name] for name in ClaimName if name in self.claims},
        }

    def __str__(self) -> str:
        return f"{self.san} (issuer {self.issuer})"


def workflow_of(uri: str) -> str:
    """Give a workflow's URI without its `@ref` or `@commit`; anything else as it is."""
    match = _WORKFLOW.fullmatch(uri)
    return match[1] if match else uri


def parse_certificate(der: bytes) -> CertificateIdentity:
    """Read the identity in a DER certificate. Nothing is verified. Raises IdentityInvalid.

    Refused: more than one subject alternative name or one that is neither e-mail nor URI, no issuer extension 1.8,
    a deprecated issuer extension that says something else, values that are not printable text.
    """
    from cryptography import x509

    if len(der) > MAX_CERTIFICATE_BYTES:
        raise IdentityInvalid("the certificate is too large", found=len(der), expected=f"≤ {MAX_CERTIFICATE_BYTES}")
    try:
        certificate = x509.load_der_x509_certificate(der)
        extensions = {extension.oid.dotted_string: extension.value for extension in certificate.extensions}
    except (ValueError, TypeError, x509.DuplicateExtension) as error:
        raise IdentityInvalid("that is not a certificate", found=type(error).__name__) from error
    if ISSUER_OID not in extensions:
        raise IdentityInvalid("the certificate names no OIDC issuer", expected=f"extension {ISSUER_OID}")
    issuer = _utf8(extensions[ISSUER_OID], ISSUER_OID)
    deprecated = extensions.get(DEPRECATED_ISSUER_OID)
    if deprecated is not None and _raw(deprecated, DEPRECATED_ISSUER_OID) != issuer.encode():
        raise IdentityInvalid("the certificate names two issuers", found=issuer, expected="1.1 and 1.8 to agree")
    claims = {name: _utf8(extensions[oid], oid) for oid, name in _CLAIMS_BY_OID.items() if oid in extensions}
    return CertificateIdentity(issuer, _san(certificate), claims)


def from_oidc_claims(
    kind: TokenKind, claims: Mapping[str, object], *, server_url: str | None = None
) -> CertificateIdentity:
    """Map a token's claims (already checked by the caller) to the identity Fulcio would put into a certificate.

    `kind`: which of Fulcio's issuer types the issuer is configured as. `server_url`: base of the forge's URLs, by
    default that of github.com or gitlab.com. Source: Fulcio, config/identity/config.yaml. Raises IdentityInvalid when
    a claim is missing.
    """
    text = _Claims(claims)
    if kind == "email":
        if claims.get("email_verified") is not True:
            raise IdentityInvalid("the token's e-mail address is not verified", expected="email_verified: true")
        return CertificateIdentity(text["iss"], text["email"])
    if kind == "github":
        return _from_github(text, (server_url or GITHUB_SERVER).rstrip("/"))
    return _from_gitlab(text, (server_url or GITLAB_SERVER).rstrip("/"))


class _Claims:
    def __init__(self, claims: Mapping[str, object]) -> None:
        self._claims = claims

    def __getitem__(self, name: str) -> str:
        value = self._claims.get(name)
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(text, str) or not text:
            raise IdentityInvalid("the token lacks a claim", found="nothing", expected=f"`{name}`")
        return _printable(text, name)

    def optional(self, name: str) -> str | None:
        return self[name] if self._claims.get(name) else None


def _from_github(text: _Claims, server: str) -> CertificateIdentity:
    repository = f"{server}/{text['repository']}"
    signer = f"{server}/{text['job_workflow_ref']}"
    claims = {
        ClaimName.BUILD_SIGNER_URI: signer,
        ClaimName.BUILD_SIGNER_DIGEST: text["job_workflow_sha"],
        ClaimName.RUNNER_ENVIRONMENT: text["runner_environment"],
        ClaimName.SOURCE_REPOSITORY_URI: repository,
        ClaimName.SOURCE_REPOSITORY_DIGEST: text["sha"],
        ClaimName.SOURCE_REPOSITORY_REF: text["ref"],
        ClaimName.SOURCE_REPOSITORY_IDENTIFIER: text["repository_id"],
        ClaimName.SOURCE_REPOSITORY_OWNER_URI: f"{server}/{text['repository_owner']}",
        ClaimName.SOURCE_REPOSITORY_OWNER_IDENTIFIER: text["repository_owner_id"],
        ClaimName.BUILD_CONFIG_URI: f"{server}/{text['workflow_ref']}",
        ClaimName.BUILD_CONFIG_DIGEST: text["workflow_sha"],
        ClaimName.BUILD_TRIGGER: text["event_name"],
        ClaimName.RUN_INVOCATION_URI: f"{repository}/actions/runs/{text['run_id']}/attempts/{text['run_attempt']}",
        ClaimName.SOURCE_REPOSITORY_VISIBILITY: text["repository_visibility"],
    }
    return CertificateIdentity(text["iss"], signer, _with_environment(claims, text))


def _from_gitlab(text: _Claims, server: str) -> CertificateIdentity:
    repository = f"{server}/{text['project_path']}"
    config = f"https://{text['ci_config_ref_uri']}"
    kind = "heads" if text["ref_type"] == "branch" else "tags"
    claims = {
        ClaimName.BUILD_SIGNER_URI: config,
        ClaimName.BUILD_SIGNER_DIGEST: text["ci_config_sha"],
        ClaimName.RUNNER_ENVIRONMENT: text["runner_environment"],
        ClaimName.SOURCE_REPOSITORY_URI: repository,
        ClaimName.SOURCE_REPOSITORY_DIGEST: text["sha"],
        ClaimName.SOURCE_REPOSITORY_REF: f"refs/{kind}/{text['ref']}",
        ClaimName.SOURCE_REPOSITORY_IDENTIFIER: text["project_id"],
        ClaimName.SOURCE_REPOSITORY_OWNER_URI: f"{server}/{text['namespace_path']}",
        ClaimName.SOURCE_REPOSITORY_OWNER_IDENTIFIER: text["namespace_id"],
        ClaimName.BUILD_CONFIG_URI: config,
        ClaimName.BUILD_CONFIG_DIGEST: text["ci_config_sha"],
        ClaimName.BUILD_TRIGGER: text["pipeline_source"],
        ClaimName.RUN_INVOCATION_URI: f"{repository}/-/jobs/{text['job_id']}",
        ClaimName.SOURCE_REPOSITORY_VISIBILITY: text["project_visibility"],
    }
    return CertificateIdentity(text["iss"], config, _with_environment(claims, text))


def _with_environment(claims: dict[ClaimName, str], text: _Claims) -> dict[ClaimName, str]:
    environment = text.optional("environment")
    return claims if environment is None else claims | {ClaimName.DEPLOYMENT_ENVIRONMENT: environment}


def _san(certificate: Certificate) -> str:
    from cryptography import x509

    try:
        names = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except (x509.ExtensionNotFound, ValueError) as error:
        raise IdentityInvalid("the certificate names nobody", expected="one subject alternative name") from error
    # a second name would let a holder be whichever of the two a rule asks for
    if len(names) != 1 or not isinstance(names[0], x509.RFC822Name | x509.UniformResourceIdentifier):
        raise IdentityInvalid(
            "the certificate must name exactly one e-mail address or URI", found=", ".join(map(str, names))[:400]
        )
    return _printable(names[0].value, "subjectAltName")


def _raw(extension: ExtensionType, oid: str) -> bytes:
    from cryptography import x509

    if not isinstance(extension, x509.UnrecognizedExtension):
        raise IdentityInvalid("a certificate extension is not opaque", found=oid)
    return extension.value


def _utf8(extension: ExtensionType, oid: str) -> str:
    from cryptography.hazmat import asn1

    try:
        text = asn1.decode_der(str, _raw(extension, oid))
    except ValueError as error:
        raise IdentityInvalid("a certificate extension is not a DER UTF8String", found=oid) from error
    return _printable(text, oid)


def _printable(text: str, where: str) -> str:
    if not text or len(text) > MAX_VALUE_CHARACTERS or not text.isprintable():
        raise IdentityInvalid("a claim is empty, too long or not printable", found=where)
    return text
