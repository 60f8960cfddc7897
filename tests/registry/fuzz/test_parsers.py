"""No parser of the registry answers hostile input with anything but a typed error. Bounded; `-m slow` looks longer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzzing import LONG_SECONDS, Target, broken, feed, long_inputs
from tests.registry.fuzz.targets import TARGETS

targets = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


@targets
def test_the_seed_is_accepted(target: Target) -> None:
    target.parse(target.seed)


@targets
@pytest.mark.timeout(LONG_SECONDS)
def test_long_input_is_no_more_work_than_it_is_long(target: Target) -> None:
    for raw in long_inputs(target.seed):
        feed(target, raw)


@targets
@given(data=st.data())
@settings(max_examples=30)
def test_arbitrary_and_broken_input_never_surprises_a_parser(target: Target, data: st.DataObject) -> None:
    feed(target, data.draw(st.binary(max_size=600) | broken(target.seed)))


@pytest.mark.slow
@targets
@given(data=st.data())
@settings(max_examples=500)
def test_much_broken_input_never_surprises_a_parser(target: Target, data: st.DataObject) -> None:
    feed(target, data.draw(broken(target.seed)))
