"""Errors to HTTP, once: OCI error lists under /v2/, RFC 9457 problem documents elsewhere.

Handlers and services raise the classes of `tidegate.errors`; this table alone knows what status they get. The text of
a 500 says nothing of what happened: that is in the log, under the request id which the answer repeats.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, Route

from tidegate.errors import (
    BundleRefused,
    Conflict,
    DigestInvalid,
    EvidenceRefused,
    InvalidInput,
    LimitExceeded,
    ManifestInvalid,
    NotFound,
    Reason,
    ReferenceInvalid,
    Refusal,
    TidegateError,
    TrustFileInvalid,
    Unauthenticated,
    Unreachable,
)
from tidegate_registry.access.challenge import LoginNeeded
from tidegate_registry.artifacts import errors as oci
from tidegate_registry.audit.refusals import record_refusal
from tidegate_registry.audit.static import LogBusy
from tidegate_registry.db import DatabaseFull
from tidegate_registry.keeping.quota import QuotaExceeded
from tidegate_registry.logs import get_logger
from tidegate_registry.policies.errors import PolicyStale, PolicyUnconditional, TooManyQuestions
from tidegate_registry.policies.source import PolicyUnusable
from tidegate_registry.storage.blobs import StoreFull
from tidegate_registry.storage.uploads import DigestDiffers, UploadLost

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from starlette.responses import Response

log = get_logger()

OCI_PREFIX = "/v2/"
PROBLEM_JSON = "application/problem+json"
RETRY_SECONDS = 5  # a wait that lets a burst pass; clients add their own jitter


@dataclass(frozen=True, slots=True)
class Rendered:
    """How a class of errors is told: HTTP status, OCI code, and whether trying again later can help."""

    status: int
    oci: str
    retry: bool = False


# the most special class in an error's MRO decides
RENDERED: dict[type[BaseException], Rendered] = {
    InvalidInput: Rendered(400, "MANIFEST_INVALID"),
    TrustFileInvalid: Rendered(503, "TOOMANYREQUESTS", retry=True),  # the operator's file, never a caller's
    ReferenceInvalid: Rendered(400, "NAME_INVALID"),
    DigestInvalid: Rendered(400, "DIGEST_INVALID"),
    DigestDiffers: Rendered(400, "DIGEST_INVALID"),
    ManifestInvalid: Rendered(400, "MANIFEST_INVALID"),
    oci.QueryInvalid: Rendered(400, "UNSUPPORTED"),
    oci.ManifestBlobUnknown: Rendered(404, "MANIFEST_BLOB_UNKNOWN"),
    oci.UploadInvalid: Rendered(400, "BLOB_UPLOAD_INVALID"),
    oci.SizeDiffers: Rendered(400, "SIZE_INVALID"),
    Unauthenticated: Rendered(401, "UNAUTHORIZED"),
    Refusal: Rendered(403, "DENIED"),
    EvidenceRefused: Rendered(403, "DENIED"),
    BundleRefused: Rendered(400, "MANIFEST_INVALID"),
    NotFound: Rendered(404, "NAME_UNKNOWN"),
    oci.RepositoryUnknown: Rendered(404, "NAME_UNKNOWN"),
    oci.ManifestUnknown: Rendered(404, "MANIFEST_UNKNOWN"),
    oci.BlobUnknown: Rendered(404, "BLOB_UNKNOWN"),
    oci.RangeNotSatisfiable: Rendered(416, "SIZE_INVALID"),
    oci.UploadUnknown: Rendered(404, "BLOB_UPLOAD_UNKNOWN"),
    UploadLost: Rendered(404, "BLOB_UPLOAD_UNKNOWN"),
    Conflict: Rendered(409, "DENIED"),
    oci.UploadBusy: Rendered(409, "BLOB_UPLOAD_INVALID"),
    oci.ChunkOutOfOrder: Rendered(416, "BLOB_UPLOAD_INVALID"),
    TooManyQuestions: Rendered(429, "TOOMANYREQUESTS", retry=True),
    LogBusy: Rendered(429, "TOOMANYREQUESTS", retry=True),
    PolicyStale: Rendered(412, "DENIED"),  # RFC 9110 section 15.5.13: the If-Match does not hold
    PolicyUnconditional: Rendered(428, "DENIED"),  # RFC 6585 section 3
    PolicyUnusable: Rendered(503, "TOOMANYREQUESTS", retry=True),  # the operator's matter, never a caller's
    LimitExceeded: Rendered(413, "SIZE_INVALID"),
    oci.TooManyUploads: Rendered(429, "TOOMANYREQUESTS", retry=True),
    oci.TooMuchStaged: Rendered(429, "TOOMANYREQUESTS", retry=True),
    oci.ManifestTooLarge: Rendered(413, "MANIFEST_INVALID"),
    oci.TooManyReferrers: Rendered(403, "DENIED"),
    oci.TooMuchEvidence: Rendered(403, "DENIED"),
    QuotaExceeded: Rendered(403, "DENIED"),
    oci.ReferrerTooLarge: Rendered(413, "MANIFEST_INVALID"),
    oci.DeletesRefused: Rendered(405, "UNSUPPORTED"),
    oci.RequestTimeout: Rendered(408, "TOOMANYREQUESTS"),
    Unreachable: Rendered(503, "TOOMANYREQUESTS", retry=True),
    DatabaseFull: Rendered(507, "TOOMANYREQUESTS", retry=True),
    StoreFull: Rendered(507, "TOOMANYREQUESTS", retry=True),
    TidegateError: Rendered(500, "UNSUPPORTED"),
}
STATUS_CODES = {404: "NAME_UNKNOWN", 405: "UNSUPPORTED", 413: "SIZE_INVALID"}  # what the router itself answers


def install(app: FastAPI) -> None:
    """Register the handlers. They are plain functions: Starlette runs them in a thread, as they write an entry."""
    app.add_exception_handler(TidegateError, _render_known)
    app.add_exception_handler(RequestValidationError, _render_validation)
    app.add_exception_handler(HTTPException, _render_http)
    app.add_exception_handler(ClientDisconnect, _render_disconnect)


def _render_disconnect(request: Request, error: Exception) -> Response:
    """Answer somebody who is gone: nobody reads it, and it is no fault to be logged."""
    return _answer(request, Rendered(400, "BLOB_UPLOAD_INVALID"), (_DISCONNECTED,), str(error) or _DISCONNECTED.message)


def rendered(error: BaseException) -> Rendered:
    """Look up how `error` is told."""
    return next(RENDERED[kind] for kind in type(error).__mro__ if kind in RENDERED)


def _render_known(request: Request, error: Exception) -> Response:
    if not isinstance(error, TidegateError):
        raise TypeError("registered for TidegateError only")
    shape = rendered(error)
    if shape.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request.fault", code=error.reasons[0].code, message=str(error), found=error.reasons[0].found)
        return _answer(request, shape, _FAULT, _FAULT[0].message)
    record_refusal(request, error, status=shape.status)
    headers: dict[str, str] = {}
    if isinstance(error, LoginNeeded):
        headers["WWW-Authenticate"] = error.challenge
    if isinstance(error, oci.ChunkOutOfOrder | oci.RangeNotSatisfiable):
        headers |= error.headers
    if shape.retry:
        headers["Retry-After"] = str(RETRY_SECONDS)
    return _answer(request, shape, error.reasons, str(error), headers)


_DISCONNECTED = Reason(code="client-disconnected", message="the client went away before its request was complete")
_FAULT = (
    Reason(
        code="internal-error",
        message="the registry failed; nothing was changed",
        hint="tell the operator the request id from the X-Request-Id header",
    ),
)


def render_fault(request: Request, error: Exception) -> Response:
    """Answer a request whose handler failed in a way that nobody foresaw, and log what happened."""
    log.error("request.fault", exc_info=error)
    return _answer(request, RENDERED[TidegateError], _FAULT, _FAULT[0].message)


def _render_validation(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise TypeError("registered for RequestValidationError only")
    reasons = tuple(
        Reason(code="parameter-invalid", message=f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}")
        for item in error.errors()
    )
    status = 400 if request.url.path.startswith(OCI_PREFIX) else 422
    refused = InvalidInput("the request is not of the form it must have")
    refused.reasons = reasons or refused.reasons
    record_refusal(request, refused, status=status)
    return _answer(request, Rendered(status, "UNSUPPORTED"), refused.reasons, refused.message)


def _render_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError("registered for HTTPException only")
    reason = {
        404: Reason(code="no-such-route", message=f"nothing is served at {request.url.path[:200]}"),
        405: Reason(code="method-not-allowed", message=f"{request.method} is not possible here"),
    }.get(error.status_code, Reason(code="request-refused", message=HTTPStatus(error.status_code).phrase))
    shape = Rendered(error.status_code, STATUS_CODES.get(error.status_code, "UNSUPPORTED"))
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_allowed(request, request.app.routes)))
    return _answer(request, shape, (reason,), reason.message, headers)


def _allowed(request: Request, routes: Iterable[BaseRoute]) -> set[str]:
    """Give the methods of all routes with this path; Starlette names those of the first. Source: RFC 9110, 15.5.6."""
    found: set[str] = set()
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is not None:  # a router within a router
            found |= _allowed(request, included.routes)
        elif isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return found


def _answer(
    request: Request, shape: Rendered, reasons: Sequence[Reason], message: str, headers: dict[str, str] | None = None
) -> Response:
    if request.url.path.startswith(OCI_PREFIX):
        return JSONResponse(oci_errors(shape.oci, reasons, message), shape.status, headers)
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(shape.status).phrase,
        "status": shape.status,
        "detail": message,
        "code": reasons[0].code,
        "reasons": [reason.as_json() for reason in reasons],
    }
    hint = next((reason.hint for reason in reasons if reason.hint), None)
    return JSONResponse(problem | ({"hint": hint} if hint else {}), shape.status, headers, PROBLEM_JSON)


def oci_errors(code: str, reasons: Sequence[Reason], message: str) -> dict[str, object]:
    """Make the error list of the Distribution Spec. All reasons are in `message` too: skopeo and crane print that."""
    lines = [line for reason in reasons for line in reason.lines()]
    text = "\n".join([message, *lines]) if len(reasons) > 1 or len(lines) > 1 else message
    return {
        "errors": [{"code": code, "message": text, "detail": {"reasons": [reason.as_json() for reason in reasons]}}]
    }
