"""An agent with a policy, approvers and a CI, on a real registry: what tests of promotions start from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.documents import evaluation
from tests.forge import dump
from tests.registry.admission.world import GateWorld
from tests.workshop import AGENT, EVALS_JOB, RELEASE_JOB
from tidegate.digest import Digest
from tidegate.formats.charter import ApproverRule, Charter
from tidegate.formats.manifest import Descriptor, Manifest, evidence_manifest
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.types import PREDICATE_APPROVAL, PREDICATE_BREAK_GLASS, PREDICATE_EVALUATION
from tidegate_registry.audit.events import Actor
from tidegate_registry.policies.install import install
from tidegate_registry.sandbox.jobs import SERVER_URL

if TYPE_CHECKING:
    import httpx2

    from tests.forge import Who

SCOPES = (f"repository:{AGENT}:pull,push,promote", "registry:api:*")
CHANNELS = f"/api/v1/agents/{AGENT}/channels"
PROMOTIONS = "/api/v1/promotions"
Json = dict[str, Any]

POLICY = """\
format: tidegate/policy/v1
persons:
  alice: [{issuer: ISSUER, identity: alice@sandbox.example}, {issuer: ISSUER/ci, claims: {actor: alice}}]
  bob: [{issuer: ISSUER, identity: bob@sandbox.example}]
  carol: [{issuer: ISSUER, identity: carol@sandbox.example}]
  dave: [{issuer: ISSUER, identity: dave@sandbox.example}]
roles:
  developer: [{issuer: ISSUER, claims: {groups: developers}}]
  reviewer: [{issuer: ISSUER, claims: {groups: reviewers}}]
  release-manager: [{issuer: ISSUER, claims: {groups: release-managers}}]
  admin: [{issuer: ISSUER, claims: {groups: admins}}]
signers:
  evals:
    root: main
    issuer: ISSUER/ci
    workflow: SERVER/acme/evals/.ci/workflows/run.yml
    refs: [refs/heads/main]
channels: [dev, staging, stable]
FREEZEStransitions:
- {to: dev, allow: [developer, release-manager]}
- from: dev
  to: staging
  allow: [release-manager]
  require:
  - {id: evaluated, attestation: {type: evaluation, signer: evals}}
  - {id: reviewed, approvals: {count: 1, role: reviewer}}
- from: staging
  to: stable
  allow: [release-manager]
  require: [{id: reviewed, approvals: {count: 1, role: reviewer}}]
breakGlass:
  allow: [admin]
  channels: [staging, stable]
  expiresAfter: 4h
  review: {within: 24h, allow: [reviewer, release-manager]}
editors: {allow: [admin]}
"""
FREEZE = """\
freezes:
- {name: holidays, channels: [dev, staging, stable], start: "2020-01-01T00:00:00Z", end: "2120-01-01T00:00:00Z"}
"""


@dataclass
class Promotions:
    """The registry of `gate`, with the policy above in force. Everybody calls over HTTP."""

    gate: GateWorld
    manifests: dict[str, Manifest] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.govern()
        self.install(POLICY)

    @property
    def issuer(self) -> str:
        return self.gate.shop.main.issuer.url

    def approver(self, name: str, *channels: str, person: str | None = None) -> ApproverRule:
        return ApproverRule(
            name=name,
            person=person,
            root="main",
            issuer=self.issuer,
            identity=f"{name}@sandbox.example",
            channels=channels,
        )

    @property
    def charter(self) -> Charter:
        return self.gate.shop.charter.model_copy(
            update={
                "approvers": (self.approver("alice"), self.approver("bob"), self.approver("carol")),
                "approvals": {"dev": 0, "staging": 1, "stable": 2},
                "break_glass": (self.approver("dave"),),
            }
        )

    def govern(self, **changes: object) -> None:
        self.gate.govern(self.charter.model_copy(update=changes))

    def install(self, policy: str, *, freezes: str = "") -> None:
        text = policy.replace("ISSUER", self.issuer).replace("SERVER", SERVER_URL).replace("FREEZES", freezes)
        operator = Actor("operator", "", "test")
        install(self.gate.services, operator, text.encode(), reason="for a test", recover=True)

    def client(self, who: Who | Json) -> httpx2.Client:
        return self.gate.client(who, *SCOPES)  # type: ignore[arg-type]

    def publish(self, version: str, channels: tuple[str, ...] = ("dev",)) -> Manifest:
        """Publish an opaque bundle by the release job, which alice set off."""
        client = self.gate.client(RELEASE_JOB)
        manifest = self.manifests[version] = self.gate.bundle_for()
        self.gate.push(client, manifest)
        for answer in (
            self.gate.sign_release(client, manifest, version, channels=channels),
            self.gate.sign_provenance(client, manifest, RELEASE_JOB),
            self.gate.put(client, manifest, version),
        ):
            assert answer.status_code == 201, answer.text
        return manifest

    def ask(self, who: Who | Json, version: str, channel: str, **more: object) -> httpx2.Response:
        document = {"agent": AGENT, "version": version, "channel": channel} | more
        return self.client(who).post(PROMOTIONS, json=document)

    def promote(self, version: str, channel: str, who: Who | Json = "carol") -> Json:
        """Ask, and supply what the policy wants, until it is done."""
        opened = self.ask(who, version, channel)
        assert opened.status_code == 201, opened.text
        promotion: Json = opened.json()
        if channel == "staging":
            self.evaluate(version)
        for name in {"dev": (), "staging": ("bob",), "stable": ("bob", "carol")}[channel]:
            answer = self.approve(name, promotion)
            assert answer.status_code == 201, answer.text
            promotion = answer.json()
        assert promotion["state"] == "done", promotion
        return promotion

    def evaluate(self, version: str, **changes: object) -> httpx2.Response:
        client, manifest = self.gate.client(EVALS_JOB), self.manifests[version]
        payload = self.gate.about(manifest).statement(PREDICATE_EVALUATION, evaluation(**changes))
        return self.gate.attach(
            client, manifest, self.gate.about(manifest).sign(payload, EVALS_JOB), PREDICATE_EVALUATION
        )

    def attach(self, who: Who, version: str, predicate_type: str, predicate: Json) -> Digest:
        """Sign a statement about a release and attach it; give the referrer's digest."""
        manifest = self.manifests[version]
        shop = self.gate.about(manifest)
        raw = dump(shop.sign(shop.statement(predicate_type, predicate), who, at=datetime.now(UTC)))
        answer = self.gate.attach(self.client(who), manifest, raw, predicate_type)
        assert answer.status_code == 201, answer.text
        descriptor = Descriptor(manifest.media_type, manifest.digest, len(manifest.raw))
        return evidence_manifest(raw, descriptor, predicate_type).digest

    def sign_approval(self, who: Who, promotion: Json, **changes: object) -> Digest:
        """Sign an approval of a request and attach it."""
        manifest = self.manifests[promotion["version"]]
        fields = self.about(promotion) | {
            "rule": promotion["ruleDigest"],
            "notFullBefore": moment_text(datetime.now(UTC)),
            "expiresAt": moment_text(datetime.now(UTC) + timedelta(days=1)),
        }
        predicate = replace(self.gate.shop, manifest=manifest).approval_predicate(**(fields | changes))
        return self.attach(who, promotion["version"], PREDICATE_APPROVAL, predicate)

    def approve(self, who: Who, promotion: Json, filer: Who | Json | None = None, **changes: object) -> httpx2.Response:
        """Sign, attach and file an approval."""
        return self.file(filer or who, promotion, self.sign_approval(who, promotion, **changes))

    def break_glass(self, who: Who, promotion: Json, **changes: object) -> httpx2.Response:
        """Sign, attach and file a break-glass statement."""
        manifest = self.manifests[promotion["version"]]
        fields = self.about(promotion) | {
            "reason": "it burns",
            "expiresAt": moment_text(datetime.now(UTC) + timedelta(hours=1)),
        }
        predicate = replace(self.gate.shop, manifest=manifest).break_glass_predicate(**(fields | changes))
        return self.file(who, promotion, self.attach(who, promotion["version"], PREDICATE_BREAK_GLASS, predicate))

    def file(self, who: Who | Json, promotion: Json, manifest: Digest) -> httpx2.Response:
        url = f"{PROMOTIONS}/{promotion['id']}/approvals"
        return self.client(who).post(url, json={"manifest": str(manifest)})

    def show(self, promotion: Json) -> Json:
        answer = self.client("carol").get(f"{PROMOTIONS}/{promotion['id']}")
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def channel(self, name: str) -> Json:
        answer = self.client("carol").get(f"{CHANNELS}/{name}")
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def serves(self, name: str) -> str | None:
        serving = self.channel(name)["serving"]
        return None if serving is None else str(serving["version"])

    def roll_back(
        self, channel: str, version: str | None = None, who: Who | Json = "carol", reason: str = "it is slow"
    ) -> httpx2.Response:
        return self.client(who).post(f"{CHANNELS}/{channel}/rollback", json={"version": version, "reason": reason})

    @staticmethod
    def about(promotion: Json) -> Json:
        """What every signed statement says of a request."""
        return {name: promotion[name] for name in ("agent", "version", "digest", "channel", "sequence", "action")}


def missing(promotion: Json) -> list[str]:
    """What holds a request up, by id."""
    findings = promotion["decision"]["findings"]
    return [each["id"] for each in findings if each["state"] in ("unmet", "inconclusive")]


def finding(promotion: Json, name: str) -> Json:
    """The finding of that id."""
    found: Json
    (found,) = [each for each in promotion["decision"]["findings"] if each["id"] == name]
    return found
