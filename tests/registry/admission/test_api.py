"""Agents, releases and evidence under /api/v1/: what each caller sees, in pages, with ETags."""

from __future__ import annotations

import httpx2
import pytest

from tests.registry.admission.world import GateWorld, codes_of
from tests.workshop import AGENT, EVALS_JOB, RELEASE_JOB, VERSION
from tidegate.digest import Digest

API = "registry:api:*"
SECOND = "acme/second-agent"


@pytest.fixture
def reader(gate_world: GateWorld) -> httpx2.Client:
    return gate_world.client("carol", API)


def test_agents_are_listed_to_those_who_may_see_them(gate_world: GateWorld, reader: httpx2.Client) -> None:
    gate_world.govern(gate_world.shop.charter, gate_world.shop.charter.model_copy(update={"agent": SECOND}))
    gate_world.publish()
    pusher = gate_world.client(RELEASE_JOB, f"repository:{SECOND}:pull,push")
    gate_world.push(pusher, gate_world.bundle_for(), SECOND)
    released = {"name": AGENT, "released": True}
    quarantined = {"name": SECOND, "released": False}
    assert reader.get("/api/v1/agents").json() == {"items": [released], "next": None}
    assert gate_world.client(RELEASE_JOB, API).get("/api/v1/agents").json()["items"] == [quarantined, released]
    assert reader.get(f"/api/v1/agents/{SECOND}").status_code == 404
    assert gate_world.client(RELEASE_JOB, API).get(f"/api/v1/agents/{SECOND}").json()["latest"] is None
    needs_scope = gate_world.client("carol", f"repository:{AGENT}:pull").get("/api/v1/agents")
    assert (needs_scope.status_code, codes_of(needs_scope)) == (401, ["scope-missing"])
    assert 'scope="registry:api:*"' in needs_scope.headers["WWW-Authenticate"]


def test_agents_come_in_pages_that_end_with_a_null(gate_world: GateWorld) -> None:
    names = [f"acme/agent-{letter}" for letter in "abc"]
    gate_world.govern(gate_world.shop.charter.model_copy(update={"agent": "acme/*"}))
    for name in names:
        gate_world.push(gate_world.client(RELEASE_JOB, f"repository:{name}:pull,push"), gate_world.bundle_for(), name)
    client = gate_world.client(RELEASE_JOB, API)
    found, after = [], ""
    while after is not None:
        page = client.get("/api/v1/agents", params={"limit": 1, "after": after}).json()
        found += [each["name"] for each in page["items"]]
        after = page["next"]
    assert found == names


def test_an_agent_shows_its_charter_and_what_was_admitted_last(gate_world: GateWorld, reader: httpx2.Client) -> None:
    gate_world.publish("2.0.0")
    gate_world.publish("1.0.1")
    agent = reader.get(f"/api/v1/agents/{AGENT}").json()
    assert (agent["name"], agent["released"], agent["latest"]["version"]) == (AGENT, True, "1.0.1")
    assert agent["charter"] == {
        "agent": AGENT,
        "version": 1,
        "digest": gate_world.shop.charter.digest,
        "publishers": ["release"],
        "attesters": ["evals", "bob"],
    }


def test_releases_are_listed_last_admitted_first_in_pages(gate_world: GateWorld, reader: httpx2.Client) -> None:
    for version in ("1.0.0", "1.1.0", "0.9.1"):
        gate_world.publish(version)
    path = f"/api/v1/agents/{AGENT}/releases"
    first = reader.get(path, params={"limit": 2}).json()
    assert [each["version"] for each in first["items"]] == ["0.9.1", "1.1.0"]
    second = reader.get(path, params={"limit": 2, "after": first["next"]}).json()
    assert [each["version"] for each in second["items"]] == ["1.0.0"]
    assert second["next"] is None


def test_a_release_shows_its_digest_entry_and_decision(gate_world: GateWorld, reader: httpx2.Client) -> None:
    manifest = gate_world.publish()
    release = reader.get(f"/api/v1/agents/{AGENT}/releases/{VERSION}").json()
    assert (release["agent"], release["version"], release["digest"]) == (AGENT, VERSION, manifest.digest)
    assert release["eventId"] == gate_world.events("release.admitted")[0]["id"]
    assert release["decision"]["floor"]["runnerClass"] == "hosted"


def test_evidence_is_listed_by_version_and_by_digest_and_to_signers_in_quarantine_too(
    gate_world: GateWorld, reader: httpx2.Client
) -> None:
    client, signer = gate_world.client(), gate_world.client(EVALS_JOB, API)
    manifest = gate_world.prepare(client)
    by_digest = f"/api/v1/agents/{AGENT}/evidence/{manifest.digest}"
    assert codes_of(reader.get(by_digest)) == ["manifest-unknown"]
    assert len(signer.get(by_digest).json()["items"]) == 2
    gate_world.put(client, manifest, VERSION)
    for path in (by_digest, f"/api/v1/agents/{AGENT}/releases/{VERSION}/evidence"):
        page = reader.get(path).json()
        assert [each["predicateType"].rsplit("/", 2)[-2] for each in page["items"]] == ["release", "provenance"]
        assert page["next"] is None
        assert {each["role"] for each in page["items"]} == {"publisher"}
        assert "A12" in page["items"][0]["attestation"]["steps"]
        assert page["items"][0]["eventId"] == gate_world.events("evidence.verified")[0]["id"]
    one = reader.get(by_digest, params={"limit": 1}).json()
    two = reader.get(by_digest, params={"limit": 1, "after": one["next"]}).json()
    assert [one["items"][0], two["items"][0]] == reader.get(by_digest).json()["items"]
    assert two["next"] is None


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v1/agents/acme/none", 404, "agent-unknown"),
        ("/api/v1/agents/acme/none/releases", 404, "agent-unknown"),
        (f"/api/v1/agents/{AGENT}/releases/9.9.9", 404, "release-unknown"),
        (f"/api/v1/agents/{AGENT}/releases/v1.2", 400, "reference-invalid"),
        (f"/api/v1/agents/{AGENT}/evidence/sha256:abc", 400, "digest-invalid"),
        (f"/api/v1/agents/{AGENT}/evidence/{Digest.of(b'x')}", 404, "manifest-unknown"),
        (f"/api/v1/agents/{AGENT}/releases?limit=0", 422, "parameter-invalid"),
        (f"/api/v1/agents/{AGENT}/releases?limit=201", 422, "parameter-invalid"),
    ],
)
def test_what_is_not_there_is_a_problem_document(
    gate_world: GateWorld, reader: httpx2.Client, path: str, status: int, code: str
) -> None:
    gate_world.publish()
    answer = reader.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_an_answer_that_the_caller_has_is_not_sent_again(gate_world: GateWorld, reader: httpx2.Client) -> None:
    gate_world.publish("1.0.0")
    path = f"/api/v1/agents/{AGENT}/releases"
    first = reader.get(path)
    tag = first.headers["ETag"]
    for value in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = reader.get(path, headers={"If-None-Match": value})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert first.headers["Cache-Control"] == "private, no-cache"
    gate_world.publish("1.1.0")
    assert reader.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_without_a_token_nothing_is_shown(gate_world: GateWorld) -> None:
    gate_world.publish()
    for path in ("agents", f"agents/{AGENT}", f"agents/{AGENT}/releases/{VERSION}/evidence", "whoami"):
        answer = httpx2.get(f"{gate_world.url}/api/v1/{path}", trust_env=False)
        assert (answer.status_code, codes_of(answer)) == (401, ["login-needed"])
        assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")
