"""The probe finds a store that answers 200 and ignores what it was asked."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders

from tests.registry.world import store_settings
from tidegate_registry.storage.blobs import StoreUnavailable, StoreUnfit
from tidegate_registry.storage.s3 import S3BlobStore

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint

IGNORED = {
    "If-None-Match": "create-only PUT",
    "If-Match": "conditional replace",
    "x-amz-checksum-sha256": "checksum refusal",
}


class RawBody(io.BytesIO):
    """The body of an answer, as the HTTP library below boto3 gives it."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


def ignoring(s3: S3Endpoint, *headers: str) -> S3BlobStore:
    """The real store behind a wire on which these headers are lost: as if it did not know them."""
    store = S3BlobStore(store_settings(s3))

    def lose(request: AWSRequest, **_: object) -> None:
        for header in headers:
            del request.headers[header]

    store.client.meta.events.register("before-sign.s3.PutObject", lose)
    return store


def test_a_store_that_does_all_of_it_passes_and_keeps_nothing(s3: S3Endpoint) -> None:
    store = S3BlobStore(store_settings(s3))
    store.probe()
    assert "Contents" not in store.client.list_objects_v2(Bucket=store.bucket, Prefix=store.prefix)


@pytest.mark.parametrize("header", IGNORED)
def test_a_store_that_ignores_one_is_named_for_it_in_one_line(s3: S3Endpoint, header: str) -> None:
    store = ignoring(s3, header)
    with pytest.raises(StoreUnfit) as caught:
        store.probe()
    assert caught.value.reasons[0].code == "store-unfit"
    named = [text for text in IGNORED.values() if text in caught.value.message]
    assert named == [IGNORED[header]]
    assert "\n" not in caught.value.message
    assert "Contents" not in store.client.list_objects_v2(Bucket=store.bucket, Prefix=store.prefix)


@pytest.mark.parametrize("header", IGNORED)
def test_a_store_that_says_that_it_does_not_do_one_is_named_for_it_and_the_line_says_what_to_do(
    s3: S3Endpoint, header: str
) -> None:
    store = S3BlobStore(store_settings(s3))

    def answer(request: AWSRequest, **_: object) -> AWSResponse | None:
        if header not in request.headers:
            return None
        body = b"<Error><Code>NotImplemented</Code><Message>A header you provided implies ...</Message></Error>"
        return AWSResponse(s3.url, 501, HTTPHeaders(), RawBody(body))

    store.client.meta.events.register("before-send.s3.PutObject", answer)  # type: ignore[arg-type]  # its stub is wrong
    with pytest.raises(StoreUnfit) as caught:
        store.probe()
    (reason,) = caught.value.reasons
    assert reason.code == "store-unfit"
    assert f"{IGNORED[header]} ({header}" in reason.message
    assert "501, not implemented" in reason.message
    assert reason.found == s3.url
    assert "choose another" in (reason.hint or "")


def test_all_that_is_missing_is_named(s3: S3Endpoint) -> None:
    with pytest.raises(StoreUnfit) as caught:
        ignoring(s3, *IGNORED).probe()
    assert all(text in caught.value.message for text in IGNORED.values())


def test_a_bucket_that_is_not_there_is_unavailable(s3: S3Endpoint) -> None:
    store = S3BlobStore(store_settings(s3).model_copy(update={"bucket": "no-such-bucket"}))
    with pytest.raises(StoreUnavailable) as caught:
        store.probe()
    assert caught.value.reasons[0].code == "store-unavailable"
