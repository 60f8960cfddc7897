"""Somebody goes on reading after their right to read has ended, through answers kept from when they had it.

What is kept are answers, never rights: each request is decided by what is in force when it comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.registry.replicas import Replica, replica
from tests.registry.test_trust_source import change
from tests.registry.world import AGENT, CHARTERS, PUBLISHER, READER, SIBLING, Clock, World, error_of
from tidegate.formats.charter import CharterSet
from tidegate.formats.identity import CertificateIdentity
from tidegate.formats.jcs import canonical_bytes
from tidegate.formats.manifest import Manifest
from tidegate_registry.access.principal import Grant, Principal, PrincipalKind
from tidegate_registry.access.rights import AccessRules
from tidegate_registry.access.token_keys import generate_token_key
from tidegate_registry.access.tokens import RegistryTokens
from tidegate_registry.sandbox.seed import trust_file
from tidegate_registry.sandbox.users import USERS
from tidegate_registry.trust_source import TrustSource

if TYPE_CHECKING:
    from tidegate_registry.sandbox.serve import RunningSigstore

TARGET = f"/v2/{AGENT}/manifests/1.0.0"
PUBLISHERS_ONLY = AccessRules(authenticated_pull=False)


class Trust:
    """Charters that a test changes."""

    def __init__(self) -> None:
        self.charters = CHARTERS

    def __call__(self) -> CharterSet:
        return self.charters


@pytest.fixture
def released(world: World) -> Manifest:
    client = world.client()
    manifest = world.make_manifest(client, b"a layer")
    assert world.put(client, manifest, "1.0.0").status_code == 201
    return manifest


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def trust() -> Trust:
    return Trust()


@pytest.fixture
def target(world: World, released: Manifest, clock: Clock, trust: Trust) -> Iterator[Replica]:
    tokens = RegistryTokens(
        signing=generate_token_key(), audience=world.url, lifetime=timedelta(seconds=300), clock=clock
    )
    with replica(world, tokens=tokens, charters=trust) as running:
        yield running


def read(target: Replica, token: str) -> int:
    """Read everything that is kept once, and give the one status of all answers."""
    with target.client(token) as client:
        statuses = {client.request(method, TARGET).status_code for method in ("GET", "HEAD")}
        conditional = client.get(TARGET, headers={"If-None-Match": "*"}).status_code
    (status,) = statuses
    assert conditional == (304 if status == 200 else status)
    return status


def read_from_memory(target: Replica, token: str) -> None:
    for _ in range(2):
        target.passed_on.clear()
        assert read(target, token) == 200
    assert not target.passed_on, "the attack begins with answers that are kept"


def trust_in(target: Replica, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the charters from a trust file, as a registry does."""
    source = TrustSource(path, allow_sandbox=True)
    monkeypatch.setattr(target.access, "charters", source.charters)
    monkeypatch.setattr(target.access, "_charters_at_hand", source.charters_at_hand)


def test_a_token_reads_until_it_expires_and_not_a_second_longer(target: Replica, clock: Clock) -> None:
    token = target.token(READER)
    read_from_memory(target, token)
    clock.tick(seconds=299)
    assert read(target, token) == 200
    clock.tick(seconds=1)
    assert read(target, token) == 401
    with target.client(token) as client:
        assert error_of(client.get(TARGET)) == (401, "UNAUTHORIZED", "token-expired")
    assert read(target, target.token(READER)) == 200


def test_a_publisher_taken_out_of_the_charter_reads_no_more(target: Replica, trust: Trust) -> None:
    target.access.rules = PUBLISHERS_ONLY
    token = target.token(PUBLISHER)
    read_from_memory(target, token)
    charter = CHARTERS.for_agent(AGENT)
    assert charter is not None
    trust.charters = CharterSet((charter.model_copy(update={"publishers": charter.attesters}),))
    assert read(target, token) == 403
    trust.charters = CHARTERS
    assert read(target, token) == 200


def test_what_the_rules_close_is_closed_with_the_next_request(target: Replica) -> None:
    token = target.token(READER)
    read_from_memory(target, token)
    target.access.rules = PUBLISHERS_ONLY
    assert read(target, token) == 403


def test_answers_kept_for_one_caller_are_not_given_to_another_without_the_right(target: Replica) -> None:
    read_from_memory(target, target.token(READER))
    elsewhere = target.token(READER, Grant("repository", SIBLING, frozenset({"pull"})))
    pushes_only = target.token(READER, Grant("repository", AGENT, frozenset({"push"})))
    for token in (elsewhere, pushes_only, "x", target.token(READER)[:-2]):
        for _ in range(2):
            assert read(target, token) == 401
    with target.client(None) as nobody:
        assert nobody.get(TARGET).status_code == 401
    foreign = RegistryTokens(
        signing=generate_token_key(),
        audience=target.access.public_url,
        lifetime=timedelta(seconds=300),
        clock=Clock(),
    )
    who = target.access.authenticate(f"Bearer {target.token(READER)}")
    assert read(target, foreign.issue(who, who.grants).text) == 401


def test_whom_an_edit_of_the_trust_file_takes_out_reads_no_more(
    target: Replica, tmp_path: Path, sigstore: RunningSigstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trusted_root.json").write_bytes(canonical_bytes(sigstore.instance.trusted_root()))
    path, text = tmp_path / "trust.yaml", trust_file(sigstore.url)
    path.write_text(text)
    trust_in(target, path, monkeypatch)
    target.access.rules = PUBLISHERS_ONLY
    bob, grants = USERS["bob"].email, (Grant("repository", AGENT, frozenset({"pull"})),)
    who = Principal(PrincipalKind.HUMAN, CertificateIdentity(sigstore.url, bob), "bob", {}, grants)
    token = target.tokens.issue(who, grants).text
    read_from_memory(target, token)
    change(path, text.replace(bob, USERS["carol"].email))
    assert read(target, token) == 403
    change(path, "format: [")
    assert read(target, token) == 403, "a broken file changes nothing, so it opens nothing"
    change(path, text)
    assert read(target, token) == 200


def test_a_registry_whose_trust_file_was_never_good_serves_nothing_from_memory(
    target: Replica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = target.token(READER)
    read_from_memory(target, token)
    trust_in(target, tmp_path / "gone.yaml", monkeypatch)
    assert read(target, token) == 503
