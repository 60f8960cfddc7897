"""An approver at work: two releases in the attacker's registry, a policy, a request, and what it says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx2

from tests.client.bundle.agents import build_agent
from tests.client.remote.fake_registry import FakeRegistry
from tests.forge import dump
from tests.workshop import AGENT, Workshop
from tidegate.bundle.layout import Layout
from tidegate.digest import Digest
from tidegate.evidence import Attached, LayoutShelf
from tidegate.formats.charter import ApproverRule, Charter
from tidegate.formats.identity import CertificateIdentity, from_oidc_claims
from tidegate.formats.manifest import Manifest, evidence_manifest
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.types import PREDICATE_CYCLONEDX
from tidegate.formats.statement import Statement
from tidegate.policy.load import load_policy
from tidegate.policy.rollout import not_full_before
from tidegate.promotion.approve import Filed, file_approval
from tidegate.promotion.examine import Examined, Workplace, examine
from tidegate.signing.signer import Signed
from tidegate.verify.trust import Trust
from tidegate_registry.sandbox.jobs import SERVER_URL, JobRequest

REQUEST = "0197a7c2-0000-7000-8000-000000000001"
Document = dict[str, object]
Say = Callable[["Office"], None]

YAML = """\
name: acme/support-agent
version: {version}
entrypoint: [python3, main.py]
runtime: vendored
components: {{prompts: prompts/**}}
models: [{{id: claude-sonnet-4-{day}, provider: anthropic}}]
capabilities: {{egress: [{egress}]}}
"""

POLICY = """\
format: tidegate/policy/v1
channels: [dev, staging, stable]
roles:
  manager: [{issuer: "https://idp.example", claims: {groups: managers}}]
  reviewer: [{issuer: "https://idp.example", claims: {groups: reviewers}}]
editors: {allow: [manager]}
transitions:
  - {to: dev, allow: [manager]}
  - from: dev
    to: staging
    allow: [manager]
    require:
      - {id: sbom, sbom: {formats: [cyclonedx]}}
      - {id: reviewed, approvals: {count: 1, role: reviewer}}
    rollout: {steps: [{percent: 5, hold: 1h}, {percent: 50, hold: 2h}, {percent: 100}]}
"""


@dataclass
class Pen:
    """Signs as somebody, in process, and remembers what it was given to sign."""

    shop: Workshop
    trust: Trust
    who: str | JobRequest = "bob"
    signed: list[Statement] = field(default_factory=list)

    def expected_identity(self) -> CertificateIdentity:
        if isinstance(self.who, JobRequest):
            return from_oidc_claims(
                "github", self.who.claims() | {"iss": self.shop.main.issuer.ci_url}, server_url=SERVER_URL
            )
        return CertificateIdentity(self.shop.main.issuer.url, f"{self.who}@sandbox.example")

    def sign_statement(self, payload: bytes) -> Signed:
        statement = Statement.parse(payload)
        self.signed.append(statement)
        raw = dump(self.shop.sign(payload, self.who))
        charter = self.trust.charters.for_agent(AGENT)
        return Signed(raw, self.shop.verify(raw, subject=statement.subject.digest, trust=self.trust, charter=charter))


@dataclass
class Office:
    """`request`, `channel`, `policy`: what the registry says, to be changed at will; the rest is what is so."""

    shop: Workshop
    fake: FakeRegistry
    trust: Trust
    serving: Manifest
    candidate: Manifest
    request: Document
    channel: Document
    policy: Document
    pen: Pen
    filed: list[str] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return self.shop.now

    def approve(self, *, reason: str | None = None) -> Filed:
        """Do what `tidegate approve --yes` does."""
        place, found = self.examine()
        return file_approval(place, found, self.pen, reason=reason)

    def examine(self) -> tuple[Workplace, Examined]:
        """Do what it does before it asks."""
        place = Workplace(self.fake.registry(), self.trust, lambda: self.now)
        return place, examine(place, place.promotions.get(REQUEST))

    def find(self, id_: str) -> Document:
        """A finding of the registry's decision."""
        decision = self.request["decision"]
        assert isinstance(decision, dict)
        return next(each for each in decision["findings"] if each["id"] == id_)

    def hide_evidence(self, predicate_type: str) -> None:
        """Leave some evidence about the candidate out of what is listed."""
        listed = self.fake.referrers[self.candidate.digest]
        self.fake.referrers[self.candidate.digest] = [
            each
            for each in listed
            if each.get("annotations", {}).get("dev.sigstore.bundle.predicateType") != predicate_type  # type: ignore[attr-defined]
        ]

    def serve_policy(self, text: str) -> None:
        self.policy |= {"text": text, "digest": digest_of(text)}

    def api(self, request: httpx2.Request) -> httpx2.Response | None:
        """Answer /api/v1 with the registry's words."""
        path = request.url.path.removeprefix("/api/v1")
        if path == request.url.path:
            return None
        if path == f"/promotions/{REQUEST}/approvals":
            self.filed.append(request.read().decode())
            return httpx2.Response(201, json=self.request)
        words = {
            f"/promotions/{REQUEST}": self.request,
            f"/agents/{AGENT}/channels/staging": self.channel,
            "/policies/_company": self.policy,
        }
        if path in words:
            return httpx2.Response(200, json=words[path])
        return httpx2.Response(404, json={"detail": "no such thing", "reasons": []})


@dataclass(frozen=True)
class Releases:
    """1.2.0, which staging serves, and 1.3.0, which is asked for, as an honest registry has them."""

    fake: FakeRegistry
    serving: Manifest
    candidate: Manifest


def make_releases(workshop: Workshop, folder: Path) -> Releases:
    """Build, sign and prove both."""
    fake = FakeRegistry()
    before = _release(workshop, fake, folder / "one", "1.2.0", day="20250514", egress="api.example.com")
    after = _release(
        workshop, fake, folder / "two", "1.3.0", day="20260501", egress='api.example.com, "*.example.net"', sbom=True
    )
    return Releases(fake, before, after)


def open_office(workshop: Workshop, releases: Releases) -> Office:
    """Give a registry of its own, where 1.3.0 is asked for."""
    before, after, known = releases.serving, releases.candidate, releases.fake
    fake = FakeRegistry(
        blobs=dict(known.blobs),
        manifests=dict(known.manifests),
        referrers={subject: list(listed) for subject, listed in known.referrers.items()},
    )
    charter = _charter(workshop)
    trust = workshop.trusting(charter)
    now, rule = workshop.now, load_policy(POLICY.encode()).rule(AGENT, "dev", "staging")
    assert rule is not None
    opened = now - timedelta(minutes=10)
    findings = [
        {"id": "sbom", "kind": "sbom", "state": "met", "message": "there is one", "whoCan": [], "measured": {}},
        {"id": "reviewed", "kind": "approvals", "state": "unmet", "message": "0 of 1", "whoCan": [], "measured": {}},
    ]
    request: Document = {
        "id": REQUEST,
        "agent": AGENT,
        "channel": "staging",
        "source": "dev",
        "version": "1.3.0",
        "digest": after.digest,
        "sequence": 7,
        "action": "promote",
        "state": "open",
        "ruleDigest": rule.digest,
        "notFullBefore": moment_text(not_full_before(rule.rollout, opened)),
        "requester": {"kind": "human", "issuer": "https://idp.example", "identity": "carol@corp.example"},
        "openedAt": moment_text(opened),
        "decision": {"allowed": False, "decidedAt": moment_text(now), "findings": findings},
    }
    serving = {"version": "1.2.0", "digest": before.digest, "since": "2026-01-01T00:00:00Z", "sequence": 6}
    channel: Document = {"agent": AGENT, "name": "staging", "serving": serving, "sequence": 7}
    policy: Document = {
        "name": "_company",
        "number": 3,
        "digest": digest_of(POLICY),
        "author": {"kind": "human", "issuer": "https://idp.example", "identity": "dave@corp.example"},
        "reason": "the first one",
        "appliedAt": "2026-01-01T00:00:00Z",
        "text": POLICY,
    }
    office = Office(workshop, fake, trust, before, after, request, channel, policy, Pen(workshop, trust))
    fake.before.append(office.api)
    return office


def _charter(workshop: Workshop) -> Charter:
    bob = ApproverRule(name="bob", root="main", issuer=workshop.main.issuer.url, identity="bob@sandbox.example")
    return workshop.charter.model_copy(
        update={"approvers": (bob,), "approvals": {"dev": 0, "staging": 1, "stable": 1}, "attesters": ()}
    )


def _release(
    workshop: Workshop, fake: FakeRegistry, folder: Path, version: str, *, day: str, egress: str, sbom: bool = False
) -> Manifest:
    folder.mkdir()
    yaml = YAML.format(version=version, day=day, egress=egress)
    built = build_agent(folder, {"agent.yaml": yaml, "prompts/system.md": f"Be brief, as of {day}.\n"})
    shop = replace(workshop, manifest=built.manifest)
    payloads = [shop.release_statement(version=version), shop.provenance_statement()]
    if sbom:
        payloads.append(shop.statement(PREDICATE_CYCLONEDX, {"bomFormat": "CycloneDX", "specVersion": "1.6"}))
    for payload in payloads:
        LayoutShelf(built.layout).attach(Attached.parse(dump(shop.sign(payload))), built.manifest.descriptor)
    _serve(fake, built.layout)
    return built.manifest


def _serve(fake: FakeRegistry, layout: Layout) -> None:
    for manifest in layout.manifests():
        fake.manifests[manifest.digest] = (manifest.media_type, manifest.raw)
        for blob in manifest.blobs:
            fake.blobs[blob.digest] = layout.read_blob(blob.digest, 1 << 24)
        if manifest.subject is not None:
            _list(fake, manifest, manifest.subject.digest)


def _list(fake: FakeRegistry, referrer: Manifest, subject: Digest) -> None:
    fake.manifests[referrer.digest] = (referrer.media_type, referrer.raw)
    entry = replace(referrer.descriptor, artifact_type=referrer.effective_artifact_type).as_json()
    entry["annotations"] = dict(referrer.annotations)
    fake.referrers.setdefault(subject, []).append(dict(entry))


def attach(fake: FakeRegistry, subject: Manifest, raw: bytes, predicate_type: str) -> None:
    """Have the registry list one more signed statement about `subject`."""
    referrer = evidence_manifest(raw, subject.descriptor, predicate_type)
    fake.put_blob(raw)
    _list(fake, referrer, subject.digest)


def digest_of(text: str) -> Digest:
    """Some digest."""
    return Digest.of(text.encode())
