"""Somebody without the right looks for what is in quarantine: by digest, through lists, blobs, mounts, another agent.

To them it must not exist: every answer is the one that they get for content nobody ever pushed, so that a registry is
no oracle for digests and no key to another's bytes.
"""

from __future__ import annotations

import httpx2
import pytest

from tests.registry.admission.world import NO_TLS, GateWorld, codes_of
from tests.workshop import AGENT, VERSION
from tidegate.digest import Digest
from tidegate.formats.charter import Charter
from tidegate.formats.manifest import EMPTY_BLOB, EMPTY_DESCRIPTOR, Descriptor, Manifest, image_manifest
from tidegate_registry.sandbox.jobs import JobRequest

SECRET = b"a prompt that is not released yet"
NEVER_PUSHED = Digest.of(b"nobody ever pushed this")
SIBLING, FOREIGN = "acme/other-agent", "umbra/agent"
SIBLING_JOB, FOREIGN_JOB = JobRequest(repository=SIBLING), JobRequest(repository=FOREIGN)


def layered(world: GateWorld, client: httpx2.Client) -> Manifest:
    """Push a manifest with the secret in it and all its evidence, and do not name it."""
    world.push_blob(client, SECRET)
    layer = Descriptor("application/octet-stream", Digest.of(SECRET), len(SECRET))
    manifest = image_manifest(artifact_type="application/vnd.example.agent", config=EMPTY_DESCRIPTOR, layers=(layer,))
    return world.prepare(client, manifest=manifest)


def govern(world: GateWorld) -> None:
    """Give the two other agents publishers of their own, beside the charter that there is."""
    publisher = world.shop.charter.publishers[0]
    assert publisher.workflow is not None
    others = [
        publisher.model_copy(
            update={"workflow": publisher.workflow.replace(AGENT, agent), "refs": ("refs/heads/main",), "claims": {}}
        )
        for agent in (SIBLING, FOREIGN)
    ]
    charters = [
        Charter(agent=agent, publishers=(rule,)) for agent, rule in zip((SIBLING, FOREIGN), others, strict=True)
    ]
    world.govern(world.shop.charter, *charters)


def seen(answer: httpx2.Response) -> tuple[int, object]:
    """What an answer tells, without the digest that was asked for."""
    if answer.status_code == 200 and answer.headers["content-type"].startswith("application/"):
        document = answer.json()
        return 200, document.get("manifests", document.get("tags"))
    return answer.status_code, codes_of(answer) if answer.content else None


@pytest.mark.parametrize("spy", ["dave", SIBLING_JOB, FOREIGN_JOB], ids=["a person", "a sibling", "another tenant"])
def test_what_is_in_quarantine_looks_like_what_nobody_pushed(gate_world: GateWorld, spy: str | JobRequest) -> None:
    govern(gate_world)
    publisher = gate_world.client()
    manifest = layered(gate_world, publisher)
    client = gate_world.client(spy, f"repository:{AGENT}:pull")
    for kind, digest in (("manifests", manifest.digest), ("blobs", Digest.of(SECRET)), ("referrers", manifest.digest)):
        for method in ("GET", "HEAD"):
            for headers in ({}, {"Range": "bytes=0-3"}):
                there = client.request(method, f"/v2/{AGENT}/{kind}/{digest}", headers=headers)
                absent = client.request(method, f"/v2/{AGENT}/{kind}/{NEVER_PUSHED}", headers=headers)
                assert seen(there) == seen(absent), (method, kind)
                assert there.status_code == (404 if kind != "referrers" else absent.status_code)
    assert client.get(f"/v2/{AGENT}/tags/list").status_code == 404
    assert client.get(f"/v2/{AGENT}/referrers/{manifest.digest}").json()["manifests"] == []
    assert publisher.get(f"/v2/{AGENT}/manifests/{manifest.digest}").status_code == 200


def test_naming_is_what_makes_it_visible(gate_world: GateWorld) -> None:
    publisher = gate_world.client()
    manifest = layered(gate_world, publisher)
    reader = gate_world.client("dave", f"repository:{AGENT}:pull")
    assert reader.get(f"/v2/{AGENT}/manifests/{manifest.digest}").status_code == 404
    assert gate_world.put(publisher, manifest, VERSION).status_code == 201
    assert reader.get(f"/v2/{AGENT}/manifests/{manifest.digest}").content == manifest.raw
    assert reader.head(f"/v2/{AGENT}/blobs/{Digest.of(SECRET)}").status_code in {200, 307}
    assert len(reader.get(f"/v2/{AGENT}/referrers/{manifest.digest}").json()["manifests"]) == 2


@pytest.mark.parametrize("order", ["before naming", "after naming"])
def test_a_claim_to_be_about_a_release_sets_nothing_free(gate_world: GateWorld, order: str) -> None:
    """Whoever pushes writes the subject: an agent that refers to a release would be readable without admission."""
    publisher = gate_world.client()
    released = gate_world.prepare(publisher)
    gate_world.push_blob(publisher, SECRET)
    layer = Descriptor("application/octet-stream", Digest.of(SECRET), len(SECRET))
    sneaky = image_manifest(
        artifact_type="application/vnd.example.agent",
        config=EMPTY_DESCRIPTOR,
        layers=(layer,),
        subject=released.descriptor,
    )
    for step in (sneaky, released) if order == "before naming" else (released, sneaky):
        assert gate_world.put(publisher, step, VERSION if step is released else "").status_code == 201
    reader = gate_world.client("dave", f"repository:{AGENT}:pull")
    assert reader.get(f"/v2/{AGENT}/manifests/{released.digest}").status_code == 200
    assert reader.get(f"/v2/{AGENT}/manifests/{sneaky.digest}").status_code == 404
    assert reader.get(f"/v2/{AGENT}/blobs/{Digest.of(SECRET)}").status_code == 404
    listed = reader.get(f"/v2/{AGENT}/referrers/{released.digest}").json()["manifests"]
    assert sneaky.digest not in {each["digest"] for each in listed}
    assert len(listed) == 2, "evidence follows its release"


def test_a_working_tag_shows_nothing_to_others(gate_world: GateWorld) -> None:
    publisher = gate_world.client()
    manifest = layered(gate_world, publisher)
    assert gate_world.put(publisher, manifest, "pr-17").status_code == 201
    reader = gate_world.client("dave", f"repository:{AGENT}:pull")
    for reference in ("pr-17", manifest.digest):
        assert reader.get(f"/v2/{AGENT}/manifests/{reference}").status_code == 404
    with httpx2.Client(base_url=gate_world.url, trust_env=False, verify=NO_TLS) as nobody:
        for digest in (manifest.digest, NEVER_PUSHED):
            assert nobody.get(f"/v2/{AGENT}/manifests/{digest}").status_code == 401


@pytest.mark.parametrize(("job", "agent"), [(SIBLING_JOB, SIBLING), (FOREIGN_JOB, FOREIGN)])
def test_a_digest_alone_is_no_key_to_the_bytes(gate_world: GateWorld, job: JobRequest, agent: str) -> None:
    """Neither a mount nor a manifest of one's own that names the layer reaches it."""
    govern(gate_world)
    layered(gate_world, gate_world.client())
    thief = gate_world.client(job, f"repository:{agent}:pull,push", f"repository:{AGENT}:pull")
    for source in ({"from": AGENT}, {}):
        answer = thief.post(f"/v2/{agent}/blobs/uploads/", params={"mount": Digest.of(SECRET), **source})
        absent = thief.post(f"/v2/{agent}/blobs/uploads/", params={"mount": NEVER_PUSHED, **source})
        assert (answer.status_code, absent.status_code) == (202, 202), "an ordinary upload, as for unknown content"
    gate_world.push_blob(thief, EMPTY_BLOB, agent)
    layer = Descriptor("application/octet-stream", Digest.of(SECRET), len(SECRET))
    mine = image_manifest(artifact_type="application/vnd.example.agent", config=EMPTY_DESCRIPTOR, layers=(layer,))
    answer = gate_world.put(thief, mine, agent=agent)
    assert (answer.status_code, codes_of(answer)) == (404, ["manifest-blob-unknown"])
    assert thief.head(f"/v2/{agent}/blobs/{Digest.of(SECRET)}").status_code == 404
