#!/usr/bin/env python3
"""Write tests/vectors/decisions and tests/vectors/admissions: records of decisions as the registry writes them.

scripts/decision_vectors.py           writes them
scripts/decision_vectors.py --check   fails when they are not what would be written
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.client.policy import decision_recipes
from tests.client.verify import admission_recipes


def main() -> int:
    """Write or check."""
    check, code = "--check" in sys.argv[1:], 0
    for made in (decision_recipes, admission_recipes):
        path_of, write, folder = made.path_of, made.write, made.FOLDER
        stale = [
            name for name in made.RECIPES if not path_of(name).exists() or path_of(name).read_bytes() != write(name)
        ]
        extra = [path for path in folder.glob("*.json") if path.stem not in made.RECIPES]
        if check and (stale or extra):
            named = ", ".join((*stale, *(path.stem for path in extra)))
            where = f"tests/vectors/{folder.name}"
            print(f"{where} is out of date ({named}): run scripts/decision_vectors.py", file=sys.stderr)
            code = 1
        if not check:
            folder.mkdir(exist_ok=True)
            for path in extra:
                path.unlink()
            for name in stale:
                path_of(name).write_bytes(write(name))
    return code


if __name__ == "__main__":
    sys.exit(main())
