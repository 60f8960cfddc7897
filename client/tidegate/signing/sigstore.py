"""The Sigstore instance to sign with: public-good, or a private one by its client trust config.

Everything of the library that talks to the network is put together here, with the bounds that it lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tidegate.errors import SigningRefused, TidegateError, TrustFileInvalid, Unauthenticated, Unreachable
from tidegate.formats.jcs import parse_object
from tidegate.remote.address import is_loopback
from tidegate.remote.answers import clean_text
from tidegate.verify.trust import CLIENT_TRUST_CONFIG, MAX_TRUSTED_ROOT_BYTES, Root, Trust

if TYPE_CHECKING:
    import requests
    from sigstore.models import ClientTrustConfig
    from sigstore.sign import SigningContext

PUBLIC_GOOD = "public-good"  # the name of the root when no file says another
PRIVATE = "private"
FULCIO_SECONDS = 30.0  # of silence; a certificate takes well below one
REKOR_SECONDS = 60.0  # of silence; Rekor v2 answers when the entry is in the tree (rekor-tiles, CLIENTS.md)
MAX_TOLD = 300  # characters of a service's answer in an error


class Sigstore:
    """One Sigstore instance, loaded when it is first needed. Safe to load from another thread."""

    def __init__(self, load: Callable[[], tuple[Root, ClientTrustConfig]]) -> None:
        self._load = load
        self._lock = Lock()
        self._loaded: tuple[Root, ClientTrustConfig] | None = None

    def load(self) -> tuple[Root, ClientTrustConfig]:
        """Load what signing and verifying need that is the same for whatever is signed; the library too.

        That takes half a second, and for the public-good instance some requests. Raises TrustFileInvalid, Unreachable.
        """
        import sigstore.dsse
        import sigstore.oidc
        import sigstore.sign
        import sigstore.verify  # noqa: F401

        with self._lock:
            self._loaded = self._loaded or self._load()
            return self._loaded

    @property
    def root(self) -> Root:
        """What its bundles must verify under, by the name that charters use."""
        return self.load()[0]

    @property
    def config(self) -> ClientTrustConfig:
        """Where its services are."""
        return self.load()[1]

    @property
    def login_url(self) -> str:
        """The identity provider where people log in with a browser. Raises TrustFileInvalid when there is none."""
        with explained():
            return self.config.signing_config.get_oidc_url()

    def signing_context(self) -> SigningContext:
        """Put the library's clients together, each with a bound on its silence. Raises TrustFileInvalid."""
        from sigstore._internal.rekor.client import RekorClient
        from sigstore._internal.rekor.client_v2 import RekorV2Client
        from sigstore.sign import SigningContext

        with explained():
            services = self.config.signing_config
            fulcio, rekor, authorities = services.get_fulcio(), services.get_tlogs()[0], services.get_tsas()
            _bound(fulcio.session, fulcio.url, FULCIO_SECONDS)
            # there is no public way to these sessions; they belong to the thread that asks: a signer stays in one
            if isinstance(rekor, RekorClient | RekorV2Client):
                _bound(rekor._session, rekor.url, REKOR_SECONDS)  # noqa: SLF001
            for authority in authorities:
                _bound(authority._session, authority.url, FULCIO_SECONDS)  # noqa: SLF001
            return SigningContext(
                fulcio=fulcio, rekor=rekor, trusted_root=self.config.trusted_root, tsa_clients=authorities
            )


def load_sigstore(
    path: Path | None, *, name: str | None = None, trust: Trust | None = None, allow_sandbox: bool
) -> Sigstore:
    """Load the client trust config at `path`, or without one that of the public-good instance.

    `name`: how charters call its root (a file's name need not be one that they can hold). When `trust` is given too,
    bundles must verify under its root of that name: then nothing is signed that its owners would not believe.
    A file is read and judged at once; the rest waits until it is needed.
    Raises TrustFileInvalid (code "sandbox-root" for a sandbox's that is not allowed).
    """
    wanted = trust.root(name) if trust is not None and name is not None else None

    def judged(root: Root) -> Root:
        Trust.from_parts([root], [], allow_sandbox=allow_sandbox)
        return wanted or root

    if path is None:

        def load() -> tuple[Root, ClientTrustConfig]:
            raw, config = _public_good()
            return judged(Root(name or PUBLIC_GOOD, raw)), config

        return Sigstore(load)
    raw = _read(path)
    root = judged(Root(name or PRIVATE, raw))
    if parse_object(raw, limit=MAX_TRUSTED_ROOT_BYTES, what=str(path)).get("mediaType") != CLIENT_TRUST_CONFIG:
        raise _no_config(path, "another media type")
    return Sigstore(lambda: (root, _parse(path, raw)))


def browser_login(sigstore: Sigstore) -> str:
    """Ask a person to log in with a browser, or with a code where there is none. Gives the token for Sigstore."""
    from sigstore.oidc import Issuer

    with explained():
        issuer = Issuer(sigstore.login_url)
        _bound(issuer.session, sigstore.login_url, FULCIO_SECONDS)
        return str(issuer.identity_token())


@contextmanager
def explained() -> Iterator[None]:
    """Turn what the library and its HTTP client raise into our errors. What is ours passes as it is."""
    import requests
    from pydantic import ValidationError
    from sigstore._internal.fulcio.client import FulcioClientError
    from sigstore._internal.rekor import RekorClientError
    from sigstore.errors import Error, NetworkError, TUFError
    from sigstore.oidc import ExpiredIdentity, IdentityError, IssuerError

    try:
        yield
    except TidegateError:
        raise
    except (requests.ConnectionError, requests.Timeout, NetworkError, TUFError) as error:
        raise _unreachable(error) from error
    except (IdentityError, IssuerError, ExpiredIdentity) as error:
        raise Unauthenticated("there is no usable identity to sign with", found=_told(error)) from error
    except FulcioClientError as error:
        raise SigningRefused(
            "the certificate authority gave no certificate",
            code="certificate-refused",
            found=_told(error),
            hint="check that this Sigstore instance knows your identity provider",
        ) from error
    except RekorClientError as error:
        raise SigningRefused(
            "the transparency log took no entry", code="log-refused", found=_told(error), hint="try again later"
        ) from error
    except (requests.RequestException, Error, ValidationError, ValueError) as error:
        raise SigningRefused("signing failed", found=_told(error)) from error


def _public_good() -> tuple[bytes, ClientTrustConfig]:
    from sigstore.models import ClientTrustConfig

    with explained():
        config = ClientTrustConfig.production()  # over TUF, so it is authenticated; never from the cache alone
    return config.trusted_root._inner.to_json().encode(), config  # noqa: SLF001 - the one way to its bytes


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_TRUSTED_ROOT_BYTES + 1)
    except OSError as error:
        raise TrustFileInvalid(f"{path}: cannot be read", found=error.strerror) from error


def _parse(path: Path, raw: bytes) -> ClientTrustConfig:
    from pydantic import ValidationError
    from sigstore.models import ClientTrustConfig

    try:
        return ClientTrustConfig.from_json(raw.decode())
    except (ValidationError, ValueError) as error:
        raise _no_config(path, type(error).__name__) from error


def _no_config(path: Path, found: str) -> TrustFileInvalid:
    return TrustFileInvalid(
        f"{path}: not a Sigstore client trust config",
        found=found,
        expected=CLIENT_TRUST_CONFIG,
        hint="a trusted root alone does not say where to sign: ask for the client trust config",
    )


def _bound(session: requests.Session, url: str, seconds: float) -> None:
    """Give every request of `session` a bound on silence, and no proxy on the way to this machine."""
    session.request = partial(session.request, timeout=seconds)  # type: ignore[method-assign]
    session.trust_env = not is_loopback(urlsplit(url).hostname or "")


def _unreachable(error: Exception) -> Unreachable:
    import requests

    request = error.request if isinstance(error, requests.RequestException) else None
    where = f" at {urlsplit(str(request.url)).netloc}" if request is not None else ""
    return Unreachable(
        f"the Sigstore service{where} does not answer",
        found=_told(error),
        hint="check the network, and which Sigstore --sigstore names",
    )


def _told(error: BaseException) -> str:
    """Give what the failed service said: the library leaves it in the cause."""
    import requests

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, requests.HTTPError) and cause.response is not None:
            return clean_text(f"{cause.response.status_code}: {cause.response.text[:MAX_TOLD]}")
        cause = cause.__cause__
    return clean_text(str(error) or type(error).__name__)[:MAX_TOLD]
