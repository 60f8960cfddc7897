"""One command starts everything, one signal stops everything, and every way to fail is one clear line."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import httpx2
import pytest
from botocore.config import Config

from tests.registry.sandbox.lines import assert_told, chosen, run
from tests.registry.sandbox.test_s3 import wait_until_gone
from tidegate.formats.charter import Charter
from tidegate.formats.trustfile import parse_trust_file
from tidegate.policy.editing import Known, judge_lockout
from tidegate.policy.inputs import Caller
from tidegate.policy.load import load_policy
from tidegate.policy.people import roles_of
from tidegate.tlog.note import VerifierKey
from tidegate_registry.sandbox.cli import default_folder
from tidegate_registry.sandbox.files import read_secret
from tidegate_registry.sandbox.folder import FolderInUse, SandboxFolder
from tidegate_registry.sandbox.policy import policy_file
from tidegate_registry.sandbox.ports import PortTaken
from tidegate_registry.sandbox.seed import trust_file
from tidegate_registry.sandbox.supervisor import run_sandbox
from tidegate_registry.sandbox.users import USERS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

COMMAND = [str(Path(sys.executable).with_name("tidegate-registry")), "sandbox"]
NOWHERE = "http://127.0.0.1:9"  # a proxy that would break every connection
SIGSTORE = Path(sys.executable).with_name("sigstore")


@dataclass
class Running:
    """A sandbox in a process of its own, ready."""

    process: subprocess.Popen[str]
    banner: str
    folder: SandboxFolder

    def children(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it and check that it leaves nothing behind."""
        children = self.children()
        assert len(children) == 1
        self.process.send_signal(number)
        assert self.process.wait(10) == 0
        for child in children:
            with pytest.raises(ProcessLookupError):
                os.kill(child, 0)


@contextmanager
def sandbox(folder: Path, *arguments: str) -> Iterator[Running]:
    """Start a sandbox and wait until it says that it is ready; killed at the end if it still runs."""
    with subprocess.Popen(
        [*COMMAND, "--dir", str(folder), *arguments],
        env=os.environ | {"HTTP_PROXY": NOWHERE, "http_proxy": NOWHERE, "NO_PROXY": "", "no_proxy": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        try:
            lines: list[str] = []
            while not lines or not lines[-1].startswith("Ctrl-C"):
                line = process.stdout.readline()
                assert line, f"the sandbox ended: {process.stderr.read()}"
                lines.append(line)
            yield Running(process, "".join(lines), SandboxFolder(folder))
        finally:
            if process.poll() is None:
                process.kill()


def sourced(folder: Path) -> dict[str, str]:
    """Give the environment of a shell that sourced DIR/env."""
    script = f". {shlex.quote(str(folder / 'env'))} && exec env -0"
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, timeout=20, check=True, env={"NO_PROXY": "intranet"}
    )
    return dict(entry.split("=", 1) for entry in done.stdout.split("\0") if entry)


def ci(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "ci", "--dir", str(folder), "--repository", "acme/support-agent", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_everything_starts_answers_and_stops(tmp_path: Path) -> None:
    folder = tmp_path / "a sandbox's folder"
    with sandbox(folder) as running:
        environment = sourced(folder)
        ports = running.folder.load_ports()
        assert ports
        assert environment["TIDEGATE_SANDBOX"] == "1"
        assert environment["TIDEGATE_REGISTRY"] == ports.registry_address
        assert (environment["NO_PROXY"], environment["no_proxy"]) == (
            "127.0.0.1,localhost,intranet",
            "127.0.0.1,localhost",
        )
        trust, _ = parse_trust_file(Path(environment["TIDEGATE_TRUST"]).read_bytes(), name="trust.yaml")
        assert trust.roots["sandbox"].sandbox
        assert trust.log is not None
        assert VerifierKey.parse(trust.log.key).name == ports.log_origin
        assert [each.verifier for each in trust.vsa] == [ports.registry_url]
        assert (folder / trust.vsa[0].key.file).read_bytes().startswith(b"-----BEGIN PUBLIC KEY-----")
        root = folder / trust.roots["sandbox"].file
        served = httpx2.get(f"{ports.sigstore_url}/client_trust_config.json", trust_env=False).content
        assert json.loads(Path(environment["TIDEGATE_SIGSTORE"]).read_bytes()) == json.loads(served)  # noqa: TID251
        assert root.exists()
        for text in (ports.registry_url, ports.sigstore_url, str(folder), "tidegate login --as alice"):
            assert text in running.banner
        for name in ("alice", "bob", "carol", "dave"):
            assert f"{name}@sandbox.example" in running.banner
        done = ci(folder, "--ref", "refs/tags/v1.0.0", "--", "sh", "-c", "echo $GITHUB_REF_NAME; exit 7")
        assert (done.stdout, done.returncode) == ("v1.0.0\n", 7)
        check_that_only_loopback_is_listened_on(running, ports.s3.filer)
        running.stop()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in (
        folder / name
        for name in (
            "env",
            "trust.yaml",
            "policy.yaml",
            "sandbox.json",
            "client_trust_config.json",
            "signing_config.json",
            "lock",
            "registry.db",
        )
    ):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for file in (folder / "keys").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.slow
def test_a_second_start_has_all_data_and_keeps_an_edited_trust_file(tmp_path: Path) -> None:
    folder = tmp_path / "box"
    (tmp_path / "file").write_text("content")
    verify = [str(SIGSTORE), "--trust-config", str(folder / "client_trust_config.json"), "verify", "identity"]
    with sandbox(folder) as first:
        ports = first.folder.load_ports()
        assert ports
        signing = [str(SIGSTORE), "--trust-config", str(folder / "client_trust_config.json"), "sign"]
        done = ci(folder, "--", *signing, str(tmp_path / "file"))
        assert done.returncode == 0, done.stderr
        store(first.folder).put_object(Bucket="registry", Key="kept", Body=b"bytes")
        first.stop(signal.SIGINT)
    edited = f"# mine\n{(folder / 'trust.yaml').read_text()}"
    (folder / "trust.yaml").write_text(edited)
    with sandbox(folder) as second:
        assert second.folder.load_ports() == ports
        assert (folder / "trust.yaml").read_text() == edited
        assert store(second.folder).get_object(Bucket="registry", Key="kept")["Body"].read() == b"bytes"
        identity = "https://git.sandbox.internal/acme/support-agent/.ci/workflows/release.yml@refs/heads/main"
        who = ["--cert-identity", identity, "--cert-oidc-issuer", f"{ports.sigstore_url}/ci"]
        done = subprocess.run(
            [*verify, *who, str(tmp_path / "file")], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        second.stop()


def store(folder: SandboxFolder) -> S3Client:
    ports = folder.load_ports()
    assert ports
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{ports.s3.s3}",
        aws_access_key_id=read_secret(folder.s3 / "access-key.secret"),
        aws_secret_access_key=read_secret(folder.s3 / "secret-key.secret"),
        region_name="us-east-1",
        config=Config(request_checksum_calculation="when_required", s3={"addressing_style": "path"}),
    )


@pytest.mark.slow
def test_a_killed_sandbox_leaves_no_store_and_starts_again(tmp_path: Path) -> None:
    with sandbox(tmp_path / "box") as killed:
        (child,) = killed.children()
        killed.process.kill()
        killed.process.wait(10)
        # at once: the store of the killed one may still be ending, and the new one waits for it
        with sandbox(tmp_path / "box") as again:
            wait_until_gone(child)
            again.stop()


@pytest.mark.slow
def test_a_store_that_dies_takes_the_sandbox_with_it_and_says_so(tmp_path: Path) -> None:
    with sandbox(tmp_path / "box") as running:
        (child,) = running.children()
        os.kill(child, signal.SIGKILL)
        assert running.process.wait(10) == 3
        assert running.process.stderr
        assert_told(running.process.stderr.read(), "ended by itself", str(tmp_path / "box" / "logs"))


def test_a_folder_in_use_is_refused_with_the_process_that_holds_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = SandboxFolder(tmp_path)
    with folder.held() as clean:
        assert clean
        with pytest.raises(FolderInUse) as refused:
            run_sandbox(tmp_path)
        assert refused.value.reasons[0].code == "sandbox-in-use"
        assert run(["--dir", str(tmp_path)]) == 1
        assert_told(capsys.readouterr().err, str(tmp_path), str(os.getpid()), "--dir")
    with folder.held() as clean:
        assert clean
    (tmp_path / "lock").write_text("12345\n")
    with folder.held() as clean:
        assert not clean


@pytest.mark.parametrize("which", ["registry", "sigstore", "filer"])
def test_a_port_that_is_taken_is_named_with_its_purpose(
    tmp_path: Path, which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ports = chosen(SandboxFolder(tmp_path))
    number = {"registry": ports.registry, "sigstore": ports.sigstore, "filer": ports.s3.filer}[which]
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the probe that found it free
        other.bind(("127.0.0.1", number))
        other.listen()
        with pytest.raises(PortTaken) as refused:
            run_sandbox(tmp_path)
        assert refused.value.reasons[0].code == "port-taken"
        assert run(["--dir", str(tmp_path)]) == 1
        purpose = {"registry": "registry", "sigstore": "Sigstore", "filer": "object store"}[which]
        assert_told(capsys.readouterr().err, f"port {number} ", purpose, "--dir")


def test_a_missing_wheel_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr("importlib.metadata.files", lambda _: None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert run(["--dir", str(tmp_path / "box")]) == 1
    assert_told(capsys.readouterr().err, "object store is not installed", "pip install 'tidegate-registry[sandbox]'")


def test_the_trust_file_is_one_the_verifier_reads() -> None:
    trust, _ = parse_trust_file(trust_file("http://127.0.0.1:1").encode(), name="trust.yaml")
    assert [getattr(charter, "agent", None) for charter in trust.charters] == ["acme/*", "acme/support-agent"]


def test_the_policy_gives_each_demo_user_their_role_and_fits_the_charters() -> None:
    issuer = "http://127.0.0.1:1"
    policy = load_policy(policy_file(issuer).encode())
    callers = {
        name: Caller("human", issuer, user.email, {"groups": user.groups}) for name, user in sorted(USERS.items())
    }
    assert {name: sorted(roles_of(caller, policy)) for name, caller in callers.items()} == {
        "alice": ["developer"],
        "bob": ["reviewer"],
        "carol": ["release-manager"],
        "dave": ["admin"],
    }
    assert {policy.people.of(caller) for caller in callers.values()} == USERS.keys()
    assert policy.people.of(Caller("ci", f"{issuer}/ci", "a-workflow", {"actor": ("alice",)})) == "alice"
    assert judge_lockout(policy, Known(tuple(callers.values()), frozenset({issuer}))) == ()
    trust, _ = parse_trust_file(trust_file(issuer).encode(), name="trust.yaml")
    for charter in trust.charters:
        assert isinstance(charter, Charter)
        assert tuple(charter.approvals) == policy.document.channels
        assert {rule.human for rule in charter.approvers} <= policy.persons.keys()


@pytest.mark.parametrize("workflow_ref", ["refs/heads/main", "refs/tags/v1"])
def test_the_shared_workflow_may_publish_agents_of_the_namespace(workflow_ref: str) -> None:
    trust, _ = parse_trust_file(trust_file("http://127.0.0.1:1").encode(), name="trust.yaml")
    charter = next(c for c in trust.charters if isinstance(c, Charter) and c.agent == "acme/*")
    shared = "https://git.sandbox.internal/acme/workflows/.ci/workflows/release.yml"
    rules = [rule for rule in charter.publishers if rule.identity == f"{shared}@{workflow_ref}"]
    assert [rule.refs for rule in rules] == [("refs/heads/main", "refs/tags/v*")]
    assert [dict(rule.claims) for rule in rules] == [{"sourceRepositoryOwnerURI": "https://git.sandbox.internal/acme"}]
    assert charter.builders[f"{shared}@{workflow_ref}"] == 3


@pytest.mark.parametrize("arguments", [["--port", "0"], ["--port", "65536"], ["--port", "http"], ["--port", "²"]])
def test_a_port_is_a_number_that_exists(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "is not a port" in capsys.readouterr().err


def test_the_folder_is_named_by_flag_environment_or_habit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_SANDBOX_DIR", "/somewhere")
    assert default_folder() == Path("/somewhere")
    monkeypatch.delenv("TIDEGATE_SANDBOX_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_folder() == Path("/state/tidegate-sandbox")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert default_folder() == Path.home() / ".local" / "state" / "tidegate-sandbox"


def test_a_ci_job_needs_a_sandbox_that_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = ["ci", "--dir", str(tmp_path), "--repository", "acme/agent"]
    assert run([*job, "--", "true"]) == 1
    assert_told(capsys.readouterr().err, "there is no sandbox", str(tmp_path))
    folder = SandboxFolder(tmp_path)
    chosen(folder)
    folder.keys.mkdir()
    folder.admin_secret.write_text("x")
    assert run([*job, "--", "true"]) == 3
    assert_told(capsys.readouterr().err, "does not answer")
    assert run(job) == 2
    assert_told(capsys.readouterr().err, "no command")


def test_a_ci_command_that_is_not_there_answers_as_a_shell_does(
    tmp_path: Path, sigstore_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = ["ci", "--dir", str(sigstore_folder), "--repository", "acme/agent", "--reusable", "acme/w/a.yml@refs/tags/v1"]
    assert run([*job, "--", str(tmp_path / "absent")]) == 127
    (tmp_path / "present").write_text("not executable")
    assert run([*job, "--", str(tmp_path / "present")]) == 126
    assert run([*job, "--", "sh", "-c", "kill -TERM $$"]) == 128 + signal.SIGTERM
    assert run([*job, "--", "sh", "-c", '[ "$GITHUB_ACTIONS$ACTIONS_ID_TOKEN_REQUEST_TOKEN" != true ]']) == 0
    capsys.readouterr()
    assert run([*job, "--sha", "HEAD", "--", "true"]) == 2
    assert_told(capsys.readouterr().err, "refused the job", "sha")
    assert run([*job, "--ref", "main", "--", "true"]) == 2
    expected = "expected: refs/heads/NAME or refs/tags/NAME"
    assert_told(capsys.readouterr().err, "`ref` is not valid", "'main'", expected)
    assert run([*job, "--repository", "bad", "--", "true"]) == 2
    assert_told(capsys.readouterr().err, "`repository` is not valid", "'bad'", "expected: OWNER/NAME")


@pytest.fixture
def sigstore_folder(tmp_path: Path) -> Iterator[Path]:
    """The folder of a Sigstore that runs where its sandbox would."""
    from tidegate_registry.sandbox.serve import start_sigstore

    folder = SandboxFolder(tmp_path / "box")
    folder.path.mkdir()
    ports = chosen(folder)
    with start_sigstore(folder.path, ports.sigstore):
        yield folder.path


def check_that_only_loopback_is_listened_on(running: Running, filer: int) -> None:
    pids = {running.process.pid, *running.children()}
    addresses = {address for pid in pids for address in listening(pid)}
    assert len(addresses) >= 7
    assert {address.rpartition(":")[0] for address in addresses} == {"127.0.0.1"}
    answer = httpx2.get(f"http://127.0.0.1:{filer}/buckets/registry/sandbox/ready", trust_env=False)
    assert answer.status_code in (401, 403)  # no way round S3's authentication


def listening(pid: int) -> set[str]:
    """Give the TCP addresses that a process listens on, from /proc."""
    sockets = {
        match[1]
        for file in Path(f"/proc/{pid}/fd").iterdir()
        if (match := re.fullmatch(r"socket:\[(\d+)\]", str(file.readlink())))
    }
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A" and columns[9] in sockets:
                host, _, port = columns[1].partition(":")
                address = socket.inet_ntoa(bytes.fromhex(host)[::-1]) if table == "tcp" else host
                found.add(f"{address}:{int(port, 16)}")
    return found
