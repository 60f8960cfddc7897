"""Which refusals get an entry, and how many of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request

from tests.registry.world import AGENT, READER, T0, World, error_of, identity_of, running_world
from tidegate.digest import Digest
from tidegate.errors import AdmissionRefused, Reason, Unauthenticated
from tidegate.formats.jcs import canonical_bytes
from tidegate_registry.access.principal import ANONYMOUS, Principal, PrincipalKind
from tidegate_registry.access.refusals import no_role
from tidegate_registry.access.rights import Permission
from tidegate_registry.audit import limiter as limiter_module
from tidegate_registry.audit import refusals
from tidegate_registry.audit.fields import MAX_REASONS
from tidegate_registry.audit.limiter import OTHERS, RefusalLimiter
from tidegate_registry.audit.objects import store_objects
from tidegate_registry.audit.problems import LogAhead
from tidegate_registry.db import DatabaseUnavailable
from tidegate_registry.services import Caller
from tidegate_registry.settings import Limits
from tidegate_registry.storage.blobs import LogKey

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint

ROLL_UP = "request.refusals-suppressed"
UPLOADS = f"/v2/{AGENT}/blobs/uploads/"


def test_a_write_that_is_refused_is_an_entry_with_who_what_and_why(world: World) -> None:
    world.client(READER).post(UPLOADS)
    (entry,) = world.events("request.refused")
    data = entry["data"]
    assert isinstance(data, dict)
    assert entry["actor"] == {"kind": "human", "issuer": "https://login.acme.example", "name": "reader"}
    assert (data["operation"], data["repository"]) == ("POST /v2/{name}/blobs/uploads/", AGENT)
    assert data["code"] == "not-in-charter"


def test_a_credential_that_does_not_count_is_an_entry_and_none_at_all_is_not(world: World) -> None:
    nobody = world.client(None)
    assert nobody.get("/v2/").status_code == 401
    assert world.events("request.refused") == []
    assert nobody.get("/v2/", headers={"Authorization": "Bearer a.b.c"}).status_code == 401
    (entry,) = world.events("request.refused")
    assert "a.b.c" not in str(entry)


@pytest.mark.parametrize(("code", "is_entry"), [("token-invalid", True), ("login-needed", False)])
def test_a_credential_in_a_form_counts_like_one_in_a_header(code: str, *, is_entry: bool) -> None:
    request = Request({"type": "http", "method": "POST", "path": "/v2/token", "headers": []})
    assert refusals._is_refusal(request, Unauthenticated("no", code=code)) is is_entry


def test_a_request_without_what_it_must_have_is_an_entry(world: World) -> None:
    client = world.client()
    where = client.post(UPLOADS).headers["location"]
    assert error_of(client.put(where))[0] == 400
    (entry,) = world.events("request.refused")
    assert "parameter-invalid" in str(entry)


def test_what_is_not_found_is_no_refusal_and_what_is_denied_is_one(world: World) -> None:
    client = world.client()
    client.get(f"/v2/{AGENT}/manifests/{Digest.of(b'')}")
    assert world.events("request.refused") == []
    client.put(f"/v2/{AGENT}/manifests/stable", content=b"{}")
    assert len(world.events("request.refused")) == 1


def test_a_name_that_is_none_is_left_out_of_the_entry(world: World) -> None:
    world.client().put("/v2/No%00Name/x/manifests/1.0.0", content=b"{}")
    (entry,) = world.events("request.refused")
    assert isinstance(entry["data"], dict)
    assert "repository" not in entry["data"]


def test_an_entry_fits_however_long_and_however_many_the_reasons_are(world: World) -> None:
    endless = tuple(Reason(code=f"c{n}", message="\x01" * 5000, found="€" * 5000) for n in range(100))
    world.gate.refuse_admission = endless
    client = world.client()
    answer = world.put(client, world.make_manifest(client, b"x"), "1.0.0")
    assert answer.status_code == 403
    assert len(answer.json()["errors"][0]["detail"]["reasons"]) == 100
    (entry,) = world.events("request.refused")
    assert isinstance(entry["data"], dict)
    kept = entry["data"]["reasons"]
    assert isinstance(kept, list)
    assert 1 <= len(kept) <= MAX_REASONS


class TestBound:
    @pytest.fixture
    def world(self, s3: S3Endpoint, database_url: str, tmp_path: Path) -> Iterator[World]:
        with running_world(s3, database_url, tmp_path, limits=Limits(refusals_per_minute=3)) as running:
            yield running

    def test_what_one_caller_has_too_many_of_is_counted_for_that_caller(self, world: World) -> None:
        reader, other = world.client(READER), world.client("somebody")
        for _ in range(10):
            assert error_of(reader.post(UPLOADS)) == (403, "DENIED", "not-in-charter")
        assert len(world.events("request.refused")) == 3
        other.post(UPLOADS)
        assert len(world.events("request.refused")) == 4, "one caller's refusals do not hide another's"
        limiter = world.services.refusals
        refusals.record_suppressed(world.services, limiter)
        assert world.events(ROLL_UP) == [], "the minute has not ended"
        world.clock.tick(seconds=60)
        refusals.record_suppressed(world.services, limiter)
        refusals.record_suppressed(world.services, limiter)
        (entry,) = world.events(ROLL_UP)
        assert entry["actor"] == {
            "kind": "human",
            "issuer": "https://login.acme.example",
            "name": "reader",
        }
        assert isinstance(entry["data"], dict)
        assert entry["data"]["count"] == 7

    def test_the_end_of_the_process_loses_no_count(self, world: World) -> None:
        reader = world.client(READER)
        for _ in range(5):
            reader.post(UPLOADS)
        world.clock.tick(seconds=10)
        world.server.stop()
        (entry,) = world.events(ROLL_UP)
        assert entry["data"] == {
            "count": 2,
            "since": "2026-03-01T12:00:00.000000Z",
            "until": "2026-03-01T12:00:10.000000Z",
        }

    def test_what_the_database_does_not_take_is_kept(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        limiter = world.services.refusals
        for _ in range(5):
            limiter.admit(named("a"), "", world.clock())
        world.clock.tick(seconds=60)

        def away() -> None:
            raise DatabaseUnavailable("the database did not answer")

        with monkeypatch.context() as patch:
            patch.setattr(world.services.db, "begin", away)
            refusals.record_suppressed(world.services, limiter)
        refusals.record_suppressed(world.services, limiter)
        assert len(world.events(ROLL_UP)) == 1


def named(name: str) -> Principal:
    return Principal(PrincipalKind.HUMAN, identity_of(name), name)


def test_what_is_remembered_of_a_minute_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter_module, "MAX_CALLERS", 3)
    monkeypatch.setattr(limiter_module, "MAX_ROLLED", 3)
    limiter = RefusalLimiter(per_caller=1, anonymous=2)
    assert [limiter.admit(named(f"n{each}"), "", T0) for each in range(5)] == [True, True, True, False, False]
    assert [limiter.admit(ANONYMOUS, f"192.0.2.{each}", T0) for each in range(4)] == [True, True, False, False]
    for each in range(5):
        limiter.admit(named(f"n{each}"), "", T0)
    counts = limiter.take(T0 + timedelta(minutes=1))
    assert len(counts) == 4
    assert sum(each.count for each in counts) == 9
    assert OTHERS in {each.actor for each in counts}


def test_a_clock_that_is_set_back_does_not_hold_a_window_open() -> None:
    limiter = RefusalLimiter(per_caller=1, anonymous=1)
    assert limiter.admit(named("a"), "", T0)
    assert not limiter.admit(named("a"), "", T0)
    earlier = T0 - timedelta(days=1)
    assert limiter.admit(named("a"), "", earlier)
    (count,) = limiter.take(earlier)
    assert (count.since, count.until) == (T0, T0)


def test_however_many_callers_there_are_the_entries_of_a_minute_are_bounded() -> None:
    limiter = RefusalLimiter(per_caller=5, anonymous=5, most=8)
    admitted = [limiter.admit(named(f"n{each}"), "", T0) for each in range(2_000)]
    assert sum(admitted) == 8
    counts = limiter.take(T0 + timedelta(minutes=1))
    assert len(counts) == limiter_module.MAX_ROLLED + 1
    assert sum(each.count for each in counts) == 2_000 - 8
    assert limiter.admit(named("n1"), "", T0 + timedelta(minutes=1)), "the next minute has room again"


def test_a_refusal_of_many_long_reasons_is_an_entry_that_fits_and_an_object_that_has_all(own_world: World) -> None:
    many = tuple(Reason("too-much", f"{each} " + "x" * 3_000) for each in range(200))

    def handler(name: str, who: Caller) -> None:
        raise AdmissionRefused.because(f"{name} is not for {who.name}", many)

    own_world.app.add_api_route("/v2/{name:path}/refused", handler, methods=["PUT"])
    own_world.client().put(f"/v2/{AGENT}/refused")
    data = own_world.events("request.refused")[0]["data"]
    assert isinstance(data, dict)
    store_objects(own_world.services)
    whole = own_world.services.blobs.read(LogKey.of_object(Digest(str(data["reasons_object"]))), limit=1 << 20)
    assert whole is not None
    assert whole[0] == canonical_bytes([reason.as_json() for reason in many])


def test_a_refusal_calls_a_human_by_no_address(world: World) -> None:
    world.client(READER).post(UPLOADS)
    (entry,) = world.events("request.refused")
    assert "reader@" not in str(entry)


def test_while_nothing_may_be_written_a_refusal_is_still_a_refusal_and_counts_are_kept(own_world: World) -> None:
    """A caller whose token has expired must hear that, or nobody can read from a registry that waits for a restore."""
    client, limiter = own_world.client(READER), own_world.services.refusals
    for _ in range(own_world.services.settings.limits.refusals_per_minute + 1):
        client.post(UPLOADS)
    own_world.clock.tick(minutes=2)
    own_world.services.db.held = LogAhead.noted
    assert own_world.client(None).get("/v2/", headers={"Authorization": "Bearer a.b.c"}).status_code == 401
    assert client.post(UPLOADS).status_code == 403
    refusals.record_suppressed(own_world.services, limiter)
    own_world.services.db.held = None
    refusals.record_suppressed(own_world.services, limiter)
    (rolled_up,) = own_world.events(ROLL_UP)
    data = rolled_up["data"]
    assert isinstance(data, dict)
    assert data["count"] == 1


def test_what_a_refusal_leaves_beside_the_log_is_bounded_too(own_world: World) -> None:
    text = "\U0001f600" * 4_000
    many = tuple(Reason("too-much", text, text, text, text) for _ in range(1_000))

    def handler(name: str, who: Caller) -> None:
        raise AdmissionRefused.because(f"{name} is not for {who.name}", many)

    own_world.app.add_api_route("/v2/{name:path}/refused", handler, methods=["PUT"])
    assert own_world.client().put(f"/v2/{AGENT}/refused").status_code == 403
    data = own_world.events("request.refused")[0]["data"]
    assert isinstance(data, dict)
    store_objects(own_world.services)
    assert own_world.services.blobs.read(LogKey.of_object(Digest(str(data["reasons_object"]))), limit=1 << 20)


def test_a_refusal_tells_the_log_no_group_of_the_caller() -> None:
    claims = {"groups": ("hr-complaints",), "preferred_username": ("rita",)}
    who = Principal(PrincipalKind.HUMAN, identity_of(READER), READER, attributes=claims)
    reason = no_role(who, Permission.LOG_READ, None, ())
    assert "hr-complaints" in (reason.found or ""), "the caller is told"
    (entered,), _ = refusals._listed([reason], who)
    assert not [word for word in ("hr-complaints", "rita", "@") if word in str(entered.as_json())]
