#!/usr/bin/env python3
"""The case of replays: 1,000 decisions, half of them admissions, each over bundles of its own, from a log in memory.

scripts/bench_replay.py [DECISIONS]    times it alone, without the stage that `scripts/bench.py` needs
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.bench_cases import Result
from tests.documents import evaluation
from tests.forge import dump
from tests.workshop import AGENT, EVALS_JOB, RELEASE_JOB, Workshop, provenance_of
from tidegate.auditor.replay.run import replay_log
from tidegate.auditor.source import LogSource, object_path
from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject, canonical_bytes
from tidegate.formats.manifest import EMPTY_DESCRIPTOR, image_manifest
from tidegate.formats.mediatypes import PREDICATE_SLSA_PROVENANCE
from tidegate.formats.predicates.approval import Action
from tidegate.formats.predicates.types import PREDICATE_EVALUATION
from tidegate.policy.attested import attested_of
from tidegate.policy.decide import decide
from tidegate.policy.inputs import Caller, Channel, Inputs, Release, Request
from tidegate.policy.load import load_policy
from tidegate.policy.record import make_record
from tidegate.policy.verdict import Allowed as Promoted
from tidegate.verify.admission import AdmissionInputs, decide_admission
from tidegate.verify.admission_record import make_admission_record
from tidegate.verify.artifact import Allowed
from tidegate_registry.audit.service import make_event_id
from tidegate_registry.sandbox.sigstore import SigstoreInstance

if TYPE_CHECKING:
    from scripts.bench_stage import Bench
    from tidegate.policy.evidence import VerifiedAttestation

DECISIONS = 1_000
MIB = 1 << 20
POLICY = b"""\
format: tidegate/policy/v1
roles:
  developer: [{issuer: "https://idp.example", claims: {groups: developers}}]
channels: [dev]
transitions: [{to: dev, allow: [developer]}]
editors: {allow: [developer]}
"""
WHO = Caller("human", "https://idp.example", "alice", {"groups": ("developers",)})
ACTOR = {"kind": "human", "issuer": "https://idp.example", "name": "alice"}


@dataclass
class Log:
    """A log in memory: entries, and objects by path."""

    at: datetime
    entries: list[bytes] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)

    def put(self, raw: bytes) -> str:
        digest = Digest.of(raw)
        self.objects[object_path(digest)] = raw
        return str(digest)

    def write(self, kind: str, data: JsonObject) -> str:
        identity = make_event_id(self.at, lambda count: len(self.entries).to_bytes(count))
        entry: JsonObject = {"id": identity, "version": 1, "type": kind, "actor": dict(ACTOR), "data": data}
        entry["at"] = self.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.entries.append(canonical_bytes(entry))
        return identity

    @property
    def source(self) -> LogSource:
        return LogSource("memory", lambda path, _: self.objects.get(path))


def make_log(shop: Workshop, decisions: int) -> Log:
    """Decide `decisions` times, an admission and a promotion of each release, and write what a registry would."""
    log, charter = Log(shop.now), shop.charter.model_copy(update={"approvals": {"dev": 0}})
    policy, trust = load_policy(POLICY, name="policy"), shop.trusting(charter)
    roots = tuple((root.name, root.digest) for root in trust.roots)
    described: JsonObject = {
        "charters": {charter.agent: {"digest": str(charter.digest)}},
        "roots": {name: {"digest": str(digest)} for name, digest in roots},
    }
    log.write("trust.changed", {"digest": log.put(canonical_bytes(described))})
    log.write("policy.applied", {"policy": "_company", "digest": log.put(POLICY)})
    for root in trust.roots:
        log.put(root.raw)
    previous = None
    for number in range(decisions // 2):
        manifest = image_manifest(
            artifact_type="application/vnd.example.agent",
            config=EMPTY_DESCRIPTOR,
            layers=(),
            annotations={"example.number": str(number)},
        )
        log.put(manifest.raw)
        version, about = f"1.0.{number}", replace(shop, manifest=manifest)
        found = _evidence(log, about, version)
        inputs = AdmissionInputs(
            AGENT, version, manifest.digest, None, None, charter, found[:2], (), previous, policy=policy, roots=roots
        )
        said = decide_admission(inputs)
        if not isinstance(said, Allowed):
            raise SystemExit(f"refused: {said.reasons}")
        previous = said.facts
        raw = make_admission_record(inputs, said, now=shop.now, actor=ACTOR, caller=WHO)
        named: JsonObject = {"repository": AGENT, "digest": str(manifest.digest), "version": version}
        named |= {"policy": str(policy.digest), "charter": str(charter.digest), "allowed": True, "missing": []}
        decision = log.write("admission.decided", {**named, "record": log.put(raw)})
        log.write("release.admitted", {**named, "decision": decision})
        opened: JsonObject = {"channel": "dev", "action": "promote", "sequence": number + 1, "promotion": str(number)}
        log.write("promotion.opened", {**named, **opened})
        request = Request(str(number), Action.PROMOTE, AGENT, None, "dev", number + 1, WHO, shop.now)
        asked = Inputs(
            request=request,
            release=Release(version, manifest.digest, WHO, shop.now, said.facts, said.channels, opaque=True),
            channel=Channel("dev", sequence=number + 1),
            charter=charter,
            attestations=tuple(map(attested_of, found)),
            roots=roots,
        )
        verdict = decide(policy, asked, shop.now)
        record = log.put(make_record(policy, asked, verdict, now=shop.now, actor=ACTOR))
        missing = [] if isinstance(verdict, Promoted) else [each.id for each in verdict.missing]
        log.write(
            "promotion.decided",
            {
                **named,
                **opened,
                "decision": f"d{number}",
                "allowed": isinstance(verdict, Promoted),
                "missing": list(missing),
                "record": record,
            },
        )
    return log


def _evidence(log: Log, about: Workshop, version: str) -> list[VerifiedAttestation]:
    """Sign what a release needs, and an evaluation, and attach it."""
    bundles = (
        about.sign(about.release_statement(version=version, channels=("dev",))),
        about.sign(about.statement(PREDICATE_SLSA_PROVENANCE, provenance_of(RELEASE_JOB))),
        about.sign(about.statement(PREDICATE_EVALUATION, evaluation(suite="smoke")), EVALS_JOB),
    )
    found = []
    for bundle in map(dump, bundles):
        each = about.verify(bundle)
        found.append(each)
        log.write(
            "evidence.verified",
            {
                "repository": AGENT,
                "subject": str(about.subject),
                "bundle": log.put(bundle),
                "predicate_type": each.predicate_type,
            },
        )
    return found


def replays(bench: Bench | None, rounds: int, decisions: int = DECISIONS) -> Iterator[Result]:
    """Time the replay of a whole log, in seconds, with as many processes as there are processors."""
    del bench
    now = datetime.now(UTC).replace(microsecond=0)
    with tempfile.TemporaryDirectory() as folder:
        instances = [
            SigstoreInstance(
                Path(folder) / name,
                f"https://{name}.sigstore.example",
                clock=lambda: now,
                valid_from=now - timedelta(1),
            )
            for name in ("main", "other")
        ]
        log = make_log(Workshop(instances[0], instances[1], now), decisions)
        for instance in instances:
            instance.close()
    timed = Result(f"replay, {decisions:,} decisions", "s")
    for _ in range(rounds):
        begun, used = time.perf_counter(), _cpu()
        summary = replay_log(enumerate(log.entries), log.source)
        timed.add("tidegate log replay", time.perf_counter() - begun)
        timed.notes["s of CPU, all processes"] = _cpu() - used
        if summary.agreed != decisions:
            raise SystemExit(f"{summary.agreed} of {decisions} agree: {summary.notable[:3]}")
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    timed.notes["MiB in the largest process"] = largest * 1024 / MIB
    yield timed


def _cpu() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


if __name__ == "__main__":
    for found in replays(None, 1, int(sys.argv[1]) if len(sys.argv) > 1 else DECISIONS):
        print(f"{found.name}: {found.samples} {found.unit}, {found.notes}")
