"""A repository as a source of bundles: what is fetched only when it is asked for, and what is not fetched at all."""

from __future__ import annotations

import pytest

from tests.client.remote.fake_registry import NAME, FakeRegistry
from tidegate.digest import Digest
from tidegate.errors import LimitExceeded
from tidegate.formats.jcs import JsonObject
from tidegate.formats.manifest import (
    MAX_LISTED_BYTES,
    MAX_REFERRERS,
    Descriptor,
    Manifest,
    evidence_manifest,
)
from tidegate.formats.mediatypes import OCI_MANIFEST, SIGSTORE_BUNDLE
from tidegate.remote.source import RegistrySource

SUBJECT = Descriptor(OCI_MANIFEST, Digest.of(b"subject"), 7)


def listed(manifest: Manifest, size: int | None = None) -> JsonObject:
    return {
        "mediaType": OCI_MANIFEST,
        "digest": manifest.digest,
        "size": len(manifest.raw) if size is None else size,
        "artifactType": SIGSTORE_BUNDLE,
    }


def referrer(number: int, predicate_type: str = "https://example.org/p") -> Manifest:
    return evidence_manifest(b"%d" % number, SUBJECT, predicate_type)


def holding(*manifests: Manifest) -> FakeRegistry:
    fake = FakeRegistry()
    fake.referrers[SUBJECT.digest] = [dict(listed(each)) for each in manifests]
    for each in manifests:
        fake.manifests[each.digest] = (OCI_MANIFEST, each.raw)
    return fake


def fetched(fake: FakeRegistry) -> int:
    return sum("/manifests/" in request.url.path for request in fake.requests)


def test_referrers_are_fetched_as_they_are_asked_for() -> None:
    fake = holding(*(referrer(number) for number in range(3)))
    found = iter(RegistrySource(fake.registry(), NAME).referrers(SUBJECT.digest))
    assert fetched(fake) == 0
    next(found)
    assert fetched(fake) == 1
    assert len(list(found)) == 2


def test_a_list_with_a_referrer_beyond_the_limit_is_refused_before_any_is_fetched() -> None:
    small, large = referrer(1), referrer(2)
    fake = holding(small, large)
    fake.referrers[SUBJECT.digest] = [dict(listed(small)), dict(listed(large, MAX_LISTED_BYTES + 1))]
    with pytest.raises(LimitExceeded) as caught:
        list(RegistrySource(fake.registry(), NAME).referrers(SUBJECT.digest))
    assert caught.value.reasons[0].code == "referrer-too-large"
    assert fetched(fake) == 0


def test_a_referrer_that_is_larger_than_the_list_says_is_cut_off_at_the_limit() -> None:
    large = referrer(1, "x" * MAX_LISTED_BYTES)
    fake = holding(large)
    fake.referrers[SUBJECT.digest] = [dict(listed(large, 1000))]
    with pytest.raises(LimitExceeded):
        list(RegistrySource(fake.registry(), NAME).referrers(SUBJECT.digest))


def test_a_list_without_end_is_refused_at_the_hosts_limit() -> None:
    fake = holding(referrer(1))
    fake.referrers[SUBJECT.digest] *= MAX_REFERRERS + 1
    with pytest.raises(LimitExceeded, match="too many referrers"):
        list(RegistrySource(fake.registry(), NAME).referrers(SUBJECT.digest))
