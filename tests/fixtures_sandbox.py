"""Shared fixtures: a running private Sigstore (and its evil twin), and a running S3. One of each per test process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint
    from tidegate_registry.sandbox.serve import RunningSigstore

BACKDATED = timedelta(days=400)  # authorities this old let tests issue certificates and timestamps in the past


@dataclass
class Sigstores:
    """Private Sigstores that answer on loopback, each started when it is first used.

    `main` is the one that tests trust. `twin` has the same name, log origin, users and CI server, but other keys and
    another folder: whatever it signs must be refused by who trusts `main` alone.
    """

    folder: Path
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @cached_property
    def main(self) -> RunningSigstore:
        return self._start("main")

    @cached_property
    def twin(self) -> RunningSigstore:
        return self._start("twin")

    def close(self) -> None:
        self._stack.close()

    def _start(self, name: str) -> RunningSigstore:
        from tidegate_registry.sandbox.serve import start_sigstore

        running = start_sigstore(self.folder / name, valid_from=datetime.now(UTC) - BACKDATED)
        return self._stack.enter_context(running)


@pytest.fixture(scope="session")
def sigstores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sigstores]:
    """Both private Sigstores, started lazily."""
    pair = Sigstores(tmp_path_factory.mktemp("sigstore"))
    yield pair
    pair.close()


@pytest.fixture(scope="session")
def sigstore(sigstores: Sigstores) -> RunningSigstore:
    """The private Sigstore that tests trust: `.url`, `.instance` (tokens, jobs, certificates, trust documents)."""
    return sigstores.main


@pytest.fixture(scope="session")
def evil_sigstore(sigstores: Sigstores) -> RunningSigstore:
    """A second one with other keys, which nobody trusts."""
    return sigstores.twin


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Endpoint]:
    """A running SeaweedFS with one empty bucket. The first PUT in a bucket is slow: use a key prefix per test."""
    from tidegate_registry.sandbox.s3 import Weed

    weed = Weed(tmp_path_factory.mktemp("s3"))
    weed.start()
    try:
        weed.wait_ready()
        yield weed.endpoint
    finally:
        weed.stop(seconds=0)  # its two polite seconds are not worth keeping throw-away data
