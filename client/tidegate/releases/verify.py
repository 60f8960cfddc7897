"""`tidegate verify` and `tidegate.verify`: is this the release it is said to be, by this host's own trust file?"""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.bundle.layout import Layout
from tidegate.credentials.connect import address_for, open_registry
from tidegate.credentials.sources import Credentials
from tidegate.errors import BundleRefused, InvalidInput, ReferenceInvalid
from tidegate.formats.jcs import JsonObject
from tidegate.formats.manifest import Manifest
from tidegate.formats.mediatypes import AGENT_BUNDLE, ANNOTATION_TITLE
from tidegate.formats.reference import Reference, parse_agent_name
from tidegate.releases.locate import demand_version_or_digest, find_layout, parse_release
from tidegate.releases.offline import no_network
from tidegate.releases.place import BUNDLE, LAYOUT
from tidegate.remote.source import RegistrySource
from tidegate.verify.release import (
    LIST_STEPS,
    MANIFEST_STEPS,
    REFERRER_STEPS,
    VerifiedRelease,
    title_of,
    verify_release,
)
from tidegate.verify.trust import Trust, load_trust

if TYPE_CHECKING:
    from tidegate.bundle.source import BundleSource
    from tidegate.formats.config import AgentConfig


def utc_now() -> datetime:
    """Give the time, aware, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Verified:
    """A release that was verified. `where`: the registry's `host[:port]` or the layout's folder it was read from.

    `files`: how many unpacked files were compared with the signed list, None when there was no unpacked tree.
    """

    release: VerifiedRelease
    where: str
    files: int | None = None

    @property
    def reference(self) -> Reference:
        """The release, named so that it can never be another one."""
        return Reference(self.release.agent, version=self.release.version, digest=self.release.digest)

    @property
    def checked(self) -> tuple[tuple[str, str], ...]:
        """Number and title of every step that passed, in their order: manifest, bundle, evidence, release."""
        from tidegate.bundle.content import CONTENT_STEPS
        from tidegate.bundle.recheck import RECHECK_STEPS
        from tidegate.bundle.structure import OPENING_STEPS, STRUCTURE_STEPS

        fetched = (*MANIFEST_STEPS, *LIST_STEPS, *REFERRER_STEPS)
        found = [(step.number, step.title) for step in fetched]
        if self.release.config is not None:
            steps = (*OPENING_STEPS, *STRUCTURE_STEPS, *CONTENT_STEPS)
            found += sorted((step.number, step.title) for step in steps)
        if self.files is not None:
            found += [(step.number, step.title) for step in RECHECK_STEPS]
        return (*found, *((number, title_of(number)) for number in self.release.allowed.checked))

    def as_json(self) -> JsonObject:
        """Give what `--json` writes. Source: docs/spec/command-line.md."""
        result: JsonObject = {"reference": str(self.reference), "where": self.where, **self.release.as_json()}
        result["checked"] = [{"step": number, "title": title} for number, title in self.checked]
        if self.files is not None:
            result["files"] = self.files
        return result


def verify(
    what: str | Path,
    *,
    trust: Trust | Path | str,
    expected: str | None = None,
    registry: str | None = None,
    offline: bool = False,
    allow_sandbox: bool = False,
    plain_http: bool = False,
    credentials: Credentials | None = None,
    now: datetime | None = None,
) -> Verified:
    """Verify a release, in a registry or in a layout, against a trust file that the caller owns.

    `what`: a reference with version or digest, an OCI image layout, or a folder that `pull` wrote; then its unpacked
    files are compared with the signed list too. `expected`: for a layout, the reference it must be; else the agent it
    says it is (whose charter then decides). `registry`: for references that name none. `offline`: no socket is opened,
    so `what` must be on this machine. `now`: for tests.
    Raises BundleRefused with every reason; InvalidInput; NotFound; Unreachable. Nothing but success returns.
    """
    moment = now or utc_now()
    with no_network() if offline else nullcontext():
        believed = trust if isinstance(trust, Trust) else load_trust(Path(trust), allow_sandbox=allow_sandbox)
        layout = find_layout(what)
        if layout is not None:
            wanted = parse_release(expected) if expected else None
            return verify_layout(layout, wanted, trust=believed, now=moment)
        reference = demand_version_or_digest(parse_release(str(what)))
        if offline:
            raise refuse_offline(reference)
        reference = narrowed(reference, expected)
        address = address_for(reference, registry, plain_http=plain_http)
        with open_registry(address, credentials or Credentials(os.environ, clock=utc_now)) as opened:
            source = RegistrySource(opened, reference.name, reference.digest)
            manifest = source.root(reference.version)
            return Verified(check_release(source, manifest, reference, trust=believed, now=moment), address.host)


def refuse_offline(reference: Reference) -> InvalidInput:
    """Say that a reference needs a registry."""
    return InvalidInput(
        "offline, only what is on this machine can be verified",
        code="offline-reference",
        found=reference,
        expected="a layout or a folder that `tidegate pull` wrote",
        hint=f"fetch it while online: tidegate pull {reference} --to DIR",
    )


def verify_layout(path: Path, wanted: Reference | None, *, trust: Trust, now: datetime) -> Verified:
    """Verify the bundle in a layout; when `pull` wrote it, also the unpacked tree beside it. See `verify`."""
    layout = Layout.open(path)
    manifest = choose_in(layout, wanted)
    wanted = wanted or Reference(own_name(layout, manifest))
    release = check_release(layout, manifest, wanted, trust=trust, now=now)
    tree = path.parent / BUNDLE
    if path.name != LAYOUT or release.config is None or not tree.is_dir():
        return Verified(release, str(path))
    check_files(release.config, tree)
    return Verified(release, str(path.parent), files=len(release.config.files))


def check_release(
    source: BundleSource, manifest: Manifest, wanted: Reference, *, trust: Trust, now: datetime
) -> VerifiedRelease:
    """Verify that `manifest` is the release `wanted`, and read every byte of it. Raises BundleRefused."""
    release = verify_release(
        source,
        manifest,
        agent=wanted.name,
        version=wanted.version,
        digest=wanted.digest,
        trust=trust,
        now=now,
    )
    if release.config is not None:
        _read_weights(source, release.config)
    return release


def check_files(config: AgentConfig, folder: Path) -> None:
    """Compare an unpacked tree with the signed file list. Raises BundleRefused."""
    from tidegate.bundle.recheck import recheck_files

    recheck_files(config, folder)


def _read_weights(source: BundleSource, config: AgentConfig) -> None:
    """Read the layers that the check of a bundle leaves to whoever stores them: raw files, by their digest."""
    from tidegate.bundle.content import CONTENT_STEPS, LayerParts, files_by_layer

    files = files_by_layer(config)
    layers = [LayerParts(each, files, source.open_blob) for each in config.components if each.kind.packing == "raw"]
    reasons = [reason for layer in layers for step in CONTENT_STEPS for reason in step.reasons(layer)]
    if reasons:
        raise BundleRefused.because(f"{config.name}:{config.version} is refused", reasons)


def choose_in(layout: Layout, wanted: Reference | None) -> Manifest:
    """Give the bundle in a layout that may be `wanted`. Raises NotFound, InvalidInput (code "layout-ambiguous")."""
    if wanted is not None and wanted.digest is not None:
        return layout.manifest(wanted.digest)
    # a layout of one bundle is that bundle: whether it has the version that was asked for is for the checks to say
    return layout.root(wanted.version if wanted is not None and len(layout.by_version()) > 1 else None)


def own_name(layout: Layout, manifest: Manifest) -> str:
    """Give the agent that a bundle says it is: in its manifest, unverified; that its config says the same is step B6.

    Raises InvalidInput (code "agent-unknown"), BundleRefused.
    """
    from tidegate.bundle.structure import check_structure

    if manifest.effective_artifact_type != AGENT_BUNDLE:
        raise InvalidInput(
            "that artifact does not say which agent it is",
            code="agent-unknown",
            found=manifest.effective_artifact_type,
            hint="say what it must be with --as NAMESPACE/AGENT:VERSION",
        )
    try:
        return parse_agent_name(manifest.annotations.get(ANNOTATION_TITLE, ""))
    except ReferenceInvalid:
        return check_structure(manifest, layout.open_blob).name  # refuses it


def narrowed(reference: Reference, expected: str | None) -> Reference:
    """Add to `reference` what `expected` says more; what it says otherwise is refused."""
    if expected is None:
        return reference
    other = parse_release(expected)
    for part, one, two in (
        ("agent", reference.name, other.name),
        ("version", reference.version, other.version),
        ("digest", reference.digest, other.digest),
    ):
        if one is not None and two is not None and one != two:
            raise InvalidInput(f"the reference and --as name different {part}s", found=one, expected=two)
    return replace(reference, version=reference.version or other.version, digest=reference.digest or other.digest)
