"""Blobs go straight to the store of a Tidegate registry, and nothing is sent twice that is there."""

from __future__ import annotations

import io

import httpx2
import pytest

from tests.client.remote.fake_registry import HOST, NAME, FakeRegistry, blob, oci_error
from tests.client.remote.fake_store import API, STORE, FakeStore
from tests.client.remote.test_blobs import Shown
from tidegate.digest import Digest
from tidegate.errors import BundleRefused, Conflict, LimitExceeded, Unreachable
from tidegate.remote import direct
from tidegate.remote.uploads import Missing

LARGE = bytes(range(110))  # three parts of a fake store, the last one shorter
CONTENTS = {Digest.of(data): data for data in (b"one", b"two", LARGE)}


@pytest.fixture
def fake() -> FakeRegistry:
    return FakeRegistry(needs_token=True)


@pytest.fixture
def store(fake: FakeRegistry) -> FakeStore:
    return FakeStore(fake)


def push(fake: FakeRegistry, *data: bytes, shown: Shown | None = None) -> int:
    contents = {Digest.of(each): each for each in data or CONTENTS.values()}
    return fake.registry(lambda _: "ID").push_blobs(
        NAME, [blob(each) for each in contents.values()], lambda digest: io.BytesIO(contents[digest]), shown
    )


def test_what_is_missing_goes_to_the_store_and_no_credential_goes_along(fake: FakeRegistry, store: FakeStore) -> None:
    fake.put_blob(b"two")
    shown = Shown()
    assert push(fake, shown=shown) == 2
    assert fake.blobs == CONTENTS
    assert shown.missing == Missing(2, 3, 113, 116)
    assert shown.done == 113
    assert len(store.puts) == 4  # "one", and three parts
    assert {put.url.host for put in store.puts} == {STORE}
    assert not any({"authorization", "cookie"} & put.headers.keys() for put in store.puts)
    assert not fake.seen("POST", "/blobs/uploads/")


def test_not_even_a_link_to_the_registry_itself_gets_a_credential(fake: FakeRegistry, store: FakeStore) -> None:
    store.url = f"http://{HOST}/store"
    push(fake, b"data")
    assert ["authorization" in put.headers for put in store.puts] == [False]


def test_parts_that_are_there_are_not_sent_again(fake: FakeRegistry, store: FakeStore) -> None:
    store.parts[1] = LARGE[:40]
    shown = Shown()
    push(fake, LARGE, shown=shown)
    assert sorted(put.url.path for put in store.puts) == ["/b/part/2", "/b/part/3"]
    assert fake.blobs == {Digest.of(LARGE): LARGE}
    assert shown.done == 110


@pytest.mark.parametrize("trouble", [403, 404, 500, 503, httpx2.WriteError("reset"), httpx2.ReadTimeout("silent")])
def test_a_link_that_ran_out_or_a_connection_that_broke_is_not_the_end(
    fake: FakeRegistry, store: FakeStore, trouble: int | Exception
) -> None:
    store.statuses.append(trouble)
    shown = Shown()
    assert push(fake, b"data", shown=shown) == 1
    assert fake.blobs == {Digest.of(b"data"): b"data"}
    assert shown.done == 4
    assert len(store.puts) == 2


def test_a_link_that_waited_long_for_its_turn_is_asked_for_again(
    fake: FakeRegistry, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "FRESH_SECONDS", -1.0)
    push(fake, b"data")
    assert (store.plans, len(store.puts)) == (2, 1)


def test_a_412_is_no_proof_and_the_commit_decides(fake: FakeRegistry, store: FakeStore) -> None:
    store.statuses += [412]
    push(fake, b"data")
    assert (store.plans, len(store.puts)) == (2, 2)
    assert fake.blobs == {Digest.of(b"data"): b"data"}


@pytest.mark.parametrize("status", [412, 409])
def test_what_must_be_sent_again_is_counted_once(fake: FakeRegistry, store: FakeStore, status: int) -> None:
    store.statuses += [status, 200, status]
    shown = Shown()
    assert push(fake, b"one", b"four", shown=shown) == 2
    assert (shown.missing, shown.done) == (Missing(2, 2, 7, 7), 7)


def test_what_was_there_and_is_no_more_is_sent_and_not_counted(fake: FakeRegistry, store: FakeStore) -> None:
    fake.put_blob(b"four")
    store.statuses += [403]
    store.after_plan = fake.blobs.clear
    shown = Shown()
    push(fake, b"one", b"four", shown=shown)
    assert fake.blobs.keys() == {Digest.of(b"one"), Digest.of(b"four")}
    assert (shown.missing, shown.done) == (Missing(1, 2, 3, 7), 3)


def test_a_commit_waits_for_another_request_on_the_same_upload(fake: FakeRegistry, store: FakeStore) -> None:
    store.busy = 3
    assert push(fake, LARGE) == 1
    assert fake.waits == [0.25, 0.5, 1.0]
    assert fake.blobs == {Digest.of(LARGE): LARGE}


def test_a_commit_does_not_wait_for_ever(fake: FakeRegistry, store: FakeStore) -> None:
    store.busy = 1000
    with pytest.raises(Conflict) as caught:
        push(fake, LARGE)
    assert caught.value.reasons[0].code == "upload-busy"
    assert direct.SILENCE_SECONDS <= sum(fake.waits) < 2 * direct.SILENCE_SECONDS


def test_another_conflict_is_not_waited_for(fake: FakeRegistry, store: FakeStore) -> None:
    store.busy, store.busy_code = 1, "version-taken"
    with pytest.raises(Conflict):
        push(fake, b"data")
    assert fake.waits == []


def test_a_store_that_keeps_nothing_is_given_up_with_its_last_word(fake: FakeRegistry, store: FakeStore) -> None:
    store.statuses += [403] * 100
    with pytest.raises(Unreachable) as caught:
        push(fake, b"data")
    reason = caught.value.reasons[0]
    assert (reason.code, reason.found) == ("store-failed", "403: <Error><Code>AccessDenied</Code></Error>")
    assert len(store.puts) == direct.MAX_ROUNDS


def test_a_store_that_does_not_answer_is_named(fake: FakeRegistry, store: FakeStore) -> None:
    store.statuses += [httpx2.ConnectError("refused")] * 100
    with pytest.raises(Unreachable) as caught:
        push(fake, b"data")
    assert caught.value.message == f"the registry's store at http://{STORE} does not answer"


def test_a_layout_whose_bytes_changed_is_told_by_the_store(fake: FakeRegistry, store: FakeStore) -> None:
    with pytest.raises(BundleRefused) as caught:
        fake.registry(lambda _: "ID").push_blobs(NAME, [blob(b"data")], lambda _: io.BytesIO(b"DATA"))
    assert caught.value.reasons[0].code == "blob-digest"


def test_an_answer_of_the_store_that_leads_elsewhere_is_an_error(fake: FakeRegistry, store: FakeStore) -> None:
    store.statuses.append(307)
    with pytest.raises(Unreachable) as caught:
        push(fake, b"data")
    assert caught.value.reasons[0].code == "store-failed"
    assert len(store.puts) == 1


def test_many_blobs_are_planned_and_committed_in_batches(
    fake: FakeRegistry, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "MAX_BLOBS", 2)
    data = [bytes([number]) for number in range(5)]
    assert push(fake, *data) == 5
    assert store.plans == 3
    assert len(fake.blobs) == 5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 200])
def test_a_registry_that_does_not_know_this_way_is_asked_once_and_takes_blobs_itself(
    fake: FakeRegistry, status: int
) -> None:
    fake.before.append(lambda r: httpx2.Response(status, content=b"<html>") if r.url.path.startswith("/api/") else None)
    registry = fake.registry(lambda _: "ID")
    for data in (b"one", b"two"):
        registry.push_blobs(NAME, [blob(data)], lambda _, data=data: io.BytesIO(data))  # type: ignore[misc]
    assert fake.blobs == {Digest.of(data): data for data in (b"one", b"two")}
    assert len(fake.seen("POST", API)) == 1


def test_a_refusal_of_the_plan_is_the_error_and_no_byte_is_sent(fake: FakeRegistry) -> None:
    fake.before.append(
        lambda r: oci_error(413, "SIZE_INVALID", "too large") if r.url.path.startswith("/api/") else None
    )
    with pytest.raises(LimitExceeded):
        push(fake, b"data")
    assert not fake.seen("POST", "/v2/")
    assert not fake.seen("PUT")


@pytest.mark.parametrize(
    "planned",
    [
        [],
        [{"digest": Digest.of(b"other"), "state": "present"}],
        [{"digest": Digest.of(b"data"), "state": "missing"}],
        [{"digest": Digest.of(b"data"), "put": {"url": 7, "headers": {}}}],
        [{"digest": Digest.of(b"data"), "put": {"url": f"http://{HOST}/", "headers": {"x-amz-a": 1}}}],
        [{"digest": Digest.of(b"data"), "put": {"url": "http://a/", "headers": {"x-amz-a": "1", "X-Amz-A": "2"}}}],
        [{"digest": Digest.of(b"data"), "session": "s", "multipart": {"partBytes": 1, "parts": 3}}],
        [{"digest": Digest.of(b"data"), "session": "s", "multipart": {"partBytes": 1, "parts": 10**9}}],
        [{"digest": Digest.of(b"data"), "session": "s", "multipart": {"partBytes": 10**9, "parts": 2}}],
    ],
    ids=range(9),
)
def test_a_plan_that_makes_no_sense_is_refused(fake: FakeRegistry, planned: list[object]) -> None:
    fake.before.append(
        lambda r: httpx2.Response(200, json={"blobs": planned}) if r.url.path.startswith("/api/") else None
    )
    with pytest.raises(Unreachable) as caught:
        push(fake, b"data")
    assert caught.value.reasons[0].code == "plan-invalid"
