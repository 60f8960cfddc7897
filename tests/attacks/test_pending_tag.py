"""A version tag that waits for its signature is a request, never a right.

Threat (docs/threats.md): somebody without the right to publish, or who lost it, names a version through a tag that
waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.registry.admission.test_deferred import OTHER_JOB, RELEASE, TAG, complete, deferred, released, tag_first
from tests.registry.admission.world import GateWorld, codes_of
from tests.workshop import AGENT, EVALS_JOB, VERSION
from tidegate.errors import AccessDenied
from tidegate_registry.access.principal import Grant, Principal, PrincipalKind
from tidegate_registry.admission.service import Request, admit
from tidegate_registry.artifacts import pending
from tidegate_registry.artifacts.errors import PendingTagGone
from tidegate_registry.artifacts.naming import Completion
from tidegate_registry.audit.events import SYSTEM

if TYPE_CHECKING:
    from tidegate.formats.charter import Charter
    from tidegate.formats.manifest import Manifest
    from tidegate.verify.trust import Trust

__all__ = ["deferred"]  # the fixture


def without(world: GateWorld, *names: str) -> Charter:
    charter = world.trust.charters.for_agent(AGENT)
    assert charter is not None
    return charter.model_copy(update={"publishers": tuple(e for e in charter.publishers if e.name not in names)})


def waiting_request(world: GateWorld, manifest: Manifest) -> Request:
    with world.services.db.read() as tx:
        (tag,) = pending.waiting_for(tx, AGENT, manifest.digest, now=world.services.clock())
    return Request(tag.publisher, AGENT, VERSION, manifest, None, strict=True, completes=Completion(tag, SYSTEM))


def test_evidence_completes_nothing_for_a_tagger_who_is_no_publisher_any_more(deferred: GateWorld) -> None:
    manifest = tag_first(deferred, deferred.client(OTHER_JOB))
    deferred.govern(without(deferred, "other"))
    client = deferred.client()
    complete(deferred, client, manifest)
    assert released(deferred) == []
    assert [each["code"] for each in client.get(RELEASE).json()["reasons"]] == ["not-in-charter"]
    assert deferred.client(OTHER_JOB).get(TAG).status_code == 404, "who lost the right sees no quarantine either"


def test_an_attester_cannot_complete_a_tag_whose_owner_may_not_publish(deferred: GateWorld) -> None:
    tagger, evals = deferred.client(OTHER_JOB), deferred.client(EVALS_JOB)
    manifest = tag_first(deferred, tagger)
    strict = without(deferred)
    floor = strict.floor.model_copy(update={"builder_level": 3})
    deferred.govern(strict.model_copy(update={"floor": floor}))
    complete(deferred, deferred.client(), manifest)  # complete, but for the floor
    deferred.govern(without(deferred, "other").model_copy(update={"floor": strict.floor}))
    assert deferred.sign_evaluation(evals, manifest, EVALS_JOB).status_code == 201
    assert released(deferred) == []


def test_an_attester_cannot_tag(deferred: GateWorld) -> None:
    evals, manifest = deferred.client(EVALS_JOB), deferred.bundle_for()
    deferred.push(deferred.client(), manifest)
    assert codes_of(deferred.put(evals, manifest, VERSION)) == ["not-in-charter"]
    assert deferred.data_of("release.pending") == []


def test_a_stranger_cannot_tag_nor_complete(deferred: GateWorld) -> None:
    manifest = tag_first(deferred)
    stranger = deferred.client("carol", f"repository:{AGENT}:pull,push")
    assert codes_of(deferred.put(stranger, manifest, VERSION)) == ["not-in-charter"]
    assert codes_of(stranger.post(f"/v2/{AGENT}/blobs/uploads/")) == ["not-in-charter"]
    assert released(deferred) == []


def test_a_waiting_tag_that_expired_is_not_named_even_by_who_read_it_before(deferred: GateWorld) -> None:
    client = deferred.client()
    manifest = tag_first(deferred, client)
    request = waiting_request(deferred, manifest)
    with deferred.services.db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE pending_tag SET expires_at = tagged_at")
    complete(deferred, client, manifest)
    assert released(deferred) == []
    with pytest.raises(PendingTagGone) as caught:
        admit(deferred.services, lambda: deferred.trust, request)
    assert caught.value.reasons[0].code == "pending-tag-gone"


def test_a_waiting_tag_that_its_publisher_moved_is_not_named_for_what_it_was(deferred: GateWorld) -> None:
    client = deferred.client()
    manifest = tag_first(deferred, client)
    request = waiting_request(deferred, manifest)
    tag_first(deferred, client)
    complete(deferred, client, manifest)
    with pytest.raises(PendingTagGone):
        admit(deferred.services, lambda: deferred.trust, request)
    assert released(deferred) == []


def test_a_charter_that_changes_while_it_is_decided_counts(deferred: GateWorld) -> None:
    manifest = tag_first(deferred, deferred.client(OTHER_JOB))
    request = waiting_request(deferred, manifest)
    before, after = deferred.trust, deferred.shop.trusting(without(deferred, "other"))
    client = deferred.client()
    deferred.trust = after  # evidence arrives while nobody may name it
    complete(deferred, client, manifest)
    deferred.trust = before
    asked = iter([before])

    def trust() -> Trust:
        answer = next(asked, after)
        deferred.trust = answer  # what the gatekeeper asks is the same
        return answer

    with pytest.raises(AccessDenied) as caught:
        admit(deferred.services, trust, request)
    assert caught.value.reasons[0].code == "not-in-charter"
    assert released(deferred) == []


def test_nobody_sees_a_waiting_tag_through_an_answer_that_was_kept(deferred: GateWorld) -> None:
    client, carol = deferred.client(), deferred.client("carol", f"repository:{AGENT}:pull")
    manifest = tag_first(deferred, client)
    for _ in range(3):
        assert client.get(TAG).status_code == client.head(TAG).status_code == 200
        assert carol.get(TAG).status_code == carol.head(TAG).status_code == 404
    assert len(deferred.services.reads) == 0
    other = tag_first(deferred, deferred.client(OTHER_JOB))
    complete(deferred, client, other)
    assert client.get(TAG).content == carol.get(TAG).content == other.raw != manifest.raw


def test_a_released_manifest_is_not_shown_under_a_version_that_waits(deferred: GateWorld) -> None:
    client, carol = deferred.client(), deferred.client("carol", f"repository:{AGENT}:pull")
    manifest = tag_first(deferred, client)
    complete(deferred, client, manifest)
    assert deferred.put(client, manifest, "2.0.0").headers["Tidegate-Pending"] == "true"
    assert client.get(f"/v2/{AGENT}/manifests/2.0.0").status_code == 200
    assert carol.get(f"/v2/{AGENT}/manifests/2.0.0").status_code == 404
    assert carol.get(f"/api/v1/agents/{AGENT}/releases/2.0.0").status_code == 404
    kept = deferred.services.reads._answers
    assert not any("2.0.0" in part for key in kept for part in key)


def test_a_principal_is_remembered_as_it_was(deferred: GateWorld) -> None:
    manifest = tag_first(deferred)
    who = waiting_request(deferred, manifest).who
    identity = deferred.shop.verify(deferred.shop.sign(deferred.shop.release_statement())).identity
    assert isinstance(who, Principal)
    assert (who.kind, who.grants) == (PrincipalKind.CI, (Grant("repository", AGENT, frozenset({"pull", "push"})),))
    assert who.identity is not None
    assert (who.identity.issuer, who.identity.san) == (identity.issuer, identity.san)
