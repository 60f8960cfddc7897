"""Credentials for the store come from where the operator said, and nowhere else is asked."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from pydantic import SecretStr

from tidegate_registry.settings import CredentialSource, S3Settings
from tidegate_registry.storage.credentials import StoreCredentialsMissing, StoreKeys, store_keys
from tidegate_registry.storage.s3 import S3BlobStore


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """A machine with nothing but a metadata service, which knows no role: the paths it was asked for."""
    paths: list[str] = []

    class Metadata(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

        def do_PUT(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("BOTO_CONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield paths
    server.shutdown()
    thread.join()
    server.server_close()


def test_without_keys_nothing_is_asked_and_one_line_says_what_to_set(asked: list[str]) -> None:
    with pytest.raises(StoreCredentialsMissing) as caught:
        S3BlobStore(S3Settings())
    assert caught.value.reasons[0].code == "store-credentials-missing"
    assert "TIDEGATE_REGISTRY_S3__CREDENTIALS=ambient" in (caught.value.reasons[0].hint or "")
    assert asked == []


def test_a_machine_that_has_none_is_told_so(asked: list[str]) -> None:
    with pytest.raises(StoreCredentialsMissing) as caught:
        store_keys(S3Settings(credentials=CredentialSource.AMBIENT), boto3.session.Session())
    assert caught.value.reasons[0].code == "store-credentials-missing"
    assert asked, "the machine's own role counts where the operator said so"


def test_what_the_environment_holds_counts_only_where_it_is_asked_for(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert store_keys(S3Settings(credentials=CredentialSource.AMBIENT), boto3.session.Session()) is None
    with pytest.raises(StoreCredentialsMissing) as caught:
        store_keys(S3Settings(), boto3.session.Session())
    assert caught.value.reasons[0].code == "store-credentials-missing"
    assert asked == []


def test_a_secret_may_be_in_a_file_which_must_be_there(tmp_path: Path) -> None:
    settings = S3Settings(access_key=SecretStr("a"), secret_key_file=tmp_path / "secret")
    with pytest.raises(StoreCredentialsMissing) as caught:
        store_keys(settings, boto3.session.Session())
    assert caught.value.reasons[0].code == "store-credentials-missing"
    (tmp_path / "secret").write_text("s3cret\n")
    keys = store_keys(settings, boto3.session.Session())
    assert keys == StoreKeys("a", "s3cret")
    assert "s3cret" not in repr(keys)
