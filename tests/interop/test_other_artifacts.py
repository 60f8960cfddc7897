"""What other tools make, as opaque bundles: published under a version, proven, verified, and pulled as they are.

docs/guides/other-artifacts.md shows these commands.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.e2e.conftest import Shell
from tests.interop.conftest import OPAQUE, Job
from tidegate.bundle.layout import Layout
from tidegate.formats.jcs import JsonObject, canonical_bytes
from tidegate.formats.manifest import Descriptor, Manifest
from tidegate.formats.mediatypes import OCI_EMPTY, OCI_MANIFEST

AGENT_YAML = b"agents:\n  root:\n    model: openai/gpt-5-mini-2025-08-07\n    instruction: Answer questions.\n"
SKILL = b"---\nname: refunds\ndescription: Proposes a refund to a person\n---\n# Refunds\n"
WEIGHTS = b"GGUF\x03\x00\x00\x00" + bytes(4096)
PATH = "org.cncf.model.filepath"

Blob = tuple[str, bytes, Mapping[str, str]]


def tar_of(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def put(layout: Layout, blob: Blob) -> JsonObject:
    media_type, content, annotations = blob
    return Descriptor(media_type, layout.put(content), len(content), annotations=annotations).as_json()


def manifest_of(layout: Layout, config: Blob, layers: Sequence[Blob], **members: str) -> Manifest:
    document: JsonObject = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, **members}
    document["config"] = put(layout, config)
    document["layers"] = [put(layout, layer) for layer in layers]
    return Manifest.parse(canonical_bytes(document))


def docker_agent(layout: Layout) -> Manifest:
    config: Blob = ("application/vnd.docker.agent.config.v1+json", b"{}", {})
    return manifest_of(layout, config, [("application/yaml", AGENT_YAML, {"org.opencontainers.image.title": "a.yaml"})])


def model_pack(layout: Layout) -> Manifest:
    kind = "application/vnd.cncf.model"
    described = {
        "descriptor": {"name": "tiny", "version": "6.1.0", "family": "tiny"},
        "config": {"format": "gguf", "paramSize": "1k", "precision": "f16"},
        "modelfs": {"type": "layers", "diffIds": [f"sha256:{hashlib.sha256(WEIGHTS).hexdigest()}"]},
    }
    config: Blob = (f"{kind}.config.v1+json", canonical_bytes(described), {})
    weights: Blob = (f"{kind}.weight.v1.raw", WEIGHTS, {PATH: "tiny.gguf"})
    card: Blob = (f"{kind}.doc.v1.raw", b"# tiny\n", {PATH: "README.md"})
    return manifest_of(layout, config, [weights, card], artifactType=f"{kind}.manifest.v1+json")


def plain_image(layout: Layout) -> Manifest:
    layer = tar_of("app/run", b"#!/bin/sh\necho hello\n")
    described: JsonObject = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/app/run"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    kind = "application/vnd.oci.image"
    packed: Blob = (f"{kind}.layer.v1.tar+gzip", gzip.compress(layer, mtime=0), {})
    return manifest_of(layout, (f"{kind}.config.v1+json", canonical_bytes(described), {}), [packed])


def skills_folder(layout: Layout) -> Manifest:
    packed: Blob = ("application/vnd.oci.image.layer.v1.tar", tar_of("refunds/SKILL.md", SKILL), {})
    return manifest_of(layout, (OCI_EMPTY, b"{}", {}), [packed], artifactType="application/vnd.acme.skills.v1")


@pytest.mark.parametrize(
    ("make", "version"),
    [(docker_agent, "6.0.0"), (model_pack, "6.1.0"), (plain_image, "6.2.0"), (skills_folder, "6.3.0")],
)
def test_it_is_published_proven_verified_and_pulled_as_it_is(
    in_ci: Callable[[str], Job], reader: Shell, tmp_path: Path, make: Callable[[Layout], Manifest], version: str
) -> None:
    job = in_ci(version)
    layout = Layout.create(job.home / "layout")
    manifest = make(layout)
    layout.add_manifest(manifest, version=None)
    wanted = f"{OPAQUE}:{version}"

    published = job.shell.tidegate("publish", layout.path, "--as", wanted).succeeded()
    assert published.out.strip() == f"{job.registry}/{wanted}@{manifest.digest}"
    reader.tidegate("pull", wanted, "--opaque", "--to", tmp_path / "pulled").succeeded()
    pulled = Layout.open(tmp_path / "pulled" / "layout")
    assert pulled.manifest(manifest.digest).raw == manifest.raw
    assert all(pulled.has(each.digest) for each in manifest.layers)
    verified = reader.tidegate("verify", tmp_path / "pulled", "--offline", "--as", wanted).succeeded()
    assert verified.out == f"{wanted}@{manifest.digest}\n"
    assert f"release.yml@refs/tags/v{version}" in verified.err
