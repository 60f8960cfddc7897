"""What the OCI routes share: path parameters, headers of answers, and how errors look in openapi.yaml."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, Field

from tidegate.digest import Digest
from tidegate_registry.artifacts.uploads import Upload

Name = Annotated[
    str,
    Path(description="An agent: `namespace/agent`. Other numbers of segments are refused.", examples=["acme/support"]),
]
Reference = Annotated[
    str,
    Path(description="A digest, a version (`1.2.0`) or a working tag.", examples=["1.2.0"]),
]
DigestText = Annotated[
    str, Path(description="`sha256:` or `sha512:` and lower-case hexadecimal digits.", examples=[Digest.of(b"")])
]
Session = Annotated[str, Path(description="The upload, as named in `Location`.")]
DigestQuery = Annotated[str, Query(description="The digest of the whole blob.", examples=[Digest.of(b"")])]


class OciError(BaseModel):
    """One error. `message` has every reason as text; `detail.reasons` has them as data."""

    code: str = Field(description="A code of the Distribution Spec", examples=["DENIED"])
    message: str = Field(description="What is wrong, and what to do about it")
    detail: dict[str, object] = Field(description="`reasons`: code, message, found, expected, hint, step")


class OciErrors(BaseModel):
    """The error list of the Distribution Spec."""

    errors: list[OciError]


MEANINGS = {
    400: "Malformed: name, digest, manifest or query",
    401: "A token is needed, or this one does not count; `WWW-Authenticate` says where to get one",
    403: "The caller may not, or a check said no; the message lists every reason",
    404: "There is no such thing, or none that the caller may see",
    405: "Nothing is deleted here",
    408: "The body did not arrive in time",
    409: "The version names another manifest, for ever; or another request holds the upload",
    413: "Larger than allowed",
    416: "The range cannot be satisfied, or a chunk is out of order",
    429: "Too many at once; `Retry-After` says when to come back",
    503: "The store or the database does not answer; `Retry-After` says when to come back",
    507: "The store has no room left",
}


NOT_MODIFIED = 304
STAYS_IN_304 = frozenset({b"etag", b"docker-content-digest"})
UNCHANGED: dict[int | str, dict[str, object]] = {
    NOT_MODIFIED: {"description": "`If-None-Match` names the digest that it has"}
}


def errors(*statuses: int) -> dict[int | str, dict[str, object]]:
    """Give the OpenAPI responses for these statuses; 401, 429 and 503 can always happen."""
    return {status: {"model": OciErrors, "description": MEANINGS[status]} for status in sorted({*statuses, 401, 503})}


def manifest_path(repository: str, reference: str) -> str:
    """Give the path of a manifest."""
    return f"/v2/{repository}/manifests/{quote(reference, safe=':')}"


def blob_path(repository: str, digest: Digest) -> str:
    """Give the path of a blob."""
    return f"/v2/{repository}/blobs/{digest}"


def content_headers(digest: Digest, media_type: str, size: int) -> dict[str, str]:
    """Say what the content of a digest is; `size` in bytes."""
    return {
        "Content-Length": str(size),
        "Content-Type": media_type,
        "Docker-Content-Digest": digest,
        "ETag": f'"{digest}"',
    }


def conditional(request: Request, answer: Response) -> Response:
    """Give `answer`, or 304 where `If-None-Match` says that the caller has it."""
    if not is_known(request.headers.get("if-none-match", ""), answer.headers.get("etag")):
        return answer
    kept = {name.decode(): value.decode() for name, value in answer.raw_headers if name in STAYS_IN_304}
    return Response(status_code=NOT_MODIFIED, headers=kept)


def is_known(condition: str, etag: str | None) -> bool:
    """Whether `If-None-Match` names this entity tag. Source: RFC 9110 section 13.1.2, weak comparison."""
    if etag is None:
        return False
    return condition.strip() == "*" or etag in {each.strip().removeprefix("W/") for each in condition.split(",")}


def upload_headers(upload: Upload) -> dict[str, str]:
    """Say where an upload stands."""
    return {"Location": upload.path, "Range": upload.range, "Docker-Upload-UUID": upload.id}


def created_blob(repository: str, digest: Digest) -> dict[str, str]:
    """Say where a new blob is."""
    return {"Location": blob_path(repository, digest), "Docker-Content-Digest": digest}
