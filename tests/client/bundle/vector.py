"""The agent whose bundle is printed in docs/spec/bundle.md."""

from __future__ import annotations

# the folder of docs/spec/bundle.md, "Example", and the digests printed there
VECTOR: dict[str, str | bytes] = {
    "agent.yaml": """\
name: acme/support-agent
version: 1.2.0
entrypoint: [python3, main.py]
runtime: vendored
components: {prompts: prompts/**, tools: tools.json}
models:
  - id: claude-sonnet-4-20250514
  - id: gpt-4o
    unpinned: the vendor serves no dated id
""",
    "main.py": "print('hello')\n",
    "prompts/system.md": "Be brief.\n",
    "tools.json": '{"name": "search"}\n',
}
VECTOR_DIGEST = "sha256:ac8fe7b649a39bebf06af1c67d6a5db48d515956bb829f9eb8372a00820d136e"
VECTOR_BEHAVIOUR = "sha256:3a9d642316feb87a88e7985959675d28ea5c65c17fdf6d0055805ad2c1970452"


def edited(old: str, new: str) -> dict[str, str | bytes]:
    text = str(VECTOR["agent.yaml"])
    assert old in text
    return {"agent.yaml": text.replace(old, new)}
