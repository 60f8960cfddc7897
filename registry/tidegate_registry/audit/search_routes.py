"""Search in the audit log. HTTP only."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from tidegate.digest import Digest
from tidegate.errors import DigestInvalid
from tidegate.formats.jcs import canonical_bytes
from tidegate.formats.moment import any_moment
from tidegate_registry.api import Paging, answer_raw, written_as
from tidegate_registry.audit import search
from tidegate_registry.audit.out import EntriesOut, EntryOut, show_entry, show_page
from tidegate_registry.audit.routes import LogReader
from tidegate_registry.audit.search import SearchInvalid, Wanted
from tidegate_registry.services import App

router = APIRouter(prefix="/api/v1/log", tags=["log"])

MAX_TYPES, MAX_TEXT = 16, 600
Moment = Annotated[str | None, Query(max_length=40, examples=["2026-03-01T09:30:00Z"])]


@router.get(
    "/entries", operation_id="searchLog", summary="Search the audit log", response_model=EntriesOut, responses={400: {}}
)
def get_entries(  # a filter each
    *,
    request: Request,
    app: App,
    who: LogReader,  # noqa: ARG001
    page: Paging,
    agent: Annotated[
        str | None,
        Query(max_length=255, description="`namespace/agent`, or `namespace/*`", examples=["acme/support-agent"]),
    ] = None,
    actor: Annotated[
        str | None,
        Query(max_length=2048, description="The actor's name, or the person that the policy knows", examples=["dave"]),
    ] = None,
    type: Annotated[  # noqa: A002 # the parameter's name
        list[str] | None,
        Query(
            max_length=MAX_TYPES,
            description="A type, or `promotion.*`; repeated: any of them",
            examples=[["promotion.*"]],
        ),
    ] = None,
    since: Moment = None,
    until: Moment = None,
    digest: Annotated[
        str | None, Query(max_length=160, description="That the entry names anywhere", examples=[Digest.of(b"")])
    ] = None,
    decision: Annotated[
        str | None,
        Query(max_length=64, description="Id of a decision, request, proposal or entry that it names, or its own"),
    ] = None,
    q: Annotated[
        str | None,
        Query(
            max_length=MAX_TEXT,
            description="Words of its reasons and other texts; all must be there",
            examples=["not signed"],
        ),
    ] = None,
) -> Response:
    """All filters must fit; times are RFC 3339, `since` inclusive and `until` not. Pages stay the same while the log
    grows. What is shown is this server's word: each item says where to prove it.
    """
    wanted = Wanted(
        agent=agent,
        actor=actor,
        types=tuple(type or ()),
        since=_moment(since, "since"),
        until=_moment(until, "until"),
        digest=_digest(digest),
        decision=decision,
        words=q,
    )
    return answer_raw(request, canonical_bytes(show_page(search.search(app, wanted, after=page.after, size=page.size))))


@router.get(
    "/entries/{entry}", operation_id="getLogEntry", summary="Read an entry of the audit log", response_model=EntryOut
)
def get_entry(
    entry: Annotated[
        str,
        Path(
            description="Its index in the log, or its id, which is known before it has an index",
            examples=["41"],
            json_schema_extra=written_as("(0|[1-9][0-9]{0,17}|[0-9a-f-]{36})"),
        ),
    ],
    request: Request,
    app: App,
    who: LogReader,  # noqa: ARG001
) -> Response:
    """As this server tells it; `proof` says where the log itself does."""
    return answer_raw(request, canonical_bytes(show_entry(search.find_entry(app, entry))))


def _moment(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    found = any_moment(text)
    if found is None:
        raise SearchInvalid(f"{name} is no time", found=text[:40], expected="a time such as 2026-03-01T09:30:00Z")
    return found


def _digest(text: str | None) -> Digest | None:
    try:
        return None if text is None else Digest.parse(text)
    except DigestInvalid as error:
        raise SearchInvalid("digest is no digest", found=text and text[:160], expected="sha256:…") from error
