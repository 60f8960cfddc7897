"""Threat: an author leaves a key in the agent's folder, and publishing gives it to everybody who may pull, for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.bundle.agents import write_agent
from tidegate.cli.main import main

BODY = "Zq3vT8LkP0sWx7Yb2NmR5cHd9Jf4Gu6E"  # joined to a prefix below, so that the source holds no token
LEAKS = {
    "code": {"main.py": f"TOKEN = 'ghp_{BODY}wX1y'\n"},
    "a prompt": {"prompts/system.md": f"Use https://ci:{BODY}@git.acme.io/agent.git\n"},
    "settings": {"config.json": f'{{"aws_secret_access_key": "{BODY}/+aBcDeF"}}'},
    "a file behind a link": {"keys/id": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{BODY}{BODY}\n"},
    "text at the end of a long file": {"log.txt": "nothing\n" * 400_000 + f"xoxb-{BODY}\n"},
}


@pytest.mark.parametrize("place", LEAKS)
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["words", "json"])
def test_nothing_is_sent_stored_or_shown(
    place: str, options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, layout = write_agent(tmp_path / "agent", LEAKS[place]), tmp_path / "layout"
    if place == "a file behind a link":
        (folder / "id.txt").symlink_to("keys/id")
    # nothing listens there: had it come to sending, the exit code were 3
    nobody = ("--no-sign", "--registry", "http://127.0.0.1:9", "--layout", str(layout))
    assert main(["publish", str(folder), *nobody, *options]) == 2
    written = "".join(capsys.readouterr())
    assert "secret-found" in written
    assert BODY[:8] not in written
    assert not any(BODY.encode() in path.read_bytes() for path in layout.rglob("*") if path.is_file())
