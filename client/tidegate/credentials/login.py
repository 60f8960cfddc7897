"""Who is logged in to a sandbox. The file says only who; tokens are fetched when they are needed and kept in memory.

Real people sign in a browser at their Sigstore, and show a registry a token of their identity provider
(TIDEGATE_TOKEN); a login without a password exists for the sandbox alone, which answers on this machine only.
"""

from __future__ import annotations

import json
import os
import shlex
import tempfile
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

FILE_NAME = "credentials.json"
FORMAT = "tidegate/credentials/v1"
MAX_FILE_BYTES = 64 << 10
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


class LoginStore:
    """The file that remembers a login: `credentials.json`, mode 0600, under the user's configuration folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME

    @classmethod
    def of_user(cls, environ: Mapping[str, str]) -> LoginStore:
        """Give the store of the user that `environ` describes. Source: XDG Base Directory Specification."""
        base = environ.get("XDG_CONFIG_HOME") or ""
        folder = Path(base) if Path(base).is_absolute() else Path(environ.get("HOME") or "~").expanduser() / ".config"
        return cls(folder / "tidegate")

    def load(self) -> SandboxLogin | None:
        """Give who is logged in, None when nobody is. Raises InvalidInput when the file cannot be understood."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(str(error)) from error
        try:
            document = parse_object(raw, limit=MAX_FILE_BYTES, what=str(self.path))
        except JsonInvalid as error:
            raise self._unreadable(str(error)) from error
        sandbox = document.get("sandbox")
        issuer, user = (sandbox.get("issuer"), sandbox.get("user")) if isinstance(sandbox, dict) else (None, None)
        if document.get("format") != FORMAT or not isinstance(issuer, str) or not isinstance(user, str):
            raise self._unreadable(f"not of the form {FORMAT}")
        return SandboxLogin(issuer, user)

    def save(self, login: SandboxLogin) -> None:
        """Remember `login` in place of any other."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        document = {"format": FORMAT, "sandbox": {"issuer": login.issuer, "user": login.user}}
        handle, temporary = tempfile.mkstemp(prefix=f".{FILE_NAME}.", dir=self.path.parent)  # mode 0600 by itself
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(json.dumps(document, indent=2) + "\n")
            Path(temporary).replace(self.path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def forget(self) -> bool:
        """Remove the file; whether there was one."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True

    def _unreadable(self, found: str) -> InvalidInput:
        return InvalidInput(
            f"{self.path} cannot be read", code="credentials-unreadable", found=found, hint="log in again, or delete it"
        )


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
