from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.registry.access.issuer import Clock, FakeIssuer, ec_key, running_issuer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with running_issuer(ec_key("k1")) as running:
        yield running
