"""A running registry for tests: the real application on a loopback port, over a real store and database.

Access is the real gatekeeper with a charter of our own and tokens made here. The gate (evidence, admission) is a fake
whose verdict a test sets: the rooms behind it have tests of their own.
"""

from __future__ import annotations

import contextlib
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import httpx2
from fastapi import FastAPI
from pydantic import SecretStr
from sqlmodel import SQLModel

from tidegate.digest import Digest
from tidegate.errors import AdmissionRefused, BundleRefused, EvidenceRefused, Reason
from tidegate.formats.charter import Charter, CharterSet, SignerRule
from tidegate.formats.identity import CertificateIdentity
from tidegate.formats.jcs import JsonObject, canonical_bytes, parse_object
from tidegate.formats.manifest import EMPTY_BLOB, EMPTY_DESCRIPTOR, Descriptor, Manifest, image_manifest
from tidegate.formats.mediatypes import OCI_INDEX, OCI_MANIFEST, SIGSTORE_BUNDLE
from tidegate_registry.access.gatekeeper import Gatekeeper
from tidegate_registry.access.issuers import IssuerRule
from tidegate_registry.access.jwks import HttpFetch
from tidegate_registry.access.oidc import OidcVerifier
from tidegate_registry.access.principal import Grant, Principal, PrincipalKind
from tidegate_registry.access.rights import AccessRules
from tidegate_registry.access.token_keys import generate_token_key
from tidegate_registry.access.tokens import RegistryTokens
from tidegate_registry.app import create_app
from tidegate_registry.artifacts import naming
from tidegate_registry.audit.service import entries
from tidegate_registry.db import Db, Tx
from tidegate_registry.evidence.tables import EvidenceRow
from tidegate_registry.health import ReadinessCache
from tidegate_registry.policies.members import PolicyMembers
from tidegate_registry.policies.source import StoredPolicies
from tidegate_registry.sandbox.ports import address, bind
from tidegate_registry.sandbox.serve import ServerThread
from tidegate_registry.services import Gate, Services
from tidegate_registry.settings import Keeping, Limits, Mode, S3Settings, Settings
from tidegate_registry.storage.s3 import S3BlobStore

if TYPE_CHECKING:
    from tidegate.formats.config import AgentConfig
    from tidegate_registry.sandbox.s3 import S3Endpoint

AGENT = "acme/support-agent"
SIBLING = "acme/other-agent"  # of the same namespace, with another publisher
FOREIGN = "umbra/agent"  # of another namespace
ISSUER = "https://login.acme.example"
PUBLISHER, ATTESTER, READER, NEIGHBOUR, STRANGER = "publisher", "attester", "reader", "neighbour", "stranger"
PUBLISHER_OF_BOTH = "publisher-of-both"  # of the two agents of one namespace
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # everything is on loopback; loading authorities takes 20 ms a client
T = TypeVar("T")
T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def identity_of(name: str) -> CertificateIdentity:
    return CertificateIdentity(ISSUER, f"{name}@acme.example")


def rule(name: str, types: tuple[str, ...] = ()) -> SignerRule:
    return SignerRule(name=name, root="public", issuer=ISSUER, identity=f"{name}@acme.example", types=types)


CHARTERS = CharterSet(
    (
        Charter(
            agent=AGENT,
            publishers=(rule(PUBLISHER), rule(PUBLISHER_OF_BOTH)),
            attesters=(rule(ATTESTER, ("review",)),),
        ),
        Charter(agent=SIBLING, publishers=(rule(NEIGHBOUR), rule(PUBLISHER_OF_BOTH))),
        Charter(agent=FOREIGN, publishers=(rule(STRANGER),)),
    )
)


@dataclass
class Clock:
    """A clock moved by hand."""

    now: datetime = T0

    def __call__(self) -> datetime:
        return self.now

    def tick(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class BelievedEvidence:
    """Evidence that nobody verified: its row is written all the same, as what follows a release is found by it."""

    repository: str
    manifest: Manifest

    def record(self, tx: Tx, *, now: datetime) -> None:
        assert tx.in_transaction()
        assert self.manifest.subject is not None
        digest = self.manifest.digest
        row = EvidenceRow(
            repository=self.repository,
            subject=self.manifest.subject.digest,
            signature=digest,
            manifest=digest,
            bundle=self.manifest.layers[0].digest,
            payload=digest,
            predicate_type="https://example.org/believed",
            role="publisher",
            root="public",
            issuer=ISSUER,
            identity=f"{PUBLISHER}@acme.example",
            signed_at=now,
            attestation=b"{}",
            event_id=str(uuid.uuid4()),
        )
        tx.add(row)
        tx.flush()


@dataclass
class FakeGate:
    """Says yes, unless a test sets reasons; counts how often it was asked."""

    refuse_evidence: tuple[Reason, ...] = ()
    refuse_admission: tuple[Reason, ...] = ()
    asked: list[str] = field(default_factory=list)

    def verify_referrer(
        self, app: Services, who: Principal, *, repository: str, manifest: Manifest
    ) -> BelievedEvidence:
        self.asked.append(f"evidence {repository} {who.name}")
        assert app.clock().tzinfo is not None
        assert manifest.artifact_type == SIGSTORE_BUNDLE
        if self.refuse_evidence:
            raise EvidenceRefused.because("the evidence does not verify", self.refuse_evidence)
        return BelievedEvidence(repository, manifest)

    def complete(self, app: Services, who: Principal, *, repository: str, subject: Digest) -> None:
        assert app.clock().tzinfo is not None
        self.asked.append(f"complete {repository} {who.name} {subject}")

    def admit(
        self,
        app: Services,
        who: Principal,
        *,
        repository: str,
        version: str,
        manifest: Manifest,
        bundle: AgentConfig | BundleRefused | None,
        strict: bool,
    ) -> naming.Named:
        assert not strict
        self.asked.append(f"admit {repository}:{version}")
        if isinstance(bundle, BundleRefused):
            raise AdmissionRefused.because(f"{repository}:{version} is not admitted", bundle.reasons)
        if self.refuse_admission:
            raise AdmissionRefused.because(f"{repository}:{version} is not admitted", self.refuse_admission)
        now = app.clock()
        facts: JsonObject = {"config": None if bundle is None else bundle.name}
        with app.db.begin() as tx:
            naming.lock_agent(tx, repository, now)
            return naming.record_release(
                tx,
                app,
                who=who,
                repository=repository,
                version=version,
                manifest=manifest,
                facts=facts,
                evidence=(),
                now=now,
            )


@dataclass
class World:
    """A registry that answers at `url`, and what tests need to use it and to look behind it."""

    url: str
    services: Services
    gate: FakeGate
    clock: Clock
    tokens: RegistryTokens
    app: FastAPI
    server: ServerThread
    _clients: contextlib.ExitStack

    def client(
        self,
        name: str | None = PUBLISHER,
        *,
        repositories: tuple[str, ...] = (AGENT, SIBLING, FOREIGN),
        attributes: Mapping[str, tuple[str, ...]] | None = None,
    ) -> httpx2.Client:
        """An HTTP client with a token of `name` for everything; None: without a token. `attributes`: claims in it."""
        headers = {}
        if name is not None:
            grants = [Grant("repository", each, frozenset({"pull", "push"})) for each in repositories]
            grants.append(Grant("registry", "api", frozenset({"*", "manage"})))
            who = Principal(PrincipalKind.HUMAN, identity_of(name), name, attributes or {}, tuple(grants))
            headers["Authorization"] = f"Bearer {self.tokens.issue(who, grants).text}"
        client = httpx2.Client(base_url=self.url, headers=headers, trust_env=False, timeout=30, verify=NO_TLS)
        return self._clients.enter_context(client)

    def renew(self) -> None:
        """Forget all that happened: rows, unfinished uploads, refusals, the clock; the store gets another prefix."""
        self._clients.close()
        with self.services.db.engine.begin() as connection:
            for table in reversed(SQLModel.metadata.sorted_tables):
                connection.execute(table.delete())
        with self.services.db.read() as tx:
            self.services.policies.current(tx)
        self.services.reads.clear()
        self.services.log_files.clear()
        self.services.checked_bundles.clear()
        self.services.verified_evidence.clear()
        assert isinstance(self.services.blobs, S3BlobStore)
        self.services.blobs.prefix = f"{uuid.uuid4().hex}/"
        self.app.state.readiness = ReadinessCache()
        vars(self.services).pop("refusals", None)
        self.clock.now = T0
        self.gate.refuse_evidence = self.gate.refuse_admission = ()
        self.gate.asked.clear()

    def events(self, type_: str | None = None) -> list[JsonObject]:
        with self.services.db.read() as tx:
            rows = entries(tx, type_=type_, limit=1000)
        return [parse_object(row.body, limit=1 << 20, what="an entry") for row in rows]

    def push_blob(
        self, client: httpx2.Client, data: bytes, repository: str = AGENT, algorithm: str = "sha256"
    ) -> Digest:
        digest = Digest.of(data, algorithm)
        answer = client.post(f"/v2/{repository}/blobs/uploads/", params={"digest": digest}, content=data)
        assert answer.status_code == 201, answer.text
        return digest

    def make_manifest(
        self,
        client: httpx2.Client,
        *layers: bytes,
        repository: str = AGENT,
        subject: Descriptor | None = None,
        artifact_type: str = "application/vnd.example.thing",
        annotations: dict[str, str] | None = None,
    ) -> Manifest:
        """Push the blobs of a manifest, and make it without pushing it."""
        self.push_blob(client, EMPTY_BLOB, repository)
        descriptors = [
            Descriptor("application/octet-stream", self.push_blob(client, layer, repository), len(layer))
            for layer in layers
        ]
        return image_manifest(
            artifact_type=artifact_type,
            config=EMPTY_DESCRIPTOR,
            layers=tuple(descriptors),
            subject=subject,
            annotations=annotations,
        )

    def put(
        self, client: httpx2.Client, manifest: Manifest, reference: str | None = None, repository: str = AGENT
    ) -> httpx2.Response:
        return client.put(
            f"/v2/{repository}/manifests/{reference or manifest.digest}",
            content=manifest.raw,
            headers={"Content-Type": manifest.media_type},
        )


def make_index(*members: Manifest, subject: Descriptor | None = None) -> Manifest:
    document: JsonObject = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [member.descriptor.as_json() for member in members],
    }
    if subject is not None:
        document["subject"] = subject.as_json()
    return Manifest.parse(canonical_bytes(document))


def missing_subject(data: bytes = b"nobody pushed this") -> Descriptor:
    return Descriptor(OCI_MANIFEST, Digest.of(data), len(data))


def error_of(answer: httpx2.Response) -> tuple[int, str, str]:
    """Status, OCI code and the first reason's code of an answer under /v2/."""
    error = answer.json()["errors"][0]
    return answer.status_code, error["code"], error["detail"]["reasons"][0]["code"]


def store_settings(s3: S3Endpoint) -> S3Settings:
    """Settings for the shared store with a prefix of our own: the first PUT in a new bucket is slow."""
    return S3Settings(
        endpoint=s3.url,
        region=s3.region,
        bucket=s3.bucket,
        prefix=f"{uuid.uuid4().hex}/",
        access_key=SecretStr(s3.access_key),
        secret_key=SecretStr(s3.secret_key),
    )


@contextlib.contextmanager
def running_world(
    s3: S3Endpoint,
    database_url: str,
    folder: Path,
    *,
    limits: Limits | None = None,
    keeping: Keeping | None = None,
    anonymous_pull: bool = False,
    authenticated_pull: bool = True,
    gate: Gate | None = None,
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = (),
    store: S3Settings | None = None,
) -> Iterator[World]:
    """Run a registry until the context ends."""
    listener = bind(0)
    url = f"http://{address(listener)}"
    settings = Settings(
        mode=Mode.SANDBOX,
        public_url=url,
        issuers=(IssuerRule(issuer=ISSUER, kind="email"),),  # its tokens are made here, see `token`
        database_url=SecretStr(database_url),
        s3=store or store_settings(s3),
        anonymous_pull=anonymous_pull,
        authenticated_pull=authenticated_pull,
        limits=limits or Limits(),
        keeping=keeping or Keeping(),
        trusted_proxies=trusted_proxies,
    )
    clock, fake = Clock(), FakeGate()
    tokens = RegistryTokens(
        signing=generate_token_key(), audience=url, lifetime=timedelta(seconds=300), clock=lambda: datetime.now(UTC)
    )
    with contextlib.ExitStack() as stack:
        http = stack.enter_context(httpx2.Client(trust_env=False))
        db, policies = Db(database_url), StoredPolicies()
        stack.callback(db.close)
        access = Gatekeeper(
            public_url=url,
            oidc=OidcVerifier((), audience=url, fetch=HttpFetch(http), clock=clock),
            tokens=tokens,
            rules=AccessRules(anonymous_pull=anonymous_pull, authenticated_pull=authenticated_pull),
            charters=lambda: CHARTERS,
            members=PolicyMembers(db, policies),
        )
        blobs = S3BlobStore(settings.s3)
        services = Services(
            settings=settings,
            db=db,
            blobs=blobs,
            staging=blobs.staging,
            access=access,
            gate=gate or fake,
            policies=policies,
            clock=clock,
        )
        services.roots.register("releases", naming.root_query)
        services.roots.register("working-tags", naming.working_tag_query)
        app = create_app(settings, services=services)
        server = ServerThread(app, listener, "registry-under-test")
        server.start()
        stack.callback(server.stop)
        server.wait()
        yield World(url, services, fake, clock, tokens, app, server, stack.enter_context(contextlib.ExitStack()))


def wait_for(condition: Callable[[], T], seconds: float = 20) -> T:
    """Ask again and again until the answer is true; for what another thread or process does in its own time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return answer
