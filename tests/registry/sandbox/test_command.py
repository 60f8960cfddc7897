"""A job's command gets every signal that asks it to end, and its answer is ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tidegate_registry import cli
from tidegate_registry.sandbox.command import head_commit, run_command

WRAPPER = (
    "import sys; from tidegate_registry.sandbox.command import run_command; sys.exit(run_command(sys.argv[1:], {}))"
)
# says its pid when it is ready, then waits; each signal has its own exit code
CHILD = """
import os, signal, sys
signal.signal(signal.SIGINT, lambda *_: sys.exit(40))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(41))
signal.signal(signal.SIGHUP, lambda *_: sys.exit(42))
print(os.getpid(), flush=True)
while True:
    signal.pause()
"""


@contextmanager
def start(*command: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", WRAPPER, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:  # a failed test leaves nothing
                os.killpg(process.pid, signal.SIGKILL)


def ended(process: subprocess.Popen[str], pid: int) -> tuple[int, str]:
    """Give the exit code and stderr; the child must be gone."""
    _, stderr = process.communicate(timeout=20)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    return process.returncode, stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 41), (signal.SIGHUP, 42)])
def test_a_request_to_end_reaches_the_job(number: signal.Signals, code: int) -> None:
    with start(sys.executable, "-c", CHILD) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        process.send_signal(number)
        assert ended(process, pid) == (code, "")


def test_a_job_that_a_forwarded_signal_ends_is_answered_as_a_shell_does() -> None:
    with start("sh", "-c", "echo $$; exec sleep 60") as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        process.terminate()
        assert ended(process, pid) == (128 + signal.SIGTERM, "")


@pytest.mark.parametrize(
    ("command", "code"), [((sys.executable, "-c", CHILD), 40), (("sh", "-c", "echo $$; exec sleep 60"), 130)]
)
def test_ctrl_c_is_the_jobs_to_answer(command: tuple[str, ...], code: int) -> None:
    with start(*command) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert ended(process, pid) == (code, "")


def test_the_handlers_before_are_given_back() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    assert run_command(["true"], {}) == 0
    assert [signal.getsignal(number) for number in numbers] == before


def test_ctrl_c_anywhere_else_is_an_exit_code_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("tidegate_registry.sandbox.supervisor.run_sandbox", interrupted)
    assert cli.main(["sandbox"]) == 130


def test_the_commit_is_the_checkouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert head_commit() is None
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True, timeout=20)
    assert head_commit() is None
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "First"], check=True, timeout=20)
    commit = head_commit()
    assert commit
    assert len(commit) == 40
    monkeypatch.setenv("PATH", str(tmp_path))
    assert head_commit() is None
