from __future__ import annotations

import httpx2
import pytest

from tests.client.remote.fake_registry import NAME, FakeRegistry, identity_noting, oci_error, some_manifest
from tidegate.errors import (
    AccessDenied,
    AdmissionRefused,
    BundleRefused,
    EvidenceRefused,
    LimitExceeded,
    NotFound,
    Reason,
    Unreachable,
)
from tidegate.remote.transport import MAX_ATTEMPTS


def test_passing_trouble_is_waited_out_with_growing_pauses() -> None:
    fake = FakeRegistry()
    answers = [httpx2.Response(503), httpx2.Response(502), httpx2.Response(429, headers={"Retry-After": "3"})]
    fake.before.append(lambda _: answers.pop(0) if answers else None)
    fake.registry().ping()
    assert fake.waits == [0.25, 0.5, 3.0]


def test_a_registry_that_does_not_answer_is_unreachable_after_a_few_tries() -> None:
    fake = FakeRegistry()

    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("connection refused")

    fake.before.append(refuse)
    with pytest.raises(Unreachable, match="does not answer") as caught:
        fake.registry().ping()
    assert len(fake.requests) == MAX_ATTEMPTS
    assert "tidegate-registry sandbox" in (caught.value.hint or "")


def test_a_registry_that_asks_for_a_long_wait_is_not_waited_for() -> None:
    fake = FakeRegistry()
    fake.before.append(lambda _: httpx2.Response(429, headers={"Retry-After": "3600"}))
    with pytest.raises(LimitExceeded):
        fake.registry().ping()
    assert fake.waits == []


def test_an_endless_answer_is_cut_off() -> None:
    fake = FakeRegistry()

    def endless() -> object:
        while True:
            yield b"x" * 65536

    fake.before.append(lambda _: httpx2.Response(200, content=endless()))  # type: ignore[arg-type]
    with pytest.raises(LimitExceeded):
        fake.registry().ping()


def test_every_reason_of_a_refusal_arrives_as_the_registry_gave_it() -> None:
    fake = FakeRegistry()
    reasons = [
        Reason(
            "signature-missing", "no signature", found="nothing", expected="a release statement", hint="sign", step="R1"
        ),
        Reason("provenance-missing", "no provenance", step="R2"),
    ]
    text = "\n".join(["1.2.0 is refused", *(line for reason in reasons for line in reason.lines())])
    fake.before.append(lambda _: oci_error(403, "DENIED", text, {"reasons": [r.as_json() for r in reasons]}))
    with pytest.raises(AdmissionRefused, match=r"^1\.2\.0 is refused$") as caught:
        fake.registry().push_manifest(NAME, some_manifest(), version="1.2.0")
    assert caught.value.reasons == tuple(reasons)


def test_a_problem_document_is_read_too() -> None:
    fake = FakeRegistry()
    reason = {"code": "no-such-route", "message": "nothing is served here"}
    body = {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "nothing is here",
        "reasons": [reason],
    }
    fake.before.append(lambda _: httpx2.Response(404, json=body))
    with pytest.raises(NotFound, match="nothing is here") as caught:
        fake.registry(identity_noting([])).whoami()
    assert caught.value.reasons[0].code == "no-such-route"


@pytest.mark.parametrize(
    ("status", "step", "kind"),
    [
        (400, "B8", BundleRefused),
        (403, "A12", EvidenceRefused),
        (403, "R6", AdmissionRefused),
        (403, None, AccessDenied),
    ],
)
def test_a_refused_step_is_the_same_error_as_if_it_had_been_checked_here(
    status: int, step: str | None, kind: type[Exception]
) -> None:
    fake = FakeRegistry()
    detail = {"reasons": [Reason("some-code", "no", step=step).as_json()]}
    fake.before.append(lambda _: oci_error(status, "DENIED", "no", detail))
    with pytest.raises(kind) as caught:
        fake.registry().push_manifest(NAME, some_manifest())
    assert type(caught.value) is kind


def test_text_from_a_registry_cannot_steer_a_terminal() -> None:
    fake = FakeRegistry()
    fake.before.append(lambda _: oci_error(403, "DENIED", "\x1b[2J\x07no\u202eevil\x9b1m"))
    with pytest.raises(Exception, match=r"^\[2Jnoevil1m$"):
        fake.registry().ping()


def test_an_answer_that_is_no_json_still_becomes_an_error_by_its_status() -> None:
    fake = FakeRegistry()
    fake.before.append(lambda _: httpx2.Response(500, content=b"<html>boom"))
    with pytest.raises(Unreachable, match="answered 500"):
        fake.registry().ping()
