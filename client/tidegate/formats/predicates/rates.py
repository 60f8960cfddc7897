"""Rates of passed evaluation cases, computed from their outcomes: pass rate, its bounds, pass^k.

Pure arithmetic on integers, and of floats only `+ - * /` and the square root, which IEEE 754 rounds alike everywhere:
whoever computes again from the same outcomes gets the same numbers. Formulas: docs/spec/evaluation.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import comb, sqrt
from typing import Final

Z_95: Final = 1.959963984540054  # the normal distribution's 0.975 quantile: two-sided 95 %


def wilson_bounds(rate: float, n: int) -> tuple[float, float]:
    """Give lower and upper bound of the Wilson score interval at 95 % for a share `rate` of `n` >= 1 observations.

    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927).
    """
    z2 = Z_95 * Z_95
    centre = rate + z2 / (2 * n)
    half = Z_95 * sqrt(rate * (1 - rate) / n + z2 / (4 * n * n))
    scale = 1 + z2 / n
    # rounding must not make a share of nothing or of more than all, nor exclude what was seen
    lower = min(max((centre - half) / scale, 0.0), rate)
    upper = max(min((centre + half) / scale, 1.0), rate)
    return lower, upper


def pass_power(passes: Iterable[int], repeats: int) -> tuple[float, ...]:
    """Give pass^k for each k from 1 to `repeats`: the chance that k runs of a case all pass, averaged over the cases.

    `passes`: for each case how many of its `repeats` runs passed; not empty. The estimate for one case is
    C(passes, k) / C(repeats, k), the share of all ways to draw k of its runs in which every run passed: unbiased, and
    for k = repeats simply whether all passed. Source: S. Yao et al., "tau-bench" (2024), section 3.
    """
    histogram = Counter(passes)
    cases = histogram.total()
    return tuple(
        sum(comb(passed, k) * count for passed, count in histogram.items()) / (comb(repeats, k) * cases)
        for k in range(1, repeats + 1)
    )
