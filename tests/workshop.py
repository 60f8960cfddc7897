"""What every attack on evidence starts from: an agent with a charter, its honest CI job, two Sigstores, one clock.

The workshop signs in process, so an attack is a few lines and a few milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from tests.documents import json_example
from tests.forge import dump, sign_statement
from tidegate.digest import Digest
from tidegate.formats.charter import Charter, SignerRule
from tidegate.formats.identity import ClaimName, from_oidc_claims
from tidegate.formats.jcs import JsonObject
from tidegate.formats.manifest import EMPTY_DESCRIPTOR, Manifest, image_manifest
from tidegate.formats.mediatypes import PREDICATE_RELEASE, PREDICATE_SLSA_PROVENANCE
from tidegate.formats.predicates.approval import ApprovalPredicate
from tidegate.formats.predicates.break_glass import BreakGlassPredicate
from tidegate.formats.predicates.provenance import BUILD_TYPE_TIDEGATE, Provenance
from tidegate.formats.predicates.release import ReleasePredicate
from tidegate.formats.predicates.review import ReviewPredicate
from tidegate.formats.predicates.shadow import ShadowPredicate
from tidegate.formats.predicates.types import PREDICATE_EVALUATION, PREDICATE_REVIEW
from tidegate.formats.statement import make_statement
from tidegate.policy.evidence import VerifiedAttestation
from tidegate.verify.attestation import verify_attestation
from tidegate.verify.trust import Root, Trust
from tidegate_registry.sandbox.jobs import SERVER_URL, JobRequest

if TYPE_CHECKING:
    from tests.forge import Who
    from tidegate_registry.sandbox.sigstore import SigstoreInstance

AGENT = "acme/support-agent"
VERSION = "1.2.0"
WORKFLOW = f"{SERVER_URL}/{AGENT}/.ci/workflows/release.yml"
RELEASE_JOB = JobRequest(repository=AGENT, ref="refs/tags/v1.2.0")
EVALS_JOB = JobRequest(repository="acme/evals", workflow=".ci/workflows/run.yml")


@dataclass
class Workshop:
    """`main` is the Sigstore whose root the charter names `main`; `other` is another one, `other`, that it may name."""

    main: SigstoreInstance
    other: SigstoreInstance
    now: datetime
    manifest: Manifest = field(
        default_factory=lambda: image_manifest(
            artifact_type="application/vnd.example.agent", config=EMPTY_DESCRIPTOR, layers=()
        )
    )

    @property
    def subject(self) -> Digest:
        return self.manifest.digest

    @cached_property
    def roots(self) -> dict[str, Root]:
        return {"main": root_of(self.main, "main"), "other": root_of(self.other, "other")}

    @cached_property
    def publisher(self) -> SignerRule:
        return SignerRule(
            name="release",
            root="main",
            issuer=self.main.issuer.ci_url,
            workflow=WORKFLOW,
            refs=("refs/tags/v*",),
            claims={
                ClaimName.SOURCE_REPOSITORY_URI: f"{SERVER_URL}/{AGENT}",
                ClaimName.SOURCE_REPOSITORY_IDENTIFIER: str(RELEASE_JOB.claims()["repository_id"]),
            },
        )

    @cached_property
    def attesters(self) -> tuple[SignerRule, ...]:
        return (
            SignerRule(
                name="evals",
                root="main",
                issuer=self.main.issuer.ci_url,
                workflow=f"{SERVER_URL}/acme/evals/.ci/workflows/run.yml",
                refs=("refs/heads/main",),
                types=(PREDICATE_EVALUATION,),
            ),
            SignerRule(
                name="bob",
                root="main",
                issuer=self.main.issuer.url,
                identity="bob@sandbox.example",
                types=(PREDICATE_REVIEW,),
            ),
        )

    @cached_property
    def charter(self) -> Charter:
        return Charter(
            agent=AGENT,
            publishers=(self.publisher,),
            attesters=self.attesters,
            protected_refs=("refs/tags/v*", "refs/heads/main"),
        )

    @cached_property
    def trust(self) -> Trust:
        return self.trusting(self.charter)

    def trusting(self, *charters: Charter) -> Trust:
        return Trust.from_parts(self.roots.values(), charters, allow_sandbox=True)

    def statement(
        self,
        predicate_type: str,
        predicate: Mapping[str, object],
        *,
        name: str | None = AGENT,
        subject: Digest | None = None,
    ) -> bytes:
        return make_statement(name, subject or self.subject, predicate_type, predicate)  # type: ignore[arg-type]

    def release_predicate(self, **changes: object) -> JsonObject:
        fields: dict[str, object] = {"agent": AGENT, "version": VERSION, "digest": self.subject} | changes
        return ReleasePredicate(**fields).as_json()  # type: ignore[arg-type]

    def release_statement(self, **changes: object) -> bytes:
        return self.statement(PREDICATE_RELEASE, self.release_predicate(**changes))

    def review_predicate(self, **changes: object) -> JsonObject:
        fields = json_example("review") | {"agent": AGENT, "version": VERSION, "digest": str(self.subject)}
        return ReviewPredicate.parse(fields | changes).as_json()

    def approval_predicate(self, **changes: object) -> JsonObject:
        fields = json_example("approval") | {"agent": AGENT, "version": VERSION, "digest": str(self.subject)}
        return ApprovalPredicate.parse(fields | changes).as_json()

    def shadow_predicate(self, **changes: object) -> JsonObject:
        fields = json_example("shadow-comparison") | {"agent": AGENT, "digest": str(self.subject)}
        return ShadowPredicate.parse(fields | changes).as_json()

    def break_glass_predicate(self, **changes: object) -> JsonObject:
        fields = json_example("break-glass") | {"agent": AGENT, "version": VERSION, "digest": str(self.subject)}
        return BreakGlassPredicate.parse(fields | changes).as_json()

    def provenance_statement(self, job: JobRequest = RELEASE_JOB, /, **changes: str) -> bytes:
        return self.statement(PREDICATE_SLSA_PROVENANCE, provenance_of(job, **changes))

    def sign(
        self,
        payload: bytes,
        who: Who = RELEASE_JOB,
        *,
        instance: SigstoreInstance | None = None,
        at: datetime | None = None,
        timestamped_at: datetime | None = None,
        payload_type: str = "application/vnd.in-toto+json",
    ) -> dict[str, object]:
        """Sign a payload as `who` with the main Sigstore, five minutes ago unless said otherwise."""
        moment = at or self.now - timedelta(minutes=5)
        return sign_statement(
            instance or self.main,
            who,
            payload,
            payload_type=payload_type,
            issued_at=moment,
            timestamped_at=timestamped_at or moment,
        )

    def verify(
        self,
        bundle: Mapping[str, object] | bytes,
        *,
        charter: Charter | None = None,
        agent: str = AGENT,
        subject: Digest | None = None,
        max_age: timedelta | None = None,
        trust: Trust | None = None,
    ) -> VerifiedAttestation:
        chosen = charter or self.charter
        return verify_attestation(
            bundle if isinstance(bundle, bytes) else dump(bundle),
            subject=subject or self.subject,
            agent=agent,
            charter=chosen,
            trust=trust or (self.trusting(chosen) if charter else self.trust),
            now=self.now,
            max_age=max_age,
        )


def provenance_of(job: JobRequest, **changes: str) -> JsonObject:
    """Give the provenance that `job` would write, with `changes` to its fields."""
    fields = {
        "build_type": BUILD_TYPE_TIDEGATE,
        "repository": f"{SERVER_URL}/{job.repository}",
        "ref": job.ref,
        "path": job.workflow,
        "commit": job.sha,
        "builder_id": job.signer_uri,
        "invocation_id": run_of(job),
    }
    return Provenance(**(fields | changes)).as_json()  # type: ignore[arg-type]


def run_of(job: JobRequest) -> str:
    identity = from_oidc_claims("github", job.claims() | {"iss": "-"}, server_url=SERVER_URL)
    return identity.claims[ClaimName.RUN_INVOCATION_URI]


def root_of(instance: SigstoreInstance, name: str) -> Root:
    return Root(name, json.dumps(instance.trusted_root()).encode())
