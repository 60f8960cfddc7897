"""Every route and what it asks of its caller; the token endpoint and whoami, over HTTP."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import Iterable, Iterator

import httpx2
import pytest
from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from tests.registry.access.issuer import NO_TLS
from tests.registry.admission.world import GateWorld, codes_of
from tests.workshop import AGENT, RELEASE_JOB
from tidegate.formats.charter import CharterSet
from tidegate_registry.access.gatekeeper import Gatekeeper
from tidegate_registry.access.requires import Requires
from tidegate_registry.access.rights import Permission
from tidegate_registry.app import ROUTERS
from tidegate_registry.services import caller

PUBLIC = "public"
# the OCI routes authenticate and then decide by what the path asks for: a digest, a version, a tag. These are the
# permissions that their services demand; tests/registry/artifacts/ has a test for each cell
OCI = "authenticated"

ROUTES: dict[tuple[str, str], str] = {
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/metrics"): PUBLIC,
    ("GET", "/v2/token"): PUBLIC,
    ("POST", "/v2/token"): PUBLIC,
    ("GET", "/v2/"): OCI,
    ("GET", "/v2/{name:path}/tags/list"): OCI,
    ("GET", "/v2/{name:path}/referrers/{digest}"): OCI,
    ("POST", "/v2/{name:path}/blobs/uploads/"): OCI,
    ("GET", "/v2/{name:path}/blobs/uploads/{session}"): OCI,
    ("PATCH", "/v2/{name:path}/blobs/uploads/{session}"): OCI,
    ("PUT", "/v2/{name:path}/blobs/uploads/{session}"): OCI,
    ("DELETE", "/v2/{name:path}/blobs/uploads/{session}"): OCI,
    ("GET", "/v2/{name:path}/blobs/{digest}"): OCI,
    ("HEAD", "/v2/{name:path}/blobs/{digest}"): OCI,
    ("DELETE", "/v2/{name:path}/blobs/{digest}"): PUBLIC,  # refused to everybody
    ("GET", "/v2/{name:path}/manifests/{reference}"): OCI,
    ("HEAD", "/v2/{name:path}/manifests/{reference}"): OCI,
    ("PUT", "/v2/{name:path}/manifests/{reference}"): OCI,
    ("DELETE", "/v2/{name:path}/manifests/{reference}"): PUBLIC,  # refused to everybody
    ("GET", "/api/v1/login-options"): PUBLIC,
    ("POST", "/api/v1/enrolments"): Permission.ENROLMENT_CREATE,
    ("POST", "/api/v1/enrolments/redemption"): PUBLIC,  # the token in the body is the credential
    ("GET", "/api/v1/whoami"): Permission.ACCOUNT_READ,
    ("GET", "/api/v1/agents"): Permission.AGENT_LIST,
    ("GET", "/api/v1/namespaces/{namespace}/usage"): Permission.AGENT_LIST,
    ("GET", "/api/v1/agents/{namespace}/{agent}"): Permission.AGENT_READ,
    ("POST", "/api/v1/agents/{namespace}/{agent}/uploads"): Permission.BLOB_PUSH,
    ("POST", "/api/v1/agents/{namespace}/{agent}/uploads/parts"): Permission.BLOB_PUSH,
    ("POST", "/api/v1/agents/{namespace}/{agent}/uploads/commit"): Permission.BLOB_PUSH,
    ("GET", "/api/v1/agents/{namespace}/{agent}/uploads/{session}"): Permission.BLOB_PUSH,
    ("GET", "/api/v1/agents/{namespace}/{agent}/diff"): Permission.RELEASE_READ,
    ("GET", "/api/v1/agents/{namespace}/{agent}/releases"): Permission.RELEASE_READ,
    ("GET", "/api/v1/agents/{namespace}/{agent}/releases/{version}"): Permission.RELEASE_READ,
    ("GET", "/api/v1/agents/{namespace}/{agent}/releases/{version}/evidence"): Permission.EVIDENCE_READ,
    ("GET", "/api/v1/agents/{namespace}/{agent}/evidence/{digest}"): Permission.EVIDENCE_READ,
    ("GET", "/api/v1/policies"): Permission.POLICY_READ,
    ("GET", "/api/v1/policies/{name}"): Permission.POLICY_READ,
    ("GET", "/api/v1/policies/{name}/versions"): Permission.POLICY_READ,
    ("GET", "/api/v1/policies/{name}/versions/{number}"): Permission.POLICY_READ,
    ("GET", "/api/v1/policies/{name}/proposals"): Permission.POLICY_READ,
    ("POST", "/api/v1/policies/{name}/proposals"): Permission.POLICY_PROPOSE,
    ("GET", "/api/v1/policies/{name}/proposals/{proposal}"): Permission.POLICY_READ,
    ("POST", "/api/v1/policies/{name}/proposals/{proposal}/approvals"): Permission.POLICY_APPROVE,
    ("POST", "/api/v1/policies/{name}/proposals/{proposal}/application"): Permission.POLICY_APPLY,
    ("POST", "/api/v1/policies/{name}/reverts"): Permission.POLICY_PROPOSE,
    ("POST", "/api/v1/policies/{name}/what-if"): Permission.POLICY_PROPOSE,
    ("GET", "/api/v1/log/entries"): Permission.LOG_READ,
    ("GET", "/api/v1/log/entries/{entry}"): Permission.LOG_READ,
    ("GET", "/log/checkpoint"): PUBLIC,
    ("HEAD", "/log/checkpoint"): PUBLIC,
    ("GET", "/log/tile/{path:path}"): PUBLIC,
    ("HEAD", "/log/tile/{path:path}"): PUBLIC,
    ("GET", "/log/tile/entries/{path:path}"): Permission.LOG_READ,
    ("HEAD", "/log/tile/entries/{path:path}"): Permission.LOG_READ,
    ("GET", "/log/entries/{path:path}"): PUBLIC,  # says where they are; whoever goes there needs a token
    ("GET", "/log/objects/{algorithm}/{shard}/{digits}"): Permission.LOG_READ,
    ("HEAD", "/log/objects/{algorithm}/{shard}/{digits}"): Permission.LOG_READ,
    ("POST", "/api/v1/promotions"): Permission.PROMOTION_REQUEST,
    ("GET", "/api/v1/promotions"): Permission.PROMOTION_READ,
    ("GET", "/api/v1/promotions/{promotion}"): Permission.PROMOTION_READ,
    ("GET", "/api/v1/promotions/{promotion}/decisions"): Permission.DECISION_READ,
    ("POST", "/api/v1/promotions/{promotion}/approvals"): Permission.PROMOTION_APPROVE,
    ("POST", "/api/v1/promotions/{promotion}/rejection"): Permission.PROMOTION_REJECT,
    ("POST", "/api/v1/promotions/{promotion}/withdrawal"): Permission.PROMOTION_WITHDRAW,
    ("GET", "/api/v1/agents/{namespace}/{agent}/channels"): Permission.CHANNEL_READ,
    ("GET", "/api/v1/agents/{namespace}/{agent}/channels/{channel}"): Permission.CHANNEL_READ,
    ("POST", "/api/v1/agents/{namespace}/{agent}/channels/{channel}/rollback"): Permission.CHANNEL_ROLLBACK,
    ("DELETE", "/api/v1/agents/{namespace}/{agent}/channels/{channel}/hold"): Permission.CHANNEL_LIFT_HOLD,
    ("POST", "/api/v1/revocations"): Permission.RELEASE_REVOKE,
    ("GET", "/api/v1/revocations"): Permission.PROMOTION_READ,
    ("GET", "/api/v1/break-glass"): Permission.PROMOTION_READ,
    ("POST", "/api/v1/break-glass/{promotion}/review"): Permission.BREAK_GLASS_REVIEW,
}


def routes(routers: Iterable[APIRouter] = ROUTERS) -> Iterator[tuple[str, APIRoute]]:
    for route in [route for router in routers for route in router.routes]:
        included = getattr(route, "original_router", None)
        if isinstance(included, APIRouter):  # a router within a router
            yield from routes([included])
            continue
        assert isinstance(route, APIRoute), f"{route} is no route whose principal can be seen"
        for method in sorted(route.methods or ()):
            yield method, route


def asked_of_the_caller(dependant: Dependant) -> str:
    """Say what a route's signature demands: a permission, a credential that counts, or nothing."""
    found = {str(each.call.permission) for each in every_dependency(dependant) if isinstance(each.call, Requires)}
    assert len(found) <= 1
    if found:
        return found.pop()
    return OCI if any(each.call is caller for each in every_dependency(dependant)) else PUBLIC


def every_dependency(dependant: Dependant) -> Iterator[Dependant]:
    for each in dependant.dependencies:
        yield each
        yield from every_dependency(each)


def test_every_route_is_in_the_table_with_what_its_signature_asks_of_the_caller() -> None:
    found = {(method, route.path): asked_of_the_caller(route.dependant) for method, route in routes()}
    assert found == {key: str(value) for key, value in ROUTES.items()}


def test_whoever_shows_no_token_or_a_bad_one_is_challenged(gate_world: GateWorld) -> None:
    tokens: tuple[dict[str, str], ...] = (
        {},
        {"Authorization": "Bearer x.y.z"},
        {"Authorization": "Basic b2lkYzp4"},
    )
    examples = {
        "name:path": AGENT,
        "name": "_company",
        "number": "1",
        "proposal": "0190d7c0-0000-7000-8000-000000000000",
        "namespace": AGENT.partition("/")[0],
        "agent": AGENT.partition("/")[2],
        "digest": f"sha256:{'0' * 64}",
        "reference": "1.0.0",
        "version": "1.0.0",
        "session": "0190d7c0-0000-7000-8000-000000000000",
        "promotion": "0190d7c0-0000-7000-8000-000000000000",
        "channel": "stable",
        "path:path": "000",
        "entry": "0",
        "algorithm": "sha256",
        "shard": "00",
        "digits": "0" * 64,
    }
    with httpx2.Client(base_url=gate_world.url, trust_env=False, verify=NO_TLS) as client:
        for (method, path), headers in itertools.product(
            [key for key, asked in ROUTES.items() if asked != PUBLIC], tokens
        ):
            for name, example in examples.items():
                path = path.replace(f"{{{name}}}", example)  # noqa: PLW2901 - filled in, one by one
            answer = client.request(method, path, params={"digest": examples["digest"]}, headers=headers)
            assert answer.status_code == 401, (method, path, answer.text)
            assert answer.headers["WWW-Authenticate"].startswith(f'Bearer realm="{gate_world.url}/v2/token"')


class TestTokenEndpoint:
    def exchange(self, world: GateWorld, **more: object) -> httpx2.Response:
        return httpx2.get(f"{world.url}/v2/token", trust_env=False, verify=NO_TLS, **more)  # type: ignore[arg-type]

    def credential(self, world: GateWorld, audience: str | None = None) -> str:
        return world.shop.main.mint_token(RELEASE_JOB, audience or world.url)

    def test_docker_login_gets_a_token_and_uses_it(self, gate_world: GateWorld) -> None:
        """What `docker login -u oidc -p TOKEN` sends: a ping, the token request of the challenge, a ping."""
        ping = httpx2.get(f"{gate_world.url}/v2/", trust_env=False, verify=NO_TLS)
        assert ping.status_code == 401
        parameters = dict(
            part.split("=", 1) for part in ping.headers["WWW-Authenticate"].removeprefix("Bearer ").split(",")
        )
        basic = base64.b64encode(f"oidc:{self.credential(gate_world)}".encode()).decode()
        answer = httpx2.get(
            parameters["realm"].strip('"'),
            params={
                "account": "oidc",
                "client_id": "docker",
                "offline_token": "true",
                "service": parameters["service"].strip('"'),
            },
            headers={"Authorization": f"Basic {basic}"},
            trust_env=False,
            verify=NO_TLS,
        )
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["token"] == body["access_token"]
        assert (body["expires_in"], body["scope"]) == (300, "")
        assert body["issued_at"].endswith("Z")
        assert answer.headers["Cache-Control"] == "no-store"
        bearer = {"Authorization": f"Bearer {body['token']}"}
        assert httpx2.get(f"{gate_world.url}/v2/", headers=bearer, trust_env=False, verify=NO_TLS).status_code == 200

    def test_several_scopes_in_one_request_are_each_granted_as_far_as_they_may_be(self, gate_world: GateWorld) -> None:
        scopes = [f"repository:{AGENT}:pull,push", "repository:acme/other:pull,push", "registry:catalog:*"]
        answer = gate_world.token(RELEASE_JOB, *scopes)
        assert answer.json()["scope"] == f"repository:{AGENT}:pull,push repository:acme/other:pull"

    def test_the_oauth2_form_gets_a_token_too(self, gate_world: GateWorld) -> None:
        credential = self.credential(gate_world)
        forms = [
            {"grant_type": "password", "username": "oidc", "password": credential},
            {"grant_type": "refresh_token", "refresh_token": credential},
        ]
        for form in forms:
            data = {**form, "service": gate_world.url, "client_id": "containerd", "scope": f"repository:{AGENT}:pull"}
            answer = httpx2.post(f"{gate_world.url}/v2/token", data=data, trust_env=False, verify=NO_TLS)
            assert answer.status_code == 200, answer.text
            assert answer.json()["scope"] == f"repository:{AGENT}:pull"

    def test_a_form_beyond_the_limit_is_refused(self, gate_world: GateWorld) -> None:
        answer = httpx2.post(
            f"{gate_world.url}/v2/token", data={"password": "x" * (1 << 20)}, trust_env=False, verify=NO_TLS
        )
        assert answer.status_code == 413, answer.text

    def test_a_token_for_fulcio_is_refused_and_never_repeated(self, gate_world: GateWorld) -> None:
        credential = self.credential(gate_world, "sigstore")
        answer = self.exchange(gate_world, auth=("oidc", credential))
        assert (answer.status_code, codes_of(answer)) == (401, ["audience-wrong"])
        assert answer.headers["WWW-Authenticate"] == f'Basic realm="{gate_world.url}"'
        assert credential not in answer.text
        assert all(credential not in str(event) for event in gate_world.events())
        (refused,) = gate_world.data_of("request.refused")
        assert refused["code"] == "audience-wrong"

    def test_requests_that_are_no_such_thing_are_refused(self, gate_world: GateWorld) -> None:
        credential = self.credential(gate_world)
        for more, status, code in (
            ({}, 401, "login-needed"),
            ({"auth": ("alice", credential)}, 401, "user-name-unknown"),
            ({"auth": ("oidc", credential), "params": {"scope": "nonsense"}}, 400, "scope-invalid"),
            ({"auth": ("oidc", credential), "params": {"service": "other"}}, 400, "service-unknown"),
            ({"headers": {"Authorization": f"Bearer {credential}"}}, 401, "token-scheme"),
        ):
            answer = self.exchange(gate_world, **more)
            assert (answer.status_code, codes_of(answer)) == (status, [code])
        url = f"{gate_world.url}/v2/token"
        for content_type, body in (("application/json", b"{}"), ("application/x-www-form-urlencoded", b"x")):
            answer = httpx2.post(
                url, content=body, headers={"Content-Type": content_type}, trust_env=False, verify=NO_TLS
            )
            assert (answer.status_code, codes_of(answer)) == (400, ["form-invalid"])


class TestWhoami:
    def test_a_pipeline_sees_its_identity_and_where_it_may_publish_and_why(self, gate_world: GateWorld) -> None:
        body = gate_world.client().get("/api/v1/whoami").json()
        assert (body["kind"], body["name"]) == ("ci", RELEASE_JOB.signer_uri)
        assert body["identity"]["claims"]["sourceRepositoryRef"] == RELEASE_JOB.ref
        assert body["attributes"]["actor"] == ["alice"]
        assert body["tokenScope"] == f"repository:{AGENT}:pull,push"
        by_agents = {(each["agents"], each["standing"]): each for each in body["standings"]}
        publisher = by_agents[AGENT, "publisher"]
        assert publisher["why"] == f"the charter for {AGENT} names the caller as publisher release"
        assert "release:publish" in publisher["permissions"]
        assert by_agents["*/*", "reader"]["permissions"] == [
            "agent:read",
            "release:read",
            "artifact:pull",
            "evidence:read",
            "promotion:read",
            "channel:read",
        ]

    def test_a_person_sees_what_they_may_attest(self, gate_world: GateWorld) -> None:
        body = gate_world.client("bob").get("/api/v1/whoami").json()
        assert (body["kind"], body["name"]) == ("human", "bob@sandbox.example")
        assert body["attributes"] == {"groups": ["reviewers"]}
        assert [(each["agents"], each["standing"]) for each in body["standings"]] == [
            ("*/*", "reader"),
            (AGENT, "attester"),
        ]
        assert "release:publish" not in body["standings"][1]["permissions"]

    def test_whoever_is_in_no_charter_only_reads(self, gate_world: GateWorld) -> None:
        body = gate_world.client("carol").get("/api/v1/whoami").json()
        assert [each["standing"] for each in body["standings"]] == ["reader"]


def test_whoever_has_no_token_is_told_where_people_log_in(gate_world: GateWorld) -> None:
    answer = httpx2.get(f"{gate_world.url}/api/v1/login-options", trust_env=False, verify=NO_TLS)
    (people, _pipelines) = gate_world.services.settings.issuers
    option = {"issuer": people.issuer, "clientId": gate_world.url, "scopes": ["openid", "email", "offline_access"]}
    assert (answer.status_code, answer.json()) == (200, {"registry": gate_world.url, "options": [option]})


def test_the_charters_are_never_looked_up_on_the_event_loop(
    gate_world: GateWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read from disk again when they change, which would hold up every other request."""
    release, client = gate_world.publish(), gate_world.client()
    access = gate_world.services.access
    assert isinstance(access, Gatekeeper)
    there, asked = access.charters, []

    def look() -> CharterSet:
        asked.append(asyncio._get_running_loop() is None)
        return there()

    monkeypatch.setattr(access, "charters", look)
    agent = f"/api/v1/agents/{AGENT}"
    for path in ("/api/v1/whoami", agent, f"{agent}/releases", f"{agent}/evidence/{release.digest}"):
        before = len(asked)
        assert client.get(path).status_code == 200
        assert len(asked) > before, path
    assert client.post(f"/v2/{AGENT}/blobs/uploads/").status_code == 202
    assert client.get(f"/v2/{AGENT}/tags/list").status_code == 200
    assert all(asked)
