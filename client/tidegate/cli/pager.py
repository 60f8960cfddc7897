"""Long results on a terminal go through a pager, as git's do."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping

DEFAULT = "less -FRX"  # quit if it fits one screen, pass colours on, leave the screen as it is
_PLAIN = frozenset({"", "cat"})


def pager_command(environment: Mapping[str, str]) -> list[str] | None:
    """Give the pager to start: $PAGER, else DEFAULT; None where it is empty, `cat`, or no command at all."""
    try:
        command = shlex.split(environment.get("PAGER", DEFAULT))
    except ValueError:  # a quote that is not closed
        return None
    return None if " ".join(command) in _PLAIN else command


def page(text: str) -> bool:
    """Show `text` in the pager and wait until it is left. Returns False when there is none, and nothing was shown."""
    command = pager_command(os.environ)
    if command is None:
        return False
    environment = {**os.environ, "LESS": os.environ.get("LESS", "FRX"), "LV": os.environ.get("LV", "-c")}
    try:
        pager = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)  # S603: a list, never a shell
    except OSError:
        return False
    try:
        pager.communicate(text.encode("utf-8", "backslashreplace"))
    except KeyboardInterrupt:  # it is the pager's to interpret
        pager.wait()
    return True
