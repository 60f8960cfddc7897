"""`tidegate publish`: build, push, sign, attest and name a release."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.build import add_building, allowed_secrets, build_with_progress
from tidegate.cli.common import add_channel, add_json, add_plain_http, add_registry
from tidegate.cli.identity import add_signing, open_credentials, open_signer

if TYPE_CHECKING:
    from tidegate.cli.output import Output
    from tidegate.formats.jcs import JsonObject
    from tidegate.formats.reference import Reference
    from tidegate.publish import Release


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "publish",
        help="build, push, sign, attest and name a release",
        description="Publish an agent: build the bundle, send what the registry lacks, sign and attest it, and ask for "
        "the version. That last request decides; a refusal lists every unmet requirement. Doing it again is safe.",
        epilog="Exit codes: 0 released, 1 refused, 2 usage, 3 unreachable. Guide: docs/guides/publish-from-ci.md",
    )
    parser.add_argument(
        "what", metavar="DIR", nargs="?", default=".", help="an agent's folder, or a layout (default: this folder)"
    )
    parser.add_argument(
        "--as", dest="called", metavar="REF", help="[registry/]namespace/agent:version; names what does not name itself"
    )
    parser.add_argument("--layout", metavar="DIR", help="build here and keep the layout with its evidence")
    add_building(parser)
    add_channel(parser)
    parser.add_argument(
        "--provenance", metavar="FILE", help="a Sigstore bundle with provenance that CI made for this very digest"
    )
    parser.add_argument("--sbom", action="store_true", help="attest what the bundle is made of (see `tidegate sbom`)")
    parser.add_argument("--no-sign", action="store_true", help="attach only the evidence that is in the layout already")
    add_registry(parser)
    add_plain_http(parser)
    add_signing(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Publish and print the reference that can never mean anything else."""
    from tidegate.credentials.connect import address_for, open_registry
    from tidegate.errors import InvalidInput
    from tidegate.formats.reference import Reference
    from tidegate.publish import publish

    provenance = _read_provenance(args.provenance)
    called = Reference.parse(args.called) if args.called else None
    if args.no_sign and args.sbom:
        raise InvalidInput("an SBOM is signed, and with --no-sign nobody signs here", hint="leave out one of the two")
    if args.no_sign:
        signer, credentials = None, open_credentials(args, out)
    else:
        signer, credentials = open_signer(args, out)
    with _release(args, called, out) as release:
        sbom = _sbom(release) if args.sbom else None
        where = called or Reference(release.name)
        address = address_for(where, args.registry, plain_http=args.plain_http)
        with open_registry(address, credentials) as registry:
            published = publish(
                release,
                registry,
                signer,
                channels=tuple(args.channel),
                provenance=provenance,
                sbom=sbom,
                keep=bool(args.layout),
                progress=lambda total: out.progress(total, "Pushing", then="Storing"),
                tell=out.step,
            )
    if not published.new:
        out.step("Unchanged", "it was released before, with this very digest")
    if args.json:
        out.json(published.as_json())
    else:
        out.data(str(published.reference))
    return 0


@contextmanager
def _release(args: argparse.Namespace, called: Reference | None, out: Output) -> Iterator[Release]:
    """Give the bundle to publish: the one in a layout, or one built now from an agent's folder."""
    from tidegate.bundle.build import Overrides
    from tidegate.bundle.layout import Layout
    from tidegate.errors import InvalidInput
    from tidegate.publish import Release
    from tidegate.releases.locate import find_layout
    from tidegate.releases.verify import choose_in

    source = Path(args.what).expanduser()
    layout_path = None if (source / "agent.yaml").is_file() else find_layout(source)
    if layout_path is not None:
        if args.allow_secret:
            raise InvalidInput(
                "a bundle that is built says itself which files may hold secrets",
                code="already-built",
                found="--allow-secret",
                hint="give it to `tidegate build`",
            )
        layout = Layout.open(layout_path)
        yield Release.of(layout, choose_in(layout, called), called)
        return
    with tempfile.TemporaryDirectory(prefix="tidegate-") as temporary:
        target = Path(args.layout).expanduser() if args.layout else Path(temporary) / "layout"
        overrides = Overrides(allowed_secrets=allowed_secrets(args))
        built = build_with_progress(source, target, out, overrides=overrides, copy=args.copy)
        yield Release.of(built.layout, built.manifest, called)


def _sbom(release: Release) -> JsonObject:
    from tidegate.bundle.sbom.document import write_sbom
    from tidegate.cli.sbom import source_date
    from tidegate.releases.sides import side_of

    return write_sbom(side_of(release.layout, release.manifest), timestamp=source_date())


def _read_provenance(where: str | None) -> bytes | None:
    from tidegate.errors import InvalidInput
    from tidegate.formats.bundle import MAX_BUNDLE_BYTES

    if where is None:
        return None
    try:
        with Path(where).expanduser().open("rb") as file:
            return file.read(MAX_BUNDLE_BYTES + 1)
    except OSError as error:
        raise InvalidInput("the provenance cannot be read", found=f"{where}: {error.strerror}") from error
