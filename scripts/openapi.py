"""Write openapi.yaml, the HTTP contract, from the application.

scripts/openapi.py            writes it
scripts/openapi.py --check    fails when it is not what would be written
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

TARGET = Path(__file__).resolve().parents[1] / "openapi.yaml"
HEAD = "# Written by scripts/openapi.py from the application; do not edit.\n"


class Dumper(yaml.SafeDumper):
    """YAML as people write it: no anchors, texts of several lines as blocks."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the signature is yaml's
        """Write what occurs twice twice."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Dumper.add_representer(str, _text)


def render() -> str:
    """Give the whole file."""
    from tidegate_registry.openapi import describe

    return HEAD + yaml.dump(describe(), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)


def main() -> int:
    """Write or check."""
    text = render()
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text)
        return 0
    if TARGET.exists() and TARGET.read_text() == text:
        return 0
    print("openapi.yaml is not what the application says: run scripts/openapi.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
