"""Fetching a release from a source that cannot be trusted: complete and verified, or nothing at all."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import enumerate as enumerate_threads
from typing import BinaryIO, NamedTuple

import pytest

from tests import forge
from tests.workshop import RELEASE_JOB, WORKFLOW, provenance_of
from tidegate.bundle.build import build
from tidegate.bundle.layout import Layout
from tidegate.digest import Digest
from tidegate.errors import BundleRefused, LimitExceeded, NotFound, TidegateError
from tidegate.evidence import Attached, LayoutShelf, release_statement
from tidegate.formats.charter import Charter, SignerRule
from tidegate.formats.config import AgentConfig
from tidegate.formats.manifest import EMPTY_DESCRIPTOR, Manifest, evidence_manifest, image_manifest
from tidegate.formats.mediatypes import PREDICATE_SLSA_PROVENANCE
from tidegate.formats.reference import Reference
from tidegate.formats.statement import make_statement
from tidegate.releases import ahead, pull
from tidegate.releases.fetch import PARALLEL_DOWNLOADS
from tidegate.releases.pull import fetch_release
from tidegate.verify.release import VerifiedRelease
from tidegate.verify.trust import Root, Trust
from tidegate_registry.sandbox.serve import RunningSigstore

AGENT, VERSION = "acme/support-agent", "1.2.0"
WANTED = Reference(AGENT, version=VERSION)
EXAMPLE = Path(__file__).parents[2] / "examples" / "support-agent"


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def trust(sigstore: RunningSigstore) -> Trust:
    rule = SignerRule(
        name="release", root="main", issuer=f"{sigstore.url}/ci", workflow=WORKFLOW, refs=("refs/tags/v*",)
    )
    root = Root("main", json.dumps(sigstore.instance.trusted_root()).encode())
    return Trust.from_parts([root], [Charter(agent=AGENT, publishers=(rule,))], allow_sandbox=True)


@pytest.fixture(scope="module")
def origin(sigstore: RunningSigstore, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A released bundle with its evidence."""
    built = build(EXAMPLE, tmp_path_factory.mktemp("origin") / "layout")
    sign_all(sigstore, built.layout, built.manifest, built.config)
    return built.layout


def sign_all(sigstore: RunningSigstore, layout: Layout, manifest: Manifest, config: AgentConfig | None) -> None:
    for payload in (
        release_statement(AGENT, VERSION, manifest.digest, config),
        make_statement(AGENT, manifest.digest, PREDICATE_SLSA_PROVENANCE, provenance_of(RELEASE_JOB)),
    ):
        bundle = forge.dump(forge.sign_statement(sigstore.instance, RELEASE_JOB, payload))
        LayoutShelf(layout).attach(Attached.parse(bundle), manifest.descriptor)


class Source:
    """A registry that gives what a layout holds, except where a test says otherwise; notes what it is asked for."""

    def __init__(self, layout: Layout, blobs: Mapping[Digest, bytes] | None = None) -> None:
        self.layout, self.blobs = layout, dict(blobs or {})
        self.extra: list[Manifest] = []
        self.without_evidence = False
        self.asked: list[Digest] = []

    def root(self, version: str | None = None) -> Manifest:
        return self.layout.root(version)

    def manifest(self, digest: Digest) -> Manifest:
        return self.layout.manifest(digest)

    def open_blob(self, digest: Digest) -> BinaryIO:
        self.asked.append(digest)
        return io.BytesIO(self.blobs[digest]) if digest in self.blobs else self.layout.open_blob(digest)

    def referrers(self, subject: Digest) -> tuple[Manifest, ...]:
        return () if self.without_evidence else (*self.layout.referrers(subject), *self.extra)


def fetch(
    source: Source, dest: Path, trust: Trust, wanted: Reference = WANTED, *, opaque: bool = False
) -> VerifiedRelease:
    return fetch_release(source, wanted, dest, trust=trust, now=now(), opaque=opaque)


def layers(layout: Layout) -> set[Digest]:
    return {layer.digest for layer in layout.root().layers}


@contextmanager
def refused(folder: Path, kind: type[TidegateError], code: str) -> Iterator[None]:
    """Expect a refusal that leaves `folder` as it was."""
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(kind) as caught:
        yield
    assert code in {reason.code for reason in caught.value.reasons}
    assert sorted(path.name for path in folder.iterdir()) == before


def test_what_is_fetched_is_the_release_with_the_evidence_that_counts(
    origin: Layout, trust: Trust, tmp_path: Path
) -> None:
    source = Source(origin)
    noise = b'{"mediaType":"nothing"}'
    source.blobs[Digest.of(noise)] = noise
    source.extra = [evidence_manifest(noise, origin.root().descriptor, "https://example.org/noise")]
    release = fetch(source, tmp_path / "agent", trust)
    assert len(release.attestations) == 2
    kept = Layout.open(tmp_path / "agent" / "layout")
    assert kept.root(VERSION).raw == origin.root().raw
    assert len(kept.referrers(release.digest)) == 2
    assert not kept.has(Digest.of(noise))
    assert (tmp_path / "agent" / "bundle" / "main.py").read_bytes() == (EXAMPLE / "main.py").read_bytes()


def test_evidence_beyond_what_is_remembered_is_fetched_again_and_never_held(
    origin: Layout, trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attached = origin.referrers(origin.root().digest)
    bundles = {referrer.layers[0].digest for referrer in attached}
    for limit, times in ((pull.MAX_REMEMBERED_BYTES, 1), (0, 2)):
        monkeypatch.setattr(pull, "MAX_REMEMBERED_BYTES", limit)
        source = Source(origin)
        release = fetch(source, tmp_path / str(limit), trust)
        assert len(release.attestations) == len(bundles)
        assert {source.asked.count(bundle) for bundle in bundles} == {times}
        kept = Layout.open(tmp_path / str(limit) / "layout")
        assert len(kept.referrers(release.digest)) == len(bundles)


def test_without_evidence_no_layer_is_even_fetched(origin: Layout, trust: Trust, tmp_path: Path) -> None:
    source = Source(origin)
    source.without_evidence = True
    with refused(tmp_path, BundleRefused, "no-signature"):
        fetch(source, tmp_path / "agent", trust)
    assert not layers(origin) & set(source.asked)


def test_a_release_that_others_signed_may_begin_to_come_and_nothing_of_it_is_left(
    sigstore: RunningSigstore, origin: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = SignerRule(
        name="others", root="main", issuer=f"{sigstore.url}/ci", workflow=f"{WORKFLOW}l", refs=("refs/tags/v*",)
    )
    root = Root("main", json.dumps(sigstore.instance.trusted_root()).encode())
    others = Trust.from_parts([root], [Charter(agent=AGENT, publishers=(rule,))], allow_sandbox=True)
    monkeypatch.setattr(ahead, "AHEAD_BYTES", 1)
    source = Source(origin)
    with refused(tmp_path, BundleRefused, "no-signature"):
        fetch(source, tmp_path / "agent", others)
    assert len(layers(origin) & set(source.asked)) <= PARALLEL_DOWNLOADS
    assert not [thread.name for thread in enumerate_threads() if thread.name.startswith(("ahead", "pull"))]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (Reference(AGENT, digest=Digest.of(b"another")), "digest-mismatch"),
        (Reference("acme/other", version=VERSION), "no-charter"),
    ],
)
def test_another_release_than_asked_for_is_refused(
    origin: Layout, trust: Trust, tmp_path: Path, wanted: Reference, code: str
) -> None:
    source = Source(origin)
    with refused(tmp_path, BundleRefused, code):
        fetch(source, tmp_path / "agent", trust, wanted)
    assert not layers(origin) & set(source.asked)


def test_a_registry_that_names_another_release_by_that_version_is_refused(
    origin: Layout, trust: Trust, tmp_path: Path
) -> None:
    class Lying(Source):
        def root(self, version: str | None = None) -> Manifest:
            assert version == "1.3.0"
            return self.layout.root()

    with refused(tmp_path, BundleRefused, "version-mismatch"):
        fetch(Lying(origin), tmp_path / "agent", trust, Reference(AGENT, version="1.3.0"))


def test_each_tampered_layer_is_refused_and_nothing_is_left(origin: Layout, trust: Trust, tmp_path: Path) -> None:
    for layer in origin.root().layers:
        raw = bytearray(origin.read_blob(layer.digest, 1 << 20))
        raw[-1] ^= 1
        with refused(tmp_path, BundleRefused, "blob-digest"):
            fetch(Source(origin, {layer.digest: bytes(raw)}), tmp_path / "agent", trust)


def test_an_earlier_pull_saves_the_way_to_the_registry(origin: Layout, trust: Trust, tmp_path: Path) -> None:
    fetch(Source(origin), tmp_path / "agent", trust)
    again = Source(origin)
    fetch(again, tmp_path / "agent", trust)
    assert not layers(origin) & set(again.asked)


def test_a_damaged_earlier_pull_is_mended(origin: Layout, trust: Trust, tmp_path: Path) -> None:
    fetch(Source(origin), tmp_path / "agent", trust)
    damaged = origin.root().layers[0].digest
    (tmp_path / "agent" / "layout" / "blobs" / "sha256" / damaged.hex).write_bytes(b"damage")
    again = Source(origin)
    fetch(again, tmp_path / "agent", trust)
    assert damaged in again.asked
    kept = Layout.open(tmp_path / "agent" / "layout")
    assert kept.read_blob(damaged, 1 << 20) == origin.read_blob(damaged, 1 << 20)


def test_a_registry_that_lost_a_blob_is_told_as_such(origin: Layout, trust: Trust, tmp_path: Path) -> None:
    class Forgetful(Source):
        def open_blob(self, digest: Digest) -> BinaryIO:
            if digest == self.layout.root().layers[0].digest:
                raise NotFound("no such blob", code="blob-unknown", found=digest)
            return super().open_blob(digest)

    with refused(tmp_path, NotFound, "blob-unknown"):
        fetch(Forgetful(origin), tmp_path / "agent", trust)


def test_an_opaque_artifact_is_taken_only_when_asked_for_and_not_unpacked(
    sigstore: RunningSigstore, trust: Trust, tmp_path: Path
) -> None:
    layout = Layout.create(tmp_path / "opaque")
    layout.put(b"{}")
    manifest = image_manifest(artifact_type="application/x", config=EMPTY_DESCRIPTOR, layers=())
    layout.add_manifest(manifest, version=VERSION)
    sign_all(sigstore, layout, manifest, None)
    with refused(tmp_path, BundleRefused, "opaque-bundle"):
        fetch(Source(layout), tmp_path / "agent", trust)
    assert fetch(Source(layout), tmp_path / "agent", trust, opaque=True).config is None
    assert [entry.name for entry in (tmp_path / "agent").iterdir()] == ["layout"]


def test_a_full_disk_is_noticed_before_the_first_layer(
    origin: Layout, trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, 10))
    source = Source(origin)
    with refused(tmp_path, LimitExceeded, "disk-full"):
        fetch(source, tmp_path / "agent", trust)
    assert not layers(origin) & set(source.asked)
