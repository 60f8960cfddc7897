"""Distribution Spec 1.1, "Error Codes" and "Determining Support": what every answer that says no looks like."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from tests.registry.distribution.oci import codes, digest_of, image, unique
from tests.registry.world import AGENT, READER, World, running_world
from tidegate_registry.sandbox.s3 import S3Endpoint
from tidegate_registry.settings import Limits

NOWHERE = digest_of(b"nobody pushed this")


def test_the_base_is_200_with_a_token_and_a_challenge_without(registry: World, publisher: httpx2.Client) -> None:
    assert publisher.get("/v2/").status_code == 200
    answer = registry.client(None).get("/v2/")
    assert (answer.status_code, codes(answer)) == (401, ["UNAUTHORIZED"])
    assert answer.headers["www-authenticate"].startswith("Bearer realm=")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"/v2/{AGENT}/manifests/{NOWHERE}", 404, "MANIFEST_UNKNOWN"),
        ("GET", f"/v2/{AGENT}/manifests/missing", 404, "MANIFEST_UNKNOWN"),
        ("GET", f"/v2/{AGENT}/blobs/{NOWHERE}", 404, "BLOB_UNKNOWN"),
        ("GET", f"/v2/{AGENT}/blobs/sha256:bad", 400, "DIGEST_INVALID"),
        ("GET", f"/v2/{AGENT}/blobs/uploads/nothing", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("GET", f"/v2/{AGENT}/tags/list", 404, "NAME_UNKNOWN"),
        ("GET", f"/v2/{AGENT}/tags/list?n=x", 400, "UNSUPPORTED"),
        ("PUT", f"/v2/{AGENT}/manifests/sha256:bad", 400, "DIGEST_INVALID"),
        ("PUT", f"/v2/{AGENT}/manifests/image", 400, "MANIFEST_INVALID"),
        ("POST", f"/v2/{AGENT}/blobs/uploads/?digest=sha256:bad", 400, "DIGEST_INVALID"),
        ("POST", f"/v2/{AGENT}/blobs/uploads/?mount=bad", 400, "DIGEST_INVALID"),
        ("POST", "/v2/acme/uncharted/blobs/uploads/", 403, "DENIED"),
        ("GET", "/v2/Acme/Support/tags/list", 400, "NAME_INVALID"),
        ("GET", "/v2/acme/a/b/tags/list", 400, "NAME_INVALID"),
        ("GET", "/v2/alone/manifests/latest", 400, "NAME_INVALID"),
        ("DELETE", f"/v2/{AGENT}/blobs/{NOWHERE}", 405, "UNSUPPORTED"),
        ("PATCH", f"/v2/{AGENT}/manifests/image", 405, "UNSUPPORTED"),
        ("GET", "/v2/_nothing/of/ours", 404, "NAME_UNKNOWN"),
    ],
)
def test_what_is_wrong_has_the_code_that_the_spec_has_for_it(
    publisher: httpx2.Client, method: str, path: str, status: int, code: str
) -> None:
    answer = publisher.request(method, path)
    assert (answer.status_code, codes(answer)) == (status, [code])


def test_a_push_without_a_token_is_challenged_and_with_a_readers_it_is_denied(registry: World) -> None:
    content = image(unique())
    requests = [("POST", f"/v2/{AGENT}/blobs/uploads/"), ("PUT", f"/v2/{AGENT}/manifests/{content.digest}")]
    for method, path in requests:
        challenged = registry.client(None).request(method, path)
        assert (challenged.status_code, codes(challenged)) == (401, ["UNAUTHORIZED"])
        assert f'scope="repository:{AGENT}:pull,push"' in challenged.headers["www-authenticate"]
        denied = registry.client(READER).request(method, path)
        assert (denied.status_code, codes(denied)) == (403, ["DENIED"])


def test_too_many_uploads_at_once_are_429_with_a_time_to_come_back(
    s3: S3Endpoint, database_url: str, tmp_path: Path
) -> None:
    with running_world(s3, database_url, tmp_path, limits=Limits(uploads_in_flight=1)) as world:
        client = world.client()
        path = f"/v2/{AGENT}/blobs/uploads/"
        assert client.post(path).status_code == 202
        answer = client.post(path)
        assert (answer.status_code, codes(answer)) == (429, ["TOOMANYREQUESTS"])
        assert int(answer.headers["retry-after"]) > 0
