"""How a credential and the wished-for access reach the token endpoint: Basic, or an OAuth2 form; scopes either way.

Source: Docker token spec (`GET` with Basic) and its OAuth2 variant (`POST`, grant types `password`, `refresh_token`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qs

from tidegate.errors import InvalidInput, LimitExceeded
from tidegate_registry.access.jwt import TokenRefused
from tidegate_registry.access.principal import Grant

USER_NAME = "oidc"  # says what the password is, and leaves other names free for other kinds of credential
MAX_AUTHORIZATION_BYTES = 24 << 10  # a token of the largest size we read, base64 once more for Basic
MAX_FORM_BYTES = 32 << 10  # a token of the largest size, percent-encoded where need be, and scopes
MAX_FORM_FIELDS = 64
MAX_SCOPES = 32  # clients ask for one repository, two for a mount
MAX_SCOPE_LENGTH = 512
_SCOPE = re.compile(r"(?P<type>[a-z0-9]+(?:\([a-z0-9]+\))?):(?P<name>.+):(?P<actions>[a-z*]+(?:,[a-z*]+)*)")


def parse_basic(authorization: str | None) -> str | None:
    """Give the OIDC token of a Basic header, None without a header. Raises TokenRefused."""
    if authorization is None:
        return None
    scheme, _, encoded = authorization.partition(" ")
    is_basic = scheme.lower() == "basic" and len(authorization) <= MAX_AUTHORIZATION_BYTES
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode() if is_basic else ""
    except ValueError:  # no base64, no ASCII (a header is Latin-1), no UTF-8
        decoded = ""
    user, colon, password = decoded.partition(":")
    if not colon:
        raise TokenRefused(
            "the token endpoint takes Basic credentials",
            code="token-scheme",
            found=f"Authorization of scheme {scheme[:20]!r}",
            expected=f"Basic, of `{USER_NAME}:TOKEN`, at most {MAX_AUTHORIZATION_BYTES} bytes",
        )
    return _password(user, password)


def parse_form(raw: bytes) -> Mapping[str, list[str]]:
    """Read an `application/x-www-form-urlencoded` body. Raises InvalidInput, LimitExceeded."""
    if len(raw) > MAX_FORM_BYTES:
        raise LimitExceeded("the form is too large", found=f"{len(raw)} bytes", expected=f"at most {MAX_FORM_BYTES}")
    try:
        return parse_qs(raw.decode("ascii"), strict_parsing=True, max_num_fields=MAX_FORM_FIELDS) if raw else {}
    except ValueError as error:
        raise InvalidInput("that is no form", code="form-invalid", found=str(error)[:200]) from error


def credential_of_form(form: Mapping[str, list[str]]) -> str | None:
    """Give the OIDC token of an OAuth2 request, None when it shows no credential. Raises InvalidInput, TokenRefused."""
    grant_type = single(form, "grant_type")
    if grant_type == "password":
        return _password(single(form, "username") or "", single(form, "password") or "")
    if grant_type == "refresh_token":  # `docker login -u '<token>'` and containerd send an identity token this way
        return single(form, "refresh_token")
    raise InvalidInput(
        "that grant type is not offered",
        code="grant-type-unknown",
        found=grant_type or "no grant_type",
        expected="password, or refresh_token with an OIDC token",
    )


def single(fields: Mapping[str, list[str]], name: str) -> str | None:
    """Give a field that may be there once. Raises InvalidInput when it is repeated."""
    values = fields.get(name, [])
    if len(values) > 1:
        raise InvalidInput(f"`{name}` is given more than once", code="form-invalid", found=f"{len(values)} times")
    return values[0] if values else None


def parse_scopes(texts: Iterable[str]) -> tuple[Grant, ...]:
    """Parse `scope` parameters; each may hold several, separated by spaces. Raises InvalidInput.

    Types and actions that mean nothing here are kept: they are not granted, and that is all.
    """
    scopes = [scope for text in texts for scope in text.split(" ") if scope]
    if len(scopes) > MAX_SCOPES:
        raise LimitExceeded("too many scopes", found=len(scopes), expected=f"at most {MAX_SCOPES}")
    return tuple(_scope(scope) for scope in scopes)


def _scope(text: str) -> Grant:
    match = _SCOPE.fullmatch(text) if len(text) <= MAX_SCOPE_LENGTH else None
    if match is None:
        raise InvalidInput(
            "that is no scope",
            code="scope-invalid",
            found=text[:200],
            expected="type:name:action[,action], such as repository:acme/support-agent:pull,push",
        )
    return Grant(match["type"], match["name"], frozenset(match["actions"].split(",")))


def _password(user: str, password: str) -> str:
    if user != USER_NAME or not password:
        raise TokenRefused(
            "log in as `oidc`, with an OIDC token as the password",
            code="user-name-unknown",
            found=f"user name {user[:80]!r}" if password else "no password",
            expected=USER_NAME,
            hint="docker login -u oidc -p TOKEN REGISTRY",
        )
    return password
