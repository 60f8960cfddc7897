#!/usr/bin/env python3
"""Push, sign and attest versions of an agent without naming them: bench_prepare.py AGENT COUNT OUT.json [CHANNEL …]."""

from __future__ import annotations

import base64
import json
import os
import sys
import tempfile
from pathlib import Path

from tidegate.bundle.build import build
from tidegate.credentials.connect import open_registry
from tidegate.credentials.sources import Credentials
from tidegate.evidence import Attached, RegistryShelf, release_statement
from tidegate.formats.mediatypes import PREDICATE_SLSA_PROVENANCE
from tidegate.formats.statement import make_statement
from tidegate.provenance import provenance_of
from tidegate.releases.verify import utc_now
from tidegate.remote.address import RegistryAddress
from tidegate.signing.signer import Signer
from tidegate.signing.sigstore import load_sigstore


def main(agent: str, count: int, out: Path, channels: list[str]) -> None:
    """Write a JSON list of [version, base64 of the manifest] to `out`; the release statements list `channels`."""
    credentials = Credentials(os.environ, clock=utc_now)
    sigstore = load_sigstore(Path(os.environ["TIDEGATE_SIGSTORE"]), allow_sandbox=True)
    signer = Signer(sigstore, credentials, clock=utc_now)
    identity = signer.expected_identity()
    if identity is None:
        raise SystemExit("only a CI job prepares releases")
    prepared = []
    with (
        open_registry(RegistryAddress.parse(os.environ["TIDEGATE_REGISTRY"]), credentials) as registry,
        tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder,
    ):
        shelf, source = RegistryShelf(registry, agent), Path(folder) / "source"
        source.mkdir()
        for number in range(1, count + 1):
            version = f"1.0.{number}"
            (source / "main.py").write_text(f"print({number})\n")
            (source / "agent.yaml").write_text(
                f"name: {agent}\nversion: {version}\ndescription: One of many.\nentrypoint: [python3, main.py]\n"
                "runtime: vendored\n"
            )
            built = build(source, Path(folder) / version)
            manifest = built.manifest
            registry.push_blobs(agent, manifest.blobs, built.layout.open_blob)
            registry.push_manifest(agent, manifest)
            provenance = provenance_of(identity, manifest, built.config)
            for payload in (
                release_statement(agent, version, manifest.digest, built.config, channels),
                make_statement(agent, manifest.digest, PREDICATE_SLSA_PROVENANCE, provenance),
            ):
                shelf.attach(Attached.parse(signer.sign_statement(payload).bundle), manifest.descriptor)
            prepared.append((version, base64.b64encode(manifest.raw).decode()))
    out.write_text(json.dumps(prepared))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
