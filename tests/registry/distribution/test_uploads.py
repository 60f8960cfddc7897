"""Distribution Spec 1.1, "Pushing blobs": whole, in chunks, by mount; begun, resumed, cancelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx2
import pytest

from tests.registry.distribution.oci import OCTETS, codes, digest_of, image, push_blob, unique
from tests.registry.world import AGENT, PUBLISHER_OF_BOTH, SIBLING, World

UPLOADS = f"/v2/{AGENT}/blobs/uploads/"
CHUNK = 1024
ALGORITHMS = pytest.mark.parametrize("algorithm", ["sha256", "sha512"])


@pytest.fixture
def both(registry: World) -> httpx2.Client:
    """A client of somebody who may publish to two agents of the namespace."""
    return registry.client(PUBLISHER_OF_BOTH)


def begin(client: httpx2.Client, **params: str) -> str:
    answer = client.post(UPLOADS, params=params, headers={"Content-Length": "0"})
    assert answer.status_code == 202
    return location(answer)


def location(answer: httpx2.Response) -> str:
    """Where to go on. It may be absolute or a path, as the spec says; httpx resolves either."""
    where: str = answer.headers["location"]
    assert where.startswith(("/", "http://"))
    return where


def patch(client: httpx2.Client, where: str, data: bytes, start: int) -> httpx2.Response:
    headers = {"Content-Type": OCTETS, "Content-Range": f"{start}-{start + len(data) - 1}"}
    return client.patch(where, content=data, headers=headers)


def check_there(client: httpx2.Client, answer: httpx2.Response, content: bytes, algorithm: str = "sha256") -> None:
    assert answer.status_code == 201, answer.text
    assert answer.headers["docker-content-digest"] == digest_of(content, algorithm)
    assert client.get(location(answer), follow_redirects=True).content == content


def post_only(client: httpx2.Client, content: bytes, digest: str) -> httpx2.Response:
    return client.post(UPLOADS, params={"digest": digest}, content=content, headers={"Content-Type": OCTETS})


def post_put(client: httpx2.Client, content: bytes, digest: str) -> httpx2.Response:
    return client.put(begin(client), params={"digest": digest}, content=content, headers={"Content-Type": OCTETS})


def in_one_stream(client: httpx2.Client, content: bytes, digest: str) -> httpx2.Response:
    def stream() -> Iterator[bytes]:
        yield content[:100]
        yield content[100:]

    answer = client.patch(begin(client), content=stream(), headers={"Content-Type": OCTETS})
    assert answer.status_code == 202
    assert answer.headers["range"] == f"0-{len(content) - 1}"
    return client.put(location(answer), params={"digest": digest})


def in_chunks(client: httpx2.Client, content: bytes, digest: str) -> httpx2.Response:
    where = begin(client)
    for start in range(0, len(content), CHUNK):
        answer = patch(client, where, content[start : start + CHUNK], start)
        assert answer.status_code == 202
        assert answer.headers["range"] == f"0-{min(start + CHUNK, len(content)) - 1}"
        where = location(answer)
    return client.put(where, params={"digest": digest})


def last_chunk_in_put(client: httpx2.Client, content: bytes, digest: str) -> httpx2.Response:
    where = location(patch(client, begin(client), content[:CHUNK], 0))
    headers = {"Content-Type": OCTETS, "Content-Range": f"{CHUNK}-{len(content) - 1}"}
    return client.put(where, params={"digest": digest}, content=content[CHUNK:], headers=headers)


WAYS = pytest.mark.parametrize("send", [post_only, post_put, in_one_stream, in_chunks, last_chunk_in_put])
Send = Callable[[httpx2.Client, bytes, str], httpx2.Response]


class TestWaysToSend:
    @WAYS
    @ALGORITHMS
    def test_each_stores_the_blob_also_if_it_is_there(
        self, publisher: httpx2.Client, send: Send, algorithm: str
    ) -> None:
        content = unique(3 * CHUNK - 5)
        for _ in range(2):
            check_there(publisher, send(publisher, content, digest_of(content, algorithm)), content, algorithm)

    @WAYS
    @ALGORITHMS
    def test_none_stores_a_blob_under_another_digest(
        self, publisher: httpx2.Client, send: Send, algorithm: str
    ) -> None:
        content = unique(3 * CHUNK - 5)
        digest = digest_of(content, algorithm)
        answer = send(publisher, content + b"oh no", digest)
        assert (answer.status_code, codes(answer)) == (400, ["DIGEST_INVALID"])
        assert publisher.head(f"/v2/{AGENT}/blobs/{digest}").status_code == 404

    @ALGORITHMS
    def test_a_blob_of_no_bytes_is_a_blob(self, publisher: httpx2.Client, algorithm: str) -> None:
        for send in (post_only, post_put):
            check_there(publisher, send(publisher, b"", digest_of(b"", algorithm)), b"", algorithm)


class TestChunks:
    @pytest.mark.parametrize("method", ["PATCH", "PUT"])
    def test_out_of_order_are_416_and_the_upload_goes_on(self, publisher: httpx2.Client, method: str) -> None:
        content = unique(2 * CHUNK)
        where = location(patch(publisher, begin(publisher), content[:CHUNK], 0))
        params = {"digest": digest_of(content)} if method == "PUT" else {}
        for start in (0, CHUNK - 1, CHUNK + 1, 2 * CHUNK):
            headers = {"Content-Type": OCTETS, "Content-Range": f"{start}-{start + CHUNK - 1}"}
            wrong = publisher.request(method, where, params=params, content=content[:CHUNK], headers=headers)
            assert (wrong.status_code, codes(wrong)) == (416, ["BLOB_UPLOAD_INVALID"])
            assert (wrong.headers["range"], location(wrong)) == (f"0-{CHUNK - 1}", where)
            asked = publisher.get(where)
            assert (asked.status_code, asked.headers["range"]) == (204, f"0-{CHUNK - 1}")
        where = location(patch(publisher, location(asked), content[CHUNK:], CHUNK))
        check_there(publisher, publisher.put(where, params={"digest": digest_of(content)}), content)

    def test_begin_at_zero(self, publisher: httpx2.Client) -> None:
        where, content = begin(publisher), unique(CHUNK)
        assert patch(publisher, where, content, CHUNK).status_code == 416
        assert publisher.get(where).headers["range"] == "0-0"
        assert patch(publisher, where, content, 0).status_code == 202

    def test_that_break_off_are_resumed_where_get_says(self, publisher: httpx2.Client) -> None:
        content = unique(3 * CHUNK)
        where = begin(publisher)
        patch(publisher, where, content[: CHUNK + 7], 0)
        asked = publisher.get(where)
        assert (asked.status_code, asked.content) == (204, b"")
        start = int(asked.headers["range"].removeprefix("0-")) + 1
        assert start == CHUNK + 7
        where = location(patch(publisher, location(asked), content[start:], start))
        check_there(publisher, publisher.put(where, params={"digest": digest_of(content)}), content)

    def test_with_a_range_that_is_none_are_refused(self, publisher: httpx2.Client) -> None:
        where = begin(publisher)
        for given in ("5-1", "a-b", "0", "-5"):
            answer = publisher.patch(where, content=b"x", headers={"Content-Range": given})
            assert (answer.status_code, codes(answer)) == (400, ["BLOB_UPLOAD_INVALID"])
        assert publisher.get(where).headers["range"] == "0-0"

    def test_must_be_as_long_as_they_say(self, publisher: httpx2.Client) -> None:
        where = begin(publisher)
        answer = publisher.patch(where, content=b"four", headers={"Content-Range": "0-9"})
        assert (answer.status_code, codes(answer)) == (400, ["SIZE_INVALID"])
        assert publisher.get(where).headers["range"] == "0-0"


class TestSessions:
    def test_have_a_location_of_their_own(self, publisher: httpx2.Client) -> None:
        assert begin(publisher) != begin(publisher)

    def test_are_cancelled_with_204_and_gone(self, publisher: httpx2.Client) -> None:
        where = begin(publisher)
        patch(publisher, where, unique(CHUNK), 0)
        answer = publisher.delete(where)
        assert (answer.status_code, answer.content) == (204, b"")
        for after in (publisher.get(where), publisher.patch(where, content=b"x"), publisher.delete(where)):
            assert (after.status_code, codes(after)) == (404, ["BLOB_UPLOAD_UNKNOWN"])

    def test_end_with_the_blob(self, publisher: httpx2.Client) -> None:
        where, content = begin(publisher), unique()
        assert publisher.put(where, params={"digest": digest_of(content)}, content=content).status_code == 201
        assert publisher.get(where).status_code == 404

    def test_are_not_closed_without_a_digest(self, publisher: httpx2.Client) -> None:
        where = begin(publisher)
        for params, code in (({}, "UNSUPPORTED"), ({"digest": "sha256:abc"}, "DIGEST_INVALID")):
            answer = publisher.put(where, params=params, content=b"x")
            assert (answer.status_code, codes(answer)) == (400, [code])


class TestMounts:
    @ALGORITHMS
    @pytest.mark.parametrize("source", [{"from": SIBLING}, {}], ids=["named", "anonymous"])
    def test_take_a_blob_of_another_repository(
        self, both: httpx2.Client, source: dict[str, str], algorithm: str
    ) -> None:
        content = unique()
        digest = push_blob(both, SIBLING, content, algorithm)
        assert both.head(f"/v2/{AGENT}/blobs/{digest}").status_code == 404
        check_there(both, both.post(UPLOADS, params={"mount": digest} | source), content, algorithm)

    @pytest.mark.parametrize("source", [{"from": SIBLING}, {"from": "acme/nothing"}, {"from": "../.."}, {}])
    def test_of_what_is_not_there_become_uploads(self, both: httpx2.Client, source: dict[str, str]) -> None:
        content = unique()
        answer = both.post(UPLOADS, params={"mount": digest_of(content)} | source)
        assert answer.status_code == 202
        finished = both.put(location(answer), params={"digest": digest_of(content)}, content=content)
        check_there(both, finished, content)

    def test_of_what_the_caller_may_not_read_become_uploads(self, registry: World, publisher: httpx2.Client) -> None:
        neighbour = registry.client("neighbour")
        hidden, shown = image(unique()), image(unique())
        hidden.push(neighbour, SIBLING)
        shown.push(neighbour, SIBLING, "1.0.0")
        for content, status in ((hidden, 202), (shown, 201)):
            params = {"mount": digest_of(content.blobs[0]), "from": SIBLING}
            assert publisher.post(UPLOADS, params=params).status_code == status
