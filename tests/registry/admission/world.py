"""A whole registry under test: real gate, real gatekeeper, real OIDC issuers and Sigstore, real store and database.

Only the trust in force is a value that tests set (a file would be read again and again); `test_sandboxed.py` uses one.
"""

from __future__ import annotations

import contextlib
import itertools
import ssl
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
from pydantic import SecretStr
from sqlmodel import SQLModel

from tests.documents import evaluation
from tests.fixtures_sandbox import Sigstores
from tests.forge import dump
from tests.registry.world import store_settings
from tests.workshop import AGENT, RELEASE_JOB, VERSION, Workshop, provenance_of
from tidegate.digest import Digest
from tidegate.formats.charter import Charter, CharterSet
from tidegate.formats.jcs import JsonObject, parse_object
from tidegate.formats.manifest import (
    EMPTY_BLOB,
    EMPTY_DESCRIPTOR,
    Descriptor,
    Manifest,
    evidence_manifest,
    image_manifest,
)
from tidegate.formats.mediatypes import PREDICATE_COSIGN_SIGN, PREDICATE_SLSA_PROVENANCE
from tidegate.formats.predicates.types import PREDICATE_EVALUATION
from tidegate.verify.trust import Trust
from tidegate_registry.access.compose import open_gatekeeper
from tidegate_registry.access.issuers import IssuerRule
from tidegate_registry.admission.compose import open_gate
from tidegate_registry.app import create_app
from tidegate_registry.artifacts import naming
from tidegate_registry.audit.service import entries
from tidegate_registry.db import Db
from tidegate_registry.policies.members import PolicyMembers
from tidegate_registry.policies.source import StoredPolicies
from tidegate_registry.promotion.people import CallerNotes
from tidegate_registry.sandbox.jobs import SERVER_URL, JobRequest
from tidegate_registry.sandbox.ports import address, bind
from tidegate_registry.sandbox.serve import ServerThread
from tidegate_registry.services import Services
from tidegate_registry.settings import Limits, Mode, Settings
from tidegate_registry.storage.s3 import S3BlobStore

if TYPE_CHECKING:
    from tests.forge import Who
    from tidegate_registry.sandbox.s3 import S3Endpoint

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # everything is on loopback; loading authorities takes 20 ms a client


@dataclass
class GateWorld:
    """A registry at `url`. `shop` signs; `trust` is what is in force and may be replaced at any moment.

    One server serves a whole test process; `renew` gives each test an empty database and everything else as it was.
    """

    url: str
    services: Services
    shop: Workshop
    trust: Trust
    transport: httpx2.BaseTransport | None = None
    _clients: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _anonymous: httpx2.Client | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _pushed: set[tuple[str, bytes]] = field(default_factory=set)

    def token(self, who: str | JobRequest, *scopes: str, audience: str | None = None) -> httpx2.Response:
        """Exchange an identity token for a registry token, as `docker login -u oidc` would."""
        credential = self.shop.main.mint_token(who, audience or self.url)
        params = {"scope": list(scopes), "service": self.url}
        self._anonymous = self._anonymous or self._open({})
        return self._anonymous.get("/v2/token", params=params, auth=("oidc", credential))

    def client(self, who: str | JobRequest = RELEASE_JOB, *scopes: str) -> httpx2.Client:
        """A client with a token of `who`, by default for pushing to the agent."""
        issued = self.token(who, *(scopes or (f"repository:{AGENT}:pull,push",)))
        assert issued.status_code == 200, issued.text
        return self._open({"Authorization": f"Bearer {issued.json()['token']}"})

    def _open(self, headers: Mapping[str, str]) -> httpx2.Client:
        client = httpx2.Client(
            base_url=self.url, headers=headers, trust_env=False, timeout=30, verify=NO_TLS, transport=self.transport
        )
        return self._clients.enter_context(client)

    def close(self) -> None:
        """Log everybody out."""
        self._clients.close()
        self._anonymous = None

    def renew(self) -> None:
        """Forget all that happened; the store gets another prefix, with no mark of a database that is gone."""
        self.close()
        self._pushed.clear()
        self.trust = self.shop.trust
        with self.services.db.engine.begin() as connection:
            for table in reversed(SQLModel.metadata.sorted_tables):
                connection.execute(table.delete())
        assert isinstance(self.services.blobs, S3BlobStore)
        self.services.blobs.prefix = f"{uuid.uuid4().hex}/"
        with self.services.db.read() as tx:
            self.services.policies.current(tx)
        self.services.reads.clear()
        self.let_time_pass()

    def let_time_pass(self) -> None:
        """Be at a moment when nothing was checked within the last RECENT_SECONDS."""
        self.services.checked_bundles.clear()
        self.services.verified_evidence.clear()

    def limit(self, **limits: int) -> None:
        """Run under other limits until the test ends."""
        settings = self.services.settings
        changed = settings.model_copy(update={"limits": settings.limits.model_copy(update=limits)})
        object.__setattr__(self.services, "settings", changed)
        self._clients.callback(object.__setattr__, self.services, "settings", settings)

    def govern(self, *charters: Charter) -> None:
        """Put these charters in force."""
        self.trust = self.shop.trusting(*charters)

    def bundle_for(self, *, artifact_type: str = "application/vnd.example.agent") -> Manifest:
        """Make a manifest that no test has used: an opaque bundle."""
        number = {"example.number": str(next(self._numbers))}
        return image_manifest(artifact_type=artifact_type, config=EMPTY_DESCRIPTOR, layers=(), annotations=number)

    def about(self, manifest: Manifest) -> Workshop:
        """The workshop, making statements about `manifest`."""
        return replace(self.shop, manifest=manifest, now=datetime.now(UTC))

    def push_blob(self, client: httpx2.Client, data: bytes, agent: str = AGENT) -> None:
        if (agent, data) in self._pushed:
            return
        self._pushed.add((agent, data))
        answer = client.post(f"/v2/{agent}/blobs/uploads/", params={"digest": Digest.of(data)}, content=data)
        assert answer.status_code == 201, answer.text

    def put(
        self, client: httpx2.Client, manifest: Manifest, reference: str = "", agent: str = AGENT
    ) -> httpx2.Response:
        return client.put(
            f"/v2/{agent}/manifests/{reference or manifest.digest}",
            content=manifest.raw,
            headers={"Content-Type": manifest.media_type},
        )

    def push(self, client: httpx2.Client, manifest: Manifest, agent: str = AGENT) -> None:
        """Push a manifest by digest, into quarantine."""
        self.push_blob(client, EMPTY_BLOB, agent)
        answer = self.put(client, manifest, agent=agent)
        assert answer.status_code == 201, answer.text

    def attach(
        self,
        client: httpx2.Client,
        subject: Manifest,
        bundle: Mapping[str, object] | bytes,
        predicate_type: str,
        *,
        agent: str = AGENT,
    ) -> httpx2.Response:
        """Attach a bundle as cosign does."""
        raw = bundle if isinstance(bundle, bytes) else dump(bundle)
        self.push_blob(client, EMPTY_BLOB, agent)
        self.push_blob(client, raw, agent)
        descriptor = Descriptor(subject.media_type, subject.digest, len(subject.raw))
        return self.put(client, evidence_manifest(raw, descriptor, predicate_type), agent=agent)

    def sign_release(
        self,
        client: httpx2.Client,
        manifest: Manifest,
        version: str = VERSION,
        who: Who = RELEASE_JOB,
        **changes: object,
    ) -> httpx2.Response:
        """Sign and attach the release statement."""
        shop = self.about(manifest)
        payload = shop.release_statement(version=version, **changes)
        return self.attach(client, manifest, shop.sign(payload, who), "https://tidegate.dev/predicate/release/v1")

    def sign_cosign(self, client: httpx2.Client, manifest: Manifest, who: Who = RELEASE_JOB) -> httpx2.Response:
        """Sign and attach what `cosign sign` makes."""
        shop = self.about(manifest)
        payload = shop.statement(PREDICATE_COSIGN_SIGN, {}, name=None)
        return self.attach(client, manifest, shop.sign(payload, who), PREDICATE_COSIGN_SIGN)

    def sign_provenance(
        self, client: httpx2.Client, manifest: Manifest, job: JobRequest = RELEASE_JOB
    ) -> httpx2.Response:
        """Sign and attach provenance."""
        shop = self.about(manifest)
        payload = shop.statement(PREDICATE_SLSA_PROVENANCE, provenance_of(job))
        return self.attach(client, manifest, shop.sign(payload, job), PREDICATE_SLSA_PROVENANCE)

    def sign_evaluation(self, client: httpx2.Client, manifest: Manifest, job: JobRequest) -> httpx2.Response:
        """Sign and attach an evaluation."""
        shop = self.about(manifest)
        payload = shop.statement(PREDICATE_EVALUATION, evaluation(suite="smoke"))
        return self.attach(client, manifest, shop.sign(payload, job), PREDICATE_EVALUATION)

    def prepare(
        self,
        client: httpx2.Client,
        version: str = VERSION,
        job: JobRequest = RELEASE_JOB,
        manifest: Manifest | None = None,
    ) -> Manifest:
        """Push a bundle with a release statement and provenance by `job`: all that naming it takes."""
        manifest = manifest or self.bundle_for()
        self.push(client, manifest)
        for answer in (
            self.sign_release(client, manifest, version, job),
            self.sign_provenance(client, manifest, job),
        ):
            assert answer.status_code == 201, answer.text
        return manifest

    def publish(self, version: str = VERSION, job: JobRequest = RELEASE_JOB) -> Manifest:
        """Publish a new bundle by `job`."""
        client = self.client(job)
        manifest = self.prepare(client, version, job)
        answer = self.put(client, manifest, version)
        assert answer.status_code == 201, answer.text
        return manifest

    def events(self, type_: str | None = None) -> list[JsonObject]:
        with self.services.db.read() as tx:
            rows = entries(tx, type_=type_, limit=1000)
        return [parse_object(row.body, limit=1 << 20, what="an entry") for row in rows]

    def data_of(self, type_: str) -> list[JsonObject]:
        return [data for event in self.events(type_) if isinstance(data := event["data"], dict)]


class TrustInForce:
    """The trust of the world there is: the part of an application's trust source that answers are made of."""

    is_configured = False  # there is no file whose changes would be told

    def __init__(self) -> None:
        self.world: GateWorld | None = None

    def current(self) -> Trust:
        assert self.world is not None
        return self.world.trust

    def charters(self) -> CharterSet:
        return self.current().charters

    def check(self) -> None:
        self.current()


@contextlib.contextmanager
def running_gate_world(sigstores: Sigstores, s3: S3Endpoint, database_url: str, folder: Path) -> Iterator[GateWorld]:
    """Run a registry with an empty database and its own prefix in the store."""
    listener = bind(0)
    url = f"http://{address(listener)}"
    shop = Workshop(sigstores.main.instance, sigstores.twin.instance, datetime.now(UTC))
    issuer = sigstores.main.instance.issuer
    settings = Settings(
        mode=Mode.SANDBOX,
        public_url=url,
        database_url=SecretStr(database_url),
        s3=store_settings(s3),
        issuers=(
            IssuerRule(
                issuer=issuer.url,
                kind="email",
                client_id=url,
                login_scopes=("openid", "email", "offline_access"),
                carried_claims={"groups": ("groups",)},
            ),
            IssuerRule(issuer=issuer.ci_url, kind="github", server_url=SERVER_URL),
        ),
        # many tests share a minute
        limits=Limits(refusals_per_minute=1_000_000, anonymous_refusals_per_minute=1_000_000),
    )

    def clock() -> datetime:
        return datetime.now(UTC)

    in_force = TrustInForce()
    with contextlib.ExitStack() as stack:
        http = stack.enter_context(httpx2.Client(trust_env=False, verify=NO_TLS))
        db, policies = Db(database_url), StoredPolicies()
        stack.callback(db.close)
        blobs = S3BlobStore(settings.s3)
        services = Services(
            settings=settings,
            db=db,
            blobs=blobs,
            staging=blobs.staging,
            access=open_gatekeeper(
                settings,
                charters=in_force.charters,
                members=PolicyMembers(db, policies),
                on_exchange=CallerNotes(db, clock).renew,
                http=http,
                clock=clock,
            ),
            policies=policies,
            gate=open_gate(trust=in_force.current, clock=clock),
            clock=clock,
        )
        object.__setattr__(services, "trust", in_force)
        services.roots.register("releases", naming.root_query)
        server = ServerThread(create_app(settings, services=services), listener, "gate-under-test")
        world = in_force.world = GateWorld(url, services, shop, shop.trust)
        server.start()
        stack.callback(server.stop)
        server.wait()
        yield world


def reasons_of(answer: httpx2.Response) -> list[dict[str, str]]:
    """Every reason of an answer, OCI error or problem document."""
    document = answer.json()
    reasons: list[dict[str, str]] = (
        document["errors"][0]["detail"]["reasons"] if "errors" in document else document["reasons"]
    )
    return reasons


def codes_of(answer: httpx2.Response) -> list[str]:
    return [reason["code"] for reason in reasons_of(answer)]
