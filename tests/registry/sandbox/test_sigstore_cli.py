"""The sigstore command line from the package index works against the sandbox as it is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tidegate_registry.sandbox.jobs import JobRequest
from tidegate_registry.sandbox.serve import RunningSigstore

SIGSTORE = Path(sys.executable).with_name("sigstore")
JOB = JobRequest(repository="acme/agent")


@pytest.fixture
def workspace(tmp_path: Path, sigstore: RunningSigstore) -> Path:
    (tmp_path / "trust.json").write_text(json.dumps(sigstore.instance.client_trust_config()))
    (tmp_path / "file").write_text("content")
    return tmp_path


def environment(workspace: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "ACTIONS_"))}
    return kept | {"HOME": str(workspace), "PYTHONWARNINGS": "default", "NO_PROXY": "*"} | more


def sigstore_cli(workspace: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [str(SIGSTORE), "--trust-config", "trust.json", *arguments]
    return subprocess.run(
        command,
        cwd=workspace,
        env=environment(workspace, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def verify(workspace: Path, identity: str, issuer: str) -> subprocess.CompletedProcess[str]:
    return sigstore_cli(
        workspace, "verify", "identity", "--cert-identity", identity, "--cert-oidc-issuer", issuer, "file"
    )


def test_it_signs_with_a_given_token_and_verifies(workspace: Path, sigstore: RunningSigstore) -> None:
    done = sigstore_cli(workspace, "sign", "--identity-token", sigstore.instance.mint_token("alice"), "file")
    assert done.returncode == 0, done.stderr
    done = verify(workspace, "alice@sandbox.example", sigstore.url)
    assert done.returncode == 0, done.stderr
    assert verify(workspace, "bob@sandbox.example", sigstore.url).returncode != 0


@pytest.mark.slow
def test_it_finds_the_identity_of_a_ci_job_by_itself(workspace: Path, sigstore: RunningSigstore) -> None:
    done = sigstore_cli(workspace, "sign", "file", **sigstore.instance.register_job(JOB).environment)
    assert done.returncode == 0, done.stderr
    assert verify(workspace, JOB.signer_uri, f"{sigstore.url}/ci").returncode == 0


@pytest.mark.slow
def test_it_logs_a_person_in_without_a_browser(workspace: Path, sigstore: RunningSigstore) -> None:
    command = [str(SIGSTORE), "--trust-config", "trust.json", "sign", "--oauth-force-oob", "file"]
    with subprocess.Popen(
        command,
        cwd=workspace,
        env=environment(workspace, PYTHONUNBUFFERED="1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stderr
        link = next(line.strip() for line in process.stderr if "/authorize?" in line)
        assert urlsplit(link).netloc == urlsplit(sigstore.url).netloc
        page = httpx2.get(f"{link}&login_hint=carol", trust_env=False).text
        code = re.search(r"<code>([0-9a-f]+)</code>", page)
        assert code
        _, errors = process.communicate(f"{code[1]}\n", timeout=60)
    assert process.returncode == 0, errors
    assert verify(workspace, "carol@sandbox.example", sigstore.url).returncode == 0
