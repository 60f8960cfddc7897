"""Where a login's tokens are kept: the keyring of the system, or else a file of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

from tidegate.credentials.keyring_vault import VaultFailed
from tidegate.credentials.store import LoginStore, RegistryLogin
from tidegate.errors import Unauthenticated


class MemoryKeyring(KeyringBackend):
    """A keyring of the library's own kind that lives as long as a test."""

    priority = 1

    def __init__(self) -> None:
        self.secrets: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked("locked")
        return self.secrets.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.secrets[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.secrets.pop((service, username), None) is None:
            raise PasswordDeleteError("not there")


class TestKeyring:
    LOGIN = RegistryLogin(
        "https://registry.example", "https://id.example", "c", "https://id.example/t", "secret-id", "r"
    )

    @pytest.fixture
    def vault(self) -> Iterator[MemoryKeyring]:
        before, vault = keyring.get_keyring(), MemoryKeyring()
        keyring.set_keyring(vault)
        yield vault
        keyring.set_keyring(before)

    def test_tokens_go_into_the_keyring_and_not_into_the_file(self, tmp_path: Path, vault: MemoryKeyring) -> None:
        store = LoginStore.of_user({"XDG_CONFIG_HOME": str(tmp_path)})
        assert store.keep(self.LOGIN)
        assert "secret-id" not in store.path.read_text()
        assert store.find(self.LOGIN.registry) == self.LOGIN
        assert store.forget()
        assert vault.secrets == {}

    def test_a_keyring_that_is_locked_or_emptied_is_told_apart(self, tmp_path: Path, vault: MemoryKeyring) -> None:
        store = LoginStore.of_user({"XDG_CONFIG_HOME": str(tmp_path)})
        store.keep(self.LOGIN)
        vault.locked = True
        with pytest.raises(VaultFailed, match="keyring cannot be read") as caught:
            store.find(self.LOGIN.registry)
        assert caught.value.reasons[0].code == "keyring-failed"
        vault.locked = False
        vault.secrets.clear()
        with pytest.raises(Unauthenticated) as lost:
            store.find(self.LOGIN.registry)
        assert lost.value.reasons[0].code == "login-lost"
        assert store.forget()

    def test_without_a_usable_keyring_the_file_has_them(self, tmp_path: Path, vault: MemoryKeyring) -> None:
        store = LoginStore.of_user({"XDG_CONFIG_HOME": str(tmp_path)})
        assert not store.keep(self.LOGIN, in_keyring=False)
        assert "secret-id" in store.path.read_text()
        assert vault.secrets == {}
        assert store.find(self.LOGIN.registry) == self.LOGIN

    def test_tokens_that_move_into_the_file_leave_the_keyring(self, tmp_path: Path, vault: MemoryKeyring) -> None:
        store = LoginStore.of_user({"XDG_CONFIG_HOME": str(tmp_path)})
        store.keep(self.LOGIN)
        store.keep(self.LOGIN, in_keyring=False)
        assert vault.secrets == {}
        assert store.find(self.LOGIN.registry) == self.LOGIN

    def test_a_login_whose_keyring_is_away_is_not_said_to_be_forgotten(
        self, tmp_path: Path, vault: MemoryKeyring
    ) -> None:
        LoginStore.of_user({"XDG_CONFIG_HOME": str(tmp_path)}).keep(self.LOGIN)
        away = LoginStore(tmp_path / "tidegate")
        with pytest.raises(VaultFailed) as caught:
            away.forget()
        assert caught.value.reasons[0].code == "keyring-failed"
        assert (len(vault.secrets), away.path.exists()) == (1, True)
        assert LoginStore.of_user({"XDG_CONFIG_HOME": str(tmp_path)}).forget()
        assert vault.secrets == {}
