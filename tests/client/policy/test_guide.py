"""docs/guides/write-your-first-policy.md does what it says: its commands write what it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.client.policy.cel.library import needs_library

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "write-your-first-policy.md").read_text("utf-8")


def shell(script: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-u", "-c", script],
        cwd=folder,
        env={"PATH": path, "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout


@needs_library
def test_each_step_writes_what_the_guide_shows(tmp_path: Path) -> None:
    install, *steps = re.findall(r"^```(sh|text)\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)
    assert install[1] == "pip install 'tidegate[policy]'\n"
    written = ""
    for language, block in steps:
        if language == "sh":
            written = shell(block, tmp_path)
        else:
            assert not [line for line in block.splitlines() if line not in written], written
    assert written
