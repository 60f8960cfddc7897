"""Writes an entry for each refusal, in its own transaction, bounded so that nobody floods the log (limiter.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from tidegate.errors import NotFound, Reason, TidegateError, Unauthenticated, Unreachable
from tidegate.formats.jcs import canonical_bytes
from tidegate.formats.reference import is_oci_name
from tidegate_registry.access.principal import ANONYMOUS, Principal, PrincipalKind
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import Actor, Event, RefusalsSuppressed, Refused
from tidegate_registry.audit.fields import MAX_REASONS
from tidegate_registry.audit.service import LogObject
from tidegate_registry.client_address import caller_group, client_address
from tidegate_registry.logs import get_logger
from tidegate_registry.observe import route_template

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from fastapi import Request

    from tidegate_registry.audit.limiter import RefusalLimiter
    from tidegate_registry.services import Services

log = get_logger()

MAX_REFERENCE = 255  # characters, of what a URL named
MAX_TEXT = 300  # characters of one member of a reason in the entry
MAX_OBJECT_REASONS, MAX_OBJECT_TEXT = 1_000, 4_000  # the same in the object beside the log, which has all of them
MAX_DATA_BYTES = 40 << 10  # of an entry's data: what is around it fits the rest of a log tile
MAX_OBJECT_BYTES = 1 << 20  # of that object: it is kept for ever, and a caller may have one made each second
UNTOLD = "claims that the log does not tell"
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@runtime_checkable
class OnRecord(Protocol):
    """A refusal that the log tells in its own words, with all that it was decided on."""

    def entry(self, now: datetime) -> tuple[Event, Sequence[LogObject]]:
        """Give what is written instead of `request.refused`."""
        ...


@runtime_checkable
class Counted(Protocol):
    """A refusal that asked the limiter itself, under the lock that it was decided under, and was told if it might."""

    counted: bool


NO_CREDENTIAL = "login-needed"  # the code of what a request without any credential is answered


def record_refusal(request: Request, error: TidegateError, *, status: int) -> None:
    """Write the entry of a refused request, if it is one that gets an entry. Never makes the answer fail.

    A refusal is a write that was not done, an access denied, or a credential that did not count. A first request
    without any credential is none: every OCI client begins with it.
    """
    if not _is_refusal(request, error):
        return
    app: Services = request.app.state.services
    request.app.state.metrics.refusals.labels(error.code).inc()
    principal: Principal = getattr(request.state, "principal", ANONYMOUS)
    now = app.clock()
    limiter = app.refusals
    record_suppressed(app, limiter)
    if isinstance(error, Counted) or not limiter.admit(principal, _group(request, app), now):
        return
    reasons, all_reasons = _listed(error.reasons, principal)
    operation = f"{request.method} {route_template(request.scope)}"
    event: Event = Refused(
        at=now,
        actor=Actor.of(principal),
        operation=operation,
        repository=name if is_oci_name(name := str(request.path_params.get("name", ""))) else None,
        reference=_text(request.path_params.get("reference") or request.path_params.get("digest"), MAX_REFERENCE),
        code=error.reasons[0].code,
        reasons=reasons,
        reasons_object=all_reasons.digest if all_reasons else None,
    )
    objects: Sequence[LogObject] = (all_reasons,) if all_reasons else ()
    if isinstance(error, OnRecord):
        event, objects = error.entry(now)
    try:
        with app.db.begin() as tx:
            audit.append(tx, event, objects=objects, entropy=app.entropy)
    except Unreachable:  # the database, or nothing may be written now: the caller is told no all the same
        log.exception("refusal.not_recorded", operation=operation, code=error.code, status=status)


def record_suppressed(app: Services, limiter: RefusalLimiter, *, closing: bool = False) -> None:
    """Write one entry for each caller, and one for all anonymous ones, whose refusals a window left out.

    `closing`: also for the window that has not ended, as the process ends. What cannot be written is kept.
    """
    now = app.clock()
    counts = limiter.take(now, closing=closing)
    if not counts:
        return
    try:
        with app.db.begin() as tx:
            for each in counts:
                event = RefusalsSuppressed(
                    at=now, actor=each.actor, count=each.count, since=each.since, until=each.until
                )
                audit.append(tx, event, entropy=app.entropy)
    except Unreachable:
        limiter.give_back(counts)
        log.exception("refusals.not_recorded", count=sum(each.count for each in counts))


def _group(request: Request, app: Services) -> str:
    peer = request.client.host if request.client else None
    forwarded = request.headers.getlist("x-forwarded-for")
    return caller_group(client_address(peer, forwarded, app.settings.trusted_proxies))


def _is_refusal(request: Request, error: TidegateError) -> bool:
    if isinstance(error, Unreachable):
        return False  # the registry could not; it did not refuse
    if isinstance(error, Unauthenticated):  # a form may hold a credential too
        return "authorization" in request.headers or error.reasons[0].code != NO_CREDENTIAL
    return request.method in WRITES or not isinstance(error, NotFound)


def _listed(reasons: Sequence[Reason], who: Principal) -> tuple[tuple[Reason, ...], LogObject | None]:
    """Give what the entry says of the reasons, and the object that holds all of them where that is not everything.

    A human is called in them as the entry calls them: by no e-mail address. Nobody's further claims are in them, such
    as groups: those of a decision are in its record.
    """
    whole = _fitting((_said(reason, MAX_OBJECT_TEXT, who) for reason in reasons[:MAX_OBJECT_REASONS]), MAX_OBJECT_BYTES)
    kept = _fitting((_said(reason, MAX_TEXT, who) for reason in reasons[:MAX_REASONS]), MAX_DATA_BYTES)
    if kept == whole:
        return tuple(kept), None
    return tuple(kept), LogObject.of(canonical_bytes([reason.as_json() for reason in whole]))


def _fitting(reasons: Iterable[Reason], most: int) -> list[Reason]:
    """Give the first of `reasons`, one at least, whose canonical JSON has at most so many bytes together."""
    kept: list[Reason] = []
    size = len("[]")
    for reason in reasons:
        size += len(canonical_bytes(dict(reason.as_json()))) + len(",")
        if kept and size > most:
            break
        kept.append(reason)
    return kept


def _said(reason: Reason, most: int, who: Principal) -> Reason:
    def text(value: str | None) -> str | None:
        if value is not None and who.told_claims:
            value = value.replace(who.told_claims, UNTOLD)
        if value is not None and who.kind is PrincipalKind.HUMAN:
            value = value.replace(who.name, str(Actor.of(who)))
        return _text(value, most)

    return Reason(
        code=reason.code,
        message=text(reason.message) or "",
        found=text(reason.found),
        expected=text(reason.expected),
        hint=text(reason.hint),
        step=reason.step,
    )


def _text(value: object, most: int) -> str | None:
    """Give at most `most` characters, without control characters and what has no UTF-8 form."""
    if value is None:
        return None
    text = str(value)[:most].encode("utf-8", "replace").decode()
    return "".join(character if character.isprintable() or character == "\n" else "\ufffd" for character in text)
