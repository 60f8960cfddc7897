"""All that the registry knows of releases, channels and policies comes back from the published log alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import SQLModel

from tests.registry.audit.publishing import log_signer, publish_log
from tests.registry.promotion.walk import two_in_dev
from tests.registry.promotion.world import CHANNELS, Promotions
from tests.registry.summaries.helpers import Summaries
from tests.workshop import AGENT
from tidegate_registry.audit.events import Actor
from tidegate_registry.keeping.restoring import Restored, restore
from tidegate_registry.services import Services

OPERATOR = Actor(kind="operator", issuer="", name="olga")
Rows = dict[tuple[object, ...], dict[str, Any]]

# each table with its key, and the columns that no entry holds: claims of tokens, and who wrote in another form
TABLES: Mapping[str, tuple[tuple[str, ...], frozenset[str]]] = {
    "release": (("repository", "version"), frozenset()),
    "evidence": (("repository", "subject", "signature"), frozenset()),
    "channel": (("repository", "name"), frozenset()),
    "tenure": (("repository", "channel", "counter"), frozenset()),
    "channel_hold": (("repository", "channel", "digest"), frozenset({"actor"})),
    "revocation": (("repository", "digest"), frozenset({"actor"})),
    "decision": (("id",), frozenset()),
    "broken_glass": (("id",), frozenset({"user", "reviewer"})),
    "policy_version": (("name", "number"), frozenset({"author"})),
    "promotion": (("id",), frozenset({"requester", "owner", "request_key", "rule_digest", "outcome"})),
    "summary": (("entry",), frozenset()),
    "audit_event": (("id",), frozenset({"position"})),
}


def rows(app: Services) -> dict[str, Rows]:
    found: dict[str, Rows] = {}
    with app.db.read() as tx:
        for table, (key, left_out) in TABLES.items():
            result = tx.connection().execute(text(f"SELECT * FROM {table}")).mappings()  # noqa: S608 # ours
            found[table] = {
                tuple(row[name] for name in key): {
                    name: bytes(value) if isinstance(value, memoryview) else value
                    for name, value in row.items()
                    if name not in left_out
                }
                for row in result
            }
    return found


def forget_everything(app: Services) -> None:
    with app.db.connect() as connection:
        for table in reversed(SQLModel.metadata.sorted_tables):
            connection.execute(table.delete())


def lose_and_restore(app: Services) -> Restored:
    forget_everything(app)
    return restore(app, OPERATOR, log_signer(app).key)


@pytest.fixture
def lived(promotions: Promotions) -> Promotions:
    """An agent with releases, promotions, a rollback with its hold, a revocation, and broken glass."""
    two_in_dev(promotions)
    assert promotions.roll_back("dev").status_code == 201
    promotions.publish("2.0.0")
    promotion = promotions.ask("dave", "2.0.0", "stable", breakGlass=True).json()
    assert promotions.break_glass("dave", promotion).json()["state"] == "done"
    review = {"verdict": "justified", "reason": "the old one was worse"}
    answer = promotions.client("bob").post(f"/api/v1/break-glass/{promotion['id']}/review", json=review)
    assert answer.status_code == 201, answer.text
    document = {"agent": AGENT, "version": "1.1.0", "reason": "it leaks"}
    assert promotions.client("carol").post("/api/v1/revocations", json=document).status_code == 201
    return promotions


def test_what_the_entries_tell_of_is_all_there_again(lived: Promotions) -> None:
    app = lived.gate.services
    Summaries(lived.gate).run()
    publish_log(app)
    before = rows(app)
    assert before["summary"]
    done = lose_and_restore(app)
    after = rows(app)
    added = after["audit_event"].keys() - before["audit_event"].keys()
    assert len(added) == 1  # that it was restored
    for key in added:
        del after["audit_event"][key]
    assert done.imported == len(before["audit_event"])
    for table in TABLES:
        assert after[table] == before[table], table
    assert not done.lacking


def test_a_decision_keeps_its_summary_and_gets_no_second_one(promotions: Promotions) -> None:
    gate, summaries = promotions.gate, Summaries(promotions.gate)
    manifest = promotions.publish("1.0.0")
    summaries.run()
    (attached,) = gate.data_of("vsa.attached")
    publish_log(gate.services)
    assert not lose_and_restore(gate.services).lacking
    summaries.run()
    assert gate.data_of("vsa.attached") == [attached]
    (found,) = summaries.find(manifest, "1.0.0")
    assert found.bundle == attached["bundle"]


def test_after_it_the_same_things_are_refused_and_numbers_go_on(lived: Promotions) -> None:
    app = lived.gate.services
    lived.publish("3.0.0")
    asked = lived.ask("carol", "3.0.0", "stable")
    assert asked.status_code == 201, asked.text
    publish_log(app)
    lose_and_restore(app)
    app.reads.drop(AGENT)
    channel = lived.client("carol").get(f"{CHANNELS}/dev").json()
    assert channel["serving"]["version"] == "1.0.0", channel
    revoked = lived.ask("alice", "1.1.0", "dev")
    assert revoked.status_code >= 400 or revoked.json()["state"] != "done"
    again = lived.ask("carol", "3.0.0", "stable")
    assert again.status_code == 201, again.text
    assert again.json()["sequence"] == asked.json()["sequence"] + 1


def test_what_a_lagging_replica_did_in_the_same_place_costs_that_and_not_the_restore(lived: Promotions) -> None:
    """It opened another request under the number that one in the log has."""
    app = lived.gate.services
    lived.publish("3.0.0")
    assert lived.ask("carol", "3.0.0", "stable").status_code == 201
    publish_log(app)
    with app.db.connect() as connection:
        of_it = "SELECT event_id FROM promotion WHERE version = '3.0.0'"
        connection.execute(text(f"DELETE FROM audit_event WHERE id = ({of_it})"))  # noqa: S608 # ours
        connection.execute(text("UPDATE promotion SET id = 'another' WHERE version = '3.0.0'"))
    done = restore(app, OPERATOR, log_signer(app).key)
    assert (done.imported, done.lacking_count) == (1, 1)
    assert done.lacking[0].startswith("promotion.opened")


CONTRADICTIONS = {
    "channel.moved": "UPDATE tenure SET promotion = 'another' WHERE counter = 2",
    "policy.applied": "UPDATE policy_version SET digest = 'another' WHERE number = 1",
}


@pytest.mark.parametrize("type_", CONTRADICTIONS)
def test_what_contradicts_the_log_is_not_taken_for_what_the_log_says(lived: Promotions, type_: str) -> None:
    """As after a replica lagged: it moved the same channel, or applied a policy, under the same number."""
    app = lived.gate.services
    publish_log(app)
    with app.db.connect() as connection:
        connection.execute(text(CONTRADICTIONS[type_]))
        connection.execute(text("DELETE FROM audit_event WHERE type = :type"), {"type": type_})
    done = restore(app, OPERATOR, log_signer(app).key)
    assert done.lacking_count == 1
    assert "another" in done.lacking[0]
