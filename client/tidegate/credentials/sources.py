"""One place to ask for identity tokens: as given, from the CI job, or from a login, in that order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from tidegate.credentials.login import renew
from tidegate.credentials.store import LoginStore
from tidegate.credentials.token import MAX_TOKEN_CHARACTERS, SIGSTORE_AUDIENCE, IdentityToken
from tidegate.errors import InvalidInput, Unauthenticated

TOKEN_VARIABLE = "TIDEGATE_TOKEN"  # noqa: S105 - a variable's name
SOURCE_TOKEN_VARIABLE = "TIDEGATE_SOURCE_TOKEN"  # noqa: S105 - the same for the registry that a copy is read from
SIGNING_TOKEN_VARIABLE = "SIGSTORE_ID_TOKEN"  # noqa: S105 - the name GitLab jobs and cosign use
# ambient identities that a variable announces; a metadata server is never asked on a guess, it may not be there
CI_VARIABLES = ("GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "BUILDKITE", "GOOGLE_SERVICE_ACCOUNT_NAME")
GITHUB_PERMISSION = "ACTIONS_ID_TOKEN_REQUEST_URL"  # set in jobs with `permissions: id-token: write`


class Source(StrEnum):
    """Where a token came from."""

    GIVEN = "given"
    CI = "ci"
    LOGIN = "login"
    BROWSER = "browser"


@dataclass(frozen=True, slots=True)
class Held:
    """A token and where it came from."""

    token: IdentityToken
    source: Source


class Credentials:
    """Gives tokens by audience; each is kept in memory until it is about to expire. Not for several threads at once.

    `signing_token`: a token for Sigstore that the user gave. `browser`: asks a person, for Sigstore only.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        clock: Callable[[], datetime],
        store: LoginStore | None = None,
        signing_token: str | None = None,
        browser: Callable[[], str] | None = None,
    ) -> None:
        self._environ, self._clock, self._signing_token, self._browser = environ, clock, signing_token, browser
        self._store = store or LoginStore.of_user(environ)
        self._held: dict[str, Held] = {}

    @property
    def in_ci(self) -> bool:
        """Whether this is a CI job that can have an identity."""
        return any(self._environ.get(name) for name in CI_VARIABLES)

    @property
    def server_url(self) -> str | None:
        """The base of the forge's URLs, as the CI job's environment gives it."""
        return self._environ.get("GITHUB_SERVER_URL") or self._environ.get("CI_SERVER_URL")

    def registry_token(self, registry_url: str) -> str | None:
        """Give a token for a registry, None when nobody is known. See `find`. Raises Unauthenticated, Unreachable."""
        held = self.find(registry_url)
        return held.token.raw if held else None

    def find(self, audience: str) -> Held | None:
        """Give a token for `audience` (a registry's URL, or SIGSTORE_AUDIENCE) and for nobody else, or None.

        Raises Unauthenticated when there is a token that must not or can no longer be used, Unreachable.
        """
        held = self._held.get(audience)
        if held is not None and held.token.is_fresh(self._clock()):
            return held
        found = self._fetch(audience)
        if found is None:
            return None
        token, source = found
        if not token.is_fresh(self._clock()):
            raise Unauthenticated(
                "the identity token has expired",
                code="token-expired",
                found=f"{token.expires_at:%Y-%m-%d %H:%M:%S} UTC",
                hint="get a new one: tokens of CI jobs and logins are short-lived by design",
            )
        self._held[audience] = Held(token, source)
        return self._held[audience]

    def _fetch(self, audience: str) -> tuple[IdentityToken, Source] | None:
        signing = audience == SIGSTORE_AUDIENCE
        given = self._signing_token if signing else self._environ.get(TOKEN_VARIABLE)
        if not given and not self.in_ci and not signing and (token := self._logged_in(audience)):
            return token, Source.LOGIN
        found = (given, Source.GIVEN) if given else self._fetch_raw(audience, signing=signing)
        return None if found is None else (IdentityToken.parse(found[0], audience=audience), found[1])

    def _logged_in(self, registry: str) -> IdentityToken | None:
        """Give the token of the login for a registry, renewed if need be; its audience is the login's client."""
        login = self._store.find(registry)
        if login is None:
            return None
        token = IdentityToken.parse(login.id_token, audience=login.client_id)
        if token.is_fresh(self._clock()):
            return token
        login = renew(login, clock=self._clock)
        self._store.keep(login, in_keyring=self._store.is_in_keyring(registry))
        return IdentityToken.parse(login.id_token, audience=login.client_id)

    def _fetch_raw(self, audience: str, *, signing: bool) -> tuple[str, Source] | None:
        if self.in_ci:
            if not signing and self._environ.get("GITHUB_ACTIONS") and not self._environ.get(GITHUB_PERMISSION):
                return None  # a job without the permission may still pull what is open to everyone
            return _ambient_token(audience), Source.CI
        login = self._store.sandbox()
        if login is not None:
            return login.fetch_token(audience), Source.LOGIN
        if signing and self._browser is not None:
            return self._browser(), Source.BROWSER
        return None


def _ambient_token(audience: str) -> str:
    import id as ambient

    hint = "give the job the right to identity tokens: `permissions: id-token: write` (GitHub), `id_tokens:` (GitLab)"
    try:
        token = ambient.detect_credential(audience)
    except ambient.IdentityError as error:
        found = str(error)[:300]
        raise Unauthenticated("this CI job has no identity token", code="ci-token", found=found, hint=hint) from error
    if token is None:
        raise Unauthenticated("this CI job has no identity token", code="ci-token", hint=hint)
    return token


def read_signing_token(where: str | None, environ: Mapping[str, str], stdin: TextIO | None = None) -> str | None:
    """Read the token that `--identity-token` names: a FILE, `-` for standard input, or `env:NAME`.

    None named: $SIGSTORE_ID_TOKEN outside CI, where it would be the job's own affair. Raises InvalidInput.
    """
    if where is None:
        in_ci = any(environ.get(name) for name in CI_VARIABLES)
        return None if in_ci else environ.get(SIGNING_TOKEN_VARIABLE) or None
    if where == "-":
        raw = (stdin or sys.stdin).read(MAX_TOKEN_CHARACTERS + 1)
    elif where.startswith("env:"):
        raw = environ.get(where.removeprefix("env:"), "")
    else:
        try:
            raw = Path(where).read_bytes()[: MAX_TOKEN_CHARACTERS + 1].decode("ascii", "replace")
        except OSError as error:
            raise InvalidInput("the identity token cannot be read", found=str(error)[:300]) from error
    if not raw.strip():
        raise InvalidInput("the identity token is empty", found=where[:300], expected="FILE, - or env:NAME")
    return raw
