"""The operating system's keyring, where there is one and `tidegate[keyring]` is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Protocol

from tidegate.errors import TidegateError

SERVICE = "tidegate"
MIN_PRIORITY = 1  # keyring's own measure: below are backends that keep nothing, or in plain text


class Vault(Protocol):
    """Keeps secrets by name."""

    def get(self, name: str) -> str | None:
        """Give the secret, None when there is none. Raises VaultFailed."""

    def put(self, name: str, secret: str) -> None:
        """Keep the secret in place of any other. Raises VaultFailed."""

    def drop(self, name: str) -> None:
        """Remove the secret, if there is one. Raises VaultFailed."""


class VaultFailed(TidegateError):
    """The keyring did not give or take a secret."""

    code = "keyring-failed"


class Keyring:
    """The keyring of the user who runs us. Source: the documentation of the library `keyring`."""

    def get(self, name: str) -> str | None:
        """See Vault."""
        import keyring
        from keyring.errors import KeyringError

        try:
            return keyring.get_password(SERVICE, name)
        except KeyringError as error:
            raise _failed("read", error) from error

    def put(self, name: str, secret: str) -> None:
        """See Vault."""
        import keyring
        from keyring.errors import KeyringError

        try:
            keyring.set_password(SERVICE, name, secret)
        except KeyringError as error:
            raise _failed("written", error) from error

    def drop(self, name: str) -> None:
        """See Vault."""
        import keyring
        from keyring.errors import KeyringError, PasswordDeleteError

        try:
            keyring.delete_password(SERVICE, name)
        except PasswordDeleteError:  # there is none
            return
        except KeyringError as error:
            raise _failed("changed", error) from error


def find_keyring() -> Vault | None:
    """Give the keyring if the library is installed and has found one that keeps secrets."""
    if find_spec("keyring") is None:
        return None
    import keyring

    return Keyring() if keyring.get_keyring().priority >= MIN_PRIORITY else None


def _failed(what: str, error: Exception) -> VaultFailed:
    return VaultFailed(
        f"the keyring cannot be {what}",
        found=f"{type(error).__name__}: {error}"[:200],
        hint="unlock it, or log in again with --no-keyring to keep tokens in a file that only you can read",
    )
