"""The composition root: settings in, a running application out. Everything that is wired is wired here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from tidegate_registry import __version__, health, migrations, problems
from tidegate_registry.access import routes as access_routes
from tidegate_registry.admission import routes as admission_routes
from tidegate_registry.admission.compose import open_gate
from tidegate_registry.artifacts import naming, pending
from tidegate_registry.artifacts import routes as artifacts_routes
from tidegate_registry.artifacts.http.fast import KeptReads
from tidegate_registry.artifacts.reads import ReadCache
from tidegate_registry.audit import routes as audit_routes
from tidegate_registry.audit import search_routes
from tidegate_registry.audit.halt import hold_while_ahead
from tidegate_registry.audit.refusals import record_suppressed
from tidegate_registry.background import led_steps, steps_of_server, steps_of_worker
from tidegate_registry.db import Db
from tidegate_registry.enrolment import routes as enrolment_routes
from tidegate_registry.evidence import routes as evidence_routes
from tidegate_registry.keeping import routes as keeping_routes
from tidegate_registry.logs import get_logger
from tidegate_registry.metrics import Metrics
from tidegate_registry.observe import Observe
from tidegate_registry.policies import routes as policies_routes
from tidegate_registry.policies.members import PolicyMembers
from tidegate_registry.policies.source import StoredPolicies
from tidegate_registry.promotion import channels
from tidegate_registry.promotion import routes as promotion_routes
from tidegate_registry.promotion.people import CallerNotes
from tidegate_registry.services import Clock, Services, utc_now
from tidegate_registry.settings import Mode, Settings
from tidegate_registry.settings import Worker as WorkerPlace
from tidegate_registry.storage.s3 import S3BlobStore
from tidegate_registry.summaries import service as summaries
from tidegate_registry.trust_source import TrustSource
from tidegate_registry.worker import Worker

log = get_logger()

ROUTERS = (
    artifacts_routes.router,
    access_routes.router,
    enrolment_routes.router,
    admission_routes.router,
    evidence_routes.router,
    policies_routes.router,
    promotion_routes.router,
    audit_routes.router,
    search_routes.router,
    keeping_routes.router,
    health.router,
)

DESCRIPTION = """\
A registry for agent bundles that admits only what is signed and proven.

`/v2/` is the OCI Distribution API 1.1, with three rules: a manifest pushed by digest is in quarantine; giving it a
version is asking for admission; a channel never moves here. Everything else is under `/api/v1/`.
"""
TAGS = [
    {"name": "manifests", "description": "Bundles and evidence, by digest, version or working tag"},
    {"name": "blobs", "description": "Content, by digest; the bytes come from the object store"},
    {"name": "uploads", "description": "Sending blobs, in one request or many"},
    {"name": "direct uploads", "description": "Sending blobs straight to the object store, large ones in parts"},
    {"name": "lists", "description": "Tags, and what refers to a manifest"},
    {"name": "access", "description": "Registry tokens, and who the caller is"},
    {"name": "agents", "description": "Agents and their releases"},
    {"name": "evidence", "description": "Verified attestations about a manifest"},
    {"name": "policies", "description": "Who may do what, and what a release needs; versions and proposals"},
    {"name": "promotions", "description": "Requests that a channel serve a release, and the decisions about them"},
    {"name": "channels", "description": "What each channel serves; going back; withdrawing a release"},
    {"name": "log", "description": "The audit log: its static files, and search in it"},
    {"name": "operations", "description": "Health and numbers, for the operator"},
]


def build_services(settings: Settings, *, clock: Clock = utc_now) -> Services:
    """Make everything that rooms may use. Opens no connection yet. Raises InvalidInput for an unusable key or file."""
    from tidegate_registry.access.compose import open_gatekeeper
    from tidegate_registry.access.jwks import issuer_client

    trust = TrustSource(settings.trust_file, allow_sandbox=settings.allow_sandbox_roots)
    blobs = S3BlobStore(settings.s3)
    db, policies = Db(settings.database_url.get_secret_value()), StoredPolicies()
    app = Services(
        settings=settings,
        db=db,
        blobs=blobs,
        staging=blobs.staging,
        access=open_gatekeeper(
            settings,
            charters=trust.charters,
            charters_at_hand=trust.charters_at_hand,
            members=PolicyMembers(db, policies),
            on_exchange=CallerNotes(db, clock).renew,
            http=issuer_client(),
            clock=clock,
        ),
        gate=open_gate(trust=trust.current, clock=clock),
        trust=trust,
        policies=policies,
        clock=clock,
        reads=ReadCache(most_bytes=settings.read_cache_bytes),
    )
    app.roots.register("releases", naming.root_query)
    app.roots.register("working-tags", naming.working_tag_query)
    app.roots.register("pending", pending.root_query)
    app.roots.register("channels", channels.root_query)
    app.roots.register("summaries", summaries.root_query)
    return app


def check_start(app: Services) -> None:
    """Check, once and before the first request, what serving rests on.

    The schema is that of this version (the sandbox migrates by itself), the trust file is good, and the object store
    really has the properties that write-once content addressing needs. Raises a TidegateError that names what is not.

    A database that is older than the published log is served from, and not written to.
    """
    sandbox = app.settings.mode is Mode.SANDBOX
    if sandbox:
        migrations.upgrade(app.db)
    else:
        migrations.check(app.db)
    if app.trust is not None and not (sandbox and app.settings.trust_file is None):
        app.trust.check()  # in production, a registry that trusts nobody could admit nothing
    app.blobs.probe()
    hold_while_ahead(app)


class Registry(FastAPI):
    """The application. A read that was answered before is answered by `front`, ahead of all of FastAPI's layers."""

    front: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await (self.front or super().__call__)(scope, receive, send)


def create_app(
    settings: Settings, *, clock: Clock = utc_now, services: Services | None = None, checked: bool = False
) -> Registry:
    """Make the application. Its start-up runs `check_start` unless the caller did (`checked`).

    `services`: instead of those that `build_services` makes, for tests.
    """
    app_services = services or build_services(settings, clock=clock)
    metrics = Metrics()
    api = Registry(
        title="Tidegate registry",
        version=__version__,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=_lifespan(app_services, checked=checked),
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # openapi.yaml is the contract; serving another copy would need a credential
    )
    api.state.services = app_services
    api.state.metrics = metrics
    api.state.readiness = health.ReadinessCache()
    problems.install(api)
    for router in ROUTERS:
        api.include_router(router)
    api.add_middleware(Observe, metrics=metrics, on_fault=problems.render_fault)
    api.front = KeptReads(partial(FastAPI.__call__, api), services=app_services, metrics=metrics)
    return api


def _lifespan(app: Services, *, checked: bool) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    inside = app.settings.worker is WorkerPlace.INSIDE
    led = led_steps(app) if inside else ()  # opens keys: what is wrong with one is told before anything answers

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        if not checked:
            await run_in_threadpool(check_start, app)
        log.info("started", mode=str(app.settings.mode), public_url=app.settings.public_url)
        each = [*steps_of_server(app, api.state.metrics, partial(record_suppressed, app, app.refusals))]
        if inside:
            each += steps_of_worker(app)
        async with Worker(app.db, app.entropy, each=each, led=led):
            yield
        await run_in_threadpool(record_suppressed, app, app.refusals, closing=True)
        await app.staging.close()
        await run_in_threadpool(app.db.close)
        log.info("stopped")

    return lifespan
