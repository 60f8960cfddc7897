"""Registry tokens: what was put in comes out, for as long as it should, under any accepted key and no other."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from joserfc import jwt

from tests.registry.access.charters import AGENT, grant, person, pipeline
from tests.registry.access.issuer import REGISTRY, Clock
from tidegate.errors import Conflict, InvalidInput
from tidegate.formats.jcs import JsonObject
from tidegate_registry.access.jwt import TokenRefused, parse_token, sign_token
from tidegate_registry.access.principal import ANONYMOUS, Principal
from tidegate_registry.access.token_keys import (
    TokenKey,
    create_token_key,
    generate_token_key,
    load_accepted_key,
    load_token_key,
)
from tidegate_registry.access.tokens import TOKEN_TYPE, RegistryTokens

# a public and a private key of an algorithm that nobody has heard of: 1.2.3.4
UNHEARD_OF = {
    "PUBLIC KEY": b"\x30\x0b\x30\x05\x06\x03\x2a\x03\x04\x03\x02\x00\x01",
    "PRIVATE KEY": b"\x30\x0d\x02\x01\x00\x30\x05\x06\x03\x2a\x03\x04\x04\x01\x01",
}


def make_tokens(
    clock: Clock, key: TokenKey | None = None, *accepted: TokenKey, audience: str = REGISTRY
) -> RegistryTokens:
    return RegistryTokens(
        signing=key or generate_token_key(),
        accepted=accepted,
        audience=audience,
        lifetime=timedelta(seconds=300),
        clock=clock,
    )


def code_of(tokens: RegistryTokens, text: str) -> tuple[str | None, str]:
    with pytest.raises(TokenRefused) as caught:
        tokens.verify(text)
    return caught.value.reasons[0].step, caught.value.reasons[0].code


@pytest.mark.parametrize("who", [pipeline(), person(), ANONYMOUS])
def test_a_token_carries_the_principal_and_its_grants_unchanged(clock: Clock, who: Principal) -> None:
    tokens, grants = make_tokens(clock), (grant("pull"), grant("*", "api", "registry"))
    issued = tokens.issue(who, grants)
    assert issued.expires_in == 300
    assert issued.scope == f"repository:{AGENT}:pull registry:api:*"
    read = tokens.verify(issued.text)
    assert (read.kind, read.identity, read.subject) == (who.kind, who.identity, who.subject)
    assert dict(read.attributes) == dict(who.attributes)
    assert read.grants == grants
    assert parse_token(issued.text).header["typ"] == TOKEN_TYPE


def test_a_token_lives_exactly_as_long_as_it_says_even_when_it_was_checked_before(clock: Clock) -> None:
    tokens = make_tokens(clock)
    text = tokens.issue(person(), ()).text
    tokens.verify(text)
    clock.advance(seconds=299)
    tokens.verify(text)
    clock.advance(seconds=1)
    assert code_of(tokens, text) == ("K6", "token-expired")
    clock.advance(seconds=-361)
    assert code_of(tokens, text) == ("K6", "token-not-yet-valid")


def test_keys_rotate_in_two_steps_without_refusing_a_token(clock: Clock, tmp_path: Path) -> None:
    old, new = create_token_key(tmp_path / "old.pem"), create_token_key(tmp_path / "new.pem")
    before = make_tokens(clock, old).issue(person(), ()).text
    after = make_tokens(clock, new).issue(person(), ()).text
    public = tmp_path / "old.pub"
    private = serialization.load_pem_private_key((tmp_path / "old.pem").read_bytes(), None)
    public.write_bytes(
        private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    rotating = make_tokens(clock, new, load_accepted_key(public))
    assert rotating.verify(before).name == rotating.verify(after).name
    assert code_of(make_tokens(clock, new), before) == ("K3", "token-key")


def test_a_p256_key_signs_es256(clock: Clock, tmp_path: Path) -> None:
    path = write_key(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    key = load_token_key(path)
    tokens = make_tokens(clock, key)
    text = tokens.issue(person(), ()).text
    assert parse_token(text).header["alg"] == "ES256"
    tokens.verify(text)


def write_key(folder: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed448.Ed448PrivateKey) -> Path:
    path = folder / f"{len(list(folder.iterdir()))}.pem"
    path.touch(0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    create_token_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(InvalidInput) as caught:
        load_token_key(path)
    assert caught.value.reasons[0].code == "key-file-mode"
    with pytest.raises(Conflict):
        create_token_key(path)


def test_files_that_hold_no_fitting_key_are_refused(tmp_path: Path) -> None:
    others = [
        tmp_path / "missing.pem",
        write_key(tmp_path, rsa.generate_private_key(65537, 2048)),
        write_key(tmp_path, ec.generate_private_key(ec.SECP384R1())),
        write_key(tmp_path, ed448.Ed448PrivateKey.generate()),
    ]
    (tmp_path / "text.pem").touch(0o600)
    for label, der in UNHEARD_OF.items():
        others.append(tmp_path / f"{label}.pem")
        others[-1].touch(0o600)
        others[-1].write_text(f"-----BEGIN {label}-----\n{b64encode(der).decode()}\n-----END {label}-----\n")
    for path in [*others, tmp_path / "text.pem"]:
        for load in (load_token_key, load_accepted_key):
            with pytest.raises(InvalidInput) as caught:
                load(path)
            assert caught.value.reasons[0].code == "key-file-invalid"


def test_a_public_key_cannot_be_the_signing_key(clock: Clock, tmp_path: Path) -> None:
    key = generate_token_key()
    with pytest.raises(InvalidInput):
        make_tokens(clock, TokenKey(key.key, key.algorithm, private=False))


def forged(key: TokenKey, clock: Clock, *, header: JsonObject | None = None, claims: JsonObject | None = None) -> str:
    issued = parse_token(make_tokens(clock, key).issue(person(), ()).text)
    merged = {**issued.header, **(header or {})}
    kept: JsonObject = {name: value for name, value in merged.items() if name != "alg" and value is not None}
    return sign_token(kept, {**issued.claims, **(claims or {})}, key.key, key.algorithm)


@pytest.mark.parametrize(
    ("claims", "step"),
    [
        ({"iss": "https://other.example"}, "K5"),
        ({"aud": "https://other.example"}, "K5"),
        ({"aud": [REGISTRY]}, "K5"),
        ({"exp": "9999999999"}, "K7"),
        ({"exp": None}, "K7"),
        ({"kind": "admin"}, "K7"),
        ({"kind": "anonymous"}, "K7"),
        ({"identity": None}, "K7"),
        ({"identity": {"issuer": "i", "identity": "s", "claims": {"madeUp": "x"}}}, "K7"),
        ({"access": [{"type": "repository"}]}, "K7"),
        ({"more": 1}, "K7"),
    ],
)
def test_even_our_own_key_signs_nothing_odd(clock: Clock, claims: JsonObject, step: str) -> None:
    key = generate_token_key()
    assert code_of(make_tokens(clock, key), forged(key, clock, claims=claims))[0] == step


@pytest.mark.parametrize("declared", ["JWT", "at+jwt", "TIDEGATE-REGISTRY+JWT", "", None])
def test_a_token_of_another_type_under_our_own_key_is_refused(clock: Clock, declared: str | None) -> None:
    key = generate_token_key()
    assert code_of(make_tokens(clock, key), forged(key, clock, header={"typ": declared})) == ("K2", "token-type")


def test_another_registrys_token_is_refused_though_its_key_is_known(clock: Clock) -> None:
    key = generate_token_key()
    text = make_tokens(clock, key, audience="https://other.example").issue(person(), ()).text
    assert code_of(make_tokens(clock, key), text) == ("K5", "audience-wrong")


def test_the_header_does_not_choose_the_algorithm(clock: Clock) -> None:
    key = generate_token_key()
    header, payload, signature = make_tokens(clock, key).issue(person(), ()).text.split(".")
    for algorithm in ("none", "HS256", "EdDSA", "ES256"):
        other = urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": key.kid, "typ": TOKEN_TYPE}).encode())
        assert code_of(make_tokens(clock, key), f"{other.rstrip(b'=').decode()}.{payload}.{signature}") == (
            None,
            "token-algorithm",
        )
    assert header


def test_a_token_signed_by_another_key_under_our_key_id_is_refused(clock: Clock) -> None:
    ours, theirs = generate_token_key(), generate_token_key()
    claims = parse_token(make_tokens(clock, ours).issue(person(), ()).text).claims
    text = jwt.encode(
        {"alg": "Ed25519", "kid": ours.kid, "typ": TOKEN_TYPE}, dict(claims), theirs.key, algorithms=["Ed25519"]
    )
    assert code_of(make_tokens(clock, ours), text) == (None, "token-signature")
