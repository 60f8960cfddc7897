"""The commands of release and host without any server: exit codes, JSON errors, and what an interruption leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tidegate.bundle.layout import Layout
from tidegate.cli.main import main
from tidegate.digest import Digest
from tidegate.evidence import Attached, LayoutShelf
from tidegate.formats.jcs import JsonObject, parse_object
from tidegate.formats.manifest import EMPTY_DESCRIPTOR, Descriptor, image_manifest
from tidegate.formats.mediatypes import AGENT_BUNDLE, AGENT_CONFIG

AGENT = "acme/support-agent"
DEAD = "127.0.0.1:9"  # nothing listens on the discard port
VECTOR = Path(__file__).parents[2] / "vectors" / "another-agent_fail"
Run = Callable[..., tuple[int, JsonObject]]


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    path = tmp_path / "trust.yaml"
    root, charter = VECTOR / "trusted_root.json", VECTOR / "charter.yaml"
    path.write_text(f"roots:\n  main: {{file: {root}, sandbox: true}}\ncharters:\n- file: {charter}\n")
    return path


@pytest.fixture
def run(trust: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process with `--json`; gives exit code and document."""
    for name in [name for name in os.environ if name.startswith(("TIDEGATE_", "GITHUB_", "CI"))]:
        monkeypatch.delenv(name)
    for name, value in {"TIDEGATE_TRUST": trust, "TIDEGATE_SANDBOX": "1", "HOME": tmp_path}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr("tidegate.remote.transport.FIRST_WAIT_SECONDS", 0.0)
    monkeypatch.chdir(tmp_path)

    def run_command(*arguments: str) -> tuple[int, JsonObject]:
        code = main([*arguments, "--json"])
        return code, parse_object(capsys.readouterr().out.encode(), limit=1 << 20, what="output")

    return run_command


def first_code(document: JsonObject) -> object:
    error = document["error"]
    assert isinstance(error, dict)
    reasons = error["reasons"]
    assert isinstance(reasons, list)
    assert isinstance(reasons[0], dict)
    return reasons[0]["code"]


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [
        (f"verify {AGENT}:stable", 2, "reference-channel"),
        (f"pull {AGENT}:stable --to x", 2, "reference-channel"),
        (f"verify {AGENT}", 2, "reference-incomplete"),
        (f"verify {AGENT}:1.2", 2, "reference-invalid"),
        (f"verify {AGENT}:1.2.0", 2, "registry-missing"),
        ("verify ./absent", 2, "layout-missing"),
        (f"verify {AGENT}:1.2.0 --offline", 2, "offline-reference"),
        (f"verify {AGENT}:1.2.0 --registry http://registry.example", 2, "plain-http-refused"),
        (f"verify {AGENT}:1.2.0 --as acme/other --registry {DEAD}", 2, "invalid-input"),
        (f"verify {AGENT}:1.2.0 --trust absent.yaml", 2, "trust-file-missing"),
        (f"verify {DEAD}/{AGENT}:1.2.0", 3, "unreachable"),
        (f"pull {DEAD}/{AGENT}:1.2.0 --to x", 3, "unreachable"),
        ("whoami", 2, "registry-missing"),
        (f"whoami --registry {DEAD}", 3, "unreachable"),
        (f"attest nonsense {AGENT}:1.2.0 --predicate x", 2, "statement-malformed"),
        (f"attest evaluation {AGENT}:1.2.0 --predicate x", 2, "invalid-input"),
        (f"attest evaluation {AGENT}:1.2.0 --suite s", 2, "evaluation-options"),
        (f"attest review {AGENT}:1.2.0 --from x", 2, "evaluation-options"),
        (f"attest evaluation {AGENT}:1.2.0 --from x --predicate y", 2, "evaluation-options"),
        (f"attest evaluation {AGENT}:1.2.0 --from x --suite s", 2, "evaluation-options"),
        (f"attest evaluation {AGENT}:1.2.0 --from x --suite s --dataset x --harness x", 2, "digest-invalid"),
        (f"sign {AGENT}:1.2.0 --sigstore absent.json", 2, "trust-file-invalid"),
        ("publish --sigstore absent.json", 2, "trust-file-invalid"),
        ("publish --provenance absent.json", 2, "invalid-input"),
        ("approve 0197a7c2", 2, "approval-not-confirmed"),
        ("approve 0197a7c2 --yes --valid never", 2, "invalid-input"),
        ("approve 0197a7c2 --yes --valid 91d", 2, "invalid-input"),
        ("approve 0197a7c2 --yes --trust absent.yaml", 2, "trust-file-missing"),
        (f"promote {AGENT}:1.2.0 --to stable --break-glass", 2, "invalid-input"),
        (f"promote {AGENT}:1.2.0 --to stable --break-glass --reason x", 2, "break-glass-not-confirmed"),
        ("promotions", 2, "registry-missing"),
        ("login --as alice", 2, "login-not-sandbox"),
        ("login --as alice --sandbox-dir .", 2, "invalid-input"),
    ],
)
def test_exit_codes_tell_misused_from_unreachable(
    run: Run, tmp_path: Path, command: str, code: int, reason: str
) -> None:
    found, document = run(*command.split())
    assert (found, first_code(document)) == (code, reason)
    assert not (tmp_path / "x").exists()


def test_a_sandbox_root_needs_to_be_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_SANDBOX", "0")
    code, document = run("verify", f"{AGENT}:1.2.0", "--registry", DEAD)
    assert (code, first_code(document)) == (2, "sandbox-root")


def test_a_defect_is_told_without_a_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("tidegate.releases.verify.verify", broken)
    code, document = run("verify", f"{AGENT}:1.2.0")
    assert (code, first_code(document)) == (1, "internal-error")
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv("TIDEGATE_DEBUG", "1")
    with pytest.raises(RuntimeError, match="boom"):
        run("verify", f"{AGENT}:1.2.0")


class Stalling(ThreadingHTTPServer):
    """A registry that gives and takes a manifest, and never finishes with a blob."""

    daemon_threads = True

    def __init__(self) -> None:
        config = Descriptor(AGENT_CONFIG, Digest.of(b"config"), 100)
        self.manifest = image_manifest(artifact_type=AGENT_BUNDLE, config=config, layers=())
        self.asked_for_a_blob, self.over = threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", 0), StallingHandler)


class StallingHandler(BaseHTTPRequestHandler):
    server: Stalling

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def do_POST(self) -> None:
        self.send_response(202)
        self.send_header("Location", f"{self.path}session")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_PUT(self) -> None:
        self.server.asked_for_a_blob.set()
        self.server.over.wait(60)

    def do_GET(self) -> None:
        if "/manifests/9.9.9" in self.path:
            self.do_HEAD()
            return
        self.send_response(200)
        if "/manifests/" in self.path:
            self.send_header("Content-Type", self.server.manifest.media_type)
            self.send_header("Content-Length", str(len(self.server.manifest.raw)))
            self.end_headers()
            self.wfile.write(self.server.manifest.raw)
            return
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.flush()
        self.server.asked_for_a_blob.set()
        self.server.over.wait(60)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the standard library's
        """Say nothing."""


@pytest.fixture
def stalling() -> Iterator[Stalling]:
    server = Stalling()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_interrupted_pull_leaves_nothing_and_exits_130(stalling: Stalling, trust: Path, tmp_path: Path) -> None:
    dest = tmp_path / "hosts" / "agent"
    where = f"127.0.0.1:{stalling.server_address[1]}/{AGENT}:1.2.0"
    command = [sys.executable, "-m", "tidegate.cli.main", "pull", where, "--to", str(dest)]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TIDEGATE_TRUST": str(trust), "TIDEGATE_SANDBOX": "1"}
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert stalling.asked_for_a_blob.wait(60)
        assert [entry.name.startswith(".agent.") for entry in dest.parent.iterdir()] == [True]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert not dest.parent.exists()


def test_an_interrupted_publish_does_not_wait_for_the_registry(stalling: Stalling, tmp_path: Path) -> None:
    layout = Layout.create(tmp_path / "layout")
    layout.put(b"{}")
    manifest = image_manifest(artifact_type="application/x", config=EMPTY_DESCRIPTOR, layers=())
    layout.add_manifest(manifest, version="9.9.9")
    provenance = Attached.parse((VECTOR.parent / "provenance-by-person_fail" / "bundle.json").read_bytes())
    LayoutShelf(layout).attach(provenance, manifest.descriptor)
    where = f"127.0.0.1:{stalling.server_address[1]}/{AGENT}:9.9.9"
    arguments = ["publish", str(layout.path), "--as", where, "--no-sign"]
    command = [sys.executable, "-m", "tidegate.cli.main", *arguments]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert stalling.asked_for_a_blob.wait(60)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)  # less than the silence that uploads put up with, all tries told
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in errors
