"""How errors are told: OCI lists under /v2/, problem documents elsewhere, and never what went wrong inside."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import tidegate.errors
from tests.registry.world import AGENT, ISSUER, World
from tidegate.errors import AdmissionRefused, Reason, TidegateError, Unreachable
from tidegate_registry import problems
from tidegate_registry.services import Caller

SECRET = "password=hunter2"
REASONS = (
    Reason(code="signature-missing", step="R1", message="there is no signature", hint="run `tidegate sign`"),
    Reason(code="provenance-wrong", step="R2", message="another repository", found="evil/x", expected="acme/x"),
)


def raising(world: World, path: str, error: Exception) -> None:
    def handler() -> None:
        raise error

    world.app.add_api_route(path, handler, methods=["GET", "PUT"])


@pytest.mark.parametrize("prefix", ["/v2", "/api/v1"])
@pytest.mark.parametrize("error", [RuntimeError(SECRET), TidegateError(SECRET), KeyError(SECRET)])
def test_a_fault_tells_nothing_but_the_request_id(own_world: World, prefix: str, error: Exception) -> None:
    raising(own_world, f"{prefix}/boom", error)
    answer = own_world.client().get(f"{prefix}/boom", headers={"X-Request-Id": "abc-1"})
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "abc-1"
    assert "hunter2" not in answer.text
    assert "internal-error" in answer.text
    assert own_world.client().get("/healthz").status_code == 200


def test_a_refusal_gives_every_reason_in_both_shapes(own_world: World) -> None:
    error = AdmissionRefused.because("acme/x:1.0.0 is not admitted", REASONS)
    raising(own_world, "/api/v1/refused", error)
    raising(own_world, "/v2/refused", error)
    problem = own_world.client().get("/api/v1/refused")
    assert problem.status_code == 403
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json() == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": "acme/x:1.0.0 is not admitted",
        "code": "signature-missing",
        "hint": "run `tidegate sign`",
        "reasons": [reason.as_json() for reason in REASONS],
    }
    listed = own_world.client().get("/v2/refused").json()["errors"]
    assert len(listed) == 1
    assert listed[0]["code"] == "DENIED"
    assert listed[0]["detail"] == {"reasons": [reason.as_json() for reason in REASONS]}
    for line in ("signature-missing [R1]: there is no signature", "hint: run `tidegate sign`", "found: evil/x"):
        assert line in listed[0]["message"]


def test_what_does_not_answer_says_when_to_come_back(own_world: World) -> None:
    raising(own_world, "/v2/away", Unreachable("the object store did not answer"))
    answer = own_world.client().get("/v2/away")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


def test_paths_that_are_not_served_answer_in_the_shape_of_their_part(own_world: World) -> None:
    client = own_world.client()
    assert client.get("/v2/nothing").json()["errors"][0]["detail"]["reasons"][0]["code"] == "no-such-route"
    assert client.get("/api/v1/nothing").json()["code"] == "no-such-route"
    assert client.get("/").json()["status"] == 404
    assert client.head("/v2/nothing").status_code == 404


def test_methods_that_are_not_possible_are_405_and_say_which_are(own_world: World) -> None:
    client = own_world.client()
    listed = client.post(f"/v2/{AGENT}/tags/list")
    assert (listed.status_code, listed.json()["errors"][0]["code"]) == (405, "UNSUPPORTED")
    assert "GET" in listed.headers["allow"]
    other = client.delete("/healthz")
    assert (other.status_code, other.json()["code"]) == (405, "method-not-allowed")


def test_parameters_that_are_not_valid_name_themselves(own_world: World) -> None:
    def handler(n: int) -> int:
        return n

    own_world.app.add_api_route("/api/v1/number", handler)
    own_world.app.add_api_route("/v2/number", handler)
    problem = own_world.client().get("/api/v1/number?n=x")
    assert (problem.status_code, problem.json()["code"]) == (422, "parameter-invalid")
    assert problem.json()["reasons"][0]["message"].startswith("query.n: ")
    assert own_world.client().get("/v2/number?n=x").status_code == 400


def test_every_error_class_has_a_rendering_and_no_code_is_outside_the_spec() -> None:
    kinds = [
        kind for kind in vars(tidegate.errors).values() if isinstance(kind, type) and issubclass(kind, TidegateError)
    ]
    assert all(problems.rendered(kind("x")).status >= 400 for kind in kinds)
    known = [
        "BLOB_UNKNOWN",
        "BLOB_UPLOAD_INVALID",
        "BLOB_UPLOAD_UNKNOWN",
        "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_INVALID",
        "MANIFEST_UNKNOWN",
        "NAME_INVALID",
        "NAME_UNKNOWN",
        "SIZE_INVALID",
        "UNAUTHORIZED",
        "DENIED",
        "UNSUPPORTED",
        "TOOMANYREQUESTS",
    ]
    assert {shape.oci for shape in problems.RENDERED.values()} <= set(known)


def test_reasons_of_a_refusal_are_an_entry_with_the_operation(own_world: World) -> None:
    def handler(name: str, who: Caller) -> None:
        raise AdmissionRefused.because(f"{name} is not for {who.name}", REASONS)

    own_world.app.add_api_route("/v2/{name:path}/refused", handler, methods=["PUT"])
    own_world.client().put(f"/v2/{AGENT}/refused")
    entry = own_world.events("request.refused")[0]
    assert entry["actor"] == {"kind": "human", "issuer": ISSUER, "name": "publisher"}
    assert entry["data"] == {
        "operation": "PUT /v2/{name}/refused",
        "repository": AGENT,
        "code": "signature-missing",
        "reasons": [reason.as_json() for reason in REASONS],
    }
    assert datetime.fromisoformat(str(entry["at"])) == own_world.clock().astimezone(UTC)
