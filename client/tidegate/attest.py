"""`tidegate sign` and `tidegate attest`: say something about a bundle that is already built, and attach it there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.bundle.layout import Layout
from tidegate.bundle.structure import check_structure
from tidegate.credentials.connect import address_for, open_registry
from tidegate.credentials.sources import Credentials
from tidegate.digest import Digest
from tidegate.errors import InvalidInput
from tidegate.evidence import Attached, LayoutShelf, RegistryShelf, Shelf, release_statement
from tidegate.formats.jcs import JsonObject, parse_object
from tidegate.formats.manifest import Manifest
from tidegate.formats.mediatypes import AGENT_BUNDLE, PREDICATE_SLSA_PROVENANCE
from tidegate.formats.predicates.types import predicate_type, short_name
from tidegate.formats.predicates.views import PARSERS
from tidegate.formats.reference import Reference
from tidegate.formats.statement import MAX_STATEMENT_BYTES, PAE_PREFIX, make_statement, refuse_to_sign_pae
from tidegate.policy.evidence import VerifiedAttestation
from tidegate.provenance import provenance_of
from tidegate.releases.locate import demand_version_or_digest, find_layout, parse_release
from tidegate.remote.source import RegistrySource

if TYPE_CHECKING:
    from tidegate.bundle.source import BundleSource
    from tidegate.formats.config import AgentConfig
    from tidegate.signing.signer import Signer


@dataclass(frozen=True, slots=True)
class Target:
    """A manifest to say something about: what it is called, where it is, and where evidence about it is kept."""

    manifest: Manifest
    name: str
    version: str | None
    config: AgentConfig | None
    shelf: Shelf
    where: str

    @property
    def reference(self) -> Reference:
        """The target, by its digest."""
        return Reference(self.name, version=self.version, digest=self.manifest.digest)


@dataclass(frozen=True, slots=True)
class Attestation:
    """Evidence that was made and attached. `referrer`: the manifest that attaches it."""

    target: Target
    referrer: Digest
    verified: VerifiedAttestation

    def as_json(self) -> JsonObject:
        """Give what `--json` writes. Source: docs/spec/command-line.md."""
        return {
            "type": short_name(self.verified.predicate_type),
            "predicateType": self.verified.predicate_type,
            "subject": str(self.target.reference),
            "where": self.target.where,
            "referrer": str(self.referrer),
            **self.verified.identity.as_json(),
        }


@contextmanager
def open_target(
    what: str,
    *,
    called: str | None = None,
    registry: str | None = None,
    plain_http: bool = False,
    credentials: Credentials | None = None,
) -> Iterator[Target]:
    """Open what a command's argument names: a layout, or a manifest in a registry by version or digest.

    `called`: agent and version of an artifact that does not say so itself, and a check for one that does.
    Raises SigningRefused for a file that begins like signed DSSE bytes, InvalidInput, NotFound, Unreachable.
    """
    wanted = parse_release(called) if called else None
    _refuse_pae_file(what)
    layout_path = find_layout(what)
    if layout_path is not None:
        layout = Layout.open(layout_path)
        manifest = layout.manifest(wanted.digest) if wanted and wanted.digest else layout.root()
        yield _target(layout, manifest, wanted, LayoutShelf(layout), str(layout_path))
        return
    reference = demand_version_or_digest(parse_release(what))
    address = address_for(reference, registry, plain_http=plain_http)
    with open_registry(address, credentials) as opened:
        source = RegistrySource(opened, reference.name, reference.digest)
        manifest = source.root(reference.version)
        expected = Reference(reference.name, version=reference.version or (wanted.version if wanted else None))
        yield _target(source, manifest, expected, RegistryShelf(opened, reference.name), address.host)


def sign_release(target: Target, signer: Signer, channels: tuple[str, ...] = ()) -> Attestation:
    """Sign that the target is a release: "this digest is this version of this agent". Raises SigningRefused."""
    if target.version is None:
        raise InvalidInput(
            "nothing says which version this is",
            code="version-unknown",
            hint="say it with --as NAMESPACE/AGENT:VERSION",
        )
    digest = target.manifest.digest
    return _attach(target, signer, release_statement(target.name, target.version, digest, target.config, channels))


def attest(target: Target, signer: Signer, kind: str, predicate: bytes | None) -> Attestation:
    """Sign a statement of type `kind` (a short name or a URI) with the JSON object `predicate`, and attach it.

    Without a predicate, provenance is written from the certificate of the CI job that runs this.
    Raises SigningRefused, StatementInvalid, JsonInvalid, InvalidInput; EvidenceRefused when the registry does.
    """
    uri = predicate_type(kind)
    content = _predicate(target, signer, uri, predicate)
    return _attach(target, signer, make_statement(target.name, target.manifest.digest, uri, content))


def _predicate(target: Target, signer: Signer, uri: str, raw: bytes | None) -> JsonObject:
    if raw is None:
        identity = signer.expected_identity()
        if uri != PREDICATE_SLSA_PROVENANCE or identity is None:
            raise InvalidInput(
                f"what does the {short_name(uri)} say?",
                code="predicate-missing",
                expected="--predicate FILE with a JSON object",
                hint="only provenance can be written by itself, in CI",
            )
        return provenance_of(identity, target.manifest, target.config)
    refuse_to_sign_pae(raw, "the predicate")
    content = parse_object(raw, limit=MAX_STATEMENT_BYTES, what="the predicate")
    if (parse := PARSERS.get(uri)) is not None:
        parse(content)  # what nobody will read is not signed
    return content


def _attach(target: Target, signer: Signer, payload: bytes) -> Attestation:
    signed = signer.sign_statement(payload)
    referrer = target.shelf.attach(Attached.parse(signed.bundle), target.manifest.descriptor)
    return Attestation(target, referrer, signed.attestation)


def _target(source: BundleSource, manifest: Manifest, wanted: Reference | None, shelf: Shelf, where: str) -> Target:
    if manifest.effective_artifact_type != AGENT_BUNDLE:
        if wanted is None:
            raise InvalidInput(
                "that artifact does not say which agent it is",
                code="agent-unknown",
                found=manifest.effective_artifact_type,
                hint="say it with --as NAMESPACE/AGENT:VERSION",
            )
        return Target(manifest, wanted.name, wanted.version, None, shelf, where)
    config = check_structure(manifest, source.open_blob)
    if wanted is not None and (wanted.name, wanted.version or config.version) != (config.name, config.version):
        raise InvalidInput(
            "the bundle is another agent or version",
            code="bundle-other",
            found=f"{config.name}:{config.version}",
            expected=wanted,
        )
    return Target(manifest, config.name, config.version, config, shelf, where)


def _refuse_pae_file(what: str) -> None:
    path = Path(what).expanduser()
    if path.is_file():
        with path.open("rb") as file:
            refuse_to_sign_pae(file.read(len(PAE_PREFIX)), what)
