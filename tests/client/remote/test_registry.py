from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator

import httpx2
import pytest

from tests.client.remote.fake_registry import HOST, NAME, FakeRegistry, oci_error
from tidegate.digest import Digest
from tidegate.errors import (
    AccessDenied,
    AdmissionRefused,
    BundleRefused,
    Conflict,
    EvidenceRefused,
    InvalidInput,
    LimitExceeded,
    NotFound,
    Reason,
    Unauthenticated,
    Unreachable,
)
from tidegate.formats.manifest import EMPTY_DESCRIPTOR, Descriptor, Manifest, evidence_manifest
from tidegate.formats.mediatypes import OCI_MANIFEST, SIGSTORE_BUNDLE
from tidegate.remote.address import RegistryAddress
from tidegate.remote.transport import MAX_ATTEMPTS


def blob(data: bytes) -> Descriptor:
    return Descriptor("application/octet-stream", Digest.of(data), len(data))


def some_manifest() -> Manifest:
    return evidence_manifest(b"bundle", Descriptor(OCI_MANIFEST, Digest.of(b"x"), 1), "https://example.org/p")


def identity_noting(asked: list[str]) -> Callable[[str], str]:
    def identity(audience: str) -> str:
        asked.append(audience)
        return "ID"

    return identity


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("localhost:5000", "http://localhost:5000"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("Registry.Example", "https://registry.example"),
        ("registry.example:443", "https://registry.example"),
        ("https://registry.example/", "https://registry.example"),
        ("127.0.0.1.registry.example", "https://127.0.0.1.registry.example"),
        ("localhost.registry.example:80", "https://localhost.registry.example:80"),
    ],
)
def test_only_this_machine_is_spoken_to_over_http(text: str, url: str) -> None:
    assert RegistryAddress.parse(text).url == url


def test_http_to_another_machine_is_refused_unless_asked_for() -> None:
    with pytest.raises(InvalidInput) as caught:
        RegistryAddress.parse("http://registry.example")
    assert caught.value.reasons[0].code == "plain-http-refused"
    assert RegistryAddress.parse("registry.example", plain_http=True).url == "http://registry.example"


@pytest.mark.parametrize("text", ["", "a b", "user@host", "host/path", "ftp://host", "host:99999", "-host", "host?x"])
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        RegistryAddress.parse(text)


def test_an_identity_token_is_exchanged_once_for_all_requests_of_a_scope() -> None:
    fake = FakeRegistry(needs_token=True)
    asked: list[str] = []
    registry = fake.registry(identity_noting(asked))
    digest = fake.put_blob(b"data")
    for _ in range(3):
        assert registry.read_blob(NAME, blob(b"data"), limit=10) == b"data"
    assert asked == [f"http://{HOST}"]  # the registry's own URL is the audience, whatever the challenge says
    assert [r.headers["authorization"] for r in fake.seen("GET", digest)[1:]] == [
        f"Bearer token-for-oidc:ID-repository:{NAME}:pull"
    ] * 3


def test_a_challenge_that_names_another_server_gets_no_token() -> None:
    fake = FakeRegistry()
    fake.before.append(
        lambda _: oci_error(
            401, "UNAUTHORIZED", "no", headers={"WWW-Authenticate": 'Bearer realm="https://evil.example/t"'}
        )
    )
    asked: list[str] = []
    with pytest.raises(Unauthenticated) as caught:
        fake.registry(identity_noting(asked)).ping()
    assert caught.value.reasons[0].code == "challenge-elsewhere"
    assert asked == []
    assert {r.url.host for r in fake.requests} == {"127.0.0.1"}


@pytest.mark.parametrize("header", [None, 'Basic realm="x"', "Bearer " + "x" * 5000])
def test_a_challenge_that_is_not_understood_is_an_error(header: str | None) -> None:
    fake = FakeRegistry()
    headers = {"WWW-Authenticate": header} if header else None
    fake.before.append(lambda _: oci_error(401, "UNAUTHORIZED", "no", headers=headers))
    with pytest.raises(Unauthenticated) as caught:
        fake.registry().ping()
    assert caught.value.reasons[0].code == "challenge-unknown"


def test_a_refused_identity_token_is_told_in_the_registrys_words() -> None:
    fake = FakeRegistry(needs_token=True)
    with pytest.raises(Unauthenticated, match="the identity token has expired"):
        fake.registry(lambda _: "expired").ping()


def test_a_stranger_who_is_turned_away_hears_how_to_log_in() -> None:
    fake = FakeRegistry()
    fake.before.append(
        lambda r: (
            oci_error(
                401,
                "UNAUTHORIZED",
                "who are you?",
                headers={"WWW-Authenticate": f'Bearer realm="http://{HOST}/v2/token"'},
            )
            if r.url.path != "/v2/token"
            else None
        )
    )
    with pytest.raises(Unauthenticated) as caught:
        fake.registry().ping()
    assert "tidegate login" in (caught.value.hint or "")


def test_a_token_that_no_longer_counts_is_replaced() -> None:
    fake = FakeRegistry(needs_token=True)
    registry = fake.registry(lambda _: "ID")
    registry.ping()
    tokens = len(fake.seen("GET", "/v2/token"))
    challenge = f'Bearer realm="http://{HOST}/v2/token"'
    once = [oci_error(401, "UNAUTHORIZED", "expired", headers={"WWW-Authenticate": challenge})]
    fake.before.append(lambda _: once.pop() if once else None)
    registry.ping()
    assert len(fake.seen("GET", "/v2/token")) == tokens + 1


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


def test_only_missing_blobs_are_sent_and_progress_counts_all() -> None:
    fake = FakeRegistry(needs_token=True)
    contents = {Digest.of(data): data for data in (b"one", b"two", b"three" * 1000)}
    fake.put_blob(b"two")
    done: list[int] = []

    class Count:
        def advance(self, count: int) -> None:
            done.append(count)

    sent = fake.registry(lambda _: "ID").push_blobs(
        NAME, [blob(data) for data in contents.values()] * 2, lambda d: io.BytesIO(contents[d]), Count()
    )
    assert sent == 2
    assert fake.blobs == contents
    assert sum(done) == sum(map(len, contents.values()))


def test_a_forgotten_upload_session_is_begun_again() -> None:
    fake = FakeRegistry()
    lost = [True]
    fake.before.append(
        lambda r: oci_error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload") if r.method == "PUT" and lost.pop() else None
    )
    lost.insert(0, False)
    fake.registry().push_blobs(NAME, [blob(b"data")], lambda _: io.BytesIO(b"data"))
    assert len(fake.seen("POST")) == 2
    assert fake.blobs == {Digest.of(b"data"): b"data"}


def test_the_first_failed_upload_is_the_error() -> None:
    fake = FakeRegistry()
    fake.before.append(lambda r: oci_error(413, "SIZE_INVALID", "too large") if r.method == "PUT" else None)
    blobs = [blob(bytes([n])) for n in range(20)]
    with pytest.raises(LimitExceeded, match="too large"):
        fake.registry().push_blobs(NAME, blobs, lambda _: io.BytesIO(b"?"))


def test_an_upload_location_elsewhere_is_not_followed() -> None:
    fake = FakeRegistry()
    fake.before.append(
        lambda r: httpx2.Response(202, headers={"Location": "https://evil.example/u"}) if r.method == "POST" else None
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
    ("registry", "location"),
    [
        ("registry.example", "http://store.example/x"),
        ("registry.example", "https://127.0.0.1:9000/x"),
        (HOST, "file:///etc/passwd"),
        (HOST, ""),
    ],
)
def test_a_redirect_to_a_worse_place_is_not_followed(registry: str, location: str) -> None:
    fake = FakeRegistry(host=registry)
    fake.before.append(lambda _: httpx2.Response(307, headers={"Location": location}))
    with pytest.raises(Unreachable) as caught:
        fake.registry().read_blob(NAME, blob(b"data"), limit=10)
    assert caught.value.reasons[0].code == "redirect-refused"
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
    assert fake.requests[1].headers["range"] == "bytes=300000-"


def test_another_manifest_than_the_digest_names_is_refused() -> None:
    fake = FakeRegistry()
    manifest = some_manifest()
    wanted = Digest.of(b"wanted")
    fake.manifests[wanted] = (OCI_MANIFEST, manifest.raw)
    with pytest.raises(BundleRefused) as caught:
        fake.registry().manifest(NAME, wanted)
    assert caught.value.reasons[0].code == "manifest-altered"


def test_a_version_gives_the_manifest_with_its_exact_bytes() -> None:
    fake = FakeRegistry()
    manifest = some_manifest()
    assert fake.registry().push_manifest(NAME, manifest, version="1.2.0").event == "e-1"
    assert fake.registry().manifest(NAME, "1.2.0").raw == manifest.raw
    assert fake.registry().resolve(NAME, "1.2.0") == manifest.digest
    assert fake.registry().resolve(NAME, "9.9.9") is None
    assert fake.registry().has_manifest(NAME, manifest.digest)


def test_referrers_are_listed_over_all_pages_and_filtered_here() -> None:
    fake = FakeRegistry(page_size=2)
    subject = Digest.of(b"subject")
    kinds = [SIGSTORE_BUNDLE, "application/other", SIGSTORE_BUNDLE, SIGSTORE_BUNDLE, "application/other"]
    fake.referrers[subject] = [
        {**EMPTY_DESCRIPTOR.as_json(), "mediaType": OCI_MANIFEST, "artifactType": kind} for kind in kinds
    ]
    registry = fake.registry()
    assert len(registry.referrers(NAME, subject)) == 5
    assert len(registry.referrers(NAME, subject, SIGSTORE_BUNDLE)) == 3


def test_tags_are_listed_over_all_pages() -> None:
    fake = FakeRegistry(page_size=1)
    for version in ("1.0.0", "1.1.0", "2.0.0"):
        fake.registry().push_manifest(NAME, some_manifest(), version=version)
    assert fake.registry().tags(NAME) == ("1.0.0", "1.1.0", "2.0.0")


def test_pages_that_lead_elsewhere_or_never_end_are_refused() -> None:
    fake = FakeRegistry()
    body = json.dumps({"tags": []}).encode()
    fake.before.append(
        lambda _: httpx2.Response(200, content=body, headers={"Link": '<https://evil.example/>; rel="next"'})
    )
    with pytest.raises(Unreachable) as caught:
        fake.registry().tags(NAME)
    assert caught.value.reasons[0].code == "location-elsewhere"
    fake.before[:] = [lambda r: httpx2.Response(200, content=body, headers={"Link": f'<{r.url.path}>; rel="next"'})]
    with pytest.raises(LimitExceeded, match="no end of pages"):
        fake.registry().tags(NAME)


def test_a_challenge_cannot_choose_the_audience() -> None:
    fake = FakeRegistry()
    header = {"WWW-Authenticate": f'Bearer realm="http://{HOST}/v2/token",service="sigstore",scope="sigstore"'}
    once = [oci_error(401, "UNAUTHORIZED", "who are you?", headers=header)]
    fake.before.append(lambda r: once.pop() if once and r.url.path == "/v2/" else None)
    asked: list[str] = []
    fake.registry(identity_noting(asked)).ping()
    assert asked == [f"http://{HOST}"]


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


def test_a_registry_that_stores_something_else_is_noticed() -> None:
    fake = FakeRegistry()
    headers = {"Docker-Content-Digest": Digest.of(b"other")}
    fake.before.append(lambda _: httpx2.Response(201, headers=headers))
    with pytest.raises(Conflict):
        fake.registry().push_manifest(NAME, some_manifest())


def test_a_version_that_is_not_there_is_named_with_what_may_hide_it() -> None:
    fake = FakeRegistry()
    with pytest.raises(NotFound, match=rf"^{fake.host}/acme/greeter:9\.9\.9 is not there$") as caught:
        fake.registry(identity_noting([])).manifest("acme/greeter", "9.9.9")
    assert caught.value.reasons[0].code == "not-found"
    assert "quarantine" in (caught.value.hint or "")
