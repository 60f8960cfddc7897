#!/usr/bin/env python3
"""Write the test vectors of the verifier, in the style of sigstore-conformance: one folder a case.

scripts/vectors.py           make all anew, with new keys and certificates
scripts/vectors.py --check   see that the folders are those of the recipes, that each gives the outcome it promises, and
                             that so does each when made anew
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.vectorcase import VECTORS, VectorCase, vector_folders  # noqa: E402 - after the path is set
from tests.vectorrecipes import RECIPES, Recipe  # noqa: E402
from tests.workshop import Workshop  # noqa: E402
from tidegate_registry.sandbox.sigstore import SigstoreInstance  # noqa: E402

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)  # of the cases: certificates do not expire in the past
AGE = timedelta(days=500)  # of the authorities


def workshop(folder: Path) -> Workshop:
    """Give two Sigstore instances that never listen, and the clock of the cases."""

    def instance(name: str) -> SigstoreInstance:
        return SigstoreInstance(
            folder / name, f"https://{name}.sigstore.example", clock=lambda: NOW, valid_from=NOW - AGE
        )

    return Workshop(instance("main"), instance("other"), NOW)


def write(recipe: Recipe, at: Workshop, folder: Path) -> None:
    """Make one case and write its files."""
    made = recipe.make(at)
    charter = made.charter or at.charter
    root = at.main.client_trust_config() if made.client_trust_config else at.main.trusted_root()
    if made.change_root is not None:
        made.change_root(root)
    roots = {"main": "trusted_root.json"} | ({"other": "other_root.json"} if made.with_other else {})
    if not made.with_other and any(name != "main" for name in charter.roots):
        raise ValueError(f"{recipe.name} names a root that is not written")
    folder.mkdir(parents=True)
    documents = {"trusted_root.json": root} | ({"other_root.json": at.other.trusted_root()} if made.with_other else {})
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=1) + "\n")
    (folder / "bundle.json").write_bytes(made.raw)
    (folder / "manifest.json").write_bytes(at.manifest.raw)
    described = charter.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    (folder / "charter.yaml").write_text(json.dumps(described, indent=2) + "\n")
    case: dict[str, object] = {"agent": made.agent, "now": NOW.isoformat(), "roots": roots, "expected": recipe.expected}
    if made.max_age_days is not None:
        case["maxAgeDays"] = made.max_age_days
    (folder / "case.yaml").write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in case.items()))
    (folder / "README.md").write_text(f"# {recipe.name}\n\n{recipe.reason}\n\nExpected: {recipe.expected}.\n")


def write_all(target: Path) -> None:
    """Make every case under `target`."""
    with tempfile.TemporaryDirectory() as scratch:
        at = workshop(Path(scratch))
        for recipe in RECIPES:
            write(recipe, at, target / recipe.name)


def wrong_outcomes(target: Path) -> list[str]:
    """Say of each case under `target` that does not give what it promises, and of cases missing or too many."""
    problems = []
    for folder in vector_folders(target):
        case = VectorCase.load(folder)
        outcome = case.outcome()
        if outcome != case.expected:
            problems.append(f"{case.name}: expected {case.expected}, got {outcome}")
    there, known = {folder.name for folder in vector_folders(target)}, {recipe.name: recipe for recipe in RECIPES}
    problems += [f"{name}: there is no recipe for it" for name in sorted(there - known.keys())]
    problems += [f"{name}: not written" for name in sorted(known.keys() - there)]
    for name in there & known.keys():
        if VectorCase.load(target / name).expected != known[name].expected:
            problems.append(f"{name}: the recipe promises something else")
    return problems


def main() -> int:
    """Write, or check and say what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch, "vectors")
        write_all(fresh)
        problems = [f"made anew: {problem}" for problem in wrong_outcomes(fresh)]
        if arguments.check:
            problems += wrong_outcomes(VECTORS)
        elif not problems:
            for folder in vector_folders():
                shutil.rmtree(folder)
            for folder in vector_folders(fresh):
                shutil.copytree(folder, VECTORS / folder.name)
    for problem in problems:
        print(problem)
    print(f"{len(RECIPES)} cases, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
