"""Wilson's interval and pass^k, against what they mean."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import sqrt
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.formats.predicates.rates import Z_95, pass_power, wilson_bounds


def test_z_is_that_of_95_per_cent_on_two_sides() -> None:
    assert pytest.approx(NormalDist().inv_cdf(0.975), abs=1e-12) == Z_95


@pytest.mark.parametrize(("passed", "n"), [(9, 10), (0, 10), (10, 10), (190, 200), (1, 1), (4999, 5000)])
def test_the_bounds_are_the_shares_that_lie_z_standard_errors_away(passed: int, n: int) -> None:
    for bound in wilson_bounds(passed / n, n):
        assert abs(passed / n - bound) == pytest.approx(Z_95 * sqrt(bound * (1 - bound) / n), abs=1e-12)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_bounds_are_shares_and_hold_what_was_seen(counts: tuple[int, int]) -> None:
    passed, n = counts
    lower, upper = wilson_bounds(passed / n, n)
    assert 0 <= lower <= passed / n <= upper <= 1


@given(st.integers(1, 6).flatmap(lambda k: st.tuples(st.just(k), st.lists(st.integers(0, k), min_size=1, max_size=8))))
def test_pass_power_is_the_mean_over_all_draws(given_: tuple[int, list[int]]) -> None:
    repeats, passes = given_
    for k, share in enumerate(pass_power(passes, repeats), start=1):
        draws = [all(run < passed for run in drawn) for passed in passes for drawn in combinations(range(repeats), k)]
        assert share == pytest.approx(float(Fraction(sum(draws), len(draws))))


def test_with_as_many_draws_as_runs_every_run_must_have_passed() -> None:
    assert pass_power([3, 3, 2, 3], 3)[-1] == 3 / 4
    assert pass_power([100] * 9_999 + [99], 100)[-1] == 0.9999
