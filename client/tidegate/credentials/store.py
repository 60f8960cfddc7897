"""Who is logged in where: `credentials.json`, mode 0600, under the user's configuration folder.

Of a sandbox it says only who; tokens are fetched when they are needed. Of a registry it says how the login was made;
the tokens themselves are in the operating system's keyring, or in the file where there is none.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tidegate.credentials.keyring_vault import Vault, VaultFailed, find_keyring
from tidegate.credentials.sandbox_login import SandboxLogin
from tidegate.errors import InvalidInput, JsonInvalid, Unauthenticated
from tidegate.formats.jcs import JsonObject, JsonValue, parse_object

FILE_NAME = "credentials.json"
FORMAT = "tidegate/credentials/v1"
MAX_FILE_BYTES = 1 << 20  # a few registries, each with an ID token and a refresh token
_KEYRING = "keyring"


@dataclass(frozen=True, slots=True, repr=False)
class RegistryLogin:
    """A login for one registry: with which client at which issuer, and the tokens it gave."""

    registry: str
    issuer: str
    client_id: str
    token_endpoint: str
    id_token: str
    refresh_token: str | None = None


class LoginStore:
    """Reads and writes the file. `keyring` gives the place for tokens, None where there is none but the file."""

    def __init__(self, folder: Path, *, keyring: Callable[[], Vault | None] = lambda: None) -> None:
        self.path = folder / FILE_NAME
        self._keyring = keyring

    @classmethod
    def of_user(cls, environ: Mapping[str, str]) -> LoginStore:
        """Give the store of the user that `environ` describes. Source: XDG Base Directory Specification."""
        base = environ.get("XDG_CONFIG_HOME") or ""
        folder = Path(base) if Path(base).is_absolute() else Path(environ.get("HOME") or "~").expanduser() / ".config"
        return cls(folder / "tidegate", keyring=find_keyring)

    def sandbox(self) -> SandboxLogin | None:
        """Give who is logged in at a sandbox, None when nobody is. Raises InvalidInput for a file of another form."""
        login = self._read().get("sandbox")
        if login is None:
            return None
        if not isinstance(login, dict):
            raise self._unreadable("`sandbox` is no object")
        return SandboxLogin(self._text(login, "issuer"), self._text(login, "user"))

    def keep_sandbox(self, login: SandboxLogin) -> None:
        """Remember `login` in place of any other at a sandbox."""
        self._write({**self._read(), "sandbox": {"issuer": login.issuer, "user": login.user}})

    def find(self, registry: str) -> RegistryLogin | None:
        """Give the login for the registry at this URL. Raises InvalidInput, VaultFailed, Unauthenticated."""
        login = self._registries().get(registry)
        if login is None:
            return None
        secrets = login.get("tokens")
        if secrets == _KEYRING:
            secrets = self._from_keyring(registry)
        if not isinstance(secrets, dict):
            raise self._unreadable(f"no tokens for {registry}")
        refresh = secrets.get("refreshToken")
        return RegistryLogin(
            registry,
            self._text(login, "issuer"),
            self._text(login, "clientId"),
            self._text(login, "tokenEndpoint"),
            self._text(secrets, "idToken"),
            refresh if isinstance(refresh, str) else None,
        )

    def clients(self) -> dict[str, tuple[str, str]]:
        """Give issuer and client of each registry's login."""
        return {
            url: (self._text(login, "issuer"), self._text(login, "clientId"))
            for url, login in self._registries().items()
        }

    def keep(self, login: RegistryLogin, *, in_keyring: bool = True) -> bool:
        """Remember `login` in place of any other for that registry; whether its tokens went into a keyring."""
        before = self.is_in_keyring(login.registry)
        vault = self._keyring() if in_keyring else None
        tokens: JsonObject = {"idToken": login.id_token}
        if login.refresh_token is not None:
            tokens["refreshToken"] = login.refresh_token
        if vault is not None:
            vault.put(login.registry, json.dumps(tokens))
        entry: JsonObject = {
            "issuer": login.issuer,
            "clientId": login.client_id,
            "tokenEndpoint": login.token_endpoint,
            "tokens": tokens if vault is None else _KEYRING,
        }
        registries: JsonObject = {**self._registries(), login.registry: entry}
        self._write({**self._read(), "registries": registries})
        if before and vault is None and (unused := self._keyring()) is not None:
            unused.drop(login.registry)  # nothing else would remember that they are there
        return vault is not None

    def is_in_keyring(self, registry: str) -> bool:
        """Whether that registry's tokens are in the keyring."""
        return self._registries().get(registry, {}).get("tokens") == _KEYRING

    def forget(self) -> bool:
        """Remove every login, from the keyring too; whether there was any.

        Raises VaultFailed while a keyring that holds some cannot be reached: the file says which, so it stays.
        """
        if not self.path.exists():
            return False
        try:
            kept = [url for url, login in self._registries().items() if login.get("tokens") == _KEYRING]
        except InvalidInput:  # a file that nobody can read goes all the same
            kept = []
        vault = self._keyring() if kept else None
        if kept and vault is None:
            raise VaultFailed(
                "nothing was forgotten: tokens are in a keyring that cannot be reached from here",
                found=f"those for {', '.join(kept)}",
                hint=f"run it where you logged in (`pip install 'tidegate[keyring]'`); if that keyring is gone, "
                f"remove {self.path}",
            )
        for url in kept:
            if vault is not None:
                vault.drop(url)
        self.path.unlink(missing_ok=True)
        return True

    def _from_keyring(self, registry: str) -> JsonObject:
        vault = self._keyring()
        secret = None if vault is None else vault.get(registry)
        if secret is None:
            raise Unauthenticated(
                f"the keyring no longer holds the login for {registry}",
                code="login-lost",
                found="no keyring here" if vault is None else "no such entry",
                hint="run `tidegate login` again",
            )
        try:
            return parse_object(secret.encode(), limit=MAX_FILE_BYTES, what="the keyring's entry")
        except JsonInvalid as error:
            raise self._unreadable(str(error)) from error

    def _registries(self) -> dict[str, JsonObject]:
        listed = self._read().get("registries", {})
        if not isinstance(listed, dict):
            raise self._unreadable("`registries` is no object")
        found = {url: login for url, login in listed.items() if isinstance(login, dict)}
        if len(found) != len(listed):
            raise self._unreadable("a login that is no object")
        return found

    def _read(self) -> JsonObject:
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unreadable(str(error)) from error
        try:
            document = parse_object(raw, limit=MAX_FILE_BYTES, what=str(self.path))
        except JsonInvalid as error:
            raise self._unreadable(str(error)) from error
        if document.get("format") != FORMAT:
            raise self._unreadable(f"not of the form {FORMAT}")
        return document

    def _write(self, document: Mapping[str, JsonValue]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(prefix=f".{FILE_NAME}.", dir=self.path.parent)  # mode 0600 by itself
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(json.dumps({"format": FORMAT, **document}, indent=2) + "\n")
            Path(temporary).replace(self.path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _text(self, entry: JsonObject, name: str) -> str:
        value = entry.get(name)
        if not isinstance(value, str) or not value:
            raise self._unreadable(f"`{name}` is missing or no text")
        return value

    def _unreadable(self, found: str) -> InvalidInput:
        return InvalidInput(
            f"{self.path} cannot be read",
            code="credentials-unreadable",
            found=found,
            hint="run `tidegate login --forget`, and log in again",
        )
