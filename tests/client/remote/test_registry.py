from __future__ import annotations

import json

import httpx2
import pytest

from tests.client.remote.fake_registry import NAME, FakeRegistry, identity_noting, some_manifest
from tidegate.digest import Digest
from tidegate.errors import (
    BundleRefused,
    Conflict,
    InvalidInput,
    LimitExceeded,
    NotFound,
    Unreachable,
)
from tidegate.formats.manifest import EMPTY_DESCRIPTOR
from tidegate.formats.mediatypes import OCI_MANIFEST, SIGSTORE_BUNDLE
from tidegate.remote.address import RegistryAddress


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("localhost:5000", "http://localhost:5000"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("Registry.Example", "https://registry.example"),
        ("registry.example:443", "https://registry.example"),
        ("https://registry.example/", "https://registry.example"),
        ("127.0.0.1.registry.example", "https://127.0.0.1.registry.example"),
        ("localhost.registry.example:80", "https://localhost.registry.example:80"),
    ],
)
def test_only_this_machine_is_spoken_to_over_http(text: str, url: str) -> None:
    assert RegistryAddress.parse(text).url == url


def test_http_to_another_machine_is_refused_unless_asked_for() -> None:
    with pytest.raises(InvalidInput) as caught:
        RegistryAddress.parse("http://registry.example")
    assert caught.value.reasons[0].code == "plain-http-refused"
    assert RegistryAddress.parse("registry.example", plain_http=True).url == "http://registry.example"


@pytest.mark.parametrize("text", ["", "a b", "user@host", "host/path", "ftp://host", "host:99999", "-host", "host?x"])
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        RegistryAddress.parse(text)


def test_another_manifest_than_the_digest_names_is_refused() -> None:
    fake = FakeRegistry()
    manifest = some_manifest()
    wanted = Digest.of(b"wanted")
    fake.manifests[wanted] = (OCI_MANIFEST, manifest.raw)
    with pytest.raises(BundleRefused) as caught:
        fake.registry().manifest(NAME, wanted)
    assert caught.value.reasons[0].code == "manifest-altered"


def test_a_version_gives_the_manifest_with_its_exact_bytes() -> None:
    fake = FakeRegistry()
    manifest = some_manifest()
    assert fake.registry().push_manifest(NAME, manifest, version="1.2.0").event == "e-1"
    assert fake.registry().manifest(NAME, "1.2.0").raw == manifest.raw
    assert fake.registry().resolve(NAME, "1.2.0") == manifest.digest
    assert fake.registry().resolve(NAME, "9.9.9") is None
    assert fake.registry().has_manifest(NAME, manifest.digest)


def test_referrers_are_listed_over_all_pages_and_filtered_here() -> None:
    fake = FakeRegistry(page_size=2)
    subject = Digest.of(b"subject")
    kinds = [SIGSTORE_BUNDLE, "application/other", SIGSTORE_BUNDLE, SIGSTORE_BUNDLE, "application/other"]
    fake.referrers[subject] = [
        {**EMPTY_DESCRIPTOR.as_json(), "mediaType": OCI_MANIFEST, "artifactType": kind} for kind in kinds
    ]
    registry = fake.registry()
    assert len(registry.referrers(NAME, subject)) == 5
    assert len(registry.referrers(NAME, subject, SIGSTORE_BUNDLE)) == 3


def test_tags_are_listed_over_all_pages() -> None:
    fake = FakeRegistry(page_size=1)
    for version in ("1.0.0", "1.1.0", "2.0.0"):
        fake.registry().push_manifest(NAME, some_manifest(), version=version)
    assert fake.registry().tags(NAME) == ("1.0.0", "1.1.0", "2.0.0")


def test_pages_that_lead_elsewhere_or_never_end_are_refused() -> None:
    fake = FakeRegistry()
    body = json.dumps({"tags": []}).encode()
    fake.before.append(
        lambda _: httpx2.Response(200, content=body, headers={"Link": '<https://evil.example/>; rel="next"'})
    )
    with pytest.raises(Unreachable) as caught:
        fake.registry().tags(NAME)
    assert caught.value.reasons[0].code == "location-elsewhere"
    fake.before[:] = [lambda r: httpx2.Response(200, content=body, headers={"Link": f'<{r.url.path}>; rel="next"'})]
    with pytest.raises(LimitExceeded, match="no end of pages"):
        fake.registry().tags(NAME)


def test_a_registry_that_stores_something_else_is_noticed() -> None:
    fake = FakeRegistry()
    headers = {"Docker-Content-Digest": Digest.of(b"other")}
    fake.before.append(lambda _: httpx2.Response(201, headers=headers))
    with pytest.raises(Conflict):
        fake.registry().push_manifest(NAME, some_manifest())


def test_a_version_that_is_not_there_is_named_with_what_may_hide_it() -> None:
    fake = FakeRegistry()
    with pytest.raises(NotFound, match=rf"^{fake.host}/acme/greeter:9\.9\.9 is not there$") as caught:
        fake.registry(identity_noting([])).manifest("acme/greeter", "9.9.9")
    assert caught.value.reasons[0].code == "not-found"
    assert "quarantine" in (caught.value.hint or "")
