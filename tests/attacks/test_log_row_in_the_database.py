"""Somebody who can write to the database edits or removes an entry that was published."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.registry.audit.publishing import log_signer, publish_log
from tests.registry.keeping.helpers import OPERATOR, released
from tests.registry.world import World
from tidegate_registry.keeping.fsck.run import check
from tidegate_registry.keeping.restoring import restore

EDITS = {
    "edited": "UPDATE audit_event SET body = body || ' ' WHERE idx = 1",
    "removed": "DELETE FROM audit_event WHERE idx = 1",
    "exchanged": "UPDATE audit_event SET body = (SELECT body FROM audit_event AS one WHERE one.idx = 0) WHERE idx = 1",
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_row_that_is_not_what_was_published_is_found_and_put_right(own_world: World, edit: str) -> None:
    app = own_world.services
    released(own_world, b"an agent")
    publish_log(app)
    assert "log-entry-differs" not in {str(each.problem) for each in check(app).problems}
    statement = EDITS[edit]
    if not app.db.is_sqlite:
        statement = statement.replace("body || ' '", "body || ' '::bytea")
    with app.db.connect() as connection:
        connection.execute(text(statement))
    (found,) = (each for each in check(app).problems if str(each.problem) == "log-entry-differs")
    assert found.expected == "entry 1 as it was published"
    done = restore(app, OPERATOR, log_signer(app).key)
    assert len(done.corrected) + done.imported == 1
    assert "log-entry-differs" not in {str(each.problem) for each in check(app).problems}
