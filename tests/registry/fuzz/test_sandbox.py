"""No endpoint of the sandbox fails on what it is sent. Bounded; `-m slow` looks longer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzzing import LONG_SECONDS, Target, broken, feed, long_inputs
from tests.registry.fuzz.sandbox import NAMES, REFUSED, Answer, Sandbox, make_targets
from tidegate_registry.sandbox.sigstore import SigstoreInstance, build_app

BAD_REQUEST = 400
names = pytest.mark.parametrize("name", NAMES)
Targets = dict[str, Target]


@pytest.fixture(scope="module")
def sandbox_targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Targets]:
    instance = SigstoreInstance(tmp_path_factory.mktemp("fuzzed"), "http://127.0.0.1:1")
    with asyncio.Runner() as loop:
        sandbox = Sandbox(instance, build_app(instance), loop)
        made = make_targets(sandbox)
        made["entry, by key"].parse(made["entry, by key"].seed)  # a log with an entry has a tile to ask for
        yield made
    instance.close()


@names
def test_the_seed_is_what_the_endpoint_takes(name: str, sandbox_targets: Targets) -> None:
    target = sandbox_targets[name]
    answer = target.parse(target.seed)
    assert isinstance(answer, Answer)
    assert (answer.status >= BAD_REQUEST) == (name in REFUSED), answer


@names
@pytest.mark.timeout(LONG_SECONDS)
def test_long_requests_are_no_more_work_than_they_are_long(name: str, sandbox_targets: Targets) -> None:
    for raw in long_inputs(sandbox_targets[name].seed):
        feed(sandbox_targets[name], raw)


@names
@given(data=st.data())
@settings(max_examples=30)
def test_arbitrary_and_broken_requests_never_surprise_an_endpoint(
    name: str, sandbox_targets: Targets, data: st.DataObject
) -> None:
    target = sandbox_targets[name]
    feed(target, data.draw(st.binary(max_size=600) | broken(target.seed)))


@pytest.mark.slow
@names
@given(data=st.data())
@settings(max_examples=400)
def test_many_broken_requests_never_surprise_an_endpoint(
    name: str, sandbox_targets: Targets, data: st.DataObject
) -> None:
    feed(sandbox_targets[name], data.draw(broken(sandbox_targets[name].seed)))
