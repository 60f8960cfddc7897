"""Each decision that allowed something leaves one summary, whatever happens while it is made; it changes nothing."""

from __future__ import annotations

import pytest
from sqlmodel import col, select, update

from tests.registry.admission.world import GateWorld, codes_of
from tests.registry.promotion.world import Promotions
from tests.registry.replay.auditing import replay_world
from tests.registry.summaries.helpers import Served, Summaries
from tests.summaries import Signer, payload_of, statement
from tests.workshop import RELEASE_JOB, VERSION
from tidegate.digest import Digest
from tidegate.errors import BundleRefused
from tidegate.formats.mediatypes import PREDICATE_VSA
from tidegate.formats.predicates.vsa import ADMITTED, BROKE_GLASS, promoted_level
from tidegate_registry import __version__
from tidegate_registry.audit.tables import AuditEventRow
from tidegate_registry.keeping import claims
from tidegate_registry.storage.blobs import StoreUnavailable
from tidegate_registry.summaries import service
from tidegate_registry.summaries.tables import SummaryCursorRow, SummaryRow
from tidegate_registry.trusting.service import record_trust


@pytest.fixture
def summaries(gate_world: GateWorld) -> Summaries:
    return Summaries(gate_world)


def test_an_admission_leaves_a_summary_that_verifies_and_says_so_in_the_log(summaries: Summaries) -> None:
    gate = summaries.gate
    manifest = gate.publish()
    (decided,) = gate.events("admission.decided")
    assert isinstance(decided["data"], dict)
    summaries.run()
    (found,) = summaries.find(manifest, VERSION, ADMITTED)
    facts = gate.data_of("release.admitted")[0]["facts"]
    assert isinstance(facts, dict)
    assert isinstance(facts["floor"], dict)
    assert found.predicate.levels == (f"SLSA_BUILD_LEVEL_{facts['floor']['builderLevel']}", ADMITTED)
    assert found.predicate.decision is not None
    assert found.predicate.decision.as_json() == {
        "entry": decided["id"],
        "record": decided["data"]["record"],
        "version": VERSION,
        "action": "admit",
    }
    assert found.predicate.policy == decided["data"]["charter"]  # there is no policy in force
    assert len(found.predicate.inputs) == 2  # the release statement and the provenance
    (attached,) = gate.data_of("vsa.attached")
    assert attached["bundle"] == found.bundle
    assert attached["decision"] == decided["id"]
    with pytest.raises(BundleRefused) as caught:
        summaries.find(manifest, VERSION, channel="stable")
    assert caught.value.reasons[0].code == "vsa-level"


def test_a_refusal_leaves_none(summaries: Summaries) -> None:
    gate = summaries.gate
    client, manifest = gate.client(), gate.bundle_for()
    gate.push(client, manifest)
    assert gate.put(client, manifest, VERSION).status_code == 403
    assert gate.events("admission.decided")
    summaries.run()
    assert gate.events("vsa.attached") == []


@pytest.mark.parametrize("logged", [True, False], ids=["after it was logged", "before"])
def test_a_refusal_whose_row_was_edited_into_a_yes_leaves_none(summaries: Summaries, *, logged: bool) -> None:
    gate = summaries.gate
    client, manifest = gate.client(), gate.bundle_for()
    gate.push(client, manifest)
    assert gate.put(client, manifest, VERSION).status_code == 403
    if logged:
        summaries.log()
    decided = AuditEventRow.type == "admission.decided"
    with gate.services.db.engine.begin() as rows:
        body = rows.execute(select(AuditEventRow.body).where(decided)).scalar_one()
        forged = body.replace(b'"allowed":false', b'"allowed":true')
        assert forged != body
        rows.execute(update(AuditEventRow).where(col(AuditEventRow.type) == "admission.decided").values(body=forged))
    summaries.run()
    assert gate.events("vsa.attached") == []
    assert [each["problem"] for each in gate.data_of("vsa.not-made")] == ([] if logged else ["decision-mismatch"])


def test_each_promotion_leaves_its_own_with_the_channel_and_the_policy(
    summaries: Summaries, promotions: Promotions
) -> None:
    record_trust(promotions.gate.services, promotions.gate.trust)
    manifest = promotions.publish("1.0.0")
    promotions.promote("1.0.0", "dev", "alice")
    promotions.promote("1.0.0", "staging")
    summaries.run()
    latest, dev, admitted = summaries.find(manifest, "1.0.0", ADMITTED)
    assert promoted_level("staging") in latest.predicate.levels
    assert promoted_level("dev") in dev.predicate.levels
    assert [each.predicate.decision.action for each in (dev, admitted) if each.predicate.decision] == [
        "promote",
        "admit",
    ]
    allowed = [each for each in promotions.gate.data_of("promotion.decided") if each["allowed"]]
    assert latest.predicate.policy == allowed[-1]["policy"]
    assert len(latest.predicate.inputs) > len(dev.predicate.inputs)  # an evaluation and an approval more
    assert summaries.find(manifest, "1.0.0", channel="staging") == [latest]
    replayed, _ = replay_world(promotions.gate)
    assert [reason for each in replayed.notable for reason in each.reasons] == []


def test_a_promotion_past_the_policy_says_so(summaries: Summaries, promotions: Promotions) -> None:
    manifest = promotions.publish("1.0.0")
    opened = promotions.ask("carol", "1.0.0", "stable").json()
    assert promotions.break_glass("dave", opened).status_code == 201
    summaries.run()
    (found,) = summaries.find(manifest, "1.0.0", channel="stable")
    assert BROKE_GLASS in found.predicate.levels


def test_another_turn_and_another_replica_make_no_second_one(summaries: Summaries) -> None:
    manifest = summaries.gate.publish()
    first, second = summaries.summarizer(), summaries.summarizer()
    assert summaries.run(first) > 0
    with summaries.gate.services.db.bookkeeping() as tx:
        row = tx.get_one(SummaryCursorRow, service.NAME)
        row.next = 0  # as for a replica that had read it before
        tx.add(row)
    summaries.run(second)
    assert len(summaries.find(manifest, VERSION)) == 1
    assert len(summaries.gate.events("vsa.attached")) == 1


@pytest.mark.parametrize("line", ["claim", "write_manifest", "_note_progress"])
def test_who_dies_on_the_way_leaves_one_to_the_next(
    summaries: Summaries, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    manifest = summaries.gate.publish()

    class Killed(BaseException):
        """The process is gone."""

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(claims if line == "claim" else service, line, die)
        with pytest.raises(Killed):
            summaries.run()
    assert len(summaries.gate.events("vsa.attached")) == (1 if line == "_note_progress" else 0)
    summaries.run()
    (found,) = summaries.find(manifest, VERSION)
    assert [each["bundle"] for each in summaries.gate.data_of("vsa.attached")] == [found.bundle]


def test_a_store_that_is_away_holds_the_decision_up_and_loses_none(
    summaries: Summaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = summaries.gate.publish()
    with monkeypatch.context() as patch:
        patch.setattr(type(summaries.gate.services.blobs), "open", _away)
        with pytest.raises(StoreUnavailable):
            summaries.run()
    summaries.run()
    assert len(summaries.find(manifest, VERSION)) == 1


def _away(*_: object) -> None:
    raise StoreUnavailable("away")


def test_a_decision_that_cannot_be_summed_up_is_told_and_holds_nobody_up(summaries: Summaries) -> None:
    gate = summaries.gate
    gate.publish()
    gate.limit(referrers_per_subject=2)  # as many as there are
    summaries.run()
    (told,) = gate.data_of("vsa.not-made")
    assert told["problem"] == "too-many-referrers"
    with gate.services.db.read() as tx:
        (row,) = tx.exec(select(SummaryRow)).all()
    assert (row.manifest, row.problem) == (None, "too-many-referrers")


def test_the_same_decision_is_the_same_statement_and_tells_when_it_was_decided(summaries: Summaries) -> None:
    gate = summaries.gate
    manifest = gate.publish()
    (decided,) = gate.events("admission.decided")
    gate.let_time_pass()
    summaries.run()
    (found,) = summaries.find(manifest, VERSION)
    assert decided["at"] == found.predicate.verified_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    served = Served(gate)
    bundle = next(
        served.open_blob(each.layers[0].digest).read()
        for each in served.referrers(manifest.digest)
        if each.layers[0].digest == found.bundle
    )
    assert payload_of(bundle)["predicate"] == found.predicate.as_json() | {
        "verifier": {"id": gate.services.settings.public_url, "version": {"tidegate": __version__}}
    }


def test_no_decision_changes_because_a_summary_real_or_forged_is_attached(
    summaries: Summaries, promotions: Promotions
) -> None:
    manifest = promotions.publish("1.0.0")
    opened = promotions.ask("carol", "1.0.0", "staging").json()
    before = promotions.show(opened)
    summaries.run()
    gate = summaries.gate
    forged = Signer().bundle(statement(subjects=(manifest.digest,)))
    answer = gate.attach(gate.client(RELEASE_JOB), manifest, forged, PREDICATE_VSA)
    assert answer.status_code == 403, answer.text  # it is no evidence, and nothing else may look like it
    assert codes_of(answer) == ["bundle-malformed"]
    assert promotions.show(opened) == before
    assert Digest.of(forged) not in str(gate.events("evidence.verified"))


def test_a_summary_alone_admits_nothing(summaries: Summaries) -> None:
    gate = summaries.gate
    client, manifest = gate.client(), gate.bundle_for()
    gate.push(client, manifest)
    refused_before = codes_of(gate.put(client, manifest, VERSION))
    own = summaries.signer.bundle(statement(subjects=(manifest.digest,)))
    assert gate.attach(client, manifest, own, PREDICATE_VSA).status_code == 403
    assert codes_of(gate.put(client, manifest, VERSION)) == refused_before
