"""Real agent bundles on their way into the registry under test: the same agent in versions that differ as asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import httpx2

from tests.client.bundle.agents import FULL_FILES, FULL_YAML, build_agent
from tests.registry.admission.world import GateWorld
from tidegate.bundle.build import Built

MORE_EGRESS = ("egress: [api.example.com,", "egress: [api.example.com, api.example.net,")  # demands a minor step
OTHER_CONTRACT = ("output: {type: string}", "output: {}")  # demands a major one
OTHER_PROMPT = {"prompts/system.md": "Be brief, and kind.\n"}  # demands a patch


def agent_files(
    version: str, *edits: tuple[str, str], files: Mapping[str, str | bytes] | None = None
) -> dict[str, str | bytes]:
    """Give the full example in `version`, with `edits` of its agent.yaml and other `files`."""
    text = FULL_YAML.replace("version: 1.2.0", f"version: {version}")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return {**FULL_FILES, "agent.yaml": text, **(files or {})}


def push_version(
    world: GateWorld,
    folder: Path,
    version: str,
    *edits: tuple[str, str],
    files: Mapping[str, str | bytes] | None = None,
) -> tuple[Built, httpx2.Response]:
    """Build, push, sign and prove the agent in `version`, ask for it, and give the answer."""
    client = world.client()
    built = build_agent(folder / version, agent_files(version, *edits, files=files))
    for blob in built.manifest.blobs:
        world.push_blob(client, built.layout.read_blob(blob.digest, 1 << 20))
    manifest = world.prepare(client, version, manifest=built.manifest)
    return built, world.put(client, manifest, version)
