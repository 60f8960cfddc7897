#!/usr/bin/env python3
"""Verify a pulled folder COUNT times with one loaded trust, and print the milliseconds of each after the first.

bench_verify.py FOLDER COUNT
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def main(folder: str, count: int) -> None:
    """Print a JSON list of milliseconds; the first call, which loads everything, is left out when there are more."""
    import tidegate
    from tidegate.verify.trust import load_trust

    trust = load_trust(Path(os.environ["TIDEGATE_TRUST"]), allow_sandbox=True)
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        tidegate.verify(folder, trust=trust, offline=True)
        times.append((time.perf_counter() - begun) * 1000)
    print(json.dumps(times[1:] or times))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
