"""Entries as OCSF events: what each class asks for, checked by hand from the schema."""

from __future__ import annotations

import pytest

from tests.client.auditor.made import DIGEST, RELEASE, make_entry
from tidegate.auditor.ocsf import CLASSES, MAX_OBSERVABLES, OCSF_VERSION, to_ocsf
from tidegate.formats.entry import EntryType
from tidegate.formats.jcs import JsonObject, JsonValue

# OCSF 1.9.0: attributes whose requirement is "required", without the profiles we do not use, by class
_BASE = {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"}
REQUIRED = {
    3002: _BASE | {"user", "service"},  # at least one of service and dst_endpoint
    3004: _BASE | {"entity"},
    6002: _BASE | {"app", "application"},  # `app` up to 1.8.0, `application` in its place
    6003: _BASE | {"actor", "api", "src_endpoint"},
}
# object -> one of these must be there
AT_LEAST_ONE = {
    "user": {"account", "name", "uid"},
    "service": {"name", "uid"},
    "entity": {"name", "uid", "device", "group", "org", "policy", "user"},
    "app": {"name", "uid"},
    "application": {"name", "uid"},
    "src_endpoint": {"ip", "uid", "name", "hostname", "svc_name", "domain"},
    "actor": {"process", "user", "session", "application"},
}


def event(type_: str, data: JsonObject, kind: str = "human") -> JsonObject:
    entry = make_entry(type_, data, index=7, kind=kind)
    return to_ocsf(entry, origin="registry.acme.example/log", leaf="bGVhZg==", product_version="1.0.0")


def obj(value: JsonValue) -> JsonObject:
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("type_", [*EntryType, "login.failed", "future.type-nobody-knows"])
@pytest.mark.parametrize("data", [RELEASE, {}, {"operation": "GET /token", "code": "token-invalid"}])
def test_every_type_of_entry_gives_an_event_with_what_its_class_requires(type_: str, data: JsonObject) -> None:
    found = event(type_, data)
    uid = found["class_uid"]
    kind = next(each for each in CLASSES if each.uid == uid)
    assert REQUIRED[kind.uid] <= found.keys()
    for name, members in AT_LEAST_ONE.items():
        assert name not in found or members & obj(found[name]).keys()
    assert found["category_uid"] == kind.uid // 1000
    assert found["activity_id"] in kind.activities
    assert found["type_uid"] == kind.uid * 100 + int(str(found["activity_id"]))
    metadata = obj(found["metadata"])
    assert {"product", "version"} <= metadata.keys()
    assert metadata["version"] == OCSF_VERSION
    assert metadata["uid"] == "019a0000-0000-7000-8000-000000000007"
    assert metadata["sequence"] == 7
    assert metadata["event_code"] == type_
    assert all("type_id" in obj(each) and obj(each)["name"] for each in found["observables"])  # type: ignore[union-attr]


def test_a_refused_login_is_a_failed_authentication_and_another_refusal_a_failed_request() -> None:
    login = event("request.refused", {"operation": "GET /token", "code": "token-invalid"})
    assert (login["class_uid"], login["activity_name"], login["status"]) == (3002, "Logon", "Failure")
    other = event("request.refused", {"operation": "PUT /v2/{name}/manifests/{reference}", "code": "denied"})
    assert (other["class_uid"], other["activity_name"], other["status"]) == (6003, "Update", "Failure")
    assert other["status_code"] == "denied"


def test_moves_of_channels_are_updates_of_the_application_and_policies_are_entities() -> None:
    moved = event("channel.moved", {**RELEASE, "channel": "stable"}, kind="system")
    assert (moved["class_uid"], moved["activity_name"]) == (6002, "Update")
    assert obj(moved["application"]) == {"name": "acme/support", "version": "1.3.0", "uid": DIGEST}
    applied = event("policy.applied", {"policy": "default", "number": 4, "digest": DIGEST})
    assert (applied["class_uid"], applied["activity_name"]) == (3004, "Activate")
    assert obj(obj(applied["entity"])["policy"]) == {"name": "default", "version": "4", "uid": DIGEST}


def test_every_digest_is_an_observable_wherever_it_stands_and_they_are_bounded() -> None:
    found = event("promotion.decided", {**RELEASE, "deep": {"list": [f"sha256:{'cd' * 32}"]}})
    hashes = [obj(each) for each in found["observables"] if obj(each)["type_id"] == 8]  # type: ignore[union-attr]
    assert [(each["name"], each["value"]) for each in hashes] == [
        ("unmapped.data.deep.list", "cd" * 32),
        ("unmapped.data.digest", "9f" * 32),
    ]
    flood: JsonObject = {"evidence": [f"sha256:{number:064x}" for number in range(500)]}
    many = event("release.admitted", flood)["observables"]
    assert isinstance(many, list)
    assert len(many) <= MAX_OBSERVABLES + 2
