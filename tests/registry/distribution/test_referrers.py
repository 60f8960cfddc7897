"""Distribution Spec 1.1, "Listing Referrers"."""

from __future__ import annotations

import httpx2
import pytest

from tests.registry.distribution.conftest import Reader
from tests.registry.distribution.oci import (
    OCI_CONFIG,
    OCI_IMAGE,
    OCI_INDEX,
    Json,
    Pushable,
    artifact,
    codes,
    describe,
    digest_of,
    image,
    index,
    unique,
)
from tests.registry.world import AGENT, READER, World

SBOM, SCAN = "application/vnd.example.sbom.v1+json", "application/vnd.example.scan.v1+json"
NOTES = {"org.example.note": "hello conformance", "org.example.empty": ""}


def listed(client: httpx2.Client, subject: Pushable | Json | str, **params: str) -> tuple[list[Json], httpx2.Response]:
    digest = subject if isinstance(subject, str) else subject["digest"] if isinstance(subject, dict) else subject.digest
    answer = client.get(f"/v2/{AGENT}/referrers/{digest}", params=params)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == OCI_INDEX
    body = answer.json()
    assert (body["schemaVersion"], body["mediaType"]) == (2, OCI_INDEX)
    return sorted(body["manifests"], key=lambda each: str(each["digest"])), answer


def as_listed(*referrers: Pushable) -> list[Json]:
    return sorted((each.as_referrer for each in referrers), key=lambda each: str(each["digest"]))


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_referrers_carry_their_type_size_and_annotations(publisher: httpx2.Client, algorithm: str) -> None:
    subject = image(unique(), algorithm=algorithm)
    about = subject.descriptor
    referrers = (
        artifact(SBOM, subject=about, annotations=NOTES),
        artifact(SCAN, subject=about),
        image(unique(), subject=about),  # no artifactType: the config's media type stands for it
        index(subject=about, artifactType=SBOM, annotations=NOTES),
        index(image(unique()), subject=about),  # neither artifactType nor config: it must be left out
    )
    for each in (subject, *referrers):
        assert each.push(publisher, AGENT).status_code == 201
    found, answer = listed(publisher, subject)
    assert found == as_listed(*referrers)
    assert "oci-filters-applied" not in answer.headers
    assert {OCI_CONFIG, SBOM, SCAN, None} == {each.get("artifactType") for each in found}
    for kind, expected in ((SBOM, referrers[0:4:3]), (SCAN, referrers[1:2]), (OCI_CONFIG, referrers[2:3]), ("x/y", ())):
        found, answer = listed(publisher, subject, artifactType=kind)
        assert found == as_listed(*expected)
        assert answer.headers["oci-filters-applied"] == "artifactType"


def test_referrers_may_come_before_their_subject_and_under_a_tag(publisher: httpx2.Client) -> None:
    subject = image(unique())
    referrer = artifact(SBOM, subject=subject.descriptor)
    assert referrer.push(publisher, AGENT, "tagged-artifact").status_code == 201
    assert listed(publisher, subject)[0] == as_listed(referrer)
    subject.push(publisher, AGENT)
    assert listed(publisher, subject)[0] == as_listed(referrer)


def test_a_referrer_has_referrers_of_its_own(publisher: httpx2.Client) -> None:
    subject = image(unique())
    first = artifact(SBOM, subject=subject.descriptor)
    second = artifact(SCAN, subject=first.descriptor)
    for each in (subject, first, second):
        each.push(publisher, AGENT)
    assert listed(publisher, subject)[0] == as_listed(first)
    assert listed(publisher, first)[0] == as_listed(second)


def test_a_referrer_that_is_pushed_twice_is_listed_once(publisher: httpx2.Client) -> None:
    about = describe(b"missing", OCI_IMAGE)
    referrer = artifact(SBOM, subject=about)
    for reference in (None, None, "one", "two"):
        referrer.push(publisher, AGENT, reference)
    assert listed(publisher, about)[0] == as_listed(referrer)


def test_what_nobody_refers_to_has_an_empty_list_whoever_asks(reader: Reader) -> None:
    content = reader.given(image(unique()))
    for subject in (content.digest, digest_of(b"nobody pushed this"), "sha512:" + "0" * 128):
        assert listed(reader.client, subject)[0] == []
        assert listed(reader.client, subject, artifactType=SBOM)[0] == []


def test_referrers_of_an_agent_that_is_not_there_are_an_empty_list(registry: World) -> None:
    for client in (registry.client(repositories=("acme/nothing",)), registry.client(None)):
        assert client.get(f"/v2/acme/nothing/referrers/{digest_of(b'')}").json()["manifests"] == []


def test_a_digest_that_is_none_is_a_bad_request(reader: Reader) -> None:
    for digest in ("sha256:baddigeststring", "nonsense", "sha256:" + "G" * 64, "sha256:" + "A" * 64):
        answer = reader.client.get(f"/v2/{AGENT}/referrers/{digest}")
        assert (answer.status_code, codes(answer)) == (400, ["DIGEST_INVALID"])


def test_referrers_of_a_release_that_nobody_verified_are_listed_for_its_signers_alone(registry: World) -> None:
    publisher = registry.client()
    subject = image(unique())
    subject.push(publisher, AGENT, "1.0.0")
    claim = artifact(SBOM, subject=subject.descriptor)
    claim.push(publisher, AGENT)
    assert listed(publisher, subject)[0] == as_listed(claim)
    for somebody in (registry.client(READER), registry.client(None)):
        assert listed(somebody, subject)[0] == []
