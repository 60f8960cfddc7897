"""What reaches the token endpoint: Basic, forms and scopes, each read strictly."""

from __future__ import annotations

import base64
from urllib.parse import urlencode

import pytest

from tidegate.errors import InvalidInput, LimitExceeded
from tidegate_registry.access.credentials import (
    MAX_AUTHORIZATION_BYTES,
    MAX_FORM_BYTES,
    MAX_SCOPES,
    credential_of_form,
    parse_basic,
    parse_form,
    parse_scopes,
    single,
)
from tidegate_registry.access.jwt import TokenRefused
from tidegate_registry.access.principal import describe


def basic(text: str, scheme: str = "Basic") -> str:
    return f"{scheme} {base64.b64encode(text.encode()).decode()}"


def test_the_password_of_oidc_is_the_token() -> None:
    assert parse_basic(basic("oidc:a.b.c")) == "a.b.c"
    assert parse_basic(basic("oidc:a:b", "basic")) == "a:b"
    assert parse_basic(None) is None


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (basic("alice:a.b.c"), "user-name-unknown"),
        (basic("OIDC:a.b.c"), "user-name-unknown"),
        (basic(":a.b.c"), "user-name-unknown"),
        (basic("oidc:"), "user-name-unknown"),
        (basic("oidc"), "token-scheme"),
        ("Basic !!!", "token-scheme"),
        ("Basic " + base64.b64encode(b"\xff:x").decode(), "token-scheme"),
        ("Basic \xe9", "token-scheme"),
        (basic("oidc:" + "a" * MAX_AUTHORIZATION_BYTES), "token-scheme"),
        (basic("oidc:a.b.c", "Bearer"), "token-scheme"),
        ("", "token-scheme"),
    ],
)
def test_any_other_header_is_refused(header: str, code: str) -> None:
    with pytest.raises(TokenRefused) as caught:
        parse_basic(header)
    assert caught.value.reasons[0].code == code


def test_both_oauth2_grants_give_the_token() -> None:
    password = parse_form(urlencode({"grant_type": "password", "username": "oidc", "password": "a.b.c"}).encode())
    assert credential_of_form(password) == "a.b.c"
    assert credential_of_form(parse_form(b"grant_type=refresh_token&refresh_token=a.b.c&client_id=x")) == "a.b.c"
    assert credential_of_form(parse_form(b"grant_type=refresh_token")) is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"grant_type=client_credentials", "grant-type-unknown"),
        (b"", "grant-type-unknown"),
        (b"grant_type=password&username=oidc&password=a&password=b", "form-invalid"),
        (b"grant_type=password&grant_type=refresh_token", "form-invalid"),
        (b"nonsense", "form-invalid"),
        (b"a=\xff", "form-invalid"),
        (b"&".join(b"a=b" for _ in range(65)), "form-invalid"),
    ],
)
def test_odd_forms_are_refused(body: bytes, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        credential_of_form(parse_form(body))
    assert caught.value.reasons[0].code == code


def test_a_form_above_the_limit_is_refused() -> None:
    with pytest.raises(LimitExceeded) as caught:
        parse_form(b"a=" + b"b" * MAX_FORM_BYTES)
    assert caught.value.reasons[0].code == "limit-exceeded"


def test_a_form_field_may_be_absent() -> None:
    assert single({}, "service") is None


def test_scopes_are_read_as_docker_writes_them() -> None:
    texts = ["repository:acme/a:pull,push", "registry:api:* repository:host:5000/acme/b:pull", "", "plugin(x):y:z"]
    assert describe(parse_scopes(texts)) == (
        "repository:acme/a:pull,push registry:api:* repository:host:5000/acme/b:pull plugin(x):y:z"
    )


@pytest.mark.parametrize("text", ["repository", "repository:acme/a", "repository:acme/a:", ":a:pull", "r:" + "a" * 600])
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_scopes([text])
    assert caught.value.reasons[0].code == "scope-invalid"


def test_too_many_scopes_are_refused() -> None:
    with pytest.raises(LimitExceeded) as caught:
        parse_scopes(["registry:api:*"] * (MAX_SCOPES + 1))
    assert caught.value.reasons[0].code == "limit-exceeded"
