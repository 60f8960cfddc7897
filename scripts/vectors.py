#!/usr/bin/env python3
"""Write the test vectors of the verifier, in the style of sigstore-conformance: one folder a case.

scripts/vectors.py           make those that are missing or do not give what they promise, remove those without a recipe
scripts/vectors.py --anew    make all anew, with new keys and certificates
scripts/vectors.py --check   write nothing; see that the folders are those of the recipes, that each gives the outcome
                             it promises, and that so does each when made anew
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
    (folder / "README.md").write_text(readme(recipe))


def readme(recipe: Recipe) -> str:
    """Say what the case is about."""
    return f"# {recipe.name}\n\n{recipe.reason}\n\nExpected: {recipe.expected}.\n"


def write_all(target: Path) -> None:
    """Make every case under `target`."""
    with tempfile.TemporaryDirectory() as scratch:
        at = workshop(Path(scratch))
        for recipe in RECIPES:
            write(recipe, at, target / recipe.name)


def wrong_cases(target: Path) -> dict[str, str]:
    """Give the cases under `target` that are not as their recipes promise, missing or too many, and why."""
    there, known = {folder.name: folder for folder in vector_folders(target)}, {each.name: each for each in RECIPES}
    problems = dict.fromkeys(there.keys() - known.keys(), "there is no recipe for it")
    problems |= dict.fromkeys(known.keys() - there.keys(), "not written")
    for name in there.keys() & known.keys():
        promised, outcome = known[name].expected, VectorCase.load(there[name]).outcome()
        if outcome != promised or VectorCase.load(there[name]).expected != promised:
            problems[name] = f"promised {promised}, gives {outcome}"
        elif (there[name] / "README.md").read_text() != readme(known[name]):
            problems[name] = "the recipe gives another reason"
    return problems


def main() -> int:
    """Write, or check and say what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="write nothing")
    how.add_argument("--anew", action="store_true", help="replace those that are right, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch, "vectors")
        write_all(fresh)
        problems = [f"{name}, made anew: {why}" for name, why in wrong_cases(fresh).items()]
        stale = {folder.name for folder in vector_folders()} if arguments.anew else set()
        stale |= wrong_cases(VECTORS).keys()
        if arguments.check:
            problems += [f"{name}: {why}" for name, why in wrong_cases(VECTORS).items()]
        elif not problems:
            for name in stale:
                shutil.rmtree(VECTORS / name, ignore_errors=True)
                if (fresh / name).is_dir():
                    shutil.copytree(fresh / name, VECTORS / name)
    for problem in problems:
        print(problem)
    print(f"{len(RECIPES)} cases, {len(problems)} problems" + ("" if arguments.check else f", {len(stale)} written"))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
