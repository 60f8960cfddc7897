"""One private Sigstore: its services built over one folder, as Python objects and as one ASGI app."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate.errors import TidegateError
from tidegate_registry.sandbox import trustroot
from tidegate_registry.sandbox.certificates import utc_now
from tidegate_registry.sandbox.ctlog import CTLog
from tidegate_registry.sandbox.device import Devices, Refreshes
from tidegate_registry.sandbox.files import make_folder
from tidegate_registry.sandbox.fulcio import LEAF_LIFETIME, Fulcio
from tidegate_registry.sandbox.http import LoopbackOnly, render_crash, render_error
from tidegate_registry.sandbox.issuer import SIGSTORE_AUDIENCE, TOKEN_LIFETIME, Issuer
from tidegate_registry.sandbox.jobs import Job, JobRequest, Jobs
from tidegate_registry.sandbox.keys import KeyStore
from tidegate_registry.sandbox.login import Codes, LoginService
from tidegate_registry.sandbox.rekor import ORIGIN, Rekor
from tidegate_registry.sandbox.tsa import TimestampAuthority
from tidegate_registry.sandbox.users import demo_user

ADMIN_SECRET = "ci-admin"  # noqa: S105 - the name of the file, not its content
BACKDATING = timedelta(minutes=5)  # a new authority is older than the first clock that is a little slow


class SigstoreInstance:
    """The services of one folder. `url` is where they answer; it is part of tokens and certificates.

    `clock` and `entropy` are where every time, serial number, token id and code comes from. `valid_from` dates the
    authorities when they are first made; tests that sign in the past set it further back.
    """

    def __init__(
        self,
        state_dir: Path,
        url: str,
        *,
        clock: Callable[[], datetime] = utc_now,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        valid_from: datetime | None = None,
        origin: str = ORIGIN,
    ) -> None:
        self.url = url.rstrip("/")
        self.state_dir = make_folder(state_dir)
        keys, logs = KeyStore(state_dir / "keys"), make_folder(state_dir / "sigstore")
        start = (valid_from or clock() - BACKDATING).replace(microsecond=0)
        self.issuer = Issuer(self.url, keys, clock, entropy)
        self.admin_secret = keys.secret(ADMIN_SECRET, entropy)
        self.jobs = Jobs(self.issuer, self.admin_secret, clock, entropy)
        self.login = LoginService(
            self.issuer, Codes(clock, entropy), Devices(clock, entropy), Refreshes(clock, entropy)
        )
        self.ct_log = CTLog(keys, logs / "ct.log", clock)
        self.fulcio = Fulcio(keys, self.issuer, self.ct_log, clock=clock, entropy=entropy, valid_from=start)
        self.rekor = Rekor(keys, logs / "rekor.log", origin)
        self.tsa = TimestampAuthority(keys, clock=clock, entropy=entropy, valid_from=start)

    def mint_token(
        self,
        who: str | Mapping[str, object] | JobRequest,
        audience: str = SIGSTORE_AUDIENCE,
        *,
        lifetime: timedelta = TOKEN_LIFETIME,
    ) -> str:
        """Give an identity token: of a demo user by name, of a CI job, or with claims as given (`iss` included)."""
        if isinstance(who, JobRequest):
            return self.issuer.mint(who.claims(), audience, issuer=self.issuer.ci_url, lifetime=lifetime)
        claims = demo_user(who).claims() if isinstance(who, str) else who
        return self.issuer.mint(claims, audience, lifetime=lifetime)

    def register_job(self, request: JobRequest) -> Job:
        return self.jobs.register(request)

    def issue_certificate(
        self,
        who: str | Mapping[str, object] | JobRequest,
        public_key: ec.EllipticCurvePublicKey,
        *,
        at: datetime | None = None,
        lifetime: timedelta = LEAF_LIFETIME,
    ) -> x509.Certificate:
        """Issue a signing certificate without HTTP, at any time: how tests make backdated or expired ones."""
        token = self.issuer.verify(self.mint_token(who), SIGSTORE_AUDIENCE)
        return self.fulcio.issue(self.fulcio.subject_of(token), public_key, at=at, lifetime=lifetime)

    def trusted_root(self) -> dict[str, object]:
        return trustroot.trusted_root(self.url, self.fulcio, self.ct_log, self.rekor, self.tsa)

    def signing_config(self) -> dict[str, object]:
        return trustroot.signing_config(self.url, self.fulcio.root.not_valid_before_utc)

    def client_trust_config(self) -> dict[str, object]:
        return trustroot.client_trust_config(self.trusted_root(), self.signing_config())

    def close(self) -> None:
        self.ct_log.close()
        self.rekor.close()


def build_app(instance: SigstoreInstance, more: Sequence[Route] = ()) -> Starlette:
    """Mount every service of `instance` at its well-known path, and `more` beside them."""

    def get_trusted_root(_: Request) -> Response:
        return JSONResponse(instance.trusted_root())

    def get_client_trust_config(_: Request) -> Response:
        return JSONResponse(instance.client_trust_config())

    return Starlette(
        routes=[
            *instance.issuer.routes(),
            *instance.login.routes(),
            *instance.jobs.routes(),
            *instance.fulcio.routes(),
            *instance.ct_log.routes(),
            *instance.rekor.routes(),
            *instance.tsa.routes(),
            *more,
            Route("/trusted_root.json", get_trusted_root),
            Route("/client_trust_config.json", get_client_trust_config),
        ],
        middleware=[Middleware(LoopbackOnly)],
        exception_handlers={TidegateError: render_error, Exception: render_crash},
    )
