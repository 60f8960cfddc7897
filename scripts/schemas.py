"""Write docs/spec/*.schema.json, which editors use to complete and check the files that people write.

scripts/schemas.py            writes the files
scripts/schemas.py --check    fails when a file is not what would be written
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from tidegate.bundle.spec import SCHEMA_ID, AgentSpec
from tidegate.formats.charter import Charter
from tidegate.formats.trustfile import TrustFile
from tidegate.policy.cases.model import CasesDocument
from tidegate.policy.model import PolicyDocument, PolicyOverlay
from tidegate_registry.admission.diffs_out import DiffOut

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "spec"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMAS: dict[str, tuple[type[BaseModel], str, str]] = {
    "agent.schema.json": (AgentSpec, SCHEMA_ID, "agent.yaml"),
    "charter.schema.json": (Charter, "https://tidegate.dev/schema/charter-v1.json", "Tidegate charter"),
    "diff.schema.json": (DiffOut, "https://tidegate.dev/schema/diff-v1.json", "What changed between two bundles"),
    "policy.schema.json": (PolicyDocument, "https://tidegate.dev/schema/policy-v1.json", "Tidegate policy"),
    "policy-cases.schema.json": (
        CasesDocument,
        "https://tidegate.dev/schema/policy-cases-v1.json",
        "Cases of a Tidegate policy",
    ),
    "policy-overlay.schema.json": (
        PolicyOverlay,
        "https://tidegate.dev/schema/policy-overlay-v1.json",
        "Overlay of a namespace to a Tidegate policy",
    ),
    "trust.schema.json": (TrustFile, "https://tidegate.dev/schema/trust-v1.json", "trust.yaml"),
}


class _Untitled(GenerateJsonSchema):
    """Leave out the titles that would only repeat the names of the keys."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - the base class calls it so
        return False


def schema_text(name: str) -> str:
    """Give the content of one file."""
    model, identifier, title = SCHEMAS[name]
    schema = {
        "$schema": DIALECT,
        "$id": identifier,
        **model.model_json_schema(by_alias=True, schema_generator=_Untitled),
        "title": title,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check all files."""
    stale = [name for name in SCHEMAS if not _is_current(FOLDER / name)]
    if "--check" in arguments:
        for name in stale:
            print(f"docs/spec/{name} is out of date: run scripts/schemas.py", file=sys.stderr)
        return bool(stale)
    for name in stale:
        (FOLDER / name).write_text(schema_text(name), "utf-8")
        print(f"wrote docs/spec/{name}", file=sys.stderr)
    return 0


def _is_current(path: Path) -> bool:
    return path.is_file() and path.read_text("utf-8") == schema_text(path.name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
