"""What a registry answers when it says no: status and JSON in, one of our errors with every reason out.

The registry is not trusted to be polite: its text is bounded, and what could steer a terminal is taken out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from http import HTTPStatus

from tidegate.errors import (
    AccessDenied,
    AdmissionRefused,
    BundleRefused,
    Conflict,
    DigestInvalid,
    EvidenceRefused,
    InvalidInput,
    JsonInvalid,
    LimitExceeded,
    ManifestInvalid,
    NotFound,
    PromotionRefused,
    Reason,
    ReferenceInvalid,
    TidegateError,
    Unauthenticated,
    Unreachable,
)
from tidegate.formats.jcs import JsonObject, JsonValue, parse_object
from tidegate.policy.verdict import State

MAX_ERROR_BYTES = 1 << 20  # hundreds of reasons; a registry that says more is not explaining
MAX_REASONS = 200
MAX_TEXT = 4000  # characters of one message, found, expected or hint

# codes for which the class says more than the status does; the codes of numbered steps are told apart by their step
_BY_CODE: dict[str, type[TidegateError]] = {
    kind.code: kind
    for kind in (BundleRefused, Conflict, DigestInvalid, LimitExceeded, ManifestInvalid, NotFound, ReferenceInvalid)
}
# first letter of a step of docs/spec/verification.md: bundle, evidence, release; the last one there decides
_BY_STEP: tuple[tuple[str, type[TidegateError]], ...] = (
    ("R", AdmissionRefused),
    ("A", EvidenceRefused),
    ("B", BundleRefused),
)
_JUDGED = frozenset(state.value for state in State)  # in place of a step: reasons that are findings of a decision
_BY_STATUS: dict[int, type[TidegateError]] = {
    HTTPStatus.BAD_REQUEST: InvalidInput,
    HTTPStatus.UNAUTHORIZED: Unauthenticated,
    HTTPStatus.FORBIDDEN: AccessDenied,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.PRECONDITION_FAILED: Conflict,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: LimitExceeded,
    HTTPStatus.PRECONDITION_REQUIRED: InvalidInput,
    HTTPStatus.TOO_MANY_REQUESTS: LimitExceeded,
    HTTPStatus.BAD_GATEWAY: Unreachable,
    HTTPStatus.SERVICE_UNAVAILABLE: Unreachable,
    HTTPStatus.GATEWAY_TIMEOUT: Unreachable,
}


def error_of(status: int, body: bytes, *, what: str) -> TidegateError:
    """Build the error that a registry's answer stands for. `what` says what was asked, for answers that say nothing.

    Reads the two shapes of Tidegate's registry: OCI `errors` (Distribution Spec 1.1, "Error Codes") whose `detail`
    carries `reasons`, with all of them once more behind the first line of `message`, and problem documents (RFC 9457)
    whose `detail` is the message. Other registries' `errors` become one reason.
    """
    document = _document(body)
    error = _oci_error(document)
    inner = error.get("detail") if error is not None else document
    reasons = tuple(_reasons(inner.get("reasons"))) if isinstance(inner, dict) else ()
    message = _text(document.get("detail")) if error is None else _text(error.get("message"))
    if message is not None and reasons:
        message = message.partition("\n")[0]
    raised = _kind(status, reasons)(message or f"the registry answered {status} when asked to {what}")
    if reasons:
        raised.reasons = reasons
    return raised


def _kind(status: int, reasons: tuple[Reason, ...]) -> type[TidegateError]:
    if any(reason.step in _JUDGED for reason in reasons):
        return PromotionRefused
    steps = {reason.step[0] for reason in reasons if reason.step}
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN) and steps:
        return next((kind for letter, kind in _BY_STEP if letter in steps), AccessDenied)
    by_code = _BY_CODE.get(reasons[0].code) if reasons else None
    return by_code or _BY_STATUS.get(status) or (Unreachable if status >= 500 else TidegateError)  # noqa: PLR2004


def _document(body: bytes) -> JsonObject:
    try:
        return parse_object(body, limit=MAX_ERROR_BYTES, what="the registry's answer")
    except JsonInvalid:
        return {}  # a proxy's HTML page; the status alone must do


def _oci_error(document: JsonObject) -> JsonObject | None:
    errors = document.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    return first if isinstance(first, dict) else None


def _reasons(value: JsonValue) -> Iterator[Reason]:
    for item in value[:MAX_REASONS] if isinstance(value, list) else ():
        message = _text(item.get("message")) if isinstance(item, dict) else None
        if not isinstance(item, dict) or message is None:
            continue
        code = _text(item.get("code")) or ""
        yield Reason(
            code=code if _is_code(code) else "unknown",
            message=message,
            found=_text(item.get("found")),
            expected=_text(item.get("expected")),
            hint=_text(item.get("hint")),
            step=_text(item.get("step")),
        )


def _is_code(text: str) -> bool:
    return 0 < len(text) <= 64 and text.isascii() and text.replace("-", "").isalnum()  # noqa: PLR2004 - ours are < 40


def _text(value: JsonValue) -> str | None:
    return clean_text(value) if isinstance(value, str) and value.strip() else None


def clean_text(text: str) -> str:
    """Bound `text` and drop control and formatting characters: a terminal obeys them (ECMA-48, bidi controls)."""
    bounded = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
    return "".join(c for c in bounded if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cs"))
