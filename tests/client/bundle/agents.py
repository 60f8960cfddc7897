"""Small agents on disk for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tidegate.bundle.build import Built, build

AGENT_YAML = """\
name: acme/support-agent
version: 1.2.0
entrypoint: [python3, main.py]
runtime: vendored
"""

FULL_YAML = (
    AGENT_YAML
    + """\
description: Answers questions.
components:
  prompts: prompts/**
  skills: [skills]
  tools: tools/*.json
  models: settings.json
  config: [config.json]
  memory: memory/**
  weights: weights/**
  evals: evals/**
  docs: ["*.md", "!CODE.md"]
models:
  - id: claude-sonnet-4-20250514
    provider: anthropic
  - id: gpt-4o
    unpinned: the vendor serves it under no other name
  - id: local
    file: weights/model.gguf
capabilities:
  tools: [search]
  mcpServers:
    - {name: github, url: "https://example.com/mcp"}
  egress: [api.example.com, "*.example.org:8443"]
  secrets: [API_KEY]
  files:
    - {path: /data, access: read}
interfaces:
  provides:
    - {name: answer, version: "1", input: schemas/answer.json, output: {type: string}}
requirements: {platforms: [linux/amd64], programs: [git], memoryMiB: 512}
state: {schema: 2, reads: [1, 2], migrate: [python3, migrate.py], onRollback: migrate}
changelog: |
  First.
"""
)

FULL_FILES: Mapping[str, str | bytes] = {
    "agent.yaml": FULL_YAML,
    "main.py": "print('hello')\n",
    "CODE.md": "code, not docs\n",
    "README.md": "# Agent\n",
    "schemas/answer.json": '{"type": "object"}',
    "prompts/system.md": "Be brief.\n",
    "prompts/de/system.md": "Fasse dich kurz.\n",
    "skills/refund/SKILL.md": "Refund kindly.\n",
    "tools/search.json": '{"name": "search", "parameters": {"type": "object"}}\n',
    "tools/refund.json": '{"name": "refund"}\n',
    "settings.json": '{"temperature": 0.0}',
    "config.json": '{"retries": 3}',
    "memory/faq.txt": "Q: ?\n",
    "weights/model.gguf": b"GGUF" + bytes(range(256)) * 40,
    "evals/set.jsonl": "{}\n",
    "empty": b"",
}


def write_agent(folder: Path, files: Mapping[str, str | bytes] | None = None, *, executable: str = "main.py") -> Path:
    """Write an agent's folder: `files` over a minimal agent.yaml and main.py, or the full example."""
    chosen = FULL_FILES if files is None else {"agent.yaml": AGENT_YAML, "main.py": "print('hello')\n"} | dict(files)
    for path, content in chosen.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    if (folder / executable).exists():
        (folder / executable).chmod(0o755)
    return folder


def build_agent(tmp_path: Path, files: Mapping[str, str | bytes] | None = None) -> Built:
    """Write and build an agent below `tmp_path`."""
    return build(write_agent(tmp_path / "agent", files), tmp_path / "layout")


def read_tree(folder: Path) -> dict[str, tuple[bytes, bool]]:
    """Give every file below `folder`: its bytes, and whether it is executable."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), bool(path.stat().st_mode & 0o100))
        for path in folder.rglob("*")
        if path.is_file()
    }
