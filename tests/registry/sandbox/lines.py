"""What tests of the sandbox's command line share."""

from __future__ import annotations

from tidegate_registry.cli import main
from tidegate_registry.sandbox.folder import SandboxFolder, SandboxPorts


def run(arguments: list[str]) -> int:
    return main(["sandbox", *arguments])


def assert_told(text: str, *parts: str) -> None:
    """Check that `text` is one error, as the command line tells it, and has `parts` in it."""
    assert text.startswith("error: ")
    assert text.count("error: ") == 1
    assert "Traceback" not in text
    assert text.endswith("\n")
    for part in parts:
        assert part in text


def chosen(folder: SandboxFolder) -> SandboxPorts:
    """Give the ports of a folder that a sandbox has used."""
    ports = folder.choose_ports()
    folder.keep_ports(ports)
    return ports
