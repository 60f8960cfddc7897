#!/usr/bin/env python3
"""Write tests/vectors/log: checkpoints, proofs, paths and trees of the audit log, good and bad.

scripts/log_vectors.py           writes them
scripts/log_vectors.py --check   fails when they are not what would be written
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.client.tlog.vector_recipes import FOLDER, RECIPES, path_of, write


def main() -> int:
    """Write or check."""
    check = "--check" in sys.argv[1:]
    stale = [name for name in RECIPES if not path_of(name).exists() or path_of(name).read_bytes() != write(name)]
    extra = [path for path in FOLDER.glob("*.json") if path.stem not in RECIPES]
    if check and (stale or extra):
        named = ", ".join((*stale, *(path.stem for path in extra)))
        print(f"tests/vectors/log is out of date ({named}): run scripts/log_vectors.py", file=sys.stderr)
        return 1
    if not check:
        FOLDER.mkdir(exist_ok=True)
        for path in extra:
            path.unlink()
        for name in stale:
            path_of(name).write_bytes(write(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
