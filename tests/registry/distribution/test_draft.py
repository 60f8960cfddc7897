"""What a draft of Distribution Spec 1.2 adds: tags as parameters of a PUT by digest."""

from __future__ import annotations

import httpx2
import pytest

from tests.registry.distribution.oci import artifact, codes, describe, image, index, unique
from tests.registry.world import AGENT, ATTESTER, World
from tidegate.errors import Reason
from tidegate.formats.mediatypes import SIGSTORE_BUNDLE

MANIFESTS = f"/v2/{AGENT}/manifests"


def named_by(answer: httpx2.Response) -> list[str]:
    return [tag.strip() for value in answer.headers.get_list("oci-tag") for tag in value.split(",")]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_manifest_is_pushed_by_digest_and_tagged_at_once(publisher: httpx2.Client, algorithm: str) -> None:
    content = index(image(unique(), algorithm=algorithm), algorithm=algorithm)
    answer = content.push(publisher, AGENT, tag=["one", "two", "one"])
    assert answer.status_code == 201
    assert named_by(answer) == ["one", "two"]
    assert answer.headers["docker-content-digest"] == content.digest
    assert publisher.get(answer.headers["location"]).content == content.raw
    for reference in ("one", "two", content.digest):
        found = publisher.get(f"{MANIFESTS}/{reference}")
        assert (found.content, found.headers["docker-content-digest"]) == (content.raw, content.digest)


def test_tags_are_moved_by_a_push_of_what_is_there_already(registry: World, publisher: httpx2.Client) -> None:
    first, second = image(unique()), image(unique())
    first.push(publisher, AGENT, tag=["moves"])
    second.push(publisher, AGENT)
    assert second.put(publisher, AGENT, tag=["moves", "new"]).status_code == 201
    assert [publisher.get(f"{MANIFESTS}/{tag}").content for tag in ("moves", "new")] == [second.raw] * 2
    before = len(registry.events())
    assert named_by(second.put(publisher, AGENT, tag=["moves", "new"])) == ["moves", "new"]
    assert len(registry.events()) == before, "the same again changes nothing"


def test_a_version_among_the_tags_asks_for_admission_and_nothing_is_tagged_if_it_is_refused(registry: World) -> None:
    publisher = registry.client()
    content = artifact("application/x.thing")
    registry.gate.refuse_admission = (Reason(code="provenance-missing", message="there is no provenance"),)
    refused = content.push(publisher, AGENT, tag=["working", "1.0.0"])
    assert (refused.status_code, codes(refused)) == (403, ["DENIED"])
    assert "provenance-missing" in refused.text
    for reference in ("working", "1.0.0", content.digest):
        assert publisher.head(f"{MANIFESTS}/{reference}").status_code == 404
    registry.gate.refuse_admission = ()
    answer = content.put(publisher, AGENT, tag=["working", "1.0.0"])
    assert (answer.status_code, named_by(answer)) == (201, ["working", "1.0.0"])
    assert answer.headers["tidegate-event-id"] == registry.events("release.admitted")[0]["id"]
    assert registry.client(None).get(f"{MANIFESTS}/1.0.0").content == content.raw
    assert registry.client(None).head(f"{MANIFESTS}/working").status_code == 404


@pytest.mark.parametrize(
    ("tags", "status", "code"),
    [
        (["good", "no tag"], 400, "NAME_INVALID"),
        (["good", "v1.0"], 403, "DENIED"),
        (["good", "stable"], 403, "DENIED"),
        (["good", describe(b"")["digest"]], 400, "UNSUPPORTED"),
        (["good", "1.0.0", "2.0.0"], 400, "UNSUPPORTED"),
        ([f"tag-{number}" for number in range(11)], 400, "UNSUPPORTED"),
    ],
    ids=["no tag", "nearly a version", "a channel", "a digest", "two versions", "too many"],
)
def test_tags_that_cannot_be_given_leave_everything_as_it_was(
    publisher: httpx2.Client, tags: list[str], status: int, code: str
) -> None:
    content = image(unique())
    answer = content.push(publisher, AGENT, tag=tags)
    assert (answer.status_code, codes(answer)) == (status, [code])
    for reference in ("good", "1.0.0", content.digest):
        assert publisher.head(f"{MANIFESTS}/{reference}").status_code == 404


def test_tags_go_with_a_digest_alone(publisher: httpx2.Client) -> None:
    answer = image(unique()).push(publisher, AGENT, "image", tag=["other"])
    assert (answer.status_code, codes(answer)) == (400, ["UNSUPPORTED"])


def test_who_may_attest_but_not_publish_may_not_tag_by_the_way(registry: World) -> None:
    subject = image(unique())
    subject.push(registry.client(), AGENT)
    attester = registry.client(ATTESTER)
    evidence = artifact(SIGSTORE_BUNDLE, subject=subject.descriptor)
    for tag in ("working", "1.0.0"):
        answer = evidence.push(attester, AGENT, tag=[tag])
        assert (answer.status_code, codes(answer)) == (403, ["DENIED"])
    assert evidence.put(attester, AGENT).status_code == 201
