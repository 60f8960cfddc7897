"""No parser answers hostile input with anything but a typed error. Bounded; `-m slow` looks longer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.fuzz.targets import TARGETS
from tests.fuzzing import LONG_SECONDS, Target, broken, feed, long_inputs

targets = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


@targets
def test_the_seed_is_not_far_from_what_the_parser_accepts(target: Target) -> None:
    feed(target, target.seed)


@targets
@pytest.mark.timeout(LONG_SECONDS)
def test_long_documents_are_no_more_work_than_they_are_long(target: Target) -> None:
    for raw in long_inputs(target.seed):
        feed(target, raw)


@targets
@given(data=st.data())
def test_arbitrary_bytes_never_surprise_a_parser(target: Target, data: st.DataObject) -> None:
    feed(target, data.draw(st.binary(max_size=600)))


@targets
@given(data=st.data())
def test_broken_documents_never_surprise_a_parser(target: Target, data: st.DataObject) -> None:
    feed(target, data.draw(broken(target.seed)))


@pytest.mark.slow
@targets
@given(data=st.data())
@settings(max_examples=800)
def test_many_broken_documents_never_surprise_a_parser(target: Target, data: st.DataObject) -> None:
    feed(target, data.draw(broken(target.seed)))
