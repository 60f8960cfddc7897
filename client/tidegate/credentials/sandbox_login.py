"""A login without a password: for the sandbox alone, which answers on this machine only."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tidegate.errors import InvalidInput, JsonInvalid, NotFound, Unauthenticated, Unreachable
from tidegate.formats.jcs import parse_object
from tidegate.remote.address import is_loopback
from tidegate.remote.answers import clean_text

if TYPE_CHECKING:
    import httpx2

MAX_ANSWER_BYTES = 64 << 10
MAX_ENV_BYTES = 64 << 10
WAIT_SECONDS = 10.0  # a service on this machine
ISSUER_VARIABLE = "TIDEGATE_SANDBOX_ISSUER"
FOLDER_VARIABLE = "TIDEGATE_SANDBOX_DIR"


@dataclass(frozen=True, slots=True)
class SandboxLogin:
    """Who is logged in at which sandbox."""

    issuer: str
    user: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.issuer)
        if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
            raise InvalidInput(
                "`login --as` works with a sandbox on this machine only",
                code="login-not-sandbox",
                found=self.issuer[:300],
                expected="http://127.0.0.1:PORT",
            )

    def fetch_token(self, audience: str, client: httpx2.Client | None = None) -> str:
        """Get an identity token for `audience`. Raises NotFound (no such user), Unreachable, Unauthenticated."""
        import httpx2

        with client or httpx2.Client(timeout=WAIT_SECONDS, trust_env=False, follow_redirects=False) as http:
            try:
                answer = http.post(f"{self.issuer}/sandbox/login", json={"user": self.user, "audience": audience})
            except httpx2.TransportError as error:
                raise Unreachable(
                    f"the sandbox at {self.issuer} does not answer",
                    found=str(error)[:200],
                    hint="start it again with `tidegate-registry sandbox`, or log in to the one that runs",
                ) from error
        try:
            body = parse_object(answer.content, limit=MAX_ANSWER_BYTES, what="the sandbox's answer")
        except JsonInvalid:
            body = {}
        token = body.get("id_token")
        if answer.status_code == HTTPStatus.OK and isinstance(token, str):
            return token
        message = body.get("message")
        text = clean_text(message) if isinstance(message, str) else f"it answered {answer.status_code}"
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise NotFound(text, hint="the sandbox prints its users when it starts")
        raise Unauthenticated("the sandbox gave no token", found=text)


def find_sandbox_issuer(environ: Mapping[str, str], folder: Path | None) -> str:
    """Give the URL of the sandbox's issuer: from `folder`/env when one is named, else from the environment.

    The environment names the issuer, or the sandbox's folder. Raises InvalidInput when nothing says.
    """
    issuer = environ.get(ISSUER_VARIABLE)
    if folder is None and not issuer and environ.get(FOLDER_VARIABLE):
        folder = Path(environ[FOLDER_VARIABLE])
    if folder is not None:
        try:
            raw = (folder / "env").read_bytes()[:MAX_ENV_BYTES]
        except OSError as error:
            raise InvalidInput(
                "that is not the folder of a sandbox", found=folder, expected="a folder with a file `env`"
            ) from error
        issuer = parse_env(raw.decode("utf-8", "replace")).get(ISSUER_VARIABLE)
    if not issuer:
        raise InvalidInput(
            "no sandbox is named, and `login --as` works with a sandbox only",
            code="login-not-sandbox",
            expected=f"{ISSUER_VARIABLE}, or --sandbox-dir DIR",
            hint="start one with `tidegate-registry sandbox --dir DIR`, then `source DIR/env`",
        )
    return issuer.rstrip("/")


def parse_env(text: str) -> dict[str, str]:
    """Read `export NAME=value` lines as a shell would, without one; other lines are passed over."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        for word in words[1:] if words[:1] == ["export"] else words:
            name, equals, value = word.partition("=")
            if equals and name.isidentifier():
                found[name] = value
    return found
