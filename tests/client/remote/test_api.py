"""Tidegate's own API as the client speaks it: pages, idempotency keys, bounds."""

from __future__ import annotations

import httpx2
import pytest

from tests.client.remote.fake_registry import FakeRegistry
from tidegate.errors import Conflict, JsonInvalid, LimitExceeded
from tidegate.remote import api as module
from tidegate.remote.api import path


def test_parts_of_a_path_cannot_leave_it() -> None:
    assert path("agents", "..", "channels", "../x?y#z") == "/agents/%2E%2E/channels/..%2Fx%3Fy%23z"


def test_lists_are_read_to_their_end() -> None:
    fake = FakeRegistry()

    def pages(request: httpx2.Request) -> httpx2.Response:
        after = int(request.url.params.get("after", "0"))
        following = str(after + 2) if after < 4 else None
        return httpx2.Response(200, json={"items": [{"n": after}, {"n": after + 1}], "next": following})

    fake.before.append(pages)
    listed = fake.registry().api.items("/promotions", what="list", query={"state": "open", "agent": None})
    assert [item["n"] for item in listed] == [0, 1, 2, 3, 4, 5]
    assert [str(request.url.query, "ascii") for request in fake.requests][1] == "state=open&after=2"


def test_a_list_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAGES", 3)
    fake = FakeRegistry()
    fake.before.append(lambda _: httpx2.Response(200, json={"items": [], "next": "again"}))
    with pytest.raises(LimitExceeded):
        list(fake.registry().api.items("/promotions", what="list"))


def test_what_is_sent_twice_has_one_idempotency_key() -> None:
    fake = FakeRegistry()
    answers = [httpx2.Response(503), httpx2.Response(201, json={"id": "x"})]
    fake.before.append(lambda _: answers.pop(0))
    sent = fake.registry().api.send("POST", "/promotions", {"agent": "a/b", "reason": None}, what="x", scopes=())
    assert sent == {"id": "x"}
    keys = {request.headers["idempotency-key"] for request in fake.requests}
    assert (len(fake.requests), len(keys)) == (2, 1)
    assert fake.requests[0].read() == b'{"agent":"a/b"}'


def test_a_problem_document_is_our_error_with_its_reasons() -> None:
    fake = FakeRegistry()
    problem = {"detail": "another was faster", "reasons": [{"code": "conflict", "message": "newer"}]}
    fake.before.append(lambda _: httpx2.Response(409, json=problem))
    with pytest.raises(Conflict) as caught:
        fake.registry().api.send("POST", "/promotions", {}, what="x", scopes=())
    assert caught.value.reasons[0].code == "conflict"


def test_an_answer_that_is_no_json_is_refused() -> None:
    fake = FakeRegistry()
    fake.before.append(lambda _: httpx2.Response(200, text="<html>"))
    with pytest.raises(JsonInvalid):
        fake.registry().api.get("/promotions", what="x")
