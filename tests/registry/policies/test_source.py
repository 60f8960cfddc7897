"""What is in force: from memory until a version is applied, and as the transaction that asks sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_bytes
from typing import cast

import pytest

from tests.registry.policies.documents import overlay, policy, text
from tidegate.errors import PolicyInvalid
from tidegate.policy.load import LoadedPolicy
from tidegate.policy.model import COMPANY
from tidegate_registry.audit.events import Actor
from tidegate_registry.audit.service import entries
from tidegate_registry.db import Db
from tidegate_registry.policies.errors import NoPolicy, PolicyInstalled
from tidegate_registry.policies.install import install
from tidegate_registry.policies.source import PolicyUnusable, StoredPolicies
from tidegate_registry.policies.tables import PolicyVersionRow
from tidegate_registry.services import Services

OPERATOR = Actor("operator", "", "root")


@dataclass
class Room:
    """The part of the services that the room uses, over a database alone."""

    db: Db
    policies: StoredPolicies = field(default_factory=StoredPolicies)
    now: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    entropy: Callable[[int], bytes] = token_bytes

    def clock(self) -> datetime:
        return self.now

    @property
    def app(self) -> Services:
        return cast("Services", self)

    def for_agent(self, agent: str) -> LoadedPolicy | None:
        with self.db.read() as tx:
            return self.policies.for_agent(tx, agent)


@pytest.fixture
def room(database_url: str) -> Iterator[Room]:
    db = Db(database_url)
    db.create_all()
    yield Room(db)
    db.close()


def test_without_a_policy_there_is_none_for_anybody(room: Room) -> None:
    assert room.for_agent("acme/agent") is None


def test_what_is_installed_is_in_force_at_once_and_loaded_once(room: Room) -> None:
    version = install(room.app, OPERATOR, text(policy()), reason="first")
    assert (version.name, version.number, version.reason) == (COMPANY, 1, "first")
    loaded = room.for_agent("acme/agent")
    assert loaded is not None
    assert loaded.document.channels == ("dev", "staging", "stable")
    assert room.for_agent("umbra/agent") is loaded
    install(room.app, OPERATOR, text(overlay()), name="acme", reason="ours")
    assert room.for_agent("umbra/agent") is loaded, "what did not change is not loaded again"
    own = room.for_agent("acme/agent")
    assert own is not None
    assert own.overlay is not None
    assert own.overlay.namespace == "acme"


def test_another_replica_sees_a_change_with_its_next_question(room: Room) -> None:
    replica = StoredPolicies()
    with room.db.read() as tx:
        assert replica.for_agent(tx, "acme/agent") is None
    install(room.app, OPERATOR, text(policy()), reason="first")
    with room.db.begin() as tx:
        assert replica.for_agent(tx, "acme/agent", hold=True) is not None


def test_a_second_one_is_not_installed_but_recovered_with_an_entry_that_says_so(room: Room) -> None:
    install(room.app, OPERATOR, text(policy()), reason="first")
    with pytest.raises(PolicyInstalled) as caught:
        install(room.app, OPERATOR, text(policy(channels=["dev", "staging", "stable", "more"])), reason="second")
    assert caught.value.reasons[0].code == "policy-installed"
    recovered = text(policy(description="mended"))
    assert install(room.app, OPERATOR, recovered, reason="nobody is left", recover=True).number == 2
    with room.db.read() as tx:
        found = [b'"recovered":true' in row.body for row in entries(tx, type_="policy.applied")]
    assert found == [False, True]


def test_an_overlay_needs_a_policy_and_is_refused_where_it_is_looser(room: Room) -> None:
    with pytest.raises(NoPolicy) as early:
        install(room.app, OPERATOR, text(overlay()), name="acme", reason="ours")
    assert early.value.reasons[0].code == "no-policy"
    install(room.app, OPERATOR, text(policy()), reason="first")
    looser = overlay(transitions=[{"from": "staging", "to": "stable", "allow": ["admin"]}])
    with pytest.raises(PolicyInvalid, match="an overlay may only add"):
        install(room.app, OPERATOR, text(looser), name="acme", reason="ours")
    with pytest.raises(PolicyInvalid) as foreign:
        install(room.app, OPERATOR, text(overlay("umbra")), name="acme", reason="ours")
    assert foreign.value.reasons[0].code == "policy-name-differs"


def test_a_company_wide_document_that_breaks_an_overlay_is_refused_with_its_line(room: Room) -> None:
    install(room.app, OPERATOR, text(policy()), reason="first")
    more = [{"id": "also", "approvals": {"count": 1, "role": "reviewer"}}]
    added = overlay(transitions=[{"from": "staging", "to": "stable", "require": more}])
    install(room.app, OPERATOR, text(added), name="acme", reason="ours")
    shorter = policy(transitions=policy()["transitions"][:2])
    with pytest.raises(PolicyInvalid, match="acme@1:") as caught:
        install(room.app, OPERATOR, text(shorter), reason="shorter", recover=True)
    assert caught.value.reasons[0].code == "policy-invalid"


def test_a_stored_text_that_cannot_be_read_decides_nothing(room: Room) -> None:
    install(room.app, OPERATOR, text(policy()), reason="first")
    with room.db.engine.begin() as connection:
        connection.execute(PolicyVersionRow.__table__.update().values(text=b"format: other"))  # type: ignore[attr-defined]
    room.policies = StoredPolicies()
    with pytest.raises(PolicyUnusable) as caught:
        room.for_agent("acme/agent")
    assert caught.value.reasons[0].code == "policy-unusable"
