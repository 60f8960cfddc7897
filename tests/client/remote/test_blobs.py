from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from tests.client.remote.fake_registry import HOST, NAME, FakeRegistry, blob, oci_error
from tidegate.digest import Digest
from tidegate.errors import (
    BundleRefused,
    LimitExceeded,
    Unreachable,
)
from tidegate.formats.manifest import Descriptor
from tidegate.remote.uploads import Missing


class Shown:
    """What a progress bar was told."""

    def __init__(self) -> None:
        self.missing: Missing | None = None
        self.done = 0
        self.lock = threading.Lock()

    @contextmanager
    def __call__(self, missing: Missing) -> Iterator[Shown]:
        self.missing = missing
        yield self

    def advance(self, count: int) -> None:
        with self.lock:
            self.done += count
            assert self.missing is not None
            assert 0 <= self.done <= self.missing.size, "never beyond what was to be done"


def test_only_missing_blobs_are_sent_and_progress_counts_all() -> None:
    fake = FakeRegistry(needs_token=True)
    contents = {Digest.of(data): data for data in (b"one", b"two", b"three" * 1000)}
    fake.put_blob(b"two")
    shown = Shown()
    sent = fake.registry(lambda _: "ID").push_blobs(
        NAME, [blob(data) for data in contents.values()] * 2, lambda d: io.BytesIO(contents[d]), shown
    )
    assert sent == 2
    assert fake.blobs == contents
    assert shown.missing == Missing(2, 3, 5003, 5006)
    assert shown.done == 5003


def test_a_forgotten_upload_session_is_begun_again() -> None:
    fake = FakeRegistry()
    lost = [True]
    fake.before.append(
        lambda r: oci_error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload") if r.method == "PUT" and lost.pop() else None
    )
    lost.insert(0, False)
    fake.registry().push_blobs(NAME, [blob(b"data")], lambda _: io.BytesIO(b"data"))
    assert len(fake.seen("POST", "/blobs/uploads/")) == 2
    assert fake.blobs == {Digest.of(b"data"): b"data"}


def test_an_upload_that_a_broken_request_still_holds_is_left_to_it() -> None:
    fake, shown = FakeRegistry(), Shown()
    answers = [oci_error(409, "BLOB_UPLOAD_INVALID", "busy", {"reasons": [{"code": "upload-busy", "message": "busy"}]})]
    fake.before.append(lambda r: answers.pop() if r.method == "PUT" and r.read() and answers else None)
    fake.registry().push_blobs(NAME, [blob(b"data")], lambda _: io.BytesIO(b"data"), shown)
    assert len(fake.seen("POST", "/blobs/uploads/")) == 2
    assert (fake.blobs, shown.done) == ({Digest.of(b"data"): b"data"}, 4)


def test_the_first_failed_upload_is_the_error() -> None:
    fake = FakeRegistry()
    fake.before.append(lambda r: oci_error(413, "SIZE_INVALID", "too large") if r.method == "PUT" else None)
    blobs = [blob(bytes([n])) for n in range(20)]
    with pytest.raises(LimitExceeded, match="too large"):
        fake.registry().push_blobs(NAME, blobs, lambda _: io.BytesIO(b"?"))


def test_an_upload_location_elsewhere_is_not_followed() -> None:
    fake = FakeRegistry()
    fake.before.append(
        lambda r: (
            httpx2.Response(202, headers={"Location": "https://evil.example/u"}) if "/uploads/" in str(r.url) else None
        )
    )
    with pytest.raises(Unreachable) as caught:
        fake.registry().push_blobs(NAME, [blob(b"x")], lambda _: io.BytesIO(b"x"))
    assert caught.value.reasons[0].code == "location-elsewhere"
    assert not fake.seen("PUT")


def test_a_blob_is_fetched_from_where_the_registry_redirects_without_our_token() -> None:
    fake = FakeRegistry(needs_token=True)

    def store(request: httpx2.Request) -> httpx2.Response | None:
        if request.url.host == "store.example":
            return httpx2.Response(200, content=b"data")
        authorised = request.headers.get("authorization", "").startswith("Bearer")
        location = {"Location": "https://store.example/blobs/x?X-Amz-Signature=1"}
        return httpx2.Response(307, headers=location) if "/blobs/" in request.url.path and authorised else None

    fake.before.append(store)
    assert fake.registry(lambda _: "ID").read_blob(NAME, blob(b"data"), limit=10) == b"data"
    (elsewhere,) = [r for r in fake.requests if r.url.host == "store.example"]
    assert "authorization" not in elsewhere.headers
    assert "cookie" not in elsewhere.headers


@pytest.mark.parametrize(
    ("registry", "location", "code"),
    [
        ("registry.example", "http://store.example/x", "redirect-refused"),
        ("registry.example", "https://127.0.0.1:9000/x", "store-refused"),
        (HOST, "http://169.254.169.254/latest/meta-data", "store-refused"),
        (HOST, "file:///etc/passwd", "redirect-refused"),
        (HOST, "", "redirect-refused"),
    ],
)
def test_a_redirect_to_a_worse_place_is_not_followed(registry: str, location: str, code: str) -> None:
    fake = FakeRegistry(host=registry)
    fake.before.append(lambda _: httpx2.Response(307, headers={"Location": location}))
    with pytest.raises(Unreachable) as caught:
        fake.registry().read_blob(NAME, blob(b"data"), limit=10)
    assert caught.value.reasons[0].code == code
    assert len(fake.requests) == 1


def test_a_redirect_of_anything_but_content_is_refused() -> None:
    fake = FakeRegistry()
    fake.before.append(lambda _: httpx2.Response(307, headers={"Location": "https://elsewhere.example/v2/"}))
    with pytest.raises(Exception, match="answered 307"):
        fake.registry().manifest(NAME, "1.2.0")
    assert len(fake.requests) == 1


def test_a_redirect_without_end_is_given_up() -> None:
    fake = FakeRegistry()
    fake.before.append(lambda _: httpx2.Response(307, headers={"Location": "http://127.0.0.1:9000/again"}))
    with pytest.raises(Unreachable, match="without end"):
        fake.registry().read_blob(NAME, blob(b"data"), limit=10)


@pytest.mark.parametrize("served", [b"fata", b"data!", b"dat", b""])
def test_bytes_other_than_the_digest_names_are_refused(served: bytes) -> None:
    fake = FakeRegistry()
    fake.blobs[Digest.of(b"data")] = served
    with pytest.raises(BundleRefused) as caught:
        fake.registry().read_blob(NAME, blob(b"data"), limit=10)
    assert caught.value.reasons[0].code == "blob-altered"


def test_a_blob_beyond_the_limit_is_not_even_asked_for() -> None:
    fake = FakeRegistry()
    with pytest.raises(LimitExceeded):
        fake.registry().read_blob(NAME, blob(b"data"), limit=3)
    assert fake.requests == []


def test_a_broken_download_is_resumed_where_it_broke() -> None:
    fake = FakeRegistry()
    data = bytes(range(256)) * 8192
    fake.put_blob(data)

    def breaking() -> object:
        yield data[:300_000]
        raise httpx2.ReadError("connection reset")

    first = [True]
    fake.before.append(lambda _: httpx2.Response(200, content=breaking()) if first and first.pop() else None)  # type: ignore[arg-type]
    with fake.registry().open_blob(NAME, blob(data)) as stream:
        assert stream.read() == data
    assert fake.requests[1].headers["range"] == f"bytes=300000-{len(data) - 1}"


def test_a_blob_without_end_is_cut_off_at_its_size() -> None:
    fake = FakeRegistry()
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            sent.append(1)
            yield b"x" * 1000

    fake.before.append(lambda _: httpx2.Response(200, content=endless()))
    with pytest.raises(BundleRefused) as caught:
        fake.registry().read_blob(NAME, blob(b"x" * 2500), limit=10_000)
    assert caught.value.reasons[0].code == "blob-altered"
    assert len(sent) == 3


def test_a_descriptor_that_overstates_a_size_is_noticed() -> None:
    fake = FakeRegistry()
    fake.put_blob(b"data")
    with pytest.raises(BundleRefused) as caught:
        fake.registry().read_blob(NAME, Descriptor("application/x", Digest.of(b"data"), 5), limit=10)
    assert caught.value.reasons[0].found == "4 bytes"


def test_a_part_of_a_blob_is_read_from_where_it_begins_and_the_whole_is_still_checked() -> None:
    fake, data = FakeRegistry(), bytes(range(256)) * 8192  # larger than what is read ahead
    fake.put_blob(data)
    with fake.registry().open_blob(NAME, blob(data)) as stream:
        stream.seek(1_500_000)
        assert stream.read(3) == data[1_500_000:1_500_003]
        stream.seek(7)
        assert stream.read() == data[7:]
    asked = [request.headers["range"] for request in fake.seen("GET", "/blobs/")]
    assert asked == [f"bytes=1500000-{len(data) - 1}", f"bytes=7-{len(data) - 1}"]
    fake.blobs[Digest.of(data)] = bytes(len(data))
    with fake.registry().open_blob(NAME, blob(data)) as stream, pytest.raises(BundleRefused) as caught:
        stream.read()
    assert caught.value.reasons[0].code == "blob-altered"
