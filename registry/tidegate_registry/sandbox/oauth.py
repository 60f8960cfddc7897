"""What the sandbox's OAuth endpoints share: forms in, the errors of RFC 6749 and pages for people out."""

from __future__ import annotations

import html
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from tidegate.errors import InvalidInput
from tidegate_registry.sandbox.http import read_body
from tidegate_registry.sandbox.users import USERS

MAX_FORM_FIELDS = 20
NO_STORE = {"Cache-Control": "no-store"}

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Tidegate sandbox</title>
<style>body{{font:16px/1.5 system-ui;margin:4em auto;max-width:34em;padding:0 1em}}li{{margin:.5em 0}}</style>
<h1>Tidegate sandbox</h1>{body}</html>"""
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


class InvalidGrant(InvalidInput):
    """What was shown gives no token. `error`: the word of RFC 6749 section 5.2 or RFC 8628 section 3.5 for it."""

    code = "invalid-grant"

    def __init__(self, message: str, error: str = "invalid_grant") -> None:
        super().__init__(message)
        self.error = error


async def read_form(request: Request) -> dict[str, str]:
    """Read a form in which nothing is repeated. Raises InvalidInput, LimitExceeded."""
    body = await read_body(request)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS)
    except ValueError as error:
        raise InvalidInput("the form is not valid") from error
    if len(dict(pairs)) != len(pairs):
        raise InvalidInput("a parameter is repeated")
    return dict(pairs)


def oauth_error(code: str, description: str) -> Response:
    """Answer as RFC 6749 section 5.2 asks."""
    return JSONResponse({"error": code, "error_description": description}, 400, headers=NO_STORE)


def user_page(body: str, *, choose_from: list[tuple[str, str]] | None = None) -> Response:
    """Show `body` (HTML); `choose_from`: and the people one may be, as links that add who to that query."""
    if choose_from is not None:
        items = []
        for user in USERS.values():
            link = html.escape(f"?{urlencode([*choose_from, ('login_hint', user.name)])}", quote=True)
            items.append(f'<li><a href="{link}">{html.escape(user.email)}</a>, {html.escape(user.role)}</li>')
        body += f"<ul>{''.join(items)}</ul>"
    return HTMLResponse(PAGE.format(body=body), headers=PAGE_HEADERS)
