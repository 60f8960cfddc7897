"""The order of publishing: blobs, manifest, evidence, name; what is signed is in the registry already."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import httpx2
import pytest

from tests.client.remote.fake_registry import FakeRegistry, oci_error
from tests.workshop import RELEASE_JOB, VERSION
from tidegate.bundle.build import build
from tidegate.credentials.sources import Credentials
from tidegate.credentials.store import LoginStore
from tidegate.errors import LimitExceeded, TidegateError, TrustFileInvalid
from tidegate.publish import Release, publish
from tidegate.signing.signer import Signer
from tidegate.signing.sigstore import Sigstore, load_sigstore
from tidegate_registry.sandbox.jobs import SERVER_URL
from tidegate_registry.sandbox.serve import RunningSigstore

EXAMPLE = Path(__file__).parents[2] / "examples" / "support-agent"
LogSize = Callable[[], int]


@pytest.fixture
def release(tmp_path: Path) -> Release:
    built = build(EXAMPLE, tmp_path / "layout")
    return Release.of(built.layout, built.manifest)


@pytest.fixture
def log_size(sigstore: RunningSigstore) -> LogSize:
    return lambda: sigstore.instance.rekor.size


@pytest.fixture
def instance(sigstore: RunningSigstore, tmp_path: Path) -> Sigstore:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(sigstore.instance.client_trust_config()))
    return load_sigstore(path, allow_sandbox=True)


def signer_of(sigstore: RunningSigstore, instance: Sigstore, home: Path) -> Signer:
    credentials = Credentials(
        {"GITHUB_SERVER_URL": SERVER_URL},
        clock=lambda: datetime.now(UTC),
        store=LoginStore(home),
        signing_token=sigstore.instance.mint_token(RELEASE_JOB),
    )
    return Signer(instance, credentials, clock=lambda: datetime.now(UTC))


def test_nothing_is_signed_before_blobs_and_manifest_have_arrived(
    sigstore: RunningSigstore, instance: Sigstore, log_size: LogSize, release: Release, tmp_path: Path
) -> None:
    fake, before = FakeRegistry(), log_size()
    seen: list[tuple[str, int]] = []
    fake.before.append(lambda request: seen.append((request.url.path.rpartition("/")[2], log_size() - before)))
    published = publish(release, fake.registry(), signer_of(sigstore, instance, tmp_path))
    assert len(published.evidence) == 2
    arrived = next(number for number, (last, _) in enumerate(seen) if last == release.manifest.digest)
    assert {signed for _, signed in seen[: arrived + 1]} == {0}
    assert seen[-1] == (VERSION, 2)


def test_when_the_upload_fails_nothing_is_signed(
    sigstore: RunningSigstore, instance: Sigstore, log_size: LogSize, release: Release, tmp_path: Path
) -> None:
    fake, before = FakeRegistry(), log_size()

    def full(request: httpx2.Request) -> httpx2.Response | None:
        return oci_error(413, "SIZE_INVALID", "too large") if request.method == "PUT" else None

    fake.before.append(full)
    with pytest.raises(LimitExceeded) as caught:
        publish(release, fake.registry(), signer_of(sigstore, instance, tmp_path))
    assert caught.value.reasons[0].code == "limit-exceeded"
    assert log_size() == before
    assert not fake.manifests


def test_a_sigstore_that_cannot_be_loaded_is_told_and_nothing_is_named(
    sigstore: RunningSigstore, release: Release, tmp_path: Path
) -> None:
    def fail() -> NoReturn:
        raise TrustFileInvalid("it is out of date", code="trust-file-unreadable")

    fake = FakeRegistry()
    with pytest.raises(TidegateError) as caught:
        publish(release, fake.registry(), signer_of(sigstore, Sigstore(fail), tmp_path))
    assert caught.value.reasons[0].code == "trust-file-unreadable"
    assert set(fake.manifests) == {release.manifest.digest}


def test_a_config_without_services_is_refused_when_it_is_needed(sigstore: RunningSigstore, tmp_path: Path) -> None:
    document = sigstore.instance.client_trust_config()
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**document, "signingConfig": {}}))
    instance = load_sigstore(path, allow_sandbox=True)
    with pytest.raises(TrustFileInvalid, match="not a Sigstore client trust config"):
        instance.load()
