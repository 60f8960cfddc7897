"""What the demo stands on: a sandbox in a folder that goes away, and commands shown as a person would type them."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
REPOSITORY = "acme/support-agent"
AGENT = "acme/support-agent"
READY_SECONDS = 60  # a slow machine's first start; the sandbox itself says what is wrong long before
STOP_SECONDS = 10


class DemoFailed(Exception):
    """Something did not go as the demo promises."""


@dataclass
class Stage:
    """The folder, the sandbox in it, and whether to show what happens."""

    folder: Path
    quiet: bool = False
    env: dict[str, str] = field(default_factory=dict)
    sandbox: subprocess.Popen[bytes] | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def sandbox_dir(self) -> Path:
        return self.folder / "sandbox"

    def __post_init__(self) -> None:
        keep = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGATE_", "GITHUB_"))}
        self.env = keep | {
            "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "XDG_CONFIG_HOME": str(self.folder / "config"),
        }

    # ---------------------------------------------------------------- words
    def title(self, text: str) -> None:
        self._write(f"\n{paint(f'── {text} ', 1, 36)}{paint('─' * max(0, 96 - len(text)), 2)}\n")

    def tell(self, text: str) -> None:
        self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        if not self.quiet:
            sys.stdout.write(text)
            sys.stdout.flush()

    # ---------------------------------------------------------------- the sandbox
    def start_sandbox(self) -> None:
        """Start `tidegate-registry sandbox` and take over the environment that it writes."""
        begun = time.monotonic()
        log = (self.folder / "sandbox.log").open("wb")
        self.sandbox = subprocess.Popen(
            [BIN / "tidegate-registry", "sandbox", "--dir", self.sandbox_dir],
            stdout=subprocess.PIPE, stderr=log, cwd=self.folder, env=self.env,
        )  # fmt: skip
        banner = self._read_banner(self.sandbox, begun + READY_SECONDS)
        for line in (self.sandbox_dir / "env").read_text().splitlines():
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").partition("=")
                self.env[name] = shlex.split(value)[0]
        self.tell(paint("$ tidegate-registry sandbox", 1))
        self._indent(banner)
        self.tell(paint(f"  ready after {time.monotonic() - begun:.1f} s", 2))

    def _read_banner(self, process: subprocess.Popen[bytes], deadline: float) -> str:
        lines: list[str] = []
        while process.stdout is not None and time.monotonic() < deadline:
            line = process.stdout.readline().decode()
            lines.append(line)
            if not line or "Ctrl-C" in line:
                break
        if process.poll() is not None or not (self.sandbox_dir / "env").exists():
            raise DemoFailed(f"the sandbox did not start:\n{(self.folder / 'sandbox.log').read_text()[-2000:]}")
        return "".join(lines)

    def stop_sandbox(self) -> None:
        """Stop it as a person would, with Ctrl-C."""
        if self.sandbox is not None and self.sandbox.poll() is None:
            self.sandbox.send_signal(signal.SIGINT)
            self.sandbox.wait(STOP_SECONDS)
        self.sandbox = None

    # ---------------------------------------------------------------- commands
    def run(
        self,
        *command: str | Path,
        expect: int = 0,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        show: str | None = None,
        head: int | None = None,
        tail: int | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, show it with what it prints, and insist on its exit code."""
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=120, check=False,
            env=self.env | (env or {}), cwd=cwd or ROOT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self.tell(paint(f"$ {show or self._typed(command)}", 1))
        self._indent(done.stderr + done.stdout, head, tail)
        if done.returncode != expect:
            raise DemoFailed(
                f"exit code {done.returncode} instead of {expect}:\n{shlex.join(map(str, command))}\n{done.stderr}"
            )
        if expect:
            self.tell(paint(f"  exit code {expect}", 2))
        return done

    def ci(
        self,
        *command: str | Path,
        repository: str = REPOSITORY,
        ref: str = "refs/heads/main",
        reusable: str | None = None,
        workflow: str | None = None,
        expect: int = 0,
        show: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a CI job of the sandbox. `show`: shown instead of what is run."""
        job = ["tidegate-registry", "sandbox", "ci", "--repository", repository, "--ref", ref]
        job += ["--reusable", reusable] if reusable else []
        job += ["--workflow", workflow] if workflow else []
        typed = f"{shlex.join(job)} -- \\\n      {self._typed(command)}"
        return self.run(*job, "--", *command, show=show or typed, expect=expect)

    def _typed(self, command: Sequence[str | Path]) -> str:
        return shlex.join(str(part).replace(f"{self.folder}/", "").replace(f"{ROOT}/", "") for part in command)

    def _indent(self, text: str, head: int | None = None, tail: int | None = None) -> None:
        """Show lines; of many, the first `head` and the last `tail` where these are given."""
        lines = text.replace(f"{self.folder}/", "").rstrip().splitlines()
        first = len(lines) if head is None and tail is None else head or 0
        last = max(first, len(lines) - (tail or 0))
        for line in lines[:first]:
            self.tell(f"  {line}")
        if last > first:
            self.tell(paint(f"  … {last - first} {'more' if last == len(lines) else 'other'} lines", 2))
        for line in lines[last:]:
            self.tell(f"  {line}")


def new_stage() -> tempfile.TemporaryDirectory[str]:
    """Make the folder that goes away."""
    return tempfile.TemporaryDirectory(prefix="tidegate-demo-")


def paint(text: str, *codes: int) -> str:
    """Colour, on a terminal that wants it."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\x1b[{';'.join(map(str, codes))}m{text}\x1b[0m"
