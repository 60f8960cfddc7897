"""Whoever owns database and bucket makes decisions look other than they were: who replays the log sees it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from sqlmodel import col, delete, select, update

from tests.registry.admission.world import GateWorld
from tests.registry.promotion.world import POLICY, Promotions
from tests.registry.replay.auditing import entries_of, reader_of, replay_world, source_of
from tests.workshop import VERSION
from tidegate.auditor.replay.outcome import Summary
from tidegate.auditor.replay.run import replay_log
from tidegate.auditor.source import LogSource, ReadFile, object_path
from tidegate.digest import Digest
from tidegate.formats.jcs import canonical_bytes, parse_object
from tidegate.formats.predicates.types import PREDICATE_EVALUATION
from tidegate_registry.artifacts.tables import ReleaseRow
from tidegate_registry.audit.tables import AuditEventRow
from tidegate_registry.evidence.tables import EvidenceRow
from tidegate_registry.policies.source import PolicySet, StoredPolicies
from tidegate_registry.policies.tables import PolicyVersionRow
from tidegate_registry.promotion.tables import DecisionRow, TenureRow
from tidegate_registry.trusting.service import record_trust

Json = dict[str, Any]


@dataclass
class Forgery:
    """A log in the hands of its owner: entries as documents, and objects that are put in the place of others."""

    entries: list[Json]
    read: ReadFile
    swapped: dict[Digest, bytes] = field(default_factory=dict)

    def of(self, type_: str, place: int = -1) -> Json:
        return [entry for entry in self.entries if entry["type"] == type_][place]

    def drop(self, entry: Json) -> None:
        self.entries.remove(entry)

    def rewrite(self, entry: Json, change: Callable[[Json], object]) -> None:
        """Put another record in the place of the entry's, as if it had always been that one."""
        digest = Digest(entry["data"]["record"])
        raw = self.swapped.get(digest) or self.read(object_path(digest), 1 << 24) or b""
        document: Json = parse_object(raw, limit=1 << 24, what="a record")
        change(document)
        forged = canonical_bytes(document)
        entry["data"]["record"] = str(Digest.of(forged))
        self.swapped[Digest.of(forged)] = forged

    def replay(self) -> Summary:
        paths = {object_path(digest): raw for digest, raw in self.swapped.items()}
        source = LogSource("forged", lambda path, limit: paths.get(path) or self.read(path, limit))
        return replay_log(enumerate(map(canonical_bytes, self.entries)), source, processes=1)


def codes(summary: Summary) -> set[tuple[str, str | None]]:
    return {(reason.code, reason.step) for each in summary.notable for reason in each.reasons}


def swap_policy(log: Forgery) -> None:
    log.drop(log.of("policy.applied"))


def swap_charter(log: Forgery) -> None:
    log.entries.insert(0, deepcopy(log.of("trust.changed", 0)))
    log.drop(log.of("trust.changed"))


def hide_evidence_entry(log: Forgery) -> None:
    log.drop(log.of("evidence.verified"))


def swap_bundle(log: Forgery) -> None:
    log.swapped[Digest(log.of("evidence.verified")["data"]["bundle"])] = b"{}"


def improve_evaluation(log: Forgery) -> None:
    def change(record: Json) -> None:
        evaluated = [each for each in record["inputs"]["attestations"] if each["predicateType"] == PREDICATE_EVALUATION]
        evaluated[0]["logIndex"] += 1

    log.rewrite(log.of("promotion.decided"), change)


def leave_evidence_out(log: Forgery) -> None:
    def change(record: Json) -> None:
        inputs = record["inputs"]
        left = next(each for each in inputs["attestations"] if each["predicateType"] == PREDICATE_EVALUATION)
        inputs["attestations"].remove(left)
        record["digests"]["evidence"].remove(left["bundleDigest"])

    log.rewrite(log.of("promotion.decided"), change)


def say_that_there_was_too_much_evidence(log: Forgery) -> None:
    def change(record: Json) -> None:
        record["further"] = [{"code": "evidence-left-out", "message": "more is attached"}]
        record["evidence"].pop()

    log.rewrite(log.of("admission.decided"), change)


def forget_a_move(log: Forgery) -> None:
    log.drop(log.of("channel.moved", 0))


def approve_as_somebody_else(log: Forgery) -> None:
    def change(record: Json) -> None:
        record["inputs"]["approvals"][0]["person"] = "carol@sandbox.example"

    log.rewrite(log.of("promotion.decided"), change)


def turn_a_no_into_a_yes(log: Forgery) -> None:
    refused = next(entry for entry in log.entries if entry["data"].get("allowed") is False)

    def change(record: Json) -> None:
        for finding in record["findings"]:
            finding["state"] = "met"
        record["verdict"] = "allowed"

    log.rewrite(refused, change)
    refused["data"] |= {"allowed": True, "missing": []}


def edit_the_entry(log: Forgery) -> None:
    log.of("promotion.decided")["data"]["version"] = "9.9.9"


def move_without_decision(log: Forgery) -> None:
    moved = deepcopy(log.of("channel.moved"))
    moved["data"]["digest"] = str(Digest.of(b"anything"))
    log.entries.append(moved)


def decide_for_another_day(log: Forgery) -> None:
    """A freeze was over by then, or a certificate still good."""

    def change(record: Json) -> None:
        record["decidedAt"] = f"2031{record['decidedAt'][4:]}"

    log.rewrite(log.of("promotion.decided"), change)


def blame_somebody_else(log: Forgery) -> None:
    log.rewrite(log.of("admission.decided"), lambda record: record["actor"].update(name="somebody"))


def lower_the_trust_floor(log: Forgery) -> None:
    log.rewrite(log.of("admission.decided"), lambda record: record["previous"].update(runnerClass="self-hosted"))


def build_it_better(log: Forgery) -> None:
    log.rewrite(log.of("promotion.decided"), lambda record: record["inputs"]["release"]["facts"].update(builderLevel=3))


def serve_it_longer(log: Forgery) -> None:
    def change(record: Json) -> None:
        tenure = record["inputs"]["tenures"][0]
        tenure["since"] = f"2020{tenure['since'][4:]}"

    log.rewrite(log.of("promotion.decided"), change)


def report_tasks(log: Forgery) -> None:
    log.rewrite(log.of("promotion.decided"), lambda record: record["inputs"].update(tasks=1_000_000))


def ask_as_an_earlier_request(log: Forgery) -> None:
    """So that what was approved then counts now."""
    log.rewrite(log.of("promotion.decided"), lambda record: record["inputs"]["request"].update(sequence=7))


def count_requests_again(log: Forgery) -> None:
    log.entries.append(deepcopy(log.of("promotion.opened")))


def sum_up_a_refusal(log: Forgery) -> None:
    refused = next(entry for entry in log.entries if entry["data"].get("allowed") is False)
    told = {name: refused["data"][name] for name in ("repository", "version", "digest", "channel")}
    log.entries.append({**refused, "type": "vsa.attached", "data": told | {"decision": refused["id"]}})


def never_admit(log: Forgery) -> None:
    log.drop(log.of("release.admitted"))


def move_by_an_older_decision(log: Forgery) -> None:
    moved = next(each for each in log.entries if each["type"] == "channel.moved" and each["data"]["channel"] == "dev")
    log.drop(moved)
    log.entries.append(moved)


def describe_the_channel(members: Json, record: Json) -> None:
    record["inputs"]["channel"].update(members)


CHANNELS_OTHERWISE: Json = {
    "hold": "a rollback left it",
    "debts": ["somebody owes a review"],
    "window": [f"sha256:{7:064}"],
    "left": [f"sha256:{7:064}"],
}
"""Members of a record that the log tells, and something else in their place."""

FORGERIES: dict[Callable[[Forgery], None], tuple[str, str | None]] = {
    edit_the_entry: ("record-foreign", "Y2"),
    decide_for_another_day: ("record-foreign", "Y2"),
    blame_somebody_else: ("record-foreign", "Y2"),
    swap_policy: ("policy-not-in-force", "Y3"),
    swap_charter: ("trust-not-in-force", "Y4"),
    hide_evidence_entry: ("evidence-not-logged", "Y5"),
    swap_bundle: ("log-object-changed", None),
    improve_evaluation: ("evidence-differs", "Y6"),
    leave_evidence_out: ("evidence-left-out-of-decision", "Y7"),
    say_that_there_was_too_much_evidence: ("evidence-left-out-of-decision", "Y7"),
    forget_a_move: ("channel-differs", "Y8"),
    lower_the_trust_floor: ("previous-differs", "Y8"),
    build_it_better: ("release-differs", "Y8"),
    never_admit: ("release-differs", "Y8"),
    serve_it_longer: ("history-differs", "Y8"),
    report_tasks: ("history-differs", "Y8"),
    ask_as_an_earlier_request: ("request-differs", "Y8"),
    count_requests_again: ("sequence-repeated", "Y11"),
    sum_up_a_refusal: ("summary-without-decision", "Y12"),
    move_by_an_older_decision: ("change-without-decision", "Y11"),
    approve_as_somebody_else: ("approval-differs", "Y9"),
    turn_a_no_into_a_yes: ("verdict-differs", "Y10"),
    move_without_decision: ("change-without-decision", "Y11"),
}


def test_each_way_to_forge_a_log_that_is_otherwise_whole_is_seen(promotions: Promotions) -> None:
    gate = promotions.gate
    promotions.govern(rollback_window=1)
    record_trust(gate.services, gate.trust)
    promotions.govern()
    record_trust(gate.services, gate.trust)
    promotions.install(POLICY.replace("within: 24h", "within: 12h"))
    promotions.publish("1.0.0")
    promotions.promote("1.0.0", "dev", "alice")
    promotions.publish("1.1.0")
    promotions.promote("1.1.0", "dev", "alice")
    promotions.promote("1.1.0", "staging")
    read = reader_of(gate)
    whole = [parse_object(raw, limit=1 << 16, what="an entry") for _, raw in entries_of(gate)]
    assert codes(Forgery(deepcopy(whole), read).replay()) == set()
    for member, value in CHANNELS_OTHERWISE.items():
        log = Forgery(deepcopy(whole), read)
        log.rewrite(log.of("promotion.decided"), partial(describe_the_channel, {member: value}))
        told = [reason.message for each in log.replay().notable for reason in each.reasons]
        assert any(message.startswith("the log says otherwise") for message in told), (member, told)
    for forge, expected in FORGERIES.items():
        log = Forgery(deepcopy(whole), read)
        forge(log)
        summary = log.replay()
        assert expected in codes(summary), (forge.__name__, codes(summary))
        assert summary.differing, forge.__name__


def test_a_record_of_an_engine_of_nobodys_is_not_taken_at_its_word(promotions: Promotions) -> None:
    gate = promotions.gate
    record_trust(gate.services, gate.trust)
    promotions.publish("1.0.0")
    promotions.promote("1.0.0", "dev", "alice")
    assert promotions.ask("carol", "1.0.0", "staging").status_code == 201
    entries = [parse_object(raw, limit=1 << 16, what="an entry") for _, raw in entries_of(gate)]
    log = Forgery(entries, reader_of(gate))
    turn_a_no_into_a_yes(log)
    log.rewrite(log.of("promotion.decided"), lambda record: record.update(engine="tidegate/decide/v0"))
    summary = log.replay()
    assert (summary.not_replayable, summary.differing) == (1, 0)
    assert ("engine-unknown", "Y10") in codes(summary)
    assert [reason.code for each in summary.notable for reason in each.today] == ["verdict-differs"]


def test_what_is_no_entry_is_not_passed_over(gate_world: GateWorld) -> None:
    entries, source = entries_of(gate_world), source_of(gate_world)
    moved = b'{"type":"channel.moved","version":1} '
    summary = replay_log([*entries, (len(entries), moved)], source, processes=1)
    assert [(each.index, each.state.value) for each in summary.notable] == [(len(entries), "differing")]


def test_a_policy_that_was_edited_in_its_row_is_seen_in_the_next_decision(promotions: Promotions) -> None:
    gate = promotions.gate
    record_trust(gate.services, gate.trust)
    promotions.publish("1.0.0")
    with gate.services.db.engine.begin() as rows:
        text = rows.execute(select(PolicyVersionRow.text)).scalar_one()
        rows.execute(update(PolicyVersionRow).values(text=text.replace(b"count: 1", b"count: 2")))
    policies = gate.services.policies
    assert isinstance(policies, StoredPolicies)
    policies._known = (None, PolicySet({}, {}))  # as after a restart
    promotions.promote("1.0.0", "dev", "alice")
    summary, _ = replay_world(gate)
    assert ("policy-not-in-force", "Y3") in codes(summary)


def test_a_release_that_was_served_longer_by_its_row_than_by_the_log_is_seen(promotions: Promotions) -> None:
    gate = promotions.gate
    record_trust(gate.services, gate.trust)
    promotions.publish("1.0.0")
    promotions.promote("1.0.0", "dev", "alice")
    with gate.services.db.engine.begin() as rows:
        rows.execute(update(TenureRow).values(since=gate.services.clock() - timedelta(days=30)))
    promotions.promote("1.0.0", "staging")
    summary, _ = replay_world(gate)
    assert ("history-differs", "Y8") in codes(summary)


def test_a_trust_floor_that_was_lowered_in_its_row_is_seen_in_the_next_admission(promotions: Promotions) -> None:
    gate = promotions.gate
    record_trust(gate.services, gate.trust)
    promotions.publish("1.0.0")
    with gate.services.db.engine.begin() as rows:
        facts = rows.execute(select(ReleaseRow.facts)).scalar_one()
        assert b'"runnerClass":"hosted"' in facts
        rows.execute(update(ReleaseRow).values(facts=facts.replace(b'"hosted"', b'"self-hosted"')))
    promotions.publish("1.1.0")
    summary, _ = replay_world(gate)
    assert ("previous-differs", "Y8") in codes(summary)


def test_evidence_that_was_taken_out_of_the_database_is_missed_in_the_next_decision(promotions: Promotions) -> None:
    gate = promotions.gate
    record_trust(gate.services, gate.trust)
    promotions.publish("1.0.0")
    promotions.evaluate("1.0.0")
    with gate.services.db.engine.begin() as rows:
        rows.execute(delete(EvidenceRow).where(col(EvidenceRow.predicate_type) == PREDICATE_EVALUATION))
    promotions.promote("1.0.0", "dev", "alice")
    summary, _ = replay_world(gate)
    assert ("evidence-left-out-of-decision", "Y7") in codes(summary)


def test_edited_rows_of_decisions_and_entries_do_not_reach_the_log(gate_world: GateWorld) -> None:
    """The record of a decision is beside the log, so an edit of its row changes nothing that an auditor reads."""
    record_trust(gate_world.services, gate_world.trust)
    gate_world.publish(VERSION)
    entries, source = entries_of(gate_world), source_of(gate_world)
    with gate_world.services.db.engine.begin() as rows:
        rows.execute(update(DecisionRow).values(record=b"{}"))
        rows.execute(update(AuditEventRow).values(body=b"{}"))
    summary = replay_log(entries, source, processes=1)
    assert (summary.decisions, summary.agreed, summary.notable) == (1, 1, [])
