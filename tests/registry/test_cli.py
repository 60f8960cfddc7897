"""The server's command line, as installed, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.registry.world import store_settings
from tidegate_registry.access.token_keys import create_token_key
from tidegate_registry.cli import main
from tidegate_registry.key_files import create_private_key
from tidegate_registry.sandbox.ports import pick_ports

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint

PROGRAM = Path(sys.executable).with_name("tidegate-registry")
EXIT_DONE, EXIT_REFUSED, EXIT_USAGE, EXIT_UNREACHABLE = 0, 1, 2, 3


@pytest.fixture
def settings(s3: S3Endpoint, database_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a production registry over the shared store."""
    create_token_key(tmp_path / "token.pem")
    create_private_key(tmp_path / "log.pem", Ed25519PrivateKey.generate())
    create_private_key(tmp_path / "vsa.pem", Ed25519PrivateKey.generate())
    # as much of a trusted root as is looked at before the first signature is
    (tmp_path / "root.json").write_text('{"tlogs": [{}], "certificateAuthorities": [{}], "ctlogs": [{}]}')
    (tmp_path / "trust.yaml").write_text("format: tidegate/trust/v1\nroots: {own: {file: root.json}}\ncharters: []\n")
    store = store_settings(s3)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
    return clean | {
        "TIDEGATE_REGISTRY_DATABASE_URL": database_url,
        "TIDEGATE_REGISTRY_TOKEN_KEY_FILE": str(tmp_path / "token.pem"),
        "TIDEGATE_REGISTRY_TRUST_FILE": str(tmp_path / "trust.yaml"),
        "TIDEGATE_REGISTRY_LOG__KEY": f"file:{tmp_path}/log.pem",
        "TIDEGATE_REGISTRY_VSA__KEY": f"file:{tmp_path}/vsa.pem",
        "TIDEGATE_REGISTRY_S3__ENDPOINT": s3.url,
        "TIDEGATE_REGISTRY_S3__BUCKET": s3.bucket,
        "TIDEGATE_REGISTRY_S3__PREFIX": f"{store.prefix}{tmp_path.name}/",  # a log of its own, under its own key
        "TIDEGATE_REGISTRY_S3__ACCESS_KEY": s3.access_key,
        "TIDEGATE_REGISTRY_S3__SECRET_KEY": s3.secret_key,
    }


@contextlib.contextmanager
def serving(settings: dict[str, str]) -> Iterator[tuple[str, subprocess.Popen[str], list[str]]]:
    port = pick_ports(1)[0]
    arguments = [str(PROGRAM), "serve", "--port", str(port)]
    process = subprocess.Popen(arguments, env=settings, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    lines: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=lambda: lines.extend(process.stderr or ()), daemon=True)
    reader.start()
    try:
        yield f"http://127.0.0.1:{port}", process, lines
    finally:
        process.kill()
        process.wait(10)
        reader.join(10)
        for stream in (process.stderr, process.stdout):
            if stream is not None:
                stream.close()


def wait_ready(url: str, process: subprocess.Popen[str]) -> httpx2.Response:
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, "the registry ended"
        with contextlib.suppress(httpx2.ConnectError):
            return httpx2.get(f"{url}/readyz", trust_env=False)
        assert time.monotonic() < deadline, "the registry did not come up"
        time.sleep(0.05)


def use(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        if name.startswith("TIDEGATE_"):
            monkeypatch.setenv(name, value)


def test_it_migrates_then_serves_then_stops_when_asked(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, settings)
    assert main(["serve"]) == EXIT_REFUSED
    assert "hint: run `tidegate-registry migrate`" in capsys.readouterr().err
    assert main(["migrate"]) == main(["migrate"]) == EXIT_DONE
    with serving(settings) as (url, process, lines):
        assert wait_ready(url, process).json()["status"] == "ready"
        assert httpx2.get(f"{url}/v2/", trust_env=False).status_code == 401
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (EXIT_DONE, -signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.read() == ""
    assert any('"event": "request"' in line and '"status": 401' in line for line in lines)
    assert any('"event": "stopped"' in line for line in lines)


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"TYPO": "1"}, EXIT_USAGE, "TIDEGATE_REGISTRY_TYPO"),
        ({"TOKEN_KEY_FILE": "/nonexistent/key.pem"}, EXIT_USAGE, "/nonexistent/key.pem"),
        ({"TRUST_FILE": "/nonexistent/trust.yaml"}, EXIT_USAGE, "/nonexistent/trust.yaml"),
        ({"TRUST_FILE": ""}, EXIT_USAGE, "trust"),
        ({"LOG__KEY": ""}, EXIT_USAGE, "tidegate-registry keys make-log-key"),
        ({"VSA__KEY": ""}, EXIT_USAGE, "tidegate-registry keys make-vsa-key"),
        ({"S3__BUCKET": "no-such-bucket"}, EXIT_UNREACHABLE, "the object store would not"),
        ({"DATABASE_URL": "nonsense"}, EXIT_USAGE, "database_url"),
        ({"DATABASE_URL": "mysql://root:hunter2@h/d"}, EXIT_USAGE, "database_url"),
        ({"DATABASE_URL": "postgresql://u@127.0.0.1:1/d"}, EXIT_UNREACHABLE, "the database did not answer"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_before_the_port_opens(
    *,
    settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, str],
    code: int,
    text: str,
) -> None:
    use(monkeypatch, settings | {f"TIDEGATE_REGISTRY_{key}": value for key, value in change.items()})
    if "DATABASE_URL" not in change and "TYPO" not in change:
        assert main(["migrate"]) == EXIT_DONE
    assert main(["serve", "--port", "0"]) == code
    shown = capsys.readouterr()
    errors = [line for line in shown.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert text in shown.err
    assert "hunter2" not in shown.err
    assert shown.out == ""


def test_help_and_version_need_no_settings(settings: dict[str, str]) -> None:
    command = [str(PROGRAM), "--help"]
    shown = subprocess.run(command, env={"PATH": settings["PATH"]}, capture_output=True, text=True, check=True)
    assert all(verb in shown.stdout for verb in ("serve", "migrate", "sandbox"))


@pytest.mark.parametrize("arguments", [["dance"], [], ["serve", "--port", "http"]])
def test_misuse_is_told_as_by_the_client(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == EXIT_USAGE
    told = capsys.readouterr().err
    assert told.startswith("usage: tidegate-registry")
    assert "\nerror: " in told
    assert "\n\nhint: run `tidegate-registry" in told


def test_migrating_without_any_settings_makes_no_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("TIDEGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    assert main(["migrate"]) == EXIT_USAGE
    told = capsys.readouterr().err
    assert "[database-not-named]" in told
    assert "hint: pass --config FILE, or set TIDEGATE_REGISTRY_CONFIG or TIDEGATE_REGISTRY_DATABASE_URL" in told
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("TIDEGATE_REGISTRY_DATABASE_URL", f"sqlite:///{tmp_path / 'named.db'}")
    assert main(["migrate"]) == EXIT_DONE
    assert (tmp_path / "named.db").exists()


def test_a_port_that_is_taken_is_told_too(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], s3: S3Endpoint
) -> None:
    use(monkeypatch, settings)
    assert main(["migrate"]) == EXIT_DONE
    assert main(["serve", "--port", s3.url.rpartition(":")[2]]) == EXIT_REFUSED
    assert "error: cannot listen on 127.0.0.1:" in capsys.readouterr().err
